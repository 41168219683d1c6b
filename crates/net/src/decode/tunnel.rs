//! Packets in packets: IP in IP, 6in4, GRE with its uses (PPTP, ERSPAN, Ethernet), VXLAN, Geneve, GTP-U.
//!
//! What looks like a tunnel and holds no packet is told as the outer packet.

use super::{Around, Decoded, Packet, TUNNELS_MAX, ip, link, protocol};
use crate::bytes::{be16, u8_at};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Tunnel {
    #[default]
    None,
    IpInIp,
    Gre,
    Erspan,
    Vxlan,
    Geneve,
    GtpU,
}

impl Tunnel {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::IpInIp => "ipip",
            Self::Gre => "gre",
            Self::Erspan => "erspan",
            Self::Vxlan => "vxlan",
            Self::Geneve => "geneve",
            Self::GtpU => "gtpu",
        }
    }
}

const VXLAN_PORT: u16 = 4789;
/// Linux's default before the number was assigned.
const VXLAN_PORT_OLD: u16 = 8472;
const GENEVE_PORT: u16 = 6081;
const GTPU_PORT: u16 = 2152;

/// The packet within a packet, if there is one.
pub fn within<'a>(outer: &Packet<'a>) -> Option<Decoded<'a>> {
    if outer.around.depth >= TUNNELS_MAX {
        return None;
    }
    let around = |tunnel| Around { tunnel, depth: outer.around.depth + 1, ..outer.around };
    let bytes = outer.payload;
    match outer.protocol {
        protocol::IPV4 | protocol::IPV6 => ip::decode(bytes, around(Tunnel::IpInIp)).ok(),
        protocol::GRE => gre(bytes, around(Tunnel::Gre)),
        protocol::UDP => match outer.dst_port {
            // The flag of a valid network identifier, and reserved bits that are zero (RFC 7348).
            VXLAN_PORT | VXLAN_PORT_OLD if bytes.first() == Some(&0x08) && bytes.get(7) == Some(&0) => packet(link::ethernet(bytes.get(8..)?, around(Tunnel::Vxlan)).ok()?),
            GENEVE_PORT if bytes.first()? >> 6 == 0 => {
                let options = usize::from(bytes[0] & 0x3f) * 4;
                ethertype(be16(bytes, 2)?, bytes.get(8 + options..)?, around(Tunnel::Geneve))
            }
            GTPU_PORT => gtpu(bytes, around(Tunnel::GtpU)),
            _ => None,
        },
        _ => None,
    }
}

/// Only what turned out to be IP is a tunnel's content.
fn packet(decoded: Decoded<'_>) -> Option<Decoded<'_>> {
    matches!(decoded, Decoded::Packet(_) | Decoded::Fragment(_)).then_some(decoded)
}

fn ethertype(kind: u16, bytes: &[u8], around: Around) -> Option<Decoded<'_>> {
    let decoded = if kind == 0x6558 { link::ethernet(bytes, around) } else { link::tagged(kind, Some(bytes), around) };
    packet(decoded.ok()?)
}

/// RFC 2784 and 2890; version 1 carries PPP (RFC 2637).
fn gre(bytes: &[u8], around: Around) -> Option<Decoded<'_>> {
    let (bits, kind) = (be16(bytes, 0)?, be16(bytes, 2)?);
    let version_1 = bits & 7 == 1;
    let mut at = 4;
    // Checksum or routing; key; sequence number; in version 1 an acknowledgement.
    let sequence = bits & 0x1000 != 0;
    for present in [bits & 0xc000 != 0, bits & 0x2000 != 0, sequence, version_1 && bits & 0x80 != 0] {
        at += if present { 4 } else { 0 };
    }
    let rest = bytes.get(at..)?;
    match kind {
        0x880b => packet(link::ppp(rest.strip_prefix(&[0xff, 0x03]).unwrap_or(rest), around).ok()?),
        // ERSPAN type I has no header of its own, type II (with a sequence number) one of 8 bytes.
        0x88be => packet(link::ethernet(rest.get(if sequence { 8 } else { 0 }..)?, Around { tunnel: Tunnel::Erspan, ..around }).ok()?),
        // Type III: 12 bytes, and 8 more if the lowest bit is set.
        0x22eb => {
            let header = if u8_at(rest, 11)? & 1 == 1 { 20 } else { 12 };
            packet(link::ethernet(rest.get(header..)?, Around { tunnel: Tunnel::Erspan, ..around }).ok()?)
        }
        kind => ethertype(kind, rest, around),
    }
}

/// GTP version 1 user data (3GPP TS 29.281): message type 255.
fn gtpu(bytes: &[u8], around: Around) -> Option<Decoded<'_>> {
    let flags = u8_at(bytes, 0)?;
    if flags >> 4 != 3 || u8_at(bytes, 1)? != 255 {
        return None;
    }
    let mut at = 8;
    if flags & 7 != 0 {
        let mut next = u8_at(bytes, 11)?;
        at = 12;
        for _ in 0..super::EXTENSIONS_MAX {
            if flags & 4 == 0 || next == 0 {
                break;
            }
            let size = usize::from(u8_at(bytes, at)?) * 4;
            next = u8_at(bytes, (at + size).checked_sub(1)?)?;
            at += size.max(4);
        }
    }
    packet(ip::decode(bytes.get(at..)?, around).ok()?)
}
