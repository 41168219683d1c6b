//! What sinks share: the reference system's columns out of events and findings, and what a batch of findings comes to.

use super::TechniqueName;
use event::cloudhawk::{level, technique as label, threat_type};
use event::{Event, Finding, FindingStatus, Id, Rule, Timestamp};
use serde_json::{Value, json};
use std::collections::HashMap;

/// `T1485 - Data Destruction`
pub(super) fn technique(rule: &Rule, name: &TechniqueName) -> Option<String> {
    let id = rule.techniques.first()?;
    Some(label(id, name(id).as_deref()))
}

/// What happened, in the source's word.
pub(super) fn event_name(event: &Event) -> Option<&str> {
    let ocsf = &event.ocsf;
    [&ocsf.api_operation, &ocsf.http.path, &ocsf.activity].into_iter().find_map(|name| name.as_deref())
}

pub(super) fn is_withdrawn(finding: &Finding) -> bool {
    finding.status == FindingStatus::Withdrawn
}

/// What is left of a batch in which a finding may be told several times.
pub(super) struct Told<'a> {
    /// The last telling of each finding that stands, with its place in the batch.
    pub kept: Vec<(usize, &'a Finding)>,
    /// Ids of findings that are withdrawn, or that another one replaces.
    pub gone: Vec<String>,
}

pub(super) fn last_told(findings: &[Finding]) -> Told<'_> {
    let mut last: HashMap<Id, usize> = HashMap::new();
    let mut gone: Vec<Id> = Vec::new();
    for (place, finding) in findings.iter().enumerate() {
        gone.extend(finding.replaces);
        if is_withdrawn(finding) {
            gone.push(finding.id);
            last.remove(&finding.id);
        } else {
            last.insert(finding.id, place);
        }
    }
    gone.retain(|id| !last.contains_key(id));
    let mut places: Vec<usize> = last.into_values().collect();
    places.sort_unstable();
    Told { kept: places.into_iter().map(|place| (place, &findings[place])).collect(), gone: gone.iter().map(Id::to_string).collect() }
}

/// The reference's message of its live channel.
pub(super) fn alert(finding: &Finding, name: &TechniqueName) -> Value {
    json!({
        "timestamp": python_time(finding.time), "severity": level(finding.level), "event_id": finding.event_ids.last(),
        "event_name": finding.event_name, "user": finding.user, "source_ip": finding.source_ip,
        "threats": [threat(finding, name)],
    })
}

pub(super) fn threat(finding: &Finding, name: &TechniqueName) -> Value {
    json!({
        "type": threat_type(&finding.rule.name), "severity": level(finding.level),
        "description": finding.explanation.summary, "mitre": technique(&finding.rule, name),
    })
}

/// As Python's `isoformat()` writes UTC: `2026-11-20T10:00:00.123456+00:00`.
pub(super) fn python_time(time: Timestamp) -> String {
    format!("{}+00:00", time.to_string().trim_end_matches('Z'))
}

/// NUL, which neither PostgreSQL's text nor its jsonb can hold, as the replacement character.
pub(super) fn without_nul(value: &mut Value) {
    match value {
        Value::String(text) if text.contains('\0') => *text = text.replace('\0', "\u{FFFD}"),
        Value::Array(list) => list.iter_mut().for_each(without_nul),
        Value::Object(map) => {
            if map.keys().any(|key| key.contains('\0')) {
                *map = std::mem::take(map).into_iter().map(|(key, value)| (key.replace('\0', "\u{FFFD}"), value)).collect();
            }
            map.values_mut().for_each(without_nul);
        }
        _ => {}
    }
}
