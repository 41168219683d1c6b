//! Sentinel: `WS /ws/logs`, one flat object per event. Its `POST /api/logs` is in `ingest`.
use super::{at, is_threat};
use crate::app::App;
use crate::auth::Caller;
use crate::guard::Activity;
use crate::live::open;
use crate::problem::Problem;
use axum::Extension;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::response::Response;
use engine::Topic;
use event::{Id, Severity};
use serde_json::{Value, json};
use std::sync::Arc;

pub async fn logs(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(activity): Extension<Arc<Activity>>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let reader = app.platform.live(None);
    let shape = |message: Result<engine::Live, u64>| {
        let live = message.ok().filter(|live| live.topic == Topic::Event)?;
        Some(log(&serde_json::from_str(&live.json).ok()?).to_string())
    };
    open(&app, caller, &activity, upgrade, reader, Box::new(shape))
}

fn log(event: &Value) -> Value {
    let or = |first: &str, second: &str| {
        let value = at(event, first);
        if value.is_null() { at(event, second).clone() } else { value.clone() }
    };
    json!({
        "id": uuid(at(event, "metadata.uid").as_str().unwrap_or_default()),
        "is_threat": is_threat(event),
        "severity": severity(event),
        "source_ip": at(event, "src_endpoint.ip"),
        "service": or("metadata.product.name", "metadata.log_name"),
        "status_code": at(event, "http_response.code"),
        "message": or("message", "raw_data"),
        "timestamp": at(event, "time"),
    })
}

/// The uid if it is a UUID, else one made of it: the client keys its list by it.
fn uuid(uid: &str) -> String {
    let is_uuid = uid.len() == 36 && uid.matches('-').count() == 4;
    match Id::parse(uid).filter(|_| is_uuid) {
        Some(_) => uid.to_owned(),
        None => Id::of(&[b"sentinel", uid.as_bytes()]).to_string(),
    }
}

fn severity(event: &Value) -> &'static str {
    let level = event["severity"].as_str().and_then(Severity::parse).unwrap_or_default();
    match level {
        Severity::High | Severity::Critical => "CRITICAL",
        Severity::Low | Severity::Medium => "WARNING",
        Severity::Informational if is_threat(event) => "WARNING",
        Severity::Informational => "INFO",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_becomes_sentinels_flat_object() {
        let event = json!({
            "time": "2026-11-20T10:00:00.000000Z", "severity": "high", "message": "union select",
            "metadata": {"uid": "17-0", "log_name": "app", "product": {"name": "payment-gateway"}},
            "src_endpoint": {"ip": "203.0.113.7"}, "http_response": {"code": 500}, "finding_info": {"rules": ["r"]},
        });
        let out = log(&event);
        assert_eq!(out["is_threat"], true);
        assert_eq!(out["severity"], "CRITICAL");
        assert_eq!(out["service"], "payment-gateway");
        assert_eq!(out["status_code"], 500);
        assert_eq!(out["id"].as_str().unwrap().len(), 36);
        assert_eq!(out, log(&event));
        let seeds = ["id", "is_threat", "severity", "source_ip", "service", "status_code", "message", "timestamp"];
        assert_eq!(out.as_object().unwrap().len(), seeds.len());
        assert!(seeds.iter().all(|name| out.get(name).is_some()));
        let plain = log(&json!({"raw_data": "x", "metadata": {"uid": "0e0b8dc4-6d3c-4a3b-9f0a-1b2c3d4e5f60", "log_name": "app"}}));
        assert_eq!((plain["id"].as_str(), plain["severity"].as_str()), (Some("0e0b8dc4-6d3c-4a3b-9f0a-1b2c3d4e5f60"), Some("INFO")));
        assert_eq!((plain["service"].as_str(), plain["message"].as_str()), (Some("app"), Some("x")));
    }
}
