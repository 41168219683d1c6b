//! NoSQL injection.
//!
//! What it sees: query operators as names (`user[$ne]`, `{"$gt": ""}`), operators in a JSON text, and script for
//! `$where`.
//! What it raises: `nosql`. Known false positives: applications whose interface is the database's query language.
//! CWE-943, ATT&CK T1190.

use super::{Analyser, Place, Seen, View, find, seen, stronger, table};
use crate::Class;
use crate::gate::{sign, word};

pub const ANALYSER: Analyser = Analyser { name: "nosql", class: Class::Nosql, wants, look };

pub const WORDS: &[&str] = &[
    "$ne", "$gt", "$lt", "$eq", "$in", "$nin", "$or", "$and", "$not", "$nor", "$regex", "$where", "$exists", "$type", "$expr", "$size", "$all", "$elemmatch", "$func", "$options", "$mod", "this.pass", "return true", "return(true", "db.", "mapreduce", "$comment", "_all_docs", "sleep(", "this.", "obj.", "||'1", "new date", "&& this", "__startswith", "__istartswith", "__contains", "__icontains", "__regex", "__iregex", "__isnull", "__exact", "__endswith",
];

fn wants(view: &View<'_>) -> bool {
    view.says(word::NOSQL) && (view.has(sign::DOLLAR) || view.place == Place::Name || view.signs & (sign::PIPE | sign::AMPERSAND | sign::SEMICOLON | sign::PAREN | sign::QUOTE) != 0 && matches!(view.place, Place::Value | Place::Path)) && !matches!(view.place, Place::Header | Place::Agent)
}

const OPERATORS: &[&str] = &["ne", "gt", "gte", "lt", "lte", "eq", "in", "nin", "or", "and", "not", "nor", "regex", "where", "exists", "type", "expr", "size", "all", "elemmatch", "func", "options", "mod", "comment", "slice", "text", "jsonschema"];

fn look(view: &View<'_>) -> Option<Seen> {
    let text = view.lower;
    let mut best = None;
    for at in memchr::memchr_iter(b'$', text).take(32) {
        let len = text[at + 1..].iter().take(12).take_while(|b| b.is_ascii_lowercase()).count();
        let name = &text[at + 1..at + 1 + len];
        if !OPERATORS.iter().any(|o| o.as_bytes() == name) {
            continue;
        }
        let before = text[..at].iter().rev().find(|b| !b.is_ascii_whitespace());
        let after = text[at + 1 + len..].iter().find(|b| !b.is_ascii_whitespace());
        let bracket = before == Some(&b'[') && after == Some(&b']');
        let key = matches!(before, Some(b'"' | b'\'' | b'{' | b',')) && matches!(after, Some(b'"' | b'\'' | b':'));
        let alone = before.is_none() && after.is_none() && view.place == Place::Name;
        let score = match (bracket, key || after == Some(&b':'), alone) {
            (true, _, _) => 0.9,
            (_, true, _) => 0.85,
            (_, _, true) => 0.85,
            _ => 0.3,
        };
        best = stronger(best, seen(score, "a query operator", at));
    }
    // Django's look-ups through relations, at what nobody filters by: `password__startswith`.
    let filtered = matches!(view.place, Place::Name) && find(text, "__").is_some_and(|at| ["password", "passwd", "token", "secret", "api_key", "hash"].iter().any(|w| find(&text[..at + 2], w).is_some()) || text[..at].contains(&b'_') && find(&text[at + 2..], "__").is_some_and(|n| find(&text[at + 2 + n..], "startswith").is_some()));
    if filtered && ["startswith", "contains", "regex", "isnull", "exact", "endswith", "__gt", "__lt", "__in"].iter().any(|w| text.ends_with(w.as_bytes()) || find(text, w).is_some()) {
        best = stronger(best, seen(0.7, "a look-up through relations", 0));
    }
    if find(text, "this.").is_some() || find(text, "return").is_some() || find(text, "db.").is_some() || find(text, "sleep(").is_some() || find(text, "new date").is_some() {
        best = stronger(best, table(text, &[("return true", 0.55, "script for the database"), ("return(true", 0.7, "script for the database"), ("this.password", 0.8, "a document's field"), ("this.pass", 0.75, "a document's field"), ("&& this.", 0.8, "a document's field"), ("|| this.", 0.75, "a document's field"), (";return ", 0.6, "script for the database"), ("; return ", 0.6, "script for the database"), ("db.getcollection", 0.85, "the database"), ("db.injection", 0.8, "the database"), (".insert({", 0.8, "the database"), (".find({", 0.6, "the database"), ("db.stores", 0.75, "the database"), ("_all_docs", 0.6, "the database"), ("new date();do{", 0.9, "a delay"), ("new date(); do{", 0.9, "a delay"), ("new date(); do {", 0.9, "a delay"), ("while(curdate", 0.9, "a delay")]));
    }
    best
}
