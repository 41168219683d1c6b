//! Looks for [`Words`] in a text without cutting all of it into words: the rarest bytes asked for are searched,
//! and only where they stand are the borders and neighbours of the word looked at. Answers exactly what cutting
//! the text with [`words`](crate::words) and comparing would answer; a property test holds both together.

use crate::text::word;
use crate::{WORD_BYTES_MAX, Words};

/// A needle this long may be the cut beginning of a longer word, so words are cut and compared instead.
const NEEDLE_BYTES_MAX: usize = WORD_BYTES_MAX - 4;
/// The characters beyond ASCII whose lower case begins with an ASCII letter: K (Kelvin) and İ.
const FOLDED: [&str; 2] = ["\u{212a}", "\u{130}"];

/// A search for [`Words`] that is made once and asked for many texts.
#[derive(Clone, Debug)]
pub struct Matcher {
    words: Words,
    pattern: Option<Pattern>,
    /// What every text that matches holds in some case, if looking for it is enough to find all of them.
    needle: Option<Needle>,
    /// For a phrase, which of its words the needle is.
    anchor: usize,
}

impl Matcher {
    pub fn new(words: &Words) -> Self {
        let mut anchor = 0;
        let pattern = if let Words::Wildcard(pattern) = words { Some(Pattern::new(pattern)) } else { None };
        let (needle, ascii) = match words {
            Words::Phrase(phrase) => {
                anchor = (0..phrase.len()).max_by_key(|i| phrase[*i].len()).unwrap_or(0);
                let short = phrase.iter().all(|w| w.is_ascii() && w.len() < NEEDLE_BYTES_MAX);
                (phrase.get(anchor).cloned().unwrap_or_default(), short)
            }
            Words::Prefix(prefix) => (prefix.clone(), prefix.is_ascii() && prefix.len() < NEEDLE_BYTES_MAX),
            Words::Wildcard(text) => {
                let literal = pattern.as_ref().map(Pattern::literal).unwrap_or_default();
                (literal.to_owned(), text.is_ascii())
            }
        };
        let needle = (ascii && !needle.is_empty()).then(|| Needle::new(&needle));
        Self { words: words.clone(), pattern, needle, anchor }
    }

    /// Whether the text holds the words. A phrase of no words is in none.
    pub fn is_in(&self, text: &str) -> bool {
        match &self.needle {
            Some(needle) if text.is_ascii() || !FOLDED.iter().any(|c| text.contains(c)) => self.near(needle, text),
            _ => self.cut(text),
        }
    }

    fn near(&self, needle: &Needle, text: &str) -> bool {
        let hay = text.as_bytes();
        match &self.words {
            Words::Phrase(phrase) => needle.find_iter(hay).any(|at| {
                let end = at + needle.len();
                starts_word(text, at) && ends_word(text, end)
                    && follows(text, end, &phrase[self.anchor + 1..])
                    && precedes(text, at, &phrase[..self.anchor])
            }),
            Words::Prefix(_) => needle.find_iter(hay).any(|at| starts_word(text, at)),
            Words::Wildcard(_) => needle.find_iter(hay).next().is_some() && self.cut(text),
        }
    }

    /// Cuts the text into its words and compares.
    fn cut(&self, text: &str) -> bool {
        let mut lower = Vec::new();
        match &self.words {
            Words::Phrase(phrase) if phrase.is_empty() => false,
            Words::Phrase(phrase) => {
                // How many words of the phrase the words before this one have matched, for each beginning.
                let mut begun: Vec<usize> = Vec::new();
                each_word(text, &mut lower, |word| {
                    begun.push(0);
                    begun.retain_mut(|n| {
                        *n += 1;
                        phrase[*n - 1].as_bytes() == word
                    });
                    begun.contains(&phrase.len())
                })
            }
            Words::Prefix(prefix) => each_word(text, &mut lower, |word| word.starts_with(prefix.as_bytes())),
            Words::Wildcard(_) => {
                let Some(pattern) = &self.pattern else { return false };
                each_word(text, &mut lower, |word| pattern.fits(word))
            }
        }
    }
}

