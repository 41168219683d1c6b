//! The wire format of RFC 1035, section 4. Compression pointers only go back, so that no name loops.

use super::Answer;
use crate::bytes::{be16, be32, hex, text};
use std::borrow::Cow;
use std::fmt::Write;

/// Longest name on the wire (RFC 1035, section 2.3.4).
const NAME_BYTES_MAX: usize = 255;
/// Answers of one message that are kept.
pub const ANSWERS_MAX: usize = 64;
/// Characters kept of an answer's data.
const DATA_CHARS_MAX: usize = 1_024;

#[derive(Clone, Debug)]
pub struct Message {
    pub id: u16,
    pub response: bool,
    pub opcode: u8,
    pub authoritative: bool,
    pub truncated: bool,
    pub recursion_desired: bool,
    pub recursion_available: bool,
    pub rcode: u16,
    pub name: String,
    pub kind: u16,
    pub class: u16,
    pub answers: Vec<Answer>,
    pub answer_count: u16,
    pub bytes: usize,
}

impl Message {
    /// Answers repeat the question; names may differ in case (draft-vixie-dnsext-dns0x20).
    pub fn same_question(&self, answer: &Self) -> bool {
        self.kind == answer.kind && self.name.eq_ignore_ascii_case(&answer.name)
    }
}

/// Whether a header could be DNS: a known operation, and counts that fit it.
pub fn plausible_header(header: &[u8]) -> bool {
    let (Some(bits), Some(questions), Some(answers), Some(authority), Some(additional)) = (be16(header, 2), be16(header, 4), be16(header, 6), be16(header, 8), be16(header, 10)) else { return false };
    let (response, opcode, rcode) = (bits & 0x8000 != 0, bits >> 11 & 15, bits & 15);
    let known = matches!(opcode, 0 | 1 | 2 | 4 | 5 | 6 | 7 | 8 | 15) && rcode <= 11 && bits & 0x0040 == 0;
    let counts = if response {
        questions <= 1 && answers <= 512 && authority <= 256 && additional <= 256 && (questions == 1 || answers > 0)
    } else {
        (1..=16).contains(&questions) && rcode == 0 && answers <= 64 && additional <= 16
    };
    known && counts
}

pub fn plausible(bytes: &[u8]) -> bool {
    bytes.len() >= 17 && plausible_header(bytes)
}

pub fn message(bytes: &[u8]) -> Option<Message> {
    let bits = be16(bytes, 2)?;
    let (questions, answer_count) = (be16(bytes, 4)?, be16(bytes, 6)?);
    let mut at = 12;
    let (mut name, mut kind, mut class) = (String::new(), 0, 0);
    for question in 0..questions.min(16) {
        let (asked, end) = read_name(bytes, at)?;
        let (asked_kind, asked_class) = (be16(bytes, end)?, be16(bytes, end + 2)?);
        // The high bit asks for a unicast answer in multicast DNS (RFC 6762, section 5.4).
        if !matches!(asked_class & 0x7fff, 1 | 2 | 3 | 4 | 254 | 255) || asked_kind == 0 {
            return None;
        }
        if question == 0 {
            (name, kind, class) = (asked, asked_kind, asked_class & 0x7fff);
        }
        at = end + 4;
    }
    let response = bits & 0x8000 != 0;
    let mut answers = Vec::new();
    for _ in 0..usize::from(answer_count).min(ANSWERS_MAX) {
        let Some((answer, end)) = read_answer(bytes, at) else {
            // A cut message still tells its question; one without it tells nothing.
            if questions == 0 {
                return None;
            }
            break;
        };
        answers.push(answer);
        at = end;
    }
    Some(Message {
        id: be16(bytes, 0)?,
        response,
        opcode: (bits >> 11 & 15) as u8,
        authoritative: bits & 0x0400 != 0,
        truncated: bits & 0x0200 != 0,
        recursion_desired: bits & 0x0100 != 0,
        recursion_available: bits & 0x0080 != 0,
        rcode: bits & 15,
        name,
        kind,
        class,
        answers,
        answer_count,
        bytes: bytes.len(),
    })
}

/// A name as text, and where the message goes on. Bytes that are not plain become `\DDD` (RFC 4343).
fn read_name(bytes: &[u8], start: usize) -> Option<(String, usize)> {
    let mut name = String::new();
    let (mut at, mut end, mut total) = (start, None, 0usize);
    loop {
        let len = usize::from(*bytes.get(at)?);
        match len >> 6 {
            0 if len == 0 => {
                let end = end.unwrap_or(at + 1);
                if name.is_empty() {
                    name.push('.');
                }
                return Some((name, end));
            }
            0 => {
                total += len + 1;
                if total > NAME_BYTES_MAX {
                    return None;
                }
                if !name.is_empty() {
                    name.push('.');
                }
                push_label(&mut name, bytes.get(at + 1..at + 1 + len)?);
                at += 1 + len;
            }
            3 => {
                let to = usize::from(be16(bytes, at)? & 0x3fff);
                end.get_or_insert(at + 2);
                if to >= at {
                    return None;
                }
                at = to;
                // Pointers go back only, but labels between may lead to the same pointer again.
                total += 1;
                if total > NAME_BYTES_MAX {
                    return None;
                }
            }
            _ => return None,
        }
    }
}

