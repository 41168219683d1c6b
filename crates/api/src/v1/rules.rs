//! Rules: what they are and can match, and what they would do. Nothing here changes what runs.
use super::Items;
use crate::app::App;
use crate::body;
use crate::params::{Params, SCORE};
use crate::problem::Problem;
use crate::schema::{ExplainRequest, ReplayRequest, RuleText};
use axum::Json;
use axum::extract::{Path, State};
use engine::{EventChoice, LoadIssue, Replay, ReplayLimits, RuleChoice, RuleDetail, Score, Trace, WorkError};
use event::{Format, Rule, Timestamp};
use http::header;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

/// Seconds that a replay over the API may take, and what it takes when nothing is said.
const REPLAY_SECS_MAX: u64 = 600;
const REPLAY_SECS: u64 = 60;

pub async fn one(State(app): State<App>, Path(id): Path<String>) -> Result<Json<RuleDetail>, Problem> {
    app.platform.rule(&id).map(Json).ok_or_else(|| Problem::not_found("there is no such rule"))
}

#[derive(Serialize)]
pub struct Checked {
    rules: Vec<Arc<Rule>>,
    issues: Vec<Issue>,
}

#[derive(Serialize)]
struct Issue {
    file: String,
    line: Option<usize>,
    message: String,
    hint: Option<String>,
}

impl From<LoadIssue> for Issue {
    fn from(issue: LoadIssue) -> Self {
        Self { file: issue.file, line: issue.line, message: issue.message, hint: issue.hint }
    }
}

pub async fn check(State(app): State<App>, body::Json(request): body::Json<RuleText>) -> Result<Json<Checked>, Problem> {
    let text = request.text;
    if text.len() > engine::RULE_TEXT_BYTES_MAX {
        return Err(Problem::too_large(format!("{} bytes of rules, at most {} are read", text.len(), engine::RULE_TEXT_BYTES_MAX)));
    }
    let platform = app.platform.clone();
    let (rules, issues) = blocking(move || platform.check_rules(&text)).await?;
    Ok(Json(Checked { rules, issues: issues.into_iter().map(Issue::from).collect() }))
}

pub async fn replay(State(app): State<App>, body::Json(request): body::Json<ReplayRequest>) -> Result<Json<Replay>, Problem> {
    let choice = choice(request.rule_id, request.text)?;
    let (from, to) = (time("from", &request.from)?, time("to", &request.to)?);
    let secs_max = request.secs_max.unwrap_or(REPLAY_SECS).clamp(1, REPLAY_SECS_MAX);
    let limits = ReplayLimits { secs_max, ..ReplayLimits::default() };
    Ok(Json(app.platform.replay(choice, from, to, limits).await?))
}

#[derive(Serialize)]
pub struct Explained {
    /// One for each rule: of a correlation, those that it counts.
    #[serde(flatten)]
    first: Trace,
    more: Vec<Trace>,
}

pub async fn explain(State(app): State<App>, body::Json(request): body::Json<ExplainRequest>) -> Result<Json<Explained>, Problem> {
    let choice = choice(request.rule_id, request.text)?;
    let format = match request.format.as_deref() {
        None => None,
        Some(name) => Some(Format::parse(name).ok_or_else(|| Problem::bad_request(format!("there is no format {name:?}")))?),
    };
    let event = match (request.event_uid, request.raw) {
        (Some(uid), None) if format.is_none() => EventChoice::Uid(uid),
        (None, Some(raw)) => EventChoice::Raw { raw, format },
        _ => return Err(Problem::bad_request("give either event_uid, or raw and if need be its format")),
    };
    let mut traces = app.platform.explain(choice, event).await?.into_iter();
    let first = traces.next().ok_or_else(|| Problem::bad_request("there is no detection rule among them"))?;
    Ok(Json(Explained { first, more: traces.collect() }))
}

pub async fn navigator(State(app): State<App>, params: Params) -> Result<([(header::HeaderName, &'static str); 1], Json<Value>), Problem> {
    let score = match params.get(&SCORE) {
        None | Some("rules") => Score::Rules,
        Some("findings") => Score::Findings,
        Some(other) => return Err(Problem::bad_request(format!("{other:?} is no score; they are rules, findings"))),
    };
    let download = [(header::CONTENT_DISPOSITION, "attachment; filename=\"erne-attack-layer.json\"")];
    Ok((download, Json(app.platform.navigator(score))))
}

pub async fn list(State(app): State<App>) -> Json<Items<Arc<Rule>>> {
    Json(Items { items: app.platform.rules() })
}

fn choice(rule_id: Option<String>, text: Option<String>) -> Result<RuleChoice, Problem> {
    match (rule_id, text) {
        (Some(id), None) => Ok(RuleChoice::Id(id)),
        (None, Some(text)) => Ok(RuleChoice::Text(text)),
        _ => Err(Problem::bad_request("give either rule_id or text")),
    }
}

fn time(name: &str, text: &str) -> Result<Timestamp, Problem> {
    Timestamp::parse(text).ok_or_else(|| Problem::bad_request(format!("{name} is no time; write 2026-11-20T10:00:00Z")))
}

/// Compiling many rules takes a good part of a second: not on the threads that serve sockets.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Problem::unavailable("the work failed; try again"))
}

impl From<WorkError> for Problem {
    fn from(error: WorkError) -> Self {
        match error {
            WorkError::NoRule(_) | WorkError::NoEvent => Self::not_found(error.to_string()),
            WorkError::BadText(_) | WorkError::Bad(_) => Self::bad_request(error.to_string()),
            WorkError::Busy => Self::busy(error.to_string(), 5),
            WorkError::Stopping => Self::unavailable(error.to_string()),
            WorkError::Lake(error) => error.into(),
        }
    }
}
