//! Port scans, port sweeps and ping sweeps.
//!
//! A probe is a flow in which the source learned whether a port answers and said nothing: a SYN without an answer or
//! answered by a reset, a handshake without data, packets with control bits that no connection begins with, a UDP
//! datagram without an answer. Ports that refused or did not answer decide; open ones are evidence. Of UDP, the ports
//! of traceroute do not count. Fewer ports suffice where nothing but a scanner sends such packets (FIN, NULL, Xmas, FIN
//! with ACK). Only the opener of a flow can be the culprit, so answers never accuse the host that
//! gave them.
//!
//! Known false positives: scanners and inventories of one's own. ATT&CK T1046, T1018.

use super::keep::Keep;
use super::{Evidence, Samples, Settings, sample};
use crate::decode::{flags, protocol};
use crate::flow::{ConnState, FlowRecord};
use event::Timestamp;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Pairs of a source and a host, and of a source and a port.
const GROUPS_MAX: usize = 200_000;
/// Ports or hosts remembered of a group; more are counted no further.
const MEMBERS_MAX: usize = 4_096;
const TRACEROUTE: std::ops::RangeInclusive<u16> = 33_434..=33_534;
/// Mean seconds between probes from which a scan is called slow.
const SLOW_SECS: f64 = 5.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Technique {
    Tcp,
    Fin,
    Null,
    Xmas,
    Maimon,
    Ack,
    Udp,
    Ping,
}

struct Probe {
    technique: Technique,
    /// No service answered there.
    vain: bool,
    /// The handshake was completed, as by a scanner without raw sockets.
    connected: bool,
}

fn probe(flow: &FlowRecord) -> Option<Probe> {
    let of = |technique, vain| Some(Probe { technique, vain, connected: false });
    match flow.endpoints.proto {
        protocol::TCP => tcp_probe(flow),
        protocol::UDP if flow.dst_packets == 0 && !flow.endpoints.dst_ip.is_multicast() && !TRACEROUTE.contains(&flow.endpoints.dst_port) => of(Technique::Udp, true),
        // Echo, timestamp, information and address mask: whatever is asked, an answer tells that the host is there.
        protocol::ICMP if matches!(flow.endpoints.src_port, 8 | 13 | 15 | 17) => of(Technique::Ping, flow.dst_packets == 0),
        protocol::ICMPV6 if flow.endpoints.src_port == 128 => of(Technique::Ping, flow.dst_packets == 0),
        _ => None,
    }
}

fn tcp_probe(flow: &FlowRecord) -> Option<Probe> {
    let facts = flow.tcp.as_ref()?;
    let first = facts.first_flags & flags::PLAIN;
    let reset_at_once = flow.src_packets <= 2 && flow.src_payload_bytes == 0 && flow.dst_packets > 0 && flow.dst_packets <= 2 && u64::from(facts.dst_flags.of(flags::RST)) == flow.dst_packets;
    let odd = match first {
        0 => Some(Technique::Null),
        flags::FIN => Some(Technique::Fin),
        bits if bits == flags::FIN | flags::PSH | flags::URG => Some(Technique::Xmas),
        // The middle of a connection is acknowledged, not reset.
        flags::ACK if reset_at_once => Some(Technique::Ack),
        bits if bits == flags::FIN | flags::ACK && reset_at_once => Some(Technique::Maimon),
        _ => None,
    };
    if let Some(technique) = odd.filter(|_| flow.src_packets <= 4) {
        return Some(Probe { technique, vain: true, connected: false });
    }
    if flow.src_payload_bytes > 0 || first & flags::SYN == 0 {
        return None;
    }
    let (vain, connected) = match flow.state {
        ConnState::S0 | ConnState::Rejected | ConnState::ResetUnanswered | ConnState::HalfSource => (true, false),
        ConnState::ResetBySource if facts.rtt_ms.is_none() => (false, false),
        ConnState::S1 if facts.rtt_ms.is_none() => (false, false),
        ConnState::ResetBySource | ConnState::Finished | ConnState::ResetByDestination | ConnState::S1 | ConnState::S2 | ConnState::S3 => (false, true),
        _ => return None,
    };
    Some(Probe { technique: Technique::Tcp, vain, connected })
}

/// Probes of one source and technique at one host, or at one port of many hosts.
struct Group<M> {
    vain: BTreeSet<M>,
    open: BTreeSet<M>,
    first: Timestamp,
    last: Timestamp,
    count: u64,
    connected: bool,
    half_open: bool,
    samples: Samples,
}

impl<M> Default for Group<M> {
    fn default() -> Self {
        let (first, last) = Default::default();
        Self { vain: BTreeSet::new(), open: BTreeSet::new(), first, last, count: 0, connected: false, half_open: false, samples: Samples::default() }
    }
}

impl<M: Ord> Group<M> {
    fn add(&mut self, member: M, probe: &Probe, flow: &FlowRecord, idle_secs: i64) {
        if self.count > 0 && flow.start.secs() - self.last.secs() > idle_secs && self.vain.len() + self.open.len() < MEMBERS_MAX {
            // What was told stays told; a new scan begins.
            *self = Self::default();
        }
        if self.count == 0 {
            (self.first, self.last) = (flow.start, flow.end);
        }
        self.first = self.first.min(flow.start);
        self.last = self.last.max(flow.end);
        self.count += 1;
        self.connected |= probe.connected;
        self.half_open |= !probe.vain && !probe.connected;
        self.samples.add(&flow.endpoints);
        let set = if probe.vain { &mut self.vain } else { &mut self.open };
        if set.len() < MEMBERS_MAX {
            set.insert(member);
        }
    }

