//! Flows: what two endpoints exchanged, counted in both directions, until it ends.
//!
//! A flow is a pair of addresses and ports of one protocol within one VLAN. Its source is who opened it: the sender
//! of the SYN, the receiver of a SYN-ACK seen first, the asker of an ICMP answer; of a TCP flow that began before the
//! capture, the side with the high port. Time is packet time only, so a capture gives the same flows however fast it
//! is read.

mod index;
mod record;
mod table;
mod tcp;

pub use record::{CommunityId, Endpoints, FlagCounts, FlowRecord, TcpFacts, protocol_name};
pub use table::{Counts, Limits, Table, Touched};
pub use tcp::ConnState;

use crate::community_id::icmp_counterpart;
use crate::decode::{Addr, Packet, Tunnel, flags, protocol};
use event::Timestamp;

/// A flow's identity, the same for both directions: the lower endpoint first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Key {
    pub low: Addr,
    pub high: Addr,
    pub low_port: u16,
    pub high_port: u16,
    pub vlan: u16,
    pub protocol: u8,
    pub v6: bool,
}

impl Key {
    /// The key of a packet, and whether its sender is the lower endpoint.
    pub fn of(packet: &Packet<'_>) -> (Self, bool) {
        let mut ports = (packet.src_port, packet.dst_port);
        if matches!(packet.protocol, protocol::ICMP | protocol::ICMPV6)
            && let Some(answer) = icmp_counterpart(packet.v6, packet.src_port)
        {
            ports.1 = answer;
        }
        let low_sends = (packet.src, ports.0) <= (packet.dst, ports.1);
        let (low, high, ports) = if low_sends { (packet.src, packet.dst, ports) } else { (packet.dst, packet.src, (ports.1, ports.0)) };
        let key = Self { low, high, low_port: ports.0, high_port: ports.1, vlan: packet.around.vlan, protocol: packet.protocol, v6: packet.v6 };
        (key, low_sends)
    }
}

/// What one side sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Side {
    pub packets: u64,
    /// Bytes of IP packets.
    pub bytes: u64,
    /// Bytes above the transport's header.
    pub payload: u64,
    /// How often each control bit was set, in the order of [`flags::NAMES`].
    pub flags: [u32; 8],
    pub retransmitted: u32,
    /// The sequence number after the last byte seen, once there was one.
    next_seq: Option<u32>,
}

/// Why a flow's record was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Both sides closed.
    Fin,
    Rst,
    /// Nothing came for the protocol's idle time.
    Idle,
    /// It lasts; a record is written and counting begins anew.
    Active,
    /// The table was full.
    Evicted,
    /// A new connection uses the same ports.
    Reused,
    /// The capture ended.
    End,
}

/// A flow with whatever its user attaches to it.
#[derive(Debug, Default)]
pub struct Flow<T> {
    pub key: Key,
    /// Whether the source is the key's lower endpoint.
    pub source_is_low: bool,
    /// When it began; `first` is when the current record began.
    pub opened: Timestamp,
    pub first: Timestamp,
    pub last: Timestamp,
    pub src: Side,
    pub dst: Side,
    pub tunnel: Tunnel,
    pub(crate) tcp: tcp::State,
    pub attached: T,
}

impl<T> Flow<T> {
    pub fn source(&self) -> (Addr, u16) {
        if self.source_is_low { (self.key.low, self.key.low_port) } else { (self.key.high, self.key.high_port) }
    }

    pub fn destination(&self) -> (Addr, u16) {
        if self.source_is_low { (self.key.high, self.key.high_port) } else { (self.key.low, self.key.low_port) }
    }

    pub fn state(&self) -> ConnState {
        tcp::conn_state(self)
    }

    pub fn is_tcp(&self) -> bool {
        self.key.protocol == protocol::TCP
    }

    /// The control bits of the first packet.
    pub fn first_flags(&self) -> u8 {
        self.tcp.first_flags
    }

    fn count(&mut self, packet: &Packet<'_>, from_source: bool, time: Timestamp) {
        self.last = self.last.max(time);
        let side = if from_source { &mut self.src } else { &mut self.dst };
        side.packets += u64::from(packet.frames);
        side.bytes += u64::from(packet.ip_len);
        side.payload += u64::from(packet.payload_len);
        if let Some(tcp) = &packet.tcp {
            side.segment(tcp.seq, tcp.flags, packet.payload_len);
            self.tcp.packet(tcp, from_source, time, self.first);
        }
    }
}

impl Side {
    fn segment(&mut self, seq: u32, bits: u8, len: u32) {
        for (bit, count) in self.flags.iter_mut().enumerate() {
            *count += u32::from(bits >> bit & 1);
        }
        if bits & flags::RST != 0 {
            return;
        }
        let end = seq.wrapping_add(len).wrapping_add(u32::from(bits & flags::SYN != 0)).wrapping_add(u32::from(bits & flags::FIN != 0));
        let Some(next) = self.next_seq else {
            self.next_seq = Some(end);
            return;
        };
        let ahead = end.wrapping_sub(next) as i32;
        // A probe that keeps a connection alive repeats at most one byte.
        let keep_alive = len <= 1 && seq.wrapping_add(1) == next;
        if end != seq && (seq.wrapping_sub(next) as i32) < 0 && !keep_alive {
            self.retransmitted += 1;
        }
        if ahead > 0 {
            self.next_seq = Some(end);
        }
    }
}

/// Whether a new flow's first packet was sent by the flow's source.
fn sender_is_source(packet: &Packet<'_>) -> bool {
    match (&packet.tcp, packet.protocol) {
        (Some(tcp), _) if tcp.has(flags::SYN | flags::ACK) => false,
        (Some(tcp), _) if tcp.has(flags::SYN) => true,
        // Begun before the capture: who answers from a well-known port did not open the connection.
        (Some(tcp), _) => !(tcp.has(flags::ACK) && packet.src_port < 1024 && packet.dst_port >= 1024),
        (None, protocol::ICMP) => !matches!(packet.src_port, 0 | 14 | 16 | 18),
        (None, protocol::ICMPV6) => !matches!(packet.src_port, 129 | 136),
        _ => true,
    }
}
