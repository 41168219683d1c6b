//! Encodings: byte order marks, UTF-16, invalid UTF-8, percent encoding.

use crate::issue;
use bytes::Bytes;
use event::Issue;
use std::borrow::Cow;

/// The body without a UTF-8 byte order mark, or converted from UTF-16 where its mark says so.
pub(crate) fn decode(body: &Bytes) -> (Bytes, Option<Issue>) {
    match body.as_ref() {
        [0xEF, 0xBB, 0xBF, ..] => (body.slice(3..), None),
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => (body.clone(), None),
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> (Bytes, Option<Issue>) {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    let mut text: String =
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    if bytes.len() % 2 == 1 {
        text.push(char::REPLACEMENT_CHARACTER);
    }
    (text.into(), Some(issue::issue("utf16", "converted from UTF-16")))
}

/// The bytes as text; the second value says whether some had to be replaced.
pub(crate) fn lossy(bytes: &[u8]) -> (Cow<'_, str>, bool) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Cow::Borrowed(text), false),
        Err(_) => (String::from_utf8_lossy(bytes), true),
    }
}

/// At most `bytes_max` bytes from the start, cut at a character's border.
pub(crate) fn head(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// How often a percent-encoded text is decoded again: attackers encode twice, and a proxy and an
/// application may decode one time each.
const DECODE_ROUNDS_MAX: usize = 3;

/// The form of a request target that the attacker's code ends up with: percent escapes undone (up to
/// three layers), `+` in the query read as a space. `None` when that changes nothing.
pub(crate) fn decode_target(target: &str) -> Option<String> {
    memchr::memchr2(b'%', b'+', target.as_bytes())?;
    let query_at = target.find('?').unwrap_or(target.len());
    let mut bytes = target.as_bytes().to_vec();
    for byte in &mut bytes[query_at..] {
        if *byte == b'+' {
            *byte = b' ';
        }
    }
    for _ in 0..DECODE_ROUNDS_MAX {
        if !decode_percent(&mut bytes) {
            break;
        }
    }
    let decoded = String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    (decoded != target).then_some(decoded)
}

/// Undoes one layer in place; returns whether there was anything to undo.
fn decode_percent(bytes: &mut Vec<u8>) -> bool {
    let Some(first) = memchr::memchr(b'%', bytes) else { return false };
    let (mut from, mut to) = (first, first);
    while from < bytes.len() {
        let hex = |at: usize| bytes.get(at).and_then(|b| (*b as char).to_digit(16));
        if bytes[from] == b'%'
            && let (Some(high), Some(low)) = (hex(from + 1), hex(from + 2))
        {
            bytes[to] = (high * 16 + low) as u8;
            from += 3;
        } else {
            bytes[to] = bytes[from];
            from += 1;
        }
        to += 1;
    }
    let changed = to != bytes.len();
    bytes.truncate(to);
    changed
}

/// Shortest and longest Base64 text that is looked into, and how many of one target.
const BASE64_CHARS_MIN: usize = 12;
const BASE64_CHARS_MAX: usize = 8192;
const BASE64_TOKENS_MAX: usize = 16;

/// The target with the Base64 in it replaced by what it stands for, where that is text: a payload is no less
/// one for being wrapped, and applications that take Base64 undo it. `None` when there is none.
pub(crate) fn unwrap_base64(target: &str) -> Option<String> {
    let in_alphabet = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_');
    let bytes = target.as_bytes();
    let (mut plain, mut kept, mut at, mut tokens) = (String::new(), 0, 0, 0);
    while at < bytes.len() && tokens < BASE64_TOKENS_MAX {
        if !in_alphabet(bytes[at]) || bytes[at] == b'/' {
            at += 1;
            continue;
        }
        let end = at + bytes[at..].iter().take_while(|b| in_alphabet(**b)).count();
        if (BASE64_CHARS_MIN..=BASE64_CHARS_MAX).contains(&(end - at)) {
            tokens += 1;
            if let Some(text) = base64_text(&bytes[at..end]) {
                plain.push_str(&target[kept..at]);
                plain.push_str(&text);
                kept = end + bytes[end..].iter().take(2).take_while(|b| **b == b'=').count();
            }
        }
        at = end.max(kept);
    }
    plain.push_str(&target[kept..]);
    (kept > 0).then_some(plain)
}

/// Decodes standard or URL-safe Base64 without its padding. `None` as soon as a byte is not printable text,
/// which for a word that only looks like Base64 is nearly always among the first three.
fn base64_text(token: &[u8]) -> Option<String> {
    if token.len() % 4 == 1 {
        return None;
    }
    let mut text = String::with_capacity(token.len() * 3 / 4);
    let (mut bits, mut count) = (0u32, 0);
    for byte in token {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            _ => 63,
        };
        (bits, count) = (bits << 6 | u32::from(value), count + 6);
        if count >= 8 {
            count -= 8;
            let byte = (bits >> count) as u8;
            if !matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..0x7F) {
                return None;
            }
            text.push(byte as char);
        }
    }
    Some(text)
}

