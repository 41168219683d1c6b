//! Single facts that matter: passwords in clear text, long connections, much data to one public address.

use super::keep::Keep;
use super::{Evidence, Samples, Settings, is_private};
use crate::flow::{Endpoints, FlowRecord};
use crate::protocols::http::HttpRecord;
use crate::record::Facts;
use event::Timestamp;
use std::net::IpAddr;

const GROUPS_MAX: usize = 50_000;

#[derive(Default)]
struct Group {
    first: Option<Timestamp>,
    last: Timestamp,
    count: u64,
    sent: u64,
    received: u64,
    lasted_secs: i64,
    samples: Samples,
}

impl Group {
    fn add(&mut self, first: Timestamp, last: Timestamp, endpoints: &Endpoints) {
        self.first = Some(self.first.map_or(first, |f| f.min(first)));
        self.last = self.last.max(last);
        self.count += 1;
        self.samples.add(endpoints);
    }

    fn evidence(&self, rule: &'static str, entity: IpAddr, group: String, summary: String, facts: Vec<(&'static str, &'static str, String, String)>) -> Evidence {
        Evidence { rule, entity, group, first: self.first.unwrap_or_default(), last: self.last, count: self.count, summary, facts, community_ids: self.samples.ids() }
    }
}

pub struct Plain {
    settings: Settings,
    passwords: Keep<(IpAddr, IpAddr, &'static str, String), Group>,
    long: Keep<(IpAddr, IpAddr, u16), Group>,
    volumes: Keep<(IpAddr, IpAddr), Group>,
    web: Keep<(IpAddr, IpAddr, String), (Group, String)>,
}

impl Plain {
    pub fn new(settings: &Settings) -> Self {
        Self { settings: settings.clone(), passwords: Keep::new(GROUPS_MAX), long: Keep::new(GROUPS_MAX), volumes: Keep::new(GROUPS_MAX), web: Keep::new(GROUPS_MAX) }
    }

    pub fn flow(&mut self, flow: &FlowRecord) {
        let (src, dst) = (flow.endpoints.src_ip, flow.endpoints.dst_ip);
        if is_private(dst) {
            return;
        }
        let (begun, answered) = (flow.opened.unwrap_or(flow.start), flow.dst_packets > 0);
        if answered && flow.lasted_secs() >= self.settings.long_secs
            && let Some(group) = self.long.get_or((src, dst, flow.endpoints.dst_port), flow.end, Group::default)
        {
            group.add(begun, flow.end, &flow.endpoints);
            group.lasted_secs = group.lasted_secs.max(flow.lasted_secs());
        }
        if is_private(src) && answered
            && let Some(group) = self.volumes.get_or((src, dst), flow.end, Group::default)
        {
            group.add(flow.start, flow.end, &flow.endpoints);
            group.sent += flow.src_payload_bytes;
            group.received += flow.dst_payload_bytes;
        }
    }

    pub fn http(&mut self, http: &HttpRecord) {
        if let Some(user) = &http.user {
            self.password("http", user, http.time, &http.endpoints);
        }
    }

    pub fn facts(&mut self, facts: &Facts) {
        if let Some(user) = &facts.clear_text {
            self.password(facts.protocol, user, facts.time, &facts.endpoints);
        }
    }

    /// A request that an inspector calls an attack of this class; the first one's reason is told.
    pub fn web(&mut self, http: &HttpRecord, class: &str, why: &str) {
        let key = (http.endpoints.src_ip, http.endpoints.dst_ip, class.to_owned());
        if let Some((group, _)) = self.web.get_or(key, http.time, || (Group::default(), format!("{} {}: {why}", http.method, http.target))) {
            group.add(http.time, http.time, &http.endpoints);
        }
    }

    fn password(&mut self, protocol: &'static str, user: &str, time: Timestamp, endpoints: &Endpoints) {
        let key = (endpoints.src_ip, endpoints.dst_ip, protocol, user.to_owned());
        if let Some(group) = self.passwords.get_or(key, time, Group::default) {
            group.add(time, time, endpoints);
        }
    }

    pub fn tell(&self) -> Vec<Evidence> {
        let mut told = Vec::new();
        for ((src, dst, protocol, user), group) in self.passwords.telling(|_| true) {
            let summary = format!("{src} sent the password of {user:?} to {dst} over {} without encryption", protocol.to_uppercase());
            let facts = vec![("dst_ip", "equals", String::new(), dst.to_string()), ("protocol", "equals", String::new(), (*protocol).to_owned()), ("user", "equals", String::new(), user.clone())];
            told.push(group.evidence("net-clear-text-password", *src, format!("{dst} {protocol} {user}"), summary, facts));
        }
        for ((src, dst, port), group) in self.long.telling(|_| true) {
            let summary = format!("{src} was connected to {dst} port {port} for {:.1} hours", group.lasted_secs as f64 / 3600.0);
            let facts = vec![("dst_ip", "equals", String::new(), dst.to_string()), ("seconds", "gte", self.settings.long_secs.to_string(), group.lasted_secs.to_string())];
            told.push(group.evidence("net-long-connection", *src, format!("{dst} {port}"), summary, facts));
        }
        for ((src, dst), group) in self.volumes.telling(|g| g.sent >= self.settings.exfiltration_bytes) {
            if group.sent / group.received.max(1) < self.settings.exfiltration_ratio {
                continue;
            }
            let summary = format!("{src} sent {} MB to {dst} and received {} MB", group.sent / 1_000_000, group.received / 1_000_000);
            let facts = vec![("dst_ip", "equals", String::new(), dst.to_string()), ("bytes", "gte", self.settings.exfiltration_bytes.to_string(), group.sent.to_string())];
            told.push(group.evidence("net-exfiltration-volume", *src, dst.to_string(), summary, facts));
        }
        for ((src, dst, class), (group, first)) in self.web.telling(|_| true) {
            let first: String = first.chars().take(512).collect();
            let summary = format!("{src} attacked the web server {dst} with {} requests of class {class}, the first {first}", group.count);
            let facts = vec![("dst_ip", "equals", String::new(), dst.to_string()), ("class", "equals", String::new(), class.clone()), ("request", "sample", String::new(), first)];
            told.push(group.evidence("net-web-attack", *src, format!("{dst} {class}"), summary, facts));
        }
        told
    }
}
