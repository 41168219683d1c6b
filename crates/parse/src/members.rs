//! Reading members of a JSON object by the names that senders use for them.

use compact_str::CompactString;
use event::{Location, Map, Value};

/// The first member of these names that holds a non-empty scalar. A name with dots also finds nested
/// members (`source.ip` in `{"source":{"ip":…}}`).
pub(crate) fn first<'a>(map: &'a Map, names: &[&str]) -> Option<&'a Value> {
    // Most objects are flat, and then a name with dots is not worth splitting.
    let deep = map.iter().any(|(_, value)| matches!(value, Value::Map(_)));
    if map.is_empty() {
        return None;
    }
    names.iter().find_map(|name| {
        let value = match map.get(name) {
            Some(value) => value,
            None if !deep => return None,
            None => nested(map, name)?,
        };
        // Header values may be lists; the first is the one that counts.
        let value = match value {
            Value::List(list) if list.len() == 1 => &list[0],
            value => value,
        };
        let scalar = !matches!(value, Value::Null | Value::List(_) | Value::Map(_));
        (scalar && value.as_str() != Some("")).then_some(value)
    })
}

fn nested<'a>(map: &'a Map, name: &str) -> Option<&'a Value> {
    let (head, rest) = name.split_once('.')?;
    let inner = map.get(head)?.as_map()?;
    inner.get(rest).or_else(|| nested(inner, rest))
}

/// As [`first`], as text.
pub(crate) fn text(map: &Map, names: &[&str]) -> Option<CompactString> {
    as_text(first(map, names)?)
}

pub(crate) fn as_text(value: &Value) -> Option<CompactString> {
    match value {
        Value::Text(text) => Some(text.clone()),
        value => value.text().map(CompactString::from),
    }
}

/// Adds a member unless the log had one of that name.
pub(crate) fn add(map: &mut Map, key: &str, value: impl Into<Value>) {
    if map.get(key).is_none() {
        map.push(key, value);
    }
}

/// Objects that senders put a source's location into: ECS, OCSF, Logstash, Okta, and by themselves.
const PLACES: &[&str] =
    &["source.geo", "client.geo", "src_endpoint.location", "geoip", "client.geographicalContext", "geo", "location"];

/// Where the source is, by the sender's word; empty unless it names both coordinates.
pub(crate) fn location(map: &Map) -> Location {
    let read = |place: &str| {
        let under = |names: &[&str]| names.iter().find_map(|name| first(map, &[&format!("{place}.{name}")]));
        let degrees = |names: &[&str], most: f64| under(names).and_then(Value::as_f64).filter(|d| d.abs() <= most);
        Some(Location {
            lat: Some(degrees(&["location.lat", "lat", "latitude", "geolocation.lat"], 90.0)?),
            long: Some(degrees(&["location.lon", "lon", "long", "lng", "longitude", "geolocation.lon"], 180.0)?),
            country: under(&["country_iso_code", "country_code", "country_code2", "country"]).and_then(as_text),
            city: under(&["city_name", "city"]).and_then(as_text),
        })
    };
    PLACES.iter().filter(|place| map.get(place.split('.').next().unwrap_or(place)).is_some()).find_map(|place| read(place)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_senders_write_them() {
        let read = |text: &str| match Value::from_json(text.as_bytes()) {
            Ok((Value::Map(map), _)) => location(&map),
            other => panic!("{other:?}"),
        };
        for text in [
            r#"{"source":{"geo":{"location":{"lat":52.5,"lon":13.4},"country_iso_code":"DE","city_name":"Berlin"}}}"#,
            r#"{"src_endpoint":{"location":{"lat":52.5,"long":13.4,"country":"DE","city":"Berlin"}}}"#,
            r#"{"geoip":{"latitude":52.5,"longitude":"13.4","country_code2":"DE","city_name":"Berlin"}}"#,
            r#"{"client":{"geographicalContext":{"geolocation":{"lat":52.5,"lon":13.4},"country":"DE","city":"Berlin"}}}"#,
        ] {
            let Location { country, city, lat, long } = read(text);
            assert_eq!((lat, long), (Some(52.5), Some(13.4)), "{text}");
            assert_eq!((country.as_deref(), city.as_deref()), (Some("DE"), Some("Berlin")), "{text}");
        }
        for text in [r#"{"geo":{"lat":152.5,"lon":13.4}}"#, r#"{"geo":{"lat":52.5}}"#, r#"{"geo":"here"}"#, "{}"] {
            assert_eq!(read(text), Location::default(), "{text}");
        }
    }
}
