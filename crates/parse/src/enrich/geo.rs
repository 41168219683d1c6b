//! Location and autonomous system from MMDB files, in either of two layouts: MaxMind's GeoLite2 (nested,
//! with names per language) and ip-location-db's (flat: `country_code`, `city`, …).

use compact_str::CompactString;
use event::{AutonomousSystem, Bytes, Endpoint, Location};
use maxminddb::{LookupResult, PathElement, Reader};
use serde::Deserialize;
use std::net::IpAddr;

pub(super) type Database = Reader<Bytes>;
type Found<'a> = LookupResult<'a, Bytes>;

pub(super) fn open(bytes: Option<Bytes>, name: &str, meaning: &str, notices: &mut Vec<String>) -> Option<Database> {
    let Some(bytes) = bytes else {
        notices.push(format!("no GeoIP {name} database: {meaning}; run `make geoip`, or set geoip.city or geoip.asn to an MMDB file"));
        return None;
    };
    match Reader::from_source(bytes) {
        Ok(database) => Some(database),
        Err(error) => {
            notices.push(format!("the GeoIP {name} database is unreadable ({error}): {meaning}; fetch it again"));
            None
        }
    }
}

pub(super) fn fill(endpoint: &mut Endpoint, city: Option<&Database>, asn: Option<&Database>) {
    let Some(ip) = endpoint.ip.as_deref().and_then(|text| text.parse().ok()).filter(is_public) else { return };
    if let Some(found) = city.and_then(|database| database.lookup(ip).ok())
        && endpoint.location == Location::default()
    {
        endpoint.location = location(&found);
    }
    if let Some(found) = asn.and_then(|database| database.lookup(ip).ok())
        && endpoint.autonomous_system == AutonomousSystem::default()
    {
        endpoint.autonomous_system = autonomous_system(&found);
    }
}

/// Whether an address can be anywhere in the world: not private, local, shared, multicast or reserved
/// (RFC 6890). Documentation networks pass: tests and demos use them, and no database lists them.
fn is_public(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            !(a == 0 || a >= 224 || shared || v4.is_private() || v4.is_loopback() || v4.is_link_local())
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback() || v6.is_unspecified() || v6.is_multicast() || v6.is_unique_local() || v6.is_unicast_link_local())
        }
    }
}

fn location(found: &Found<'_>) -> Location {
    Location {
        country: text(found, &["country", "iso_code"])
            .or_else(|| text(found, &["country_code"]))
            .or_else(|| text(found, &["registered_country", "iso_code"])),
        city: text(found, &["city", "names", "en"]).or_else(|| text(found, &["city"])),
        lat: number(found, "latitude"),
        long: number(found, "longitude"),
    }
}

fn autonomous_system(found: &Found<'_>) -> AutonomousSystem {
    AutonomousSystem {
        number: at::<i64>(found, &["autonomous_system_number"]),
        name: text(found, &["autonomous_system_organization"]),
    }
}

/// The member at a path; a member of another type counts as absent, the layouts differ.
fn at<'a, T: Deserialize<'a>>(found: &Found<'a>, path: &[&str]) -> Option<T> {
    let mut keys = [PathElement::Index(0), PathElement::Index(0), PathElement::Index(0)];
    for (key, name) in keys.iter_mut().zip(path) {
        *key = PathElement::Key(name);
    }
    found.decode_path(keys.get(..path.len())?).ok().flatten()
}

fn text(found: &Found<'_>, path: &[&str]) -> Option<CompactString> {
    at::<&str>(found, path).filter(|text| !text.is_empty()).map(CompactString::from)
}

fn number(found: &Found<'_>, name: &str) -> Option<f64> {
    at::<f64>(found, &["location", name])
        .or_else(|| at::<f64>(found, &[name]))
        // DB-IP's files hold 32-bit floats, which the reader does not widen.
        .or_else(|| at::<f32>(found, &[name]).map(f64::from))
        .or_else(|| at::<&str>(found, &[name])?.parse().ok())
        .filter(|degrees| degrees.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_nowhere_are_skipped() {
        for private in ["10.0.0.1", "192.168.1.1", "127.0.0.1", "100.64.0.1", "169.254.1.1", "224.0.0.1", "0.0.0.0", "::1", "fe80::1", "fd00::1"] {
            assert!(!is_public(&private.parse().unwrap()), "{private}");
        }
        for public in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2a02:cf40::1"] {
            assert!(is_public(&public.parse().unwrap()), "{public}");
        }
    }
}
