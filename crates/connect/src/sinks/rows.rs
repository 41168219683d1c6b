//! The reference system's columns out of events and findings: what PostgreSQL and Redis share.

use super::TechniqueName;
use event::{Event, Finding, FindingStatus, Rule, Severity, Timestamp};
use serde_json::{Value, json};

/// Its levels; what we call informational counts as LOW.
pub(super) fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Informational | Severity::Low => "LOW",
        Severity::Medium => "MEDIUM",
        Severity::High => "HIGH",
        Severity::Critical => "CRITICAL",
    }
}

/// `Console login without MFA` → `console_login_without_mfa`.
pub(super) fn threat_type(rule: &Rule) -> String {
    let words = rule.name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("_")
}

/// `T1485 - Data Destruction`
pub(super) fn technique(rule: &Rule, name: &TechniqueName) -> Option<String> {
    let id = rule.techniques.first()?;
    Some(name(id).map_or_else(|| id.clone(), |name| format!("{id} - {name}")))
}

/// What happened, in the source's word.
pub(super) fn event_name(event: &Event) -> Option<&str> {
    let ocsf = &event.ocsf;
    [&ocsf.api_operation, &ocsf.http.path, &ocsf.activity].into_iter().find_map(|name| name.as_deref())
}

pub(super) fn is_withdrawn(finding: &Finding) -> bool {
    finding.status == FindingStatus::Withdrawn
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
        "type": threat_type(&finding.rule), "severity": level(finding.level),
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
