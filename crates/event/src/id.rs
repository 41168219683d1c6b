use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// A 128-bit id that is a hash of its cause, so that a replay makes the same id again instead of a new one.
///
/// Truncated SHA-256: parts of the cause (a user name, an address) are chosen by attackers, who must not
/// be able to make two findings share an id and so hide one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub [u8; 16]);

impl Id {
    /// Hashes the parts, each prefixed by its length so that `["ab","c"]` and `["a","bc"]` differ.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let mut id = [0; 16];
        id.copy_from_slice(&hash.finalize()[..16]);
        Self(id)
    }

    /// Reads the form that `Display` writes (8-4-4-4-12 hex digits), dashes optional.
    pub fn parse(text: &str) -> Option<Self> {
        let mut id = [0u8; 16];
        let mut digits = 0;
        for byte in text.bytes().filter(|b| *b != b'-') {
            let digit = (byte as char).to_digit(16)? as u8;
            *id.get_mut(digits / 2)? |= digit << (4 * (1 - digits % 2));
            digits += 1;
        }
        (digits == 32).then_some(Self(id))
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an id of 32 hex digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_parts_do_not_run_together() {
        let id = Id::of(&[b"ab", b"c"]);
        assert_eq!(Id::parse(&id.to_string()), Some(id));
        assert_ne!(id, Id::of(&[b"a", b"bc"]));
        assert_eq!(Id::parse("zz"), None);
    }
}
