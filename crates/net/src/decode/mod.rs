//! From a frame to the innermost IP packet: links, tags, IP with its extension headers, tunnels, transports.
//!
//! Slices borrow from the frame; nothing is allocated. Checksums are not verified: captures on the sending host
//! hold them unfilled, because network cards fill them in.

mod ip;
mod link;
mod transport;
mod tunnel;

pub use tunnel::Tunnel;
pub use transport::{Tcp, flags};

use crate::capture::Link;
use std::net::IpAddr;

/// Tunnels within tunnels; what is deeper is told as the packet of the last one.
pub const TUNNELS_MAX: u8 = 4;
/// VLAN tags and MPLS labels in front of one packet.
pub const TAGS_MAX: usize = 16;
/// IPv6 extension headers of one packet.
pub const EXTENSIONS_MAX: usize = 16;

pub mod protocol {
    pub const ICMP: u8 = 1;
    pub const IGMP: u8 = 2;
    pub const IPV4: u8 = 4;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const IPV6: u8 = 41;
    pub const GRE: u8 = 47;
    pub const ICMPV6: u8 = 58;
    pub const SCTP: u8 = 132;
}

/// An address of either family in one size; IPv4 in its mapped form (`::ffff:a.b.c.d`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Addr(pub [u8; 16]);

impl Addr {
    pub fn v4(octets: [u8; 4]) -> Self {
        let mut bytes = [0; 16];
        bytes[10] = 0xff;
        bytes[11] = 0xff;
        bytes[12..].copy_from_slice(&octets);
        Self(bytes)
    }

    pub fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::v4(ip.octets()),
            IpAddr::V6(ip) => Self(ip.octets()),
        }
    }

    /// The octets as they stood in the packet.
    pub fn octets(&self, v6: bool) -> &[u8] {
        if v6 { &self.0 } else { &self.0[12..] }
    }

    pub fn ip(&self, v6: bool) -> IpAddr {
        if v6 {
            return IpAddr::from(self.0);
        }
        let [.., a, b, c, d] = self.0;
        IpAddr::from([a, b, c, d])
    }
}

/// What stands around the packet that is being decoded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Around {
    /// The innermost VLAN tag's number; 0 without a tag.
    pub vlan: u16,
    pub tunnel: Tunnel,
    pub depth: u8,
}

/// The innermost IP packet of a frame.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    pub src: Addr,
    pub dst: Addr,
    pub v6: bool,
    pub around: Around,
    pub ttl: u8,
    pub protocol: u8,
    /// For ICMP the type; 0 where the protocol has no ports.
    pub src_port: u16,
    /// For ICMP the code.
    pub dst_port: u16,
    pub tcp: Option<Tcp>,
    /// What was captured of the transport's payload.
    pub payload: &'a [u8],
    /// What the headers say the payload is long.
    pub payload_len: u32,
    /// Bytes of the IP packet.
    pub ip_len: u32,
    /// Frames it came in: more than one for a datagram put together from fragments.
    pub frames: u32,
}

/// A piece of an IP datagram.
#[derive(Clone, Copy, Debug)]
pub struct Fragment<'a> {
    pub src: Addr,
    pub dst: Addr,
    pub v6: bool,
    pub around: Around,
    pub ttl: u8,
    pub protocol: u8,
    pub id: u32,
    /// Bytes before this piece.
    pub offset: u32,
    pub more: bool,
    pub payload: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
pub enum Decoded<'a> {
    Packet(Packet<'a>),
    Fragment(Fragment<'a>),
    Arp,
    /// Not IP: the EtherType, or the link's own number.
    Other(u16),
}

/// Why a frame could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Malformed {
    LinkUnknown,
    LinkShort,
    TagsTooMany,
    IpShort,
    IpVersion,
    IpHeaderLen,
    IpTotalLen,
    ExtensionsTooMany,
    ExtensionShort,
    FragmentLen,
    TcpShort,
    TcpHeaderLen,
    UdpShort,
    UdpLen,
    IcmpShort,
    SctpShort,
}

impl Malformed {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LinkUnknown => "link_unknown",
            Self::LinkShort => "link_short",
            Self::TagsTooMany => "tags_too_many",
            Self::IpShort => "ip_short",
            Self::IpVersion => "ip_version",
            Self::IpHeaderLen => "ip_header_len",
            Self::IpTotalLen => "ip_total_len",
            Self::ExtensionsTooMany => "extensions_too_many",
            Self::ExtensionShort => "extension_short",
            Self::FragmentLen => "fragment_len",
            Self::TcpShort => "tcp_short",
            Self::TcpHeaderLen => "tcp_header_len",
            Self::UdpShort => "udp_short",
            Self::UdpLen => "udp_len",
            Self::IcmpShort => "icmp_short",
            Self::SctpShort => "sctp_short",
        }
    }
}

/// Decodes a frame of a link.
pub fn frame(link: Link, bytes: &[u8]) -> Result<Decoded<'_>, Malformed> {
    link::decode(link, bytes)
}

/// Decodes the payload of a datagram that was put together from fragments like `first`.
pub fn datagram<'a>(first: &Fragment<'_>, payload: &'a [u8], frames: u32) -> Result<Decoded<'a>, Malformed> {
    let header = if first.v6 { 40 } else { 20 };
    let ip = ip::Ip { src: first.src, dst: first.dst, v6: first.v6, ttl: first.ttl, ip_len: header + payload.len() as u32, frames };
    transport::decode(&ip, first.around, first.protocol, payload, payload.len())
}
