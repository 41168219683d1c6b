//! IP datagrams put together from their fragments.
//!
//! Overlap: in IPv4 the bytes that came first stay; in IPv6 a datagram with overlapping fragments is dropped whole
//! (RFC 5722), unless the fragment is an exact repetition.

use crate::decode::{Addr, Fragment};
use event::Timestamp;
use std::collections::HashMap;

/// Datagrams put together at a time; the oldest gives way.
pub const DATAGRAMS_MAX: usize = 1_024;
/// Bytes held over all datagrams.
pub const BYTES_MAX: usize = 16 << 20;
/// Fragments of one datagram: 65,535 bytes in pieces of 8 are more than anybody sends.
pub const PIECES_MAX: usize = 1_024;
/// Seconds of packet time a datagram may take (RFC 791 suggests 15, Linux uses 30).
pub const WAIT_SECS: i64 = 30;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    src: Addr,
    dst: Addr,
    id: u32,
    protocol: u8,
    v6: bool,
    vlan: u16,
}

struct Datagram {
    started: Timestamp,
    /// The pieces in order of their offset, without overlaps.
    pieces: Vec<(u32, Vec<u8>)>,
    bytes: usize,
    frames: u32,
    /// Known once the last fragment was seen.
    total: Option<u32>,
}

/// A datagram whose last missing piece has come.
pub struct Whole {
    pub payload: Vec<u8>,
    pub frames: u32,
}

#[derive(Default)]
pub struct Fragments {
    waiting: HashMap<Key, Datagram, ahash::RandomState>,
    bytes: usize,
    pub counts: Counts,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    pub fragments: u64,
    pub reassembled: u64,
    /// Datagrams whose time was over, or that gave way to others.
    pub incomplete: u64,
    pub overlaps: u64,
}

impl Fragments {
    pub fn add(&mut self, fragment: &Fragment<'_>, time: Timestamp) -> Option<Whole> {
        self.counts.fragments += 1;
        let key = Key { src: fragment.src, dst: fragment.dst, id: fragment.id, protocol: fragment.protocol, v6: fragment.v6, vlan: fragment.around.vlan };
        if self.waiting.get(&key).is_some_and(|d| time.secs() - d.started.secs() > WAIT_SECS) {
            self.drop_one(&key);
        }
        if !self.waiting.contains_key(&key) {
            self.make_room(time, fragment.payload.len());
        }
        let datagram = self.waiting.entry(key).or_insert_with(|| Datagram { started: time, pieces: Vec::new(), bytes: 0, frames: 0, total: None });
        let (before, overlaps) = (datagram.bytes, datagram.add(fragment));
        self.bytes += datagram.bytes - before;
        self.counts.overlaps += u64::from(overlaps);
        let refused = (overlaps && fragment.v6) || datagram.pieces.len() > PIECES_MAX || self.bytes > BYTES_MAX;
        if refused {
            self.drop_one(&key);
            return None;
        }
        if !self.waiting.get(&key)?.complete() {
            return None;
        }
        let datagram = self.waiting.remove(&key)?;
        self.bytes -= datagram.bytes;
        self.counts.reassembled += 1;
        let frames = datagram.frames;
        Some(Whole { payload: datagram.pieces.into_iter().flat_map(|(_, bytes)| bytes).collect(), frames })
    }

    fn drop_one(&mut self, key: &Key) {
        if let Some(datagram) = self.waiting.remove(key) {
            self.bytes -= datagram.bytes;
            self.counts.incomplete += 1;
        }
    }

    fn make_room(&mut self, time: Timestamp, more: usize) {
        if self.waiting.len() < DATAGRAMS_MAX && self.bytes + more <= BYTES_MAX {
            return;
        }
        let over: Vec<Key> = self.waiting.iter().filter(|(_, d)| time.secs() - d.started.secs() > WAIT_SECS).map(|(k, _)| *k).collect();
        over.iter().for_each(|key| self.drop_one(key));
        // A flood of first fragments must not make every further one search: an eighth gives way at once.
        if self.waiting.len() >= DATAGRAMS_MAX || self.bytes + more > BYTES_MAX {
            let mut by_age: Vec<(Timestamp, Key)> = self.waiting.iter().map(|(k, d)| (d.started, *k)).collect();
            by_age.sort_by_key(|(started, key)| (*started, key.src, key.dst, key.id));
            let some = by_age.len().div_ceil(8);
            by_age[..some].iter().for_each(|(_, key)| self.drop_one(key));
        }
    }

    /// Datagrams that are still waiting count as incomplete at the end.
    pub fn finish(&mut self) {
        self.counts.incomplete += self.waiting.len() as u64;
        self.waiting.clear();
        self.bytes = 0;
    }
}

impl Datagram {
    /// Adds the bytes nobody has brought yet; true if some had been brought with other fragments.
    fn add(&mut self, fragment: &Fragment<'_>) -> bool {
        self.frames += 1;
        let (start, end) = (fragment.offset, fragment.offset + fragment.payload.len() as u32);
        if !fragment.more && self.total.is_none() {
            self.total = Some(end);
        }
        if self.pieces.iter().any(|(at, bytes)| *at == start && bytes == fragment.payload) {
            return false;
        }
        let (mut overlaps, mut from) = (false, start);
        let mut fresh = Vec::new();
        for (at, bytes) in &self.pieces {
            let (at, until) = (*at, at + bytes.len() as u32);
            if until <= from || at >= end {
                continue;
            }
            overlaps = true;
            if at > from {
                fresh.push((from, at));
            }
            from = from.max(until);
        }
        if from < end {
            fresh.push((from, end));
        }
        for (from, until) in fresh {
            let bytes = fragment.payload[(from - start) as usize..(until - start) as usize].to_vec();
            self.bytes += bytes.len();
            let place = self.pieces.partition_point(|(at, _)| *at < from);
            self.pieces.insert(place, (from, bytes));
        }
        overlaps
    }

    fn complete(&self) -> bool {
        let Some(total) = self.total else { return false };
        let mut reached = 0;
        for (at, bytes) in &self.pieces {
            if *at != reached {
                return false;
            }
            reached += bytes.len() as u32;
        }
        reached >= total
    }
}
