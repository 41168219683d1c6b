//! Thresholds of the detectors, and their file: `content/network.yml`, where each stands with what it counts.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Thresholds and lists. The YAML file has the same names; what it leaves out has the value of [`Settings::default`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Addresses and networks that are never accused: one's own scanners and monitoring.
    pub trusted: Vec<String>,
    /// Ports of one host that one source tried in vain with SYN or ACK.
    pub scan_ports: usize,
    /// The same with packets that only scanners send: FIN, NULL, Xmas, FIN with ACK.
    pub scan_ports_odd: usize,
    /// The same with UDP.
    pub scan_ports_udp: usize,
    /// Hosts on which one source tried the same port without saying anything.
    pub scan_hosts: usize,
    /// Hosts that one source pinged.
    pub sweep_hosts: usize,
    /// A scan's silence after which it is over: slow scans wait minutes between two probes.
    pub scan_idle_secs: i64,
    /// SSH connections without a login, or short RDP connections, of one source to one host within `guess_secs`.
    pub guess_connections: u64,
    /// Refused SSH logins within `guess_secs`, counted by the lengths of encrypted messages.
    pub guess_attempts: u64,
    /// Logins that a server refused within `guess_secs`, where they are readable.
    pub guess_failures: u64,
    pub guess_secs: i64,
    /// Half-open connections to one port within `flood_secs`.
    pub flood_connections: u64,
    /// Resets to one host within `flood_secs`.
    pub flood_resets: u64,
    /// UDP packets to one host within `flood_secs` of which at most a tenth is answered.
    pub flood_udp_packets: u64,
    /// Pings and other ICMP packets to one host within `flood_secs`.
    pub flood_icmp_packets: u64,
    pub flood_secs: i64,
    /// Connections that show a rhythm.
    pub beacon_connections: usize,
    /// Shortest interval of a beacon.
    pub beacon_interval_secs_min: f64,
    /// Median deviation from the median interval, as a share of it.
    pub beacon_jitter: f64,
    /// Different names below one domain.
    pub tunnel_names: usize,
    /// Their mean length without the domain.
    pub tunnel_chars: f64,
    /// Domains that do not exist and look made by a program.
    pub dga_domains: usize,
    /// Seconds of a long connection to a public address.
    pub long_secs: i64,
    /// Bytes that one host sent to one public address.
    pub exfiltration_bytes: u64,
    /// How many times more it sent than it received.
    pub exfiltration_ratio: u64,
    /// Hours with traffic that must be known of a host before its own past judges it.
    pub usual_hours: usize,
    /// How many times more than in the host's worst hour of the past week an hour must bring.
    pub usual_ratio: u64,
    /// Bytes to public addresses below which an hour is never told.
    pub usual_bytes: u64,
    /// Seconds from the first packet on in which services that public addresses reach are learned and not told.
    pub service_learn_secs: i64,
    /// Internal hosts that one internal host opened sessions of administration to within `spread_secs`.
    pub spread_hosts: usize,
    pub spread_secs: i64,
    /// Whether certificates are told that are self-signed and of a public address, or outside their time.
    pub certificates: bool,
    /// Addresses and networks, and fingerprints of TLS clients, that are known to be bad.
    pub bad_ips: Vec<String>,
    pub bad_ja3: Vec<String>,
    pub bad_ja4: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            trusted: Vec::new(),
            scan_ports: 10,
            scan_ports_odd: 5,
            scan_ports_udp: 15,
            scan_hosts: 25,
            sweep_hosts: 20,
            scan_idle_secs: 3_600,
            guess_connections: 10,
            guess_attempts: 20,
            guess_failures: 10,
            guess_secs: 600,
            flood_connections: 500,
            flood_resets: 1_000,
            flood_udp_packets: 10_000,
            flood_icmp_packets: 5_000,
            flood_secs: 10,
            beacon_connections: 12,
            beacon_interval_secs_min: 10.0,
            beacon_jitter: 0.2,
            tunnel_names: 40,
            tunnel_chars: 24.0,
            dga_domains: 20,
            long_secs: 4 * 3_600,
            exfiltration_bytes: 100_000_000,
            exfiltration_ratio: 10,
            usual_hours: 24,
            usual_ratio: 5,
            usual_bytes: 50_000_000,
            service_learn_secs: 24 * 3_600,
            spread_hosts: 10,
            spread_secs: 3_600,
            certificates: true,
            bad_ips: Vec::new(),
            bad_ja3: Vec::new(),
            bad_ja4: Vec::new(),
        }
    }
}

