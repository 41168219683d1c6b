//! The embedded dashboard. The files stand in a table made by `build.rs`: a path is looked up, never opened,
//! so there is nothing to traverse.
use crate::problem::Problem;
use crate::routes::ROUTES;
use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

struct Asset {
    /// Below the root, without a slash in front.
    path: &'static str,
    kind: &'static str,
    etag: &'static str,
    plain: &'static [u8],
    gzip: Option<&'static [u8]>,
}

// `static ASSETS: &[Asset]`, sorted by path.
include!(concat!(env!("OUT_DIR"), "/assets.rs"));

const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Erne</title>\
<style>body{font:16px/1.5 system-ui;margin:4rem auto;max-width:40rem;padding:0 1rem}</style>\
<h1>Erne is running</h1><p>The dashboard is not built into this binary. Install Node.js 20 and npm, then run \
<code>cargo build --release</code> in the project again; or build it elsewhere and name its folder in \
<code>WEB_DIST</code>.</p><p>The API works: see <a href=\"/api/openapi.json\">/api/openapi.json</a>.</p></html>";

fn asset(path: &str) -> Option<&'static Asset> {
    ASSETS.binary_search_by(|a| a.path.cmp(path)).ok().map(|i| &ASSETS[i])
}

/// Everything that is no route: files of the dashboard, or its page.
pub async fn page(request: Request) -> Response {
    let path = request.uri().path();
    if path == "/api" || path.starts_with("/api/") || path.starts_with("/ws/") || path.starts_with("/elastic/") {
        return Problem::of_status(StatusCode::NOT_FOUND).into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response();
    }
    if climbs(path) {
        return StatusCode::NOT_FOUND.into_response();
    }
    match asset(path.trim_start_matches('/')) {
        Some(asset) => serve(asset, request.headers()),
        // A missing script must not be answered with a page that a browser would keep for a year.
        None if path.starts_with("/assets/") => StatusCode::NOT_FOUND.into_response(),
        None => index(request.headers()),
    }
}

/// Whether a path tries to leave its folder; the look-up would not follow it, but a 404 says it plainly.
fn climbs(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    lower.contains("..") || lower.contains("%2e%2e") || lower.contains(".%2e") || lower.contains("%2e.") || lower.contains('\\') || lower.contains("%5c") || lower.contains("%00")
}

fn index(headers: &HeaderMap) -> Response {
    match asset("index.html") {
        Some(asset) => serve(asset, headers),
        None => ([(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")], NOT_BUILT).into_response(),
    }
}

fn serve(asset: &'static Asset, headers: &HeaderMap) -> Response {
    let unchanged = headers.get(header::IF_NONE_MATCH).is_some_and(|v| v.as_bytes() == asset.etag.as_bytes());
    let gzip = asset.gzip.filter(|_| takes_gzip(headers));
    let mut response = match (unchanged, gzip) {
        (true, _) => StatusCode::NOT_MODIFIED.into_response(),
        (false, Some(bytes)) => ([(header::CONTENT_ENCODING, "gzip")], bytes).into_response(),
        (false, None) => asset.plain.into_response(),
    };
    let cache = if asset.path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    out.insert(header::ETAG, HeaderValue::from_static(asset.etag));
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    out.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    response
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).is_some_and(|v| v.split(',').any(|c| c.trim().split(';').next() == Some("gzip")))
}

/// The path is a route, the method is not one of its.
pub async fn wrong_method(path: Option<MatchedPath>) -> Response {
    let mut response = Problem::of_status(StatusCode::METHOD_NOT_ALLOWED).into_response();
    let verbs: Vec<&str> = ROUTES.iter().filter(|r| path.as_ref().is_some_and(|p| p.as_str() == r.path)).map(|r| r.verb.as_str()).collect();
    if let Ok(allow) = HeaderValue::from_str(&verbs.join(", ")) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}
