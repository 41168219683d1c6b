//! Where simulated traffic seems to come from. The blocks are large public allocations of access networks
//! and hosting companies, so that a GeoIP database places them on a map in many countries; the host part is
//! drawn at random. They are data in log lines only: nothing is ever sent to them, and an address in a
//! simulated attack says nothing about whoever holds it.

use crate::random::Random;
use std::net::Ipv4Addr;

/// A block of addresses and the clock on its users' walls.
#[derive(Debug)]
pub(crate) struct Place {
    /// Minutes east of UTC; daylight saving is left out.
    pub offset_mins: i64,
    base: [u8; 4],
    prefix: u32,
}

impl Place {
    /// Some address of the block, never its first or last.
    pub fn address(&self, random: &mut Random) -> Ipv4Addr {
        let hosts = 1u64 << (32 - self.prefix);
        Ipv4Addr::from_bits(u32::from_be_bytes(self.base) + 1 + random.below(hosts - 2) as u32)
    }

    /// The hour of the day there, 0 to 23.
    pub fn hour(&self, time: event::Timestamp) -> i64 {
        (time.secs() + self.offset_mins * 60).rem_euclid(86_400) / 3600
    }

    /// Whether it is Monday to Friday there.
    pub fn is_weekday(&self, time: event::Timestamp) -> bool {
        // 1970-01-01 was a Thursday.
        (time.secs() + self.offset_mins * 60).div_euclid(86_400).wrapping_add(3).rem_euclid(7) < 5
    }
}

/// The country is for whoever reads the table; a GeoIP database agrees for nearly all of each block.
const fn place(_country: &str, offset_mins: i64, base: [u8; 4], prefix: u32) -> Place {
    Place { offset_mins, base, prefix }
}

/// Access networks: homes, offices, phones.
pub(crate) static ACCESS: &[Place] = &[
    place("DE", 60, [79, 192, 0, 0], 11),
    place("DE", 60, [84, 128, 0, 0], 11),
    place("FR", 60, [90, 0, 0, 0], 12),
    place("GB", 0, [86, 128, 0, 0], 11),
    place("US", -300, [73, 0, 0, 0], 9),
    place("US", -480, [98, 192, 0, 0], 11),
    place("US", -360, [99, 0, 0, 0], 12),
    place("ES", 60, [88, 0, 0, 0], 12),
    place("IT", 60, [79, 0, 0, 0], 12),
    place("SE", 60, [78, 64, 0, 0], 13),
    place("PL", 60, [83, 0, 0, 0], 12),
    place("CH", 60, [85, 0, 0, 0], 14),
    place("JP", 540, [153, 128, 0, 0], 11),
    place("KR", 540, [175, 192, 0, 0], 12),
    place("IN", 330, [122, 160, 0, 0], 13),
    place("IN", 330, [49, 32, 0, 0], 12),
    place("AU", 600, [101, 160, 0, 0], 12),
    place("CA", -300, [99, 224, 0, 0], 12),
    place("BR", -180, [177, 96, 0, 0], 12),
    place("MX", -360, [187, 128, 0, 0], 12),
    place("ZA", 120, [41, 0, 0, 0], 12),
    place("SG", 480, [116, 86, 0, 0], 16),
];

/// Hosting networks and large access networks, from which attacks are made to come.
pub(crate) static HOSTING: &[Place] = &[
    place("US", -300, [45, 33, 0, 0], 17),
    place("US", -480, [104, 131, 0, 0], 16),
    place("DE", 60, [88, 198, 0, 0], 16),
    place("FI", 120, [95, 216, 0, 0], 16),
    place("FR", 60, [62, 210, 0, 0], 16),
    place("NL", 60, [188, 166, 0, 0], 17),
    place("GB", 0, [178, 62, 0, 0], 17),
    place("SG", 480, [128, 199, 64, 0], 18),
    place("IN", 330, [139, 59, 0, 0], 18),
    place("CN", 480, [222, 186, 0, 0], 16),
    place("CN", 480, [47, 104, 0, 0], 15),
    place("HK", 480, [42, 2, 0, 0], 15),
    place("RU", 180, [92, 53, 96, 0], 19),
    place("RU", 180, [95, 24, 0, 0], 13),
    place("BR", -180, [177, 54, 144, 0], 20),
    place("VN", 420, [14, 160, 0, 0], 13),
    place("KR", 540, [211, 192, 0, 0], 13),
    place("UA", 120, [176, 36, 0, 0], 14),
    place("RO", 120, [79, 112, 0, 0], 13),
    place("JP", 540, [133, 130, 0, 0], 17),
    place("AU", 600, [1, 120, 0, 0], 13),
    place("ZA", 120, [102, 130, 112, 0], 20),
    place("TR", 180, [78, 160, 0, 0], 13),
    place("ID", 420, [36, 64, 0, 0], 13),
];

/// Addresses of the demo's threat list (documentation ranges of RFC 5737).
pub(crate) const LISTED: [Ipv4Addr; 2] = [Ipv4Addr::new(203, 0, 113, 66), Ipv4Addr::new(198, 51, 100, 23)];

/// The address an attack comes from: now and then a listed one.
pub(crate) fn hostile(random: &mut Random) -> Ipv4Addr {
    const LISTED_SHARE: f64 = 0.15;
    if random.chance(LISTED_SHARE) {
        return *random.pick(&LISTED);
    }
    random.pick(HOSTING).address(random)
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::Timestamp;

    #[test]
    fn blocks_are_aligned_and_public() {
        for place in ACCESS.iter().chain(HOSTING) {
            let base = u32::from_be_bytes(place.base);
            assert_eq!(base & ((1 << (32 - place.prefix)) - 1), 0, "{place:?}");
            let address = Ipv4Addr::from_bits(base + 1);
            assert!(!address.is_private() && !address.is_loopback() && !address.is_multicast(), "{place:?}");
        }
    }

    #[test]
    fn places_have_their_own_clock_and_week() {
        let time = Timestamp::parse("2026-11-20T23:30:00Z").unwrap();
        let (berlin, tokyo) = (&ACCESS[0], &ACCESS[12]);
        assert_eq!((berlin.hour(time), tokyo.hour(time)), (0, 8));
        // A Friday evening in UTC is Saturday in both.
        assert!(!berlin.is_weekday(time) && !tokyo.is_weekday(time));
        assert!(berlin.is_weekday(time.plus_secs(-7200)));
    }
}
