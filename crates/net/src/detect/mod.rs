//! What flows and sessions show together: scans, sweeps, guessing, floods, beacons, tunnels, secrets in clear text, hosts
//! that do what they never did, certificates and fingerprints that are known to be bad.
//!
//! [`Detector::observe`] takes records as they are written; [`Detector::findings`] tells, at any time, what has
//! crossed its threshold or grown since it was last told, under the same id with a higher revision. Times are packet
//! times. A flow is judged when its record is written: in a live capture half-open connections count after
//! [`crate::flow::Limits::tcp_opening_secs`].
//!
//! Every group that is kept is bounded; what gives way first is what has been silent longest.

mod beacon;
mod dns;
mod flood;
mod guess;
mod keep;
mod known;
mod plain;
mod rules;
mod scan;
mod services;
mod settings;
mod spread;
mod usual;

pub use rules::{RULES, RuleFacts};
pub use settings::{Settings, SettingsError};

use crate::Record;
use event::{Condition, Entity, EntityKind, Explanation, Finding, FindingStatus, Id, Timestamp};
use std::net::IpAddr;

/// What a detector saw, before it becomes a finding.
pub(crate) struct Evidence {
    pub rule: &'static str,
    /// Whom it is about: the culprit.
    pub entity: IpAddr,
    /// What tells this group from others of the same rule and entity.
    pub group: String,
    pub first: Timestamp,
    pub last: Timestamp,
    /// How many records there were.
    pub count: u64,
    pub summary: String,
    /// Names and values: targets, ports, counts.
    pub facts: Vec<(&'static str, &'static str, String, String)>,
    pub community_ids: Vec<event::CompactString>,
}

/// Looks at records and tells findings.
pub struct Detector {
    scan: scan::Scans,
    guess: guess::Guesses,
    flood: flood::Floods,
    beacon: beacon::Beacons,
    dns: dns::Names,
    plain: plain::Plain,
    known: known::Known,
    services: services::Services,
    spread: spread::Spread,
    usual: usual::Usual,
    trusted: settings::Networks,
    rules: rules::Rules,
    told: keep::Keep<Id, (u64, u32)>,
}

/// Findings whose revision is remembered.
const TOLD_MAX: usize = 100_000;

impl Detector {
    pub fn new(settings: Settings) -> Self {
        Self {
            scan: scan::Scans::new(&settings),
            guess: guess::Guesses::new(&settings),
            flood: flood::Floods::new(&settings),
            beacon: beacon::Beacons::new(&settings),
            dns: dns::Names::new(&settings),
            plain: plain::Plain::new(&settings),
            known: known::Known::new(&settings),
            services: services::Services::new(&settings),
            spread: spread::Spread::new(&settings),
            usual: usual::Usual::new(&settings),
            trusted: settings::Networks::of(&settings.trusted),
            rules: rules::Rules::default(),
            told: keep::Keep::new(TOLD_MAX),
        }
    }

    pub fn observe(&mut self, record: &Record) {
        match record {
            Record::Flow(flow) => {
                self.scan.flow(flow);
                self.guess.flow(flow);
                self.flood.flow(flow);
                self.beacon.flow(flow);
                self.plain.flow(flow);
                self.known.flow(flow);
                self.services.flow(flow);
                self.spread.flow(flow);
                self.usual.flow(flow);
            }
            Record::Dns(dns) => self.dns.observe(dns),
            Record::Http(http) => {
                self.guess.http(http);
                self.plain.http(http);
            }
            Record::Facts(facts) => {
                self.guess.facts(facts);
                self.plain.facts(facts);
            }
            Record::Tls(tls) => self.known.tls(tls),
            Record::Ssh(ssh) => self.guess.ssh(ssh),
        }
    }

    /// Takes what an inspector of HTTP requests said: this crate has none of its own.
    pub fn web_attack(&mut self, http: &crate::protocols::http::HttpRecord, class: &str, why: &str) {
        self.plain.web(http, class, why);
    }

    /// What crossed its threshold or grew since the last call, oldest first.
    pub fn findings(&mut self) -> Vec<Finding> {
        let mut evidence = self.scan.tell();
        evidence.extend(self.guess.tell());
        evidence.extend(self.flood.tell());
        evidence.extend(self.beacon.tell());
        evidence.extend(self.dns.tell());
        evidence.extend(self.plain.tell());
        evidence.extend(self.known.tell());
        evidence.extend(self.services.tell());
        evidence.extend(self.spread.tell());
        evidence.extend(self.usual.tell());
        evidence.retain(|e| !self.trusted.contains(e.entity));
        let mut findings: Vec<Finding> = evidence.into_iter().filter_map(|e| self.finding(e)).collect();
        findings.sort_by(|a, b| (a.time, &a.rule.id, a.id).cmp(&(b.time, &b.rule.id, b.id)));
        findings
    }

    fn finding(&mut self, evidence: Evidence) -> Option<Finding> {
        let rule = self.rules.get(evidence.rule)?;
        let entity = Entity::new(EntityKind::Ip, evidence.entity.to_string());
        let id = Id::of(&[b"net", rule.id.as_bytes(), entity.value.as_bytes(), evidence.group.as_bytes(), &evidence.first.micros().to_le_bytes()]);
        let (count, revision) = self.told.get_or(id, evidence.last, || (0, 0))?;
        if *count == evidence.count {
            return None;
        }
        *revision += u32::from(*count > 0);
        *count = evidence.count;
        let revision = *revision;
        let conditions = evidence
            .facts
            .into_iter()
            .map(|(field, operator, expected, actual)| Condition { selection: "flows".into(), field: field.into(), operator: operator.into(), expected: expected.into(), actual: actual.into() })
            .collect();
        Some(Finding {
            id,
            time: evidence.last,
            level: rule.level,
            rule,
            source_ip: Some(entity.value.clone()),
            entity,
            event_ids: evidence.community_ids,
            positions: Vec::new(),
            event_count: evidence.count,
            window: Some((evidence.first, evidence.last)),
            explanation: Explanation { summary: evidence.summary, conditions },
            status: FindingStatus::Final,
            revision,
            replaces: None,
            user: None,
            event_name: Some(evidence.rule.into()),
            place: None,
        })
    }
}

/// Ids of the first flows of a group, as samples.
#[derive(Clone, Default)]
pub(crate) struct Samples(Vec<event::CompactString>);

impl Samples {
    const MAX: usize = 10;

    pub fn add(&mut self, endpoints: &crate::flow::Endpoints) {
        if self.0.len() < Self::MAX {
            self.0.push(endpoints.community_id.as_str().into());
        }
    }

    pub fn ids(&self) -> Vec<event::CompactString> {
        self.0.clone()
    }
}

/// Some of many values, for people.
pub(crate) fn sample<T: ToString>(values: impl Iterator<Item = T>, total: usize) -> String {
    const SHOWN: usize = 12;
    let shown: Vec<String> = values.take(SHOWN).map(|v| v.to_string()).collect();
    let more = if total > shown.len() { format!(" and {} more", total - shown.len()) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

/// Addresses that are not on the public internet.
pub(crate) fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_multicast() || ip.is_broadcast() || ip.is_unspecified() || (ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}
