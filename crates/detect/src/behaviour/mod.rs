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

use crate::correlate::{Head, Kind, Refused, refused};
use serde::de::DeserializeOwned;

/// Reads a type's own options. What is misspelt is refused: a detector with a default where the author meant
/// something else is not the one that they think they have.
pub(crate) fn options<T: DeserializeOwned>(section: &yaml_serde::Value) -> Result<T, String> {
    yaml_serde::from_value(section.clone()).map_err(|error| error.to_string())
}

/// A number within its bounds, or a message that says them.
pub(crate) fn within<T: PartialOrd + std::fmt::Display>(name: &str, value: T, low: T, high: T) -> Result<T, String> {
    if value >= low && value <= high { Ok(value) } else { Err(format!("{name} must be between {low} and {high}")) }
}

/// How late events of this one's source may come.
pub(crate) fn lateness_secs(part: &crate::Keyed) -> i64 {
    i64::from(part.lateness_secs)
}

fn compiled<R>(rule: Result<R, String>) -> Result<R, Refused> {
    rule.or_else(|message| refused(message, "docs/content.md lists the options of each type", "correlation:"))
}

pub(crate) fn compile_travel(head: &Head<'_>) -> Result<Kind, Refused> {
    let rule = compiled(travel::Rule::compile(&head.options.all(), head.timespan_secs))?;
    let mut kind = Kind::of::<travel::Travel>("impossible_travel", rule);
    kind.counts_sharers = true;
    Ok(kind)
}

pub(crate) fn compile_hours(head: &Head<'_>) -> Result<Kind, Refused> {
    let rule = compiled(hours::Rule::compile(&head.options.all()))?;
    Ok(Kind::of::<hours::Hours>("off_hours", rule))
}

pub(crate) fn compile_rate(head: &Head<'_>) -> Result<Kind, Refused> {
    let rule = compiled(rate::Rule::compile(&head.options.all(), head.timespan_secs, &head.sigma.rules))?;
    let value_fields = rule.distinct.iter().cloned().collect();
    let mut kind = Kind::of::<rate::Rate>("rate", rule);
    (kind.value_fields, kind.value_is_optional) = (value_fields, true);
    Ok(kind)
}

/// A time as its number: the text form of [`event::Timestamp`] costs more than all else in a small state.
pub(crate) mod micros {
    use event::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(time.0)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(deserializer).map(Timestamp)
    }
}
