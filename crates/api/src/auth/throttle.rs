use event::Timestamp;
use parking_lot::Mutex;
use std::net::IpAddr;

/// Failures that are allowed in a window, for one user from one address …
const PAIR_FAILURES_MAX: u32 = 10;
/// … and for one address whatever the user.
const ADDRESS_FAILURES_MAX: u32 = 50;
const WINDOW_SECS: i64 = 300;
const ENTRIES_MAX: usize = 10_000;

#[derive(Clone, Copy)]
struct Window {
    until: Timestamp,
    failures: u32,
}

/// Counts failed logins, per address and user and per address. Bounded: when it is full, the windows that
/// end soonest make room.
pub struct Throttle(Mutex<ahash::AHashMap<(IpAddr, String), Window>>);

impl Throttle {
    pub fn new() -> Self {
        Self(Mutex::default())
    }

    /// Asks before the password is looked at; `Err` holds the seconds to wait.
    pub fn check(&self, address: IpAddr, user: &str, now: Timestamp) -> Result<(), u64> {
        let map = self.0.lock();
        let address = block(address);
        let over = |key: &(IpAddr, String), max: u32| {
            map.get(key).filter(|w| w.until > now && w.failures >= max).map(|w| w.until)
        };
        let until = over(&(address, named(user)), PAIR_FAILURES_MAX).max(over(&(address, String::new()), ADDRESS_FAILURES_MAX));
        match until {
            Some(until) => Err(((until.0 - now.0) / 1_000_000 + 1) as u64),
            None => Ok(()),
        }
    }

    pub fn failed(&self, address: IpAddr, user: &str, now: Timestamp) {
        let address = block(address);
        let mut map = self.0.lock();
        for key in [(address, named(user)), (address, String::new())] {
            make_room(&mut map, now);
            let window = map.entry(key).or_insert(Window { until: now, failures: 0 });
            if window.until <= now {
                *window = Window { until: now.plus_secs(WINDOW_SECS), failures: 0 };
            }
            window.failures += 1;
        }
    }

    pub fn succeeded(&self, address: IpAddr, user: &str) {
        self.0.lock().remove(&(block(address), named(user)));
    }
}

/// The empty name stands for the address as a whole.
fn named(user: &str) -> String {
    format!("u:{}", user.chars().take(64).collect::<String>().to_lowercase())
}

/// A host has a whole /64 of IPv6.
fn block(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}

fn make_room(map: &mut ahash::AHashMap<(IpAddr, String), Window>, now: Timestamp) {
    if map.len() < ENTRIES_MAX {
        return;
    }
    map.retain(|_, w| w.until > now);
    if map.len() >= ENTRIES_MAX {
        let mut ends: Vec<Timestamp> = map.values().map(|w| w.until).collect();
        let (_, middle, _) = ends.select_nth_unstable(ENTRIES_MAX / 10);
        let soonest = *middle;
        map.retain(|_, w| w.until > soonest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_failures_close_the_door_for_the_pair_until_the_window_ends() {
        let throttle = Throttle::new();
        let (here, there) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let now = Timestamp::from_secs(1000);
        for _ in 0..PAIR_FAILURES_MAX {
            assert_eq!(throttle.check(here, "alice", now), Ok(()));
            throttle.failed(here, "alice", now);
        }
        assert_eq!(throttle.check(here, "Alice", now), Err(301));
        assert_eq!(throttle.check(here, "bob", now), Ok(()));
        assert_eq!(throttle.check(there, "alice", now), Ok(()));
        assert_eq!(throttle.check(here, "alice", now.plus_secs(301)), Ok(()));
    }

    #[test]
    fn spraying_many_users_closes_the_door_for_the_address() {
        let throttle = Throttle::new();
        let here = "2001:db8::1".parse().unwrap();
        let now = Timestamp::from_secs(1000);
        for i in 0..ADDRESS_FAILURES_MAX {
            throttle.failed(here, &i.to_string(), now);
        }
        assert!(throttle.check("2001:db8::ffff".parse().unwrap(), "new", now).is_err());
        assert!(throttle.check("2001:db8:0:1::1".parse().unwrap(), "new", now).is_ok());
    }

    #[test]
    fn the_map_is_bounded() {
        let throttle = Throttle::new();
        for i in 0..30_000u32 {
            throttle.failed(IpAddr::V4(i.into()), "x", Timestamp::from_secs(i64::from(i / 1000)));
        }
        assert!(throttle.0.lock().len() <= ENTRIES_MAX + 1);
    }
}
