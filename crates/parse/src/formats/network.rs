//! Records of network sensors within `json`: Suricata's EVE (and `erne agent`, which writes its shape) and Zeek's logs as
//! JSON. Addresses, ports, time and names of events are those of customary members; this adds what only such records have:
//! requests in the columns and under the names of `access_log`, names that were asked for, and a message for people.

use crate::{members, web};
use compact_str::{CompactString, ToCompactString, format_compact};
use event::{Class, Event, LogSource, Map, Status, Value};

/// Reads such a record; false, and nothing changed, if it is none.
pub(super) fn read(event: &mut Event, map: &mut Map) -> bool {
    if let Some(kind) = eve_kind(map) {
        read_eve(event, map, &kind);
    } else if is_zeek(map) {
        read_zeek(event, map);
    } else {
        return false;
    }
    true
}

/// An EVE record names its kind, and has an object of that name, or the ids that all its kinds share.
fn eve_kind(map: &Map) -> Option<CompactString> {
    let kind = CompactString::from(map.get("event_type")?.as_str()?);
    let known = map.get(&kind).is_some_and(|body| body.as_map().is_some()) || map.get("flow_id").is_some() || map.get("community_id").is_some();
    (known && map.get("timestamp").is_some()).then_some(kind)
}

fn is_zeek(map: &Map) -> bool {
    let flat = |name| map.get(name).is_some();
    let conn = flat("id.orig_h") || map.get("id").is_some_and(|id| id.get("orig_h").is_some());
    conn && flat("uid") && flat("ts")
}

/// Members of one record, by any of their names.
fn text(map: &Map, names: &[&str]) -> Option<CompactString> {
    members::text(map, names).filter(|text| text != "-" && text != "(empty)")
}

fn int(map: &Map, names: &[&str]) -> Option<i64> {
    members::first(map, names).and_then(Value::as_i64)
}

/// What both say of a request.
struct Http {
    method: Option<CompactString>,
    host: Option<CompactString>,
    target: Option<CompactString>,
    version: Option<CompactString>,
    status: Option<i64>,
    bytes: Option<i64>,
    agent: Option<CompactString>,
    referrer: Option<CompactString>,
}

fn read_eve(event: &mut Event, map: &mut Map, kind: &str) {
    let message = match kind {
        "http" => {
            let http = Http {
                method: text(map, &["http.http_method"]),
                host: text(map, &["http.hostname"]),
                target: text(map, &["http.url"]),
                version: text(map, &["http.protocol"]),
                status: int(map, &["http.status"]),
                bytes: int(map, &["http.length"]),
                agent: text(map, &["http.http_user_agent"]),
                referrer: text(map, &["http.http_refer"]),
            };
            event.log_source = LogSource { product: "", category: "webserver", service: "" };
            Some(set_http(event, map, http))
        }
        "dns" => {
            let (name, kind, code) = (text(map, &["dns.rrname", "dns.query.rrname"]), text(map, &["dns.rrtype"]), text(map, &["dns.rcode"]));
            event.log_source = LogSource { product: "", category: "dns", service: "" };
            set_dns(event, map, name, kind, code)
        }
        "tls" | "quic" => {
            let (name, version) = (text(map, &["tls.sni", "quic.sni"]), text(map, &["tls.version", "quic.version"]));
            set_tls(event, name, version, text(map, &["tls.ja4", "quic.ja4", "ja4"]))
        }
        "ssh" => {
            event.ocsf.status = outcome(members::first(map, &["erne.authenticated"]));
            set_ssh(text(map, &["ssh.client.software_version"]), text(map, &["ssh.server.software_version"]))
        }
        "alert" => {
            event.ocsf.activity = text(map, &["alert.category"]);
            text(map, &["alert.signature"])
        }
        "fileinfo" => text(map, &["fileinfo.filename"]).map(|name| format_compact!("file {name}")),
        "flow" | "netflow" => Some(flow(map, &["flow.bytes_toserver"], &["flow.bytes_toclient"], &["app_proto"], &["flow.state"])),
        _ => None,
    };
    event.ocsf.message = event.ocsf.message.take().or(message);
}

fn read_zeek(event: &mut Event, map: &mut Map) {
    let path = text(map, &["_path", "log", "path"]);
    let service = zeek_service(path.as_deref(), map);
    // Only names that rules use: of the others nobody would know that they match nothing.
    let known = if super::json::is_log_source_name(service) { service } else { "" };
    event.log_source = LogSource { product: "zeek", category: "", service: known };
    event.ocsf.api_operation = Some(service.into()).filter(|s: &CompactString| !s.is_empty());
    // These are members of Zeek's own, not what the generic names take them for.
    (event.ocsf.product, event.ocsf.user_name) = (None, text(map, &["username", "user"]));
    let message = match service {
        "http" => {
            let http = Http {
                method: text(map, &["method"]),
                host: text(map, &["host"]),
                target: text(map, &["uri"]),
                version: text(map, &["version"]),
                status: int(map, &["status_code"]),
                bytes: int(map, &["response_body_len"]),
                agent: text(map, &["user_agent"]),
                referrer: text(map, &["referrer"]),
            };
            event.ocsf.device_hostname = None;
            Some(set_http(event, map, http))
        }
        "dns" => {
            let (name, kind, code) = (text(map, &["query"]), text(map, &["qtype_name"]), text(map, &["rcode_name"]));
            set_dns(event, map, name, kind, code)
        }
        "ssl" => set_tls(event, text(map, &["server_name"]), text(map, &["version"]), text(map, &["ja4"])),
        "ssh" => {
            event.ocsf.status = outcome(members::first(map, &["auth_success"]));
            set_ssh(text(map, &["client"]), text(map, &["server"]))
        }
        "notice" => text(map, &["msg", "note"]),
        "conn" => Some(flow(map, &["orig_bytes"], &["resp_bytes"], &["service"], &["conn_state"])),
        _ => None,
    };
    event.ocsf.message = message.or_else(|| event.ocsf.message.take());
}

