//! Undoing what senders wrap values in. Every decoder takes bytes and gives bytes, or nothing if it does not
//! apply; none fails.

use std::io::Read;

/// What one decoder may produce.
pub const DECODED_BYTES_MAX: usize = 1 << 20;

/// Percent-encoding as RFC 3986 has it, `%uXXXX` as IIS reads it, and `+` as a space if `form`.
/// Overlong and full-width forms become the ASCII that lenient servers make of them.
pub fn url(bytes: &[u8], form: bool) -> Option<Vec<u8>> {
    let applies = |i: usize| bytes[i] == b'%' && escape(bytes, i).is_some();
    let plus = form && memchr::memchr(b'+', bytes).is_some();
    if !plus && !memchr::memchr_iter(b'%', bytes).any(applies) {
        return None;
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b'+' if form => out.push(b' '),
            b'%' => {
                if let Some((code, used)) = escape(bytes, i) {
                    push_code(&mut out, code, used == 3);
                    i += used;
                    continue;
                }
                out.push(b'%');
            }
            byte => out.push(byte),
        }
        i += 1;
    }
    Some(straighten(out))
}

fn push_code(out: &mut Vec<u8>, code: u32, byte: bool) {
    if byte {
        out.push(code as u8);
    } else {
        let c = char::from_u32(code).unwrap_or('\u{fffd}');
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

/// The code of `%XX` or `%uXXXX` at `i`, and its length.
fn escape(bytes: &[u8], i: usize) -> Option<(u32, usize)> {
    if matches!(bytes.get(i + 1), Some(b'u' | b'U')) {
        return Some((hex_code(bytes.get(i + 2..i + 6)?)?, 6));
    }
    Some((hex_code(bytes.get(i + 1..i + 3)?)?, 3))
}

pub fn hex_code(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |code, d| Some(code << 4 | (*d as char).to_digit(16)?))
}

/// Overlong UTF-8 (`C0 AF` for `/`) and full-width forms (U+FF01 to U+FF5E) as ASCII.
pub fn straighten(bytes: Vec<u8>) -> Vec<u8> {
    if !bytes.iter().any(|b| matches!(b, 0xc0 | 0xc1 | 0xe0 | 0xe2 | 0xef | 0xf0)) {
        return bytes;
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let (byte, used) = match bytes[i..] {
            [a @ (0xc0 | 0xc1), b, ..] if b & 0xc0 == 0x80 => ((a & 1) << 6 | b & 0x3f, 2),
            // Lenient decoders only mask the second byte, so that `C0 2F` is a slash as well.
            [0xc0, b, ..] if b.is_ascii() && b >= 0x20 => (b & 0x3f, 2),
            [0xe0, b @ (0x80 | 0x81), c, ..] if c & 0xc0 == 0x80 => ((b & 1) << 6 | c & 0x3f, 3),
            [0xf0, 0x80, b @ (0x80 | 0x81), c, ..] if c & 0xc0 == 0x80 => ((b & 1) << 6 | c & 0x3f, 4),
            // Characters that Windows' best fit makes slashes of.
            [0xe2, 0x88, 0x95, ..] | [0xe2, 0x81, 0x84, ..] => (b'/', 3),
            [0xe2, 0x88, 0x96, ..] => (b'\\', 3),
            [0xe2, 0x80, 0xa4, ..] => (b'.', 3),
            [0xef, 0xbc, c @ 0x81..=0xbf, ..] => (c - 0x60, 3),
            [0xef, 0xbd, c @ 0x80..=0x9e, ..] => (c - 0x20, 3),
            [byte, ..] => (byte, 1),
            [] => break,
        };
        out.push(byte);
        i += used;
    }
    out
}

/// HTML character references, with or without the semicolon, as browsers read them.
pub fn html(bytes: &[u8]) -> Option<Vec<u8>> {
    if !memchr::memchr_iter(b'&', bytes).any(|i| reference(&bytes[i..]).is_some()) {
        return None;
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        if bytes[i] == b'&'
            && let Some((code, used)) = reference(&bytes[i..])
        {
            push_code(&mut out, code, false);
            i += used;
            continue;
        }
        out.push(bytes[i]);
        i += 1;
    }
    Some(out)
}

/// Names that matter for markup and quotes; the thousands of others are letters and arrows.
const REFERENCES: [(&str, char); 27] = [
    ("lt", '<'), ("gt", '>'), ("amp", '&'), ("quot", '"'), ("apos", '\''), ("colon", ':'), ("lpar", '('), ("rpar", ')'),
    ("tab", '\t'), ("newline", '\n'), ("sol", '/'), ("bsol", '\\'), ("equals", '='), ("grave", '`'), ("lbrace", '{'),
    ("rbrace", '}'), ("lcub", '{'), ("rcub", '}'), ("lsqb", '['), ("rsqb", ']'), ("semi", ';'), ("comma", ','),
    ("period", '.'), ("excl", '!'), ("num", '#'), ("dollar", '$'), ("nbsp", ' '),
];

fn reference(at: &[u8]) -> Option<(u32, usize)> {
    let (radix, start) = match at {
        [_, b'#', b'x' | b'X', ..] => (16, 3),
        [_, b'#', ..] => (10, 2),
        _ => return named(at),
    };
    let digits = at[start..].iter().take(10).take_while(|b| (**b as char).is_digit(radix)).count();
    if digits == 0 {
        return None;
    }
    let text = std::str::from_utf8(&at[start..start + digits]).ok()?;
    let code = u32::from_str_radix(text, radix).ok()?;
    let end = start + digits;
    Some((code, end + usize::from(at.get(end) == Some(&b';'))))
}

fn named(at: &[u8]) -> Option<(u32, usize)> {
    let len = at[1..].iter().take(8).take_while(|b| b.is_ascii_alphanumeric()).count();
    if at.get(len + 1) != Some(&b';') {
        return None;
    }
    let (_, c) = REFERENCES.iter().find(|(name, _)| at[1..=len].eq_ignore_ascii_case(name.as_bytes()))?;
    Some((*c as u32, len + 2))
}

/// `\uXXXX`, `\u{X}`, `\xXX`, `\NNN` and the one-letter escapes of JavaScript and C.
pub fn escapes(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut at = memchr::memchr_iter(b'\\', bytes);
    if !at.any(|i| matches!(bytes.get(i + 1), Some(b'u' | b'x' | b'0'..=b'7' | b'"' | b'\'' | b'/' | b'n' | b't' | b'r'))) {
        return None;
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    let mut changed = false;
    while i < bytes.len() {
        if bytes[i] == b'\\'
            && let Some((code, used)) = backslash(&bytes[i..])
        {
            push_code(&mut out, code, code < 0x80);
            i += used;
            changed = true;
            continue;
        }
        out.push(bytes[i]);
        i += 1;
    }
    changed.then(|| straighten(out))
}

fn backslash(at: &[u8]) -> Option<(u32, usize)> {
    match at {
        [_, b'u', b'{', ..] => {
            let digits = at[3..].iter().take(6).take_while(|b| b.is_ascii_hexdigit()).count();
            (at.get(3 + digits) == Some(&b'}')).then_some(())?;
            Some((hex_code(&at[3..3 + digits])?, digits + 4))
        }
        [_, b'u', ..] => Some((hex_code(at.get(2..6)?)?, 6)),
        // As CSS escapes: up to six digits, here those of ASCII.
        [_, b'0', b'0', a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => Some((hex_code(&at[3..5])?, 5)),
        [_, b'x', ..] => Some((hex_code(at.get(2..4)?)?, 4)),
        [_, b'0'..=b'3', b'0'..=b'7', b'0'..=b'7', ..] => {
            Some((at[1..4].iter().fold(0, |code, d| code << 3 | u32::from(d - b'0')), 4))
        }
        [_, c @ (b'"' | b'\'' | b'/'), ..] => Some((u32::from(*c), 2)),
        // Only where no path can be meant: `\temp\new` stays.
        [_, b'n', b'\\' | b' ' | b'<' | b'"', ..] | [_, b'n'] => Some((10, 2)),
        [_, b'r', b'\\', ..] => Some((13, 2)),
        _ => None,
    }
}

/// UTF-7 (`+ADw-script+AD4-`), which old browsers sniffed.
pub fn utf7(bytes: &[u8]) -> Option<Vec<u8>> {
    memchr::memmem::find(bytes, b"+A")?;
    let mut out = Vec::with_capacity(bytes.len());
    let (mut i, mut changed) = (0, false);
    while i < bytes.len() {
        if bytes[i] == b'+' && bytes.get(i + 1) == Some(&b'A') {
            let len = bytes[i + 1..].iter().take(64).take_while(|b| b.is_ascii_alphanumeric() || **b == b'/').count();
            if let Some(units) = base64_decode(&bytes[i + 1..i + 1 + len]).filter(|u| u.len() >= 2 && u[0] == 0 && u[1].is_ascii()) {
                out.extend(units.chunks_exact(2).map(|pair| pair[1]));
                i += 1 + len;
                i += usize::from(bytes.get(i) == Some(&b'-'));
                changed = true;
                continue;
            }
        }
        out.push(bytes[i]);
        i += 1;
    }
    changed.then_some(out)
}

/// Shortest Base64 that is tried.
const BASE64_CHARS_MIN: usize = 8;

/// Base64 or its URL alphabet, if all of the value is it and it says something: text, or an object's beginning.
pub fn base64(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = bytes.trim_ascii();
    let head = text.get(..BASE64_CHARS_MIN)?;
    // Most tokens fail here: three of four random bytes are no text.
    let mut first = [0u8; 6];
    let (mut held, mut bits, mut n) = (0u32, 0, 0);
    for &b in head {
        held = held << 6 | u32::from(sextet(b)?);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            first[n] = (held >> bits) as u8;
            n += 1;
        }
    }
    if !is_text(&first) && !is_magic(&first) {
        return None;
    }
    let decoded = base64_decode(&text[..text.len().min(DECODED_BYTES_MAX)])?;
    (is_text(&decoded) || is_magic(&first)).then_some(decoded)
}

fn is_magic(head: &[u8]) -> bool {
    head.starts_with(&[0x1f, 0x8b]) || head.starts_with(&[0xac, 0xed]) || head.starts_with(&[0x80, 4, 0x95]) || head.starts_with(&[0, 1, 0, 0])
}

/// Whether nearly all bytes are printable or UTF-8.
pub fn is_text(bytes: &[u8]) -> bool {
    let valid = match std::str::from_utf8(bytes) {
        Ok(_) => bytes.len(),
        Err(e) if e.error_len().is_none() => e.valid_up_to(),
        Err(_) => return false,
    };
    valid > 0 && bytes[..valid].iter().all(|b| *b >= 0x20 && *b != 0x7f || matches!(b, b'\t' | b'\r' | b'\n' | 0))
}

fn sextet(b: u8) -> Option<u8> {
    Some(match b {
        b'A'..=b'Z' => b - b'A',
        b'a'..=b'z' => b - b'a' + 26,
        b'0'..=b'9' => b - b'0' + 52,
        // A form makes a space of the plus sign.
        b'+' | b'-' | b' ' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

pub fn base64_decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut held, mut bits) = (0u32, 0);
    for (i, &b) in text.iter().enumerate() {
        let six = match b {
            b'=' if text.len() - i <= 2 && text[i..].iter().all(|b| *b == b'=') => break,
            b'\r' | b'\n' => continue,
            b => sextet(b)?,
        };
        held = held << 6 | u32::from(six);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((held >> bits) as u8);
        }
    }
    Some(out)
}

/// Hexadecimal text of at least eight bytes.
pub fn hex(bytes: &[u8]) -> Option<Vec<u8>> {
    let digits = bytes.strip_prefix(b"0x").or_else(|| bytes.strip_prefix(b"0X")).unwrap_or(bytes);
    if digits.len() < 16 || digits.len() % 2 != 0 || digits.len() > 2 * DECODED_BYTES_MAX || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let decoded: Vec<u8> = digits.chunks_exact(2).map(|pair| hex_code(pair).unwrap_or(0) as u8).collect();
    is_text(&decoded).then_some(decoded)
}

/// What inflating gave, and whether there was more than [`DECODED_BYTES_MAX`].
pub struct Inflated {
    pub bytes: Vec<u8>,
    pub cut: bool,
}

pub fn gzip(bytes: &[u8]) -> Option<Inflated> {
    bytes.starts_with(&[0x1f, 0x8b]).then_some(())?;
    inflate(flate2::read::MultiGzDecoder::new(bytes))
}

/// `deflate` as RFC 9110 means it (zlib), and raw as some clients send it.
pub fn deflate(bytes: &[u8]) -> Option<Inflated> {
    inflate(flate2::read::ZlibDecoder::new(bytes)).or_else(|| inflate(flate2::read::DeflateDecoder::new(bytes)))
}

fn inflate(reader: impl Read) -> Option<Inflated> {
    let mut bytes = Vec::new();
    let ended = reader.take(DECODED_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
    let cut = bytes.len() > DECODED_BYTES_MAX;
    bytes.truncate(DECODED_BYTES_MAX);
    // A stream that breaks off still gave what an application would read first.
    (ended.is_ok() || !bytes.is_empty()).then_some(Inflated { bytes, cut })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: Option<Vec<u8>>) -> Option<String> {
        bytes.map(|b| String::from_utf8_lossy(&b).into_owned())
    }

    #[test]
    fn each_decoder_undoes_its_encoding_and_leaves_the_rest() {
        assert_eq!(text(url(b"%3Cscript%3E", false)).as_deref(), Some("<script>"));
        assert_eq!(text(url(b"a+b", true)).as_deref(), Some("a b"));
        assert_eq!(text(url(b"%u003cb%uff1e", false)).as_deref(), Some("<b>"));
        assert_eq!(text(url(b"..%c0%af..%e0%80%af", false)).as_deref(), Some("../../"));
        assert_eq!(text(url(b"100%", false)), None);
        assert_eq!(text(html(b"&lt;a&#x3e;&#39;&quot;")).as_deref(), Some("<a>'\""));
        assert_eq!(text(html(b"a&b=c&d")), None);
        assert_eq!(text(escapes(b"\\u003cb\\x3e\\u{41}\\101")).as_deref(), Some("<b>AA"));
        assert_eq!(text(escapes(b"C:\\temp\\new")), None);
        assert_eq!(text(utf7(b"+ADw-script+AD4-")).as_deref(), Some("<script>"));
        assert_eq!(text(base64(b"PHNjcmlwdD4=")).as_deref(), Some("<script>"));
        assert_eq!(text(base64(b"kQmVx8Lw0aTz")), None);
        assert_eq!(text(hex(b"3c7363726970743e")).as_deref(), Some("<script>"));
        assert_eq!(text(hex(b"deadbeefdeadbeef")), None);
    }

    #[test]
    fn inflating_is_bounded() {
        let mut packed = Vec::new();
        let zeros = vec![b'a'; DECODED_BYTES_MAX * 2];
        flate2::read::GzEncoder::new(&zeros[..], flate2::Compression::fast()).read_to_end(&mut packed).unwrap();
        let inflated = gzip(&packed).unwrap();
        assert!(inflated.cut);
        assert_eq!(inflated.bytes.len(), DECODED_BYTES_MAX);
        assert!(gzip(b"\x1f\x8bnonsense").is_none());
    }
}
