//! For operators and their machines: is it alive, is it ready, how is it doing.
use crate::app::App;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

pub async fn healthz() -> &'static str {
    "ok\n"
}

pub async fn readyz(State(app): State<App>) -> Response {
    let readiness = app.platform.readiness();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(readiness)).into_response()
}

pub async fn metrics(State(app): State<App>) -> Response {
    let mut own = String::new();
    app.platform.metrics(&mut own);
    // OpenMetrics allows one end mark only, at the end.
    let mut text: String = own.lines().filter(|line| *line != "# EOF").flat_map(|line| [line, "\n"]).collect();
    app.metrics.write(&mut text);
    text.push_str("# EOF\n");
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
}