/// Entries of one list.
const LIST_MAX: usize = 100_000;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SettingsError {
    /// Says line and column itself.
    #[error("{0}")]
    Yaml(String),
    #[error("line {line}: {name} must be {must}")]
    Value { line: usize, name: &'static str, must: &'static str },
    #[error("line {line}: {entry:?} of {name} is no {wanted}")]
    Entry { line: usize, name: &'static str, entry: String, wanted: &'static str },
    #[error("line {line}: {name} holds more than {LIST_MAX} entries")]
    TooMany { line: usize, name: &'static str },
}

impl Settings {
    /// Reads the YAML file. A name that does not exist, a number that cannot be meant and an address that is none are
    /// errors: a detector that is silently off is worse than one that does not start.
    pub fn parse(yaml: &str) -> Result<Self, SettingsError> {
        if yaml.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return Ok(Self::default());
        }
        let settings: Self = yaml_serde::from_str(yaml).map_err(|error| SettingsError::Yaml(error.to_string()))?;
        settings.check(yaml)?;
        Ok(settings)
    }

    fn check(&self, yaml: &str) -> Result<(), SettingsError> {
        let line = |text: &str| yaml.lines().position(|line| line.trim_start().trim_start_matches(['-', ' ', '"', '\'']).starts_with(text)).map_or(1, |at| at + 1);
        let positive: [(&'static str, i64); 15] = [
            ("scan_ports", self.scan_ports as i64),
            ("scan_ports_odd", self.scan_ports_odd as i64),
            ("scan_ports_udp", self.scan_ports_udp as i64),
            ("scan_hosts", self.scan_hosts as i64),
            ("sweep_hosts", self.sweep_hosts as i64),
            ("scan_idle_secs", self.scan_idle_secs),
            ("guess_connections", self.guess_connections as i64),
            ("guess_attempts", self.guess_attempts as i64),
            ("guess_failures", self.guess_failures as i64),
            ("guess_secs", self.guess_secs),
            ("flood_secs", self.flood_secs),
            ("long_secs", self.long_secs),
            ("spread_secs", self.spread_secs),
            ("spread_hosts", self.spread_hosts as i64),
            ("usual_hours", self.usual_hours as i64),
        ];
        if let Some((name, _)) = positive.into_iter().find(|(_, value)| *value < 1) {
            return Err(SettingsError::Value { line: line(name), name, must: "at least 1" });
        }
        let fractions = [("beacon_interval_secs_min", self.beacon_interval_secs_min), ("beacon_jitter", self.beacon_jitter), ("tunnel_chars", self.tunnel_chars)];
        if let Some((name, _)) = fractions.into_iter().find(|(_, value)| !value.is_finite() || *value < 0.0) {
            return Err(SettingsError::Value { line: line(name), name, must: "a number that is not negative" });
        }
        type Fits = fn(&str) -> bool;
        let lists: [(&'static str, &Vec<String>, &'static str, Fits); 4] = [
            ("trusted", &self.trusted, "address or network", |e| network(e).is_some()),
            ("bad_ips", &self.bad_ips, "address or network", |e| network(e).is_some()),
            ("bad_ja3", &self.bad_ja3, "JA3: 32 hexadecimal digits", |e| e.len() == 32 && e.bytes().all(|b| b.is_ascii_hexdigit())),
            ("bad_ja4", &self.bad_ja4, "JA4: three parts with _ between", |e| e.len() <= 64 && e.split('_').count() == 3),
        ];
        for (name, entries, wanted, fits) in lists {
            if entries.len() > LIST_MAX {
                return Err(SettingsError::TooMany { line: line(name), name });
            }
            if let Some(entry) = entries.iter().find(|entry| !fits(entry)) {
                return Err(SettingsError::Entry { line: line(entry), name, entry: entry.clone(), wanted });
            }
        }
        Ok(())
    }
}

fn network(text: &str) -> Option<ipnet::IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(ipnet::IpNet::from))
}

