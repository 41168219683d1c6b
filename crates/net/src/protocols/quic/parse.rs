//! Long headers, and the protection of Initial packets (RFC 9001, section 5).
//!
//! The authentication tag is not checked: what decrypts to whole, known frames is right, and nothing rests on it.

use crate::bytes::{Cursor, be32};
use aes::Aes128;
use aes::cipher::{BlockEncrypt, KeyInit};
use hmac::{Hmac, Mac};
use sha2::Sha256;

const VERSION_1: u32 = 1;
const VERSION_2: u32 = 0x6b33_43cf;
/// Connection ids have at most 20 bytes (RFC 9000, section 17.2).
const ID_BYTES_MAX: usize = 20;
const TAG_BYTES: usize = 16;
/// Frames of one packet: padding counts once a run.
const FRAMES_MAX: usize = 256;
/// Packets that are coalesced into one datagram.
const SMALLEST_PACKET: usize = 7;

const SALT_1: [u8; 20] = [0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a];
const SALT_2: [u8; 20] = [0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9];
const SALT_DRAFT_29: [u8; 20] = [0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90, 0xa8, 0x99];
const SALT_DRAFT_23: [u8; 20] = [0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe, 0xf9, 0xf5, 0x02];

fn salt(version: u32) -> Option<&'static [u8; 20]> {
    match version {
        VERSION_1 | 0xff00_0021 | 0xff00_0022 => Some(&SALT_1),
        VERSION_2 => Some(&SALT_2),
        0xff00_001d..=0xff00_0020 => Some(&SALT_DRAFT_29),
        0xff00_0017..=0xff00_001c => Some(&SALT_DRAFT_23),
        _ => None,
    }
}

pub fn version_name(version: u32) -> String {
    match version {
        VERSION_1 => "1".into(),
        VERSION_2 => "2".into(),
        draft if draft >> 8 == 0x00ff_0000 => format!("draft-{}", draft & 0xff),
        other => format!("0x{other:08x}"),
    }
}

/// A long header of a version whose packets can be read.
pub fn is_long_header(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|b| b & 0xc0 == 0xc0)
        && be32(bytes, 1).is_some_and(|v| salt(v).is_some())
        && bytes.get(5).is_some_and(|len| usize::from(*len) <= ID_BYTES_MAX)
        && bytes.len() > 20
}

/// A protected Initial packet.
pub struct Initial<'a> {
    pub version: u32,
    pub destination: &'a [u8],
    /// The whole packet, and where its protected number begins.
    bytes: &'a [u8],
    number_at: usize,
}

/// A number of one, two, four or eight bytes (RFC 9000, section 16).
fn varint(cursor: &mut Cursor<'_>) -> Option<u64> {
    let first = cursor.u8()?;
    let more = cursor.take((1 << (first >> 6)) - 1)?;
    Some(more.iter().fold(u64::from(first & 0x3f), |value, byte| value << 8 | u64::from(*byte)))
}

/// The first packet of a datagram, if it is an Initial, and what follows it.
pub fn initial(bytes: &[u8]) -> Option<(Option<Initial<'_>>, &[u8])> {
    if bytes.len() < SMALLEST_PACKET {
        return None;
    }
    let mut cursor = Cursor::new(bytes);
    let first = cursor.u8()?;
    let version = cursor.be32()?;
    salt(version).filter(|_| first & 0xc0 == 0xc0)?;
    let destination = cursor.block8().filter(|id| id.len() <= ID_BYTES_MAX)?;
    let _source = cursor.block8().filter(|id| id.len() <= ID_BYTES_MAX)?;
    // The types moved by one in version 2 (RFC 9369, section 3.2).
    let kind = (first >> 4 & 3).wrapping_sub(u8::from(version == VERSION_2)) & 3;
    if kind == 3 {
        return None;
    }
    if kind == 0 {
        let token = varint(&mut cursor)?;
        cursor.take(usize::try_from(token).ok()?)?;
    }
    let len = usize::try_from(varint(&mut cursor)?).ok()?;
    let number_at = bytes.len() - cursor.rest.len();
    cursor.take(len)?;
    let packet = Initial { version, destination, bytes: &bytes[..number_at + len], number_at };
    Some(((kind == 0).then_some(packet), cursor.rest))
}

/// The client's keys of Initial packets.
pub struct Keys {
    packet: Aes128,
    header: Aes128,
    iv: [u8; 12],
}

fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Option<[u8; 32]> {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).ok()?;
    parts.iter().for_each(|part| mac.update(part));
    Some(mac.finalize().into_bytes().into())
}

/// HKDF-Expand-Label of RFC 8446, section 7.1, for at most 32 bytes: one block.
fn expand(secret: &[u8], label: &str, len: u8) -> Option<[u8; 32]> {
    let label_len = [6 + label.len() as u8];
    hmac_sha256(secret, &[&[0, len], &label_len, b"tls13 ", label.as_bytes(), &[0], &[1]])
}

