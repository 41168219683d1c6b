//! Asks the lake for what a body wants.
use super::aggs;
use super::answer::Failure;
use super::hits::Answer;
use super::token::check_point_in_time;
use crate::app::App;
use engine::lake::{Aggregation, Metric, Query, Total};
use engine::query::Expr;
use engine::query::elastic::{ElasticError, Search, Tracked, WINDOW_MAX};
use serde_json::Value;

/// The hits and aggregations of a search, from its beginning or from a scroll's cursor.
pub async fn answer(app: &App, asked: &Search, cursor: Option<String>) -> Result<Answer, Failure> {
    if let Some(id) = &asked.pit {
        check_point_in_time(id)?;
    }
    let cursor = match (&asked.search_after, cursor) {
        (Some(values), _) => Some(after(values)?),
        (None, cursor) => cursor,
    };
    let mut answer = match asked.oldest_first && asked.size > 0 {
        true if cursor.is_some() => return Err(illegal("[search_after] goes newest first: sort by @timestamp desc")),
        true => oldest(app, asked).await?,
        false => newest(app, asked, cursor).await?,
    };
    if asked.tracked == Tracked::All && answer.total.is_some_and(|t| !t.exact) {
        answer.total = Some(Total { value: count(app, asked.expr.clone()).await?, exact: true });
    }
    if !asked.aggs.is_empty() {
        answer.aggregations = Some(aggs::aggregations(app, &asked.expr, &asked.aggs).await?);
    }
    Ok(answer)
}

fn illegal(reason: impl Into<String>) -> Failure {
    Failure(ElasticError::illegal(reason))
}

/// The cursor in the `sort` of the last hit of a page.
fn after(values: &[Value]) -> Result<String, Failure> {
    let cursor = values.last().and_then(Value::as_str).filter(|c| c.contains('.'));
    cursor.map(str::to_owned).ok_or_else(|| illegal("[search_after] takes the `sort` of the last hit of a page, unchanged; of a page that was the last there is no next"))
}

fn query(asked: &Search, limit: usize, cursor: Option<String>) -> Query {
    let bounds = asked.expr.time_bounds();
    Query { from: bounds.from, to: bounds.to, expr: asked.expr.clone(), limit, cursor }
}

async fn newest(app: &App, asked: &Search, cursor: Option<String>) -> Result<Answer, Failure> {
    let limit = if asked.size == 0 { 0 } else { asked.from + asked.size };
    let page = app.platform.events(query(asked, limit, cursor)).await?;
    let events = page.events.into_iter().skip(asked.from).collect();
    Ok(Answer { events, total: Some(page.total), next: page.next_cursor.filter(|_| asked.size > 0), aggregations: None })
}

/// The lake answers newest first, so the oldest are the end of all that match, which must fit into one window.
async fn oldest(app: &App, asked: &Search) -> Result<Answer, Failure> {
    let page = app.platform.events(query(asked, WINDOW_MAX, None)).await?;
    if page.next_cursor.is_some() {
        return Err(illegal(format!("[sort] @timestamp asc is for at most {WINDOW_MAX} matches; ask for a shorter time, or sort desc")));
    }
    let events = page.events.into_iter().rev().skip(asked.from).take(asked.size).collect();
    Ok(Answer { events, total: Some(page.total), next: None, aggregations: None })
}

/// How many events match, exactly.
pub async fn count(app: &App, expr: Expr) -> Result<u64, Failure> {
    let bounds = expr.time_bounds();
    let query = Query { from: bounds.from, to: bounds.to, expr, ..Query::default() };
    let told = app.platform.aggregate(query, Aggregation { by: Vec::new(), metrics: vec![Metric::Count], limit: 1 }).await?;
    Ok(told.rows.first().and_then(|row| row.first()).and_then(Value::as_u64).unwrap_or(0))
}
