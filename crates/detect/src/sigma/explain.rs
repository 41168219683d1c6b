//! Why a rule fired, in words and values. Computed on a match only.

use super::look::{Fields, Look};
use super::pattern::{Pattern, Predicate};
use super::tree::Node;
use compact_str::CompactString;
use event::{Class, Condition, Event, Status};

/// Longest value that an explanation quotes, characters.
const VALUE_CHARS_MAX: usize = 256;
/// Longest part of a summary sentence, characters.
const PHRASE_CHARS_MAX: usize = 120;
/// Most conditions in one explanation.
const CONDITIONS_MAX: usize = 16;

/// The predicates that made the tree hold.
pub(crate) struct Explainer<'a> {
    pub fields: &'a Fields,
    pub predicates: &'a [Predicate],
    pub names: &'a [CompactString],
    pub conditions: Vec<Condition>,
}

impl Explainer<'_> {
    /// Walks what held. Negated parts have no value to show and are left out.
    pub(crate) fn walk(&mut self, node: &Node, selection: &str, look: &mut Look<'_, '_>) {
        if self.conditions.len() >= CONDITIONS_MAX {
            return;
        }
        match node {
            Node::Predicate(id) => self.predicate(*id, selection, look),
            Node::Named(name, inner) => {
                let names = self.names;
                if inner.holds(look) {
                    self.walk(inner, &names[*name as usize], look);
                }
            }
            Node::And(nodes) => nodes.iter().for_each(|node| self.walk(node, selection, look)),
            Node::Or(nodes) | Node::AtLeast(_, nodes) => {
                for node in nodes {
                    if node.holds(look) {
                        self.walk(node, selection, look);
                    }
                }
            }
            Node::Not(_) => {}
        }
    }

    fn predicate(&mut self, id: u32, selection: &str, look: &mut Look<'_, '_>) {
        let predicate = &self.predicates[id as usize];
        if !look.holds(id) {
            return;
        }
        if let Some(expected) = predicate.exists {
            let actual = look.values(predicate.field).iter().find_map(|seen| seen.text()).unwrap_or("");
            return self.push(predicate, selection, if expected { "true" } else { "false" }, actual);
        }
        if predicate.negated {
            let expected = predicate.patterns.iter().map(|p| p.shown.as_str()).collect::<Vec<_>>().join(", ");
            let actual = look.values(predicate.field).iter().find_map(|seen| seen.text()).unwrap_or("");
            return self.push(predicate, selection, &expected, actual);
        }
        for pattern in &predicate.patterns {
            let Some(actual) = value_of(pattern, predicate, look) else { continue };
            self.push(predicate, selection, &pattern.shown, actual);
            if !predicate.all || self.conditions.len() >= CONDITIONS_MAX {
                break;
            }
        }
    }

    fn push(&mut self, predicate: &Predicate, selection: &str, expected: &str, actual: &str) {
        self.conditions.push(Condition {
            selection: selection.into(),
            field: self.fields.name(predicate.field).into(),
            operator: predicate.operator.clone(),
            expected: cut(expected, VALUE_CHARS_MAX),
            actual: cut(actual, VALUE_CHARS_MAX),
        });
    }
}

/// The first value that the pattern holds for.
fn value_of<'l>(pattern: &Pattern, predicate: &Predicate, look: &'l Look<'_, '_>) -> Option<&'l str> {
    if matches!(pattern.test, super::pattern::Test::Null) && look.is_absent(predicate.field) {
        return Some("null");
    }
    let values = look.values(predicate.field);
    values.iter().find(|seen| pattern.matches(seen, look)).map(|seen| seen.text().unwrap_or("null"))
}

/// At most `chars_max` characters, with an ellipsis where something is missing.
pub(crate) fn cut(text: &str, chars_max: usize) -> CompactString {
    match text.char_indices().nth(chars_max) {
        None => text.into(),
        Some(_) => {
            let keep = text.char_indices().nth(chars_max - 1).map_or(0, |(at, _)| at);
            format!("{}…", &text[..keep]).into()
        }
    }
}

/// A value for a sentence: short, and without the control characters that attackers put into log viewers.
fn phrase(text: &str) -> String {
    let clean: String = cut(text, PHRASE_CHARS_MAX).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clean
}

/// One sentence that names who, what and why.
pub(crate) fn summary(event: &Event, title: &str) -> String {
    let ocsf = &event.ocsf;
    let name = |text: &Option<CompactString>| text.as_deref().filter(|t| !t.is_empty()).map(phrase);
    let user = name(&ocsf.user_name).or_else(|| name(&ocsf.user_uid));
    let ip = name(&ocsf.src.ip).or_else(|| name(&ocsf.src.hostname));
    let who = match (&user, &ip) {
        (Some(user), Some(ip)) => format!("{user} from {ip}"),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => name(&ocsf.device_hostname)
            .or_else(|| name(&ocsf.product))
            .unwrap_or_else(|| phrase(&event.source)),
    };
    let what = match event.class {
        Class::ApiActivity => match name(&ocsf.api_operation) {
            Some(call) if ocsf.status == Status::Failure => format!("{who} was refused {call}"),
            Some(call) => format!("{who} called {call}"),
            None => format!("{who} called the API"),
        },
        Class::HttpActivity => {
            let who = ip.unwrap_or(who);
            let method = name(&ocsf.http.method).unwrap_or_default();
            let path = name(&ocsf.http.path).unwrap_or_else(|| "/".into());
            format!("{who} requested {method} {path}").replace("  ", " ")
        }
        Class::Authentication => match ocsf.status {
            Status::Success => format!("{who} logged on"),
            Status::Failure => format!("{who} failed to log on"),
            Status::Unknown => format!("{who} tried to log on"),
        },
        Class::ApplicationLog | Class::BaseEvent => match name(&ocsf.activity).or_else(|| name(&ocsf.message)) {
            Some(text) => format!("{who}: {text}"),
            None => who,
        },
    };
    format!("{what}: {title}")
}
