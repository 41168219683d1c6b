//! What is written of a flow.

use super::{ConnState, EndReason, Flow, Side};
use crate::community_id::{Tuple, community_id};
use crate::decode::{Tunnel, flags, protocol};
use event::Timestamp;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::net::IpAddr;

/// A Community ID: always `1:` and 28 characters of Base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommunityId([u8; 30]);

impl CommunityId {
    pub fn of(seed: u16, tuple: &Tuple) -> Self {
        let mut id = [b'='; 30];
        let text = community_id(seed, tuple);
        id[..text.len().min(30)].copy_from_slice(&text.as_bytes()[..text.len().min(30)]);
        Self(id)
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl std::fmt::Debug for CommunityId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for CommunityId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Who talks to whom: the beginning of every record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Endpoints {
    pub community_id: CommunityId,
    pub src_ip: IpAddr,
    pub src_port: u16,
    pub dst_ip: IpAddr,
    pub dst_port: u16,
    #[serde(serialize_with = "name_of")]
    pub proto: u8,
}

/// The name of an IP protocol, as in `/etc/protocols`; its number if it has no common one.
pub fn protocol_name(protocol: u8) -> std::borrow::Cow<'static, str> {
    match protocol {
        protocol::ICMP => "icmp".into(),
        protocol::IGMP => "igmp".into(),
        protocol::IPV4 => "ipip".into(),
        protocol::TCP => "tcp".into(),
        protocol::UDP => "udp".into(),
        protocol::IPV6 => "ipv6".into(),
        protocol::GRE => "gre".into(),
        50 => "esp".into(),
        51 => "ah".into(),
        protocol::ICMPV6 => "ipv6-icmp".into(),
        89 => "ospf".into(),
        103 => "pim".into(),
        112 => "vrrp".into(),
        protocol::SCTP => "sctp".into(),
        other => other.to_string().into(),
    }
}

fn name_of<S: Serializer>(protocol: &u8, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&protocol_name(*protocol))
}

impl Endpoints {
    pub fn of<T>(flow: &Flow<T>, seed: u16) -> Self {
        let ((src, src_port), (dst, dst_port)) = (flow.source(), flow.destination());
        let v6 = flow.key.v6;
        let tuple = Tuple { src, dst, v6, protocol: flow.key.protocol, src_port, dst_port };
        Self { community_id: CommunityId::of(seed, &tuple), src_ip: src.ip(v6), src_port, dst_ip: dst.ip(v6), dst_port, proto: flow.key.protocol }
    }
}

/// A flow, as it is written.
#[derive(Clone, Debug, Serialize)]
pub struct FlowRecord {
    /// When the record's first and last packet came.
    pub start: Timestamp,
    pub end: Timestamp,
    /// Seconds.
    pub duration: f64,
    #[serde(flatten)]
    pub endpoints: Endpoints,
    #[serde(skip_serializing_if = "is_zero")]
    pub vlan: u16,
    #[serde(skip_serializing_if = "no_tunnel", serialize_with = "tunnel_name")]
    pub tunnel: Tunnel,
    /// The protocol that its content showed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<&'static str>,
    pub state: ConnState,
    pub reason: EndReason,
    pub src_packets: u64,
    pub dst_packets: u64,
    pub src_bytes: u64,
    pub dst_bytes: u64,
    pub src_payload_bytes: u64,
    pub dst_payload_bytes: u64,
    /// When the flow began, if other records of it were written before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpFacts>,
}

#[derive(Clone, Debug, Serialize)]
pub struct TcpFacts {
    /// The control bits of the first packet, as a number.
    pub first_flags: u8,
    pub src_flags: FlagCounts,
    pub dst_flags: FlagCounts,
    pub src_retransmitted: u32,
    pub dst_retransmitted: u32,
    /// Milliseconds of the handshake's round trip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<f64>,
    /// Bytes that reassembly did not see.
    #[serde(skip_serializing_if = "is_none_u64")]
    pub gap_bytes: u64,
}

/// How often each control bit was set; those never set are left out.
#[derive(Clone, Copy, Debug)]
pub struct FlagCounts(pub [u32; 8]);

impl FlagCounts {
    pub fn of(&self, flag: u8) -> u32 {
        self.0[flag.trailing_zeros() as usize & 7]
    }
}

impl Serialize for FlagCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, count) in flags::NAMES.iter().zip(self.0) {
            if count > 0 {
                map.serialize_entry(name, &count)?;
            }
        }
        map.end()
    }
}

fn is_zero(number: &u16) -> bool {
    *number == 0
}

fn is_none_u64(number: &u64) -> bool {
    *number == 0
}

fn no_tunnel(tunnel: &Tunnel) -> bool {
    *tunnel == Tunnel::None
}

fn tunnel_name<S: Serializer>(tunnel: &Tunnel, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(tunnel.as_str())
}

impl FlowRecord {
    pub fn of<T>(flow: &Flow<T>, reason: EndReason, app: Option<&'static str>, gap_bytes: u64, seed: u16) -> Self {
        let (src, dst): (&Side, &Side) = (&flow.src, &flow.dst);
        let tcp = flow.is_tcp().then(|| TcpFacts {
            first_flags: flow.tcp.first_flags,
            src_flags: FlagCounts(src.flags),
            dst_flags: FlagCounts(dst.flags),
            src_retransmitted: src.retransmitted,
            dst_retransmitted: dst.retransmitted,
            rtt_ms: flow.tcp.round_trip_us().map(|us| f64::from(us) / 1e3),
            gap_bytes,
        });
        Self {
            start: flow.first,
            end: flow.last,
            duration: flow.last.micros().saturating_sub(flow.first.micros()) as f64 / 1e6,
            endpoints: Endpoints::of(flow, seed),
            vlan: flow.key.vlan,
            tunnel: flow.tunnel,
            app,
            state: flow.state(),
            reason,
            src_packets: src.packets,
            dst_packets: dst.packets,
            src_bytes: src.bytes,
            dst_bytes: dst.bytes,
            src_payload_bytes: src.payload,
            dst_payload_bytes: dst.payload,
            opened: (flow.opened != flow.first).then_some(flow.opened),
            tcp,
        }
    }

    /// Seconds since the flow began, records written before included.
    pub fn lasted_secs(&self) -> i64 {
        self.end.secs() - self.opened.unwrap_or(self.start).secs()
    }
}
