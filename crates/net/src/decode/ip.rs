//! IPv4 (RFC 791) and IPv6 (RFC 8200) with its extension headers.

use super::{Addr, Around, Decoded, EXTENSIONS_MAX, Fragment, Malformed, transport};
use crate::bytes::{be16, be32};

/// What the IP header says of a packet.
pub struct Ip {
    pub src: Addr,
    pub dst: Addr,
    pub v6: bool,
    pub ttl: u8,
    pub ip_len: u32,
    pub frames: u32,
}

pub fn decode(bytes: &[u8], around: Around) -> Result<Decoded<'_>, Malformed> {
    match bytes.first().map(|b| b >> 4) {
        Some(4) => v4(bytes, around),
        Some(6) => v6(bytes, around),
        Some(_) => Err(Malformed::IpVersion),
        None => Err(Malformed::IpShort),
    }
}

fn v4(bytes: &[u8], around: Around) -> Result<Decoded<'_>, Malformed> {
    let head: &[u8; 20] = bytes.first_chunk().ok_or(Malformed::IpShort)?;
    let header_len = usize::from(head[0] & 15) * 4;
    if header_len < 20 || header_len > bytes.len() {
        return Err(Malformed::IpHeaderLen);
    }
    // 0 is what segmentation offload leaves in captures on the sending host.
    let total = match usize::from(u16::from_be_bytes([head[2], head[3]])) {
        0 => bytes.len(),
        total => total,
    };
    if total < header_len {
        return Err(Malformed::IpTotalLen);
    }
    let payload = &bytes[header_len..total.min(bytes.len())];
    let src = Addr::v4([head[12], head[13], head[14], head[15]]);
    let dst = Addr::v4([head[16], head[17], head[18], head[19]]);
    let place = u16::from_be_bytes([head[6], head[7]]);
    let (more, offset) = (place & 0x2000 != 0, u32::from(place & 0x1fff) * 8);
    let (ttl, protocol) = (head[8], head[9]);
    if more || offset > 0 {
        let id = u32::from(u16::from_be_bytes([head[4], head[5]]));
        return fragment(Fragment { src, dst, v6: false, around, ttl, protocol, id, offset, more, payload }, total - header_len);
    }
    let ip = Ip { src, dst, v6: false, ttl, ip_len: total as u32, frames: 1 };
    transport::decode(&ip, around, protocol, payload, total - header_len)
}

/// Pieces before the last are multiples of 8, and no datagram is longer than 65,535 ("ping of death").
fn fragment(fragment: Fragment<'_>, len: usize) -> Result<Decoded<'_>, Malformed> {
    let absurd = fragment.offset as usize + len > 65_535 || (fragment.more && !len.is_multiple_of(8)) || len == 0;
    if absurd || fragment.payload.len() < len {
        return Err(Malformed::FragmentLen);
    }
    Ok(Decoded::Fragment(fragment))
}

fn v6(bytes: &[u8], around: Around) -> Result<Decoded<'_>, Malformed> {
    let head: &[u8; 40] = bytes.first_chunk().ok_or(Malformed::IpShort)?;
    let addr = |at: usize| {
        let mut octets = [0; 16];
        octets.copy_from_slice(&head[at..at + 16]);
        Addr(octets)
    };
    let (src, dst) = (addr(8), addr(24));
    // 0 is a jumbogram or offload: what was captured counts.
    let len = match usize::from(u16::from_be_bytes([head[4], head[5]])) {
        0 => bytes.len() - 40,
        len => len,
    };
    let mut rest = &bytes[40..(40 + len).min(bytes.len())];
    let mut rest_len = len;
    let (mut next, ttl) = (head[6], head[7]);
    for _ in 0..EXTENSIONS_MAX {
        let size = match next {
            // Hop-by-hop, routing, destination options, mobility, HIP, shim6.
            0 | 43 | 60 | 135 | 139 | 140 => (usize::from(*rest.get(1).ok_or(Malformed::ExtensionShort)?) + 1) * 8,
            // Authentication header, counted in fours (RFC 4302).
            51 => (usize::from(*rest.get(1).ok_or(Malformed::ExtensionShort)?) + 2) * 4,
            44 => {
                let (place, id) = (be16(rest, 2).ok_or(Malformed::ExtensionShort)?, be32(rest, 4).ok_or(Malformed::ExtensionShort)?);
                let (more, offset) = (place & 1 != 0, u32::from(place & 0xfff8));
                if more || offset > 0 {
                    let protocol = rest[0];
                    let payload = &rest[8..];
                    return fragment(Fragment { src, dst, v6: true, around, ttl, protocol, id, offset, more, payload }, rest_len.saturating_sub(8));
                }
                // An atomic fragment (RFC 6946) is a whole packet.
                8
            }
            _ => {
                let ip = Ip { src, dst, v6: true, ttl, ip_len: (40 + len) as u32, frames: 1 };
                return transport::decode(&ip, around, next, rest, rest_len);
            }
        };
        next = *rest.first().ok_or(Malformed::ExtensionShort)?;
        rest = rest.get(size..).ok_or(Malformed::ExtensionShort)?;
        rest_len = rest_len.checked_sub(size).ok_or(Malformed::ExtensionShort)?;
    }
    Err(Malformed::ExtensionsTooMany)
}