/// What a byte is to a word: between words, part of one, or the beginning of a character beyond ASCII.
const BETWEEN: u8 = 0;
const PART: u8 = 1;
const BEYOND: u8 = 2;

const CLASSES: [u8; 256] = {
    let mut classes = [BETWEEN; 256];
    let mut byte = 0;
    while byte < 256 {
        if (byte as u8).is_ascii_alphanumeric() || byte as u8 == b'_' {
            classes[byte] = PART;
        } else if byte >= 128 {
            classes[byte] = BEYOND;
        }
        byte += 1;
    }
    classes
};

/// Calls `visit` with the words of `text`, the same as [`words`](crate::words) gives, until it answers true;
/// answers whether it did. `lower` is room for the work, to be used again for the next text.
pub fn each_word(text: &str, lower: &mut Vec<u8>, mut visit: impl FnMut(&[u8]) -> bool) -> bool {
    lower.clear();
    lower.extend_from_slice(text.as_bytes());
    lower.make_ascii_lowercase();
    let bytes = lower.as_slice();
    let mut at = 0;
    while at < bytes.len() {
        match CLASSES[bytes[at] as usize] {
            BETWEEN => {
                at += 1;
                continue;
            }
            PART => {}
            _ => {
                let (part, len) = beyond(text, at);
                if !part {
                    at += len;
                    continue;
                }
            }
        }
        let start = at;
        let mut ascii = true;
        while at < bytes.len() {
            match CLASSES[bytes[at] as usize] {
                PART => at += 1,
                BETWEEN => break,
                _ => {
                    let (part, len) = beyond(text, at);
                    if !part {
                        break;
                    }
                    ascii = false;
                    at += len;
                }
            }
        }
        let stop = if ascii {
            visit(&bytes[start..at.min(start + WORD_BYTES_MAX)])
        } else {
            visit(word(&text[start..at]).as_bytes())
        };
        if stop {
            return true;
        }
    }
    false
}

