//! TCP, UDP, ICMP, SCTP; everything else is a packet without ports.

use super::ip::Ip;
use super::{Around, Decoded, Malformed, Packet, protocol, tunnel};
use crate::bytes::be16;

/// The control bits of a TCP header.
pub mod flags {
    pub const FIN: u8 = 1;
    pub const SYN: u8 = 2;
    pub const RST: u8 = 4;
    pub const PSH: u8 = 8;
    pub const ACK: u8 = 16;
    pub const URG: u8 = 32;
    pub const ECE: u8 = 64;
    pub const CWR: u8 = 128;
    /// Without the two bits of congestion control, which mean nothing to a scan.
    pub const PLAIN: u8 = 63;
    pub const NAMES: [&str; 8] = ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp {
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    pub window: u16,
}

impl Tcp {
    pub fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }
}

/// Decodes what follows an IP header. `len` is what the header says; `bytes` may be shorter in a cut capture.
pub fn decode<'a>(ip: &Ip, around: Around, protocol: u8, bytes: &'a [u8], len: usize) -> Result<Decoded<'a>, Malformed> {
    let mut packet = Packet {
        src: ip.src,
        dst: ip.dst,
        v6: ip.v6,
        around,
        ttl: ip.ttl,
        protocol,
        src_port: 0,
        dst_port: 0,
        tcp: None,
        payload: bytes,
        payload_len: len as u32,
        ip_len: ip.ip_len,
        frames: ip.frames,
    };
    match protocol {
        protocol::TCP => tcp(&mut packet, bytes, len)?,
        protocol::UDP => udp(&mut packet, bytes, len)?,
        protocol::ICMP | protocol::ICMPV6 => icmp(&mut packet, bytes, len)?,
        protocol::SCTP => sctp(&mut packet, bytes, len)?,
        protocol::IPV4 | protocol::IPV6 | protocol::GRE => {}
        _ => return Ok(Decoded::Packet(packet)),
    }
    Ok(tunnel::within(&packet).unwrap_or(Decoded::Packet(packet)))
}

fn tcp<'a>(packet: &mut Packet<'a>, bytes: &'a [u8], len: usize) -> Result<(), Malformed> {
    let head: &[u8; 20] = bytes.first_chunk().ok_or(Malformed::TcpShort)?;
    let header_len = usize::from(head[12] >> 4) * 4;
    if header_len < 20 || header_len > len {
        return Err(Malformed::TcpHeaderLen);
    }
    packet.src_port = u16::from_be_bytes([head[0], head[1]]);
    packet.dst_port = u16::from_be_bytes([head[2], head[3]]);
    packet.tcp = Some(Tcp {
        seq: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
        ack: u32::from_be_bytes([head[8], head[9], head[10], head[11]]),
        flags: head[13],
        window: u16::from_be_bytes([head[14], head[15]]),
    });
    packet.payload = bytes.get(header_len..).unwrap_or_default();
    packet.payload_len = (len - header_len) as u32;
    Ok(())
}

fn udp<'a>(packet: &mut Packet<'a>, bytes: &'a [u8], len: usize) -> Result<(), Malformed> {
    let head: &[u8; 8] = bytes.first_chunk().ok_or(Malformed::UdpShort)?;
    packet.src_port = u16::from_be_bytes([head[0], head[1]]);
    packet.dst_port = u16::from_be_bytes([head[2], head[3]]);
    // 0 is allowed for jumbograms; a length beyond the packet is not.
    let told = match usize::from(u16::from_be_bytes([head[4], head[5]])) {
        0 => len,
        told => told,
    };
    if told < 8 || told > len {
        return Err(Malformed::UdpLen);
    }
    packet.payload = &bytes[8..told.min(bytes.len())];
    packet.payload_len = (told - 8) as u32;
    Ok(())
}

fn icmp<'a>(packet: &mut Packet<'a>, bytes: &'a [u8], len: usize) -> Result<(), Malformed> {
    let [kind, code, ..] = *bytes.first_chunk::<4>().ok_or(Malformed::IcmpShort)?;
    packet.src_port = kind.into();
    packet.dst_port = code.into();
    packet.payload = &bytes[4..];
    packet.payload_len = len.saturating_sub(4) as u32;
    Ok(())
}

fn sctp<'a>(packet: &mut Packet<'a>, bytes: &'a [u8], len: usize) -> Result<(), Malformed> {
    packet.payload = bytes.get(12..).ok_or(Malformed::SctpShort)?;
    packet.src_port = be16(bytes, 0).ok_or(Malformed::SctpShort)?;
    packet.dst_port = be16(bytes, 2).ok_or(Malformed::SctpShort)?;
    packet.payload_len = len.saturating_sub(12) as u32;
    Ok(())
}
