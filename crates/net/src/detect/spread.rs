//! Lateral spread: one internal host opens sessions of administration (SSH, SMB, RDP, WinRM, RPC) to many internal hosts.
//!
//! ATT&CK T1021. Known false positives: jump hosts, configuration management, backup.

use super::keep::Keep;
use super::{Evidence, Samples, Settings, is_private, sample};
use crate::decode::protocol;
use crate::flow::FlowRecord;
use event::Timestamp;
use std::collections::BTreeMap;
use std::net::IpAddr;

const GROUPS_MAX: usize = 50_000;
/// Hosts remembered of a group.
const HOSTS_MAX: usize = 1_024;
const PORTS: [u16; 7] = [22, 135, 139, 445, 3389, 5985, 5986];

#[derive(Default)]
struct Group {
    /// Hosts of the window, with when they were last met and at which port.
    hosts: BTreeMap<IpAddr, (Timestamp, u16)>,
    /// The most within one window, and when that window began.
    most: usize,
    worst: Vec<(IpAddr, u16)>,
    first: Timestamp,
    last: Timestamp,
    count: u64,
    samples: Samples,
}

pub struct Spread {
    hosts: usize,
    secs: i64,
    groups: Keep<IpAddr, Group>,
}

impl Spread {
    pub fn new(settings: &Settings) -> Self {
        Self { hosts: settings.spread_hosts, secs: settings.spread_secs, groups: Keep::new(GROUPS_MAX) }
    }

    pub fn flow(&mut self, flow: &FlowRecord) {
        let e = &flow.endpoints;
        let spoke = e.proto == protocol::TCP && flow.src_payload_bytes > 0 && flow.dst_payload_bytes > 0;
        let administers = matches!(flow.app, Some("ssh" | "smb" | "rdp")) || PORTS.contains(&e.dst_port);
        if !spoke || !administers || !is_private(e.src_ip) || !is_private(e.dst_ip) {
            return;
        }
        let Some(group) = self.groups.get_or(e.src_ip, flow.end, Group::default) else { return };
        let secs = self.secs;
        group.hosts.retain(|_, (time, _)| flow.start.secs() - time.secs() <= secs);
        if group.hosts.len() < HOSTS_MAX {
            group.hosts.insert(e.dst_ip, (flow.start, e.dst_port));
        }
        group.samples.add(e);
        if group.hosts.len() < self.hosts {
            return;
        }
        if group.count == 0 {
            group.first = group.hosts.values().map(|(time, _)| *time).min().unwrap_or(flow.start);
        }
        group.last = group.last.max(flow.end);
        // A host that is met again is no spread.
        if group.hosts.len() > group.most {
            group.most = group.hosts.len();
            group.count = group.most as u64;
            group.worst = group.hosts.iter().map(|(ip, (_, port))| (*ip, *port)).take(16).collect();
        }
    }

    pub fn tell(&self) -> Vec<Evidence> {
        self.groups.telling(|g| g.most >= self.hosts).into_iter().map(|(src, group)| self.evidence(*src, group)).collect()
    }

    fn evidence(&self, src: IpAddr, group: &Group) -> Evidence {
        Evidence {
            rule: "net-lateral-spread",
            entity: src,
            group: String::new(),
            first: group.first,
            last: group.last,
            count: group.count,
            summary: format!("{src} opened sessions of administration to {} internal hosts within {} minutes", group.most, self.secs / 60),
            facts: vec![
                ("hosts", "gte", self.hosts.to_string(), group.most.to_string()),
                ("hosts", "sample", String::new(), sample(group.worst.iter().map(|(ip, port)| format!("{ip} port {port}")), group.most)),
            ],
            community_ids: group.samples.ids(),
        }
    }
}
