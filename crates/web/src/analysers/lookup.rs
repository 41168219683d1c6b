//! Lookups of logging libraries (Log4Shell and its kin).
//!
//! What it sees: `${jndi:…}` also when put together by nested lookups (`${${lower:j}ndi:…}`, `${::-j}`): these are
//! resolved from the inside out, as the library does.
//! What it raises: `lookup`. Known false positives: none seen. CWE-917, ATT&CK T1190.

use super::{Analyser, Place, Seen, View, find, seen};
use crate::Class;
use crate::gate::{sign, word};

pub const ANALYSER: Analyser = Analyser { name: "lookup", class: Class::Lookup, wants, look };

pub const WORDS: &[&str] = &["${"];
/// Resolved lookups in one value.
const ROUNDS_MAX: usize = 64;

fn wants(view: &View<'_>) -> bool {
    view.says(word::LOOKUP) && view.has(sign::BRACE) && !matches!(view.place, Place::Xml | Place::File)
}

fn look(view: &View<'_>) -> Option<Seen> {
    let at = find(view.lower, "${")?;
    let mut text = view.lower[at..view.lower.len().min(at + 1_024)].to_vec();
    let mut nested = 0;
    for _ in 0..ROUNDS_MAX {
        if find(&text, "jndi:").is_some() || find(&text, "jnd\u{131}:").is_some() {
            return seen(0.97, "a JNDI lookup", at);
        }
        let Some((open, close)) = innermost(&text) else { break };
        let inside = &text[open + 2..close];
        let value = resolve(inside)?;
        nested += usize::from(open > 0);
        text.splice(open..=close, value);
    }
    if nested > 2 { seen(0.75, "nested lookups", at) } else { None }
}

/// The last `${` and the brace that closes it.
fn innermost(text: &[u8]) -> Option<(usize, usize)> {
    let open = memchr::memmem::rfind(text, b"${")?;
    let close = open + memchr::memchr(b'}', &text[open..])?;
    Some((open, close))
}

/// The value of a lookup without nested ones; none if it is no lookup of the library.
fn resolve(inside: &[u8]) -> Option<Vec<u8>> {
    if let Some(at) = find(inside, ":-") {
        return Some(inside[at + 2..].to_vec());
    }
    for prefix in ["lower:", "upper:", "base64:", "date:", "env:", "sys:", "java:", "main:", "ctx:", "map:", "bundle:", "web:", "k8s:", "spring:", "docker:"] {
        if let Some(rest) = inside.strip_prefix(prefix.as_bytes()) {
            return Some(rest.iter().copied().filter(|b| *b != b'\'').collect());
        }
    }
    None
}
