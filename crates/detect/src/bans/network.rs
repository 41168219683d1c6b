//! Networks as people and logs write them.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::IpAddr;

/// What one IPv6 address stands for: RFC 6177 gives each site at least this much.
const IPV6_SUBJECT_BITS: u8 = 64;
/// The widest networks that can be banned: whoever means more than a regional registry's block has mistyped.
const IPV4_BITS_MIN: u8 = 8;
const IPV6_BITS_MIN: u8 = 19;

/// What is never kept out, and why, whatever anybody configures.
pub const ALWAYS_TRUSTED: &[(&str, &str)] = &[
    ("0.0.0.0/8", "this network"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link-local"),
    ("224.0.0.0/4", "multicast"),
    ("255.255.255.255/32", "broadcast"),
    ("::/64", "loopback and the unspecified address"),
    ("fe80::/10", "link-local"),
    ("ff00::/8", "multicast"),
];

/// Why a text is no network that can be banned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    #[error("{0:?} is no address and no network: write 203.0.113.7, 203.0.113.0/24 or 2001:db8::/48")]
    Unreadable(String),
    #[error("{0} is wider than anything that is banned: /{IPV4_BITS_MIN} for IPv4 and /{IPV6_BITS_MIN} for IPv6 are the most")]
    TooWide(IpNet),
}

/// Reads what is to be banned: host bits are cleared, an IPv4 address in IPv6's clothes is one of IPv4, and IPv6
/// below /64 becomes the /64.
pub fn network(text: &str) -> Result<IpNet, NetworkError> {
    let net = match trusted_network(text)? {
        IpNet::V6(net) if net.prefix_len() > IPV6_SUBJECT_BITS => v6(net.addr().into(), IPV6_SUBJECT_BITS),
        net => net,
    };
    let bits_min = if net.addr().is_ipv4() { IPV4_BITS_MIN } else { IPV6_BITS_MIN };
    if net.prefix_len() < bits_min {
        return Err(NetworkError::TooWide(net));
    }
    Ok(net)
}

/// Reads what is to be trusted: any address or network, as exactly as it is written.
pub fn trusted_network(text: &str) -> Result<IpNet, NetworkError> {
    let text = text.trim();
    let unreadable = || NetworkError::Unreadable(text.chars().take(64).collect());
    let net = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse::<IpNet>().map_err(|_| unreadable())?,
    };
    Ok(match net.trunc() {
        IpNet::V6(net) if net.prefix_len() >= 96 => match net.addr().to_ipv4_mapped() {
            Some(address) => IpNet::V4(Ipv4Net::new(address, net.prefix_len() - 96).map_err(|_| unreadable())?),
            None => IpNet::V6(net),
        },
        net => net,
    })
}

/// What is banned when this address is.
pub fn subject(address: IpAddr) -> IpNet {
    match address.to_canonical() {
        IpAddr::V4(address) => IpNet::from(IpAddr::V4(address)),
        IpAddr::V6(address) => v6(address.into(), IPV6_SUBJECT_BITS),
    }
}

fn v6(bits: u128, length: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(bits.into(), length).trunc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(text: &str, as_: &str) {
        assert_eq!(network(text).map(|n| n.to_string()), Ok(as_.to_owned()), "{text}");
    }

    #[test]
    fn what_people_write_is_read_and_ipv6_is_widened() {
        reads(" 203.0.113.7 ", "203.0.113.7/32");
        reads("203.0.113.7/24", "203.0.113.0/24");
        reads("::ffff:203.0.113.7", "203.0.113.7/32");
        reads("::ffff:203.0.113.0/120", "203.0.113.0/24");
        reads("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64");
        reads("2001:db8:1:2:3:4:5:6/112", "2001:db8:1:2::/64");
        reads("2001:db8::/32", "2001:db8::/32");
        assert_eq!(trusted_network("2001:db8::1").unwrap().to_string(), "2001:db8::1/128");
        assert_eq!(subject("2001:db8::1".parse().unwrap()).to_string(), "2001:db8::/64");
        assert_eq!(subject("::ffff:192.0.2.1".parse().unwrap()).to_string(), "192.0.2.1/32");
    }

    #[test]
    fn what_is_no_network_or_half_the_world_is_refused() {
        for text in ["", "x", "203.0.113", "203.0.113.7/33", "fe80::1%eth0", "1.2.3.4 5.6.7.8", "0x7f.1"] {
            assert!(matches!(network(text), Err(NetworkError::Unreadable(_))), "{text}");
        }
        for text in ["0.0.0.0/0", "10.0.0.0/7", "::/0", "2000::/3", "::ffff:0:0/96"] {
            assert!(matches!(network(text), Err(NetworkError::TooWide(_))), "{text}");
        }
        assert!(trusted_network("10.0.0.0/7").is_ok());
    }

    #[test]
    fn what_is_always_trusted_can_be_read() {
        for (text, _) in ALWAYS_TRUSTED {
            assert_eq!(trusted_network(text).unwrap().to_string(), *text);
        }
    }
}
