//! Elasticsearch's search API under `/elastic/`, as far as the official clients and Grafana's data source need it: thin
//! handlers over the same searches. The language of the bodies is `query::elastic`; what it refuses, or what no route
//! here answers, is an error in Elasticsearch's own form.
//!
//! Nothing is kept between requests: a scroll's id and a point in time hold what is needed to go on.
mod aggs;
mod answer;
mod body;
mod fields;
mod gather;
mod hits;
mod token;

pub use answer::dress;

use crate::app::App;
use crate::observe::Ours;
use crate::problem::Problem;
use answer::{Failure, Params};
use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use body::Body;
use engine::query::elastic::{self, ElasticError};
use serde_json::{Value, json};
use std::time::Instant;
use token::Scroll;

/// The one index there is.
pub(super) const INDEX: &str = "erne-events";
/// The release whose API this is; clients compare it with theirs.
const VERSION: &str = "8.17.0";
/// Searches of one `_msearch`.
const SEARCHES_MAX: usize = 64;

pub type Answer = Result<Json<Value>, Failure>;

pub async fn root() -> Json<Value> {
    Json(json!({
        "name": "erne",
        "cluster_name": "erne",
        "cluster_uuid": "erne",
        "version": {
            "number": VERSION,
            "build_flavor": "default",
            "build_type": "erne",
            "build_hash": env!("CARGO_PKG_VERSION"),
            "build_date": "2026-01-01T00:00:00.000Z",
            "build_snapshot": false,
            "lucene_version": "9.12.0",
            "minimum_wire_compatibility_version": "7.17.0",
            "minimum_index_compatibility_version": "7.0.0",
        },
        "tagline": "You Know, for Search",
    }))
}

/// Whether a name, a pattern or a list of them means our index.
fn index_ok(names: &str) -> Result<(), Failure> {
    let fits = |name: &str| name == "_all" || name == "erne" || engine::query::wildcard_matches(name, INDEX);
    match names.split(',').map(str::trim).find(|n| !fits(n)) {
        None => Ok(()),
        // A pattern may match nothing; a name must exist.
        Some(name) => Err(Failure(ElasticError { status: 404, kind: "index_not_found_exception", reason: format!("no such index [{name}]; there is {INDEX}") })),
    }
}

async fn search(app: &App, params: Params, body: Value) -> Answer {
    let began = Instant::now();
    let now = app.now();
    let (body, params) = params.into_body(body)?;
    let mut asked = elastic::search(&body, now)?;
    params.apply(&mut asked, now)?;
    let answer = gather::answer(app, &asked, None).await?;
    let mut out = answer.json(&asked, began);
    if params.scroll {
        let scroll = Scroll { body, now, cursor: answer.next };
        out["_scroll_id"] = scroll.write()?.into();
    }
    params.shape(&mut out);
    Ok(Json(out))
}

pub async fn search_all(State(app): State<App>, params: Params, Body(body): Body) -> Answer {
    search(&app, params, body).await
}

pub async fn search_in(State(app): State<App>, Path(index): Path<String>, params: Params, Body(body): Body) -> Answer {
    index_ok(&index)?;
    search(&app, params, body).await
}

/// The next page of a scroll; behind the last it is empty.
pub async fn scroll(State(app): State<App>, params: Params, Body(body): Body) -> Answer {
    let began = Instant::now();
    let id = body["scroll_id"].as_str().map(str::to_owned).or_else(|| params.text("scroll_id")).ok_or_else(|| ElasticError::parsing("[scroll_id] is missing"))?;
    let scroll = Scroll::read(&id)?;
    let mut asked = elastic::search(&scroll.body, scroll.now)?;
    asked.aggs.clear();
    let next = match scroll.cursor {
        Some(cursor) => {
            let answer = gather::answer(&app, &asked, Some(cursor)).await?;
            let mut out = answer.json(&asked, began);
            out["_scroll_id"] = Scroll { cursor: answer.next, ..scroll }.write()?.into();
            out
        }
        None => {
            let mut out = hits::Answer::default().json(&asked, began);
            out["_scroll_id"] = id.into();
            out
        }
    };
    Ok(Json(next))
}

/// Nothing is kept, so there is nothing to free.
pub async fn free(Body(body): Body) -> Json<Value> {
    let ids = body["scroll_id"].as_array().map_or(1, Vec::len);
    Json(json!({"succeeded": true, "num_freed": ids}))
}

/// A point in time. Hits come newest first, so what comes in later stands before the pages already read.
pub async fn open_pit(State(app): State<App>, Path(index): Path<String>) -> Answer {
    index_ok(&index)?;
    Ok(Json(json!({"id": token::point_in_time(app.now()), "_shards": answer::shards()})))
}

async fn count(app: &App, params: Params, body: Value) -> Answer {
    let mut expr = elastic::query_only(&body, app.now())?;
    if let Some(more) = params.query(app.now())? {
        expr = expr.and(more).simplify();
    }
    let count = gather::count(app, expr).await?;
    Ok(Json(json!({"count": count, "_shards": answer::shards()})))
}

pub async fn count_all(State(app): State<App>, params: Params, Body(body): Body) -> Answer {
    count(&app, params, body).await
}

