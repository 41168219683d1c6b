//! Header injection: line ends in values that become headers, mails or protocol commands.
//!
//! What it sees: CR or LF with a header, a status line, markup or a mail or cache command behind it.
//! What it raises: `header_injection`. Line ends alone are nothing: text areas send them.
//! CWE-113, CWE-93, ATT&CK T1190.

use super::{Analyser, Place, Seen, View, seen, stronger, table};
use crate::Class;
use crate::gate::{sign, word};

pub const ANALYSER: Analyser = Analyser { name: "crlf", class: Class::HeaderInjection, wants, look };

pub const WORDS: &[&str] = &["set-cookie", "location:", "content-type:", "content-length:", "bcc:", "cc:", "http/1", "x-", "\nto:", "rcpt to", "mail from", "\nhost:", "transfer-encoding", "refresh:", "link:", "subject:", "flushall", "config set", "link:", "\r\n\r\n", "header", "%0d", "%0a", "crlf", "login:", "capability", "\nquit", "slaveof"];

fn wants(view: &View<'_>) -> bool {
    view.has(sign::NEWLINE | sign::PERCENT | sign::HIGH) && view.says(word::MAIL) && matches!(view.place, Place::Value | Place::Path | Place::Cookie | Place::Header | Place::Referer | Place::Name | Place::FileName)
}

fn look(view: &View<'_>) -> Option<Seen> {
    let text = view.lower;
    let mut best = None;
    for at in memchr::memchr2_iter(b'\n', b'\r', text).take(64) {
        let rest = text[at + 1..].trim_ascii_start();
        best = stronger(best, line(rest, at));
    }
    // The code points whose low byte is a line end: `嘊嘍`.
    if let Some(at) = super::find(text, "\u{560a}").or_else(|| super::find(text, "\u{560d}")) {
        best = stronger(best, line(text[at + 3..].strip_prefix("\u{560d}".as_bytes()).unwrap_or(&text[at + 3..]), at).or(seen(0.4, "a line end in disguise", at)));
    }
    best
}

fn line(rest: &[u8], at: usize) -> Option<Seen> {
    const HEADERS: &[(&str, f32)] = &[
        ("set-cookie", 0.93), ("location", 0.88), ("content-type", 0.85), ("content-length", 0.9), ("transfer-encoding", 0.9), ("refresh", 0.75), ("host", 0.65), ("x-", 0.65), ("bcc", 0.88), ("cc", 0.6), ("to", 0.35), ("subject", 0.4), ("rcpt to", 0.88), ("mail from", 0.88), ("link", 0.5), ("access-control-", 0.9), ("status", 0.5), ("header", 0.7), ("crlf", 0.7), ("reply-to", 0.6), ("from", 0.3), ("injected", 0.7), ("test", 0.3), ("etag", 0.7), ("last-modified", 0.8), ("cookie", 0.7),
    ];
    if rest.starts_with(b"http/1") {
        return seen(0.9, "a status line", at);
    }
    for (name, score) in HEADERS {
        if let Some(after) = rest.strip_prefix(name.as_bytes()) {
            let after = if name.ends_with('-') { after.trim_ascii_start_matches_token() } else { after };
            if after.first() == Some(&b':') {
                return seen(*score, "a header behind a line end", at);
            }
        }
    }
    if rest.starts_with(b"quit\r") || rest.starts_with(b"quit\n") || rest == b"quit" {
        return seen(0.6, "a mail command", at);
    }
    table(&rest[..rest.len().min(40)], &[(" capability\r", 0.8, "a mail command"), (" capability\n", 0.8, "a mail command"), ("flushall", 0.85, "a cache's command"), ("config set", 0.85, "a cache's command"), ("slaveof", 0.85, "a cache's command"), ("rcpt to:", 0.85, "a mail command"), ("mail from:", 0.85, "a mail command")])
}

trait Token {
    fn trim_ascii_start_matches_token(&self) -> &[u8];
}

impl Token for [u8] {
    /// What follows the rest of a header's name.
    fn trim_ascii_start_matches_token(&self) -> &[u8] {
        let len = self.iter().take(64).take_while(|b| b.is_ascii_alphanumeric() || **b == b'-').count();
        &self[len..]
    }
}
