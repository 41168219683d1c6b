//! The table of open flows: bounded, by packet time.

use super::index::Index;
use super::{EndReason, Flow, Key, sender_is_source};
use crate::decode::{Packet, protocol};
use event::Timestamp;

/// How many flows are kept and for how long. Times are seconds of packet time.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub flows_max: usize,
    /// A connection whose handshake is complete, or that began before the capture.
    pub tcp_idle_secs: i64,
    /// A connection that is not open yet.
    pub tcp_opening_secs: i64,
    /// After both sides closed or one reset: what is still on its way belongs to the flow.
    pub tcp_closed_secs: i64,
    pub udp_idle_secs: i64,
    pub other_idle_secs: i64,
    /// A flow that goes on writes a record so often.
    pub active_secs: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { flows_max: 1_000_000, tcp_idle_secs: 600, tcp_opening_secs: 60, tcp_closed_secs: 5, udp_idle_secs: 120, other_idle_secs: 60, active_secs: 3_600 }
    }
}

/// Slots looked at for the flow that gives way when the table is full.
const EVICTION_SLOTS: usize = 64;
/// A sweep over all deadlines is paid by at least this share of as many packets as there are slots.
const SWEEP_SHARE: usize = 16;
const FREE: i64 = i64::MAX;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    pub opened: u64,
    pub evicted: u64,
    /// Most flows open at a time.
    pub open_max: u64,
}

/// Where a packet's flow is.
#[derive(Clone, Copy, Debug)]
pub struct Touched {
    pub slot: u32,
    pub from_source: bool,
    pub is_new: bool,
}

pub struct Table<T> {
    limits: Limits,
    flows: Vec<Flow<T>>,
    /// When each slot's flow is over, in seconds of packet time: beside the flows, so that a sweep reads 8 bytes of
    /// each.
    deadlines: Vec<i64>,
    free: Vec<u32>,
    index: Index,
    hasher: ahash::RandomState,
    ended: Vec<(Flow<T>, EndReason)>,
    hand: usize,
    swept_secs: i64,
    since_sweep: usize,
    pub counts: Counts,
}

