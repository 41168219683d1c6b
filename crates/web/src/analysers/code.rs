//! Code of a server-side language in a value, and files included from elsewhere.
//!
//! What it sees: PHP tags, functions and stream wrappers, calls that run programs in PHP, Python, Ruby, Perl,
//! Node and ASP, PHP settings in parameters, and scripts fetched from a URL for inclusion.
//! What it raises: `code_injection`; wrappers and remote scripts as `file_inclusion`.
//! Known false positives: source code that an application takes on purpose.
//! CWE-94, CWE-98, ATT&CK T1059.

use super::{Analyser, Place, Seen, View, find, stronger, table};
use crate::Class;
use crate::gate::word;

pub const ANALYSER: Analyser = Analyser { name: "code", class: Class::CodeInjection, wants, look };

pub const WORDS: &[&str] = &[
    "<?", "<%", "phpinfo", "eval(", "eval (", "system(", "passthru(", "shell_exec", "popen(", "proc_open", "assert(", "base64_decode", "create_function", "call_user_func", "preg_replace", "file_get_contents", "file_put_contents", "$_", "allow_url", "auto_prepend", "auto_append", "php://", "data:", "expect://", "zip://", "phar://", "glob://", "zlib:", "ogg://",
    "ssh2", "rar://", "__import__", "os.system", "subprocess", "child_process", "process.binding", "require(", "exec(", "fopen(", "fwrite(", "readfile(", "include(", "include_once", "runtime", "response.write", "createobject", "wscript", "die(", "print(md5", "md5(", "open(", "ini_set", "include ", "var_dump", "globals", "highlight_file", "show_source", "scandir", "chr(", "print ", "echo", "backtick", ".php", ".txt?", "process.", "dofile", "loadstring", "io.popen", "disable_functions", "safe_mode", "suhosin", "open_basedir", "getenv", "mb_send_mail", "array_map", "usort(", "unserialize(",
];

fn wants(view: &View<'_>) -> bool {
    view.says(word::CODE) && !matches!(view.place, Place::Xml | Place::File)
}

const INCLUSION: Option<Class> = Some(Class::FileInclusion);

fn look(view: &View<'_>) -> Option<Seen> {
    let text = view.lower;
    let best = table(text, &[
        ("<?php", 0.95, "a PHP tag"), ("<?=", 0.8, "a PHP tag"), ("<? ", 0.6, "a PHP tag"), ("<?system", 0.9, "a PHP tag"), ("<?exec", 0.9, "a PHP tag"), ("<?@", 0.8, "a PHP tag"), ("phpinfo()", 0.92, "the PHP set-up is asked for"), ("phpinfo(", 0.8, "the PHP set-up is asked for"), ("phpinfo", 0.4, "the PHP set-up is asked for"), ("passthru(", 0.88, "a program is run"), ("shell_exec(", 0.92, "a program is run"), ("proc_open(", 0.9, "a program is run"), ("popen(", 0.8, "a program is run"), ("system(", 0.72, "a program is run"), ("system (", 0.6, "a program is run"), ("exec(", 0.55, "a program is run"),
        ("base64_decode(", 0.85, "encoded code"), ("create_function(", 0.9, "code from a string"), ("call_user_func", 0.85, "a function by name"), ("file_get_contents(", 0.85, "a file is read"), ("file_put_contents(", 0.9, "a file is written"), ("readfile(", 0.75, "a file is read"), ("highlight_file(", 0.85, "a file is read"), ("show_source(", 0.85, "a file is read"), ("scandir(", 0.8, "files are listed"), ("$_get", 0.85, "a PHP variable"), ("$_post", 0.85, "a PHP variable"), ("$_request", 0.85, "a PHP variable"), ("$_server", 0.85, "a PHP variable"), ("$_cookie", 0.85, "a PHP variable"), ("$_files", 0.85, "a PHP variable"), ("$_session", 0.85, "a PHP variable"), ("$globals", 0.8, "a PHP variable"), ("globals[", 0.8, "a PHP variable"), ("_server[document_root]", 0.85, "a PHP variable"), ("_request[", 0.6, "a PHP variable"),
        ("allow_url_include", 0.92, "a PHP setting"), ("allow_url_fopen", 0.85, "a PHP setting"), ("auto_prepend_file", 0.92, "a PHP setting"), ("auto_append_file", 0.9, "a PHP setting"), ("disable_functions", 0.85, "a PHP setting"), ("open_basedir", 0.85, "a PHP setting"), ("safe_mode=", 0.8, "a PHP setting"), ("suhosin.", 0.85, "a PHP setting"), ("ini_set(", 0.85, "a PHP setting"),
        ("__import__(", 0.92, "a Python import"), ("os.system(", 0.92, "a program is run"), ("os.popen(", 0.92, "a program is run"), ("subprocess.", 0.8, "a program is run"), ("child_process", 0.92, "a program is run"), ("process.binding(", 0.9, "a program is run"), ("require('fs", 0.85, "a Node module"), ("require(\"fs", 0.85, "a Node module"), ("process.env", 0.5, "the environment"), ("process.exit", 0.75, "the process"), ("process.mainmodule", 0.9, "the process"), ("wscript.shell", 0.92, "a program is run"), ("response.write(", 0.85, "an ASP call"), ("createobject(", 0.8, "an ASP call"), ("runtime.getruntime", 0.92, "a program is run"), ("runtime.exec", 0.9, "a program is run"), ("io.popen(", 0.9, "a program is run"), ("os.execute(", 0.9, "a program is run"), ("print(md5(", 0.9, "a probe"), ("die(md5(", 0.95, "a probe"), ("echo(md5(", 0.9, "a probe"), ("eval(", 0.6, "code from a string"), ("assert(", 0.6, "code from a string"), ("include(", 0.45, "an inclusion"), ("include_once", 0.7, "an inclusion"), ("var_dump(", 0.7, "a probe"), ("array_map(", 0.6, "a function by name"), ("usort(", 0.6, "a function by name"), ("preg_replace(", 0.7, "a function"), ("getenv(", 0.55, "the environment"), ("<%=", 0.5, "an ASP tag"), ("<%@", 0.75, "a JSP tag"), ("<% ", 0.5, "an ASP tag"), ("<%eval", 0.95, "an ASP tag"), ("<%execute", 0.95, "an ASP tag"), ("fopen(", 0.7, "a file is opened"), ("fwrite(", 0.7, "a file is written"), ("unserialize(", 0.7, "an object"),
    ]);
    stronger(best, inclusion(text, view.place))
}

