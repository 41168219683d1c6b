//! Serialised objects in values.
//!
//! What it sees: the beginnings and type names of Java, PHP, .NET, Python, Ruby, YAML and Node serialisations that
//! can carry gadgets. PHP arrays of plain values are let through.
//! What it raises: `deserialisation`. Known false positives: applications that keep objects in cookies or forms.
//! CWE-502, ATT&CK T1190.

use super::{Analyser, Seen, View, find, seen, stronger, table};
use crate::Class;
use crate::gate::{sign, word};

pub const ANALYSER: Analyser = Analyser { name: "deserialisation", class: Class::Deserialisation, wants, look };

pub const WORDS: &[&str] = &["ro0ab", "o:", "c:", "aaeaaad", "gasv", "bah", "!!", "!ruby", "$$nd_func", "@type", "$type", "aced0005", "system.windows", "objectdataprovider", "\u{4}\u{8}", "csubprocess", "cos\n", "c__builtin__", "posix\n", "javax.", "java.", "ysoserial", "!python", "\"_$$", "templatesimpl", "com.sun", "h4siaaa", "rce_function", "weblogic", "<java", "xmldecoder", "invokertransformer", "s:", "kexpcl"];

fn wants(view: &View<'_>) -> bool {
    view.says(word::OBJECT) || view.has(sign::HIGH | sign::CONTROL) && view.raw.len() > 8 && matches!(view.raw[0], 0xac | 0x80 | 0x04)
}

fn look(view: &View<'_>) -> Option<Seen> {
    let (raw, text) = (view.raw, view.lower);
    if raw.starts_with(&[0xac, 0xed, 0, 5]) || raw.starts_with(b"rO0AB") || find(raw, "rO0ABX").is_some() || text.starts_with(b"aced0005") {
        return seen(0.93, "a Java object", 0);
    }
    if raw.starts_with(b"AAEAAAD/////") || find(raw, "AAEAAAD/////").is_some() {
        return seen(0.93, "a .NET object", 0);
    }
    if raw.len() > 12 && (raw.starts_with(&[0x80, 4, 0x95]) || raw.starts_with(b"gASV") || raw.starts_with(b"\x80\x03c") || raw.starts_with(b"\x80\x02c")) {
        return seen(0.85, "a Python object", 0);
    }
    if raw.len() > 12 && raw.starts_with(b"\x04\x08") && matches!(raw[2], b'o' | b'{' | b'[' | b'I' | b'c' | b'U') || raw.starts_with(b"BAhv") || raw.starts_with(b"BAhbCG") {
        return seen(0.8, "a Ruby object", 0);
    }
    let names = table(text, &[("!!python/", 0.93, "a YAML tag"), ("!!javax.", 0.95, "a YAML tag"), ("!!java.", 0.93, "a YAML tag"), ("!!com.", 0.88, "a YAML tag"), ("!!org.", 0.85, "a YAML tag"), ("!ruby/", 0.9, "a YAML tag"), ("_$$nd_func$$_", 0.95, "a function of node-serialize"), ("csubprocess\n", 0.93, "a Python pickle"), ("cos\nsystem", 0.95, "a Python pickle"), ("cposix\n", 0.95, "a Python pickle"), ("c__builtin__\n", 0.93, "a Python pickle"), ("objectdataprovider", 0.93, "a .NET gadget"), ("system.windows.data", 0.9, "a .NET gadget"), ("system.diagnostics", 0.8, "a .NET class"), ("templatesimpl", 0.93, "a Java gadget"), ("jdbcrowsetimpl", 0.95, "a Java gadget"), ("invokertransformer", 0.95, "a Java gadget"), ("ysoserial", 0.9, "a gadget generator"), ("<java.lang", 0.9, "a Java object as XML"), ("<java version", 0.9, "a Java object as XML"), ("java.beans.xmldecoder", 0.95, "a Java object as XML"), ("weblogic.", 0.6, "a WebLogic class"), ("com.sun.rowset", 0.95, "a Java gadget"), ("com.sun.org", 0.9, "a Java gadget")]);
    stronger(names, php(text))
}

/// `O:8:"stdClass":1:{`
fn php(text: &[u8]) -> Option<Seen> {
    for at in memchr::memmem::find_iter(text, b":").take(64) {
        let Some(kind) = at.checked_sub(1).map(|i| text[i]) else { continue };
        if !matches!(kind, b'o' | b'c') || at >= 2 && text[at - 2].is_ascii_alphanumeric() {
            continue;
        }
        let rest = text[at + 1..].strip_prefix(b"+").unwrap_or(&text[at + 1..]);
        let digits = rest.iter().take(5).take_while(|b| b.is_ascii_digit()).count();
        if digits > 0 && rest[digits..].starts_with(b":\"") {
            return seen(0.88, "a PHP object", at - 1);
        }
    }
    None
}
