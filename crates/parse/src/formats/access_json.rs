//! Access logs of nginx and Apache whose log format is a JSON object. Everyone names the members after the
//! server's variables or after ECS, so each is looked up by several names.

use super::{Reader, Spec, access_log};
use crate::{address, members, time, web};
use compact_str::CompactString;
use event::{Class, Event, Format, Map, Value};

pub const SPEC: Spec = Spec {
    format: Format::AccessJson,
    about: "Access logs written as JSON, one request per line: nginx, Apache, and as Traefik and Caddy write them. Known names: `remote_addr` / \
            `client_ip` / `clientip` / `remote_ip`; `request`, or `request_method` / `method` with \
            `request_uri` / `uri` / `url`; `status`; `body_bytes_sent` / `bytes`; `http_user_agent` / \
            `user_agent`; `http_referer` / `referer`; `http_host` / `host`; `time_iso8601` / `time_local` / \
            `timestamp` / `@timestamp`. The names of `access_log` are added to the original members.",
    log_source: "as `access_log`",
    reader: Reader::Json { detect, read },
    example: r#"{"time_iso8601":"2026-11-20T10:00:00+00:00","remote_addr":"198.51.100.7","request":"GET /.env HTTP/1.1","status":404,"body_bytes_sent":153,"http_user_agent":"curl/8.5.0"}"#,
};

const CLIENT: &[&str] = &["remote_addr", "client_ip", "clientip", "remote_ip", "client", "remote_host", "c-ip", "client.ip", "source.ip", "ip", "ClientHost", "request.client_ip", "request.remote_ip"];
const REQUEST: &[&str] = &["request", "request_line"];
const METHOD: &[&str] = &["request_method", "method", "verb", "http_method", "cs-method", "http.request.method", "RequestMethod", "request.method"];
const TARGET: &[&str] = &["request_uri", "uri", "url", "path", "cs-uri-query", "url.original", "RequestPath", "request.uri"];
const STATUS: &[&str] = &["status", "status_code", "response", "sc-status", "http.response.status_code", "DownstreamStatus", "OriginStatus"];
const BYTES: &[&str] = &["body_bytes_sent", "bytes", "bytes_sent", "size", "sc-bytes", "http.response.body.bytes", "DownstreamContentSize"];
const AGENT: &[&str] = &["http_user_agent", "user_agent", "agent", "userAgent", "cs-user-agent", "user_agent.original", "request_User-Agent", "request.headers.User-Agent"];
const REFERRER: &[&str] = &["http_referer", "referer", "referrer", "http_referrer", "cs-referer", "http.request.referrer", "request_Referer", "request.headers.Referer"];
const HOST: &[&str] = &["http_host", "host", "vhost", "server_name", "cs-host", "url.domain", "RequestHost", "request.host"];
const USER: &[&str] = &["remote_user", "user", "auth", "cs-username", "user.name"];
const VERSION: &[&str] = &["server_protocol", "protocol", "http_version", "request_protocol", "RequestProtocol", "request.proto"];
const TIME: &[&str] = &["time_iso8601", "@timestamp", "timestamp", "time_local", "time", "msec", "ts", "datetime"];

fn detect(map: &Map) -> bool {
    members::first(map, CLIENT).is_some()
        && members::first(map, STATUS).and_then(Value::as_i64).is_some()
        && (members::first(map, REQUEST).is_some()
            || (members::first(map, METHOD).is_some() && members::first(map, TARGET).is_some()))
}

fn read(event: &mut Event, mut map: Map) {
    event.class = Class::HttpActivity;
    event.log_source = access_log::log_source(&event.source);
    time::set(event, members::first(&map, TIME));
    let text = |names: &[&str]| members::text(&map, names).filter(|text| text != "-");
    let (client, user, host) = (text(CLIENT), text(USER), text(HOST));
    let (agent, referrer) = (text(AGENT), text(REFERRER));
    let (request, status, bytes) = (request_line(&map), members::first(&map, STATUS), members::first(&map, BYTES));
    let (status, bytes) = (status.and_then(Value::as_i64), bytes.and_then(Value::as_i64));
    if let Some(client) = client {
        address::set_endpoint(&mut event.ocsf.src, &client);
        members::add(&mut map, "c-ip", client);
    }
    if let Some(user) = user {
        members::add(&mut map, "cs-username", user.clone());
        event.ocsf.user_name = Some(user);
    }
    if let Some(host) = host {
        members::add(&mut map, "cs-host", host.clone());
        event.ocsf.http.hostname = Some(host);
    }
    web::set_date(event, &mut map);
    access_log::set_request(event, &mut map, &request.unwrap_or_default());
    if let Some(status) = status {
        web::set_status(event, &mut map, status);
    }
    if let Some(bytes) = bytes {
        web::set_bytes(&mut event.ocsf.http, &mut map, bytes);
    }
    if let Some(referrer) = referrer {
        web::set_referrer(&mut event.ocsf.http, &mut map, &referrer);
    }
    if let Some(agent) = agent {
        web::set_agent(&mut event.ocsf.http, &mut map, &agent);
    }
    event.native = Value::Map(map);
}

/// The request line, put together from its parts where the log has only those.
fn request_line(map: &Map) -> Option<CompactString> {
    if let Some(line) = members::text(map, REQUEST).filter(|line| line.contains(' ')) {
        return Some(line);
    }
    let mut line = members::text(map, METHOD)?;
    line.push(' ');
    line.push_str(&members::text(map, TARGET)?);
    if let Some(query) = members::text(map, &["args", "query_string"]).filter(|_| !line.contains('?')) {
        line.push('?');
        line.push_str(query.trim_start_matches('?'));
    }
    if let Some(version) = members::text(map, VERSION) {
        line.push_str(if version.starts_with("HTTP/") { " " } else { " HTTP/" });
        line.push_str(&version);
    }
    Some(line)
}
