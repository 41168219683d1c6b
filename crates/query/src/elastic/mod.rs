//! The body of an Elasticsearch `_search` as a plan: its query as an [`Expr`], and what to answer about the matches.
//!
//! The names and meanings are those of Elasticsearch 8's query DSL for the clauses that analysts, Grafana and the
//! official clients send. What has another meaning here or none is an [`ElasticError`], never left out in silence;
//! only what cannot change the answer (`boost`, `highlight`, `timeout`, …) is accepted and has no effect.
//!
//! ```
//! use event::Timestamp;
//! let body = serde_json::json!({"query": {"bool": {"filter": [{"term": {"user.name": "alice"}}]}}, "size": 5});
//! let search = query::elastic::search(&body, Timestamp(0)).unwrap();
//! assert_eq!((search.expr.to_string().as_str(), search.size), ("actor.user.name:alice", 5));
//! let error = query::elastic::search(&serde_json::json!({"query": {"fuzzy": {}}}), Timestamp(0)).unwrap_err();
//! assert_eq!(error.kind, "parsing_exception");
//! ```
mod aggs;
mod clause;
mod part;
mod simple;

pub use aggs::{Agg, AGGS_MAX, Interval, Kind, Order, TimeFormat};

use crate::{Expr, QueryError};
use event::{Column, Timestamp};
use part::Part;
use serde_json::{Map, Value, json};

/// Hits that one answer holds, with those that `from` leaves out; Elasticsearch's `index.max_result_window`.
pub const WINDOW_MAX: usize = 10_000;
/// Hits of an answer that does not say how many.
pub const SIZE_DEFAULT: usize = 10;
/// Matches that are counted if the request does not say; more are "at least".
pub const TRACKED_DEFAULT: u64 = 10_000;
/// Clauses within clauses, and aggregations within aggregations.
pub const NESTED_MAX: usize = 16;
/// Names of fields in one list.
pub const NAMES_MAX: usize = 256;

/// Why a body is refused, as Elasticsearch says it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ElasticError {
    pub status: u16,
    /// Elasticsearch's name of the kind of error, `parsing_exception`.
    pub kind: &'static str,
    pub reason: String,
}

impl ElasticError {
    pub fn parsing(reason: impl Into<String>) -> Self {
        Self { status: 400, kind: "parsing_exception", reason: reason.into() }
    }

    pub fn illegal(reason: impl Into<String>) -> Self {
        Self { status: 400, kind: "illegal_argument_exception", reason: reason.into() }
    }

    /// The body of the answer.
    pub fn to_json(&self) -> Value {
        let cause = json!({"type": self.kind, "reason": self.reason});
        json!({"error": {"root_cause": [cause], "type": self.kind, "reason": self.reason}, "status": self.status})
    }
}

/// A query within the body, in one of the languages of text.
impl From<QueryError> for ElasticError {
    fn from(error: QueryError) -> Self {
        let hint = error.hint.map(|h| format!("; {h}")).unwrap_or_default();
        Self { status: 400, kind: "query_shard_exception", reason: format!("{} (at character {}){hint}", error.message, error.column) }
    }
}

/// How many of the matches are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracked {
    All,
    None,
    UpTo(u64),
}

/// Which parts of the source an answer holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Source {
    pub left_out: bool,
    /// Patterns of paths; none is all.
    pub includes: Vec<String>,
    pub excludes: Vec<String>,
}

/// A field asked for beside the source.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldAsked {
    /// A name or a pattern of names.
    pub name: String,
    pub format: Option<TimeFormat>,
}

/// A body, understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    pub expr: Expr,
    pub from: usize,
    pub size: usize,
    pub oldest_first: bool,
    /// How times stand in `sort`, and whether hits have it at all.
    pub sorted: Option<TimeFormat>,
    pub search_after: Option<Vec<Value>>,
    /// The id of a point in time.
    pub pit: Option<String>,
    pub tracked: Tracked,
    pub source: Source,
    pub fields: Vec<FieldAsked>,
    pub aggs: Vec<(String, Agg)>,
}

