//! LDAP filter injection.
//!
//! What it sees: parentheses that close a filter and open another, with `*`, `&`, `|` and attributes.
//! What it raises: `ldap`. Known false positives: searches that users write as LDAP filters. CWE-90, ATT&CK T1190.

use super::{Analyser, Place, Seen, View, find, seen, stronger, table};
use crate::Class;
use crate::gate::{sign, word};

pub const ANALYSER: Analyser = Analyser { name: "ldap", class: Class::Ldap, wants, look };

pub const WORDS: &[&str] = &[")(", "(|(", "(&(", "(!(", "*)", "objectclass", "(uid=", "(cn=", "*(|", "(&)", "(mail=", "(sn=", "*))", "|(", "(&", "userpassword", "homedirectory", "@*", "*|", ":="];

fn wants(view: &View<'_>) -> bool {
    view.says(word::LDAP) && matches!(view.place, Place::Value | Place::Cookie) && view.has(sign::PAREN | sign::STAR | sign::COLON)
}

fn look(view: &View<'_>) -> Option<Seen> {
    let text = view.lower;
    let mut best = table(text, &[("*)(uid=*", 0.95, "a filter is closed and another opened"), ("*)(&", 0.92, "a filter is closed and another opened"), ("*)(|", 0.92, "a filter is closed and another opened"), (")(cn=", 0.88, "a filter is closed and another opened"), (")(uid=", 0.88, "a filter is closed and another opened"), (")(mail=", 0.88, "a filter is closed and another opened"), (")(objectclass=", 0.92, "a filter is closed and another opened"), ("(objectclass=*", 0.85, "a filter for everything"), ("objectclass=*", 0.7, "a filter for everything"), ("(|(", 0.55, "a filter"), ("(&(", 0.55, "a filter"), ("*)(", 0.75, "a filter is closed and another opened"), (")(&)", 0.92, "a filter that is always true"), ("(&)", 0.6, "a filter that is always true"), (")(|", 0.75, "a filter is closed and another opened"), ("*))", 0.4, "filters are closed"), ("*)\0", 0.8, "a filter is cut off"), ("*(|(", 0.85, "a filter"), ("(userpassword=", 0.85, "an attribute"), ("*|", 0.2, "a filter"), ("@*", 0.2, "a filter")]);
    // An extensible match, by the number of its rule (RFC 4515): `userPassword:2.5.13.18:=`.
    if let Some(at) = find(text, ":=") {
        let rule = text[..at].iter().rev().take_while(|b| b.is_ascii_digit() || **b == b'.').count();
        if rule >= 5 && at > rule && text[at - rule - 1] == b':' {
            best = stronger(best, seen(0.8, "an extensible match", at));
        }
    }
    // `(attribute=value)(attribute=*)`
    if let Some(at) = find(text, ")(") {
        let rest = &text[at + 2..];
        let name = rest.iter().take(20).take_while(|b| b.is_ascii_alphanumeric()).count();
        if name > 0 && matches!(rest.get(name), Some(b'=')) && rest[name..].iter().take(40).any(|b| *b == b'*') {
            best = stronger(best, seen(0.8, "a filter is closed and another opened", at));
        }
    }
    best
}
