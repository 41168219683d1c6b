//! What may stand at a place in a query: for the query bar while somebody types.
use crate::values::known_values;
use crate::{field, is_address, is_prose};
use event::{COLUMNS, Column, Kind};

/// Proposals in one answer.
pub const COMPLETIONS_MAX: usize = 20;

/// What stands at the cursor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expects {
    /// A field, an operator or a word to look for.
    Term,
    /// A value of this column; frequent ones are for the caller to look up.
    Value(&'static Column),
    /// Text in quotes.
    Text,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    pub insert: String,
    pub about: &'static str,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Completions {
    /// The characters that a proposal replaces, from 0; the end is behind the last.
    pub start: usize,
    pub end: usize,
    pub expects: Expects,
    pub items: Vec<Completion>,
}

/// Proposes what to write at a cursor, which stands before the character of its number.
pub fn complete(text: &str, cursor: usize) -> Completions {
    let chars: Vec<char> = text.chars().take(crate::QUERY_BYTES_MAX).collect();
    let cursor = cursor.min(chars.len());
    let place = place(&chars[..cursor]);
    let rest = chars[cursor..].iter().take_while(|c| !ends_term(**c) && **c != ':').count();
    let written: String = chars[place.start..cursor].iter().collect();
    let (expects, items) = match (place.quoted, place.scope) {
        (_, Some(column)) => (Expects::Value(column), values(column, &written)),
        (true, None) => (Expects::Text, Vec::new()),
        (false, None) => (Expects::Term, terms(&written, place.after_term)),
    };
    Completions { start: place.start, end: cursor + rest, expects, items }
}

struct Place {
    start: usize,
    scope: Option<&'static Column>,
    quoted: bool,
    /// A condition stands before, so that an operator may follow.
    after_term: bool,
}

fn ends_term(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | '"')
}

/// Reads loosely what stands before the cursor: it may not be a whole query yet.
fn place(chars: &[char]) -> Place {
    let mut place = Place { start: 0, scope: None, quoted: false, after_term: false };
    let mut groups: Vec<Option<&'static Column>> = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        let group = groups.last().copied().flatten();
        match c {
            '\\' => i += 1,
            '"' => {
                place.quoted = !place.quoted;
                place.start = i + 1;
                if !place.quoted {
                    (place.scope, place.after_term) = (group, true);
                }
            }
            _ if place.quoted => {}
            '(' => {
                groups.push(place.scope);
                (place.start, place.after_term) = (i + 1, false);
            }
            ')' => {
                groups.pop();
                (place.start, place.after_term) = (i + 1, true);
                place.scope = groups.last().copied().flatten();
            }
            c if c.is_whitespace() => {
                let word: String = chars[place.start..i].iter().collect();
                // Behind `field:` a space does not end the term.
                if !(word.is_empty() && i > 0 && chars[i - 1] == ':') {
                    if !word.is_empty() {
                        place.after_term = !matches!(word.as_str(), "AND" | "OR" | "NOT" | "&&" | "||");
                    }
                    place.scope = group;
                }
                place.start = i + 1;
            }
            ':' if place.scope.is_none() => {
                let name: String = chars[place.start..i].iter().collect();
                if let Ok(column) = field(name.trim_start_matches(['+', '-', '!'])) {
                    (place.scope, place.start) = (Some(column), i + 1);
                }
            }
            '+' | '-' | '!' if place.start == i && place.scope.is_none() => place.start = i + 1,
            _ => {}
        }
        i += 1;
    }
    place.start = place.start.min(chars.len());
    place
}

fn terms(written: &str, after_term: bool) -> Vec<Completion> {
    const OPERATORS: [(&str, &str, bool); 3] = [
        ("AND ", "Both must hold", true),
        ("OR ", "One must hold", true),
        ("NOT ", "Must not hold", false),
    ];
    let lower = written.to_lowercase();
    let mut found: Vec<(usize, Completion)> = OPERATORS
        .iter()
        .filter(|(name, _, between)| (after_term || !between) && name.to_lowercase().starts_with(&lower))
        .map(|(name, about, _)| (usize::from(!after_term), Completion { insert: (*name).to_owned(), about }))
        .collect();
    for column in COLUMNS {
        for name in std::iter::once(&column.path).chain(column.ecs) {
            // The beginning of the name counts more than that of one of its parts, and that more than the middle.
            let rank = match name.to_lowercase().find(&lower) {
                Some(0) => 2,
                Some(at) if name.as_bytes()[at - 1] == b'.' => 3,
                Some(_) if !lower.is_empty() => 4,
                _ => continue,
            };
            found.push((rank, Completion { insert: format!("{name}:"), about: column.about }));
        }
    }
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, item)| item).take(COMPLETIONS_MAX).collect()
}

