//! What proxies ask before they pass a request on: nginx `auth_request` and Envoy `ext_authz` over HTTP. 2xx lets the
//! request through, 403 does not.
//!
//! A proxy asks with the client's own headers, so credentials for us are looked for where clients have none
//! (`X-API-Key`), and are taken out before the request is inspected.

use super::inspect::judge;
use super::{APPLICATION_HEADER, Asker, BODY_BYTES_MAX};
use crate::app::App;
use crate::auth::Caller;
use crate::body::{self, Limits};
use crate::problem::Problem;
use axum::Extension;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use engine::web::Transaction;
use engine::web::guard::Outcome;
use engine::web::wire::Request as Asked;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::net::IpAddr;

/// Headers that the proxies add for us, and that are not the client's.
const OURS: &[&str] = &["x-api-key", "x-original-method", "x-original-uri", "x-real-ip", "x-original-proto", APPLICATION_HEADER];
const ENVOY: &str = "/api/v1/hooks/envoy";
/// The block page, unless the profile has one.
const PAGE: &str = "<!doctype html><title>Blocked</title><p>This request was blocked.</p>\n";

/// `GET /api/v1/hooks/nginx`. The body never comes along: `auth_request` asks before it is read.
pub async fn nginx(State(app): State<App>, Extension(caller): Extension<Caller>, headers: HeaderMap) -> Result<Response, Problem> {
    let text = |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let target = text("x-original-uri").ok_or_else(|| missing("X-Original-URI $request_uri"))?;
    let method = text("x-original-method").ok_or_else(|| missing("X-Original-Method $request_method"))?;
    let peer = text("x-real-ip").ok_or_else(|| missing("X-Real-IP $remote_addr"))?;
    let asker = Asker::of(&app, &caller, &headers)?;
    let transaction = Transaction { method, target, headers: of_client(&headers, &caller, true), peer: peer.trim().parse().ok(), ..Transaction::default() };
    Ok(answer(&app, &asker, transaction, text("x-original-proto").unwrap_or_default(), StatusCode::NO_CONTENT))
}

fn missing(directive: &str) -> Problem {
    Problem::bad_request(format!("the proxy does not say what was asked; add `proxy_set_header {directive};` to the location of the hook"))
}

/// Any method at `/api/v1/hooks/envoy/<path>`, as Envoy's `path_prefix` makes it. With `with_request_body` the body
/// comes along, up to the number of bytes that is configured there.
pub async fn envoy(State(app): State<App>, Extension(caller): Extension<Caller>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let asker = Asker::of(&app, &caller, &parts.headers)?;
    let limits = Limits { wire_bytes_max: BODY_BYTES_MAX, decoded_bytes_max: BODY_BYTES_MAX };
    // The client's coding is the client's: the inspector undoes it, and says what it could not.
    let taken = body::read(&app, &HeaderMap::new(), body, &limits).await?;
    let target = parts.uri.path_and_query().map_or("", |p| p.as_str());
    let target = target.strip_prefix(ENVOY).filter(|rest| rest.starts_with('/')).unwrap_or("/").to_owned();
    let forwarded = parts.headers.get_all("x-forwarded-for").iter().filter_map(|v| v.to_str().ok()).next_back();
    let client = parts.headers.get("x-envoy-external-address").and_then(|v| v.to_str().ok());
    // The last entry is Envoy's own word about its peer.
    let client = client.or_else(|| forwarded.and_then(|list| list.rsplit(',').next()));
    let peer: Option<IpAddr> = client.and_then(|text| text.trim().parse().ok());
    let body_truncated = parts.headers.get("x-envoy-auth-partial-body").is_some_and(|v| v.as_bytes() == b"true");
    let transaction = Transaction {
        method: parts.method.as_str().to_owned(),
        target,
        headers: of_client(&parts.headers, &caller, false),
        body: taken.bytes.to_vec(),
        body_truncated,
        peer,
        ..Transaction::default()
    };
    let scheme = parts.headers.get("x-forwarded-proto").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    Ok(answer(&app, &asker, transaction, scheme, StatusCode::OK))
}

fn answer(app: &App, asker: &Asker, transaction: Transaction, scheme: String, pass: StatusCode) -> Response {
    let told = judge(app, asker, Asked { scheme, transaction, ..Asked::default() });
    let verdict = if told.action == Outcome::Block { "block" } else { "allow" };
    let mut response = if told.action == Outcome::Block {
        let page = &asker.told.policy.profile.block.body;
        let page = if page.is_empty() { PAGE.to_owned() } else { page.clone() };
        let mut response = (StatusCode::FORBIDDEN, page).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        response.extensions_mut().insert(crate::observe::Ours);
        response
    } else {
        pass.into_response()
    };
    response.headers_mut().insert("x-erne-action", HeaderValue::from_static(verdict));
    if let Ok(score) = HeaderValue::from_str(&format!("{:.2}", told.score)) {
        response.headers_mut().insert("x-erne-score", score);
    }
    response
}

/// The headers that the client sent. What the proxy or its question added is not among them: nginx asks over a
/// connection of its own, and without the body that `Content-Length` and its like speak of.
fn of_client(headers: &HeaderMap, caller: &Caller, without_body: bool) -> Vec<(String, String)> {
    let gone = |name: &str| {
        OURS.contains(&name)
            || (name == "connection")
            || (without_body && matches!(name, "content-length" | "transfer-encoding" | "content-encoding"))
    };
    let ours = |value: &HeaderValue| matches!(caller, Caller::Key { .. }) && value.as_bytes().starts_with(b"Bearer erne_");
    headers
        .iter()
        .filter(|(name, value)| !gone(name.as_str()) && !(*name == header::AUTHORIZATION && ours(value)))
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}
