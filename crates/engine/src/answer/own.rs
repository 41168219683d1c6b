//! What belongs to this machine: its addresses, its gateways, its name servers. Keeping one of them out would cut the
//! platform off, so they are trusted, as they are at the moment.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Lines of a file of the kernel that are looked at.
const LINES_MAX: usize = 100_000;

/// With what each is.
pub fn addresses() -> Vec<(IpNet, &'static str)> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let own4 = local_v4(&read("/proc/net/fib_trie"));
    let own6 = local_v6(&read("/proc/net/if_inet6"));
    let gateways = gateways(&read("/proc/net/route"));
    let servers = name_servers(&read("/etc/resolv.conf"));
    let named = |list: Vec<IpAddr>, what| list.into_iter().map(move |ip| (IpNet::from(ip), what));
    let mut all: Vec<_> = named(own4, "this machine").chain(named(own6, "this machine")).chain(named(gateways, "its gateway")).chain(named(servers, "its name server")).collect();
    all.sort();
    all.dedup_by_key(|(net, _)| *net);
    all
}

/// The addresses that the kernel's routing table calls local.
fn local_v4(text: &str) -> Vec<IpAddr> {
    let (mut found, mut last) = (Vec::new(), None);
    for line in text.lines().take(LINES_MAX) {
        if let Some((_, address)) = line.split_once("|-- ") {
            last = address.trim().parse::<Ipv4Addr>().ok();
        } else if line.contains("/32 host LOCAL") {
            found.extend(last.map(IpAddr::V4));
        }
    }
    found
}

fn local_v6(text: &str) -> Vec<IpAddr> {
    let parse = |line: &str| u128::from_str_radix(line.split_whitespace().next()?, 16).ok().map(|bits| IpAddr::V6(Ipv6Addr::from(bits)));
    text.lines().take(LINES_MAX).filter_map(parse).collect()
}

/// The third column, in the byte order of the machine.
fn gateways(text: &str) -> Vec<IpAddr> {
    let parse = |line: &str| u32::from_str_radix(line.split_whitespace().nth(2)?, 16).ok().filter(|bits| *bits != 0).map(|bits| IpAddr::from(bits.to_ne_bytes()));
    text.lines().skip(1).take(LINES_MAX).filter_map(parse).collect()
}

fn name_servers(text: &str) -> Vec<IpAddr> {
    let parse = |line: &str| line.trim().strip_prefix("nameserver")?.trim().parse().ok();
    text.lines().take(LINES_MAX).filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_writes_is_read() {
        let trie = "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 192.0.2.5\n        /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\n     |-- 10.0.0.1\n        /32 host LOCAL\n";
        assert_eq!(local_v4(trie), ["192.0.2.5".parse::<IpAddr>().unwrap(), "10.0.0.1".parse().unwrap()]);
        assert_eq!(local_v6("20010db8000000000000000000000001 02 40 00 80 eth0\n"), ["2001:db8::1".parse::<IpAddr>().unwrap()]);
        let route = format!("Iface\tDestination\tGateway\neth0\t00000000\t{:08X}\t0003\neth0\t0000A8C0\t00000000\t0001\n", u32::from_ne_bytes([192, 0, 2, 1]));
        assert_eq!(gateways(&route), ["192.0.2.1".parse::<IpAddr>().unwrap()]);
        assert_eq!(name_servers("# x\nnameserver 9.9.9.9\noptions edns0\n"), ["9.9.9.9".parse::<IpAddr>().unwrap()]);
    }
}
