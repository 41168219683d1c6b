//! `POST /api/v1/inspect`: one transaction in, verdict and action out.

use super::{Asker, BODY_BYTES_MAX};
use crate::app::App;
use crate::auth::Caller;
use crate::body::{self, Limits};
use crate::problem::Problem;
use axum::Extension;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use engine::web::guard::{Client, Mode, Outcome};
use engine::web::wire::{Answer, Request as Asked};
use engine::web::{Decision, Verdict};
use http::header;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

/// Bodies above this are read and inspected beside the threads that serve sockets. Chosen, not tuned: 32 KB of JSON are
/// inspected in 0.6 ms (`erne web measure`, a quiet machine).
const BESIDE_BYTES_MIN: usize = 32 << 10;

pub async fn inspect(State(app): State<App>, Extension(caller): Extension<Caller>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let asker = Asker::of(&app, &caller, &parts.headers)?;
    let limits = Limits { wire_bytes_max: BODY_BYTES_MAX, decoded_bytes_max: BODY_BYTES_MAX };
    let taken = body::read(&app, &parts.headers, body, &limits).await?;
    let is_small = taken.bytes.len() < BESIDE_BYTES_MIN;
    let work = move || {
        let asked = serde_json::from_slice(&taken.bytes).map_err(|error| Problem::bad_request(format!("the body does not fit: {error}")))?;
        let answer = judge(&app, &asker, asked);
        serde_json::to_vec(&answer).map_err(|_| Problem::unavailable("the answer cannot be written"))
    };
    let json = if is_small { work()? } else { beside(work).await? };
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}

/// Runs what takes long on a thread of its own.
pub async fn beside<T: Send + 'static>(work: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Problem::unavailable("the inspection failed"))?
}

/// Inspects, decides, and tells the log what was found.
pub fn judge(app: &App, asker: &Asker, asked: Asked) -> Answer {
    let began = Instant::now();
    let policy = &asker.told.policy;
    let version = u64::try_from(asker.told.version).unwrap_or_default();
    let (now, transaction) = (app.now(), &asked.transaction);
    let route = (!asked.route.is_empty()).then_some(asked.route.as_str());
    if policy.guard.mode(&transaction.target, route) == Mode::Off {
        app.metrics.inspected("allow", "off", began.elapsed());
        return Answer { id: asked.id, profile_version: version, mode: Mode::Off, ..Answer::default() };
    }
    let verdict = app.gateway.inspector.inspect(transaction);
    let ip = transaction.peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let mut action = policy.guard.decide(transaction, &verdict, Client { ip, route, now });
    if let (Some(ip), Err(secs)) = (transaction.peer, app.gateway.counted(policy, transaction.peer, now)) {
        action.reasons.push(format!("{ip} asks more often than the profile allows; again in {secs} s"));
        if action.mode == Mode::Protection {
            action.outcome = Outcome::Block;
        }
    }
    let answer = Answer::new(&asked.id, &verdict, &action, version);
    let took = began.elapsed();
    app.metrics.inspected(
        if action.verdict == Decision::Attack { "attack" } else { "allow" },
        if action.outcome == Outcome::Block { "block" } else { "allow" },
        took,
    );
    if is_worth_telling(&verdict, &answer) {
        app.gateway.told.push(app, asker, asked, &answer, took);
    }
    answer
}

/// Whether the log should know: something was found, or something was done.
fn is_worth_telling(verdict: &Verdict, answer: &Answer) -> bool {
    !verdict.findings.is_empty() || !answer.patches.is_empty() || answer.banned || answer.action == Outcome::Block
}

impl super::Gateway {
    /// Counts a request against the profile's limit; an error holds the seconds to wait.
    fn counted(&self, policy: &super::directory::Policy, ip: Option<IpAddr>, now: event::Timestamp) -> Result<(), u64> {
        let limit = policy.guard.rate_limit();
        let Some(ip) = ip.filter(|_| limit.requests > 0) else { return Ok(()) };
        self.rates.lock().entry(policy.id.clone()).or_default().take(limit, ip, now)
    }
}
