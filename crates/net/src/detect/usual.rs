//! A host that sends far more to public addresses than it ever did: every hour is held against the host's own past week.
//!
//! The measure is the largest of the past hours and not their mean, since what a host sends comes in lumps: a nightly
//! backup is usual after its first night. An hour that was told becomes part of the past.
//! ATT&CK T1048, T1041, T1567. Known false positives: the first full backup, a new upload job.

use super::keep::Keep;
use super::{Evidence, Samples, Settings, is_private};
use crate::flow::FlowRecord;
use event::Timestamp;
use std::collections::VecDeque;
use std::net::IpAddr;

const HOSTS_MAX: usize = 20_000;
/// A week of hours.
const HOURS_MAX: usize = 168;

#[derive(Default)]
struct Hour {
    number: i64,
    sent: u64,
    flows: u64,
    first: Timestamp,
    last: Timestamp,
    samples: Samples,
}

#[derive(Default)]
struct Host {
    past: VecDeque<(i64, u64)>,
    now: Hour,
    /// The hour that was beyond all others, with the most of those.
    spike: Option<(Hour, u64)>,
}

pub struct Usual {
    settings: Settings,
    hosts: Keep<IpAddr, Host>,
}

impl Usual {
    pub fn new(settings: &Settings) -> Self {
        Self { settings: settings.clone(), hosts: Keep::new(HOSTS_MAX) }
    }

    pub fn flow(&mut self, flow: &FlowRecord) {
        let e = &flow.endpoints;
        if !is_private(e.src_ip) || is_private(e.dst_ip) || flow.dst_packets == 0 {
            return;
        }
        let Some(host) = self.hosts.get_or(e.src_ip, flow.end, Host::default) else { return };
        let number = flow.end.secs().div_euclid(3_600);
        if number > host.now.number {
            let over = std::mem::take(&mut host.now);
            if over.flows > 0 {
                host.past.push_back((over.number, over.sent));
            }
            host.now = Hour { number, first: flow.start, last: flow.end, ..Hour::default() };
            while host.past.len() > HOURS_MAX || host.past.front().is_some_and(|(hour, _)| number - hour > HOURS_MAX as i64) {
                host.past.pop_front();
            }
        }
        let now = &mut host.now;
        now.sent += flow.src_payload_bytes;
        now.flows += 1;
        now.first = now.first.min(flow.start);
        now.last = now.last.max(flow.end);
        now.samples.add(e);
        self.settings.judge(host);
    }

    pub fn tell(&self) -> Vec<Evidence> {
        self.hosts.telling(|h| h.spike.is_some()).into_iter().filter_map(|(src, host)| evidence(*src, host, &self.settings)).collect()
    }
}

impl Settings {
    fn judge(&self, host: &mut Host) {
        let most = host.past.iter().map(|(_, sent)| *sent).max().unwrap_or(0);
        let enough = host.past.len() >= self.usual_hours && host.now.sent >= self.usual_bytes;
        if enough && host.now.sent / most.max(1) >= self.usual_ratio {
            let Hour { number, sent, flows, first, last, ref samples } = host.now;
            host.spike = Some((Hour { number, sent, flows, first, last, samples: samples.clone() }, most));
        }
    }
}

fn evidence(src: IpAddr, host: &Host, settings: &Settings) -> Option<Evidence> {
    let (hour, most) = host.spike.as_ref()?;
    Some(Evidence {
        rule: "net-exfiltration-unusual",
        entity: src,
        group: hour.number.to_string(),
        first: hour.first,
        last: hour.last,
        count: hour.flows,
        summary: format!("{src} sent {} MB to public addresses within an hour, and never more than {:.1} MB in an hour of the past week", hour.sent / 1_000_000, *most as f64 / 1e6),
        facts: vec![
            ("bytes", "gte", settings.usual_bytes.to_string(), hour.sent.to_string()),
            ("bytes_past_hour_max", "count", String::new(), most.to_string()),
            ("ratio", "gte", settings.usual_ratio.to_string(), (hour.sent / (*most).max(1)).to_string()),
        ],
        community_ids: hour.samples.ids(),
    })
}
