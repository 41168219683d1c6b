//! Sets of networks, asked once for every request.

use ahash::RandomState;
use ipnet::IpNet;
use std::collections::HashMap;
use std::net::IpAddr;

/// Networks with a value each. An address is looked up once for each prefix length in use, of which there are few,
/// longest first; so a lookup costs the same for ten networks and for a hundred thousand.
#[derive(Debug, Clone)]
pub struct Networks<T> {
    /// By prefix length, longest first. IPv4 keys are the address in the upper bits' place of its own family.
    v4: Vec<(u8, HashMap<u32, T, RandomState>)>,
    v6: Vec<(u8, HashMap<u128, T, RandomState>)>,
}

impl<T> Default for Networks<T> {
    fn default() -> Self {
        Self { v4: Vec::new(), v6: Vec::new() }
    }
}

/// A network, or an address as the network of one. An IPv4 address in IPv6's clothes is the IPv4 address.
pub fn parse(text: &str) -> Option<IpNet> {
    let text = text.trim();
    let net = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(|ip| IpNet::from(ip.to_canonical())))?;
    match net {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => {
            let mapped = v6.addr().to_ipv4_mapped().and_then(|ip| ipnet::Ipv4Net::new(ip, v6.prefix_len() - 96).ok());
            Some(mapped.map_or(net, IpNet::V4).trunc())
        }
        _ => Some(net.trunc()),
    }
}

impl<T> Networks<T> {
    /// Puts the value in place of an earlier one of the same network, or lets `merge` make one of both.
    pub fn insert(&mut self, net: IpNet, value: T, merge: impl FnOnce(&mut T, T)) {
        match net {
            IpNet::V4(net) => put(&mut self.v4, net.prefix_len(), net.network().into(), value, merge),
            IpNet::V6(net) => put(&mut self.v6, net.prefix_len(), net.network().into(), value, merge),
        }
    }

    /// The values of the networks that hold the address, longest prefix first.
    pub fn all(&self, ip: IpAddr) -> impl Iterator<Item = &T> {
        let (v4, v6) = match ip.to_canonical() {
            IpAddr::V4(ip) => (Some(u32::from(ip)), None),
            IpAddr::V6(ip) => (None, Some(u128::from(ip))),
        };
        let of_v4 = v4.into_iter().flat_map(|ip| self.v4.iter().filter_map(move |(len, map)| map.get(&(ip & mask32(*len)))));
        let of_v6 = v6.into_iter().flat_map(|ip| self.v6.iter().filter_map(move |(len, map)| map.get(&(ip & mask128(*len)))));
        of_v4.chain(of_v6)
    }

    pub fn contains(&self, ip: IpAddr) -> bool {
        self.all(ip).next().is_some()
    }

    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

fn put<K: Eq + std::hash::Hash, T>(levels: &mut Vec<(u8, HashMap<K, T, RandomState>)>, len: u8, key: K, value: T, merge: impl FnOnce(&mut T, T)) {
    let at = levels.partition_point(|(other, _)| *other > len);
    if levels.get(at).is_none_or(|(other, _)| *other != len) {
        levels.insert(at, (len, HashMap::with_hasher(RandomState::new())));
    }
    match levels[at].1.entry(key) {
        std::collections::hash_map::Entry::Occupied(mut old) => merge(old.get_mut(), value),
        std::collections::hash_map::Entry::Vacant(place) => {
            place.insert(value);
        }
    }
}

fn mask32(len: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0)
}

fn mask128(len: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_network_comes_first() {
        let mut set = Networks::default();
        for (text, value) in [("10.0.0.0/8", 1), ("10.1.2.3", 2), ("0.0.0.0/0", 3), ("2001:db8::/32", 4), ("::ffff:192.0.2.0/120", 5)] {
            set.insert(parse(text).unwrap(), value, |old, new| *old = new);
        }
        let of = |ip: &str| set.all(ip.parse().unwrap()).copied().collect::<Vec<_>>();
        assert_eq!(of("10.1.2.3"), [2, 1, 3]);
        assert_eq!(of("::ffff:10.9.9.9"), [1, 3]);
        assert_eq!(of("192.0.2.77"), [5, 3]);
        assert_eq!((of("2001:db8::1"), of("2001:db9::1")), (vec![4], vec![]));
        for text in ["", "10.0.0.0/33", "x", "1.2.3"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
