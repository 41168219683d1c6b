//! CloudHawk: its REST paths and `WS /ws/realtime`. Its severities are LOW, MEDIUM, HIGH and CRITICAL in
//! upper case; what we call informational counts as LOW.
use super::{at, is_threat};
use crate::app::App;
use crate::auth::Caller;
use crate::body;
use crate::guard::Activity;
use crate::live::open;
use crate::params::{HOURS, Params, time};
use crate::problem::Problem;
use crate::schema::CloudHawkQuery;
use crate::v1::events::one_of;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::response::Response;
use axum::{Extension, Json};
use engine::control::{AlertFilter, FindingFilter};
use engine::lake::Query;
use engine::query::Expr;
use engine::{BySeverity, Technique, Top, Topic, Totals};
use event::cloudhawk::{level as upper, technique, threat_type};
use event::{Alert, AlertState, Finding, FindingStatus, Rule, Severity, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::Arc;

type Answer = Result<Json<Value>, Problem>;

fn distribution(counts: &BySeverity) -> Value {
    let mut out = json!({"LOW": 0, "MEDIUM": 0, "HIGH": 0, "CRITICAL": 0});
    for (severity, count) in counts {
        let sum = out[upper(*severity)].as_u64().unwrap_or_default() + count;
        out[upper(*severity)] = sum.into();
    }
    out
}

/// Technique ids with their names, as CloudHawk writes them: `T1485 - Data Destruction`.
struct Names(HashMap<String, String>);

impl Names {
    fn of(techniques: Vec<Technique>) -> Self {
        Self(techniques.into_iter().map(|t| (t.id, t.name)).collect())
    }
    fn label(&self, id: &str) -> String {
        technique(id, self.0.get(id).map(String::as_str))
    }
    fn of_rule(&self, rule: &Rule) -> Option<String> {
        rule.techniques.first().map(|id| self.label(id))
    }
}

// Statistics

pub async fn stats(State(app): State<App>) -> Json<Value> {
    Json(stats_of(&app.platform.totals(), app.now()))
}

fn stats_of(totals: &Totals, now: Timestamp) -> Value {
    let top: Vec<Value> = totals.top_rules.iter().map(|(_, name, _, count)| json!({"threat_type": threat_type(name), "count": count})).collect();
    json!({
        "realtime": {
            "events_processed": totals.events, "threats_detected": totals.findings,
            "active_alerts": totals.alerts_open, "recent_events": totals.events_last_hour,
        },
        "severity_distribution": distribution(&totals.severities),
        "database": {
            "total_events": totals.events, "events_last_hour": totals.events_last_hour, "threats_last_hour": totals.findings_last_hour,
        },
        "top_threats": top,
        "timestamp": now,
    })
}

pub async fn timeline(State(app): State<App>, params: Params) -> Answer {
    let hours = params.number(&HOURS, 24, 1..=24)?;
    let mut timeline = Map::new();
    for bucket in app.platform.timeline(hours as u32, 3600) {
        timeline.insert(python_time(bucket.start), distribution(&bucket.severities));
    }
    Ok(Json(json!({"timeline": timeline, "period_hours": hours, "timestamp": app.now()})))
}

/// As Python's `isoformat()` writes UTC: `2026-11-20T10:00:00+00:00`.
fn python_time(time: Timestamp) -> String {
    format!("{}+00:00", &time.to_string()[..19])
}

fn tops(tops: Vec<Top>, list: &str, key: &str, now: Timestamp) -> Json<Value> {
    let rows: Vec<Value> = tops.into_iter()
        .map(|t| json!({key: t.value, "event_count": t.events, "suspicious_count": t.suspicious, "high_severity_count": t.high}))
        .collect();
    Json(json!({"count": rows.len(), list: rows, "timestamp": now}))
}

pub async fn top_users(State(app): State<App>, params: Params) -> Answer {
    Ok(tops(app.platform.top_users(params.limit()?), "users", "user_name", app.now()))
}

pub async fn top_ips(State(app): State<App>, params: Params) -> Answer {
    Ok(tops(app.platform.top_ips(params.limit()?), "ips", "source_ip", app.now()))
}

pub async fn coverage(State(app): State<App>) -> Json<Value> {
    let rows: Vec<Value> = app.platform.coverage_without_signals().into_iter()
        .filter(|t| t.findings > 0)
        .map(|t| json!({
            "mitre_attack": technique(&t.id, Some(&t.name)),
            "threat_type": t.tactics.first().map_or_else(|| "unknown".into(), |tactic| threat_type(tactic)),
            "count": t.findings,
        }))
        .collect();
    Json(json!({"count": rows.len(), "techniques": rows, "timestamp": app.now()}))
}

// Events

fn event_row(event: &Value) -> Value {
    let severity = event["severity"].as_str().and_then(Severity::parse).unwrap_or_default();
    let name = [at(event, "api.operation"), at(event, "http_request.url.path"), at(event, "activity_name")].into_iter().find(|v| !v.is_null());
    json!({
        "time": event["time"], "timestamp": event["time"], "event_id": at(event, "metadata.uid"), "event_name": name,
        "event_source": at(event, "api.service.name"), "aws_region": at(event, "cloud.region"),
        "source_ip": at(event, "src_endpoint.ip"), "user_name": at(event, "actor.user.name"),
        "user_agent": at(event, "http_request.user_agent"), "severity": upper(severity),
        "is_suspicious": is_threat(event), "event_data": event,
    })
}

async fn events(app: &App, query: Query) -> Answer {
    let rows: Vec<Value> = app.platform.events(query).await?.events.iter().map(event_row).collect();
    Ok(Json(json!({"count": rows.len(), "events": rows, "timestamp": app.now()})))
}

pub async fn recent_events(State(app): State<App>, params: Params) -> Answer {
    let limit = params.limit()?;
    events(&app, Query { limit, ..Query::default() }).await
}

pub async fn query_events(State(app): State<App>, body::Json(asked): body::Json<CloudHawkQuery>) -> Answer {
    let mut all = Vec::new();
    let mut equals = |field: &'static str, value: &Option<String>| -> Result<(), Problem> {
        if let Some(value) = value {
            all.push(one_of(field, [value.clone()])?);
        }
        Ok(())
    };
    equals("api.operation", &asked.event_name)?;
    equals("actor.user.name", &asked.user_name)?;
    equals("src_endpoint.ip", &asked.source_ip)?;
    if let Some(levels) = levels(&asked)? {
        all.push(one_of("severity", levels.iter().map(|s| s.as_str().to_owned()))?);
    }
    let (from, to) = period(&asked)?;
    events(&app, Query { from, to, expr: Expr::And(all), limit: limit(&asked)?, ..Query::default() }).await
}

