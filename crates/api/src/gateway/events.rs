//! `POST /api/v1/agent/events`: what agents decided themselves, or only kept. Answered once it is on disk.

use super::inspect::beside;
use super::record::{Happened, line};
use super::{Asker, BODY_BYTES_MAX};
use crate::app::App;
use crate::auth::Caller;
use crate::body::{self, Limits};
use crate::ingest;
use crate::problem::Problem;
use crate::schema::{EventsAccepted, RefusedItem};
use axum::Extension;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use engine::log::Append;
use engine::web::guard::{Client, Outcome};
use engine::web::wire::{Answer, Request as Asked};
use event::Timestamp;
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr};

const ITEMS_MAX: usize = 1_000;
/// Refused items that the answer names.
const REFUSED_SHOWN: usize = 20;

#[derive(Deserialize)]
struct Batch {
    items: Vec<Value>,
}

/// One request that an agent saw. Without a verdict (mode `lite`) it is inspected here.
#[derive(Deserialize)]
struct Item {
    time: Timestamp,
    transaction: Asked,
    #[serde(default)]
    verdict: Option<Answer>,
    #[serde(default)]
    mode: String,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    latency_us: u64,
}

pub async fn events(State(app): State<App>, Extension(caller): Extension<Caller>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let asker = Asker::of(&app, &caller, &parts.headers)?;
    let idempotency_key = ingest::idempotency_key(&parts.headers, &caller, parts.uri.path())?;
    let limits = Limits { wire_bytes_max: BODY_BYTES_MAX, decoded_bytes_max: BODY_BYTES_MAX };
    let taken = body::read(&app, &parts.headers, body, &limits).await?;
    let (source, own) = (asker.source(), app.clone());
    let (lines, accepted, refused) = beside(move || read(&own, &asker, &taken.bytes)).await?;
    if accepted > 0 {
        let bytes = lines.len() as u64;
        let record = super::told::record(&app, &source, lines);
        app.platform.ingest(Append { records: vec![record], idempotency_key }).await.map_err(|e| ingest::refused(&app, &e))?;
        app.metrics.ingested(bytes);
    }
    Ok((StatusCode::ACCEPTED, axum::Json(EventsAccepted { accepted, refused })).into_response())
}

/// The lines of a batch. An item that cannot be read is refused by itself: an agent that sent the same batch again and
/// again because of it would send nothing else any more.
fn read(app: &App, asker: &Asker, bytes: &[u8]) -> Result<(Vec<u8>, usize, Vec<RefusedItem>), Problem> {
    let batch: Batch = serde_json::from_slice(bytes).map_err(|error| Problem::bad_request(format!("the body does not fit: {error}")))?;
    if batch.items.len() > ITEMS_MAX {
        return Err(Problem::too_large(format!("more than {ITEMS_MAX} items; send them in parts")));
    }
    let (mut lines, mut accepted, mut refused) = (Vec::new(), 0, Vec::new());
    for (index, item) in batch.items.into_iter().enumerate() {
        match serde_json::from_value::<Item>(item) {
            Ok(item) => {
                lines.extend_from_slice(&told(app, asker, item));
                lines.push(b'\n');
                accepted += 1;
            }
            Err(error) if refused.len() < REFUSED_SHOWN => refused.push(RefusedItem { index, why: error.to_string() }),
            Err(_) => {}
        }
    }
    Ok((lines, accepted, refused))
}

fn told(app: &App, asker: &Asker, item: Item) -> Vec<u8> {
    let guard = &asker.told.policy.guard;
    let Item { time, transaction: asked, verdict, mode, blocked, latency_us } = item;
    let answer = verdict.unwrap_or_else(|| inspected(app, asker, &asked, time));
    app.metrics.reported(if blocked { "block" } else { "allow" });
    let mode = if ["lite", "monitor", "protection"].contains(&mode.as_str()) { mode.as_str() } else { "" };
    // What was blocked is the agent's word: the profile may have changed since.
    let time = if time > app.now() { app.now() } else { time };
    line(asker, asked, &answer, &Happened { time, mode, blocked, latency_us }, guard.redactor())
}

fn inspected(app: &App, asker: &Asker, asked: &Asked, time: Timestamp) -> Answer {
    let policy = &asker.told.policy;
    let verdict = app.gateway.inspector.inspect(&asked.transaction);
    let client = Client {
        ip: asked.transaction.peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        route: (!asked.route.is_empty()).then_some(asked.route.as_str()),
        now: time,
    };
    let mut action = policy.guard.decide(&asked.transaction, &verdict, client);
    // Nobody can block what is over.
    action.outcome = Outcome::Allow;
    Answer::new(&asked.id, &verdict, &action, u64::try_from(asker.told.version).unwrap_or_default())
}
