//! Where on Earth an event came from, and whether its address says anything about where a person is.

use crate::correlate::EventSummary;
use compact_str::CompactString;
use event::Timestamp;
use serde::{Deserialize, Serialize};

/// Mean radius of the WGS84 ellipsoid, kilometres (IUGG's R1 = (2a + b) / 3).
const EARTH_RADIUS_KM: f64 = 6_371.008_8;
/// Cells of half a degree, at most 56 km wide: databases place one provider's addresses of one town within it.
const CELLS_PER_DEGREE: f64 = 2.0;

/// Words in the names of networks whose addresses are data centres, hosting, VPN or relay services: the person
/// behind such an address is anywhere. In lower case; each is searched as a part of the owner's name.
const NOWHERE: &[&str] = &[
    "akamai", "alibaba", "amazon", "anexia", "azure", "choopa", "clouvider", "cloudflare",
    "colocation", "colo ", "contabo", "datacamp", "data center", "data centre", "datacenter", "dedicated",
    "digitalocean", "digital ocean", "expressvpn", "fastly", "google", "hetzner", "host ", "hosting", "hostinger",
    "hostroyale", "huawei cloud", "ionos", "latitude.sh", "leaseweb", "limestone", "linode", "m247", "microsoft", "mullvad",
    "netskope", "nordvpn", "oracle", "ovh", "packethub", "palo alto networks", "private internet access", "privatelayer",
    "proton", "proxy", "quadranet", "quintex", "scaleway", "server", "surfshark", "tefincom", "tencent", "tor exit",
    "tzulo", "vpn", "vps", "vultr", "webair", "worldstream", "zenlayer", "zscaler",
];

/// A place on Earth and the network that it was seen in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub lat: f64,
    pub long: f64,
    pub country: CompactString,
    pub city: Option<CompactString>,
    pub network: Option<(i64, CompactString)>,
    pub ip: CompactString,
}

/// Network and cell: equal for the addresses that one connection has over time.
pub(crate) type PlaceKey = (i64, i32, i32);

impl Place {
    /// `None` where the event has no usable coordinates.
    pub(crate) fn of(summary: &EventSummary) -> Option<Self> {
        let (lat, long, country) = summary.place.clone()?;
        // (0, 0) is how databases write "unknown".
        let known = lat.abs() <= 90.0 && long.abs() <= 180.0 && (lat != 0.0 || long != 0.0);
        known.then(|| Self {
            lat,
            long,
            country,
            city: summary.city.clone(),
            network: summary.network.clone(),
            ip: summary.source_ip.clone().unwrap_or_default(),
        })
    }

    pub(crate) fn key(&self) -> PlaceKey {
        let cell = |degrees: f64| (degrees * CELLS_PER_DEGREE).round() as i32;
        (self.network.as_ref().map_or(0, |(number, _)| *number), cell(self.lat), cell(self.long))
    }

    /// `Berlin, DE`; the coordinates where the database names no town.
    pub(crate) fn name(&self) -> String {
        match (&self.city, self.country.is_empty()) {
            (Some(city), false) => format!("{city}, {}", self.country),
            (Some(city), true) => city.to_string(),
            (None, false) => self.country.to_string(),
            (None, true) => format!("{:.1}, {:.1}", self.lat, self.long),
        }
    }
}

/// Great-circle distance in kilometres by the haversine formula, which is exact enough at small distances too
/// (R. W. Sinnott, "Virtues of the Haversine", Sky and Telescope 68/2, 1984). The sphere is off by at most 0.6 %.
pub(crate) fn distance_km(a: &Place, b: &Place) -> f64 {
    let (lat_a, lat_b) = (a.lat.to_radians(), b.lat.to_radians());
    let half_lat = ((lat_b - lat_a) / 2.0).sin();
    let half_long = ((b.long - a.long).to_radians() / 2.0).sin();
    let h = half_lat * half_lat + lat_a.cos() * lat_b.cos() * half_long * half_long;
    2.0 * EARTH_RADIUS_KM * h.clamp(0.0, 1.0).sqrt().asin()
}

/// Speed in km/h; times are exact to the second at best, so no journey is shorter than one.
pub(crate) fn speed_kmh(distance_km: f64, from: Timestamp, to: Timestamp) -> f64 {
    let secs = ((to.0 - from.0) as f64 / 1e6).abs().max(1.0);
    distance_km * 3_600.0 / secs
}

/// Whether a network's owner sells machines, tunnels or relays.
pub(crate) fn is_nowhere(owner: &str) -> bool {
    let owner = owner.to_lowercase();
    NOWHERE.iter().any(|word| owner.contains(word))
}

/// `14200` as `14,200`.
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{:.0}", number.max(0.0));
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn at(lat: f64, long: f64) -> Place {
        Place { lat, long, country: "".into(), city: None, network: None, ip: "".into() }
    }

    #[test]
    fn distances_are_those_of_the_great_circle() {
        let near = |a: Place, b: Place, km: f64| {
            let got = distance_km(&a, &b);
            assert!((got - km).abs() <= km * 0.006 + 0.01, "{got} {km}");
        };
        // Published distances on the ellipsoid: Berlin-Lagos, London-New York, one degree on the equator.
        near(at(52.52, 13.405), at(6.455, 3.394), 5_200.0);
        near(at(51.5074, -0.1278), at(40.7128, -74.006), 5_585.0);
        near(at(0.0, 0.5), at(0.0, 1.5), 111.195);
        near(at(0.0, 179.5), at(0.0, -179.5), 111.195);
        near(at(90.0, 0.0), at(-90.0, 0.0), 20_015.1);
        near(at(10.0, 10.0), at(10.0, 10.0), 0.0);
        near(at(1.0, 1.0), at(-1.0, -179.0), 20_015.1);
    }

    #[test]
    fn networks_of_machines_are_nowhere() {
        for owner in ["AMAZON-02", "Hetzner Online GmbH", "OVH SAS", "M247 Europe SRL", "Google LLC", "Cloudflare, Inc."] {
            assert!(is_nowhere(owner), "{owner}");
        }
        for owner in ["Deutsche Telekom AG", "MTN Nigeria", "Vodafone Ltd", "Comcast Cable", "Orange S.A.", ""] {
            assert!(!is_nowhere(owner), "{owner}");
        }
    }

    #[test]
    fn numbers_are_read_in_threes() {
        assert_eq!([0.0, 999.4, 14_200.0, 1_234_567.0].map(thousands), ["0", "999", "14,200", "1,234,567"]);
    }
}
