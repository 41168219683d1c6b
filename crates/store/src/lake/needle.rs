//! A part of a text in any case, looked for fast.

use memchr::memmem;

/// The only letters beyond ASCII whose lower case holds ASCII: the Kelvin sign and the dotted capital I.
const FOLDING_TO_ASCII: [&[u8]; 2] = ["\u{212a}".as_bytes(), "\u{130}".as_bytes()];

/// As [`query::Test::Contains`]: both in lower case.
#[derive(Debug)]
pub(super) struct Needle {
    lower: String,
    /// Of an ASCII needle that is not empty.
    ascii: Option<query::Needle>,
}

impl Needle {
    pub fn new(text: &str) -> Self {
        let lower = text.to_lowercase();
        Self { ascii: (lower.is_ascii() && !lower.is_empty()).then(|| query::Needle::new(&lower)), lower }
    }

    pub fn is_in(&self, hay: &str) -> bool {
        let folded = || hay.to_lowercase().contains(&self.lower);
        match &self.ascii {
            Some(needle) => needle.find_iter(hay.as_bytes()).next().is_some() || (folds_to_ascii(hay) && folded()),
            None => self.lower.is_empty() || (!hay.is_ascii() && hay.len() >= self.lower.len() / 2 && folded()),
        }
    }
}

/// Whether a text holds letters that ASCII folding overlooks.
pub(super) fn folds_to_ascii(hay: &str) -> bool {
    !hay.is_ascii() && FOLDING_TO_ASCII.iter().any(|letter| memmem::find(hay.as_bytes(), letter).is_some())
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
