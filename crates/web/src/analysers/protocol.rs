//! Signs of request smuggling, verb tampering and oversized requests: what only the whole request shows.
//!
//! What it sees: lengths that contradict each other, transfer codings in disguise, white space in header names, a
//! request within the body, methods overridden by headers, requests of absurd size.
//! What it raises: `smuggling`, `verb_tampering`, `oversized`. CWE-444, CWE-650, CWE-400; ATT&CK T1190, T1499.

use super::{Hit, find};
use crate::{Class, Transaction};

/// A request line and headers beyond this are no browser's.
const TARGET_BYTES_MAX: usize = 32 << 10;
const HEADERS_MAX: usize = 200;

pub fn look(transaction: &Transaction) -> Vec<Hit> {
    let mut hits = Vec::new();
    let mut told = |class, score, why, value: &str| {
        hits.push(Hit { analyser: "protocol", class, score, why, place: "request", value: value.chars().take(160).collect(), at: 0 });
    };
    let coding: Vec<&str> = transaction.headers_named("transfer-encoding").collect();
    let lengths: Vec<&str> = transaction.headers_named("content-length").collect();
    if !coding.is_empty() && !lengths.is_empty() {
        told(Class::Smuggling, 0.75, "both a length and a transfer coding", coding[0]);
    }
    if lengths.windows(2).any(|w| w[0].trim() != w[1].trim()) || lengths.iter().any(|l| l.contains(',') || l.starts_with('+')) {
        told(Class::Smuggling, 0.8, "lengths that contradict each other", lengths[0]);
    }
    for value in &coding {
        let plain = ["chunked", "gzip", "deflate", "identity", "compress", "gzip, chunked", "trailers"];
        if !plain.iter().any(|p| value.eq_ignore_ascii_case(p)) {
            told(Class::Smuggling, 0.75, "a transfer coding in disguise", value);
        }
    }
    for (name, value) in &transaction.headers {
        if name.bytes().any(|b| b <= b' ' || b == 0x7f) {
            told(Class::Smuggling, 0.7, "white space in a header's name", name);
        }
        if value.contains(['\r', '\n']) {
            told(Class::HeaderInjection, 0.7, "a line end in a header", value);
        }
        let overrides = ["x-http-method-override", "x-http-method", "x-method-override"];
        if overrides.iter().any(|o| name.eq_ignore_ascii_case(o)) && !transaction.method.eq_ignore_ascii_case("post") && !matches!(value.to_ascii_uppercase().as_str(), "GET" | "POST" | "HEAD") {
            told(Class::VerbTampering, 0.6, "a method hidden in a header", value);
        }
    }
    if let Some(at) = smuggled(&transaction.body) {
        let value = String::from_utf8_lossy(&transaction.body[at..transaction.body.len().min(at + 80)]).into_owned();
        told(Class::Smuggling, 0.8, "a request within the body", &value);
    }
    if transaction.target.len() > TARGET_BYTES_MAX || transaction.headers.len() > HEADERS_MAX {
        told(Class::Oversized, 0.6, "a request of absurd size", "");
    }
    hits
}

/// `\r\nGET /admin HTTP/1.1`
fn smuggled(body: &[u8]) -> Option<usize> {
    let version = find(&body[..body.len().min(8_192)], " HTTP/1.")?;
    let line = body[..version].iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
    let text = &body[line..version];
    ["GET /", "POST /", "PUT /", "HEAD /", "GPOST /", "DELETE /"].iter().any(|m| text.starts_with(m.as_bytes())).then_some(line)
}