/// The log a record is of: by its name, else by members that only one of them has.
fn zeek_service(path: Option<&str>, map: &Map) -> &'static str {
    const SERVICES: [&str; 12] = ["conn", "dns", "http", "ssl", "ssh", "notice", "x509", "rdp", "kerberos", "smb_files", "dce_rpc", "files"];
    let by_name = path.and_then(|path| SERVICES.into_iter().find(|name| *name == path));
    let has = |name| map.get(name).is_some();
    by_name.unwrap_or_else(|| match () {
        () if has("conn_state") => "conn",
        () if has("method") && has("uri") => "http",
        () if has("note") => "notice",
        () if has("auth_attempts") || has("hassh") => "ssh",
        () if has("cipher") || has("server_name") => "ssl",
        () if has("query") || has("qtype_name") => "dns",
        () => "",
    })
}

fn set_http(event: &mut Event, map: &mut Map, http: Http) -> CompactString {
    event.class = Class::HttpActivity;
    if let Some(host) = &http.host {
        members::add(map, "cs-host", host.clone());
        event.ocsf.http.hostname = Some(host.clone());
    }
    if let (Some(method), Some(target)) = (&http.method, &http.target) {
        let version = http.version.as_deref().map(|v| v.trim_start_matches("HTTP/"));
        web::set_request(event, map, &web::Request { method, target, version });
    }
    if let Some(status) = http.status {
        web::set_status(event, map, status);
    }
    if let Some(bytes) = http.bytes {
        web::set_bytes(&mut event.ocsf.http, map, bytes);
    }
    if let Some(agent) = &http.agent {
        web::set_agent(&mut event.ocsf.http, map, agent);
    }
    if let Some(referrer) = &http.referrer {
        web::set_referrer(&mut event.ocsf.http, map, referrer);
    }
    let word = |text: &Option<CompactString>| text.clone().unwrap_or_else(|| "-".into());
    let status = http.status.map_or_else(|| "no answer".into(), |status| status.to_compact_string());
    format_compact!("{} {}{} {status}", word(&http.method), http.host.as_deref().unwrap_or_default(), word(&http.target))
}

fn set_dns(event: &mut Event, map: &mut Map, name: Option<CompactString>, kind: Option<CompactString>, code: Option<CompactString>) -> Option<CompactString> {
    let name = name?;
    // Sigma's `dns` rules and threat lists look for the name here.
    members::add(map, "query", name.clone());
    if let Some(kind) = &kind {
        members::add(map, "record_type", kind.clone());
    }
    event.ocsf.status = match code.as_deref() {
        Some("NOERROR") => Status::Success,
        Some(_) => Status::Failure,
        None => Status::Unknown,
    };
    event.ocsf.dst.hostname = Some(name.clone());
    Some(format_compact!("{} {name} {}", kind.as_deref().unwrap_or("?"), code.as_deref().unwrap_or("no answer")))
}

fn set_tls(event: &mut Event, name: Option<CompactString>, version: Option<CompactString>, ja4: Option<CompactString>) -> Option<CompactString> {
    event.ocsf.dst.hostname = name.clone();
    let words: Vec<CompactString> = [name, version, ja4].into_iter().flatten().collect();
    (!words.is_empty()).then(|| words.join(" ").into())
}

fn set_ssh(client: Option<CompactString>, server: Option<CompactString>) -> Option<CompactString> {
    (client.is_some() || server.is_some()).then(|| format_compact!("{} to {}", client.as_deref().unwrap_or("?"), server.as_deref().unwrap_or("?")))
}

fn outcome(success: Option<&Value>) -> Status {
    match success {
        Some(Value::Bool(true)) => Status::Success,
        Some(Value::Bool(false)) => Status::Failure,
        _ => Status::Unknown,
    }
}

fn flow(map: &Map, sent: &[&str], received: &[&str], app: &[&str], state: &[&str]) -> CompactString {
    let word = |names: &[&str]| text(map, names).filter(|word| word != "failed").unwrap_or_else(|| "unknown".into());
    format_compact!("{} {} {} bytes out, {} bytes in", word(app), word(state), int(map, sent).unwrap_or(0), int(map, received).unwrap_or(0))
}