fn inclusion(text: &[u8], place: Place) -> Option<Seen> {
    let wrapper = table(text, &[
        ("php://filter", 0.95, "a PHP stream"), ("php://input", 0.95, "a PHP stream"), ("php://", 0.85, "a PHP stream"), ("expect://", 0.95, "a PHP stream"), ("phar://", 0.9, "a PHP stream"), ("zip://", 0.85, "a PHP stream"), ("glob://", 0.85, "a PHP stream"), ("compress.zlib", 0.9, "a PHP stream"), ("compress.bzip2", 0.9, "a PHP stream"), ("ogg://", 0.7, "a PHP stream"), ("rar://", 0.8, "a PHP stream"), ("ssh2.", 0.7, "a PHP stream"), ("data://text", 0.9, "a PHP stream"), ("data:text/plain;base64", 0.6, "a PHP stream"), ("data:;base64", 0.75, "a PHP stream"),
    ])
    .map(|s| Seen { class: INCLUSION, ..s });
    let remote = (place == Place::Value && (text.starts_with(b"http://") || text.starts_with(b"https://") || text.starts_with(b"ftp://") || text.starts_with(b"//"))).then(|| remote(text)).flatten();
    stronger(wrapper, remote)
}

/// A URL that ends where an inclusion would append its own ending: `http://x/shell.txt?`.
fn remote(text: &[u8]) -> Option<Seen> {
    let trimmed = text.trim_ascii();
    let cuts = trimmed.ends_with(b"?") || trimmed.ends_with(b"??") || trimmed.ends_with(b"%00") || trimmed.ends_with(b"\0") || trimmed.ends_with(b"?&");
    let path = &trimmed[..memchr::memchr(b'?', trimmed).unwrap_or(trimmed.len())];
    let script = [".txt", ".php", ".gif", ".jpg", ".inc", ".dat", ".log"].iter().any(|e| path.ends_with(e.as_bytes()));
    let shell = ["c99", "r57", "/shell", "/cmd", "/evil", "backdoor", "/xpl"].iter().any(|w| find(path, w).is_some());
    let score = match (cuts, script, shell) {
        (true, true, _) => 0.8,
        (_, true, true) => 0.7,
        (true, false, _) => 0.4,
        _ => return None,
    };
    Some(Seen { score, why: "a script is included from elsewhere", at: 0, class: INCLUSION })
}
