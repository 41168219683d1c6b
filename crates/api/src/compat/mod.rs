//! The reference systems' paths and shapes, one module each: thin adapters over the same data.
pub mod cloudhawk;
pub mod crowdsec;
pub mod elastic;
pub mod sentinel;
pub mod whale;

use serde_json::Value;

/// The member at a dotted path.
fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(value, |value, name| &value[name])
}

/// Whether a rule or a threat list marked the event.
fn is_threat(event: &Value) -> bool {
    ["finding_info.rules", "enrichments.threat_lists"].iter().any(|path| at(event, path).as_array().is_some_and(|l| !l.is_empty()))
}
