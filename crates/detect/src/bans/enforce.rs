//! From bans and trusts to the networks that are kept out.

use super::network::ALWAYS_TRUSTED;
use super::trusted_network;
use event::Timestamp;
use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use std::collections::{BTreeSet, BinaryHeap};
use std::net::IpAddr;

/// Networks that are handed to a firewall at most. What is beyond is counted, and said.
pub const ENFORCED_MAX: usize = 200_000;

/// An active ban, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub net: IpNet,
    /// None: for good.
    pub until: Option<Timestamp>,
}

/// A network that is kept out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enforced {
    pub net: IpNet,
    pub until: Option<Timestamp>,
    /// The place of the ban that it is for: of several the one that lasts longest.
    pub ban: usize,
}

/// What is kept out: disjoint, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enforcement {
    pub networks: Vec<Enforced>,
    /// Networks beyond [`ENFORCED_MAX`].
    pub dropped: usize,
}

/// Addresses as numbers, both ends included. The two families do not mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Range {
    is_v6: bool,
    first: u128,
    last: u128,
}

impl From<IpNet> for Range {
    fn from(net: IpNet) -> Self {
        match net {
            IpNet::V4(net) => Self { is_v6: false, first: u32::from(net.network()).into(), last: u32::from(net.broadcast()).into() },
            IpNet::V6(net) => Self { is_v6: true, first: net.network().into(), last: net.broadcast().into() },
        }
    }
}

/// What is never kept out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustSet {
    /// Sorted, disjoint.
    ranges: Vec<Range>,
}

impl TrustSet {
    /// These networks, and those that always are.
    pub fn new(nets: impl IntoIterator<Item = IpNet>) -> Self {
        let always = ALWAYS_TRUSTED.iter().filter_map(|(text, _)| trusted_network(text).ok());
        let mut ranges: Vec<Range> = nets.into_iter().chain(always).map(Range::from).collect();
        ranges.sort();
        let mut merged: Vec<Range> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match merged.last_mut() {
                Some(last) if last.is_v6 == range.is_v6 && range.first <= last.last.saturating_add(1) => last.last = last.last.max(range.last),
                _ => merged.push(range),
            }
        }
        Self { ranges: merged }
    }

    /// Whether no address of it may be kept out.
    pub fn covers(&self, net: IpNet) -> bool {
        let range = Range::from(net);
        self.at(range.is_v6, range.first).is_some_and(|trust| trust.last >= range.last)
    }

    /// Whether some address of it may not be kept out.
    pub fn touches(&self, net: IpNet) -> bool {
        let range = Range::from(net);
        let next = self.ranges.partition_point(|t| (t.is_v6, t.last) < (range.is_v6, range.first));
        self.ranges.get(next).is_some_and(|t| t.is_v6 == range.is_v6 && t.first <= range.last)
    }

    pub fn holds(&self, address: IpAddr) -> bool {
        self.covers(IpNet::from(address.to_canonical()))
    }

    fn at(&self, is_v6: bool, position: u128) -> Option<&Range> {
        let next = self.ranges.partition_point(|t| (t.is_v6, t.last) < (is_v6, position));
        self.ranges.get(next).filter(|t| t.is_v6 == is_v6 && t.first <= position)
    }
}

/// A ban whose range the sweep is in; the greatest is the one that counts.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Open {
    /// For good is longest.
    until: i64,
    /// Of two that last equally long the wider one: the result has fewer parts.
    width: u128,
    ban: usize,
    last: u128,
}

/// Each address that a ban holds and no trust does, once, until the last of its bans ends. Bans that are over at
/// `now` keep nobody out.
pub fn enforce(bans: &[Standing], trusts: &TrustSet, now: Timestamp) -> Enforcement {
    let mut out = Enforcement::default();
    for is_v6 in [false, true] {
        let mut standing: Vec<(Range, usize)> = bans
            .iter()
            .enumerate()
            .filter(|(_, ban)| ban.until.is_none_or(|until| until > now))
            .map(|(place, ban)| (Range::from(ban.net), place))
            .filter(|(range, _)| range.is_v6 == is_v6)
            .collect();
        standing.sort();
        sweep(bans, &standing, trusts, is_v6, &mut out);
    }
    out
}

