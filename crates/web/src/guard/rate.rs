//! Limits of requests by client, with the time as an argument.

use super::RateLimit;
use crate::Timestamp;
use ahash::RandomState;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// Clients of one generation; two are kept.
pub const CLIENTS_MAX: usize = 50_000;

/// A token bucket: it holds a window's requests and refills evenly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    tokens: f64,
    at: Timestamp,
}

impl Bucket {
    pub fn full(limit: RateLimit, now: Timestamp) -> Self {
        Self { tokens: f64::from(limit.requests), at: now }
    }

    /// Takes a token, or tells after how many seconds there is one. A clock that went back refills nothing.
    pub fn take(&mut self, limit: RateLimit, now: Timestamp) -> Result<(), u64> {
        let per_sec = f64::from(limit.requests) / f64::from(limit.per_secs.max(1));
        let passed = now.micros().saturating_sub(self.at.micros()).max(0) as f64 / 1e6;
        self.tokens = (self.tokens + passed * per_sec).min(f64::from(limit.requests));
        self.at = self.at.max(now);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(((1.0 - self.tokens) / per_sec).ceil().max(1.0) as u64)
    }
}

/// A bucket for each client: an IPv4 address, or an IPv6 network of 64 bits, which one household or machine has.
/// When a generation of [`CLIENTS_MAX`] is full, the one before it is forgotten; a flood of addresses can make
/// the limit forget, never make the memory grow.
#[derive(Debug, Clone, Default)]
pub struct Rates {
    young: HashMap<IpAddr, Bucket, RandomState>,
    old: HashMap<IpAddr, Bucket, RandomState>,
}

impl Rates {
    /// Counts a request; an error holds the seconds to wait. A limit of 0 requests is none.
    pub fn take(&mut self, limit: RateLimit, ip: IpAddr, now: Timestamp) -> Result<(), u64> {
        if limit.requests == 0 {
            return Ok(());
        }
        let client = client(ip);
        if !self.young.contains_key(&client) {
            if self.young.len() >= CLIENTS_MAX {
                self.old = std::mem::take(&mut self.young);
            }
            let bucket = self.old.remove(&client).unwrap_or_else(|| Bucket::full(limit, now));
            self.young.insert(client, bucket);
        }
        self.young.get_mut(&client).map_or(Ok(()), |bucket| bucket.take(limit, now))
    }

    pub fn clients(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

fn client(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) >> 64 << 64)),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RateLimit = RateLimit { requests: 3, per_secs: 60 };

    #[test]
    fn a_window_may_be_spent_at_once_and_refills() {
        let mut rates = Rates::default();
        let ip = "2001:db8::1".parse().unwrap();
        let neighbour = "2001:db8::2".parse().unwrap();
        let mut at = |ip, secs| rates.take(LIMIT, ip, Timestamp::from_secs(secs));
        assert_eq!((at(ip, 0), at(neighbour, 0), at(ip, 0)), (Ok(()), Ok(()), Ok(())));
        assert_eq!(at(ip, 0), Err(20));
        assert_eq!(at(ip, 10), Err(10));
        assert_eq!(at("192.0.2.1".parse().unwrap(), 10), Ok(()));
        assert_eq!((at(ip, 20), at(ip, 5)), (Ok(()), Err(20)));
        let none = RateLimit { requests: 0, per_secs: 60 };
        assert_eq!(rates.take(none, ip, Timestamp::from_secs(0)), Ok(()));
    }

    #[test]
    fn a_flood_of_addresses_stays_within_its_bound() {
        let mut rates = Rates::default();
        for i in 0..3 * CLIENTS_MAX as u32 {
            rates.take(LIMIT, IpAddr::from(i.to_be_bytes()), Timestamp::from_secs(0)).unwrap();
        }
        assert!(rates.clients() <= 2 * CLIENTS_MAX);
    }
}
