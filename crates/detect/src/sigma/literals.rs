//! Texts of which one must be in whatever a regular expression matches, so that the index can leave out rules
//! whose expression cannot match.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

/// Texts shorter than this are in too many values.
const BYTES_MIN: usize = 4;
/// Most texts of one expression.
const TEXTS_MAX: usize = 64;

/// At least one of these, in lower case, is in the lower case of every match; `None` if nothing can be said.
/// The expression is read as one without case, which matches no less, whatever its flags are.
pub(crate) fn required(expression: &str) -> Option<Vec<String>> {
    let hir = ParserBuilder::new().case_insensitive(true).build().parse(expression).ok()?;
    of(&hir)
}

fn of(hir: &Hir) -> Option<Vec<String>> {
    let texts = match hir.kind() {
        HirKind::Capture(capture) => of(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => of(&repetition.sub),
        HirKind::Concat(parts) => of_sequence(parts),
        HirKind::Alternation(parts) => {
            let mut union = Vec::new();
            for part in parts {
                union.extend(of(part)?);
            }
            Some(union)
        }
        _ => exact(hir).map(|text| vec![text]),
    }?;
    (texts.len() <= TEXTS_MAX && shortest(&texts) >= BYTES_MIN).then_some(texts)
}

/// The best of what the parts of a sequence ask for, where neighbours that are plain text are one part.
fn of_sequence(parts: &[Hir]) -> Option<Vec<String>> {
    let mut offers = Vec::new();
    let mut run = String::new();
    for part in parts {
        match exact(part) {
            Some(text) => run.push_str(&text),
            None => {
                offers.push(vec![std::mem::take(&mut run)]);
                offers.extend(of(part));
            }
        }
    }
    offers.push(vec![run]);
    offers.into_iter().max_by_key(|texts| (shortest(texts), usize::MAX - texts.len()))
}

fn shortest(texts: &[String]) -> usize {
    texts.iter().map(String::len).min().unwrap_or(0)
}

/// The only text, but for case, that a part matches.
fn exact(hir: &Hir) -> Option<String> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(String::new()),
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok()?;
            text.is_ascii().then(|| text.to_ascii_lowercase())
        }
        HirKind::Class(Class::Unicode(class)) => {
            // Folding by expression and by `lower` differ: `ſ` matches `s` without case, but is its own lower case.
            let mut lower = None;
            for range in class.ranges() {
                if range.end() as u32 - range.start() as u32 > 1 {
                    return None;
                }
                for c in range.start()..=range.end() {
                    let folded: String = c.to_lowercase().collect();
                    if !folded.is_ascii() || lower.get_or_insert_with(|| folded.clone()) != &folded {
                        return None;
                    }
                }
            }
            lower
        }
        HirKind::Capture(capture) => exact(&capture.sub),
        HirKind::Concat(parts) => parts.iter().map(exact).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_longest_part_that_cannot_be_left_out() {
        let texts = |expression: &str| required(expression);
        let one = |text: &str| Some(vec![text.to_owned()]);
        assert_eq!(texts(r"a.*c:\\temp\\x[0-9]+y"), one(r"c:\temp\x"));
        assert_eq!(texts("(?i)ClipBoard|(?:cut)?Paster"), None, "`s` may be `ſ`, which leaves two short parts");
        assert_eq!(texts("(ClipBoard|(?:x)?Pate)+"), Some(vec!["clipboard".into(), "pate".into()]));
        assert_eq!(texts("^abcd$"), one("abcd"));
        for none in ["", ".*", "abc", "(abcd)?", "(abcd)*", "abcd|.", "[ab]{9}", "(abcd"] {
            assert_eq!(texts(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn every_match_has_one(
            expression in r"(([a-dkKs]{1,6}|\(ab\|cdkc\)|\[ab\]|\.|\\d|\(\?i\)ABCK)[+?*]?){1,6}",
            text in "[a-dA-DkKsSſ\u{212a}0]{0,30}",
            cased in any::<bool>(),
        ) {
            let Ok(regex) = regex::RegexBuilder::new(&expression).case_insensitive(!cased).build() else { return Ok(()) };
            let Some(texts) = required(&expression) else { return Ok(()) };
            if let Some(found) = regex.find(&text) {
                let lower = found.as_str().to_lowercase();
                prop_assert!(texts.iter().any(|text| lower.contains(text)), "{expression} on {text}: {texts:?}");
            }
        }
    }
}
