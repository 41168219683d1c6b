use super::Items;
use crate::app::App;
use crate::params::{AFTER_IT, BEFORE, Params};
use crate::problem::Problem;
use axum::Json;
use axum::extract::{Path, State};
use engine::control::{AlertFilter, OfEvent};
use engine::lake::{AROUND_MAX, Query};
use engine::query::{Expr, Test, Value as Asked};
use event::{Alert, Timestamp};
use serde_json::Value;

const ALERTS_SHOWN_MAX: usize = 100;
/// A correlation tells its finding so long after an event that is part of it, or it is not looked for.
const FINDINGS_WITHIN_SECS: i64 = 86_400;

fn unknown() -> Problem {
    Problem::not_found("there is no such event, or its time is over")
}

/// A condition that a column's text is one of these.
pub fn one_of(path: &'static str, texts: impl IntoIterator<Item = String>) -> Result<Expr, Problem> {
    let column = event::column(path).ok_or_else(|| Problem::unavailable(format!("there is no column {path}")))?;
    Ok(Expr::Field(column, Test::OneOf(texts.into_iter().map(Asked::Text).collect())))
}

pub async fn one(State(app): State<App>, Path(uid): Path<String>) -> Result<Json<Value>, Problem> {
    app.platform.event(uid).await?.map(Json).ok_or_else(unknown)
}

/// The events with these uids, at most `limit`.
pub async fn by_uid(app: &App, uids: Vec<String>, limit: usize) -> Result<Vec<Value>, Problem> {
    if uids.is_empty() {
        return Ok(Vec::new());
    }
    let expr = one_of("metadata.uid", uids)?;
    Ok(app.platform.events(Query { expr, limit, ..Query::default() }).await?.events)
}

pub async fn around(State(app): State<App>, Path(uid): Path<String>, params: Params) -> Result<Json<Items<Value>>, Problem> {
    let most = AROUND_MAX as u64;
    let (before, after) = (params.number(&BEFORE, 10, 0..=most)?, params.number(&AFTER_IT, 10, 0..=most)?);
    let items = app.platform.around(uid, before as usize, after as usize).await?;
    if items.is_empty() { Err(unknown()) } else { Ok(Json(Items { items })) }
}

/// Alerts with a finding that names the event, newest first.
pub async fn findings(State(app): State<App>, Path(uid): Path<String>) -> Result<Json<Items<Alert>>, Problem> {
    let event = app.platform.event(uid.clone()).await?.ok_or_else(unknown)?;
    let time = event["time"].as_str().and_then(Timestamp::parse).ok_or_else(unknown)?;
    let of = OfEvent { uid, from: time, to: time.plus_secs(FINDINGS_WITHIN_SECS) };
    let filter = AlertFilter { event: Some(of), signals: true, limit: ALERTS_SHOWN_MAX, ..AlertFilter::default() };
    Ok(Json(Items { items: app.control().alerts(&filter).await?.items }))
}
