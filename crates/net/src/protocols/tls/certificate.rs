//! The facts of an X.509 certificate (RFC 5280): who, for whom, how long. Nothing is verified.

use crate::bytes::{Cursor, hex, text};
use crate::der::{SEQUENCE, element, expect};
use event::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

const NAME_CHARS_MAX: usize = 512;
/// Alternative names kept; their number is told in full.
const NAMES_MAX: usize = 16;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Certificate {
    pub subject: String,
    pub issuer: String,
    pub serial: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// Issuer and subject are the same bytes.
    pub self_signed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    pub names_count: u32,
    /// SHA-256 of the whole certificate.
    pub sha256: String,
}

/// The certificates of a handshake message of TLS 1.2: how many, and the first, which is the server's own.
pub fn chain(body: &[u8]) -> (u32, Option<Certificate>) {
    let mut list = Cursor::new(Cursor::new(body).block24().unwrap_or_default());
    let all: Vec<&[u8]> = std::iter::from_fn(|| list.block24()).take(64).collect();
    (all.len() as u32, all.first().and_then(|der| certificate(der)))
}

const OID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;

pub fn certificate(der: &[u8]) -> Option<Certificate> {
    let mut outer = Cursor::new(expect(&mut Cursor::new(der), SEQUENCE)?);
    let mut body = Cursor::new(expect(&mut outer, SEQUENCE)?);
    let (mut tag, mut contents, _) = element(&mut body)?;
    if tag == 0xa0 {
        (tag, contents, _) = element(&mut body)?;
    }
    if tag != 0x02 {
        return None;
    }
    let serial = hex(&contents[..contents.len().min(32)]);
    let _algorithm = expect(&mut body, SEQUENCE)?;
    let (_, issuer, issuer_bytes) = element(&mut body)?;
    let mut validity = Cursor::new(expect(&mut body, SEQUENCE)?);
    let (not_before, not_after) = (time(&mut validity), time(&mut validity));
    let (_, subject, subject_bytes) = element(&mut body)?;
    let _key = expect(&mut body, SEQUENCE)?;
    let mut found = Certificate {
        subject: name(subject),
        issuer: name(issuer),
        serial,
        not_before,
        not_after,
        self_signed: issuer_bytes == subject_bytes,
        sha256: hex(&Sha256::digest(der)),
        ..Certificate::default()
    };
    while let Some((tag, contents, _)) = element(&mut body) {
        if tag == 0xa3 {
            alternative_names(contents, &mut found);
        }
    }
    Some(found)
}

/// A distinguished name, `CN=…, O=…`, as it is ordered in the certificate.
fn name(contents: &[u8]) -> String {
    let mut parts = Vec::new();
    let mut sets = Cursor::new(contents);
    while let Some((_, set, _)) = element(&mut sets) {
        let mut set = Cursor::new(set);
        while let Some(pair) = expect(&mut set, SEQUENCE) {
            let mut pair = Cursor::new(pair);
            if let (Some(oid), Some((_, value, _))) = (expect(&mut pair, OID), element(&mut pair)) {
                parts.push(format!("{}={}", attribute(oid), text(value, 128)));
            }
        }
        if parts.len() > 32 {
            break;
        }
    }
    text(parts.join(", ").as_bytes(), NAME_CHARS_MAX)
}

fn attribute(oid: &[u8]) -> String {
    match oid {
        [0x55, 4, 3] => "CN".into(),
        [0x55, 4, 5] => "serialNumber".into(),
        [0x55, 4, 6] => "C".into(),
        [0x55, 4, 7] => "L".into(),
        [0x55, 4, 8] => "ST".into(),
        [0x55, 4, 9] => "street".into(),
        [0x55, 4, 10] => "O".into(),
        [0x55, 4, 11] => "OU".into(),
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1] => "emailAddress".into(),
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25] => "DC".into(),
        other => hex(&other[..other.len().min(16)]),
    }
}

fn time(cursor: &mut Cursor<'_>) -> Option<Timestamp> {
    let (tag, contents, _) = element(cursor)?;
    let digits = std::str::from_utf8(contents).ok().filter(|t| t.is_ascii())?;
    // Two digits of a year are 1950 to 2049 (RFC 5280, section 4.1.2.5.1).
    let (year, rest) = match tag {
        UTC_TIME => {
            let year: u16 = digits.get(..2)?.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, digits.get(2..)?)
        }
        GENERALIZED_TIME => (digits.get(..4)?.parse().ok()?, digits.get(4..)?),
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2).filter(|p| p.bytes().all(|b| b.is_ascii_digit()));
    let seconds = part(8).unwrap_or("00");
    Timestamp::parse(&format!("{year:04}-{}-{}T{}:{}:{seconds}Z", part(0)?, part(2)?, part(4)?, part(6)?))
}

fn alternative_names(contents: &[u8], into: &mut Certificate) {
    let mut extensions = Cursor::new(expect(&mut Cursor::new(contents), SEQUENCE).unwrap_or_default());
    while let Some(extension) = expect(&mut extensions, SEQUENCE) {
        let mut extension = Cursor::new(extension);
        if expect(&mut extension, OID) != Some(&[0x55, 0x1d, 0x11]) {
            continue;
        }
        let mut value = element(&mut extension);
        if value.is_some_and(|(tag, ..)| tag == 0x01) {
            value = element(&mut extension);
        }
        let Some((_, value, _)) = value else { continue };
        let mut names = Cursor::new(expect(&mut Cursor::new(value), SEQUENCE).unwrap_or_default());
        while let Some((tag, name, _)) = element(&mut names) {
            let shown = match (tag, name) {
                (DNS_NAME, name) => text(name, 255),
                (IP_ADDRESS, [a, b, c, d]) => std::net::Ipv4Addr::new(*a, *b, *c, *d).to_string(),
                (IP_ADDRESS, name) => <[u8; 16]>::try_from(name).map_or_else(|_| hex(name), |ip| std::net::Ipv6Addr::from(ip).to_string()),
                _ => continue,
            };
            into.names_count += 1;
            if into.names.len() < NAMES_MAX {
                into.names.push(shown);
            }
        }
    }
}
