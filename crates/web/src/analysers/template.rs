//! Server-side template injection.
//!
//! What it sees: expressions in the delimiters of template engines (`{{ }}`, `${ }`, `#{ }`, `<%= %>`, `{% %}`,
//! `#set(`, `[[ ]]`, `@( )`) that compute, call or reach into objects.
//! What it raises: `template_injection`. A delimiter around a mere name is a hint: placeholders of advertising and
//! mail systems look so.
//! CWE-1336, ATT&CK T1221.

use super::{Analyser, Seen, View, find, in_prose, seen, stronger, table};
use crate::Class;
use crate::gate::{sign, word};

pub const ANALYSER: Analyser = Analyser { name: "template", class: Class::TemplateInjection, wants, look };

pub const WORDS: &[&str] = &["{{", "}}", "${", "#{", "<%", "{%", "#set", "*{", "[[", "@(", "{php}", "<#", "__class__", "freemarker", "{@", "$class", "#foreach", "{$", "~{", "#include", "#parse", "@{"];

fn wants(view: &View<'_>) -> bool {
    view.says(word::TEMPLATE) && view.place.is_value() && view.signs & (sign::BRACE | sign::ANGLE | sign::PAREN | sign::BRACKET | sign::HASH) != 0
}

fn look(view: &View<'_>) -> Option<Seen> {
    let text = view.lower;
    let mut best = table(text, &[
        ("__class__", 0.92, "a Python object's inside"), ("__mro__", 0.93, "a Python object's inside"), ("__subclasses__", 0.95, "a Python object's inside"), ("__globals__", 0.93, "a Python object's inside"), ("__builtins__", 0.93, "a Python object's inside"), ("__init__", 0.6, "a Python object's inside"), ("|attr(", 0.8, "an attribute by name"), ("_self.env", 0.93, "Twig's environment"), ("registerundefinedfiltercallback", 0.95, "Twig's environment"), ("lipsum.", 0.85, "Jinja's helpers"), ("cycler.", 0.8, "Jinja's helpers"), ("{php}", 0.9, "Smarty"), ("{smarty", 0.85, "Smarty"), ("$smarty", 0.85, "Smarty"), ("freemarker.template", 0.95, "Freemarker"), ("?new()", 0.92, "Freemarker"), ("<#assign", 0.92, "Freemarker"), ("<#list", 0.8, "Freemarker"), ("#set(", 0.85, "Velocity"), ("#set ($", 0.85, "Velocity"), ("#foreach", 0.7, "Velocity"), ("$class.", 0.85, "Velocity"), ("#include(", 0.7, "Velocity"), ("[[${", 0.88, "Thymeleaf"), ("__${", 0.93, "Thymeleaf"), ("*{t(", 0.93, "Thymeleaf"), ("{%import", 0.9, "a template statement"), ("{% import", 0.9, "a template statement"), ("{% include", 0.75, "a template statement"), ("{% for", 0.7, "a template statement"), ("{%for", 0.75, "a template statement"), ("{% if", 0.45, "a template statement"), ("{% debug", 0.9, "a template statement"), ("{% load", 0.75, "a template statement"), ("{%", 0.4, "a template statement"),
        ("#{root", 0.7, "Pug"), ("#{global", 0.9, "Pug"), ("@(1+", 0.8, "Razor"), ("@system.", 0.85, "Razor"), ("{{@", 0.5, "Handlebars"), ("{{#with", 0.85, "Handlebars"), ("{{this", 0.4, "Handlebars"), ("{system(", 0.9, "Smarty"), ("${self", 0.85, "Mako"), ("${{", 0.7, "an expression in a template"), ("#{{", 0.5, "an expression in a template"), ("{$smarty", 0.9, "Smarty"), ("}}[[", 0.5, "a probe"), ("${{<%", 0.95, "a probe for all engines"), ("@{[", 0.75, "Perl in a string"),
    ]);
    best = in_prose(best, text);
    for (open, close, base) in [("{{", "}}", 0.1f32), ("${", "}", 0.1), ("#{", "}", 0.15), ("<%=", "%>", 0.55), ("@(", ")", 0.0), ("*{", "}", 0.15), ("~{", "}", 0.1), ("[[", "]]", 0.0), ("{", "}", -0.35), ("@{", "}", 0.1)] {
        if open == "{" && (text.first() != Some(&b'{') || text.last() != Some(&b'}')) {
            continue;
        }
        for at in memchr::memmem::find_iter(text, open.as_bytes()).take(16) {
            let inside = &text[at + open.len()..text.len().min(at + open.len() + 400)];
            let Some(end) = find(inside, close) else { continue };
            if open.len() == 1 && end > 20 {
                continue;
            }
            best = stronger(best, seen(expression(&inside[..end], base), "an expression in a template", at));
        }
    }
    best
}

/// How much the inside of a delimiter computes.
fn expression(inside: &[u8], base: f32) -> f32 {
    let inside = inside.trim_ascii();
    if inside.is_empty() {
        return 0.1;
    }
    let digits = inside.iter().filter(|b| b.is_ascii_digit()).count();
    let operator = inside.iter().position(|b| matches!(b, b'*' | b'+' | b'/' | b'%'));
    let arithmetic = digits >= 2 && operator.is_some_and(|i| i > 0 && inside[..i].iter().any(u8::is_ascii_digit) && inside.iter().filter(|b| !b.is_ascii_digit()).count() <= 8);
    if arithmetic {
        return (0.82 + base).min(0.92);
    }
    // Random text has delimiters too, but not around words.
    if inside.iter().any(|b| matches!(b, b'<' | b'`' | b'~' | b'^' | b';' | b'{' | 0x80..)) {
        return base.max(0.05).min(0.3);
    }
    let call = memchr::memchr(b'(', inside).is_some_and(|i| i > 0);
    let reach = ["config", "request", "session", "self.", "settings", "os.", "class", "java", "system", "exec", "popen", "process", "global", "env", "proto", "constructor", "file.", "dir.", "_context", "application", "'/'", "dump"].iter().any(|w| find(inside, w).is_some());
    match (call, reach) {
        (true, true) => 0.85,
        (true, false) => 0.45 + base,
        (false, true) => 0.4 + base,
        _ => base.max(0.05),
    }
}
