//! Many banned addresses of one prefix become one ban of the prefix.
//!
//! The ban of the prefix stands beside those of its addresses: when it ends, or somebody takes it back, they are what
//! is left. After it was taken back only addresses that are banned later count for a new one.

use event::Timestamp;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};

/// When prefixes are banned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Growth {
    /// Distinct addresses (IPv6: /64 networks) of one prefix; 0: never.
    pub after: u32,
    /// Banned within this time.
    pub within_secs: i64,
    /// Bits of the prefix.
    pub ipv4: u8,
    pub ipv6: u8,
}

impl Default for Growth {
    fn default() -> Self {
        Self { after: 8, within_secs: 86_400, ipv4: 24, ipv6: 48 }
    }
}

/// A ban of one address, neither over nor taken back.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    pub net: IpNet,
    pub created: Timestamp,
    pub until: Option<Timestamp>,
}

/// A prefix that should be banned now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grown {
    pub net: IpNet,
    /// As long as the longest of its parts.
    pub until: Option<Timestamp>,
    /// Distinct addresses that speak for it.
    pub parts: u32,
}

/// The prefix that counts for a banned address; none for a ban that is wider than one address already.
pub fn prefix_of(net: IpNet, growth: &Growth) -> Option<IpNet> {
    let (single, bits) = if net.addr().is_ipv4() { (32, growth.ipv4) } else { (64, growth.ipv6) };
    if net.prefix_len() != single || bits >= single {
        return None;
    }
    IpNet::new(net.addr(), bits).ok().map(|net| net.trunc())
}

/// The prefixes that have earned a ban. `taken_back` says when somebody last took back a ban of a prefix, `banned`
/// whether a ban holds all of it already.
pub fn grown(
    parts: &[Part],
    growth: &Growth,
    now: Timestamp,
    taken_back: impl Fn(IpNet) -> Option<Timestamp>,
    banned: impl Fn(IpNet) -> bool,
) -> Vec<Grown> {
    if growth.after == 0 {
        return Vec::new();
    }
    let since = now.plus_secs(-growth.within_secs);
    let mut prefixes: BTreeMap<IpNet, Vec<&Part>> = BTreeMap::new();
    for part in parts.iter().filter(|part| part.created >= since) {
        if let Some(prefix) = prefix_of(part.net, growth) {
            prefixes.entry(prefix).or_default().push(part);
        }
    }
    prefixes.retain(|_, parts| parts.len() >= growth.after as usize);
    let mut found = Vec::new();
    for (net, mut parts) in prefixes {
        if let Some(judged) = taken_back(net) {
            parts.retain(|part| part.created > judged);
        }
        let distinct = parts.iter().map(|part| part.net).collect::<BTreeSet<_>>().len() as u32;
        if distinct >= growth.after && !banned(net) {
            let until = parts.iter().map(|part| part.until.map_or(i64::MAX, |t| t.0)).max().unwrap_or(i64::MAX);
            found.push(Grown { net, until: (until < i64::MAX).then_some(Timestamp(until)), parts: distinct });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROWTH: Growth = Growth { after: 3, within_secs: 100, ipv4: 24, ipv6: 48 };

    fn part(net: &str, created: i64, until: Option<i64>) -> Part {
        Part { net: net.parse().unwrap(), created: Timestamp::from_secs(created), until: until.map(Timestamp::from_secs) }
    }

    fn of(parts: &[Part], now: i64, judged: Option<i64>) -> Vec<String> {
        let found = grown(parts, &GROWTH, Timestamp::from_secs(now), |_| judged.map(Timestamp::from_secs), |_| false);
        found.iter().map(|g| format!("{} {:?} {}", g.net, g.until.map(|t| t.secs()), g.parts)).collect()
    }

    #[test]
    fn distinct_addresses_within_the_time_make_a_prefix() {
        let parts = [part("192.0.2.1/32", 1, Some(50)), part("192.0.2.2/32", 2, Some(90)), part("192.0.2.2/32", 3, Some(60)), part("198.51.100.1/32", 3, None)];
        assert!(of(&parts, 10, None).is_empty(), "two addresses are not three");
        let more = [&parts[..], &[part("192.0.2.9/32", 4, Some(20))]].concat();
        assert_eq!(of(&more, 10, None), ["192.0.2.0/24 Some(90) 3"]);
        assert!(of(&more, 102, None).is_empty(), "the first was too long ago");
        assert!(of(&more, 10, Some(1)).is_empty(), "those of before somebody took it back do not count");
        let for_good = [&more[..], &[part("192.0.2.10/32", 5, None)]].concat();
        assert_eq!(of(&for_good, 10, None), ["192.0.2.0/24 None 4"]);
        assert!(grown(&more, &GROWTH, Timestamp::from_secs(10), |_| None, |_| true).is_empty());
        assert!(grown(&more, &Growth { after: 0, ..GROWTH }, Timestamp::from_secs(10), |_| None, |_| false).is_empty());
    }

    #[test]
    fn ipv6_counts_its_64s_and_wider_bans_count_for_nothing() {
        let parts = [part("2001:db8::/64", 1, None), part("2001:db8:0:1::/64", 1, None), part("2001:db8:0:2::/64", 1, None), part("2001:db8:0:8000::/49", 1, None)];
        assert_eq!(of(&parts, 2, None), ["2001:db8::/48 None 3"]);
        let wide: Vec<Part> = (0..4).map(|n| part(&format!("192.0.2.{}/30", n * 4), 1, None)).collect();
        assert!(of(&wide, 2, None).is_empty());
    }
}
