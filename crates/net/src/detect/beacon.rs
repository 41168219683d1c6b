//! Connections in a rhythm: the median deviation of the intervals from their median, robust against a missed beat or
//! a burst, and the same measure of the bytes sent.
//!
//! Names, time and addresses (DNS, NTP, DHCP) keep a rhythm by nature and do not count.
//! Known false positives: monitoring agents, checks for mail and updates. ATT&CK T1071, T1029.

use super::keep::Keep;
use super::{Evidence, Samples, Settings};
use crate::decode::protocol;
use crate::flow::FlowRecord;
use event::Timestamp;
use std::collections::VecDeque;
use std::net::IpAddr;

const GROUPS_MAX: usize = 50_000;
/// Connections remembered of a group.
const BEATS_MAX: usize = 256;
/// How much the bytes sent may vary, as a share of their median.
const SIZE_SPREAD_MAX: f64 = 0.35;

#[derive(Default)]
struct Group {
    beats: VecDeque<(Timestamp, u64)>,
    total: u64,
    last: Timestamp,
    samples: Samples,
}

pub struct Beacons {
    settings: Settings,
    groups: Keep<(IpAddr, IpAddr, u16, u8), Group>,
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// The median, and the median deviation from it as its share.
fn spread(values: &[f64]) -> (f64, f64) {
    let middle = median(&mut values.to_vec());
    let mut off: Vec<f64> = values.iter().map(|v| (v - middle).abs()).collect();
    let deviation = median(&mut off);
    (middle, if middle > 0.0 { deviation / middle } else { f64::from(u8::from(deviation > 0.0)) })
}

impl Beacons {
    pub fn new(settings: &Settings) -> Self {
        Self { settings: settings.clone(), groups: Keep::new(GROUPS_MAX) }
    }

    pub fn flow(&mut self, flow: &FlowRecord) {
        let spoke = flow.src_payload_bytes > 0 && flow.opened.is_none();
        let by_nature = matches!(flow.app, Some("dns" | "ntp" | "dhcp" | "kerberos" | "ldap" | "smb"));
        if !spoke || by_nature || !matches!(flow.endpoints.proto, protocol::TCP | protocol::UDP) || flow.endpoints.dst_ip.is_multicast() {
            return;
        }
        let key = (flow.endpoints.src_ip, flow.endpoints.dst_ip, flow.endpoints.dst_port, flow.endpoints.proto);
        let Some(group) = self.groups.get_or(key, flow.end, Group::default) else { return };
        group.total += 1;
        group.last = group.last.max(flow.start);
        group.samples.add(&flow.endpoints);
        group.beats.push_back((flow.start, flow.src_payload_bytes));
        if group.beats.len() > BEATS_MAX {
            group.beats.pop_front();
        }
    }

    pub fn tell(&self) -> Vec<Evidence> {
        self.groups.telling(|g| g.beats.len() >= self.settings.beacon_connections).into_iter().filter_map(|(key, group)| self.evidence(*key, group)).collect()
    }

    fn evidence(&self, (src, dst, port, _): (IpAddr, IpAddr, u16, u8), group: &Group) -> Option<Evidence> {
        let mut times: Vec<Timestamp> = group.beats.iter().map(|(time, _)| *time).collect();
        times.sort();
        let intervals: Vec<f64> = times.windows(2).map(|pair| (pair[1].micros() - pair[0].micros()) as f64 / 1e6).collect();
        let sizes: Vec<f64> = group.beats.iter().map(|(_, bytes)| *bytes as f64).collect();
        let ((interval, jitter), (size, size_spread)) = (spread(&intervals), spread(&sizes));
        // Bursts of a page and then silence have a small median interval and a long span.
        let regular = intervals.iter().filter(|i| (*i - interval).abs() <= interval * 0.5).count() * 10 >= intervals.len() * 7;
        if interval < self.settings.beacon_interval_secs_min || jitter > self.settings.beacon_jitter || size_spread > SIZE_SPREAD_MAX || !regular {
            return None;
        }
        Some(Evidence {
            rule: "net-beacon",
            entity: src,
            group: format!("{dst} {port}"),
            first: *times.first()?,
            last: group.last,
            count: group.total,
            summary: format!("{src} connects to {dst} port {port} every {interval:.0} s ({} times, jitter {:.0} %, {size:.0} bytes each)", group.total, jitter * 100.0),
            facts: vec![
                ("dst_ip", "equals", String::new(), dst.to_string()),
                ("connections", "gte", self.settings.beacon_connections.to_string(), group.total.to_string()),
                ("interval_secs", "gte", self.settings.beacon_interval_secs_min.to_string(), format!("{interval:.1}")),
                ("jitter", "lte", self.settings.beacon_jitter.to_string(), format!("{jitter:.3}")),
            ],
            community_ids: group.samples.ids(),
        })
    }
}