impl Keys {
    pub fn derive(version: u32, destination: &[u8]) -> Option<Self> {
        let initial = hmac_sha256(salt(version)?, &[destination])?;
        let client = expand(&initial, "client in", 32)?;
        let prefix = if version == VERSION_2 { "quicv2" } else { "quic" };
        let key = expand(&client, &format!("{prefix} key"), 16)?;
        let header = expand(&client, &format!("{prefix} hp"), 16)?;
        let iv = *expand(&client, &format!("{prefix} iv"), 12)?.first_chunk()?;
        Some(Self { packet: Aes128::new_from_slice(&key[..16]).ok()?, header: Aes128::new_from_slice(&header[..16]).ok()?, iv })
    }
}

fn block(cipher: &Aes128, bytes: [u8; 16]) -> [u8; 16] {
    let mut block = bytes.into();
    cipher.encrypt_block(&mut block);
    block.into()
}

/// Takes the protection away; `None` if what comes out is not a packet's frames.
pub fn open(packet: &Initial<'_>, keys: &Keys) -> Option<Vec<u8>> {
    let at = packet.number_at;
    let sample: [u8; 16] = *packet.bytes.get(at + 4..)?.first_chunk()?;
    let mask = block(&keys.header, sample);
    let number_len = usize::from((packet.bytes[0] ^ mask[0]) & 3) + 1;
    let mut nonce = keys.iv;
    for i in 0..number_len {
        nonce[12 - number_len + i] ^= packet.bytes.get(at + i)? ^ mask[1 + i];
    }
    let end = packet.bytes.len().checked_sub(TAG_BYTES)?;
    let mut plain = packet.bytes.get(at + number_len..end)?.to_vec();
    for (i, chunk) in plain.chunks_mut(16).enumerate() {
        let mut counter = [0; 16];
        counter[..12].copy_from_slice(&nonce);
        // GCM's first block of data has the counter 2; 1 belongs to the tag.
        counter[12..].copy_from_slice(&(i as u32 + 2).to_be_bytes());
        let stream = block(&keys.packet, counter);
        chunk.iter_mut().zip(stream).for_each(|(byte, key)| *byte ^= key);
    }
    crypto_frames(&plain).is_some().then_some(plain)
}

/// The CRYPTO frames of a packet; `None` if one of its frames may not stand in an Initial packet.
pub fn crypto_frames(plain: &[u8]) -> Option<Vec<(u64, &[u8])>> {
    let mut cursor = Cursor::new(plain);
    let mut frames = Vec::new();
    for _ in 0..FRAMES_MAX {
        let padding = cursor.rest.iter().take_while(|b| **b == 0).count();
        cursor.take(padding)?;
        if cursor.rest.is_empty() {
            return Some(frames);
        }
        match varint(&mut cursor)? {
            1 => {}
            kind @ (2 | 3) => acknowledgement(&mut cursor, kind == 3)?,
            6 => {
                let offset = varint(&mut cursor)?;
                let len = varint(&mut cursor)?;
                frames.push((offset, cursor.take(usize::try_from(len).ok()?)?));
            }
            0x1c => {
                let (_code, _frame) = (varint(&mut cursor)?, varint(&mut cursor)?);
                let len = varint(&mut cursor)?;
                cursor.take(usize::try_from(len).ok()?)?;
            }
            _ => return None,
        }
    }
    None
}

fn acknowledgement(cursor: &mut Cursor<'_>, counts: bool) -> Option<()> {
    let (_largest, _delay) = (varint(cursor)?, varint(cursor)?);
    let ranges = varint(cursor)?;
    let _first = varint(cursor)?;
    for _ in 0..ranges.min(FRAMES_MAX as u64) {
        let (_gap, _len) = (varint(cursor)?, varint(cursor)?);
    }
    for _ in 0..if counts { 3 } else { 0 } {
        varint(cursor)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::hex;

    /// RFC 9001, appendix A.1.
    #[test]
    fn keys_are_those_of_the_appendix() {
        let id = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];
        let initial = hmac_sha256(&SALT_1, &[&id]).unwrap();
        let client = expand(&initial, "client in", 32).unwrap();
        assert_eq!(hex(&client), "c00cf151ca5be075ed0ebfb5c80323c42d6b7db67881289af4008f1f6c357aea");
        assert_eq!(hex(&expand(&client, "quic key", 16).unwrap()[..16]), "1f369613dd76d5467730efcbe3b1a22d");
        assert_eq!(hex(&Keys::derive(1, &id).unwrap().iv), "fa044b2f42a3fd3b46fb255c");
    }
}
