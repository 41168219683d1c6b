//! Uploaded files, by name and content.
//!
//! What it sees: endings that servers run, also before a harmless one or behind a NUL, content that contradicts the
//! declared type, script in pictures, web shells, and archive entries that climb out of their folder.
//! What it raises: `upload`. Known false positives: sites that take source code.
//! CWE-434, ATT&CK T1505.003.

use super::{Analyser, Hit, Place, Seen, View, find, seen, stronger, table};
use crate::Class;

pub const ANALYSER: Analyser = Analyser { name: "upload", class: Class::Upload, wants, look };

/// What of a file is searched for script.
const SEARCHED_BYTES_MAX: usize = 256 << 10;
const ENDINGS: &[&str] = &["php", "php3", "php4", "php5", "php7", "phtml", "phar", "pht", "phps", "asp", "aspx", "ashx", "asmx", "cer", "asa", "jsp", "jspx", "jsw", "jspf", "war", "cgi", "pl", "cfm", "shtml", "htaccess", "hta", "exe", "bat", "ps1", "vbs", "scr", "com"];
const HARMLESS: &[&str] = &["jpg", "jpeg", "png", "gif", "pdf", "txt", "bmp", "webp", "doc", "docx", "zip", "csv"];

fn wants(view: &View<'_>) -> bool {
    view.place == Place::FileName
}

/// A file's name.
fn look(view: &View<'_>) -> Option<Seen> {
    let name = view.lower;
    let mut best = None;
    let trimmed = name.trim_ascii_end();
    let trimmed = trimmed.strip_suffix(b"::$data").unwrap_or(trimmed);
    let parts: Vec<&[u8]> = trimmed.split(|b| matches!(b, b'.' | 0 | b';' | b'%' | b':')).map(|p| p.trim_ascii()).collect();
    let runs = |p: &&[u8]| ENDINGS.iter().any(|e| e.as_bytes() == *p);
    if let Some((last, head)) = parts.split_last() {
        if runs(last) || last.is_empty() && head.last().is_some_and(|p| runs(p)) {
            best = seen(0.7, "an ending that servers run", 0);
        }
        if head.len() > 1 && head[1..].iter().any(|p| runs(&p)) {
            best = stronger(best, seen(0.75, "an ending that servers run before another", 0));
        }
        if runs(last) && head.len() > 1 && HARMLESS.iter().any(|h| head.last().is_some_and(|p| *p == h.as_bytes())) {
            best = stronger(best, seen(0.8, "an ending that servers run behind a harmless one", 0));
        }
    }
    if memchr::memchr(0, name).is_some() {
        best = stronger(best, seen(0.8, "a NUL in a file's name", 0));
    }
    best
}

pub fn file(name: &str, declared: Option<&str>, content: &[u8]) -> Vec<Hit> {
    let hit = |s: Seen| Hit { analyser: "upload", class: Class::Upload, score: s.score, why: s.why, at: 0, ..Hit::none() };
    let lower = content[..content.len().min(SEARCHED_BYTES_MAX)].to_ascii_lowercase();
    let image = magic(content).is_some_and(|m| m == "image");
    let mut best = table(&lower, &[
        ("<?php", 0.8, "PHP in a file"), ("<?=", 0.5, "PHP in a file"), ("<%eval", 0.93, "ASP in a file"), ("<%@ page", 0.85, "JSP in a file"), ("<%@page", 0.85, "JSP in a file"), ("runtime.getruntime", 0.9, "a web shell"), ("eval($_", 0.97, "a web shell"), ("system($_", 0.97, "a web shell"), ("passthru($_", 0.97, "a web shell"), ("shell_exec($_", 0.97, "a web shell"), ("assert($_", 0.97, "a web shell"), ("base64_decode($_", 0.95, "a web shell"), ("<script language=\"php\"", 0.9, "PHP in a file"), ("server.createobject", 0.85, "ASP in a file"), ("x5o!p%@ap[4\\pzx54(p^)7cc)7}$eicar", 0.97, "the test file of virus scanners"), ("addtype application/x-httpd-php", 0.95, "settings that make files run"), ("wscript.shell", 0.9, "a web shell"),
    ]);
    if image && best.is_some() {
        best = best.map(|b| Seen { score: (b.score + 0.1).min(0.97), why: "script in a picture", ..b });
    }
    // Three bytes say little in compressed pictures: the short tag needs a text file.
    if image && best.is_some_and(|b| b.score < 0.65) {
        best = None;
    }
    if find(&lower, "<svg").is_some() {
        best = stronger(best, table(&lower, &[("<script", 0.85, "script in a picture"), ("onload=", 0.85, "script in a picture"), ("javascript:", 0.85, "script in a picture"), ("<!entity", 0.9, "an entity in a picture")]));
    }
    let claims = declared.is_some_and(|d| d.to_ascii_lowercase().starts_with("image/")) || HARMLESS[..5].iter().any(|h| name.to_ascii_lowercase().ends_with(&format!(".{h}")));
    match magic(content) {
        Some("program") => best = stronger(best, seen(if claims { 0.9 } else { 0.6 }, "a program", 0)),
        Some("zip") if climbs(content) => best = stronger(best, seen(0.92, "an archive whose entries climb out of their folder", 0)),
        _ => {}
    }
    best.map(hit).into_iter().collect()
}

fn magic(content: &[u8]) -> Option<&'static str> {
    const KINDS: &[(&[u8], &str)] = &[(b"\x89PNG", "image"), (b"\xff\xd8\xff", "image"), (b"GIF8", "image"), (b"BM", "image"), (b"RIFF", "image"), (b"PK\x03\x04", "zip"), (b"\x7fELF", "program"), (b"MZ\x90", "program"), (b"MZ\0", "program"), (b"%PDF", "pdf")];
    KINDS.iter().find(|(head, _)| content.starts_with(head)).map(|(_, kind)| *kind)
}

/// The names in a ZIP's local headers.
fn climbs(content: &[u8]) -> bool {
    memchr::memmem::find_iter(content, b"PK\x03\x04").take(10_000).any(|at| {
        let Some(head) = content.get(at..at + 30) else { return false };
        let len = usize::from(u16::from_le_bytes([head[26], head[27]]));
        let name = content.get(at + 30..at + 30 + len).unwrap_or_default();
        name.starts_with(b"/") || name.starts_with(b"../") || find(name, "/../").is_some() || find(name, "..\\").is_some()
    })
}