impl<T: Default> Table<T> {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            flows: Vec::new(),
            deadlines: Vec::new(),
            free: Vec::new(),
            index: Index::default(),
            hasher: ahash::RandomState::new(),
            ended: Vec::new(),
            hand: 0,
            swept_secs: i64::MIN,
            since_sweep: 0,
            counts: Counts::default(),
        }
    }

    /// Counts a packet in its flow, which it opens if need be. Flows that ended by it wait in [`Self::ended`].
    #[inline]
    pub fn touch(&mut self, packet: &Packet<'_>, time: Timestamp) -> Touched {
        self.sweep(time.secs());
        let (key, low_sends) = Key::of(packet);
        let hash = self.hash(&key);
        let found = self.index.find(hash, |slot| self.flows[slot as usize].key == key);
        if let Some(slot) = found {
            match self.over(slot, packet, time) {
                None => return self.count(slot, low_sends, packet, time, false),
                Some(EndReason::Active) => self.write_active(slot, time),
                Some(reason) => self.end(slot, reason),
            }
            if self.deadlines[slot as usize] != FREE {
                return self.count(slot, low_sends, packet, time, false);
            }
        }
        let slot = self.open(key, hash, packet, low_sends, time);
        self.count(slot, low_sends, packet, time, true)
    }

    pub fn flow_mut(&mut self, slot: u32) -> &mut Flow<T> {
        &mut self.flows[slot as usize]
    }

    /// Takes the flows that ended since the last call, oldest end first.
    pub fn ended(&mut self) -> std::vec::Drain<'_, (Flow<T>, EndReason)> {
        self.ended.drain(..)
    }

    pub fn has_ended(&self) -> bool {
        !self.ended.is_empty()
    }

    /// Flows open now.
    pub fn open_flows(&self) -> usize {
        self.flows.len() - self.free.len()
    }

    /// Bytes the table itself takes, without what is attached.
    pub fn bytes(&self) -> usize {
        self.flows.capacity() * size_of::<Flow<T>>() + self.deadlines.capacity() * 8 + self.index.bytes()
    }

    /// Ends what has been idle for its time, for captures where no packet comes.
    pub fn tick(&mut self, time: Timestamp) {
        self.since_sweep = usize::MAX / 2;
        self.sweep(time.secs());
    }

    /// Ends all flows, in the order in which they began.
    pub fn finish(&mut self) {
        let mut open: Vec<u32> = (0..self.flows.len() as u32).filter(|slot| self.deadlines[*slot as usize] != FREE).collect();
        open.sort_by_key(|slot| (self.flows[*slot as usize].first, *slot));
        for slot in open {
            let reason = self.natural_reason(slot).unwrap_or(EndReason::End);
            self.end(slot, reason);
        }
    }

    fn hash(&self, key: &Key) -> u64 {
        self.hasher.hash_one(key)
    }

    fn idle_secs(&self, flow: &Flow<T>) -> i64 {
        match flow.key.protocol {
            protocol::TCP if flow.tcp.is_closed() => self.limits.tcp_closed_secs,
            protocol::TCP if flow.tcp.is_complete() || flow.src.payload + flow.dst.payload > 0 => self.limits.tcp_idle_secs,
            protocol::TCP => self.limits.tcp_opening_secs,
            protocol::UDP => self.limits.udp_idle_secs,
            _ => self.limits.other_idle_secs,
        }
    }

    /// Why a flow that is touched again is over, if it is.
    fn over(&self, slot: u32, packet: &Packet<'_>, time: Timestamp) -> Option<EndReason> {
        let flow = &self.flows[slot as usize];
        if time.secs() > self.deadlines[slot as usize] {
            return Some(self.natural_reason(slot).unwrap_or(EndReason::Idle));
        }
        if packet.tcp.is_some_and(|tcp| flow.tcp.is_other_connection(&tcp)) {
            return Some(self.natural_reason(slot).unwrap_or(EndReason::Reused));
        }
        (time.secs() - flow.first.secs() > self.limits.active_secs).then_some(EndReason::Active)
    }

    fn natural_reason(&self, slot: u32) -> Option<EndReason> {
        let flow = &self.flows[slot as usize];
        (flow.is_tcp() && flow.tcp.is_closed()).then_some(if flow.tcp.is_reset() { EndReason::Rst } else { EndReason::Fin })
    }

    #[inline]
    fn count(&mut self, slot: u32, low_sends: bool, packet: &Packet<'_>, time: Timestamp, is_new: bool) -> Touched {
        let flow = &mut self.flows[slot as usize];
        let from_source = low_sends == flow.source_is_low;
        flow.count(packet, from_source, time);
        let last = flow.last.secs();
        let deadline = last + self.idle_secs(&self.flows[slot as usize]);
        self.deadlines[slot as usize] = deadline;
        Touched { slot, from_source, is_new }
    }

    fn open(&mut self, key: Key, hash: u64, packet: &Packet<'_>, low_sends: bool, time: Timestamp) -> u32 {
        if self.free.is_empty() && self.flows.len() >= self.limits.flows_max.max(1) {
            self.evict();
        }
        let mut flow = Flow { key, source_is_low: low_sends == sender_is_source(packet), opened: time, first: time, last: time, tunnel: packet.around.tunnel, ..Flow::default() };
        flow.tcp.first_flags = packet.tcp.map_or(0, |tcp| tcp.flags);
        let slot = match self.free.pop() {
            Some(slot) => {
                self.flows[slot as usize] = flow;
                slot
            }
            None => {
                self.flows.push(flow);
                self.deadlines.push(0);
                (self.flows.len() - 1) as u32
            }
        };
        self.index.insert(hash, slot);
        self.deadlines[slot as usize] = 0;
        self.counts.opened += 1;
        self.counts.open_max = self.counts.open_max.max(self.open_flows() as u64);
        slot
    }

    fn end(&mut self, slot: u32, reason: EndReason) {
        let flow = std::mem::take(&mut self.flows[slot as usize]);
        let hash = self.hash(&flow.key);
        self.index.remove(hash, slot);
        self.deadlines[slot as usize] = FREE;
        self.free.push(slot);
        self.ended.push((flow, reason));
    }

    /// Writes a record of a flow that goes on: what is attached stays with it.
    fn write_active(&mut self, slot: u32, time: Timestamp) {
        let flow = &mut self.flows[slot as usize];
        let mut fresh = Flow { key: flow.key, source_is_low: flow.source_is_low, opened: flow.opened, first: time, last: time, tunnel: flow.tunnel, tcp: flow.tcp, ..Flow::default() };
        fresh.tcp.continued();
        (fresh.src.next_seq, fresh.dst.next_seq) = (flow.src.next_seq, flow.dst.next_seq);
        std::mem::swap(&mut fresh.attached, &mut flow.attached);
        let written = std::mem::replace(flow, fresh);
        self.ended.push((written, EndReason::Active));
    }

    /// Of the next slots the flow that would end first gives way: half-open and closed ones before open ones.
    fn evict(&mut self) {
        let count = self.flows.len();
        let some = (0..EVICTION_SLOTS.min(count)).map(|i| (self.hand + i) % count);
        let first = some.min_by_key(|slot| self.deadlines[*slot]).unwrap_or(0);
        self.hand = (self.hand + EVICTION_SLOTS) % count;
        self.counts.evicted += 1;
        self.end(first as u32, EndReason::Evicted);
    }

    fn sweep(&mut self, now: i64) {
        self.since_sweep += 1;
        if now <= self.swept_secs || self.since_sweep < self.flows.len() / SWEEP_SHARE {
            return;
        }
        (self.swept_secs, self.since_sweep) = (now, 0);
        for slot in 0..self.deadlines.len() {
            if self.deadlines[slot] < now {
                let reason = self.natural_reason(slot as u32).unwrap_or(EndReason::Idle);
                self.end(slot as u32, reason);
            }
        }
    }
}
