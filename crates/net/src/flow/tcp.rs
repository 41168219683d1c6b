//! What the control bits of a connection say, in the words of Zeek's `conn_state`.

use super::Flow;
use crate::decode::{Tcp, flags, protocol};
use event::Timestamp;

const SYN: u8 = 1;
const SYN_ACK: u8 = 2;
const FIN_SRC: u8 = 4;
const FIN_DST: u8 = 8;
const RST_SRC: u8 = 16;
const RST_DST: u8 = 32;
/// The source acknowledged the SYN-ACK: the handshake is complete.
const COMPLETE: u8 = 64;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct State {
    seen: u8,
    pub first_flags: u8,
    /// Sequence number of the source's SYN.
    syn_seq: u32,
    /// Microseconds from the record's beginning to the last SYN, the SYN-ACK and its acknowledgement.
    syn_us: u32,
    syn_ack_us: u32,
    ack_us: u32,
    /// The resets' order: whose came first.
    reset_by_source: bool,
}

impl State {
    pub fn packet(&mut self, tcp: &Tcp, from_source: bool, time: Timestamp, first: Timestamp) {
        let us = u32::try_from(time.micros() - first.micros()).unwrap_or(0);
        let (syn, ack) = (tcp.has(flags::SYN), tcp.has(flags::ACK));
        if from_source && syn && !ack {
            self.seen |= SYN;
            self.syn_seq = tcp.seq;
            if self.seen & SYN_ACK == 0 {
                self.syn_us = us;
            }
        } else if !from_source && syn && ack && self.seen & SYN_ACK == 0 {
            self.seen |= SYN_ACK;
            self.syn_ack_us = us;
        } else if from_source && ack && !tcp.has(flags::RST) && self.seen & (SYN_ACK | COMPLETE) == SYN_ACK {
            self.seen |= COMPLETE;
            self.ack_us = us;
        }
        if tcp.has(flags::FIN) {
            self.seen |= if from_source { FIN_SRC } else { FIN_DST };
        }
        if tcp.has(flags::RST) {
            if self.seen & (RST_SRC | RST_DST) == 0 {
                self.reset_by_source = from_source;
            }
            self.seen |= if from_source { RST_SRC } else { RST_DST };
        }
    }

    fn has(&self, bits: u8) -> bool {
        self.seen & bits == bits
    }

    pub fn is_reset(&self) -> bool {
        self.seen & (RST_SRC | RST_DST) != 0
    }

    pub fn is_closed(&self) -> bool {
        self.is_reset() || self.has(FIN_SRC | FIN_DST)
    }

    pub fn is_complete(&self) -> bool {
        self.has(COMPLETE)
    }

    /// Whether a SYN begins another connection than the one of this flow.
    pub fn is_other_connection(&self, tcp: &Tcp) -> bool {
        tcp.has(flags::SYN) && !tcp.has(flags::ACK) && self.is_closed() && tcp.seq != self.syn_seq
    }

    /// Microseconds from the SYN to the acknowledgement of the SYN-ACK: one round trip between the hosts, wherever
    /// between them the capture was made.
    pub fn round_trip_us(&self) -> Option<u32> {
        (self.has(SYN | SYN_ACK | COMPLETE) && self.ack_us >= self.syn_us).then(|| self.ack_us - self.syn_us)
    }

    /// Keeps what a connection is when a record is written and counting begins anew.
    pub fn continued(&mut self) {
        (self.syn_us, self.syn_ack_us, self.ack_us) = (0, 0, 0);
    }
}

/// The state of a connection, in Zeek's words; for other protocols `S0` (only the source sent), `SF` (both did).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
pub enum ConnState {
    /// A SYN without an answer.
    S0,
    /// Open.
    S1,
    /// The source wants to close, the destination did not.
    S2,
    /// The destination wants to close, the source did not.
    S3,
    /// Opened and closed as it should be.
    #[serde(rename = "SF")]
    Finished,
    /// A SYN answered by a reset.
    #[serde(rename = "REJ")]
    Rejected,
    /// The source reset an open connection.
    #[serde(rename = "RSTO")]
    ResetBySource,
    /// The destination reset an open connection.
    #[serde(rename = "RSTR")]
    ResetByDestination,
    /// A SYN and then a reset of the source, without an answer.
    #[serde(rename = "RSTOS0")]
    ResetUnanswered,
    /// A SYN-ACK and a reset of the destination, without a SYN.
    #[serde(rename = "RSTRH")]
    ResetHalf,
    /// A SYN and a FIN of the source, without an answer.
    #[serde(rename = "SH")]
    HalfSource,
    /// A SYN-ACK and a FIN of the destination, without a SYN.
    #[serde(rename = "SHR")]
    HalfDestination,
    /// No SYN: the middle of a connection, or packets that are none.
    #[serde(rename = "OTH")]
    Other,
}

pub fn conn_state<T>(flow: &Flow<T>) -> ConnState {
    let tcp = &flow.tcp;
    if flow.key.protocol != protocol::TCP {
        return match (flow.src.packets, flow.dst.packets) {
            (_, 0) => ConnState::S0,
            (0, _) => ConnState::HalfDestination,
            _ => ConnState::Finished,
        };
    }
    let reset_by_source = tcp.is_reset() && tcp.reset_by_source;
    let reset_by_destination = tcp.is_reset() && !tcp.reset_by_source;
    match (tcp.has(SYN), tcp.has(SYN_ACK)) {
        (true, true) if reset_by_source => ConnState::ResetBySource,
        (true, true) if reset_by_destination => ConnState::ResetByDestination,
        (true, true) if tcp.has(FIN_SRC | FIN_DST) => ConnState::Finished,
        (true, true) if tcp.has(FIN_SRC) => ConnState::S2,
        (true, true) if tcp.has(FIN_DST) => ConnState::S3,
        (true, true) => ConnState::S1,
        (true, false) if reset_by_destination => ConnState::Rejected,
        (true, false) if reset_by_source => ConnState::ResetUnanswered,
        (true, false) if tcp.has(FIN_SRC) => ConnState::HalfSource,
        (true, false) if flow.dst.packets == 0 => ConnState::S0,
        (false, true) if reset_by_destination => ConnState::ResetHalf,
        (false, true) if tcp.has(FIN_DST) => ConnState::HalfDestination,
        _ => ConnState::Other,
    }
}