    fn way(&self, technique: Technique) -> &'static str {
        match technique {
            Technique::Tcp if self.half_open || !self.connected => "SYN",
            Technique::Tcp => "connect",
            Technique::Fin => "FIN",
            Technique::Null => "NULL",
            Technique::Xmas => "Xmas",
            Technique::Maimon => "FIN/ACK",
            Technique::Ack => "ACK",
            Technique::Udp => "UDP",
            Technique::Ping => "ping",
        }
    }

    fn pace(&self) -> &'static str {
        let secs = (self.last.micros() - self.first.micros()) as f64 / 1e6;
        if secs / self.count.saturating_sub(1).max(1) as f64 >= SLOW_SECS { "slow " } else { "" }
    }
}

pub struct Scans {
    settings: Settings,
    hosts: Keep<(IpAddr, IpAddr, Technique), Group<u16>>,
    ports: Keep<(IpAddr, u16, Technique), Group<IpAddr>>,
}

impl Scans {
    pub fn new(settings: &Settings) -> Self {
        Self { settings: settings.clone(), hosts: Keep::new(GROUPS_MAX), ports: Keep::new(GROUPS_MAX) }
    }

    pub fn flow(&mut self, flow: &FlowRecord) {
        let Some(probe) = probe(flow) else { return };
        let (src, dst, port) = (flow.endpoints.src_ip, flow.endpoints.dst_ip, flow.endpoints.dst_port);
        let idle = self.settings.scan_idle_secs;
        if probe.technique != Technique::Ping
            && let Some(group) = self.hosts.get_or((src, dst, probe.technique), flow.end, Group::default)
        {
            group.add(port, &probe, flow, idle);
        }
        let port = if probe.technique == Technique::Ping { 0 } else { port };
        if let Some(group) = self.ports.get_or((src, port, probe.technique), flow.end, Group::default) {
            group.add(dst, &probe, flow, idle);
        }
    }

    pub fn tell(&self) -> Vec<Evidence> {
        let fewest = self.settings.scan_ports.min(self.settings.scan_ports_odd).min(self.settings.scan_ports_udp);
        let scanned = self.hosts.telling(|g| g.vain.len() >= fewest).into_iter().filter(|((_, _, technique), g)| g.vain.len() >= self.least(*technique)).map(|(key, group)| self.scan(*key, group));
        let fewest = self.settings.scan_hosts.min(self.settings.sweep_hosts);
        let swept = self.ports.telling(|g| g.vain.len() + g.open.len() >= fewest).into_iter().filter_map(|((src, port, technique), group)| self.sweep(*src, *port, *technique, group));
        scanned.chain(swept).collect()
    }

    fn least(&self, technique: Technique) -> usize {
        match technique {
            Technique::Tcp | Technique::Ack | Technique::Ping => self.settings.scan_ports,
            Technique::Fin | Technique::Null | Technique::Xmas | Technique::Maimon => self.settings.scan_ports_odd,
            Technique::Udp => self.settings.scan_ports_udp,
        }
    }

    fn scan(&self, (src, dst, technique): (IpAddr, IpAddr, Technique), group: &Group<u16>) -> Evidence {
        let (way, pace) = (group.way(technique), group.pace());
        let ports = group.vain.len() + group.open.len();
        let open = if group.open.is_empty() { String::new() } else { format!("; open: {}", sample(group.open.iter(), group.open.len())) };
        Evidence {
            rule: "net-port-scan",
            entity: src,
            group: format!("{dst} {technique:?}"),
            first: group.first,
            last: group.last,
            count: group.count,
            summary: format!("{src} scanned {ports} ports of {dst} ({pace}{way} scan){open}"),
            facts: vec![
                ("dst_ip", "equals", String::new(), dst.to_string()),
                ("ports", "gte", self.least(technique).to_string(), ports.to_string()),
                ("technique", "equals", String::new(), way.to_owned()),
                ("ports_in_vain", "sample", String::new(), sample(group.vain.iter(), group.vain.len())),
                ("ports_open", "sample", String::new(), sample(group.open.iter(), group.open.len())),
            ],
            community_ids: group.samples.ids(),
        }
    }

    fn sweep(&self, src: IpAddr, port: u16, technique: Technique, group: &Group<IpAddr>) -> Option<Evidence> {
        let hosts: BTreeSet<&IpAddr> = group.vain.iter().chain(&group.open).collect();
        let ping = technique == Technique::Ping;
        let least = if ping { self.settings.sweep_hosts } else { self.settings.scan_hosts };
        // A busy client connects to many hosts; a sweep meets those that do not answer, or never says a word.
        if hosts.len() < least || (!ping && group.vain.len() * 4 < hosts.len() && !group.half_open) {
            return None;
        }
        let (way, pace) = (group.way(technique), group.pace());
        let summary = if ping { format!("{src} pinged {} hosts", hosts.len()) } else { format!("{src} tried port {port} on {} hosts ({pace}{way} sweep)", hosts.len()) };
        Some(Evidence {
            rule: if ping { "net-ping-sweep" } else { "net-port-sweep" },
            entity: src,
            group: format!("{port} {technique:?}"),
            first: group.first,
            last: group.last,
            count: group.count,
            summary,
            facts: vec![
                ("dst_port", "equals", String::new(), if ping { String::new() } else { port.to_string() }),
                ("hosts", "gte", least.to_string(), hosts.len().to_string()),
                ("technique", "equals", String::new(), way.to_owned()),
                ("hosts", "sample", String::new(), sample(hosts.iter(), hosts.len())),
            ],
            community_ids: group.samples.ids(),
        })
    }
}
