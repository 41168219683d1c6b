//! Guessing of logins.
//!
//! Where the protocol is encrypted, by pattern: a connection that ends soon and in which the server said no more than
//! a key exchange and a few refusals. Where it is readable, by the refusals themselves.
//!
//! Known false positives: tools that open a connection for every command. ATT&CK T1110.

use super::keep::Keep;
use super::{Evidence, Samples, Settings};
use crate::flow::{Endpoints, FlowRecord};
use crate::protocols::http::HttpRecord;
use crate::record::Facts;
use event::Timestamp;
use std::collections::VecDeque;
use std::net::IpAddr;

const GROUPS_MAX: usize = 100_000;
/// Connections remembered of a group.
const TIMES_MAX: usize = 1_024;
/// A key exchange and six refused passwords take less; a session takes more.
const SERVER_BYTES_MAX: u64 = 6_000;
const CONNECTION_SECS_MAX: f64 = 60.0;

#[derive(Default)]
struct Group {
    times: VecDeque<(Timestamp, u64)>,
    /// Most within one window.
    most: u64,
    total: u64,
    first: Timestamp,
    last: Timestamp,
    samples: Samples,
}

impl Group {
    fn add(&mut self, time: Timestamp, count: u64, window_secs: i64, endpoints: &Endpoints) {
        if self.total == 0 {
            self.first = time;
        }
        self.first = self.first.min(time);
        self.last = self.last.max(time);
        self.total += count;
        self.samples.add(endpoints);
        self.times.push_back((time, count));
        while self.times.len() > TIMES_MAX || self.times.front().is_some_and(|(t, _)| time.secs() - t.secs() > window_secs) {
            self.times.pop_front();
        }
        self.most = self.most.max(self.times.iter().map(|(_, n)| n).sum());
    }
}

pub struct Guesses {
    settings: Settings,
    patterns: Keep<(IpAddr, IpAddr, u16, &'static str), Group>,
    failures: Keep<(IpAddr, IpAddr, u16, &'static str), Group>,
}

impl Guesses {
    pub fn new(settings: &Settings) -> Self {
        Self { settings: settings.clone(), patterns: Keep::new(GROUPS_MAX), failures: Keep::new(GROUPS_MAX) }
    }

    pub fn flow(&mut self, flow: &FlowRecord) {
        let Some(app) = flow.app.filter(|app| matches!(*app, "ssh" | "rdp")) else { return };
        let short = flow.duration <= CONNECTION_SECS_MAX && flow.dst_payload_bytes <= SERVER_BYTES_MAX && flow.opened.is_none();
        if short && flow.src_payload_bytes > 0 {
            let key = (flow.endpoints.src_ip, flow.endpoints.dst_ip, flow.endpoints.dst_port, app);
            if let Some(group) = self.patterns.get_or(key, flow.end, Group::default) {
                group.add(flow.start, 1, self.settings.guess_secs, &flow.endpoints);
            }
        }
    }

    pub fn http(&mut self, http: &HttpRecord) {
        // A first 401 without credentials is how authentication begins.
        if http.status == Some(401) && http.authorization.is_some() {
            self.failed("http", 1, http.time, &http.endpoints);
        }
    }

    pub fn facts(&mut self, facts: &Facts) {
        let count = match facts.protocol {
            "ftp" => facts.get("failures"),
            "smb" | "smtp" | "pop3" | "imap" => facts.get("login_failures"),
            "ldap" => facts.get("result_code").filter(|code| code.as_i64() == Some(49)).map(|_| &serde_json::Value::Bool(true)),
            _ => None,
        };
        let count = count.map_or(0, |n| n.as_u64().unwrap_or(u64::from(n.as_bool().unwrap_or(false))));
        if count > 0 {
            self.failed(facts.protocol, count, facts.time, &facts.endpoints);
        }
    }

    fn failed(&mut self, protocol: &'static str, count: u64, time: Timestamp, endpoints: &Endpoints) {
        let key = (endpoints.src_ip, endpoints.dst_ip, endpoints.dst_port, protocol);
        if let Some(group) = self.failures.get_or(key, time, Group::default) {
            group.add(time, count, self.settings.guess_secs, endpoints);
        }
    }

    pub fn tell(&self) -> Vec<Evidence> {
        let (connections, failures) = (self.settings.guess_connections as u64, self.settings.guess_failures);
        let patterns = self.patterns.sorted().into_iter().filter(|(_, g)| g.most >= connections).map(|(key, group)| evidence("net-login-guessing", *key, group, connections, "short connections"));
        let refused = self.failures.sorted().into_iter().filter(|(_, g)| g.most >= failures).map(|(key, group)| evidence("net-login-failures", *key, group, failures, "refused logins"));
        patterns.chain(refused).collect()
    }
}

fn evidence(rule: &'static str, (src, dst, port, protocol): (IpAddr, IpAddr, u16, &'static str), group: &Group, least: u64, what: &str) -> Evidence {
    Evidence {
        rule,
        entity: src,
        group: format!("{dst} {port} {protocol}"),
        first: group.first,
        last: group.last,
        count: group.total,
        summary: format!("{src} guesses logins of {} on {dst}: {} {what}", protocol.to_uppercase(), group.total),
        facts: vec![
            ("dst_ip", "equals", String::new(), dst.to_string()),
            ("dst_port", "equals", String::new(), port.to_string()),
            ("in_window", "gte", least.to_string(), group.most.to_string()),
        ],
        community_ids: group.samples.ids(),
    }
}
