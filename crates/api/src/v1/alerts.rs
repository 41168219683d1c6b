use super::{Items, Page, events};
use crate::app::App;
use crate::auth::Caller;
use crate::params::{ALERT, CURSOR, FROM, Params, Q, RULE, SEVERITY_MIN, SIGNALS, SOURCE_IP, STATE, TO, USER, did_you_mean, severity};
use crate::problem::Problem;
use crate::schema::AlertStateChange;
use crate::{body, params};
use axum::extract::{Path, State};
use axum::{Extension, Json};
use engine::control::{AlertFilter, FindingFilter};
use event::{Alert, AlertState, Finding, Id};
use serde::Serialize;
use serde_json::Value;

const FINDINGS_SHOWN_MAX: usize = 50;
const EVENTS_SHOWN_MAX: usize = 100;
const STATE_IDS_MAX: usize = 1000;
const REASON_CHARS_MAX: usize = 1000;

pub async fn list(State(app): State<App>, params: Params) -> Result<Json<Page<Alert>>, Problem> {
    let filter = AlertFilter {
        states: params.all(&STATE).flat_map(|v| v.split(',')).map(state).collect::<Result<_, _>>()?,
        severity_min: params.get(&SEVERITY_MIN).map(severity).transpose()?,
        text: params.text(&Q),
        from: params.time(&FROM)?,
        to: params.time(&TO)?,
        signals: params.flag(&SIGNALS)?,
        limit: params.limit()?,
        cursor: params.text(&CURSOR),
        event: None,
    };
    Ok(Json(app.control().alerts(&filter).await?.into()))
}

pub fn state(text: &str) -> Result<AlertState, Problem> {
    AlertState::parse(text).ok_or_else(|| {
        Problem::bad_request(format!("{text:?} is no state{}; they are open, acknowledged, closed", did_you_mean(text, &["open", "acknowledged", "closed"])))
    })
}

pub fn id(text: &str) -> Result<Id, Problem> {
    Id::parse(text).ok_or_else(|| Problem::bad_request("an id has 32 hex digits"))
}

/// The ids of a change of state; `what` they are.
pub fn ids(texts: &[String], what: &str) -> Result<Vec<Id>, Problem> {
    if texts.is_empty() || texts.len() > STATE_IDS_MAX {
        return Err(Problem::bad_request(format!("ids holds 1 to {STATE_IDS_MAX} {what}")));
    }
    texts.iter().map(|text| id(text)).collect()
}

/// A reason that says something, if there is one.
pub fn reason(text: Option<&str>) -> Result<Option<&str>, Problem> {
    let reason = text.map(str::trim).filter(|r| !r.is_empty());
    if reason.is_some_and(|r| r.chars().count() > REASON_CHARS_MAX) {
        return Err(Problem::bad_request(format!("the reason has at most {REASON_CHARS_MAX} characters")));
    }
    Ok(reason)
}

#[derive(Serialize)]
pub struct Detail {
    alert: Alert,
    findings: Vec<Finding>,
    events: Vec<Value>,
}

pub async fn one(State(app): State<App>, Path(text): Path<String>) -> Result<Json<Detail>, Problem> {
    // A path that is no id names no alert.
    let id = Id::parse(&text).ok_or_else(|| Problem::not_found("there is no such alert"))?;
    let alert = app.control().alert(id).await?;
    let filter = FindingFilter { alert: Some(id), limit: FINDINGS_SHOWN_MAX, ..FindingFilter::default() };
    let findings = app.control().findings(&filter).await?.items;
    let mut uids: Vec<String> = Vec::new();
    for uid in findings.iter().flat_map(|f| f.event_ids.iter().rev()) {
        if uids.len() < EVENTS_SHOWN_MAX && !uids.iter().any(|u| u == uid.as_str()) {
            uids.push(uid.to_string());
        }
    }
    let events = events::by_uid(&app, uids, EVENTS_SHOWN_MAX).await?;
    Ok(Json(Detail { alert, findings, events }))
}

pub async fn set_state(State(app): State<App>, Extension(caller): Extension<Caller>, body::Json(change): body::Json<AlertStateChange>) -> Result<Json<Items<Alert>>, Problem> {
    let state = state(&change.state)?;
    let ids = ids(&change.ids, "alerts")?;
    let reason = reason(change.reason.as_deref())?;
    let actor = caller.label();
    let items = app.control().set_alert_state(&ids, state, &actor, reason, app.now()).await?;
    app.platform.announce(&items);
    app.audit(&actor, "alert.state", &change.ids.join(","), state.as_str()).await;
    Ok(Json(Items { items }))
}

pub async fn findings(State(app): State<App>, params: Params) -> Result<Json<Page<Finding>>, Problem> {
    let filter = FindingFilter {
        alert: params.get(&ALERT).map(id).transpose()?,
        without_signals: false,
        severities: params.severities()?,
        rule: params.text(&RULE),
        user: params.text(&USER),
        source_ip: params.text(&SOURCE_IP),
        from: params.time(&params::FROM)?,
        to: params.time(&params::TO)?,
        limit: params.limit()?,
        cursor: params.text(&CURSOR),
    };
    Ok(Json(app.control().findings(&filter).await?.into()))
}
