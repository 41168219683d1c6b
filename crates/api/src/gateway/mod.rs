//! The gateway of web protection: agents, proxies and everyone else ask whether a request is an attack, and get an
//! answer that takes their profile into account.
//!
//! A question costs what the inspector costs: who asks, profiles and bans are in memory ([`directory`]), and findings
//! go to the log beside the answer ([`told`]). What agents themselves report is answered once it is on disk.

pub mod bans;
pub mod directory;
pub mod events;
pub mod hello;
pub mod hooks;
pub mod inspect;
pub mod record;
pub mod signature;
pub mod told;

use crate::app::App;
use crate::auth::Caller;
use crate::body::{self, Limits, Share};
use crate::problem::Problem;
use axum::body::Body;
use directory::{Directory, Told};
use engine::web::Inspector;
use engine::web::guard::Rates;
use http::request::Parts;
use parking_lot::Mutex;
use signature::{Nonces, Refused, Signed};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Bodies of agents and of whoever asks for an inspection: 8 MiB as sent, and after decompression.
pub const BODY_BYTES_MAX: usize = 8 << 20;
/// Long polls at a time; they hold a connection each.
const POLLS_MAX: usize = 512;
/// The header by which callers without an agent say for which application they ask.
pub const APPLICATION_HEADER: &str = "x-erne-application";

pub struct Gateway {
    pub inspector: Inspector,
    pub directory: Directory,
    pub nonces: Nonces,
    pub polls: Arc<Semaphore>,
    pub told: told::Queue,
    /// Requests by client, of each profile.
    rates: Mutex<ahash::AHashMap<String, Rates>>,
}

impl Gateway {
    pub fn new() -> Self {
        Self {
            inspector: Inspector::default(),
            directory: Directory::new(),
            nonces: Nonces::new(),
            polls: Arc::new(Semaphore::new(POLLS_MAX)),
            told: told::Queue::new(),
            rates: Mutex::default(),
        }
    }
}

/// Bodies that the gate read to verify a signature hold their share of memory until the request is over.
#[derive(Clone)]
pub struct Held(#[allow(dead_code, reason = "held until it is dropped")] Arc<Share>);

/// The credential of an agent, if the request carries one.
pub fn credential(head: &Parts) -> Option<&str> {
    let value = head.headers.get(http::header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credential) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case(signature::SCHEME).then_some(credential.trim())
}

/// Verifies an agent's signature, for which the body is read. Gives the agent and the body again.
pub async fn agent(app: &App, head: &Parts, body: Body) -> Result<(Caller, Body, Held), Problem> {
    let refuse = |refused: Refused| {
        app.metrics.auth_failed("agent_signature");
        Problem::new(http::StatusCode::UNAUTHORIZED, "gateway/agent-signature", refused.to_string())
    };
    let now = app.now().secs();
    let signed = Signed::parse(credential(head).unwrap_or_default()).map_err(refuse)?;
    signed.timely(now).map_err(refuse)?;
    let copy = app.gateway.directory.current();
    let agent = copy.agent(signed.id).filter(|agent| agent.row.enabled).ok_or_else(|| refuse(Refused::Wrong))?;
    // As sent: the signature is over the bytes on the wire.
    let limits = Limits { wire_bytes_max: BODY_BYTES_MAX, decoded_bytes_max: BODY_BYTES_MAX };
    let taken = body::read(app, &without_coding(head), body, &limits).await?;
    let path = head.uri.path_and_query().map_or("/", |p| p.as_str());
    signed.verify(&agent.row.secret, head.method.as_str(), path, &taken.bytes).map_err(refuse)?;
    app.gateway.nonces.take(&signed, now).map_err(refuse)?;
    let caller = Caller::Agent { id: agent.row.id.clone(), name: agent.row.name.clone() };
    Ok((caller, Body::from(taken.bytes), Held(Arc::new(taken.share))))
}

fn without_coding(head: &Parts) -> http::HeaderMap {
    let length = head.headers.get(http::header::CONTENT_LENGTH);
    length.map(|length| (http::header::CONTENT_LENGTH, length.clone())).into_iter().collect()
}

/// Who asks, and what holds for them.
pub struct Asker {
    /// Empty without an agent.
    pub agent: String,
    /// The agent's name, or the key's, or the user's.
    pub name: String,
    pub application: String,
    pub told: Told,
}

impl Asker {
    pub fn of(app: &App, caller: &Caller, headers: &http::HeaderMap) -> Result<Self, Problem> {
        let copy = app.gateway.directory.current();
        let missing = || Problem::unavailable("agents and profiles are not loaded yet; try again").retry_after(1);
        if let Caller::Agent { id, .. } = caller {
            let agent = copy.agent(id).ok_or_else(|| Problem::unauthorized("there is no such agent any more"))?;
            let row = &agent.row;
            return Ok(Self { agent: id.clone(), name: row.name.clone(), application: row.application.clone(), told: agent.told.clone() });
        }
        let application = headers.get(APPLICATION_HEADER).and_then(|v| v.to_str().ok()).unwrap_or_default().trim();
        crate::v1::agents::application_ok(application, true)?;
        let name = match caller {
            Caller::Key { name, .. } | Caller::User { name, .. } => name.clone(),
            _ => "local".to_owned(),
        };
        let told = copy.application(application).ok_or_else(missing)?;
        Ok(Self { agent: String::new(), name, application: application.to_owned(), told })
    }

    /// The name under which what it tells stands in the log.
    pub fn source(&self) -> String {
        let name = if self.application.is_empty() { &self.name } else { &self.application };
        format!("web:{name}")
    }
}
