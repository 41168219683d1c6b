//! The whole way of a packet: decoded, put together, counted in its flow, reassembled, read.

use crate::capture::Frame;
use crate::decode::{self, Decoded, Malformed, Packet, protocol};
use crate::flow::{self, Endpoints, EndReason, Flow, FlowRecord, Touched};
use crate::fragments::Fragments;
use crate::protocols::{self, Context, Conversation, HEAD_BYTES_MAX, Head, Next, Protocol, Side, Verdict};
use crate::reassembly::{self, Piece, Stream};
use crate::record::Record;
use event::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// Datagrams of a UDP flow that are looked at before it is given up as unknown.
const DATAGRAM_TRIES: u8 = 4;
/// Protocols within protocols of one connection (a proxy, then STARTTLS, then TLS).
const RESTARTS_MAX: u8 = 4;

#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub limits: flow::Limits,
    /// Conversations read at a time; a flow beyond is counted and not read.
    pub conversations_max: usize,
    pub community_id_seed: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self { limits: flow::Limits::default(), conversations_max: 100_000, community_id_seed: 0 }
    }
}

/// What was seen, and what could not be read.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Counts {
    pub frames: u64,
    pub bytes: u64,
    pub packets: u64,
    pub ipv4: u64,
    pub ipv6: u64,
    pub tcp: u64,
    pub udp: u64,
    pub icmp: u64,
    pub sctp: u64,
    pub other_ip: u64,
    pub arp: u64,
    pub not_ip: u64,
    pub tunnelled: u64,
    /// Frames that could not be decoded, by reason.
    pub malformed: BTreeMap<&'static str, u64>,
    /// Flows that were not read because too many were.
    pub unread: u64,
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
}

/// What is attached to a flow.
#[derive(Default)]
pub struct Attached {
    reading: Reading,
    app: Option<&'static str>,
    tries: u8,
    gap_bytes: u64,
}

#[derive(Default)]
enum Reading {
    #[default]
    Unread,
    /// It is known, or will not be.
    Done,
    Datagrams(Box<Datagrams>),
    Stream(Box<Connection>),
}

struct Datagrams {
    endpoints: Endpoints,
    conversation: Box<dyn Conversation>,
}

struct Connection {
    endpoints: Endpoints,
    streams: [Stream; 2],
    /// The first bytes of both sides while the protocol is unknown.
    head: [Vec<u8>; 2],
    conversation: Option<Box<dyn Conversation>>,
    restarts: u8,
}

pub struct Monitor {
    settings: Settings,
    table: flow::Table<Attached>,
    fragments: Fragments,
    pub counts: Counts,
    pub reassembly: reassembly::Counts,
    conversations: usize,
    records: Vec<Record>,
    /// Whether flows' contents are read at all.
    read: bool,
}

impl Default for Monitor {
    fn default() -> Self {
        Self::new(Settings::default())
    }
}

