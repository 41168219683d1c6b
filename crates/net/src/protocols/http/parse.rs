//! Heads of messages (RFC 9112, sections 2 to 6).

use crate::bytes::text;

/// Headers of one message.
const HEADERS_MAX: usize = 256;
const LINE_BYTES_MAX: usize = 16 << 10;

/// A first line in its three parts, and the headers in order.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    pub first: [String; 3],
    pub headers: Vec<(String, String)>,
}

/// How a body's end is known.
#[derive(Debug, PartialEq, Eq)]
pub enum Length {
    Known(u64),
    Chunked,
    UntilClose,
}

/// Bytes of a head with the empty line that ends it, searched from a place on.
pub fn head_len(bytes: &[u8], from: usize) -> Option<usize> {
    let mut from = from.min(bytes.len());
    while let Some(at) = bytes[from..].iter().position(|b| *b == b'\n') {
        let next = from + at + 1;
        match bytes.get(next..) {
            Some([b'\n', ..]) => return Some(next + 1),
            Some([b'\r', b'\n', ..]) => return Some(next + 2),
            _ => from = next,
        }
    }
    None
}

pub fn head(bytes: &[u8]) -> Option<Head> {
    let mut lines = bytes.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let first = text(lines.next()?, LINE_BYTES_MAX);
    let (one, rest) = first.split_once(' ')?;
    // A target with spaces is wrong, and sent all the same: the version is the last word.
    let (two, three) = if one.starts_with("HTTP/") { rest.split_once(' ').unwrap_or((rest, "")) } else { rest.rsplit_once(' ').unwrap_or((rest, "")) };
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in lines {
        if line.is_empty() || headers.len() >= HEADERS_MAX {
            break;
        }
        let line = text(line, LINE_BYTES_MAX);
        if line.starts_with([' ', '\t']) {
            // A folded line (obsolete) goes on with the one before.
            if let Some((_, value)) = headers.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim_end().to_owned(), value.trim().to_owned()));
        }
    }
    Some(Head { first: [one.to_owned(), two.to_owned(), three.to_owned()], headers })
}

pub fn status(head: &Head) -> Option<u16> {
    head.first[0].strip_prefix("HTTP/1.")?;
    head.first[1].parse().ok().filter(|s| (100..1000).contains(s))
}

pub fn find<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
}

fn stated(headers: &[(String, String)]) -> Option<Length> {
    // Chunked decides over a length (RFC 9112, section 6.3).
    if find(headers, "transfer-encoding").is_some_and(|v| v.to_ascii_lowercase().contains("chunked")) {
        return Some(Length::Chunked);
    }
    find(headers, "content-length").and_then(|v| v.split(',').next()?.trim().parse().ok()).map(Length::Known)
}

pub fn request_body(headers: &[(String, String)]) -> Length {
    stated(headers).unwrap_or(Length::Known(0))
}

pub fn response_body(headers: &[(String, String)]) -> Length {
    stated(headers).unwrap_or(Length::UntilClose)
}
