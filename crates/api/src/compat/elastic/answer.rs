//! The form of requests and answers: parameters, errors, headers.
use crate::observe::Ours;
use crate::problem::{Detail, Problem};
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use engine::lake::LakeError;
use engine::query::Expr;
use engine::query::elastic::{self, ElasticError, Search, Source};
use event::Timestamp;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use std::time::Instant;

pub fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// The whole is one shard, which answered.
pub fn shards() -> Value {
    json!({"total": 1, "successful": 1, "skipped": 0, "failed": 0})
}

/// An error in Elasticsearch's form.
#[derive(Debug)]
pub struct Failure(pub ElasticError);

impl From<ElasticError> for Failure {
    fn from(error: ElasticError) -> Self {
        Self(error)
    }
}

impl From<LakeError> for Failure {
    fn from(error: LakeError) -> Self {
        let (status, kind) = match &error {
            LakeError::BadQuery(_) | LakeError::BadCursor => (400, "illegal_argument_exception"),
            LakeError::Busy => (429, "es_rejected_execution_exception"),
            LakeError::Timeout { .. } => (408, "timeout_exception"),
            _ => (503, "search_phase_execution_exception"),
        };
        if status == 503 {
            tracing::error!(%error, "the lake refused");
            return Self(ElasticError { status, kind, reason: "the search failed; try again".into() });
        }
        Self(ElasticError { status, kind, reason: error.to_string() })
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(of_problem(problem.status(), problem.detail().to_owned()))
    }
}

fn of_problem(status: StatusCode, reason: String) -> ElasticError {
    let kind = match status.as_u16() {
        401 | 403 => "security_exception",
        404 => "resource_not_found_exception",
        406 | 415 => "media_type_header_exception",
        408 => "timeout_exception",
        413 => "content_too_long_exception",
        429 => "es_rejected_execution_exception",
        400 | 405 => "illegal_argument_exception",
        _ => "exception",
    };
    ElasticError { status: status.as_u16(), kind, reason }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(self.0.to_json())).into_response();
        response.extensions_mut().insert(Ours);
        response
    }
}

/// What every answer under `/elastic` has: the header by which clients know the product, the type they asked for, and
/// the gate's refusals in Elasticsearch's form.
pub fn dress(accept: Option<&HeaderValue>, response: Response) -> Response {
    let problem = response.extensions().get::<Detail>().cloned();
    let mut response = match problem {
        Some(Detail(detail)) => {
            let (old, _) = response.into_parts();
            let mut new = Failure(of_problem(old.status, detail)).into_response();
            for name in [header::WWW_AUTHENTICATE, header::RETRY_AFTER, header::ALLOW] {
                if let Some(value) = old.headers.get(&name) {
                    new.headers_mut().insert(name, value.clone());
                }
            }
            *new.extensions_mut() = old.extensions;
            new
        }
        None => response,
    };
    let headers = response.headers_mut();
    headers.insert("x-elastic-product", HeaderValue::from_static("Elasticsearch"));
    let is_json = headers.get(header::CONTENT_TYPE).is_some_and(|t| t.as_bytes().starts_with(b"application/json"));
    if is_json && wants_vendor(accept) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/vnd.elasticsearch+json;compatible-with=8"));
    }
    response
}

fn wants_vendor(accept: Option<&HeaderValue>) -> bool {
    accept.and_then(|a| a.to_str().ok()).is_some_and(|a| a.contains("application/vnd.elasticsearch+json"))
}

/// What a URL may say of the answer and cannot change it.
const IGNORED: &[&str] = &[
    "allow_no_indices", "allow_partial_search_results", "analyze_wildcard", "batched_reduce_size", "bytes", "ccs_minimize_roundtrips", "error_trace", "expand_wildcards",
    "filter_path", "h", "help", "human", "ignore_throttled", "ignore_unavailable", "include_unmapped", "keep_alive", "lenient", "local", "master_timeout",
    "max_concurrent_searches", "max_concurrent_shard_requests", "pre_filter_shard_size", "preference", "pretty", "realtime", "refresh", "request_cache", "rest_total_hits_as_int",
    "routing", "s", "search_type", "time", "timeout", "typed_keys", "types", "wait_for_status", "filters", "include_empty_fields", "flat_settings", "include_defaults",
    "level", "cluster_manager_timeout",
];
/// What handlers read.
const KNOWN: &[&str] = &[
    "q", "default_operator", "df", "from", "size", "sort", "scroll", "scroll_id", "track_total_hits", "_source", "_source_includes", "_source_excludes", "fields", "format", "v",
];
const PARAMS_MAX: usize = 64;