/// Reads the body of `_search`; null or `{}` is every event.
pub fn search(body: &Value, now: Timestamp) -> Result<Search, ElasticError> {
    let empty = Map::new();
    let map = match body {
        Value::Null => &empty,
        Value::Object(map) => map,
        _ => return Err(ElasticError::parsing("the body is no object")),
    };
    let mut context = Context { now, clauses: 0, aggs: 0 };
    let mut part = Part::new("search", map);
    part.ignore(&["highlight", "timeout", "explain", "version", "seq_no_primary_term", "profile", "stored_fields", "terminate_after", "track_scores", "min_score", "preference"]);
    let script = part.take("script_fields");
    if script.is_some_and(|s| s.as_object().is_none_or(|s| !s.is_empty())) {
        return Err(ElasticError::illegal("[script_fields] scripts are not supported"));
    }
    let mut fields = fields(part.take("fields"))?;
    fields.extend(self::fields(part.take("docvalue_fields"))?);
    let (oldest_first, sorted) = sort(part.take("sort"))?;
    let aggs = match (part.take("aggs"), part.take("aggregations")) {
        (Some(_), Some(_)) => return Err(ElasticError::parsing("[aggs] stands there twice")),
        (Some(aggs), None) | (None, Some(aggs)) => context.aggs(aggs, 0)?,
        (None, None) => Vec::new(),
    };
    let expr = part.take("query").map_or(Ok(Expr::All), |q| context.query(q, 0))?;
    let expr = part.take("post_filter").map_or(Ok(Expr::All), |q| {
        if aggs.is_empty() { context.query(q, 0) } else { Err(ElasticError::illegal("[post_filter] beside aggregations is not supported; use a filter in the query")) }
    })?.and(expr);
    let search = Search {
        expr: expr.simplify(),
        from: part.number("from", 0)?,
        size: part.number("size", SIZE_DEFAULT)?,
        oldest_first,
        sorted,
        search_after: part.take("search_after").map(after).transpose()?,
        pit: part.take("pit").map(pit).transpose()?,
        tracked: part.take("track_total_hits").map_or(Ok(Tracked::UpTo(TRACKED_DEFAULT)), tracked)?,
        source: part.take("_source").map_or(Ok(Source::default()), source)?,
        fields,
        aggs,
    };
    part.end()?;
    if search.from.saturating_add(search.size) > WINDOW_MAX {
        return Err(ElasticError::illegal(format!(
            "Result window is too large, from + size must be less than or equal to: [{WINDOW_MAX}]; use search_after to page through more"
        )));
    }
    if search.search_after.is_some() && search.from > 0 {
        return Err(ElasticError::illegal("`from` parameter must be set to 0 when `search_after` is used"));
    }
    Ok(search)
}

/// The body of `_count` and of what else holds a query only.
pub fn query_only(body: &Value, now: Timestamp) -> Result<Expr, ElasticError> {
    let Value::Object(map) = body else {
        return if body.is_null() { Ok(Expr::All) } else { Err(ElasticError::parsing("the body is no object")) };
    };
    let mut part = Part::new("count", map);
    let query = part.take("query");
    part.end()?;
    let mut context = Context { now, clauses: 0, aggs: 0 };
    Ok(query.map_or(Ok(Expr::All), |q| context.query(q, 0))?.simplify())
}

/// The `q` of a URL: a `query_string` whose terms side by side are alternatives, unless `and` says otherwise.
pub fn query_string(text: &str, and: bool, now: Timestamp) -> Result<Expr, ElasticError> {
    let dialect = crate::parse::Dialect { or: !and, lower_case_words: true, fields: Vec::new() };
    Ok(crate::parse::parse_as(text, now, &dialect)?)
}

/// The column of a name in a body: as in a query, and with `.keyword` behind it or `_id`.
pub fn field(name: &str) -> Result<&'static Column, ElasticError> {
    if name == "_id" {
        return Ok(event::column("metadata.uid").expect("the list has it"));
    }
    crate::field(name.strip_suffix(".keyword").unwrap_or(name)).map_err(|e| {
        let hint = e.hint.map(|h| format!("; {h}")).unwrap_or_default();
        ElasticError { status: 400, kind: "query_shard_exception", reason: format!("{}{hint}", e.message) }
    })
}

pub(crate) struct Context {
    now: Timestamp,
    clauses: usize,
    aggs: usize,
}

fn after(value: &Value) -> Result<Vec<Value>, ElasticError> {
    value.as_array().filter(|a| !a.is_empty() && a.len() <= 4).cloned().ok_or_else(|| {
        ElasticError::parsing("[search_after] is the array `sort` of the last hit before")
    })
}

fn pit(value: &Value) -> Result<String, ElasticError> {
    let mut part = Part::of("pit", value)?;
    part.ignore(&["keep_alive"]);
    let id = part.text("id")?.ok_or_else(|| ElasticError::parsing("[pit] needs an [id]"))?;
    part.end()?;
    Ok(id)
}

fn tracked(value: &Value) -> Result<Tracked, ElasticError> {
    match value {
        Value::Bool(true) => Ok(Tracked::All),
        Value::Bool(false) => Ok(Tracked::None),
        _ => value.as_u64().map(Tracked::UpTo).ok_or_else(|| ElasticError::parsing("[track_total_hits] is true, false or a number")),
    }
}

