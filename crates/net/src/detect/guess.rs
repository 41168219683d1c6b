//! Guessing of logins.
//!
//! SSH by the lengths of its encrypted messages, which tell refusals from a success (`protocols::ssh`): connections that log
//! in are use, however many and short. Where that is not known, and of RDP, by pattern: a connection that ends soon and
//! in which the server said no more than a key exchange and a few refusals. Where a protocol is readable, by its refusals.
//!
//! Known false positives: a program with an old password or key; for RDP short sessions. ATT&CK T1110.

use super::keep::Keep;
use super::{Evidence, Samples, Settings};
use crate::flow::{CommunityId, Endpoints, FlowRecord};
use crate::protocols::http::HttpRecord;
use crate::protocols::ssh::SshRecord;
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
    times: VecDeque<(Timestamp, u64, u64)>,
    /// Most within one window.
    most: u64,
    total: u64,
    /// Attempts, where they can be told from connections.
    attempts: u64,
    most_attempts: u64,
    /// Logins that succeeded after the group had reached a threshold.
    successes: u64,
    first: Timestamp,
    last: Timestamp,
    samples: Samples,
}

impl Group {
    fn add(&mut self, time: Timestamp, count: u64, attempts: u64, window_secs: i64, endpoints: &Endpoints) {
        if self.total == 0 {
            self.first = time;
        }
        self.first = self.first.min(time);
        self.last = self.last.max(time);
        self.total += count;
        self.attempts += attempts;
        self.samples.add(endpoints);
        self.times.push_back((time, count, attempts));
        while self.times.len() > TIMES_MAX || self.times.front().is_some_and(|(t, ..)| time.secs() - t.secs() > window_secs) {
            self.times.pop_front();
        }
        let (count, attempts) = self.times.iter().fold((0, 0), |(count, attempts), (_, n, a)| (count + n, attempts + a));
        self.most = self.most.max(count);
        self.most_attempts = self.most_attempts.max(attempts);
    }
}

pub struct Guesses {
    settings: Settings,
    patterns: Keep<(IpAddr, IpAddr, u16, &'static str), Group>,
    failures: Keep<(IpAddr, IpAddr, u16, &'static str), Group>,
    /// SSH connections whose record told how the login went.
    judged: Keep<CommunityId, ()>,
}

impl Guesses {
    pub fn new(settings: &Settings) -> Self {
        Self { settings: settings.clone(), patterns: Keep::new(GROUPS_MAX), failures: Keep::new(GROUPS_MAX), judged: Keep::new(GROUPS_MAX) }
    }

    pub fn flow(&mut self, flow: &FlowRecord) {
        let Some(app) = flow.app.filter(|app| matches!(*app, "ssh" | "rdp")) else { return };
        let short = flow.duration <= CONNECTION_SECS_MAX && flow.dst_payload_bytes <= SERVER_BYTES_MAX && flow.opened.is_none();
        if short && flow.src_payload_bytes > 0 && !self.judged.contains(&flow.endpoints.community_id) {
            let key = (flow.endpoints.src_ip, flow.endpoints.dst_ip, flow.endpoints.dst_port, app);
            if let Some(group) = self.patterns.get_or(key, flow.end, Group::default) {
                group.add(flow.start, 1, 0, self.settings.guess_secs, &flow.endpoints);
            }
        }
    }

    pub fn ssh(&mut self, ssh: &SshRecord) {
        let Some(authenticated) = ssh.authenticated else { return };
        let e = &ssh.endpoints;
        drop(self.judged.get_or(e.community_id, ssh.time, || ()));
        let (connections, attempts) = (self.settings.guess_connections, self.settings.guess_attempts);
        let key = (e.src_ip, e.dst_ip, e.dst_port, "ssh");
        if authenticated {
            if self.patterns.contains(&key)
                && let Some(group) = self.patterns.get_or(key, ssh.time, Group::default).filter(|g| g.most >= connections || g.most_attempts >= attempts)
            {
                group.successes += 1;
                group.last = group.last.max(ssh.time);
            }
        } else if let Some(group) = self.patterns.get_or(key, ssh.time, Group::default) {
            group.add(ssh.time, 1, u64::from(ssh.refused.unwrap_or(0)), self.settings.guess_secs, e);
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
            group.add(time, count, 0, self.settings.guess_secs, endpoints);
        }
    }

    pub fn tell(&self) -> Vec<Evidence> {
        let Settings { guess_connections: connections, guess_attempts: attempts, guess_failures: failures, .. } = self.settings;
        let patterns = self.patterns.telling(|g| g.most >= connections || g.most_attempts >= attempts).into_iter().map(|(key, group)| {
            let least = if group.most >= connections { connections } else { attempts };
            evidence("net-login-guessing", *key, group, least, "short connections without a login")
        });
        let refused = self.failures.telling(|g| g.most >= failures).into_iter().map(|(key, group)| evidence("net-login-failures", *key, group, failures, "refused logins"));
        patterns.chain(refused).collect()
    }
}

fn evidence(rule: &'static str, (src, dst, port, protocol): (IpAddr, IpAddr, u16, &'static str), group: &Group, least: u64, what: &str) -> Evidence {
    let attempts = if group.attempts > 0 { format!(", about {} refused attempts", group.attempts) } else { String::new() };
    let success = if group.successes > 0 { "; then a login succeeded" } else { "" };
    let mut facts = vec![
        ("dst_ip", "equals", String::new(), dst.to_string()),
        ("dst_port", "equals", String::new(), port.to_string()),
        ("in_window", "gte", least.to_string(), group.most.max(group.most_attempts).to_string()),
    ];
    if group.successes > 0 {
        facts.push(("logins_after", "count", String::new(), group.successes.to_string()));
    }
    Evidence {
        rule,
        entity: src,
        group: format!("{dst} {port} {protocol}"),
        first: group.first,
        last: group.last,
        count: group.total + group.successes,
        summary: format!("{src} guesses logins of {} on {dst}: {} {what}{attempts}{success}", protocol.to_uppercase(), group.total),
        facts,
        community_ids: group.samples.ids(),
    }
}
