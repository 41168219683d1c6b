//! XPath and XQuery injection.
//!
//! What it sees: XPath functions over nodes, axes and steps behind a quote or operator.
//! What it raises: `xpath`. Known false positives: tools that send XPath on purpose. CWE-643, ATT&CK T1190.

use super::{Analyser, Place, Seen, View, table};
use crate::Class;
use crate::gate::{sign, word};

pub const ANALYSER: Analyser = Analyser { name: "xpath", class: Class::Xpath, wants, look };

pub const WORDS: &[&str] = &["count(/", "name(/", "string-length(", "substring(//", "substring(/", "ancestor::", "child::", "parent::", "/node()", "text()", "position()", "local-name(", "doc('http", "/*[", "//user", "following::", "descendant::", "codepoints-to-string", "string-to-codepoints", "//*", "last()", "namespace::", "@*", "unparsed-text", "(/*"];

fn wants(view: &View<'_>) -> bool {
    view.says(word::XPATH) && view.place == Place::Value && view.signs & (sign::PAREN | sign::SLASH | sign::BRACKET) != 0
}

fn look(view: &View<'_>) -> Option<Seen> {
    table(view.lower, &[("count(/", 0.88, "nodes are counted"), ("count(//", 0.9, "nodes are counted"), ("name(/", 0.88, "a node's name"), ("string-length(name(", 0.92, "a node's name"), ("string-length(", 0.6, "a length"), ("substring(//", 0.9, "a node's text"), ("substring(/", 0.8, "a node's text"), ("ancestor::", 0.75, "an axis"), ("child::", 0.75, "an axis"), ("parent::", 0.75, "an axis"), ("descendant::", 0.75, "an axis"), ("following::", 0.7, "an axis"), ("/node()", 0.75, "a step"), ("/text()", 0.6, "a step"), ("text()=", 0.6, "a step"), ("position()", 0.6, "a position"), ("local-name(", 0.75, "a node's name"), ("doc('http", 0.9, "a document is fetched"), ("doc(concat(", 0.9, "a document is fetched"), ("/*[1]", 0.7, "a step"), ("//user[", 0.85, "a step"), ("//*[", 0.5, "a step"), ("string-to-codepoints", 0.9, "a code point"), ("codepoints-to-string", 0.9, "a code point"), ("unparsed-text(", 0.85, "a file is read"), ("']/*", 0.6, "a step"), ("'] | ", 0.5, "a step")])
}
