//! Hashes of files: how they are written in lists and in events.

use event::Value;

/// Members of an event that are looked at, how deep, and hashes that are taken from one.
const MEMBERS_MAX: usize = 2_048;
const DEPTH_MAX: usize = 8;
const HASHES_MAX: usize = 32;
/// Ends of the names (without `_`, `-` and case) of members that hold hashes.
const NAMES: [&str; 6] = ["hash", "hashes", "md5", "sha1", "sha256", "sha512"];

/// A digest: its length in bytes and its first 128 bits, which no two files share by chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileHash(u8, u128);

impl FileHash {
    /// 32, 40, 64 or 128 hexadecimal digits, in either case.
    pub fn parse(text: &str) -> Option<Self> {
        if !matches!(text.len(), 32 | 40 | 64 | 128) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        Some(Self((text.len() / 2) as u8, u128::from_str_radix(&text[..32], 16).ok()?))
    }
}

/// Calls `found` with the name of the member, the digest as written, and what it is.
pub(super) fn of_members<'a>(root: &'a Value, found: &mut dyn FnMut(&'a str, &'a str, FileHash)) {
    let mut walk = Walk { members_left: MEMBERS_MAX, hashes_left: HASHES_MAX, found };
    walk.members("", root, DEPTH_MAX);
}

struct Walk<'f, 'a> {
    members_left: usize,
    hashes_left: usize,
    found: &'f mut dyn FnMut(&'a str, &'a str, FileHash),
}

impl<'a> Walk<'_, 'a> {
    /// `name` is the nearest member above that is named like one of hashes, else empty.
    fn members(&mut self, name: &'a str, value: &'a Value, depth: usize) {
        if depth == 0 || self.members_left == 0 || self.hashes_left == 0 {
            return;
        }
        self.members_left -= 1;
        match value {
            Value::Map(map) => {
                for (key, member) in &map.0 {
                    self.members(if is_named(key) { key } else { name }, member, depth - 1);
                }
            }
            Value::List(list) => list.iter().for_each(|member| self.members(name, member, depth - 1)),
            Value::Text(text) if !name.is_empty() => self.text(name, text),
            _ => {}
        }
    }

    /// A digest, or several as Sysmon writes them.
    fn text(&mut self, name: &'a str, text: &'a str) {
        for part in text.split([',', ';', '|']) {
            let digest = part.rsplit(['=', ':']).next().unwrap_or(part).trim();
            if let Some(hash) = FileHash::parse(digest)
                && self.hashes_left > 0
            {
                self.hashes_left -= 1;
                (self.found)(name, digest, hash);
            }
        }
    }
}

fn is_named(key: &str) -> bool {
    let last = key.rsplit('.').next().unwrap_or(key);
    let ends_with = |end: &str| {
        let mut rest = last.bytes().rev().filter(|b| !matches!(b, b'_' | b'-'));
        end.bytes().rev().all(|wanted| rest.next().is_some_and(|b| b.eq_ignore_ascii_case(&wanted)))
    };
    NAMES.iter().any(|name| ends_with(name))
}