impl Monitor {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            table: flow::Table::new(settings.limits),
            fragments: Fragments::default(),
            counts: Counts::default(),
            reassembly: reassembly::Counts::default(),
            conversations: 0,
            records: Vec::new(),
            read: true,
        }
    }

    /// Counts flows and reads nothing in them.
    pub fn flows_only(mut self) -> Self {
        self.read = false;
        self
    }

    pub fn frame(&mut self, frame: &Frame<'_>) {
        self.counts.frames += 1;
        self.counts.bytes += u64::from(frame.wire_len);
        self.counts.first.get_or_insert(frame.time);
        self.counts.last = self.counts.last.max(Some(frame.time));
        let decoded = decode::frame(frame.link, frame.bytes);
        self.decoded(decoded, frame.time, 0);
        if self.table.has_ended() {
            self.write_ended();
        }
    }

    fn decoded(&mut self, decoded: Result<Decoded<'_>, Malformed>, time: Timestamp, depth: u8) {
        match decoded {
            Ok(Decoded::Packet(packet)) => self.packet(&packet, time),
            Ok(Decoded::Fragment(fragment)) => {
                if let Some(whole) = self.fragments.add(&fragment, time).filter(|_| depth < decode::TUNNELS_MAX) {
                    let decoded = decode::datagram(&fragment, &whole.payload, whole.frames);
                    self.decoded(decoded, time, depth + 1);
                }
            }
            Ok(Decoded::Arp) => self.counts.arp += 1,
            Ok(Decoded::Other(_)) => self.counts.not_ip += 1,
            Err(malformed) => self.malformed(malformed),
        }
    }

    fn malformed(&mut self, malformed: Malformed) {
        *self.counts.malformed.entry(malformed.as_str()).or_default() += 1;
    }

    fn packet(&mut self, packet: &Packet<'_>, time: Timestamp) {
        let counts = &mut self.counts;
        counts.packets += 1;
        counts.tunnelled += u64::from(packet.around.depth > 0);
        *(if packet.v6 { &mut counts.ipv6 } else { &mut counts.ipv4 }) += 1;
        *(match packet.protocol {
            protocol::TCP => &mut counts.tcp,
            protocol::UDP => &mut counts.udp,
            protocol::ICMP | protocol::ICMPV6 => &mut counts.icmp,
            protocol::SCTP => &mut counts.sctp,
            _ => &mut counts.other_ip,
        }) += 1;
        let touched = self.table.touch(packet, time);
        if !self.read {
            return;
        }
        let flow = self.table.flow_mut(touched.slot);
        if matches!(flow.attached.reading, Reading::Done) {
            return;
        }
        match packet.protocol {
            protocol::TCP => self.segment(packet, touched, time),
            protocol::UDP if !packet.payload.is_empty() => self.datagram(packet, touched, time),
            _ => {}
        }
    }

    fn datagram(&mut self, packet: &Packet<'_>, touched: Touched, time: Timestamp) {
        let seed = self.settings.community_id_seed;
        let flow = self.table.flow_mut(touched.slot);
        if matches!(flow.attached.reading, Reading::Unread) {
            let head = if touched.from_source { Head { src: packet.payload, dst: &[] } } else { Head { src: &[], dst: packet.payload } };
            match protocols::recognise(&protocols::DATAGRAMS, head).1 {
                Some(protocol) if self.conversations < self.settings.conversations_max => {
                    self.conversations += 1;
                    flow.attached.app = Some(protocol.name);
                    flow.attached.reading = Reading::Datagrams(Box::new(Datagrams { endpoints: Endpoints::of(flow, seed), conversation: (protocol.start)() }));
                }
                Some(_) => {
                    self.counts.unread += 1;
                    flow.attached.reading = Reading::Done;
                }
                None => {
                    flow.attached.tries += 1;
                    if flow.attached.tries >= DATAGRAM_TRIES {
                        flow.attached.reading = Reading::Done;
                    }
                }
            }
        }
        let Reading::Datagrams(reading) = &mut flow.attached.reading else { return };
        let side = if touched.from_source { Side::Source } else { Side::Destination };
        let mut context = Context { time, endpoints: &reading.endpoints, records: &mut self.records };
        if reading.conversation.data(side, packet.payload, &mut context) == Next::Done {
            flow.attached.reading = Reading::Done;
            self.conversations -= 1;
        }
    }

    fn segment(&mut self, packet: &Packet<'_>, touched: Touched, time: Timestamp) {
        let Some(tcp) = &packet.tcp else { return };
        let seed = self.settings.community_id_seed;
        let side = if touched.from_source { Side::Source } else { Side::Destination };
        let syn = tcp.has(decode::flags::SYN);
        let flow = self.table.flow_mut(touched.slot);
        if matches!(flow.attached.reading, Reading::Unread) {
            // A SYN alone opens nothing: a flood of them must cost no more than flows do.
            if packet.payload_len == 0 {
                return;
            }
            if self.conversations >= self.settings.conversations_max {
                self.counts.unread += 1;
                flow.attached.reading = Reading::Done;
                return;
            }
            self.conversations += 1;
            let connection = Connection { endpoints: Endpoints::of(flow, seed), streams: Default::default(), head: Default::default(), conversation: None, restarts: 0 };
            flow.attached.reading = Reading::Stream(Box::new(connection));
        }
        let Attached { reading: Reading::Stream(connection), app, .. } = &mut flow.attached else { return };
        if tcp.has(decode::flags::ACK) {
            connection.streams[1 - side as usize].acknowledge(tcp.ack);
        }
        if packet.payload_len == 0 {
            return;
        }
        // Data in a SYN begins one later (RFC 7413).
        let seq = tcp.seq.wrapping_add(u32::from(syn));
        let next = connection.segment(side, seq, packet, time, app, &mut self.reassembly, &mut self.records);
        if next == Next::Done {
            close(&mut flow.attached, &mut self.reassembly);
            self.conversations -= 1;
        }
    }

    fn write_ended(&mut self) {
        let mut ended: Vec<(Flow<Attached>, EndReason)> = self.table.ended().collect();
        for (flow, reason) in &mut ended {
            self.finish_reading(flow);
            let record = FlowRecord::of(flow, *reason, flow.attached.app, flow.attached.gap_bytes, self.settings.community_id_seed);
            self.records.push(Record::Flow(Box::new(record)));
        }
    }

    fn finish_reading(&mut self, flow: &mut Flow<Attached>) {
        let time = flow.last;
        match &mut flow.attached.reading {
            Reading::Unread | Reading::Done => return,
            Reading::Datagrams(reading) => reading.conversation.end(&mut Context { time, endpoints: &reading.endpoints, records: &mut self.records }),
            Reading::Stream(connection) => connection.end(time, &mut flow.attached.app, &mut self.reassembly, &mut self.records),
        }
        close(&mut flow.attached, &mut self.reassembly);
        self.conversations -= 1;
    }

    /// Ends what has been idle for its time.
    pub fn tick(&mut self, time: Timestamp) {
        self.table.tick(time);
        self.write_ended();
    }

    /// Ends everything: the capture is over.
    pub fn finish(&mut self) {
        self.fragments.finish();
        self.table.finish();
        self.write_ended();
    }

    /// The records made since the last call, in the order they were made.
    pub fn records(&mut self) -> std::vec::Drain<'_, Record> {
        self.records.drain(..)
    }

    pub fn has_records(&self) -> bool {
        !self.records.is_empty()
    }

    pub fn flow_counts(&self) -> flow::Counts {
        self.table.counts
    }

    pub fn fragment_counts(&self) -> crate::fragments::Counts {
        self.fragments.counts
    }

    /// Bytes the flow table takes.
    pub fn table_bytes(&self) -> usize {
        self.table.bytes()
    }
}

