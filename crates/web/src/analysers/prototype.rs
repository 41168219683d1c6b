//! Prototype pollution of JavaScript servers.
//!
//! What it sees: `__proto__` and `constructor.prototype` as names, keys or in texts that are merged.
//! What it raises: `prototype_pollution`. Known false positives: scripts sent as text. CWE-1321, ATT&CK T1190.

use super::{Analyser, Place, Seen, View, table};
use crate::Class;
use crate::gate::word;

pub const ANALYSER: Analyser = Analyser { name: "prototype", class: Class::PrototypePollution, wants, look };

pub const WORDS: &[&str] = &["__proto__", "prototype", "__definegetter__", "__lookupgetter__"];

fn wants(view: &View<'_>) -> bool {
    view.says(word::PROTOTYPE) && !matches!(view.place, Place::File | Place::Xml | Place::Agent)
}

fn look(view: &View<'_>) -> Option<Seen> {
    table(view.lower, &[("__proto__", 0.88, "an object's prototype"), ("constructor[prototype]", 0.92, "an object's prototype"), ("constructor.prototype", 0.8, "an object's prototype"), ("constructor][prototype", 0.92, "an object's prototype"), ("__definegetter__", 0.8, "an object's getter")])
}
