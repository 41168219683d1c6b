//! Abuse of GraphQL interfaces.
//!
//! What it sees: introspection of the whole schema, queries nested too deeply, and one field under many aliases.
//! What it raises: `graphql`. Known false positives: development tools that load the schema. CWE-400, ATT&CK T1499.

use super::{Analyser, Place, Seen, View, find, seen, stronger};
use crate::Class;
use crate::gate::{sign, word};

pub const ANALYSER: Analyser = Analyser { name: "graphql", class: Class::Graphql, wants, look };

pub const WORDS: &[&str] = &["__schema", "__type", "query{", "query {", "mutation", "fragment ", "__typename"];
/// Braces in each other; queries of real pages stay below 16.
const DEPTH_MAX: usize = 24;
const ALIASES_MAX: usize = 100;

fn wants(view: &View<'_>) -> bool {
    view.says(word::GRAPHQL) && view.has(sign::BRACE) && view.place == Place::Value
}

fn look(view: &View<'_>) -> Option<Seen> {
    let text = view.lower;
    let mut best = None;
    if let Some(at) = find(text, "__schema") {
        best = seen(0.75, "the schema is asked for", at);
    }
    let (mut depth, mut deepest) = (0usize, 0);
    for &b in text {
        match b {
            b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    if deepest > DEPTH_MAX {
        best = stronger(best, seen(0.7, "a query nested too deeply", 0));
    }
    let aliases = text.windows(2).filter(|w| w[0] == b':' && (w[1] == b' ' || w[1].is_ascii_lowercase())).count();
    if aliases > ALIASES_MAX && find(text, "query").is_some() {
        best = stronger(best, seen(0.6, "many aliases", 0));
    }
    best
}