pub async fn count_in(State(app): State<App>, Path(index): Path<String>, params: Params, Body(body): Body) -> Answer {
    index_ok(&index)?;
    count(&app, params, body).await
}

pub async fn document(State(app): State<App>, Path((index, id)): Path<(String, String)>, params: Params) -> Result<axum::response::Response, Failure> {
    index_ok(&index)?;
    match app.platform.event(id.clone()).await? {
        Some(event) => {
            let source = hits::source(&event, &params.source().unwrap_or_default());
            Ok(Json(json!({"_index": INDEX, "_id": id, "_version": 1, "_seq_no": 0, "_primary_term": 1, "found": true, "_source": source})).into_response())
        }
        None => {
            let mut response = (http::StatusCode::NOT_FOUND, Json(json!({"_index": INDEX, "_id": id, "found": false}))).into_response();
            response.extensions_mut().insert(Ours);
            Ok(response)
        }
    }
}

async fn msearch(app: &App, params: Params, pairs: Vec<(Value, Value)>) -> Answer {
    let began = Instant::now();
    if pairs.len() > SEARCHES_MAX {
        return Err(Failure(ElasticError::illegal(format!("more than {SEARCHES_MAX} searches in one request"))));
    }
    let mut responses = Vec::new();
    for (header, body) in pairs {
        let names = match &header["index"] {
            Value::Null => "_all".to_owned(),
            Value::Array(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
            name => name.as_str().unwrap_or_default().to_owned(),
        };
        let answer = match index_ok(&names) {
            Ok(()) => search(app, params.clone(), body).await,
            Err(failure) => Err(failure),
        };
        responses.push(match answer {
            Ok(Json(mut answer)) => {
                answer["status"] = 200.into();
                answer
            }
            Err(failure) => failure.0.to_json(),
        });
    }
    Ok(Json(json!({"took": answer::millis(began), "responses": responses})))
}

pub async fn msearch_all(State(app): State<App>, params: Params, body::Lines(pairs): body::Lines) -> Answer {
    msearch(&app, params, pairs).await
}

pub async fn msearch_in(State(app): State<App>, Path(index): Path<String>, params: Params, body::Lines(pairs): body::Lines) -> Answer {
    index_ok(&index)?;
    msearch(&app, params, pairs).await
}

pub async fn field_caps_all(params: Params, Body(body): Body) -> Answer {
    let names = params.text("fields").map(Value::String).unwrap_or_else(|| body["fields"].clone());
    Ok(Json(fields::capabilities(&names)?))
}

pub async fn field_caps_in(Path(index): Path<String>, params: Params, body: Body) -> Answer {
    index_ok(&index)?;
    field_caps_all(params, body).await
}

pub async fn mapping_all() -> Json<Value> {
    Json(json!({INDEX: {"mappings": fields::mapping()}}))
}

pub async fn mapping_in(Path(index): Path<String>) -> Answer {
    index_ok(&index)?;
    Ok(mapping_all().await)
}

pub async fn index(Path(index): Path<String>) -> Answer {
    if index.starts_with('_') && index != "_all" {
        return Err(Failure::from(Problem::of_status(http::StatusCode::NOT_FOUND)));
    }
    index_ok(&index)?;
    let settings = json!({"index": {"number_of_shards": "1", "number_of_replicas": "0", "provided_name": INDEX, "uuid": "erne"}});
    Ok(Json(json!({INDEX: {"aliases": {}, "mappings": fields::mapping(), "settings": settings}})))
}

pub async fn health() -> Json<Value> {
    Json(json!({
        "cluster_name": "erne", "status": "green", "timed_out": false, "number_of_nodes": 1, "number_of_data_nodes": 1, "active_primary_shards": 1, "active_shards": 1,
        "relocating_shards": 0, "initializing_shards": 0, "unassigned_shards": 0, "delayed_unassigned_shards": 0, "number_of_pending_tasks": 0, "number_of_in_flight_fetch": 0,
        "task_max_waiting_in_queue_millis": 0, "active_shards_percent_as_number": 100.0,
    }))
}

/// The table of indices: text, or JSON with `format=json`.
pub async fn cat_indices(State(app): State<App>, params: Params) -> axum::response::Response {
    let totals = app.platform.totals();
    let size = format!("{}b", totals.bytes);
    if params.text("format").as_deref() == Some("json") {
        let row = json!({
            "health": "green", "status": "open", "index": INDEX, "uuid": "erne", "pri": "1", "rep": "0", "docs.count": totals.events.to_string(), "docs.deleted": "0",
            "store.size": size, "pri.store.size": size, "dataset.size": size,
        });
        return Json(json!([row])).into_response();
    }
    let header = if params.is_set("v") { "health status index uuid pri rep docs.count docs.deleted store.size pri.store.size\n" } else { "" };
    format!("{header}green open {INDEX} erne 1 0 {} 0 {size} {size}\n", totals.events).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_patterns_of_the_index() {
        for yes in ["erne-events", "erne", "*", "_all", "erne-*", "*events,erne"] {
            assert!(index_ok(yes).is_ok(), "{yes}");
        }
        for no in ["logs", "erne-events,logs", "log*", ""] {
            assert_eq!(index_ok(no).map_err(|f| f.0.status), Err(404), "{no}");
        }
    }
}
