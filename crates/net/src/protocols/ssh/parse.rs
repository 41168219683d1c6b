//! The binary packet of RFC 4253, section 6, and its KEXINIT message, section 7.1.

use crate::bytes::{Cursor, be32, hex, text};
use md5::{Digest, Md5};

/// Characters of one list of names.
const NAMES_BYTES_MAX: usize = 4 << 10;
const KEX_INIT: u8 = 20;
const NEW_KEYS: u8 = 21;

/// The lists of a KEXINIT, in its order without the languages.
#[derive(Debug)]
pub struct Algorithms {
    key_exchange: String,
    pub host_key: String,
    encryption: [String; 2],
    mac: [String; 2],
    compression: [String; 2],
}

/// The packet at the front of what came, with its length.
pub enum Message {
    More,
    KexInit(Box<Algorithms>, usize),
    NewKeys(usize),
    /// Another of the transport's messages (numbers below 50): those of the key exchange, and such that say nothing.
    Other(usize),
    /// Not a plain SSH 2 packet: version 1, or hostile.
    Not,
}

pub fn message(bytes: &[u8]) -> Message {
    let Some(len) = be32(bytes, 0) else { return Message::More };
    if !(2..=60_000).contains(&len) {
        return Message::Not;
    }
    let whole = 4 + len as usize;
    // A wrong number is told from the first bytes on, so that nothing waits for a length that is noise.
    match bytes.get(5) {
        None => return Message::More,
        Some(number) if *number >= 50 => return Message::Not,
        Some(_) => {}
    }
    let Some(packet) = bytes.get(4..whole) else { return Message::More };
    match packet[1] {
        KEX_INIT => read(packet).map_or(Message::Not, |algorithms| Message::KexInit(Box::new(algorithms), whole)),
        NEW_KEYS => Message::NewKeys(whole),
        _ => Message::Other(whole),
    }
}

/// Bytes on the wire of a server's message of one byte: length, padding length, the byte, padding of at least four to the
/// cipher's block, and the MAC or tag (RFC 4253, section 6). Ciphers that do not encrypt the length, and MACs over what is
/// encrypted, leave it out of the padding. None if the algorithms are not known here.
pub fn success_len(client: &Algorithms, server: &Algorithms) -> Option<usize> {
    let cipher = agreed(&client.encryption[1], &server.encryption[1])?;
    if agreed(&client.compression[1], &server.compression[1])? == "zlib" {
        return None;
    }
    let aead = if cipher.contains("poly1305") { Some(8) } else { cipher.contains("-gcm").then_some(16) };
    if let Some(block) = aead {
        return Some(4 + usize::next_multiple_of(1 + 1 + 4, block) + 16);
    }
    let block = match cipher {
        _ if cipher.starts_with("aes") => 16,
        _ if cipher.starts_with("3des") => 8,
        _ => return None,
    };
    let mac = agreed(&client.mac[1], &server.mac[1])?;
    let plain_len = mac.contains("-etm@");
    let tag = match mac.trim_end_matches("-etm@openssh.com").trim_end_matches("@openssh.com") {
        "umac-64" => 8,
        "hmac-sha1-96" | "hmac-md5-96" => 12,
        "umac-128" | "hmac-md5" => 16,
        "hmac-sha1" => 20,
        "hmac-sha2-256" => 32,
        "hmac-sha2-512" => 64,
        _ => return None,
    };
    Some(if plain_len { 4 + usize::next_multiple_of(1 + 1 + 4, block) } else { usize::next_multiple_of(4 + 1 + 1 + 4, block) } + tag)
}

/// The client's first that the server also names (RFC 4253, section 7.1).
fn agreed<'a>(client: &'a str, server: &str) -> Option<&'a str> {
    client.split(',').find(|name| server.split(',').any(|other| other == *name))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(encryption: &str, mac: &str) -> Algorithms {
        let both = |text: &str| [text.to_owned(), text.to_owned()];
        Algorithms { key_exchange: String::new(), host_key: String::new(), encryption: both(encryption), mac: both(mac), compression: both("none,zlib@openssh.com") }
    }

    #[test]
    fn the_length_of_a_success_follows_from_what_was_agreed_on() {
        let server = lists("chacha20-poly1305@openssh.com,aes128-ctr,aes128-gcm@openssh.com,3des-cbc", "hmac-sha2-256,hmac-sha2-256-etm@openssh.com,hmac-sha1");
        for (cipher, mac, len) in [
            ("chacha20-poly1305@openssh.com", "hmac-sha1", Some(28)),
            ("aes128-gcm@openssh.com", "", Some(36)),
            ("aes128-ctr", "hmac-sha2-256-etm@openssh.com", Some(52)),
            ("aes128-ctr", "hmac-sha2-256", Some(48)),
            ("3des-cbc", "hmac-sha1", Some(36)),
            ("twofish-cbc", "hmac-sha1", None),
            ("aes128-ctr", "hmac-ripemd160", None),
        ] {
            assert_eq!(success_len(&lists(cipher, mac), &server), len, "{cipher} {mac}");
        }
    }

    #[test]
    fn noise_is_refused_at_once_and_parts_wait() {
        assert!(matches!(message(&[0, 0, 1]), Message::More));
        assert!(matches!(message(&[0, 0, 0, 12, 10, 21]), Message::More));
        assert!(matches!(message(&[0, 0, 0, 12, 10, 21, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Message::NewKeys(16)));
        assert!(matches!(message(&[0, 0, 0, 12, 10, 94]), Message::Not));
        assert!(matches!(message(b"\xff\xff\xff\xff\0\x14"), Message::Not));
    }
}
