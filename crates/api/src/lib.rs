//! The HTTP door of Erne: ingest, the REST API, the WebSockets, login, and the embedded dashboard.
//!
//! It holds no detection and no storage: everything it says comes from [`engine::Platform`], everything it
//! takes goes to the platform's log, and a 2xx for ingest means that the log has fsynced it.
//!
//! - [`ApiConfig`] names every bound that a stranger can push against.
//! - [`Server`] is our own accept loop on hyper: `axum::serve` sets no timers (see `guard`).
//! - [`ROUTES`] is the one table that the router, the gate (who may call what), the OpenAPI document and the
//!   role test are derived from. A route that is not in it does not exist.
//!
//! Errors are problem+json everywhere under `/api`. `docs/api.md` describes the contract for people,
//! `GET /api/openapi.json` for programs.
//!
//! ```no_run
//! # async fn start(platform: engine::Platform) -> Result<(), api::ApiError> {
//! let shutdown = tokio_util::sync::CancellationToken::new();
//! if let Some(password) = api::ensure_admin(platform.control(), platform.now()).await? {
//!     println!("admin password, shown once: {password}");
//! }
//! let server = api::Server::bind(platform, api::ApiConfig::default()).await?;
//! println!("listening on http://{}", server.local_addr());
//! server.run(shutdown).await
//! # }
//! ```

mod app;
mod auth;
mod body;
mod compat;
mod config;
mod gateway;
mod guard;
mod ingest;
mod live;
mod metrics;
mod observe;
mod openapi;
mod ops;
mod params;
mod problem;
mod routes;
mod schema;
mod server;
mod v1;
mod web;

pub use auth::{Access, create_key, ensure_admin, key_has};
pub use config::ApiConfig;
pub use gateway::signature::sign as sign_as_agent;
pub use openapi::document as openapi_document;
pub use routes::{ROUTES, Route, Verb};
pub use server::Server;
pub use tokio_util::sync::CancellationToken;

/// Why the door does not open.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("cannot listen on {address}: {source}; is another instance running?")]
    Bind { address: std::net::SocketAddr, source: std::io::Error },
    #[error("cannot read or make the secret {path}: {source}")]
    Secret { path: String, source: std::io::Error },
    #[error("the control plane failed: {0}")]
    Control(#[from] engine::control::ControlError),
    #[error("cannot hash a password: {0}")]
    Password(String),
}
