//! The bytes on disk. All numbers are little-endian.
//!
//! A segment file opens with 40 bytes: magic `ERNELOG1`, a random salt, the offset of its first record,
//! the offset at which the log ended before (the same, unless files were lost), its creation time in
//! seconds (u32) and a CRC32C of all that. Batches follow without gaps:
//!
//! | bytes | field | |
//! |---|---|---|
//! | 4 | magic | `ERB` and the version, 1 |
//! | 4 | length | of the whole batch, this header included |
//! | 4 | count | of records; 0 in a seal, which only carries `synced` |
//! | 4 | flags | none yet, 0 |
//! | 8 | first | offset of the first record |
//! | 8 | synced | the file's bytes below this position were synced before this batch was written |
//! | 8 | written | microseconds since 1970, for the dedup window |
//! | 16 | key | hash of the idempotency key, zeros for none |
//! | 4 | body crc | CRC32C of the records |
//! | 4 | head crc | CRC32C of the segment's salt and of everything above: it covers the body through its crc |
//!
//! `synced` tells a torn tail from damage. A power cut may keep a later page of an unsynced write and
//! lose an earlier one, so a valid batch behind a broken one proves nothing by itself; one whose `synced`
//! is past the broken one proves that the broken one was once whole. So that this holds for the last
//! append too, the writer adds a seal when it has been idle for a second and when it closes. The salt keeps a sender from placing
//! bytes in a body that look like such a header: it cannot know the salt, so its checksum is wrong.
//!
//! A record: length of what follows (u32), received (i64), format (u8, 0 = not stated), peer (u8: 0, 4 or
//! 6), length of the source's name (u32), peer address, name, body.

use bytes::{BufMut, Bytes};
use event::{Format, Record, Timestamp};
use std::net::IpAddr;
use std::sync::Arc;

pub const SEGMENT_HEADER_BYTES: usize = 40;
pub const BATCH_HEADER_BYTES: usize = 64;
const RECORD_FIXED_BYTES: usize = 4 + 8 + 1 + 1 + 4;
const SEGMENT_MAGIC: &[u8; 8] = b"ERNELOG1";
pub const BATCH_MAGIC: &[u8; 4] = b"ERB\x01";

/// Truncated SHA-256 of an idempotency key: senders choose the key, so it must not be possible to find
/// one that collides with another sender's.
pub type Key = [u8; 16];
pub const NO_KEY: Key = [0; 16];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    pub salt: u64,
    pub base: u64,
    pub after: u64,
}

