//! pcapng: draft-ietf-opsawg-pcapng. Sections of either byte order, interfaces with their own links and clocks.

use super::{BLOCK_BYTES_MAX, Damage, Frame, INTERFACES_MAX, Link, Step};
use event::Timestamp;

pub const MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
/// Obsolete, but still in old captures.
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER_BIG: u32 = 0x1a2b_3c4d;

/// The last microsecond of the year 9999.
const MICROS_MAX: i64 = 253_402_300_799_999_999;

const OPTION_RESOLUTION: u16 = 9;
const OPTION_OFFSET: u16 = 14;

/// How an interface's clock counts.
#[derive(Clone, Copy)]
struct Interface {
    link: Link,
    snap_len: u32,
    /// Ticks of a second: 10^6 unless told.
    ticks: u64,
    offset_secs: i64,
}

#[derive(Default)]
pub struct Section {
    big_endian: bool,
    interfaces: Vec<Interface>,
}

impl Section {
    fn be(&self, bytes: &[u8], at: usize) -> Option<u32> {
        if self.big_endian { crate::bytes::be32(bytes, at) } else { crate::bytes::le32(bytes, at) }
    }

    fn half(&self, bytes: &[u8], at: usize) -> Option<u16> {
        if self.big_endian { crate::bytes::be16(bytes, at) } else { crate::bytes::le16(bytes, at) }
    }

    pub fn wanted(&self, bytes: &[u8]) -> usize {
        if bytes.len() < 12 {
            return 12;
        }
        // A section header decides its own byte order, and is small.
        if bytes.starts_with(&MAGIC) { bytes.len() + 64 } else { self.be(bytes, 4).map_or(12, |n| (n as usize).min(BLOCK_BYTES_MAX)) }
    }

    pub fn next<'a>(&mut self, bytes: &'a [u8]) -> Step<'a> {
        if bytes.len() < 12 {
            return Step::More;
        }
        if bytes.starts_with(&MAGIC) {
            self.big_endian = crate::bytes::be32(bytes, 8) == Some(BYTE_ORDER_BIG);
            if !self.big_endian && crate::bytes::le32(bytes, 8) != Some(BYTE_ORDER_BIG) {
                return Step::Damaged(Damage::Length);
            }
        }
        let (kind, len) = match (self.be(bytes, 0), self.be(bytes, 4)) {
            (Some(kind), Some(len)) => (kind, len as usize),
            _ => return Step::More,
        };
        if len < 12 || !len.is_multiple_of(4) || len > BLOCK_BYTES_MAX {
            return Step::Damaged(Damage::Length);
        }
        let Some(body) = bytes.get(8..len).map(|block| &block[..block.len() - 4]) else { return Step::More };
        match kind {
            SECTION => self.interfaces.clear(),
            INTERFACE if self.interfaces.len() < INTERFACES_MAX => {
                if let Some(interface) = self.interface(body) {
                    self.interfaces.push(interface);
                }
            }
            ENHANCED_PACKET | PACKET | SIMPLE_PACKET => return self.packet(kind, body, len),
            _ => {}
        }
        Step::Skip(len)
    }

    fn packet<'a>(&self, kind: u32, body: &'a [u8], len: usize) -> Step<'a> {
        match self.frame(kind, body) {
            Some(Ok(frame)) => Step::Frame(len, frame),
            Some(Err(damage)) => Step::Damaged(damage),
            // A block too small for its kind holds no frame.
            None => Step::Skip(len),
        }
    }

    fn frame<'a>(&self, kind: u32, body: &'a [u8]) -> Option<Result<Frame<'a>, Damage>> {
        if kind == SIMPLE_PACKET {
            let Some(interface) = self.interfaces.first() else { return Some(Err(Damage::Interface)) };
            let wire_len = self.be(body, 0)?;
            let snap = if interface.snap_len == 0 { u32::MAX } else { interface.snap_len };
            let bytes = &body[4..];
            let bytes = &bytes[..bytes.len().min(wire_len.min(snap) as usize)];
            return Some(Ok(Frame { time: Timestamp(0), link: interface.link, bytes, wire_len, number: 0 }));
        }
        let index = if kind == PACKET { u32::from(self.half(body, 0)?) } else { self.be(body, 0)? };
        let Some(interface) = self.interfaces.get(index as usize) else { return Some(Err(Damage::Interface)) };
        let ticks = u64::from(self.be(body, 4)?) << 32 | u64::from(self.be(body, 8)?);
        let (captured, wire_len) = (self.be(body, 12)? as usize, self.be(body, 16)?);
        let Some(bytes) = body.get(20..20usize.saturating_add(captured)) else { return Some(Err(Damage::Length)) };
        Some(Ok(Frame { time: interface.time(ticks), link: interface.link, bytes, wire_len: wire_len.max(captured as u32), number: 0 }))
    }

    fn interface(&self, body: &[u8]) -> Option<Interface> {
        let mut interface = Interface { link: Link(self.half(body, 0)?), snap_len: self.be(body, 4)?, ticks: 1_000_000, offset_secs: 0 };
        let mut at = 8;
        while let (Some(code), Some(len)) = (self.half(body, at), self.half(body, at + 2)) {
            let Some(value) = body.get(at + 4..at + 4 + usize::from(len)) else { break };
            match (code, value) {
                (0, _) => break,
                (OPTION_RESOLUTION, [exponent, ..]) => interface.ticks = ticks_of(*exponent),
                (OPTION_OFFSET, value) if value.len() == 8 => {
                    let (first, second) = (self.be(value, 0)?, self.be(value, 4)?);
                    let (high, low) = if self.big_endian { (first, second) } else { (second, first) };
                    interface.offset_secs = (u64::from(high) << 32 | u64::from(low)) as i64;
                }
                _ => {}
            }
            at += 4 + usize::from(len).next_multiple_of(4);
        }
        Some(interface)
    }
}

/// `if_tsresol`: a power of ten, or of two with the high bit. What no clock has counts as microseconds.
fn ticks_of(exponent: u8) -> u64 {
    let ticks = if exponent & 0x80 == 0 { 10u64.checked_pow(exponent.into()) } else { 2u64.checked_pow(u32::from(exponent & 0x7f)) };
    ticks.unwrap_or(1_000_000)
}

impl Interface {
    fn time(&self, ticks: u64) -> Timestamp {
        let micros = u128::from(ticks) * 1_000_000 / u128::from(self.ticks);
        let micros = i64::try_from(micros).unwrap_or(i64::MAX).saturating_add(self.offset_secs.saturating_mul(1_000_000));
        // Beyond the year 9999, and before 1970, no clock was right.
        Timestamp(micros.clamp(0, MICROS_MAX))
    }
}