/// Undoes the escapes that nginx and Apache write for printable characters (`\"`, `\\`, `\x22`). Escapes
/// of control and non-ASCII bytes stay as written: they are how a log shows binary probes.
pub(crate) fn unescape(text: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        let escape = &rest[at..];
        let (written, len) = match escape.as_bytes() {
            [_, quote @ (b'"' | b'\\'), ..] => (*quote as char, 2),
            [_, b'x', high, low, ..] => match hex_printable(*high, *low) {
                Some(printable) => (printable, 4),
                None => ('\\', 1),
            },
            _ => ('\\', 1),
        };
        plain.push(written);
        rest = &escape[len..];
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

fn hex_printable(high: u8, low: u8) -> Option<char> {
    let value = (high as char).to_digit(16)? * 16 + (low as char).to_digit(16)?;
    (0x20..0x7F).contains(&value).then_some(value as u8 as char)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_decoded_as_deep_as_attackers_nest() {
        assert_eq!(decode_target("/plain?a=b"), None);
        assert_eq!(decode_target("/%252E%252e/x").as_deref(), Some("/../x"));
        assert_eq!(decode_target("/a+b?q=1+union%20select").as_deref(), Some("/a+b?q=1 union select"));
        assert_eq!(decode_target("/%%32%65%%32%65/").as_deref(), Some("/../"));
        assert_eq!(decode_target("/100%"), None);
        assert_eq!(decode_target("/%ff").as_deref(), Some("/\u{fffd}"));
    }

    #[test]
    fn base64_is_unwrapped_where_it_is_text() {
        let unwrapped = |target: &str| unwrap_base64(target);
        assert_eq!(unwrapped("/?q=Li4vLi4vZXRjL3Bhc3N3ZA==&x=1").as_deref(), Some("/?q=../../etc/passwd&x=1"));
        assert_eq!(unwrapped("/PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg").as_deref(), Some("/<script>alert(1)</script>"));
        for none in ["/static/images/logo.png", "/administrator/index", "/?id=1234567890123456", "/?t=short", "/", "/?q=AAAAAAAAAAAAAAAA"] {
            assert_eq!(unwrapped(none), None, "{none}");
        }
        assert_eq!(unwrap_base64(&"/é".repeat(100)), None);
    }

    #[test]
    fn log_escapes_of_printable_characters_are_undone() {
        assert_eq!(unescape(r#"a\"b\\c\x22d\x5C"#), r#"a"b\c"d\"#);
        assert_eq!(unescape(r"\x16\x03\n\xZZ\"), r"\x16\x03\n\xZZ\");
        assert_eq!(unescape("\\x2é"), "\\x2é");
    }

    #[test]
    fn utf16_is_converted_and_said_so() {
        let le: Vec<u8> = "\u{feff}{\"a\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let (body, note) = decode(&le.into());
        assert_eq!(&body[..], b"{\"a\":1}");
        assert_eq!(note.map(|n| n.code), Some("utf16"));
        let (body, _) = decode(&Bytes::from_static(&[0xFE, 0xFF, 0xD8, 0x00, 0x41]));
        assert_eq!(&body[..], "\u{fffd}\u{fffd}".as_bytes());
    }
}