/// Whether the character beyond ASCII at `at` is part of a word, and its bytes.
#[cold]
fn beyond(text: &str, at: usize) -> (bool, usize) {
    text[at..].chars().next().map_or((false, 1), |c| (c.is_alphanumeric(), c.len_utf8()))
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn starts_word(text: &str, at: usize) -> bool {
    match at.checked_sub(1).map(|i| CLASSES[text.as_bytes()[i] as usize]) {
        None | Some(BETWEEN) => true,
        Some(PART) => false,
        Some(_) => !text[..at].chars().next_back().is_some_and(is_part),
    }
}

fn ends_word(text: &str, end: usize) -> bool {
    match text.as_bytes().get(end).map(|b| CLASSES[*b as usize]) {
        None | Some(BETWEEN) => true,
        Some(PART) => false,
        Some(_) => !text[end..].chars().next().is_some_and(is_part),
    }
}

/// Whether exactly these words come next, from `end` on, where a word has ended.
fn follows(text: &str, end: usize, phrase: &[String]) -> bool {
    let mut rest = &text[end..];
    phrase.iter().all(|want| {
        rest = rest.trim_start_matches(|c| !is_part(c));
        let len = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(len);
        rest = after;
        word.eq_ignore_ascii_case(want)
    })
}

/// Whether exactly these words stand before `at`, where a word begins.
fn precedes(text: &str, at: usize, phrase: &[String]) -> bool {
    let mut rest = &text[..at];
    phrase.iter().rev().all(|want| {
        rest = rest.trim_end_matches(|c| !is_part(c));
        let start = rest.trim_end_matches(is_part).len();
        let (before, word) = rest.split_at(start);
        rest = before;
        word.eq_ignore_ascii_case(want)
    })
}

/// An ASCII text to be found in any case.
#[derive(Clone, Debug)]
pub struct Needle {
    lower: Box<[u8]>,
    /// The byte that is rarest in logs, in both cases, and where in the needle it stands.
    rare: (u8, u8, usize),
}

impl Needle {
    /// `text` is ASCII and not empty.
    pub fn new(text: &str) -> Self {
        let lower: Box<[u8]> = text.to_ascii_lowercase().into_bytes().into();
        let at = (0..lower.len()).min_by_key(|i| commonness(lower[*i])).unwrap_or(0);
        let byte = lower.get(at).copied().unwrap_or(0);
        Self { rare: (byte, byte.to_ascii_uppercase(), at), lower }
    }

    pub fn len(&self) -> usize {
        self.lower.len()
    }

    pub fn is_empty(&self) -> bool {
        self.lower.is_empty()
    }

    /// Where the needle stands in `hay`.
    pub fn find_iter<'h>(&'h self, hay: &'h [u8]) -> impl Iterator<Item = usize> + 'h {
        let (low, up, at) = self.rare;
        let len = self.lower.len();
        // Only places where the whole needle fits around the rare byte.
        let window = if len == 0 || hay.len() < len { &[] } else { &hay[at..hay.len() - (len - 1 - at)] };
        memchr::memchr2_iter(low, up, window).filter(move |i| hay[*i..*i + len].eq_ignore_ascii_case(&self.lower))
    }
}

/// How common a byte is in log text, roughly: letters of JSON keys and digits are everywhere.
fn commonness(byte: u8) -> u8 {
    match byte {
        b'e' | b't' | b'a' | b'i' | b's' | b'"' | b' ' => 9,
        b'o' | b'n' | b'r' | b'c' | b'd' | b'u' | b'm' | b'l' | b':' | b',' => 8,
        b'0'..=b'9' | b'.' | b'/' | b'-' => 7,
        b'p' | b'h' | b'g' | b'v' | b'y' | b'b' | b'f' | b'w' => 5,
        b'k' | b'x' | b'_' | b'=' => 4,
        _ => 1,
    }
}

impl Part {
    fn char(self) -> Option<char> {
        if let Self::Char(c) = self { Some(c) } else { None }
    }
}

/// A pattern over a whole word: `*` is any characters, `?` one, `\` takes the meaning from the next.
#[derive(Clone, Debug)]
pub struct Pattern {
    parts: Vec<Part>,
    /// What every word that fits ends with, and the longest text that it holds.
    suffix: String,
    literal: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Any,
    One,
    Char(char),
}

impl Pattern {
    pub fn new(text: &str) -> Self {
        let mut chars = text.chars();
        let mut parts = Vec::new();
        while let Some(c) = chars.next() {
            parts.push(match c {
                '*' => Part::Any,
                '?' => Part::One,
                '\\' => Part::Char(chars.next().unwrap_or('\\')),
                c => Part::Char(c),
            });
        }
        parts.dedup_by(|a, b| *a == Part::Any && *b == Part::Any);
        let suffix: Vec<char> = parts.iter().rev().map_while(|p| p.char()).collect();
        let runs = parts.split(|p| p.char().is_none());
        let literal = runs.max_by_key(|r| r.len()).unwrap_or_default().iter().filter_map(|p| p.char()).collect();
        Self { suffix: suffix.into_iter().rev().collect(), literal, parts }
    }

    /// What every word that fits begins with.
    pub fn prefix(&self) -> String {
        self.parts.iter().map_while(|p| p.char()).collect()
    }

    /// The longest text that every word that fits holds.
    pub fn literal(&self) -> &str {
        &self.literal
    }

    /// Whether the whole word fits.
    pub fn fits(&self, word: &[u8]) -> bool {
        // Nearly all words of an index end here.
        if !word.ends_with(self.suffix.as_bytes()) || memchr::memmem::find(word, self.literal.as_bytes()).is_none() {
            return false;
        }
        let Ok(word) = std::str::from_utf8(word) else { return false };
        let (mut rest, mut part) = (word.chars(), 0);
        // The last `*` passed, and what it has not yet swallowed: one more character at each way back.
        let mut back: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            let before = rest.clone();
            let fits = match (self.parts.get(part), rest.next()) {
                (Some(Part::Any), _) => {
                    rest = before;
                    back = Some((part, rest.clone()));
                    true
                }
                (Some(Part::One), Some(_)) => true,
                (Some(Part::Char(want)), Some(c)) => *want == c,
                (None, None) => return true,
                _ => false,
            };
            if fits {
                part += 1;
                continue;
            }
            let Some((any, left)) = &mut back else { return false };
            if left.next().is_none() {
                return false;
            }
            rest = left.clone();
            part = *any + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, word by word.
    fn slow(words: &Words, text: &str) -> bool {
        let cut: Vec<String> = crate::words(text).collect();
        match words {
            Words::Phrase(phrase) => !phrase.is_empty() && cut.windows(phrase.len()).any(|w| w == phrase.as_slice()),
            Words::Prefix(prefix) => cut.iter().any(|w| w.starts_with(prefix)),
            Words::Wildcard(pattern) => {
                let parts = Pattern::new(pattern).parts;
                cut.iter().any(|w| naive(&parts, &w.chars().collect::<Vec<_>>()))
            }
        }
    }

    fn naive(parts: &[Part], word: &[char]) -> bool {
        match parts.split_first() {
            None => word.is_empty(),
            Some((Part::Any, rest)) => (0..=word.len()).any(|n| naive(rest, &word[n..])),
            Some((Part::One, rest)) => !word.is_empty() && naive(rest, &word[1..]),
            Some((Part::Char(c), rest)) => word.first() == Some(c) && naive(rest, &word[1..]),
        }
    }

    /// Few letters, so that hits are common; those whose case folds into ASCII, or into more bytes, among them.
    const TEXT: &str = "[abkKiI_1 .\"\u{212a}\u{130}\u{e9}\u{c9}\u{df}\u{3a3}\u{4e2d}\u{301}-]{0,24}";

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn finds_what_cutting_finds(text in TEXT, phrase in TEXT, pattern in r"[abki?*\\é]{1,4}", prefix in "[abki\u{e9}]{0,3}") {
            let phrase = Words::Phrase(crate::words(&phrase).take(3).collect());
            for words in [phrase, Words::Wildcard(pattern), Words::Prefix(prefix)] {
                prop_assert_eq!(Matcher::new(&words).is_in(&text), slow(&words, &text), "{:?} in {:?}", words, text);
            }
        }

        #[test]
        fn cuts_as_words_does(text in any::<String>(), long in "[a\u{e9}\u{4e2d}]{60,200}") {
            for text in [&text, &long, &format!("{long} {text}{long}")] {
                let mut found = Vec::new();
                each_word(text, &mut Vec::new(), |w| { found.push(String::from_utf8_lossy(w).into_owned()); false });
                prop_assert_eq!(&found, &crate::words(text).collect::<Vec<_>>());
            }
        }

        #[test]
        fn finds_words_at_the_cut(extra in 0usize..9, tail in "[a\u{e9}]{0,6}") {
            let text = format!("x {}{tail} y", "a".repeat(120 + extra));
            for len in 118..=128 {
                for words in [Words::Phrase(vec!["a".repeat(len)]), Words::Prefix("a".repeat(len)), Words::Wildcard(format!("*{}", "a".repeat(len)))] {
                    prop_assert_eq!(Matcher::new(&words).is_in(&text), slow(&words, &text), "{:?} in {:?}", words, text);
                }
            }
        }
    }

    #[test]
    fn phrases_need_their_words_side_by_side() {
        let phrase = |text: &str| Matcher::new(&Words::Phrase(crate::words(text).collect()));
        let raw = r#"{"errorCode":"AccessDenied","sourceIPAddress":"10.0.0.12","msg":"Access  denied for Bob"}"#;
        for (asked, want) in [
            ("access denied", true),
            ("ACCESS-DENIED", true),
            ("accessdenied", true),
            ("denied access", false),
            ("10.0.0.12", true),
            ("10.0.0.1", false),
            ("denied bob", false),
            ("cess denied", false),
            ("errorcode accessdenied sourceipaddress", true),
        ] {
            assert_eq!(phrase(asked).is_in(raw), want, "{asked}");
        }
    }
}