fn period(asked: &CloudHawkQuery) -> Result<(Option<Timestamp>, Option<Timestamp>), Problem> {
    let read = |name: &str, text: &Option<String>| text.as_deref().map(|t| time(name, t)).transpose();
    Ok((read("start_time", &asked.start_time)?, read("end_time", &asked.end_time)?))
}

fn limit(asked: &CloudHawkQuery) -> Result<usize, Problem> {
    match asked.limit.unwrap_or(100) {
        limit @ 1..=1000 => Ok(limit as usize),
        _ => Err(Problem::bad_request("limit is 1 to 1000")),
    }
}

/// Our levels of the asked ones; `None`: all.
fn levels(asked: &CloudHawkQuery) -> Result<Option<Vec<Severity>>, Problem> {
    let Some(names) = asked.severity.as_ref().filter(|names| !names.is_empty()) else { return Ok(None) };
    let mut levels = Vec::new();
    for name in names {
        let found = Severity::ALL.into_iter().filter(|s| upper(*s).eq_ignore_ascii_case(name)).collect::<Vec<_>>();
        if found.is_empty() {
            return Err(Problem::bad_request(format!("{name:?} is no severity; they are LOW, MEDIUM, HIGH, CRITICAL")));
        }
        levels.extend(found);
    }
    Ok(Some(levels))
}

// Threats and alerts

fn threat_row(finding: &Finding, names: &Names) -> Value {
    json!({
        "id": finding.id, "time": finding.time, "timestamp": finding.time, "event_id": finding.event_ids.last(),
        "threat_type": threat_type(&finding.rule.name), "severity": upper(finding.level),
        "description": finding.explanation.summary, "mitre_attack": names.of_rule(&finding.rule),
        "user_name": finding.user, "source_ip": finding.source_ip,
        "additional_data": {"rule_id": finding.rule.id, "event_ids": finding.event_ids, "event_count": finding.event_count},
    })
}

async fn threats(app: &App, filter: &FindingFilter, kind: Option<&str>) -> Answer {
    let names = Names::of(app.platform.coverage());
    let found = app.control().findings(filter).await?.items;
    let rows: Vec<Value> = found.iter().filter(|f| kind.is_none_or(|k| threat_type(&f.rule.name) == k)).map(|f| threat_row(f, &names)).collect();
    Ok(Json(json!({"count": rows.len(), "threats": rows, "timestamp": app.now()})))
}

pub async fn recent_threats(State(app): State<App>, params: Params) -> Answer {
    let filter = FindingFilter { limit: params.limit()?, without_signals: true, ..FindingFilter::default() };
    threats(&app, &filter, None).await
}

