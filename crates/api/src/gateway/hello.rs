//! `POST /api/v1/agent/hello` and `GET /api/v1/agent/profile`: agents say who they are and learn what to do.

use super::directory::Told;
use super::Asker;
use crate::app::App;
use crate::auth::Caller;
use crate::body;
use crate::params::{Params, VERSION, WAIT};
use crate::problem::Problem;
use crate::schema::{Hello, HelloAnswer};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use engine::control::AgentInstance;
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// How often agents say hello.
pub const HEARTBEAT_SECS: u32 = 30;
const WAIT_SECS_MAX: u64 = 60;
const NAME_CHARS_MAX: usize = 200;
const TEXT_CHARS_MAX: usize = 500;

pub async fn hello(State(app): State<App>, Extension(caller): Extension<Caller>, headers: HeaderMap, body::Json(said): body::Json<Hello>) -> Result<Json<HelloAnswer>, Problem> {
    let asker = Asker::of(&app, &caller, &headers)?;
    let now = app.now();
    let application = if said.application.is_empty() { asker.application.clone() } else { bounded("application", &said.application)? };
    let instance = bounded("instance", &said.instance)?;
    if instance.is_empty() {
        return Err(Problem::bad_request("instance is empty; send a name that stays the same while the process lives"));
    }
    let said = AgentInstance { agent: asker.agent.clone(), instance, application, first_seen: now, last_seen: now, hello: shown(&said) };
    // An agent does not need the control plane to know its profile.
    if let Err(error) = app.control().web_hello(&said).await {
        tracing::warn!(%error, agent = %asker.agent, "the hello of an agent cannot be noted");
        app.metrics.shed("agent_hello");
    }
    Ok(Json(HelloAnswer { profile: profile(&asker.told), heartbeat_secs: HEARTBEAT_SECS, server_time: now.to_string() }))
}

/// The profile as agents get it.
pub fn profile(told: &Told) -> Value {
    let mut profile = serde_json::to_value(&told.policy.profile).unwrap_or_default();
    profile["version"] = told.version.into();
    profile
}

fn bounded(name: &str, text: &str) -> Result<String, Problem> {
    let fits = text.chars().count() <= NAME_CHARS_MAX && !text.chars().any(char::is_control);
    if fits { Ok(text.trim().to_owned()) } else { Err(Problem::bad_request(format!("{name} is a name of at most {NAME_CHARS_MAX} printable characters"))) }
}

/// What is kept of a hello: texts of bounded length.
fn shown(said: &Hello) -> Value {
    let mut shown = serde_json::to_value(said).unwrap_or_default();
    shorten(&mut shown);
    shown
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) if text.len() > TEXT_CHARS_MAX => *text = text.chars().take(TEXT_CHARS_MAX).collect(),
        Value::Object(map) => map.values_mut().for_each(shorten),
        _ => {}
    }
}

/// Waits until the profile has another version than the one that the agent has, at most `wait` seconds.
pub async fn poll(State(app): State<App>, Extension(caller): Extension<Caller>, headers: HeaderMap, params: Params) -> Result<Response, Problem> {
    let version = params.number(&VERSION, 0, 0..=u64::MAX)?;
    let wait = params.number(&WAIT, 0, 0..=WAIT_SECS_MAX)?;
    let until = Instant::now() + Duration::from_secs(wait);
    let mut loaded = app.gateway.directory.watch();
    let mut place = None;
    loop {
        loaded.mark_unchanged();
        let told = Asker::of(&app, &caller, &headers)?.told;
        if u64::try_from(told.version) != Ok(version) {
            return Ok(Json(profile(&told)).into_response());
        }
        if Instant::now() >= until {
            return Ok(StatusCode::NOT_MODIFIED.into_response());
        }
        if place.is_none() {
            let free = app.gateway.polls.clone().try_acquire_owned();
            place = Some(free.map_err(|_| {
                app.metrics.shed("agent_polls");
                Problem::busy("too many agents wait for their profiles; ask again without waiting", 30)
            })?);
        }
        tokio::select! {
            changed = loaded.changed() => if changed.is_err() { return Ok(StatusCode::NOT_MODIFIED.into_response()); },
            () = tokio::time::sleep_until(until) => {}
            () = app.stopping.cancelled() => return Ok(StatusCode::NOT_MODIFIED.into_response()),
        }
    }
}