/// The URL's parameters. One that no release has is refused, as by Elasticsearch.
#[derive(Clone, Debug, Default)]
pub struct Params {
    list: Vec<(String, String)>,
    pub scroll: bool,
}

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        Self::read(parts.uri.query().unwrap_or_default())
    }
}

impl Params {
    fn read(query: &str) -> Result<Self, Failure> {
        let list: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().take(PARAMS_MAX).collect();
        if let Some((name, _)) = list.iter().find(|(name, _)| !KNOWN.contains(&name.as_str()) && !IGNORED.contains(&name.as_str())) {
            let name: String = name.chars().take(PARAMS_MAX).collect();
            return Err(Failure(ElasticError::illegal(format!("request contains unrecognized parameter: [{name}]"))));
        }
        let scroll = list.iter().any(|(name, _)| name == "scroll");
        Ok(Self { list, scroll })
    }

    pub fn text(&self, name: &str) -> Option<String> {
        self.list.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone())
    }

    /// Present and not `false`.
    pub fn is_set(&self, name: &str) -> bool {
        self.list.iter().any(|(n, v)| n == name && v != "false")
    }

    pub fn source(&self) -> Option<Source> {
        let [source, includes, excludes] = ["_source", "_source_includes", "_source_excludes"].map(|n| self.text(n));
        elastic::source_of_params(source.as_deref(), includes.as_deref(), excludes.as_deref())
    }

    /// The query of `q`.
    pub fn query(&self, now: Timestamp) -> Result<Option<Expr>, Failure> {
        let and = self.text("default_operator").is_some_and(|o| o.eq_ignore_ascii_case("and"));
        if self.text("df").is_some_and(|df| df != "*") {
            return Err(Failure(ElasticError::illegal("[df] is not supported; write the field in the query")));
        }
        Ok(self.text("q").map(|q| elastic::query_string(&q, and, now)).transpose()?)
    }

    /// The body with what the URL says in its stead, so that a scroll's id holds all.
    pub fn into_body(self, body: Value) -> Result<(Value, Self), Failure> {
        let mut body = if body.is_null() { json!({}) } else { body };
        let Some(map) = body.as_object_mut() else { return Err(Failure(ElasticError::parsing("the body is no object"))) };
        for name in ["from", "size", "track_total_hits"] {
            let Some(text) = self.text(name) else { continue };
            let value = serde_json::from_str(&text).map_err(|_| ElasticError::illegal(format!("[{name}] is no number: {text:?}")))?;
            map.insert(name.into(), value);
        }
        if let Some(sort) = self.text("sort") {
            let list = sort.split(',').map(|one| match one.split_once(':') {
                Some((name, order)) => json!({name: {"order": order}}),
                None => one.into(),
            });
            map.insert("sort".into(), list.collect::<Vec<Value>>().into());
        }
        Ok((body, self))
    }

    pub fn apply(&self, search: &mut Search, now: Timestamp) -> Result<(), Failure> {
        if let Some(more) = self.query(now)? {
            search.expr = std::mem::replace(&mut search.expr, Expr::All).and(more).simplify();
        }
        if let Some(source) = self.source() {
            search.source = source;
        }
        if self.scroll && (search.from > 0 || search.search_after.is_some() || search.oldest_first || search.size == 0) {
            return Err(Failure(ElasticError::illegal("a scroll goes newest first, has a size, and neither [from] nor [search_after]")));
        }
        Ok(())
    }

    /// What old clients want: the total as a number.
    pub fn shape(&self, answer: &mut Value) {
        if self.is_set("rest_total_hits_as_int") && !answer["hits"]["total"].is_null() {
            answer["hits"]["total"] = answer["hits"]["total"]["value"].clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_url_says_goes_into_the_body() {
        let params = Params::read("size=5&sort=@timestamp:asc,_doc&track_total_hits=true&ignore_unavailable=true").unwrap();
        let (body, _) = params.into_body(Value::Null).unwrap();
        assert_eq!(body, json!({"size": 5, "track_total_hits": true, "sort": [{"@timestamp": {"order": "asc"}}, "_doc"]}));
        assert!(Params::read("sizee=5").is_err());
        assert!(Params::read("size=x").unwrap().into_body(Value::Null).is_err());
    }

    #[test]
    fn the_gates_refusals_are_dressed_as_elasticsearchs() {
        let accept = HeaderValue::from_static("application/vnd.elasticsearch+json; compatible-with=8");
        let response = dress(Some(&accept), Problem::unauthorized("log in").into_response());
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()["x-elastic-product"], "Elasticsearch");
        assert!(response.headers().contains_key("www-authenticate"));
        assert_eq!(response.headers()["content-type"], "application/vnd.elasticsearch+json;compatible-with=8");
        let plain = dress(None, axum::Json(json!({})).into_response());
        assert_eq!(plain.headers()["content-type"], "application/json");
    }
}