pub async fn query_threats(State(app): State<App>, body::Json(asked): body::Json<CloudHawkQuery>) -> Answer {
    let (from, to) = period(&asked)?;
    // The control plane filters by the rule's id, CloudHawk by its type: the rule of that type gives the id.
    let rules = app.platform.rules();
    let rule = asked.threat_type.as_deref().and_then(|kind| rules.iter().find(|r| threat_type(&r.name) == kind)).map(|r| r.id.to_string());
    let filter = FindingFilter {
        without_signals: true,
        severities: levels(&asked)?.unwrap_or_default(),
        rule,
        user: asked.user_name.clone(),
        source_ip: asked.source_ip.clone(),
        from,
        to,
        limit: limit(&asked)?,
        ..FindingFilter::default()
    };
    threats(&app, &filter, asked.threat_type.as_deref()).await
}

fn threat(rule: &Rule, severity: Severity, description: &str, names: &Names) -> Value {
    json!({"type": threat_type(&rule.name), "severity": upper(severity), "description": description, "mitre": names.of_rule(rule)})
}

fn alert_of_finding(finding: &Finding, names: &Names) -> Value {
    json!({
        "timestamp": finding.time, "severity": upper(finding.level), "event_id": finding.event_ids.last(),
        "event_name": finding.event_name, "user": finding.user, "source_ip": finding.source_ip,
        "threats": [threat(&finding.rule, finding.level, &finding.explanation.summary, names)],
    })
}

/// `event_id` is the alert's id: an alert of ours is about many events.
fn alert_row(alert: &Alert, names: &Names) -> Value {
    json!({
        "timestamp": alert.last_seen, "severity": upper(alert.severity), "event_id": alert.id,
        "event_name": alert.event_name, "user": alert.user, "source_ip": alert.source_ip,
        "threats": [threat(&alert.rule, alert.severity, &alert.summary, names)],
    })
}

pub async fn active_alerts(State(app): State<App>, params: Params) -> Answer {
    let names = Names::of(app.platform.coverage());
    let filter = AlertFilter { states: vec![AlertState::Open, AlertState::Acknowledged], limit: params.limit()?, ..AlertFilter::default() };
    let rows: Vec<Value> = app.control().alerts(&filter).await?.items.iter().map(|a| alert_row(a, &names)).collect();
    Ok(Json(json!({"count": rows.len(), "alerts": rows, "timestamp": app.now()})))
}

// Live

pub async fn realtime(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(activity): Extension<Arc<Activity>>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let reader = app.platform.live(None);
    let platform = app.platform.clone();
    let names = Names::of(platform.coverage());
    let shape = move |message: Result<engine::Live, u64>| {
        let live = message.ok()?;
        let (kind, data) = match live.topic {
            Topic::Finding => ("alert", alert_of_finding(&news(&live.json)?, &names)),
            Topic::Event => ("event", event_row(&serde_json::from_str(&live.json).ok()?)),
            Topic::Stats => ("stats", stats_of(&platform.totals(), platform.now())),
            Topic::Alert | Topic::Incident | Topic::Ban => return None,
        };
        Some(json!({"type": kind, "data": data}).to_string())
    };
    open(&app, caller, &activity, upgrade, reader, Box::new(shape))
}

/// A finding that is told for the first time and is no signal: CloudHawk knows no revisions.
fn news(json: &str) -> Option<Finding> {
    let finding: Finding = serde_json::from_str(json).ok()?;
    let first = finding.revision == 0 && finding.replaces.is_none() && finding.status != FindingStatus::Withdrawn;
    (first && !finding.rule.handling.signal).then_some(finding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn informational_counts_as_low_and_no_level_is_missing() {
        let counts = BySeverity::from([(Severity::Informational, 2), (Severity::Low, 3), (Severity::Critical, 1)]);
        assert_eq!(distribution(&counts), json!({"LOW": 5, "MEDIUM": 0, "HIGH": 0, "CRITICAL": 1}));
        let asked = CloudHawkQuery { severity: Some(vec!["LOW".into()]), ..CloudHawkQuery::default() };
        assert_eq!(levels(&asked).unwrap().unwrap(), [Severity::Informational, Severity::Low]);
    }

    #[test]
    fn names_and_times_are_written_as_cloudhawk_writes_them() {
        assert_eq!(python_time(Timestamp::parse("2026-11-20T10:00:00Z").unwrap()), "2026-11-20T10:00:00+00:00");
        let names = Names(HashMap::from([("T1485".into(), "Data Destruction".into())]));
        assert_eq!(names.label("T1485"), "T1485 - Data Destruction");
        assert_eq!(names.label("T9"), "T9");
    }

    #[test]
    fn the_seeds_query_body_is_taken() {
        let seed = json!({"start_time": null, "end_time": null, "severity": ["HIGH"], "event_name": null, "user_name": null, "source_ip": null, "limit": 100});
        assert!(serde_json::from_value::<CloudHawkQuery>(seed).is_ok());
    }
}
