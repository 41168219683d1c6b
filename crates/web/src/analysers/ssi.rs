//! Server-side and edge-side includes.
//!
//! What it sees: `<!--#exec … -->` and its kin, `<esi:include`.
//! What it raises: `ssi`. Known false positives: none seen. CWE-97, ATT&CK T1190.

use super::{Analyser, Place, Seen, View, table};
use crate::Class;
use crate::gate::{sign, word};

pub const ANALYSER: Analyser = Analyser { name: "ssi", class: Class::Ssi, wants, look };

pub const WORDS: &[&str] = &["<!--#", "<!-- #", "<esi:"];

fn wants(view: &View<'_>) -> bool {
    view.says(word::XML) && view.has(sign::ANGLE) && view.place != Place::File
}

fn look(view: &View<'_>) -> Option<Seen> {
    table(view.lower, &[("<!--#exec", 0.95, "a directive that runs a program"), ("<!--#include", 0.93, "a directive"), ("<!--#echo", 0.93, "a directive"), ("<!--#printenv", 0.93, "a directive"), ("<!--#config", 0.9, "a directive"), ("<!--#f", 0.85, "a directive"), ("<!--#set", 0.85, "a directive"), ("<!--#", 0.65, "a directive"), ("<!-- #exec", 0.85, "a directive"), ("<esi:", 0.88, "an edge-side include")])
}
