//! Values with `*` and `?`. Matching is greedy on pieces between stars and never backtracks over more
//! than one star, so it is linear in practice and O(n·m) at worst; a regular expression would do the
//! same with a thousand times the memory.

use super::pattern::{Test, TextOp};
use rsigma_parser::{SigmaString, SpecialChar, StringPart};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Char(char),
    Any,
}

/// Pieces that must occur in this order; the first and last are bound to the ends unless a star is there.
#[derive(Debug)]
pub(crate) struct Glob {
    pieces: Vec<Vec<Unit>>,
    open_start: bool,
    open_end: bool,
    /// Pieces without `?`, as text, for the fast path.
    texts: Vec<Option<Box<str>>>,
}

impl Glob {
    /// The test for a text with wildcards: a plain comparison where the wildcards are only at the ends.
    pub(crate) fn compile(text: &SigmaString, op: TextOp, cased: bool) -> Test {
        let glob = Self::new(text, op, cased);
        match (&glob.texts[..], glob.open_start, glob.open_end) {
            ([Some(text)], true, true) => Test::Text(TextOp::Contains, text.clone()),
            ([Some(text)], true, false) => Test::Text(TextOp::EndsWith, text.clone()),
            ([Some(text)], false, true) => Test::Text(TextOp::StartsWith, text.clone()),
            ([], ..) => Test::Text(TextOp::Contains, "".into()),
            _ => Test::Glob(glob),
        }
    }

    fn new(text: &SigmaString, op: TextOp, cased: bool) -> Self {
        let mut pieces: Vec<Vec<Unit>> = vec![Vec::new()];
        for part in &text.parts {
            match part {
                StringPart::Special(SpecialChar::WildcardMulti) => pieces.push(Vec::new()),
                StringPart::Special(SpecialChar::WildcardSingle) => last(&mut pieces).push(Unit::Any),
                StringPart::Plain(plain) if cased => last(&mut pieces).extend(plain.chars().map(Unit::Char)),
                StringPart::Plain(plain) => last(&mut pieces).extend(plain.to_lowercase().chars().map(Unit::Char)),
            }
        }
        let star_start = pieces.len() > 1 && pieces.first().is_some_and(Vec::is_empty);
        let star_end = pieces.len() > 1 && pieces.last().is_some_and(Vec::is_empty);
        pieces.retain(|piece| !piece.is_empty());
        let texts = pieces.iter().map(|piece| piece_text(piece)).collect();
        Self {
            pieces,
            texts,
            open_start: star_start || matches!(op, TextOp::Contains | TextOp::EndsWith),
            open_end: star_end || matches!(op, TextOp::Contains | TextOp::StartsWith),
        }
    }

    /// The longest run of fixed characters: what must occur in any match.
    pub(crate) fn longest_literal(&self) -> Option<&str> {
        self.texts.iter().flatten().map(|text| &**text).max_by_key(|text| text.len())
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        let (mut rest, mut pieces) = (text, 0..self.pieces.len());
        if !self.open_start {
            let Some(i) = pieces.next() else { return rest.is_empty() };
            let Some(len) = self.prefix_len(i, rest) else { return false };
            rest = &rest[len..];
            if pieces.is_empty() && !self.open_end {
                // Bound at both ends by the same piece.
                return rest.is_empty();
            }
        }
        let tail = if self.open_end { None } else { pieces.next_back() };
        for i in pieces {
            let Some(end) = self.find_end(i, rest) else { return false };
            rest = &rest[end..];
        }
        tail.is_none_or(|i| self.is_suffix(i, rest))
    }

    /// Bytes of `text` that piece `i` covers at its start.
    fn prefix_len(&self, i: usize, text: &str) -> Option<usize> {
        if let Some(fixed) = &self.texts[i] {
            return text.starts_with(&**fixed).then_some(fixed.len());
        }
        let mut chars = text.char_indices();
        for unit in &self.pieces[i] {
            let (_, c) = chars.next()?;
            if *unit != Unit::Any && *unit != Unit::Char(c) {
                return None;
            }
        }
        Some(chars.next().map_or(text.len(), |(at, _)| at))
    }

    fn find_end(&self, i: usize, text: &str) -> Option<usize> {
        if let Some(fixed) = &self.texts[i] {
            return memchr::memmem::find(text.as_bytes(), fixed.as_bytes()).map(|at| at + fixed.len());
        }
        let starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        starts.into_iter().find_map(|at| self.prefix_len(i, &text[at..]).map(|len| at + len))
    }

    fn is_suffix(&self, i: usize, text: &str) -> bool {
        if let Some(fixed) = &self.texts[i] {
            return text.ends_with(&**fixed);
        }
        let count = self.pieces[i].len();
        let Some(skip) = text.chars().count().checked_sub(count) else { return false };
        let at = text.char_indices().nth(skip).map_or(text.len(), |(at, _)| at);
        self.prefix_len(i, &text[at..]).is_some()
    }
}

fn last(pieces: &mut [Vec<Unit>]) -> &mut Vec<Unit> {
    pieces.last_mut().expect("begins with one piece and only grows")
}

fn piece_text(piece: &[Unit]) -> Option<Box<str>> {
    piece
        .iter()
        .map(|unit| match unit {
            Unit::Char(c) => Some(*c),
            Unit::Any => None,
        })
        .collect::<Option<String>>()
        .map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn glob(text: &str) -> Glob {
        Glob::new(&SigmaString::new(text), TextOp::Equals, false)
    }

    proptest! {
        #[test]
        fn agrees_with_a_regular_expression(pattern in "[ab*?]{0,8}", text in "[abä]{0,12}") {
            let mut expected = String::from("(?s)^");
            for c in pattern.chars() {
                match c {
                    '*' => expected.push_str(".*"),
                    '?' => expected.push('.'),
                    c => expected.push(c),
                }
            }
            let expected = regex::Regex::new(&(expected + "$")).expect("made of known parts").is_match(&text);
            prop_assert_eq!(glob(&pattern).matches(&text), expected, "{} on {}", pattern, text);
        }
    }
}
