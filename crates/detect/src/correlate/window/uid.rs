//! An event's uid as it is kept: most are ids in their usual form, which take 16 bytes instead of an allocation.

use compact_str::CompactString;
use event::Id;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Uid {
    /// Lower-case hexadecimal digits in groups of 8-4-4-4-12.
    Id([u8; 16]),
    Text(CompactString),
}

impl Default for Uid {
    fn default() -> Self {
        Self::Id([0; 16])
    }
}

impl Uid {
    pub(crate) fn of(text: &CompactString) -> Self {
        let is_id = text.len() == 36
            && text.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            });
        match is_id.then(|| Id::parse(text)).flatten() {
            Some(id) => Self::Id(id.0),
            None => Self::Text(text.clone()),
        }
    }

    pub(crate) fn text(&self) -> CompactString {
        match self {
            Self::Id(id) => CompactString::from(Id(*id).to_string()),
            Self::Text(text) => text.clone(),
        }
    }
}

/// The order of the texts.
impl Ord for Uid {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Id(one), Self::Id(other)) => one.cmp(other),
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            (one, other) => one.text().cmp(&other.text()),
        }
    }
}

impl PartialOrd for Uid {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
