//! Expression languages of Java frameworks (OGNL, SpEL, EL, MVEL) and what reaches a Java class loader.
//!
//! What it sees: class names of the Java library in calls, OGNL's context and static calls, SpEL's `T(…)`,
//! `class.module.classLoader` in parameter names.
//! What it raises: `expression_language`.
//! Known false positives: stack traces that clients report as telemetry; a class name alone is a hint.
//! CWE-917, ATT&CK T1190.

use super::{Analyser, Place, Seen, View, seen, stronger, table};
use crate::Class;
use crate::gate::word;

pub const ANALYSER: Analyser = Analyser { name: "expression", class: Class::ExpressionLanguage, wants, look };

pub const WORDS: &[&str] = &[
    "java.lang", "java.io", "java.net", "java.util", "javax.", "#_member", "_memberaccess", "#context", "@java", "getclass", "forname(", "getruntime", "processbuilder", "t(java", "%{", "classloader", "ognl", "xwork", "scriptengine", "org.apache", "springframework", "redirect:$", "redirectaction", "getmethod", "newinstance", "#request", "#session", "#parameters", "groovy", "getdeclared", "#rt", "com.sun.", "com.opensymphony", "pushbackinputstream", "invoke(", "#this", "bufferedreader", "fileinputstream", "method:", "#a=",
];

fn wants(view: &View<'_>) -> bool {
    view.says(word::EXPRESSION) && view.place.is_value()
}

fn look(view: &View<'_>) -> Option<Seen> {
    let text = view.lower;
    let best = table(text, &[
        ("#_memberaccess", 0.95, "OGNL's access rights"), ("_memberaccess", 0.9, "OGNL's access rights"), ("@java.lang", 0.95, "a static call of OGNL"), ("t(java.", 0.95, "a type of SpEL"), ("t (java.", 0.95, "a type of SpEL"), ("getruntime", 0.9, "a program is run"), ("processbuilder", 0.88, "a program is run"), ("java.lang.runtime", 0.93, "a program is run"), ("java.lang.system", 0.8, "the Java system"), ("java.lang.", 0.55, "a Java class"), ("java.io.", 0.55, "a Java class"), ("java.net.", 0.5, "a Java class"), ("java.util.", 0.45, "a Java class"), ("classloader", 0.6, "a class loader"), ("class.module.", 0.93, "a class loader"), ("class.classloader", 0.93, "a class loader"), ("scriptenginemanager", 0.93, "a script engine"), ("getclass()", 0.85, "an object's class"), (".getclass", 0.8, "an object's class"), ("class.forname(", 0.9, "a class by name"), ("forname(", 0.8, "a class by name"), ("%{(#", 0.95, "OGNL"), ("%{#", 0.93, "OGNL"), ("${(#", 0.93, "OGNL"), ("${#", 0.8, "OGNL"), ("${@", 0.9, "OGNL"), ("%{", 0.4, "OGNL"), ("#context[", 0.93, "OGNL's context"), ("xwork.", 0.85, "Struts"), ("com.opensymphony", 0.93, "Struts"), ("redirect:${", 0.95, "Struts"), ("redirect:%{", 0.95, "Struts"), ("redirectaction:", 0.75, "Struts"), ("#parameters", 0.7, "OGNL"), ("#request", 0.45, "OGNL"), ("getmethod(", 0.7, "reflection"), ("newinstance(", 0.75, "reflection"), ("getdeclared", 0.75, "reflection"), ("org.apache.commons", 0.7, "a gadget's class"), ("springframework", 0.6, "a gadget's class"), ("groovy.", 0.6, "Groovy"), ("com.sun.", 0.7, "a gadget's class"), ("pushbackinputstream", 0.7, "a Java class"), ("method:#_", 0.93, "Struts"), ("bufferedreader", 0.5, "a Java class"), ("fileinputstream", 0.5, "a Java class"),
    ])?;
    // A trace names many classes, an expression opens something.
    let expression = view.signs & (crate::gate::sign::BRACE | crate::gate::sign::PAREN | crate::gate::sign::HASH | crate::gate::sign::EQUAL) != 0 || view.place == Place::Name || text.len() < 64;
    let score = if expression { best.score } else { best.score * 0.6 };
    stronger(None, seen(score, best.why, best.at))
}
