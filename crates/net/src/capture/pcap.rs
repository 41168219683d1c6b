//! pcap: draft-ietf-opsawg-pcap, and the header of 24 bytes a frame that A. Kuznetzov's libpcap wrote.

use super::{Damage, FRAME_BYTES_MAX, Frame, Link, Step};
use event::Timestamp;

pub const HEADER_BYTES: usize = 24;

const MICROS: u32 = 0xa1b2_c3d4;
const NANOS: u32 = 0xa1b2_3c4d;
const KUZNETZOV: u32 = 0xa1b2_cd34;

pub fn known(magic: [u8; 4]) -> bool {
    let (big, little) = (u32::from_be_bytes(magic), u32::from_le_bytes(magic));
    [MICROS, NANOS, KUZNETZOV].iter().any(|m| *m == big || *m == little)
}

pub struct Header {
    big_endian: bool,
    nanos: bool,
    frame_header: usize,
    link: Link,
}

impl Header {
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let head = bytes.get(..HEADER_BYTES)?;
        let big = crate::bytes::be32(head, 0)?;
        let big_endian = matches!(big, MICROS | NANOS | KUZNETZOV);
        let magic = if big_endian { big } else { big.swap_bytes() };
        let number = |at| if big_endian { crate::bytes::be32(head, at) } else { crate::bytes::le32(head, at) };
        // The upper half of the field tells about frame check sequences.
        let link = Link((number(20)? & 0xffff) as u16);
        Some(Self { big_endian, nanos: magic == NANOS, frame_header: if magic == KUZNETZOV { 24 } else { 16 }, link })
    }

    fn number(&self, bytes: &[u8], at: usize) -> Option<u32> {
        if self.big_endian { crate::bytes::be32(bytes, at) } else { crate::bytes::le32(bytes, at) }
    }

    pub fn wanted(&self, bytes: &[u8]) -> usize {
        self.number(bytes, 8).map_or(self.frame_header, |count| self.frame_header + (count as usize).min(FRAME_BYTES_MAX))
    }

    pub fn next<'a>(&self, bytes: &'a [u8]) -> Step<'a> {
        let head = (|| Some((self.number(bytes, 0)?, self.number(bytes, 4)?, self.number(bytes, 8)? as usize, self.number(bytes, 12)?)))();
        let Some((secs, fraction, captured, wire_len)) = head else { return Step::More };
        if captured > FRAME_BYTES_MAX {
            return Step::Damaged(Damage::Length);
        }
        let end = self.frame_header + captured;
        let Some(frame) = bytes.get(self.frame_header..end) else { return Step::More };
        let micros = if self.nanos { fraction / 1_000 } else { fraction };
        let time = Timestamp(i64::from(secs) * 1_000_000 + i64::from(micros));
        Step::Frame(end, Frame { time, link: self.link, bytes: frame, wire_len: wire_len.max(captured as u32), number: 0 })
    }
}
