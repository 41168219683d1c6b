//! Requests as they stand on the wire, one after the other.

use super::{Item, ReadError};
use crate::Transaction;

pub fn is_request(bytes: &[u8]) -> bool {
    let line = &bytes[..memchr::memchr(b'\n', bytes).unwrap_or(bytes.len()).min(1 << 16)];
    let method = line.iter().take(24).take_while(|b| b.is_ascii_uppercase()).count();
    method > 2 && line.get(method) == Some(&b' ') && memchr::memmem::find(line, b" HTTP/").is_some()
}

pub fn items(mut bytes: &[u8], visit: &mut dyn FnMut(Result<Item, ReadError>)) {
    let mut number = 0;
    while !bytes.trim_ascii().is_empty() {
        number += 1;
        let start = bytes.trim_ascii_start();
        if !is_request(start) {
            visit(Err(ReadError::Line { line: number, why: "what follows the body of the request before is no request line".to_owned() }));
            return;
        }
        let (transaction, rest) = request(start);
        visit(Ok(Item { id: number.to_string(), transaction, ..Item::default() }));
        bytes = rest;
    }
}

fn request(bytes: &[u8]) -> (Transaction, &[u8]) {
    let (head, rest) = match (memchr::memmem::find(bytes, b"\r\n\r\n"), memchr::memmem::find(bytes, b"\n\n")) {
        (Some(at), other) if other.is_none_or(|o| at < o) => (&bytes[..at], &bytes[at + 4..]),
        (_, Some(at)) => (&bytes[..at], &bytes[at + 2..]),
        _ => (bytes, &bytes[bytes.len()..]),
    };
    let head = String::from_utf8_lossy(head).into_owned();
    let mut lines = head.lines();
    let line = lines.next().unwrap_or_default();
    let (method, after) = line.split_once(' ').unwrap_or((line, ""));
    let (target, version) = after.rsplit_once(' ').unwrap_or((after, ""));
    let headers: Vec<(String, String)> = lines.filter_map(|l| l.split_once(':')).map(|(n, v)| (n.to_owned(), v.trim().to_owned())).collect();
    let mut transaction = Transaction { method: method.to_owned(), target: target.to_owned(), version: version.to_owned(), headers, ..Transaction::default() };
    let chunked = transaction.header("transfer-encoding").is_some_and(|t| t.to_ascii_lowercase().contains("chunked"));
    if chunked && let Some((body, rest)) = unchunk(rest) {
        transaction.body = body;
        // The body is whole now: its framing is no sign of anything any more.
        transaction.headers.retain(|(n, _)| !n.eq_ignore_ascii_case("transfer-encoding"));
        return (transaction, rest);
    }
    let length = transaction.header("content-length").and_then(|l| l.parse().ok());
    let end = length.unwrap_or(if is_request(rest.trim_ascii_start()) { 0 } else { rest.len() }).min(rest.len());
    transaction.body = rest[..end].to_vec();
    (transaction, &rest[end..])
}

/// The chunks put together, and what follows the last (RFC 9112, section 7.1).
fn unchunk(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut body = Vec::new();
    loop {
        let end = memchr::memchr(b'\n', rest)?;
        let size = std::str::from_utf8(&rest[..end]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        rest = &rest[end + 1..];
        if size == 0 {
            let trailer = memchr::memchr(b'\n', rest).map_or(rest.len(), |n| n + 1);
            return Some((body, &rest[trailer..]));
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size..)?;
        rest = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n")).unwrap_or(rest);
    }
}
