//! Words and patterns: what the index cuts text into and what the evaluators compare it with.
use crate::Words;

/// A longer word counts as its beginning, when indexed and when asked for.
pub const WORD_BYTES_MAX: usize = 128;

/// Bytes of one pattern of `*` and `?`: comparing takes time in proportion to pattern times text.
pub const WILDCARD_BYTES_MAX: usize = 512;

/// The words of a text: runs of letters, digits and `_`, in lower case, cut at [`WORD_BYTES_MAX`].
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    runs(text).map(word)
}

fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn runs(text: &str) -> impl Iterator<Item = &str> + Clone {
    text.split(|c: char| !is_word_char(c)).filter(|w| !w.is_empty())
}

pub(crate) fn word(text: &str) -> String {
    let mut lower = text.to_lowercase();
    if !lower.is_ascii() {
        // The lower case of İ is an i and a combining dot, which is no letter; without it, words are their own words.
        lower.retain(is_word_char);
    }
    lower.truncate((0..=WORD_BYTES_MAX.min(lower.len())).rev().find(|i| lower.is_char_boundary(*i)).unwrap_or(0));
    lower
}

/// Whether a run of word characters is this word, without allocating for ASCII.
fn is_word(run: &str, want: &str) -> bool {
    match run.is_ascii() {
        true => run[..run.len().min(WORD_BYTES_MAX)].eq_ignore_ascii_case(want),
        false => word(run) == want,
    }
}

/// Whether a text has these words.
pub fn words_match(want: &Words, text: &str) -> bool {
    match want {
        Words::Phrase(phrase) => match phrase.as_slice() {
            [] => false,
            [one] => runs(text).any(|run| is_word(run, one)),
            many => has_phrase(many, text),
        },
        Words::Prefix(prefix) => runs(text).any(|run| match run.is_ascii() {
            true => run.get(..prefix.len().min(WORD_BYTES_MAX)).is_some_and(|head| head.eq_ignore_ascii_case(prefix)),
            false => word(run).starts_with(prefix.as_str()),
        }),
        Words::Wildcard(pattern) => words(text).any(|word| wildcard_matches(pattern, &word)),
    }
}

/// Knuth, Morris and Pratt over words: long phrases are looked for in long texts.
fn has_phrase(phrase: &[String], text: &str) -> bool {
    let mut back = vec![0; phrase.len()];
    let mut have = 0;
    for i in 1..phrase.len() {
        while have > 0 && phrase[i] != phrase[have] {
            have = back[have - 1];
        }
        have += usize::from(phrase[i] == phrase[have]);
        back[i] = have;
    }
    let mut have = 0;
    for run in runs(text) {
        while have > 0 && !is_word(run, &phrase[have]) {
            have = back[have - 1];
        }
        have += usize::from(is_word(run, &phrase[have]));
        if have == phrase.len() {
            return true;
        }
    }
    false
}

#[derive(Clone, Copy, PartialEq)]
enum Piece {
    Any,
    One,
    Char(char),
}

/// The first piece of a pattern and what follows it. A `\` at the end means itself.
fn piece(pattern: &str) -> Option<(Piece, &str)> {
    let mut chars = pattern.chars();
    let piece = match chars.next()? {
        '*' => Piece::Any,
        '?' => Piece::One,
        '\\' => Piece::Char(chars.next().unwrap_or('\\')),
        c => Piece::Char(c),
    };
    Some((piece, chars.as_str()))
}

/// Whether the whole text fits a pattern: `*` is any characters, `?` one, `\` takes the meaning from the next.
pub fn wildcard_matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    // What follows the last `*`, and the text that it has not swallowed yet. An earlier `*` need not be tried again.
    let mut star: Option<(&str, &str)> = None;
    loop {
        match piece(pattern) {
            Some((Piece::Any, rest)) => {
                star = Some((rest, text));
                pattern = rest;
                continue;
            }
            None if text.is_empty() => return true,
            Some((piece, rest)) => {
                let mut chars = text.chars();
                if let Some(c) = chars.next()
                    && (piece == Piece::One || piece == Piece::Char(c))
                {
                    (pattern, text) = (rest, chars.as_str());
                    continue;
                }
            }
            None => {}
        }
        let Some((after, left)) = star else { return false };
        let mut chars = left.chars();
        if chars.next().is_none() {
            return false;
        }
        star = Some((after, chars.as_str()));
        (pattern, text) = (after, chars.as_str());
    }
}

/// The pattern that fits only this text.
pub fn escape_wildcard(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn has(want: Words, text: &str) -> bool {
        words_match(&want, text)
    }
    fn phrase(text: &str) -> Words {
        Words::Phrase(words(text).collect())
    }

    #[test]
    fn words_are_found_in_any_case_and_order_counts() {
        let text = "Access DENIED for user_1 from 10.0.0.1 (Übung)";
        for yes in ["access", "access denied", "10.0.0.1", "from 10", "übung", "USER_1"] {
            assert!(has(phrase(yes), text), "{yes}");
        }
        for no in ["denied access", "acces", "user", "0.0.0", ""] {
            assert!(!has(phrase(no), text), "{no}");
        }
        assert!(has(phrase("a a b"), "a a a b") && !has(phrase("a a b"), "a b a b"));
        assert!(has(Words::Prefix("den".into()), text) && has(Words::Prefix("üb".into()), text));
        assert!(!has(Words::Prefix("enied".into()), text));
        assert!(has(Words::Wildcard("d*d".into()), text) && !has(Words::Wildcard("d?d".into()), text));
    }

    #[test]
    fn patterns_fit_whole_texts() {
        for (pattern, text, fits) in [
            ("a*c", "abc", true), ("a*c", "abcd", false), ("*", "", true), ("?", "", false), ("?", "ü", true),
            ("*b*b*", "abab", true), (r"a\*", "a*", true), (r"a\*", "ab", false), ("a", "A", false), (r"a\", r"a\", true),
            ("*ab", "aab", true), ("**", "x", true), ("", "", true), ("", "x", false),
        ] {
            assert_eq!(wildcard_matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn words_are_their_own_words(text in "\\PC{0,200}") {
            for word in words(&text) {
                prop_assert_eq!(words(&word).collect::<Vec<_>>(), vec![word.clone()]);
                prop_assert!(words_match(&Words::Phrase(vec![word]), &text));
            }
        }

        #[test]
        fn a_pattern_means_what_its_regular_expression_means(pattern in r"[ab*?\\]{0,8}", text in "[ab*?]{0,8}") {
            let mut regex = String::from(r"\A(?s:");
            let mut rest = pattern.as_str();
            while let Some((piece, after)) = piece(rest) {
                match piece {
                    Piece::Any => regex.push_str(".*"),
                    Piece::One => regex.push('.'),
                    Piece::Char(c) => regex.push_str(&regex::escape(&c.to_string())),
                }
                rest = after;
            }
            regex.push_str(r")\z");
            prop_assert_eq!(wildcard_matches(&pattern, &text), regex::Regex::new(&regex).unwrap().is_match(&text));
            prop_assert!(wildcard_matches(&escape_wildcard(&text), &text));
        }
    }
}
