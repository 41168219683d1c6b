//! DNS tunnels and names made by programs.
//!
//! A tunnel carries data in names: very many different, long ones below one domain. A generated domain has few
//! vowels, digits among letters, and does not exist. Reverse look-ups do not count.
//! ATT&CK T1071.004, T1568.002.

use super::keep::Keep;
use super::{Evidence, Samples, Settings, sample};
use crate::protocols::dns::DnsRecord;
use event::Timestamp;
use std::collections::BTreeSet;
use std::net::IpAddr;

const GROUPS_MAX: usize = 50_000;
/// Names remembered of a group, by their hash.
const NAMES_MAX: usize = 4_096;
const SHOWN_MAX: usize = 12;

#[derive(Default)]
struct Tunnel {
    names: BTreeSet<u64>,
    chars: u64,
    /// Questions of types that carry free bytes.
    bulky: u64,
    total: u64,
    first: Timestamp,
    last: Timestamp,
    shown: Vec<String>,
    samples: Samples,
}

#[derive(Default)]
struct Generated {
    domains: BTreeSet<String>,
    first: Timestamp,
    last: Timestamp,
    samples: Samples,
}

pub struct Names {
    settings: Settings,
    tunnels: Keep<(IpAddr, String), Tunnel>,
    generated: Keep<IpAddr, Generated>,
    hasher: ahash::RandomState,
}

/// The part of a name that somebody registers, guessed: two labels, or three where the second is a short one such as
/// `co` or `com` below a country.
fn domain(name: &str) -> &str {
    let dots: Vec<usize> = name.rmatch_indices('.').map(|(at, _)| at).collect();
    let (Some(top), Some(second)) = (dots.first(), dots.get(1)) else { return name };
    let shared = name.len() - top <= 3 && top - second - 1 <= 3;
    match dots.get(2) {
        Some(third) if shared => &name[third + 1..],
        _ if shared => name,
        _ => &name[second + 1..],
    }
}

