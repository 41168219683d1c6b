//! Behaviour that Sigma cannot say, one file each:
//!
//! - [`travel`]: a principal in two places that no aeroplane connects (`impossible_travel`);
//! - [`hours`]: a principal at an hour that is not theirs (`off_hours`);
//! - [`rate`]: a source that asks more, or for more different things, than it used to (`rate`).
//!
//! Each is a [`crate::stateful::GroupState`] under a rule that is written as a correlation document. The
//! options of a rule are the members of its `correlation:` section beside those that all types share.
//! What a habit is learned from, and how long it takes to get used to what was told, stands with each.

pub(crate) mod hours;
pub(crate) mod place;
pub(crate) mod rate;
pub(crate) mod travel;

#[cfg(test)]
pub(crate) mod testing;

use serde::de::DeserializeOwned;

/// Members of a `correlation:` section that every type has; the framework reads them.
const SHARED: &[&str] = &["type", "rules", "group-by", "timespan", "aliases", "generate", "condition"];

/// Reads a type's own options. What is misspelt is refused: a detector with a default where the author meant
/// something else is not the one that they think they have.
pub(crate) fn options<T: DeserializeOwned>(section: &yaml_serde::Value) -> Result<T, String> {
    let mut own = yaml_serde::Mapping::new();
    for (key, value) in section.as_mapping().into_iter().flatten() {
        if !key.as_str().is_some_and(|name| SHARED.contains(&name)) {
            own.insert(key.clone(), value.clone());
        }
    }
    yaml_serde::from_value(yaml_serde::Value::Mapping(own)).map_err(|error| error.to_string())
}

/// A number within its bounds, or a message that says them.
pub(crate) fn within<T: PartialOrd + std::fmt::Display>(name: &str, value: T, low: T, high: T) -> Result<T, String> {
    if value >= low && value <= high { Ok(value) } else { Err(format!("{name} must be between {low} and {high}")) }
}

/// An event dated further ahead of its receipt than this has no believable time.
pub(crate) const FUTURE_SECS: i64 = 15 * 60;

/// How late events of this one's source may come.
pub(crate) fn lateness_secs(_part: &crate::Keyed) -> i64 {
    crate::correlate::ALLOWED_LATENESS_SECS
}
