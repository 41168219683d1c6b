//! The doors for logs. A body is one [`event::Record`], whatever it holds: the processor splits it, so that
//! the answer waits for the disk only.
use crate::app::App;
use crate::auth::Caller;
use crate::body::{self, Limits};
use crate::params::{FORMAT, Params, SOURCE, did_you_mean};
use crate::problem::Problem;
use crate::schema::Accepted;
use crate::server::Peer;
use axum::Extension;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use engine::log::{Append, AppendError};
use event::{Format, Record};
use http::{HeaderMap, StatusCode};

const SOURCE_CHARS_MAX: usize = 128;
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// `POST /api/v1/ingest`
pub async fn ingest(State(app): State<App>, Extension(caller): Extension<Caller>, params: Params, request: Request) -> Result<Response, Problem> {
    let format = params.get(&FORMAT).map(format).transpose()?;
    take(&app, &caller, &params, request, "http", |_| format).await
}

/// `POST /api/logs`: the Sentinel path.
pub async fn logs(State(app): State<App>, Extension(caller): Extension<Caller>, params: Params, request: Request) -> Result<Response, Problem> {
    take(&app, &caller, &params, request, "app", |body| looks_like_json(body).then_some(Format::AppLog)).await
}

fn format(text: &str) -> Result<Format, Problem> {
    Format::parse(text).ok_or_else(|| {
        let names = Format::ALL.map(Format::as_str);
        Problem::bad_request(format!("there is no format {text:?}{}; they are {}", did_you_mean(text, &names), names.join(", ")))
    })
}

fn looks_like_json(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    matches!(body.first(), Some(b'{' | b'['))
}

async fn take(app: &App, caller: &Caller, params: &Params, request: Request, default_source: &str, format: impl FnOnce(&[u8]) -> Option<Format>) -> Result<Response, Problem> {
    let source = source(caller, params, default_source)?;
    let (parts, body) = request.into_parts();
    let idempotency_key = idempotency_key(&parts.headers, caller, parts.uri.path())?;
    let limits = Limits { wire_bytes_max: app.config.wire_bytes_max, decoded_bytes_max: app.config.decoded_bytes_max };
    let taken = body::read(app, &parts.headers, body, &limits).await?;
    if taken.bytes.is_empty() {
        return Err(Problem::bad_request("the body is empty; send at least one entry"));
    }
    let bytes = taken.bytes.len() as u64;
    let record = Record {
        source: source.into(),
        format: format(&taken.bytes),
        received: app.now(),
        peer: parts.extensions.get::<Peer>().map(|p| p.0.ip().to_canonical()),
        body: taken.bytes,
    };
    let appended = app.platform.ingest(Append { records: vec![record], idempotency_key }).await.map_err(|e| refused(app, &e))?;
    drop(taken.share);
    app.metrics.ingested(bytes);
    let accepted = Accepted { status: "accepted", first_offset: appended.first, next_offset: appended.next, duplicate: appended.duplicate };
    Ok((StatusCode::ACCEPTED, axum::Json(accepted)).into_response())
}

/// What the sender says, else its key's name: one key may carry the logs of several applications of a host.
fn source(caller: &Caller, params: &Params, default: &str) -> Result<String, Problem> {
    let of_key = if let Caller::Key { name, .. } = caller { Some(name.as_str()) } else { None };
    let name = params.get(&SOURCE).or(of_key).unwrap_or(default);
    if name.chars().count() > SOURCE_CHARS_MAX || name.chars().any(char::is_control) {
        return Err(Problem::bad_request(format!("source is a name of at most {SOURCE_CHARS_MAX} printable characters")));
    }
    Ok(name.to_owned())
}

/// Scoped by caller and path, so that nobody can swallow another's request by guessing its key.
pub fn idempotency_key(headers: &HeaderMap, caller: &Caller, path: &str) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().filter(|k| !k.is_empty() && k.len() <= IDEMPOTENCY_KEY_BYTES_MAX);
    let key = key.ok_or_else(|| Problem::bad_request("Idempotency-Key is 1 to 255 printable characters"))?;
    Ok(Some(format!("{}\n{path}\n{key}", caller.label())))
}

pub fn refused(app: &App, error: &AppendError) -> Problem {
    let detail = error.to_string();
    let (reason, problem) = match error {
        AppendError::Busy { bound, retry_after } => (*bound, Problem::busy(detail, retry_after.as_secs_f64().ceil() as u64)),
        AppendError::DiskFull { .. } => ("disk_full", Problem::unavailable(detail).retry_after(30)),
        AppendError::TooLarge { .. } => ("append_bytes_max", Problem::too_large(detail)),
        AppendError::Stopped(_) => ("log_stopped", Problem::unavailable(detail)),
    };
    app.metrics.shed(reason);
    problem
}
