//! The application log of `POST /api/logs`: `{service, status_code, message, timestamp}` and whatever else
//! the application adds.

use super::{Reader, Spec};
use crate::{address, members, time, web};
use event::{Class, Event, Format, LogSource, Map, Value};

pub const SPEC: Spec = Spec {
    format: Format::AppLog,
    about: "The application log of `POST /api/logs`: an object with `service`, `status_code`, `message` and \
            `timestamp`, an array of them, or one per line. Further members are kept. The source address is \
            taken from `source_ip`, `ip`, `client_ip` or `remote_addr`, else from the message's text; its \
            location from an object like `source.geo` if it holds both coordinates. A request line in the \
            message (`\"GET /x?y HTTP/1.1\"`) is read as in an access log.",
    log_source: "category `webserver` if the message holds a request line, else category `application`",
    reader: Reader::Json { detect, read },
    example: r#"{"service":"checkout","status_code":500,"message":"\"GET /cart?id=1%27 HTTP/1.1\" from 198.51.100.7 failed","timestamp":"2026-11-20T10:00:00Z"}"#,
};

const IP_NAMES: &[&str] = &["source_ip", "ip", "client_ip", "remote_addr", "src_ip", "client.ip", "source.ip"];
const USER_NAMES: &[&str] = &["user", "username", "user_name", "user.name", "user_id", "user.id"];
const AGENT_NAMES: &[&str] = &["user_agent", "http_user_agent", "userAgent"];

fn detect(map: &Map) -> bool {
    let has = |name| map.get(name).is_some();
    has("service") && has("message") && has("status_code")
}

fn read(event: &mut Event, mut map: Map) {
    event.class = Class::ApplicationLog;
    event.log_source.category = "application";
    time::set(event, members::first(&map, &["timestamp", "@timestamp", "time"]));
    event.ocsf.product = members::text(&map, &["service"]);
    event.ocsf.user_name = members::text(&map, USER_NAMES);
    event.ocsf.device_hostname = members::text(&map, &["hostname", "host"]);
    event.ocsf.src.location = members::location(&map);
    let message = members::text(&map, &["message"]).unwrap_or_default();
    let request = web::find_request(&message);
    match members::text(&map, IP_NAMES) {
        Some(text) => address::set_endpoint(&mut event.ocsf.src, &text),
        None => set_found_address(event, &message, request.map_or("", |request| request.target)),
    }
    let code = members::first(&map, &["status_code"]).and_then(Value::as_i64);
    if let Some(request) = request {
        event.log_source = LogSource { category: "webserver", ..event.log_source };
        web::set_request(event, &mut map, &request);
        add_names(event, &mut map, code);
    }
    if let Some(code) = code {
        event.ocsf.http.response_code = Some(code);
        event.ocsf.status = web::status_of(code);
    }
    if let Some(agent) = members::text(&map, AGENT_NAMES) {
        web::set_agent(&mut event.ocsf.http, &mut map, &agent);
    }
    event.ocsf.message = Some(message);
    event.native = Value::Map(map);
}

/// The first address in the message, but none in the request's target: that text is the client's choice.
fn set_found_address(event: &mut Event, message: &str, target: &str) {
    let (before, after) = match target {
        "" => (message, ""),
        target => message.split_once(target).unwrap_or((message, "")),
    };
    if let Some((ip, port)) = address::find(before).or_else(|| address::find(after)) {
        event.ocsf.src.ip = Some(address::canonical(ip));
        event.ocsf.src.port = port.map(i64::from);
    }
}

/// The names that Sigma's web server rules use, beside the log's own.
fn add_names(event: &mut Event, map: &mut Map, code: Option<i64>) {
    if let Some(ip) = &event.ocsf.src.ip {
        members::add(map, "c-ip", ip.clone());
    }
    if let Some(code) = code {
        web::set_status(event, map, code);
    }
}