fn push_label(name: &mut String, label: &[u8]) {
    if label.iter().all(|b| matches!(b, b'!'..=b'~') && !matches!(b, b'.' | b'\\')) {
        name.push_str(std::str::from_utf8(label).unwrap_or_default());
        return;
    }
    for byte in label {
        match byte {
            b'.' | b'\\' => {
                name.push('\\');
                name.push(*byte as char);
            }
            b' '..=b'~' => name.push(*byte as char),
            // Writing to a string cannot fail.
            other => drop(write!(name, "\\{other:03}")),
        }
    }
}

fn read_answer(bytes: &[u8], at: usize) -> Option<(Answer, usize)> {
    let (name, at) = read_name(bytes, at)?;
    let (kind, ttl, len) = (be16(bytes, at)?, be32(bytes, at + 4)?, usize::from(be16(bytes, at + 8)?));
    let data_at = at + 10;
    let data = bytes.get(data_at..data_at + len)?;
    let data = describe(bytes, kind, data_at, data).unwrap_or_else(|| hex(&data[..data.len().min(DATA_CHARS_MAX / 2)]));
    Some((Answer { name, kind: name_of_type(kind), ttl, data }, data_at + len))
}

/// An answer's data in the text form of zone files, for the types people look at.
fn describe(bytes: &[u8], kind: u16, at: usize, data: &[u8]) -> Option<String> {
    Some(match kind {
        1 => std::net::Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).to_string(),
        28 => std::net::Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).to_string(),
        2 | 5 | 12 | 39 => read_name(bytes, at)?.0,
        15 => format!("{} {}", be16(data, 0)?, read_name(bytes, at + 2)?.0),
        33 => format!("{} {} {} {}", be16(data, 0)?, be16(data, 2)?, be16(data, 4)?, read_name(bytes, at + 6)?.0),
        6 => {
            let (primary, end) = read_name(bytes, at)?;
            let (contact, end) = read_name(bytes, end)?;
            format!("{primary} {contact} {}", be32(bytes, end)?)
        }
        16 => texts(data),
        _ => return None,
    })
}

fn texts(mut data: &[u8]) -> String {
    let mut all = Vec::new();
    while let Some((len, rest)) = data.split_first() {
        let count = usize::from(*len).min(rest.len());
        all.extend_from_slice(&rest[..count]);
        data = &rest[count..];
    }
    text(&all, DATA_CHARS_MAX)
}

/// The name of a record type in IANA's registry, `TYPE123` (RFC 3597) for others.
pub fn name_of_type(kind: u16) -> Cow<'static, str> {
    match kind {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        10 => "NULL",
        12 => "PTR",
        13 => "HINFO",
        15 => "MX",
        16 => "TXT",
        17 => "RP",
        24 => "SIG",
        25 => "KEY",
        28 => "AAAA",
        29 => "LOC",
        32 => "NB",
        33 => "SRV",
        35 => "NAPTR",
        39 => "DNAME",
        41 => "OPT",
        43 => "DS",
        44 => "SSHFP",
        46 => "RRSIG",
        47 => "NSEC",
        48 => "DNSKEY",
        50 => "NSEC3",
        52 => "TLSA",
        64 => "SVCB",
        65 => "HTTPS",
        99 => "SPF",
        249 => "TKEY",
        250 => "TSIG",
        251 => "IXFR",
        252 => "AXFR",
        255 => "ANY",
        256 => "URI",
        257 => "CAA",
        other => return format!("TYPE{other}").into(),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_that_loop_or_go_forward_end_the_name() {
        let mut bytes = vec![0; 12];
        bytes.extend([0xc0, 12]);
        assert!(read_name(&bytes, 12).is_none());
        bytes.extend([1, b'a', 0xc0, 14]);
        assert!(read_name(&bytes, 14).is_none());
        let mut ok = vec![0; 12];
        ok.extend(b"\x03www\x02ex\0\x01a\xc0\x10");
        assert_eq!(read_name(&ok, 20), Some(("a.ex".to_owned(), 24)));
    }

    #[test]
    fn strange_bytes_become_visible() {
        let mut name = String::new();
        push_label(&mut name, b"a.b\x07");
        assert_eq!(name, "a\\.b\\007");
    }
}
