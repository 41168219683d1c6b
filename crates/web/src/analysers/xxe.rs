//! XML external entities and inclusions.
//!
//! What it sees: entity declarations, external document types, XInclude and XSLT that call out, in bodies and values.
//! What it raises: `xxe`. A document type without entities is no finding.
//! Known false positives: documents with declared entities from old authoring tools.
//! CWE-611, ATT&CK T1190.

use super::{Analyser, Place, Seen, View, find, seen, stronger, table};
use crate::Class;
use crate::gate::{sign, word};

pub const ANALYSER: Analyser = Analyser { name: "xxe", class: Class::Xxe, wants, look };

pub const WORDS: &[&str] = &["<!entity", "<!doctype", "xi:include", "xinclude", "system \"", "system '", "<xsl", "xsi:schemalocation", "<!element", "<xs:i", "<!attlist", "public \"", "<![", "msxsl"];

fn wants(view: &View<'_>) -> bool {
    view.says(word::XML) && view.has(sign::ANGLE) && view.place != Place::Agent
}

fn look(view: &View<'_>) -> Option<Seen> {
    let text = view.lower;
    let mut best = table(text, &[("xi:include", 0.85, "an inclusion"), ("www.w3.org/2001/xinclude", 0.8, "an inclusion"), ("<xsl:value-of", 0.7, "a transformation"), ("document('http", 0.85, "a transformation that calls out"), ("msxsl:script", 0.95, "a transformation with script"), ("<xsl:", 0.55, "a transformation"), ("<xs:include", 0.6, "a schema that is fetched"), ("<xs:import", 0.55, "a schema that is fetched"), ("xsi:schemalocation", 0.3, "a schema")]);
    if let Some(at) = find(text, "<!entity") {
        let rest = &text[at..text.len().min(at + 400)];
        let outside = find(rest, "system").is_some() || find(rest, "public").is_some();
        let parameter = rest[8..].trim_ascii_start().starts_with(b"%");
        let many = memchr::memmem::find_iter(text, b"<!entity").count() > 3;
        best = stronger(best, seen(if outside { 0.95 } else if parameter || many { 0.85 } else { 0.7 }, "an entity", at));
    }
    if let Some(at) = find(text, "<!doctype") {
        let rest = &text[at..text.len().min(at + 300)];
        let end = memchr::memchr(b'>', rest).unwrap_or(rest.len());
        let head = &rest[..end];
        let page = find(head, "html").is_some() || find(head, "w3.org").is_some() || find(head, "svg").is_some();
        if !page && (find(head, "system").is_some() || find(head, "[").is_some() && find(rest, "%").is_some()) {
            best = stronger(best, seen(0.8, "an external document type", at));
        }
    }
    best.filter(|_| view.place != Place::File || find(text, "<!entity").is_some())
}