fn values(column: &'static Column, written: &str) -> Vec<Completion> {
    let mut all: Vec<(&str, &'static str)> = known_values(column).iter().map(|v| (*v, "")).collect();
    match column.kind {
        _ if column.path == "severity" => all.push((">=high", "This level or a worse one")),
        _ if is_address(column) => all.extend([("10.0.0.0/8", "A block of addresses"), ("192.168.*", "A pattern")]),
        Kind::Time => all.extend([
            (">=now-15m", "The last 15 minutes"),
            (">=now-1h", "The last hour"),
            (">=now-1d", "The last 24 hours"),
            ("now/d", "Today, UTC"),
            ("[now-1d/d TO now/d}", "Yesterday, UTC"),
        ]),
        Kind::Int | Kind::Float => all.extend([(">=", "From this number"), ("<", "Below this number"), ("[400 TO 499]", "From one number to another")]),
        Kind::Text | Kind::TextList if !is_prose(column) && all.is_empty() => {
            all.extend([("~", "With this part, in any case"), ("/", "A regular expression on the whole value")]);
        }
        _ => {}
    }
    all.push(("*", "Any value"));
    let lower = written.to_lowercase();
    let quote = |v: &str| if v.contains(' ') && !v.starts_with('[') { format!("\"{v}\"") } else { v.to_owned() };
    all.into_iter()
        .filter(|(value, _)| value.to_lowercase().starts_with(&lower) && !value.eq_ignore_ascii_case(written))
        .map(|(value, about)| Completion { insert: quote(value), about })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is expected at the `|`, the text it replaces, and the first proposals.
    fn at(text: &str) -> String {
        let cursor = text.chars().position(|c| c == '|').unwrap();
        let text: String = text.replace('|', "");
        let found = complete(&text, cursor);
        let replaced: String = text.chars().skip(found.start).take(found.end - found.start).collect();
        let expects = match found.expects {
            Expects::Term => "term".to_owned(),
            Expects::Text => "text".to_owned(),
            Expects::Value(column) => column.path.to_owned(),
        };
        let items: Vec<_> = found.items.iter().take(3).map(|i| i.insert.as_str()).collect();
        format!("{expects} {replaced:?} {}", items.join(" | "))
    }

    #[test]
    fn proposals_fit_the_place() {
        let mut wrong = Vec::new();
        for (text, want) in [
            ("|", r#"term "" NOT  | time: | @timestamp:"#),
            ("user.na|", r#"term "user.na" user.name: | actor.user.name:"#),
            ("-country|", r#"term "country" src_endpoint.location.country: | source.geo.country_iso_code:"#),
            ("a |", r#"term "" AND  | OR  | NOT "#),
            ("a A|", r#"term "A" AND  | activity_name: | actor.user.name:"#),
            ("a AND |", r#"term "" NOT  | time: | @timestamp:"#),
            ("severity:|", r#"severity "" informational | low | medium"#),
            ("severity:h|i b", r#"severity "hi" high"#),
            ("event.outcome:(Success OR F|", r#"status "F" Failure"#),
            (r#"event.outcome:"Suc|"#, r#"status "Suc" Success"#),
            ("class_name:h|", r#"class_name "h" "HTTP Activity""#),
            ("(severity:high) |", r#"term "" AND  | OR  | NOT "#),
            ("time:|", r#"time "" >=now-15m | >=now-1h | >=now-1d"#),
            (r#""some te|"#, r#"text "some te" "#),
            ("user.name: |", r#"actor.user.name "" ~ | / | *"#),
        ] {
            if at(text) != want {
                wrong.push(format!("{text}\n   is: {}\n want: {want}", at(text)));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,40}", pieces in "[a-z:( )\"\\\\-]{0,20}", cursor in 0usize..80) {
            for text in [text, format!("severity:{pieces}")] {
                let found = complete(&text, cursor);
                prop_assert!(found.start <= found.end && found.end <= text.chars().count());
            }
        }
    }
}