/// How much a label looks made by a program, 0 to 1: few vowels, long runs of consonants, digits inside, many
/// different characters.
pub fn generated_score(label: &str) -> f64 {
    let bytes = label.as_bytes();
    if bytes.len() < 8 || label.starts_with("xn--") {
        return 0.0;
    }
    let vowel = |b: &u8| matches!(b.to_ascii_lowercase(), b'a' | b'e' | b'i' | b'o' | b'u' | b'y');
    let letters = bytes.iter().filter(|b| b.is_ascii_alphabetic()).count().max(1) as f64;
    let vowels = bytes.iter().filter(|b| vowel(b)).count() as f64 / letters;
    let digits = bytes.iter().filter(|b| b.is_ascii_digit()).count() as f64 / bytes.len() as f64;
    let (mut run, mut longest) = (0, 0);
    for byte in bytes {
        run = if byte.is_ascii_alphabetic() && !vowel(byte) { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let different = bytes.iter().collect::<BTreeSet<_>>().len() as f64 / bytes.len().min(26) as f64;
    let parts = [((0.36 - vowels) / 0.2, 0.35), ((f64::from(longest) - 3.0) / 3.0, 0.3), (digits / 0.25, 0.15), ((different - 0.5) / 0.3, 0.2)];
    parts.into_iter().map(|(value, weight)| value.clamp(0.0, 1.0) * weight).sum()
}

/// From here on a label counts as generated.
const GENERATED_SCORE: f64 = 0.5;

impl Names {
    pub fn new(settings: &Settings) -> Self {
        Self { settings: settings.clone(), tunnels: Keep::new(GROUPS_MAX), generated: Keep::new(GROUPS_MAX), hasher: ahash::RandomState::new() }
    }

    pub fn observe(&mut self, dns: &DnsRecord) {
        let name = dns.query.to_ascii_lowercase();
        let name = name.trim_end_matches('.');
        let reverse = [".arpa", ".local"].iter().any(|end| name.ends_with(end));
        if !dns.asked || reverse || !name.contains('.') || matches!(&*dns.query_type, "NB" | "SRV") {
            return;
        }
        let domain = domain(name);
        let below = name.len() - domain.len();
        if below > 1 {
            self.below(dns, name, domain, below - 1);
        }
        let label = domain.split('.').next().unwrap_or_default();
        if dns.rcode.as_deref() == Some("NXDOMAIN")
            && generated_score(label) >= GENERATED_SCORE
            && let Some(group) = self.generated.get_or(dns.endpoints.src_ip, dns.time, Generated::default)
        {
            if group.domains.is_empty() {
                group.first = dns.time;
            }
            group.last = group.last.max(dns.time);
            if group.domains.len() < NAMES_MAX {
                group.domains.insert(domain.to_owned());
            }
            group.samples.add(&dns.endpoints);
        }
    }

    fn below(&mut self, dns: &DnsRecord, name: &str, domain: &str, chars: usize) {
        let hash = self.hasher.hash_one(name);
        let Some(group) = self.tunnels.get_or((dns.endpoints.src_ip, domain.to_owned()), dns.time, Tunnel::default) else { return };
        if group.total == 0 {
            group.first = dns.time;
        }
        group.last = group.last.max(dns.time);
        group.total += 1;
        group.bulky += u64::from(matches!(&*dns.query_type, "TXT" | "NULL" | "CNAME" | "MX" | "KEY"));
        if group.names.len() < NAMES_MAX && group.names.insert(hash) {
            group.chars += chars as u64;
            if group.shown.len() < SHOWN_MAX {
                group.shown.push(name.to_owned());
            }
        }
        group.samples.add(&dns.endpoints);
    }

    pub fn tell(&self) -> Vec<Evidence> {
        let tunnels = self.tunnels.telling(|g| g.names.len() >= self.settings.tunnel_names).into_iter().filter_map(|((src, domain), group)| self.tunnel(*src, domain, group));
        let generated = self.generated.telling(|g| g.domains.len() >= self.settings.dga_domains).into_iter().map(|(src, group)| self.dga(*src, group));
        tunnels.chain(generated).collect()
    }

    fn tunnel(&self, src: IpAddr, domain: &str, group: &Tunnel) -> Option<Evidence> {
        let names = group.names.len();
        let mean = group.chars as f64 / names.max(1) as f64;
        if mean < self.settings.tunnel_chars {
            return None;
        }
        Some(Evidence {
            rule: "net-dns-tunnel",
            entity: src,
            group: domain.to_owned(),
            first: group.first,
            last: group.last,
            count: group.total,
            summary: format!("{src} asked for {names} different names below {domain}, {mean:.0} characters each"),
            facts: vec![
                ("domain", "equals", String::new(), domain.to_owned()),
                ("names", "gte", self.settings.tunnel_names.to_string(), names.to_string()),
                ("characters", "gte", self.settings.tunnel_chars.to_string(), format!("{mean:.1}")),
                ("bulky_types", "count", String::new(), group.bulky.to_string()),
                ("names", "sample", String::new(), sample(group.shown.iter().take(3), names)),
            ],
            community_ids: group.samples.ids(),
        })
    }

    fn dga(&self, src: IpAddr, group: &Generated) -> Evidence {
        let count = group.domains.len();
        Evidence {
            rule: "net-dga",
            entity: src,
            group: String::new(),
            first: group.first,
            last: group.last,
            count: count as u64,
            summary: format!("{src} asked for {count} domains that do not exist and look made by a program"),
            facts: vec![("domains", "gte", self.settings.dga_domains.to_string(), count.to_string()), ("domains", "sample", String::new(), sample(group.domains.iter(), count))],
            community_ids: group.samples.ids(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_what_somebody_registers() {
        assert_eq!(domain("a.b.example.com"), "example.com");
        assert_eq!(domain("www.example.co.uk"), "example.co.uk");
        assert_eq!(domain("example.com"), "example.com");
    }

    #[test]
    fn words_are_not_generated() {
        for label in ["wikipedia", "stackoverflow", "cloudflare", "microsoftonline", "googleusercontent", "googletagmanager"] {
            assert!(generated_score(label) < GENERATED_SCORE, "{label} {}", generated_score(label));
        }
        for label in ["xkqzvbnwrtplm", "q7z3kx9wvt2b", "hrtbvcnwqzpkd"] {
            assert!(generated_score(label) >= GENERATED_SCORE, "{label} {}", generated_score(label));
        }
    }
}
