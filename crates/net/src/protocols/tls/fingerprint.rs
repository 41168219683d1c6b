//! JA3 and JA3S (Salesforce, BSD-3) and JA4 (FoxIO, the client fingerprint only, BSD-3).

use super::hello::{Client, Server, is_grease};
use crate::bytes::hex;
use md5::Md5;
use sha2::{Digest, Sha256};

/// How the hello came, JA4's first letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    Tcp,
    Quic,
}

fn joined<T: ToString>(values: impl Iterator<Item = T>) -> String {
    values.map(|v| v.to_string()).collect::<Vec<_>>().join("-")
}

fn plain(values: &[u16]) -> impl Iterator<Item = u16> + '_ {
    values.iter().copied().filter(|v| !is_grease(*v))
}

/// The text JA3 hashes: version, ciphers, extensions, groups, point formats, in decimal and without GREASE.
pub fn ja3_text(hello: &Client) -> String {
    format!(
        "{},{},{},{},{}",
        hello.legacy_version,
        joined(plain(&hello.ciphers)),
        joined(plain(&hello.extensions)),
        joined(plain(&hello.groups)),
        joined(hello.point_formats.iter())
    )
}

pub fn ja3(hello: &Client) -> String {
    hex(&Md5::digest(ja3_text(hello).as_bytes()))
}

pub fn ja3s(hello: &Server) -> String {
    let text = format!("{},{},{}", hello.legacy_version, hello.cipher, joined(hello.extensions.iter()));
    hex(&Md5::digest(text.as_bytes()))
}

fn short_hash(text: &str) -> String {
    if text.is_empty() {
        return "000000000000".into();
    }
    hex(&Sha256::digest(text.as_bytes())[..6])
}

fn hexes(values: impl Iterator<Item = u16>) -> String {
    values.map(|v| format!("{v:04x}")).collect::<Vec<_>>().join(",")
}

fn version(hello: &Client) -> &'static str {
    match plain(&hello.versions).max().unwrap_or(hello.legacy_version) {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        _ => "00",
    }
}

/// The first and last character of the first ALPN value; of its hexadecimal form if one of them is not
/// alphanumeric. Bytes beyond ASCII are `9`, as in FoxIO's own tool and the values it publishes; the text of its
/// specification would have their hexadecimal form too.
fn alpn(hello: &Client) -> String {
    let Some([first, rest @ ..]) = hello.alpn.first().map(Vec::as_slice) else { return "00".into() };
    let last = rest.last().unwrap_or(first);
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [char::from(*first), char::from(*last)].iter().collect();
    }
    if !first.is_ascii() || !last.is_ascii() {
        return [first, last].map(|b| if b.is_ascii() { char::from(*b) } else { '9' }).iter().collect();
    }
    let (first, last) = (hex(&[*first]), hex(&[*last]));
    format!("{}{}", &first[..1], &last[1..])
}

/// JA4: `t13d1516h2_8daaf6152771_e5627efa2ab1`.
pub fn ja4(hello: &Client, carrier: Carrier) -> String {
    let carrier = if carrier == Carrier::Quic { 'q' } else { 't' };
    let sni = if hello.extensions.contains(&0) { 'd' } else { 'i' };
    let mut ciphers: Vec<u16> = plain(&hello.ciphers).collect();
    let mut extensions: Vec<u16> = plain(&hello.extensions).collect();
    let counts = (ciphers.len().min(99), extensions.len().min(99));
    ciphers.sort_unstable();
    // The name and ALPN are in the first part already.
    extensions.retain(|e| !matches!(e, 0x0000 | 0x0010));
    extensions.sort_unstable();
    let mut third = hexes(extensions.into_iter());
    if !hello.signature_algorithms.is_empty() && !hello.extensions.is_empty() {
        third.push('_');
        third.push_str(&hexes(plain(&hello.signature_algorithms)));
    }
    format!("{carrier}{}{sni}{:02}{:02}{}_{}_{}", version(hello), counts.0, counts.1, alpn(hello), short_hash(&hexes(ciphers.into_iter())), short_hash(&third))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_part_follows_the_hello() {
        let mut hello = Client { legacy_version: 0x0303, ciphers: vec![0x0a0a, 0x1301, 0x1302], extensions: vec![0x1a1a, 0, 16, 13], alpn: vec![b"h2".to_vec()], ..Client::default() };
        assert!(ja4(&hello, Carrier::Tcp).starts_with("t12d0203h2_"));
        hello.versions = vec![0x2a2a, 0x0303, 0x0304];
        hello.extensions.remove(1);
        hello.alpn = vec![b"<1d>".to_vec()];
        assert!(ja4(&hello, Carrier::Quic).starts_with("q13i02023e_"));
        hello.alpn.clear();
        hello.ciphers.clear();
        assert!(ja4(&hello, Carrier::Quic).starts_with("q13i000200_000000000000_"));
    }
}
