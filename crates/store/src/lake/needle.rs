//! A part of a text in any case, looked for fast.

use memchr::memmem;

/// The only letters beyond ASCII whose lower case holds ASCII: the Kelvin sign and the dotted capital I.
const FOLDING_TO_ASCII: [&[u8]; 2] = ["\u{212a}".as_bytes(), "\u{130}".as_bytes()];

/// As [`query::Test::Contains`]: both in lower case.
#[derive(Debug)]
pub(super) struct Needle {
    lower: String,
    ascii: bool,
    /// The needle's byte that is rarest in logs, in both cases, and where it stands.
    rare: (u8, u8, usize),
}

impl Needle {
    pub fn new(text: &str) -> Self {
        let lower = text.to_lowercase();
        let at = (0..lower.len()).min_by_key(|i| commonness(lower.as_bytes()[*i])).unwrap_or(0);
        let byte = lower.as_bytes().get(at).copied().unwrap_or(0);
        Self { ascii: lower.is_ascii(), rare: (byte, byte.to_ascii_uppercase(), at), lower }
    }

    pub fn is_in(&self, hay: &str) -> bool {
        if !self.ascii {
            return !(hay.is_ascii() || hay.len() < self.lower.len() / 2) && hay.to_lowercase().contains(&self.lower);
        }
        self.lower.is_empty() || self.is_in_ascii(hay.as_bytes()) || (folds_to_ascii(hay) && hay.to_lowercase().contains(&self.lower))
    }

    fn is_in_ascii(&self, hay: &[u8]) -> bool {
        let (low, up, at) = self.rare;
        let len = self.lower.len();
        if hay.len() < len {
            return false;
        }
        // Only places where the whole needle fits around the rare byte.
        let window = &hay[at..hay.len() - (len - 1 - at)];
        memchr::memchr2_iter(low, up, window).any(|i| hay[i..i + len].eq_ignore_ascii_case(self.lower.as_bytes()))
    }
}

/// Whether a text holds letters that ASCII folding overlooks.
pub(super) fn folds_to_ascii(hay: &str) -> bool {
    !hay.is_ascii() && FOLDING_TO_ASCII.iter().any(|letter| memmem::find(hay.as_bytes(), letter).is_some())
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(needle: &str, hay: &str) -> bool {
        hay.to_lowercase().contains(&needle.to_lowercase())
    }

    #[test]
    fn needles_fold_case() {
        for (needle, hay) in [
            ("select", "UNION SELECT 1"), ("SELECT", "union select"), ("zq", "a zq"), ("zq", "a qz"), ("größe", "GRÖSSE GRÖßE"),
            ("", ""), ("long needle", "short"), ("aab", "aaab"), ("kelvin", "\u{212a}elvin"), ("i", "\u{130}"), ("\u{130}", "i\u{307}"),
            ("ΑΣ", "ας"), ("ö", "o"), ("K", "\u{212a}"), ("\u{212a}", "k"),
        ] {
            assert_eq!(Needle::new(needle).is_in(hay), plain(needle, hay), "{needle} in {hay}");
        }
    }

    proptest! {
        #[test]
        fn a_needle_is_found_where_lower_case_says(needle in "[aAkKiI1Öö\u{212a}\u{130}\u{307}ßΣ]{0,4}", hay in "[aAkKiI1Öö\u{212a}\u{130}\u{307}ßΣ -]{0,24}") {
            prop_assert_eq!(Needle::new(&needle).is_in(&hay), plain(&needle, &hay));
        }
    }
}