fn close(attached: &mut Attached, counts: &mut reassembly::Counts) {
    if let Reading::Stream(connection) = &mut attached.reading {
        for stream in &mut connection.streams {
            attached.gap_bytes += stream.gap_bytes;
            stream.abandon(counts);
        }
    }
    attached.reading = Reading::Done;
}

impl Connection {
    #[allow(clippy::too_many_arguments)]
    fn segment(&mut self, side: Side, seq: u32, packet: &Packet<'_>, time: Timestamp, app: &mut Option<&'static str>, counts: &mut reassembly::Counts, records: &mut Vec<Record>) -> Next {
        let mut stream = std::mem::take(&mut self.streams[side as usize]);
        let mut next = Next::More;
        stream.segment(seq, packet.payload, packet.payload_len, counts, |piece| {
            if next == Next::More {
                next = self.piece(side, piece, time, app, records);
            }
        });
        self.streams[side as usize] = stream;
        next
    }

    fn piece(&mut self, side: Side, piece: Piece<'_>, time: Timestamp, app: &mut Option<&'static str>, records: &mut Vec<Record>) -> Next {
        let mut context = Context { time, endpoints: &self.endpoints, records };
        let next = match (&mut self.conversation, piece) {
            (Some(conversation), Piece::Data(bytes)) => conversation.data(side, bytes, &mut context),
            (Some(conversation), Piece::Gap(len)) => conversation.gap(side, len, &mut context),
            (None, Piece::Gap(_)) => Next::Done,
            (None, Piece::Data(bytes)) => {
                self.head[side as usize].extend_from_slice(bytes);
                return self.recognise(time, app, records);
            }
        };
        if next == Next::Another { self.restart(time, app, records) } else { next }
    }

    /// What follows is looked at like a new connection.
    fn restart(&mut self, time: Timestamp, app: &mut Option<&'static str>, records: &mut Vec<Record>) -> Next {
        self.restarts += 1;
        if self.restarts > RESTARTS_MAX {
            return Next::Done;
        }
        self.head = self.conversation.take().map(|mut c| c.left_over()).unwrap_or_default();
        if self.head.iter().all(Vec::is_empty) { Next::More } else { self.recognise(time, app, records) }
    }

    fn recognise(&mut self, time: Timestamp, app: &mut Option<&'static str>, records: &mut Vec<Record>) -> Next {
        let head = Head { src: &self.head[0], dst: &self.head[1] };
        match protocols::recognise(&protocols::STREAMS, head) {
            (Verdict::Yes, Some(protocol)) => self.begin(protocol, time, app, records),
            (Verdict::Maybe, _) if self.head.iter().all(|h| h.len() <= HEAD_BYTES_MAX) => Next::More,
            _ => Next::Done,
        }
    }

    fn begin(&mut self, protocol: &'static Protocol, time: Timestamp, app: &mut Option<&'static str>, records: &mut Vec<Record>) -> Next {
        *app = Some(protocol.name);
        self.conversation = Some((protocol.start)());
        let [src, dst] = std::mem::take(&mut self.head);
        // Who speaks first is not known any more; of all protocols here a server's greeting needs no question.
        for (side, bytes) in [(Side::Source, src), (Side::Destination, dst)] {
            if !bytes.is_empty() {
                let next = self.piece(side, Piece::Data(&bytes), time, app, records);
                if next != Next::More {
                    return next;
                }
            }
        }
        Next::More
    }

    fn end(&mut self, time: Timestamp, app: &mut Option<&'static str>, counts: &mut reassembly::Counts, records: &mut Vec<Record>) {
        for side in [Side::Source, Side::Destination] {
            let mut stream = std::mem::take(&mut self.streams[side as usize]);
            let mut next = Next::More;
            stream.finish(counts, |piece| {
                if next == Next::More {
                    next = self.piece(side, piece, time, app, records);
                }
            });
            self.streams[side as usize] = stream;
        }
        if let Some(conversation) = &mut self.conversation {
            conversation.end(&mut Context { time, endpoints: &self.endpoints, records });
        }
    }
}