fn names(value: &Value, what: &str) -> Result<Vec<String>, ElasticError> {
    let wrong = || ElasticError::parsing(format!("[{what}] is a name or an array of at most {NAMES_MAX} names"));
    match value {
        Value::String(one) => Ok(one.split(',').map(|n| n.trim().to_owned()).filter(|n| !n.is_empty()).collect()),
        Value::Array(list) if list.len() <= NAMES_MAX => list.iter().map(|n| n.as_str().map(str::to_owned).ok_or_else(wrong)).collect(),
        _ => Err(wrong()),
    }
}

fn source(value: &Value) -> Result<Source, ElasticError> {
    match value {
        Value::Bool(shown) => Ok(Source { left_out: !shown, ..Source::default() }),
        Value::Object(_) => {
            let mut part = Part::of("_source", value)?;
            let includes = part.take_either("includes", "include").map_or(Ok(Vec::new()), |v| names(v, "includes"))?;
            let excludes = part.take_either("excludes", "exclude").map_or(Ok(Vec::new()), |v| names(v, "excludes"))?;
            part.end()?;
            Ok(Source { left_out: false, includes, excludes })
        }
        list => Ok(Source { includes: names(list, "_source")?, ..Source::default() }),
    }
}

/// `_source`, `_source_includes` and `_source_excludes` of a URL.
pub fn source_of_params(source: Option<&str>, includes: Option<&str>, excludes: Option<&str>) -> Option<Source> {
    if source.is_none() && includes.is_none() && excludes.is_none() {
        return None;
    }
    let list = |text: Option<&str>| -> Vec<String> { text.unwrap_or_default().split(',').filter(|n| !n.is_empty()).map(str::to_owned).collect() };
    let mut found = Source { left_out: source == Some("false"), includes: list(includes), excludes: list(excludes) };
    if !matches!(source, Some("true" | "false")) {
        found.includes.extend(list(source));
    }
    Some(found)
}

fn fields(value: Option<&Value>) -> Result<Vec<FieldAsked>, ElasticError> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let list = value.as_array().filter(|l| l.len() <= NAMES_MAX).ok_or_else(|| ElasticError::parsing(format!("[fields] is an array of at most {NAMES_MAX} fields")))?;
    list.iter()
        .map(|one| match one {
            Value::String(name) => Ok(FieldAsked { name: name.clone(), format: None }),
            _ => {
                let mut part = Part::of("fields", one)?;
                part.ignore(&["include_unmapped"]);
                let name = part.text("field")?.ok_or_else(|| ElasticError::parsing("[fields] needs a [field]"))?;
                let format = part.text("format")?.map(|f| TimeFormat::parse(&f)).transpose()?;
                part.end()?;
                Ok(FieldAsked { name, format })
            }
        })
        .collect()
}

/// The order of the hits: by time, or as they come.
fn sort(value: Option<&Value>) -> Result<(bool, Option<TimeFormat>), ElasticError> {
    let list: &[Value] = match value {
        None => return Ok((false, None)),
        Some(Value::Array(list)) => list,
        Some(one) => std::slice::from_ref(one),
    };
    let (mut oldest_first, mut sorted) = (false, None);
    for one in list {
        let (name, options) = match one {
            Value::String(name) => (name.as_str(), None),
            Value::Object(map) if map.len() == 1 => map.iter().next().map(|(n, o)| (n.as_str(), Some(o))).expect("it has one"),
            _ => return Err(ElasticError::parsing("[sort] is a name or an object with one name")),
        };
        let (mut ascending, mut format) = (false, TimeFormat::EpochMillis);
        match options {
            None => {}
            Some(Value::String(order)) => ascending = order == "asc",
            Some(options) => {
                let mut part = Part::of("sort", options)?;
                part.ignore(&["unmapped_type", "missing", "mode", "numeric_type"]);
                ascending = match part.text("order")?.as_deref() {
                    Some("asc") => true,
                    Some("desc") => false,
                    None => name != "_score",
                    Some(other) => return Err(ElasticError::illegal(format!("no such order [{other}]; write asc or desc"))),
                };
                if let Some(text) = part.text("format")? {
                    format = TimeFormat::parse(&text)?;
                }
                part.end()?;
            }
        }
        match name {
            "_doc" | "_shard_doc" | "_score" | "_id" => sorted = sorted.or(Some(format)),
            _ if field(name)?.path == "time" => {
                // As in Elasticsearch, a name alone is ascending.
                oldest_first = ascending || options.is_none();
                sorted = Some(format);
            }
            _ => return Err(ElasticError::illegal(format!("[sort] by [{name}] is not supported; hits are in the order of @timestamp"))),
        }
    }
    Ok((oldest_first, sorted))
}

#[cfg(test)]
mod tests;
