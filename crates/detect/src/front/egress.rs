//! How many principals come from one address: many means an office or a VPN's exit, which says little about
//! where one of them is.
//!
//! An address counts as shared only when it was seen a day before: somebody who tries out stolen accounts from
//! one machine this evening does not make their address an office. What it was yesterday it may be today.

use super::kept::{Delta, Kept};
use crate::Keyed;
use event::Timestamp;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// Most principals that are told apart at one address.
pub(crate) const PRINCIPALS_MAX: usize = 16;
/// Most addresses that are remembered, over all rules.
const ADDRESSES_MAX: usize = 50_000;
/// How long a principal counts at an address, and how long the address must be known.
const SEEN_SECS: i64 = 7 * 86_400;
const KNOWN_SECS: i64 = 86_400;

#[derive(Serialize, Deserialize)]
struct Address {
    first: Timestamp,
    /// Hashes of principals and when they were last seen.
    principals: Vec<(u64, Timestamp)>,
}

pub(super) struct Egress {
    addresses: Kept<Address>,
}

impl Egress {
    pub(super) fn new() -> Self {
        Self { addresses: Kept::new(b"egress\0", ADDRESSES_MAX) }
    }

    /// Writes into the part how many principals share its address. `rule` keeps rules with other principals apart.
    pub(super) fn pass(&mut self, rule: &str, part: &mut Keyed) {
        let Some(ip) = part.summary.source_ip.as_deref() else { return };
        let key = [rule.as_bytes(), b"\0", ip.as_bytes()].concat();
        let principal = xxh3_64(part.group.join("\u{1f}").as_bytes());
        let time = part.time.min(part.received);
        let new = || Address { first: time, principals: Vec::new() };
        let mut sharers = 1;
        self.addresses.change(&key, part.received, new, |address| sharers = address.see(principal, time));
        part.sharers = sharers;
    }

    pub(super) fn expire(&mut self, now: Timestamp) {
        self.addresses.expire(now.plus_secs(-SEEN_SECS));
    }

    pub(super) fn write(&mut self, delta: &mut Delta) {
        self.addresses.write(delta);
    }

    pub(super) fn restore(&mut self, key: &[u8], value: &[u8]) -> bool {
        self.addresses.restore(key, value)
    }

    pub(super) fn restored(&mut self) {
        self.addresses.restored();
    }
}

impl Address {
    fn see(&mut self, principal: u64, time: Timestamp) -> u16 {
        self.first = self.first.min(time);
        let since = time.plus_secs(-SEEN_SECS);
        self.principals.retain(|(_, seen)| *seen >= since);
        match self.principals.iter().position(|(known, _)| *known == principal) {
            Some(place) => self.principals[place].1 = self.principals[place].1.max(time),
            None if self.principals.len() < PRINCIPALS_MAX => self.principals.push((principal, time)),
            None => {}
        }
        let is_known = time.0 - self.first.0 >= KNOWN_SECS * 1_000_000;
        if is_known { self.principals.len() as u16 } else { 1 }
    }
}
