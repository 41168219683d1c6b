use super::Page;
use crate::app::App;
use crate::filter;
use crate::params::{CURSOR, FILTER, FROM, Params, Q, TO};
use crate::problem::Problem;
use axum::Json;
use axum::extract::{Path, State};
use engine::lake::{Filter, Op, Query};
use serde_json::Value;

pub async fn list(State(app): State<App>, params: Params) -> Result<Json<Page<Value>>, Problem> {
    let query = Query {
        from: params.time(&FROM)?,
        to: params.time(&TO)?,
        filters: params.all(&FILTER).map(filter::parse).collect::<Result<_, _>>()?,
        text: params.text(&Q),
        limit: params.limit()?,
        cursor: params.text(&CURSOR),
    };
    let page = app.platform.events(query).await?;
    Ok(Json(Page { items: page.events, next_cursor: page.next_cursor, total: page.total }))
}

pub async fn one(State(app): State<App>, Path(uid): Path<String>) -> Result<Json<Value>, Problem> {
    let filters = vec![Filter { column: filter::column("metadata.uid")?, op: Op::Eq(uid) }];
    let mut page = app.platform.events(Query { filters, limit: 1, ..Query::default() }).await?;
    page.events.pop().map(Json).ok_or_else(|| Problem::not_found("there is no such event, or its time is over"))
}

/// The events with these uids, at most `limit`.
pub async fn by_uid(app: &App, uids: Vec<String>, limit: usize) -> Result<Vec<Value>, Problem> {
    if uids.is_empty() {
        return Ok(Vec::new());
    }
    let filters = vec![Filter { column: filter::column("metadata.uid")?, op: Op::In(uids) }];
    Ok(app.platform.events(Query { filters, limit, ..Query::default() }).await?.events)
}
