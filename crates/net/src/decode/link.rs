//! Ethernet, VLAN and QinQ tags, MPLS, PPPoE, PPP, Linux cooked captures, loopback, raw IP.

use super::{Around, Decoded, Malformed, TAGS_MAX, ip};
use crate::bytes::be16;
use crate::capture::Link;

const ARP: u16 = 0x0806;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;
const QINQ: u16 = 0x88a8;
const QINQ_OLD: u16 = 0x9100;
const MPLS: u16 = 0x8847;
const MPLS_MULTICAST: u16 = 0x8848;
const PPPOE_SESSION: u16 = 0x8864;
/// EtherTypes begin here; below it is the length of an 802.3 frame.
const ETHERTYPE_MIN: u16 = 0x0600;

pub fn decode(link: Link, bytes: &[u8]) -> Result<Decoded<'_>, Malformed> {
    let around = Around::default();
    match link {
        Link::ETHERNET => ethernet(bytes, around),
        Link::RAW | Link::RAW_BSD | Link::RAW_OPENBSD | Link::IPV4 | Link::IPV6 => ip::decode(bytes, around),
        Link::NULL | Link::LOOP => loopback(bytes, around),
        Link::LINUX_SLL => tagged(be16(bytes, 14).ok_or(Malformed::LinkShort)?, bytes.get(16..), around),
        Link::LINUX_SLL2 => tagged(be16(bytes, 0).ok_or(Malformed::LinkShort)?, bytes.get(20..), around),
        Link::PPP | Link::PPP_HDLC => ppp(bytes.strip_prefix(&[0xff, 0x03]).unwrap_or(bytes), around),
        Link::PPP_ETHER => tagged(PPPOE_SESSION, Some(bytes), around),
        _ => Err(Malformed::LinkUnknown),
    }
}

pub fn ethernet(bytes: &[u8], around: Around) -> Result<Decoded<'_>, Malformed> {
    tagged(be16(bytes, 12).ok_or(Malformed::LinkShort)?, bytes.get(14..), around)
}

/// What follows an EtherType.
pub fn tagged(ethertype: u16, bytes: Option<&[u8]>, mut around: Around) -> Result<Decoded<'_>, Malformed> {
    let mut bytes = bytes.ok_or(Malformed::LinkShort)?;
    let mut ethertype = ethertype;
    for _ in 0..TAGS_MAX {
        match ethertype {
            IPV4 | IPV6 => return ip::decode(bytes, around),
            VLAN | QINQ | QINQ_OLD => {
                around.vlan = be16(bytes, 0).ok_or(Malformed::LinkShort)? & 0x0fff;
                ethertype = be16(bytes, 2).ok_or(Malformed::LinkShort)?;
                bytes = &bytes[4..];
            }
            MPLS | MPLS_MULTICAST => return mpls(bytes, around),
            PPPOE_SESSION => return ppp(bytes.get(6..).ok_or(Malformed::LinkShort)?, around),
            ARP => return Ok(Decoded::Arp),
            // 802.3 with LLC and SNAP: the EtherType follows the organisation's code.
            len if len < ETHERTYPE_MIN && bytes.starts_with(&[0xaa, 0xaa, 0x03]) => {
                ethertype = be16(bytes, 6).ok_or(Malformed::LinkShort)?;
                bytes = &bytes[8..];
            }
            other => return Ok(Decoded::Other(other)),
        }
    }
    Err(Malformed::TagsTooMany)
}

/// Labels down to the bottom of the stack. What lies below says no type: IP by its version, or Ethernet behind a
/// control word (RFC 4385).
fn mpls(mut bytes: &[u8], around: Around) -> Result<Decoded<'_>, Malformed> {
    for _ in 0..TAGS_MAX {
        let bottom = bytes.get(2).ok_or(Malformed::LinkShort)? & 1 == 1;
        bytes = bytes.get(4..).ok_or(Malformed::LinkShort)?;
        if bottom {
            return match bytes.first().map(|b| b >> 4) {
                Some(4 | 6) => ip::decode(bytes, around),
                Some(0) => ethernet(bytes.get(4..).ok_or(Malformed::LinkShort)?, around),
                _ => Ok(Decoded::Other(MPLS)),
            };
        }
    }
    Err(Malformed::TagsTooMany)
}

/// PPP's protocol field: one byte if its lowest bit is set (RFC 1661, section 2), else two.
pub fn ppp(bytes: &[u8], around: Around) -> Result<Decoded<'_>, Malformed> {
    let first = *bytes.first().ok_or(Malformed::LinkShort)?;
    let (kind, rest) = if first & 1 == 1 {
        (u16::from(first), &bytes[1..])
    } else {
        (be16(bytes, 0).ok_or(Malformed::LinkShort)?, &bytes[2..])
    };
    match kind {
        0x0021 | 0x0057 => ip::decode(rest, around),
        0x0281 => mpls(rest, around),
        other => Ok(Decoded::Other(other)),
    }
}

/// BSD's loopback: an address family in the capturing host's byte order. The families of IPv6 differ between
/// systems, so the packet's own version decides.
fn loopback(bytes: &[u8], around: Around) -> Result<Decoded<'_>, Malformed> {
    let rest = bytes.get(4..).ok_or(Malformed::LinkShort)?;
    match rest.first().map(|b| b >> 4) {
        Some(4 | 6) => ip::decode(rest, around),
        _ => Ok(Decoded::Other(be16(bytes, 0).unwrap_or(0))),
    }
}