/// Addresses and networks, merged and sorted, so that a look-up is a binary search.
#[derive(Default)]
pub(super) struct Networks {
    /// First and last address of each, IPv4 mapped into IPv6.
    ranges: Vec<(u128, u128)>,
}

impl Networks {
    /// What is no network is left out: [`Settings::parse`] refuses it before.
    pub fn of(texts: &[String]) -> Self {
        let mut ranges: Vec<(u128, u128)> = texts.iter().filter_map(|text| network(text)).map(|net| (number(net.network()), number(net.broadcast()))).collect();
        ranges.sort_unstable();
        ranges.dedup_by(|next, kept| {
            let joins = next.0 <= kept.1.saturating_add(1);
            kept.1 = if joins { kept.1.max(next.1) } else { kept.1 };
            joins
        });
        Self { ranges }
    }

    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = number(ip);
        let after = self.ranges.partition_point(|(first, _)| *first <= ip);
        after > 0 && self.ranges[after - 1].1 >= ip
    }
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = include_str!("../../../../content/network.yml");

    #[test]
    fn the_file_holds_every_default() {
        assert_eq!(Settings::parse(FILE), Ok(Settings::default()));
        let names = serde_json::to_value(Settings::default()).unwrap();
        for name in names.as_object().unwrap().keys() {
            assert!(FILE.lines().any(|line| line.starts_with(&format!("{name}:"))), "{name} is not in content/network.yml");
        }
    }

    #[test]
    fn errors_name_their_line() {
        let error = |yaml: &str| Settings::parse(yaml).map_err(|e| e.to_string()).unwrap_err();
        assert!(error("scan_ports: 5\nscan_prots: 3\n").contains("line 2"), "{}", error("scan_ports: 5\nscan_prots: 3\n"));
        assert!(error("# a\nscan_ports: many\n").contains("line 2"), "{}", error("# a\nscan_ports: many\n"));
        assert_eq!(error("# a\nflood_secs: 0\n"), "line 2: flood_secs must be at least 1");
        assert_eq!(error("bad_ips:\n  - 10.0.0.1\n  - 10.0.0.300\n"), "line 3: \"10.0.0.300\" of bad_ips is no address or network");
        assert!(error("beacon_jitter: .nan").contains("line 1"));
        assert_eq!(Settings::parse("# nothing\n\n"), Ok(Settings::default()));
        assert_eq!(Settings::parse("scan_ports: 3").map(|s| (s.scan_ports, s.scan_hosts)), Ok((3, 25)));
    }

    #[test]
    fn networks_are_merged_and_found() {
        let networks = Networks::of(&["10.0.0.0/8", "10.1.0.0/16", "192.0.2.7", "2001:db8::/32", "11.0.0.0/8"].map(str::to_owned));
        assert_eq!(networks.ranges.len(), 3);
        for (ip, inside) in [("10.255.0.1", true), ("11.255.255.255", true), ("12.0.0.0", false), ("192.0.2.7", true), ("192.0.2.8", false), ("2001:db8:1::", true), ("2001:db9::", false), ("9.255.255.255", false)] {
            assert_eq!(networks.contains(ip.parse().unwrap()), inside, "{ip}");
        }
    }
}
