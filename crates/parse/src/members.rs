//! Reading members of a JSON object by the names that senders use for them.

use compact_str::CompactString;
use event::{Map, Value};

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
