//! Floods of half-open connections, of resets, of UDP and of pings.
//!
//! If one source sends nine tenths of a flood it is the culprit; else the finding is about the host that is flooded,
//! because the senders' addresses are likely forged. ATT&CK T1498.001, T1499.001.

use super::keep::Keep;
use super::{Evidence, Samples, Settings, sample};
use crate::decode::{flags, protocol};
use crate::flow::{ConnState, FlowRecord};
use event::Timestamp;
use std::collections::BTreeMap;
use std::net::IpAddr;

const GROUPS_MAX: usize = 50_000;
/// Sources told apart within one window; the rest is counted.
const SOURCES_MAX: usize = 1_024;

#[derive(Default)]
struct Group {
    window: i64,
    count: u64,
    sources: BTreeMap<IpAddr, u64>,
    first: Timestamp,
    last: Timestamp,
    /// The worst window so far: its count, sources and the largest's share.
    worst: Option<(u64, Vec<(IpAddr, u64)>, usize)>,
    total: u64,
    samples: Samples,
}

impl Group {
    fn add(&mut self, flow: &FlowRecord, count: u64, window_secs: i64, least: u64) {
        let window = flow.start.secs().div_euclid(window_secs.max(1));
        if window != self.window {
            (self.window, self.count) = (window, 0);
            self.sources.clear();
        }
        self.count += count;
        let source = flow.endpoints.src_ip;
        if self.sources.len() < SOURCES_MAX || self.sources.contains_key(&source) {
            *self.sources.entry(source).or_default() += count;
        }
        self.samples.add(&flow.endpoints);
        if self.count < least {
            return;
        }
        if self.worst.is_none() {
            self.first = flow.start;
            self.total = self.count;
        } else {
            self.total += count;
        }
        self.first = self.first.min(flow.start);
        self.last = self.last.max(flow.end);
        // Remembered at every doubling, since ranking the sources costs more than counting.
        if self.worst.as_ref().is_none_or(|(most, ..)| self.count >= most * 2) {
            let mut ranked: Vec<_> = self.sources.iter().map(|(ip, n)| (*ip, *n)).collect();
            ranked.sort_by_key(|(ip, n)| (std::cmp::Reverse(*n), *ip));
            let known = ranked.len();
            ranked.truncate(10);
            self.worst = Some((self.count, ranked, known));
        }
    }
}

pub struct Floods {
    settings: Settings,
    half_open: Keep<(IpAddr, u16), Group>,
    resets: Keep<(IpAddr, u16), Group>,
    datagrams: Keep<(IpAddr, u16), Group>,
    pings: Keep<(IpAddr, u16), Group>,
}

/// Packets of the source within one window, if they came evenly.
fn within(flow: &FlowRecord, secs: i64) -> u64 {
    let share = (secs as f64 / flow.duration.max(f64::MIN_POSITIVE)).min(1.0);
    (flow.src_packets as f64 * share) as u64
}

impl Floods {
    pub fn new(settings: &Settings) -> Self {
        Self { settings: settings.clone(), half_open: Keep::new(GROUPS_MAX), resets: Keep::new(GROUPS_MAX), datagrams: Keep::new(GROUPS_MAX), pings: Keep::new(GROUPS_MAX) }
    }

    pub fn flow(&mut self, flow: &FlowRecord) {
        match flow.endpoints.proto {
            protocol::TCP => self.tcp(flow),
            // Whoever is asked so much and answers a tenth is not a partner.
            protocol::UDP if flow.dst_packets * 10 <= flow.src_packets && !flow.endpoints.dst_ip.is_multicast() => {
                let Settings { flood_secs: secs, flood_udp_packets: least, .. } = self.settings;
                packets(&mut self.datagrams, flow, secs, least);
            }
            protocol::ICMP | protocol::ICMPV6 => {
                let Settings { flood_secs: secs, flood_icmp_packets: least, .. } = self.settings;
                packets(&mut self.pings, flow, secs, least);
            }
            _ => {}
        }
    }

    fn tcp(&mut self, flow: &FlowRecord) {
        let Some(tcp) = &flow.tcp else { return };
        let (target, secs) = ((flow.endpoints.dst_ip, flow.endpoints.dst_port), self.settings.flood_secs);
        // A forged sender that exists resets what it did not ask for.
        let unfinished = flow.state == ConnState::S0 || (matches!(flow.state, ConnState::S1 | ConnState::ResetBySource) && tcp.rtt_ms.is_none());
        if unfinished && tcp.first_flags & flags::PLAIN == flags::SYN
            && let Some(group) = self.half_open.get_or(target, flow.end, Group::default)
        {
            group.add(flow, 1, secs, self.settings.flood_connections);
        }
        // Resets that begin a flow or outnumber everything else in it.
        let resets = u64::from(tcp.src_flags.of(flags::RST));
        if resets > 0 && tcp.first_flags & flags::RST != 0
            && let Some(group) = self.resets.get_or((target.0, 0), flow.end, Group::default)
        {
            group.add(flow, resets, secs, self.settings.flood_resets);
        }
    }

    pub fn tell(&self) -> Vec<Evidence> {
        let told = |group: &Group| group.worst.is_some();
        let syn = self.half_open.telling(told).into_iter().filter_map(|(key, group)| self.evidence("net-syn-flood", *key, group, self.settings.flood_connections, "half-open connections"));
        let rst = self.resets.telling(told).into_iter().filter_map(|(key, group)| self.evidence("net-rst-flood", *key, group, self.settings.flood_resets, "resets"));
        let udp = self.datagrams.telling(told).into_iter().filter_map(|(key, group)| self.evidence("net-udp-flood", *key, group, self.settings.flood_udp_packets, "UDP packets"));
        let icmp = self.pings.telling(told).into_iter().filter_map(|(key, group)| self.evidence("net-icmp-flood", *key, group, self.settings.flood_icmp_packets, "ICMP packets"));
        syn.chain(rst).chain(udp).chain(icmp).collect()
    }

    fn evidence(&self, rule: &'static str, (dst, port): (IpAddr, u16), group: &Group, least: u64, what: &str) -> Option<Evidence> {
        let (most, ranked, known) = group.worst.as_ref()?;
        let place = if port == 0 { dst.to_string() } else { format!("{dst} port {port}") };
        let one = ranked.first().filter(|(_, n)| n * 10 >= most * 9).map(|(ip, _)| *ip);
        let summary = match one {
            Some(src) => format!("{src} floods {place} with {what}: {most} within {} s", self.settings.flood_secs),
            None => format!("{place} is flooded with {what} of at least {known} sources, likely forged: {most} within {} s", self.settings.flood_secs),
        };
        Some(Evidence {
            rule,
            entity: one.unwrap_or(dst),
            group: format!("{dst} {port}"),
            first: group.first,
            last: group.last,
            count: group.total,
            summary,
            facts: vec![
                ("dst_ip", "equals", String::new(), dst.to_string()),
                ("in_window", "gte", least.to_string(), most.to_string()),
                ("sources", "sample", String::new(), sample(ranked.iter().map(|(ip, _)| ip), *known)),
            ],
            community_ids: group.samples.ids(),
        })
    }
}

fn packets(groups: &mut Keep<(IpAddr, u16), Group>, flow: &FlowRecord, secs: i64, least: u64) {
    if let Some(group) = groups.get_or((flow.endpoints.dst_ip, 0), flow.end, Group::default) {
        group.add(flow, within(flow, secs), secs, least);
    }
}
