//! Which idempotency keys were seen lately, and what they were answered with.

use super::batch::Key;
use ahash::AHashMap;
use event::Timestamp;
use std::collections::VecDeque;

/// What an append with a key was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub key: Key,
    pub first: u64,
    pub next: u64,
    pub written: Timestamp,
}

/// Bytes of one key in the snapshot file.
const SEEN_BYTES: usize = 40;
const SNAPSHOT_MAGIC: &[u8; 8] = b"ERNEKEY1";

/// A window bounded by age and by number, oldest out first.
pub struct Dedup {
    keys: AHashMap<Key, Seen>,
    order: VecDeque<Seen>,
    window_secs: i64,
    keys_max: usize,
    /// Keys that left before their time because there were too many.
    pub evicted: u64,
}

impl Dedup {
    pub fn new(window_secs: u64, keys_max: usize) -> Self {
        let window_secs = i64::try_from(window_secs).unwrap_or(i64::MAX / 2_000_000);
        Self { keys: AHashMap::new(), order: VecDeque::new(), window_secs, keys_max, evicted: 0 }
    }

    pub fn get(&self, key: &Key, now: Timestamp) -> Option<Seen> {
        self.keys.get(key).copied().filter(|seen| !self.is_over(seen, now))
    }

    pub fn insert(&mut self, seen: Seen, now: Timestamp) {
        // Known from the snapshot and again from its batch.
        if self.is_over(&seen, now) || self.keys.get(&seen.key) == Some(&seen) {
            return;
        }
        self.keys.insert(seen.key, seen);
        self.order.push_back(seen);
        while let Some(oldest) = self.order.front().copied() {
            let is_over = self.is_over(&oldest, now);
            if !is_over && self.order.len() <= self.keys_max {
                break;
            }
            self.evicted += u64::from(!is_over);
            self.order.pop_front();
            // The key may have been used again since: that use has its own place in the order.
            if self.keys.get(&oldest.key) == Some(&oldest) {
                self.keys.remove(&oldest.key);
            }
        }
    }

    fn is_over(&self, seen: &Seen, now: Timestamp) -> bool {
        seen.written.plus_secs(self.window_secs) <= now
    }

    /// All keys, for the file that outlives the segments they came in.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + self.order.len() * SEEN_BYTES + 4);
        out.extend_from_slice(SNAPSHOT_MAGIC);
        for seen in &self.order {
            out.extend_from_slice(&seen.key);
            out.extend_from_slice(&seen.first.to_le_bytes());
            out.extend_from_slice(&seen.next.to_le_bytes());
            out.extend_from_slice(&seen.written.0.to_le_bytes());
        }
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// What [`Dedup::snapshot`] wrote, or `None` if it is not whole.
    pub fn read_snapshot(bytes: &[u8]) -> Option<Vec<Seen>> {
        let (content, crc) = bytes.split_last_chunk::<4>()?;
        if crc32c::crc32c(content) != u32::from_le_bytes(*crc) {
            return None;
        }
        let entries = content.strip_prefix(SNAPSHOT_MAGIC)?;
        let number = |b: &[u8]| Some(u64::from_le_bytes(b.try_into().ok()?));
        let seen = |b: &[u8]| {
            Some(Seen {
                key: b[..16].try_into().ok()?,
                first: number(&b[16..24])?,
                next: number(&b[24..32])?,
                written: Timestamp(number(&b[32..40])? as i64),
            })
        };
        entries.chunks_exact(SEEN_BYTES).map(seen).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(n: u8, secs: i64) -> Seen {
        Seen { key: [n; 16], first: n.into(), next: n as u64 + 1, written: Timestamp::from_secs(secs) }
    }

    #[test]
    fn keys_leave_by_age_and_by_number() {
        let mut dedup = Dedup::new(10, 3);
        let at = Timestamp::from_secs;
        for n in 1..=4 {
            dedup.insert(seen(n, n.into()), at(n.into()));
        }
        assert_eq!(dedup.get(&[1; 16], at(4)), None, "the oldest of four made room");
        assert_eq!(dedup.evicted, 1);
        assert_eq!(dedup.get(&[2; 16], at(11)), Some(seen(2, 2)));
        assert_eq!(dedup.get(&[2; 16], at(12)), None, "ten seconds are over");
        dedup.insert(seen(5, 30), at(30));
        assert_eq!(dedup.order.len(), 1, "what is over is forgotten");
        assert_eq!(dedup.evicted, 1, "and does not count as evicted");
    }

    #[test]
    fn a_key_used_again_after_its_window_is_known_by_its_new_use() {
        let mut dedup = Dedup::new(10, 2);
        dedup.insert(seen(1, 0), Timestamp::from_secs(0));
        let again = Seen { first: 9, ..seen(1, 20) };
        dedup.insert(again, Timestamp::from_secs(20));
        assert_eq!(dedup.get(&[1; 16], Timestamp::from_secs(21)), Some(again));
    }

    #[test]
    fn snapshots_round_trip_and_a_broken_one_is_noticed() {
        let mut dedup = Dedup::new(10, 3);
        dedup.insert(seen(1, 1), Timestamp::from_secs(1));
        dedup.insert(seen(2, 2), Timestamp::from_secs(2));
        let mut bytes = dedup.snapshot();
        assert_eq!(Dedup::read_snapshot(&bytes), Some(vec![seen(1, 1), seen(2, 2)]));
        bytes[20] ^= 1;
        assert_eq!(Dedup::read_snapshot(&bytes), None);
        assert_eq!(Dedup::read_snapshot(b""), None);
    }
}
