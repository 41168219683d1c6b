//! What is known to be bad: addresses and fingerprints of TLS clients from the settings, and certificates that are
//! outside their time or that a public server signed itself.
//!
//! A fingerprint accuses the client, an address and a certificate the host they belong to.
//! ATT&CK T1071, T1573, T1587.003.

use super::keep::Keep;
use super::settings::Networks;
use super::{Evidence, Samples, Settings, is_private};
use crate::flow::{Endpoints, FlowRecord};
use crate::protocols::tls::TlsRecord;
use event::Timestamp;
use std::collections::HashSet;
use std::net::IpAddr;

const GROUPS_MAX: usize = 50_000;

struct Group {
    first: Timestamp,
    last: Timestamp,
    count: u64,
    samples: Samples,
}

impl Group {
    fn add(&mut self, time: Timestamp, endpoints: &Endpoints) {
        self.first = self.first.min(time);
        self.last = self.last.max(time);
        self.count += 1;
        self.samples.add(endpoints);
    }
}

/// What makes an entry: kind, whom it accuses, the other side, and what was found.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    kind: Kind,
    entity: IpAddr,
    other: IpAddr,
    value: String,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    Address,
    Ja3,
    Ja4,
    SelfSigned,
    Expired,
    NotYetValid,
}

impl Kind {
    fn rule(self) -> &'static str {
        match self {
            Self::Address | Self::Ja3 | Self::Ja4 => "net-known-bad",
            Self::SelfSigned | Self::Expired | Self::NotYetValid => "net-certificate",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Address => "ip",
            Self::Ja3 => "ja3",
            Self::Ja4 => "ja4",
            Self::SelfSigned => "self-signed",
            Self::Expired => "expired",
            Self::NotYetValid => "not yet valid",
        }
    }
}

pub struct Known {
    ips: Networks,
    ja3: HashSet<String>,
    ja4: HashSet<String>,
    certificates: bool,
    groups: Keep<Key, Group>,
}

impl Known {
    pub fn new(settings: &Settings) -> Self {
        Self {
            ips: Networks::of(&settings.bad_ips),
            ja3: settings.bad_ja3.iter().map(|hash| hash.to_ascii_lowercase()).collect(),
            ja4: settings.bad_ja4.iter().cloned().collect(),
            certificates: settings.certificates,
            groups: Keep::new(GROUPS_MAX),
        }
    }

    pub fn flow(&mut self, flow: &FlowRecord) {
        let (src, dst) = (flow.endpoints.src_ip, flow.endpoints.dst_ip);
        for (bad, other) in [(src, dst), (dst, src)] {
            if self.ips.contains(bad) {
                self.add(Kind::Address, bad, other, bad.to_string(), flow.start, &flow.endpoints);
            }
        }
    }

    pub fn tls(&mut self, tls: &TlsRecord) {
        let (src, dst) = (tls.endpoints.src_ip, tls.endpoints.dst_ip);
        let prints = [(Kind::Ja3, &self.ja3, &tls.ja3), (Kind::Ja4, &self.ja4, &tls.ja4)];
        let bad = prints.into_iter().find_map(|(kind, list, hash)| Some((kind, hash.as_ref().filter(|hash| list.contains(*hash))?.clone())));
        if let Some((kind, hash)) = bad {
            self.add(kind, src, dst, hash, tls.time, &tls.endpoints);
        }
        let Some(certificate) = tls.certificate.as_ref().filter(|_| self.certificates) else { return };
        let value = format!("{} of {}", certificate.sha256, certificate.subject);
        let kind = match certificate {
            c if c.not_after.is_some_and(|end| end < tls.time) => Kind::Expired,
            c if c.not_before.is_some_and(|begin| begin > tls.time) => Kind::NotYetValid,
            // Within a network machines sign their own by the dozen.
            c if c.self_signed && !is_private(dst) => Kind::SelfSigned,
            _ => return,
        };
        self.add(kind, dst, src, value, tls.time, &tls.endpoints);
    }

    fn add(&mut self, kind: Kind, entity: IpAddr, other: IpAddr, value: String, time: Timestamp, endpoints: &Endpoints) {
        // A server with a bad certificate is one finding, whoever meets it.
        let other = if kind.rule() == "net-certificate" { entity } else { other };
        let begin = || Group { first: time, last: time, count: 0, samples: Samples::default() };
        if let Some(group) = self.groups.get_or(Key { kind, entity, other, value }, time, begin) {
            group.add(time, endpoints);
        }
    }

    pub fn tell(&self) -> Vec<Evidence> {
        self.groups.telling(|_| true).into_iter().map(|(key, group)| evidence(key, group)).collect()
    }
}

fn evidence(key: &Key, group: &Group) -> Evidence {
    let Key { kind, entity, other, value } = key;
    let summary = match kind {
        Kind::Address => format!("{other} and {entity}, which is on the list of bad addresses, were in contact: {} flows", group.count),
        Kind::Ja3 | Kind::Ja4 => format!("{entity} connected to {other} with a client whose {} is on the list of bad ones: {value}", kind.name().to_uppercase()),
        Kind::SelfSigned | Kind::Expired | Kind::NotYetValid => format!("{entity} showed a certificate that is {}: SHA-256 {value}", kind.name()),
    };
    Evidence {
        rule: kind.rule(),
        entity: *entity,
        group: format!("{} {other} {value}", kind.name()),
        first: group.first,
        last: group.last,
        count: group.count,
        summary,
        facts: vec![("kind", "equals", String::new(), kind.name().to_owned()), ("value", "equals", String::new(), value.clone()), ("other_ip", "equals", String::new(), other.to_string())],
        community_ids: group.samples.ids(),
    }
}