fn sweep(bans: &[Standing], standing: &[(Range, usize)], trusts: &TrustSet, is_v6: bool, out: &mut Enforcement) {
    let trusted: Vec<&Range> = trusts.ranges.iter().filter(|t| t.is_v6 == is_v6).collect();
    // Between two of these nothing changes.
    let ends = standing.iter().map(|(range, _)| *range).chain(trusted.iter().map(|t| **t));
    let cuts: BTreeSet<u128> = ends.flat_map(|range| [Some(range.first), range.last.checked_add(1)]).flatten().collect();
    let mut open: BinaryHeap<Open> = BinaryHeap::new();
    let mut coming = standing.iter().peekable();
    let mut pending: Option<(Range, usize)> = None;
    let mut cuts = cuts.into_iter().peekable();
    while let Some(first) = cuts.next() {
        while let Some((range, ban)) = coming.next_if(|(range, _)| range.first <= first) {
            let until = bans[*ban].until.map_or(i64::MAX, |until| until.0);
            open.push(Open { until, width: range.last - range.first, ban: *ban, last: range.last });
        }
        while open.peek().is_some_and(|top| top.last < first) {
            open.pop();
        }
        let Some(top) = open.peek().filter(|_| trusts.at(is_v6, first).is_none()) else { continue };
        let last = cuts.peek().map_or(top.last, |next| next - 1);
        match &mut pending {
            Some((range, ban)) if *ban == top.ban && range.last.checked_add(1) == Some(first) => range.last = last,
            _ => {
                if let Some((range, ban)) = pending.replace((Range { is_v6, first, last }, top.ban)) {
                    emit(range, ban, bans, out);
                }
            }
        }
    }
    if let Some((range, ban)) = pending {
        emit(range, ban, bans, out);
    }
}

