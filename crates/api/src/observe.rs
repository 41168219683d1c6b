//! What every answer passes on its way out: counting, the access log, security headers, and problem+json
//! for errors that a layer below gave in its own words.
use crate::app::App;
use crate::auth::Caller;
use crate::problem::Problem;
use crate::server::Peer;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use std::fmt::Write;
use std::time::Instant;

/// The template of the route that answered, put into the answer by the gate.
#[derive(Clone, Copy)]
pub struct Template(pub &'static str);

/// An error whose form is meant, though it is no problem+json.
#[derive(Clone, Copy)]
pub struct Ours;

const PATH_LOGGED_CHARS_MAX: usize = 200;
const CSP: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// Text of a stranger, safe for a terminal and for a line of a log: control characters (CR, LF, ESC) are
/// written as escapes.
pub fn inert(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().take(PATH_LOGGED_CHARS_MAX) {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            let _ = write!(out, "\\u{{{:x}}}", c as u32);
        } else {
            out.push(c);
        }
    }
    out
}

pub async fn observe(State(app): State<App>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    // The query is left out: a WebSocket's may hold a token.
    let path = request.uri().path().to_owned();
    let peer = request.extensions().get::<Peer>().copied();
    let accept = request.headers().get(header::ACCEPT).cloned();
    let mut response = next.run(request).await;
    if path.starts_with("/api/") || path == "/api" {
        response = as_problem(response);
    }
    if path.starts_with(crate::compat::whale::PATH) {
        response = crate::compat::whale::dress(response);
    }
    if path.starts_with("/elastic/") || path == "/elastic" {
        response = crate::compat::elastic::dress(accept.as_ref(), as_problem(response));
    }
    harden(response.headers_mut(), &path);
    let template = response.extensions().get::<Template>().map_or("other", |t| t.0);
    let status = response.status().as_u16();
    app.metrics.answered(template, status, began.elapsed());
    let caller = response.extensions().get::<Caller>().map_or_else(String::new, Caller::label);
    log(&method, &path, status, began.elapsed().as_secs_f64() * 1e3, peer, &caller);
    response
}

fn log(method: &http::Method, path: &str, status: u16, ms: f64, peer: Option<Peer>, caller: &str) {
    let (path, caller) = (inert(path), inert(caller));
    let peer = peer.map(|p| p.0.to_string()).unwrap_or_default();
    // Successful ingest and scraping are counted; a line each would be the largest log on the machine.
    if status < 400 && (method == http::Method::POST || matches!(path.as_str(), "/healthz" | "/readyz" | "/metrics") || is_asked_often(&path)) {
        tracing::debug!(target: "erne::access", %method, %path, status, ms, %peer, %caller);
    } else {
        tracing::info!(target: "erne::access", %method, %path, status, ms, %peer, %caller);
    }
}

/// Questions of agents and proxies come with every request that they see.
fn is_asked_often(path: &str) -> bool {
    path.starts_with("/api/v1/hooks/") || path.starts_with("/api/v1/agent/")
}

fn as_problem(response: Response) -> Response {
    let status = response.status();
    let is_ours = response.extensions().get::<Ours>().is_some()
        || response.headers().get(header::CONTENT_TYPE).is_some_and(|t| t.as_bytes() == b"application/problem+json");
    if is_ours || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (old, _) = response.into_parts();
    let mut problem = Problem::of_status(status).into_response();
    if let Some(allow) = old.headers.get(header::ALLOW) {
        problem.headers_mut().insert(header::ALLOW, allow.clone());
    }
    if status == StatusCode::UPGRADE_REQUIRED {
        problem.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    }
    *problem.extensions_mut() = old.extensions;
    problem
}

fn harden(headers: &mut HeaderMap, path: &str) {
    let mut set = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::CONTENT_SECURITY_POLICY, CSP);
    if path.starts_with("/api") || path.starts_with("/elastic") {
        set(header::CACHE_CONTROL, "no-store");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_text_cannot_write_log_lines() {
        assert_eq!(inert("/a\r\nGET\u{1b}[31m"), "/a\\u{d}\\u{a}GET\\u{1b}[31m");
        assert_eq!(inert(&"x".repeat(1000)).len(), PATH_LOGGED_CHARS_MAX);
    }
}
