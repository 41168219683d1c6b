//! Location, network and user agent.

use super::*;
use parse::enrich::{Databases, Enricher};

fn enriched(enricher: &Enricher, ip: &str) -> Event {
    let mut event = parse_text(&format!(r#"{{"@timestamp":"2026-11-20T10:00:00Z","src_ip":"{ip}","user_agent":"sqlmap/1.8"}}"#)).remove(0);
    enricher.enrich(&mut event);
    event
}

#[test]
fn without_databases_the_fields_stay_empty_and_a_notice_says_so() {
    let (enricher, notices) = Enricher::new(Databases::default());
    assert_eq!(notices.len(), 2);
    let event = enriched(&enricher, "81.2.69.142");
    assert_eq!(event.ocsf.src.location, event::Location::default());
    assert_eq!(event.ocsf.user_agent.name.as_deref(), Some("sqlmap"));
    assert_eq!(event.ocsf.user_agent.device.as_deref(), Some("tool"));
}

#[test]
fn an_unreadable_database_is_said_to_be() {
    let (enricher, notices) = Enricher::new(Databases { city: Some("not a database".into()), asn: Some(vec![0; 4096].into()) });
    assert_eq!(notices.len(), 2);
    assert!(notices.iter().all(|notice| notice.contains("unreadable")), "{notices:?}");
    enriched(&enricher, "81.2.69.142");
}

#[test]
fn addresses_are_located() {
    let (Some(city), Some(asn)) = (shared("detect/geo/GeoLite2-City-Test.mmdb"), shared("detect/geo/GeoLite2-ASN-Test.mmdb")) else { return };
    let (enricher, notices) = Enricher::new(Databases { city: Some(city.into()), asn: Some(asn.into()) });
    assert_eq!(notices, [""; 0]);
    let place = enriched(&enricher, "81.2.69.142").ocsf.src.location;
    assert_eq!((place.country.as_deref(), place.city.as_deref()), (Some("GB"), Some("London")));
    assert!((place.lat.unwrap() - 51.5142).abs() < 1e-6 && (place.long.unwrap() + 0.0931).abs() < 1e-6);
    let network = enriched(&enricher, "1.128.0.0").ocsf.src.autonomous_system;
    assert_eq!((network.number, network.name.as_deref()), (Some(1221), Some("Telstra Pty Ltd")));
    assert_eq!(enriched(&enricher, "192.168.1.1").ocsf.src.location, event::Location::default());
}

#[test]
fn flat_country_databases_are_read_too() {
    let Some(country) = shared("detect/geo/dbip-country-ipv4.mmdb.zst") else { return };
    let (enricher, _) = Enricher::new(Databases { city: Some(country.into()), asn: None });
    assert_eq!(enriched(&enricher, "193.99.144.80").ocsf.src.location.country.as_deref(), Some("DE"));
}