/// The fewest networks that make up the range.
fn emit(range: Range, ban: usize, bans: &[Standing], out: &mut Enforcement) {
    let mut push = |net: IpNet| match out.networks.len() < ENFORCED_MAX {
        true => out.networks.push(Enforced { net, until: bans[ban].until, ban }),
        false => out.dropped += 1,
    };
    if range.is_v6 {
        Ipv6Subnets::new(range.first.into(), range.last.into(), 0).for_each(|net| push(IpNet::V6(net)));
    } else {
        let (first, last) = (range.first as u32, range.last as u32);
        Ipv4Subnets::new(first.into(), last.into(), 0).for_each(|net| push(IpNet::V4(net)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ban(net: &str, until: Option<i64>) -> Standing {
        Standing { net: net.parse().unwrap(), until: until.map(Timestamp) }
    }

    fn shown(out: &Enforcement) -> Vec<String> {
        out.networks.iter().map(|e| format!("{} {:?} {}", e.net, e.until.map(|t| t.0), e.ban)).collect()
    }

    fn trusts(nets: &[&str]) -> TrustSet {
        TrustSet::new(nets.iter().map(|net| net.parse().unwrap()))
    }

    #[test]
    fn overlaps_become_disjoint_networks_that_last_as_long_as_the_longest() {
        let bans = [ban("192.0.2.0/24", Some(10)), ban("192.0.2.128/25", Some(5)), ban("192.0.2.7/32", None), ban("198.51.100.1/32", Some(3))];
        let out = enforce(&bans, &trusts(&[]), Timestamp(4));
        let nets: Vec<String> = out.networks.iter().filter(|e| e.ban == 0).map(|e| e.net.to_string()).collect();
        assert_eq!(nets.len(), 8, "the /24 around the one address: {nets:?}");
        assert!(shown(&out).contains(&"192.0.2.7/32 None 2".to_owned()));
        assert_eq!(out.networks.len(), 9, "the shorter ban inside adds nothing and the one that is over neither");
    }

    #[test]
    fn a_trust_cuts_its_hole_and_the_edges_of_the_space_are_no_problem() {
        let out = enforce(&[ban("203.0.113.0/24", None)], &trusts(&["203.0.113.64/26"]), Timestamp(0));
        assert_eq!(shown(&out), ["203.0.113.0/26 None 0", "203.0.113.128/25 None 0"]);
        let bans = [ban("248.0.0.0/8", None), ban("ffff::/19", None)];
        let out = enforce(&bans, &trusts(&[]), Timestamp(0));
        assert!(!out.networks.iter().any(|e| e.net.contains(&"255.255.255.255".parse::<IpAddr>().unwrap())));
        assert!(!out.networks.iter().any(|e| e.net.contains(&"ff02::1".parse::<IpAddr>().unwrap())));
        assert!(enforce(&[ban("127.0.0.0/8", None), ban("::1/128", None)], &trusts(&[]), Timestamp(0)).networks.is_empty());
    }

    #[test]
    fn a_trust_set_knows_what_it_covers_and_touches() {
        let set = trusts(&["10.0.0.0/8", "10.1.0.0/16", "2001:db8::/48"]);
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        assert!(set.covers(net("10.2.0.0/16")) && set.covers(net("127.0.0.1/32")) && set.covers(net("2001:db8:0:1::/64")));
        assert!(!set.covers(net("8.0.0.0/6")) && set.touches(net("8.0.0.0/6")) && !set.touches(net("11.0.0.0/8")));
        assert!(set.touches(net("2001:db8::/32")) && !set.touches(net("2001:db9::/32")));
        assert!(set.holds("::ffff:10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn fifty_thousand_bans_are_swept_within_a_second() {
        let bans: Vec<Standing> = (0..50_000u32).map(|n| Standing { net: IpNet::from(IpAddr::from((0x0100_0000 + n * 7).to_be_bytes())), until: Some(Timestamp(i64::from(n) + 1)) }).collect();
        let began = std::time::Instant::now();
        assert_eq!(enforce(&bans, &trusts(&[]), Timestamp(0)).networks.len(), 50_000);
        assert!(began.elapsed().as_millis() < 1_000, "{:?}", began.elapsed());
    }

    /// A network inside 32 addresses of one of the families.
    fn small() -> impl Strategy<Value = IpNet> {
        (any::<bool>(), 0u8..32, 0u8..=5).prop_map(|(is_v6, host, bits)| {
            let net = if is_v6 { format!("2001:db8::{host:x}/{}", 123 + bits) } else { format!("192.0.2.{host}/{}", 27 + bits) };
            net.parse::<IpNet>().expect("a network").trunc()
        })
    }

    /// All addresses of both spaces, and one beside each.
    fn world() -> Vec<IpAddr> {
        (0..34u8).flat_map(|n| [IpAddr::from([192, 0, 2, n]), format!("2001:db8::{n:x}").parse().expect("an address")]).collect()
    }

    #[derive(Clone, Debug)]
    enum Operation {
        Ban(IpNet, Option<i64>),
        Undo(usize),
        Trust(IpNet),
        Distrust(usize),
        Wait(i64),
    }

    fn operation() -> impl Strategy<Value = Operation> {
        prop_oneof![
            4 => (small(), prop::option::of(1i64..40)).prop_map(|(net, secs)| Operation::Ban(net, secs)),
            2 => any::<usize>().prop_map(Operation::Undo),
            2 => small().prop_map(Operation::Trust),
            1 => any::<usize>().prop_map(Operation::Distrust),
            2 => (1i64..20).prop_map(Operation::Wait),
        ]
    }

    proptest! {
        /// After each step of any order of operations: an address is kept out exactly if a ban that stands holds it
        /// and no trust does, until the last such ban ends, and by one network only.
        #[test]
        fn what_is_enforced_is_what_stands_whatever_happened_before(operations in prop::collection::vec(operation(), 1..40)) {
            let (mut bans, mut trusted, mut now) = (Vec::<Standing>::new(), Vec::<IpNet>::new(), 0);
            for operation in operations {
                match operation {
                    Operation::Ban(net, secs) => bans.push(Standing { net, until: secs.map(|s| Timestamp(now + s)) }),
                    Operation::Undo(n) if !bans.is_empty() => drop(bans.remove(n % bans.len())),
                    Operation::Trust(net) => trusted.push(net),
                    Operation::Distrust(n) if !trusted.is_empty() => drop(trusted.remove(n % trusted.len())),
                    Operation::Wait(secs) => now += secs,
                    _ => {}
                }
                let out = enforce(&bans, &TrustSet::new(trusted.iter().copied()), Timestamp(now));
                for address in world() {
                    let is_trusted = trusted.iter().any(|net| net.contains(&address));
                    let holding: Vec<_> = bans.iter().filter(|b| b.net.contains(&address) && b.until.is_none_or(|t| t.0 > now)).collect();
                    let wanted = (!is_trusted && !holding.is_empty()).then(|| holding.iter().map(|b| b.until.map_or(i64::MAX, |t| t.0)).max());
                    let found: Vec<_> = out.networks.iter().filter(|e| e.net.contains(&address)).collect();
                    prop_assert!(found.len() <= 1, "{address} twice");
                    let got = found.first().map(|e| Some(e.until.map_or(i64::MAX, |t| t.0)));
                    prop_assert_eq!(got, wanted, "{} at {}", address, now);
                    if let Some(enforced) = found.first() {
                        prop_assert!(bans[enforced.ban].net.contains(&address) && bans[enforced.ban].until == enforced.until);
                    }
                }
                prop_assert!(out.networks.windows(2).all(|pair| pair[0].net < pair[1].net));
            }
        }

        #[test]
        fn a_trust_set_answers_as_its_networks_do(nets in prop::collection::vec(small(), 0..8), asked in small()) {
            let set = TrustSet::new(nets.iter().copied());
            let inside = |address: &IpAddr| nets.iter().any(|net| net.contains(address));
            let of_asked: Vec<IpAddr> = world().into_iter().filter(|a| asked.contains(a)).collect();
            prop_assert_eq!(set.covers(asked) || !of_asked.iter().all(inside), true);
            prop_assert_eq!(set.touches(asked), of_asked.iter().any(inside));
        }
    }
}
