//! The binary packet of RFC 4253, section 6, and its KEXINIT message, section 7.1.

use crate::bytes::{Cursor, be32, hex, text};
use md5::{Digest, Md5};

/// Characters of one list of names.
const NAMES_BYTES_MAX: usize = 4 << 10;
const KEX_INIT: u8 = 20;

/// The lists of a KEXINIT, in its order without the languages.
#[derive(Debug)]
pub struct Algorithms {
    key_exchange: String,
    pub host_key: String,
    encryption: [String; 2],
    mac: [String; 2],
    compression: [String; 2],
}

pub enum Kex {
    More,
    Init(Algorithms),
    /// Not an SSH 2 packet: version 1, or hostile.
    Not,
}

pub fn kex_init(bytes: &[u8]) -> Kex {
    let Some(len) = be32(bytes, 0) else { return Kex::More };
    if !(2..=60_000).contains(&len) {
        return Kex::Not;
    }
    let Some(packet) = bytes.get(4..4 + len as usize) else { return Kex::More };
    match read(packet) {
        Some(algorithms) => Kex::Init(algorithms),
        None => Kex::Not,
    }
}

fn read(packet: &[u8]) -> Option<Algorithms> {
    let mut cursor = Cursor::new(packet);
    let _padding = cursor.u8()?;
    if cursor.u8()? != KEX_INIT {
        return None;
    }
    let _cookie = cursor.take(16)?;
    let mut list = || Some(text(cursor.block32()?, NAMES_BYTES_MAX));
    Some(Algorithms { key_exchange: list()?, host_key: list()?, encryption: [list()?, list()?], mac: [list()?, list()?], compression: [list()?, list()?] })
}

impl Algorithms {
    /// What HASSH hashes: the lists of the sender's own direction (salesforce/hassh).
    pub fn text(&self, server: bool) -> String {
        let side = usize::from(server);
        format!("{};{};{};{}", self.key_exchange, self.encryption[side], self.mac[side], self.compression[side])
    }

    pub fn hassh(&self, server: bool) -> String {
        hex(&Md5::digest(self.text(server).as_bytes()))
    }
}