impl SegmentHeader {
    pub fn encode(self, now: Timestamp) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut out = [0; SEGMENT_HEADER_BYTES];
        out[..8].copy_from_slice(SEGMENT_MAGIC);
        out[8..16].copy_from_slice(&self.salt.to_le_bytes());
        out[16..24].copy_from_slice(&self.base.to_le_bytes());
        out[24..32].copy_from_slice(&self.after.to_le_bytes());
        out[32..36].copy_from_slice(&(now.secs() as u32).to_le_bytes());
        let crc = crc32c::crc32c(&out[..36]);
        out[36..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let head = bytes.get(..SEGMENT_HEADER_BYTES)?;
        let intact = &head[..8] == SEGMENT_MAGIC && crc32c::crc32c(&head[..36]) == u32_at(head, 36);
        intact.then(|| Self {
            salt: u64_at(head, 8),
            base: u64_at(head, 16),
            after: u64_at(head, 24),
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    pub length: u32,
    pub count: u32,
    pub first: u64,
    pub synced: u64,
    pub written: Timestamp,
    pub key: Key,
    pub body_crc: u32,
}

impl BatchHeader {
    pub fn encode(&self, salt: u64) -> [u8; BATCH_HEADER_BYTES] {
        let mut out = [0; BATCH_HEADER_BYTES];
        out[..4].copy_from_slice(BATCH_MAGIC);
        out[4..8].copy_from_slice(&self.length.to_le_bytes());
        out[8..12].copy_from_slice(&self.count.to_le_bytes());
        out[16..24].copy_from_slice(&self.first.to_le_bytes());
        out[24..32].copy_from_slice(&self.synced.to_le_bytes());
        out[32..40].copy_from_slice(&self.written.0.to_le_bytes());
        out[40..56].copy_from_slice(&self.key);
        out[56..60].copy_from_slice(&self.body_crc.to_le_bytes());
        let crc = head_crc(salt, &out);
        out[60..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// The header, if it is whole. Says nothing about the records behind it.
    pub fn decode(bytes: &[u8], salt: u64) -> Option<Self> {
        let head: &[u8; BATCH_HEADER_BYTES] = bytes.get(..BATCH_HEADER_BYTES)?.try_into().ok()?;
        if &head[..4] != BATCH_MAGIC || head_crc(salt, head) != u32_at(head, 60) {
            return None;
        }
        let mut key = NO_KEY;
        key.copy_from_slice(&head[40..56]);
        let header = Self {
            length: u32_at(head, 4),
            count: u32_at(head, 8),
            first: u64_at(head, 16),
            synced: u64_at(head, 24),
            written: Timestamp(u64_at(head, 32) as i64),
            key,
            body_crc: u32_at(head, 56),
        };
        (header.length as usize >= BATCH_HEADER_BYTES).then_some(header)
    }

    pub fn next(&self) -> u64 {
        self.first.saturating_add(u64::from(self.count))
    }

    /// Whether `batch`, header included, is all there and its records are as they were written.
    pub fn body_is_intact(&self, batch: &[u8]) -> bool {
        batch.len() == self.length as usize
            && crc32c::crc32c(&batch[BATCH_HEADER_BYTES..]) == self.body_crc
    }
}

fn head_crc(salt: u64, head: &[u8; BATCH_HEADER_BYTES]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&salt.to_le_bytes()), &head[..60])
}

/// How many bytes an append of these records takes on disk.
pub fn encoded_bytes(records: &[Record]) -> usize {
    let each = |r: &Record| {
        let peer = match r.peer {
            None => 0,
            Some(IpAddr::V4(_)) => 4,
            Some(IpAddr::V6(_)) => 16,
        };
        RECORD_FIXED_BYTES + peer + r.source.len() + r.body.len()
    };
    BATCH_HEADER_BYTES + records.iter().map(each).sum::<usize>()
}

/// The batch with room for its header, which the writer fills in once it knows the offset, and the
/// checksum of its body. Done on the caller's thread: it is the only part that costs time.
pub fn encode_body(records: &[Record]) -> (Vec<u8>, u32) {
    let mut out = Vec::with_capacity(encoded_bytes(records));
    out.resize(BATCH_HEADER_BYTES, 0);
    for record in records {
        encode_record(&mut out, record);
    }
    let crc = crc32c::crc32c(&out[BATCH_HEADER_BYTES..]);
    (out, crc)
}

fn encode_record(out: &mut Vec<u8>, record: &Record) {
    let start = out.len();
    out.put_u32_le(0);
    out.put_i64_le(record.received.0);
    out.put_u8(record.format.map_or(0, |f| f as u8));
    match record.peer {
        None => out.put_u8(0),
        Some(IpAddr::V4(_)) => out.put_u8(4),
        Some(IpAddr::V6(_)) => out.put_u8(6),
    }
    out.put_u32_le(record.source.len() as u32);
    match record.peer {
        None => {}
        Some(IpAddr::V4(ip)) => out.put_slice(&ip.octets()),
        Some(IpAddr::V6(ip)) => out.put_slice(&ip.octets()),
    }
    out.put_slice(record.source.as_bytes());
    out.put_slice(&record.body);
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// Reads the records of one intact batch; their bodies are slices of it. `None` if they do not add up to
/// what the header says.
pub struct Records {
    batch: Bytes,
    at: usize,
    offset: u64,
    end: u64,
    /// A batch usually has one source: its name is allocated once.
    source: Option<Arc<str>>,
}

impl Records {
    pub fn new(header: &BatchHeader, batch: Bytes) -> Self {
        Self { batch, at: BATCH_HEADER_BYTES, offset: header.first, end: header.next(), source: None }
    }

    /// Passes over records below `from` without decoding them.
    pub fn skip_to(&mut self, from: u64) -> Option<()> {
        while self.offset < from && self.offset < self.end {
            self.at += 4 + u32_get(&self.batch, self.at)? as usize;
            self.offset += 1;
        }
        Some(())
    }

    pub fn is_done(&self) -> bool {
        self.offset == self.end
    }

    pub fn next_record(&mut self) -> Option<(u64, Record)> {
        let length = u32_get(&self.batch, self.at)? as usize;
        let end = self.at + 4 + length;
        let fixed = self.batch.get(self.at + 4..self.at + RECORD_FIXED_BYTES)?;
        let (received, format, peer_kind) = (u64_at(fixed, 0) as i64, fixed[8], fixed[9]);
        let source_bytes = u32_at(fixed, 10) as usize;
        let peer_at = self.at + RECORD_FIXED_BYTES;
        let (peer, peer_bytes) = self.peer(peer_kind, peer_at)?;
        let source_at = peer_at + peer_bytes;
        let body_at = source_at.checked_add(source_bytes)?;
        if end > self.batch.len() || body_at > end {
            return None;
        }
        let record = Record {
            source: self.source(source_at, body_at),
            format: Format::from_u8(format),
            received: Timestamp(received),
            peer,
            body: self.batch.slice(body_at..end),
        };
        let offset = self.offset;
        (self.at, self.offset) = (end, offset + 1);
        Some((offset, record))
    }

    fn peer(&self, kind: u8, at: usize) -> Option<(Option<IpAddr>, usize)> {
        match kind {
            0 => Some((None, 0)),
            4 => {
                let octets: [u8; 4] = self.batch.get(at..at + 4)?.try_into().ok()?;
                Some((Some(octets.into()), 4))
            }
            6 => {
                let octets: [u8; 16] = self.batch.get(at..at + 16)?.try_into().ok()?;
                Some((Some(octets.into()), 16))
            }
            _ => None,
        }
    }

    fn source(&mut self, from: usize, to: usize) -> Arc<str> {
        let name = String::from_utf8_lossy(&self.batch[from..to]);
        match &self.source {
            Some(known) if **known == *name => known.clone(),
            _ => self.source.insert(Arc::from(name.as_ref())).clone(),
        }
    }
}

fn u32_get(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a slice of four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a slice of eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record() -> impl Strategy<Value = Record> {
        let peer = proptest::option::of(any::<IpAddr>());
        let format = proptest::option::of(proptest::sample::select(&Format::ALL[..]));
        let body = proptest::collection::vec(any::<u8>(), 0..200);
        (".{0,20}", format, any::<i64>(), peer, body).prop_map(|(source, format, time, peer, body)| {
            Record {
                source: source.into(),
                format,
                received: Timestamp(time),
                peer,
                body: body.into(),
            }
        })
    }

    fn header(length: usize, count: usize, body_crc: u32) -> BatchHeader {
        BatchHeader {
            length: length as u32,
            count: count as u32,
            first: 7,
            synced: 5,
            written: Timestamp(9),
            key: [3; 16],
            body_crc,
        }
    }

    proptest! {
        #[test]
        fn records_round_trip(records in proptest::collection::vec(record(), 0..20)) {
            let (batch, crc) = encode_body(&records);
            prop_assert_eq!(batch.len(), encoded_bytes(&records));
            let header = header(batch.len(), records.len(), crc);
            prop_assert!(header.body_is_intact(&batch));
            let mut reader = Records::new(&header, batch.into());
            for (i, want) in records.iter().enumerate() {
                let got = reader.next_record().unwrap();
                prop_assert_eq!(got, (7 + i as u64, want.clone()));
            }
            prop_assert!(reader.is_done());
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 64..300)) {
            let mut reader = Records::new(&header(bytes.len(), 9, 0), bytes.into());
            while !reader.is_done() && reader.next_record().is_some() {}
        }
    }

    #[test]
    fn every_flipped_bit_of_a_header_is_noticed() {
        let want = header(100, 2, 77);
        let good = want.encode(1);
        assert_eq!(BatchHeader::decode(&good, 1), Some(want));
        assert_eq!(BatchHeader::decode(&good, 2), None, "another segment's salt");
        for bit in 0..good.len() * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(BatchHeader::decode(&bad, 1), None, "bit {bit}");
        }
        let good = SegmentHeader { salt: 1, base: 2, after: 2 }.encode(Timestamp(3));
        for bit in 0..good.len() * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&bad), None, "bit {bit}");
        }
    }
}
