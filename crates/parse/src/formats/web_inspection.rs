//! A request that the gateway inspected, or an agent that asked it: what was asked, what was found, what was done about
//! it, and whether the answer shows that it worked. The API writes these lines; agents cannot choose their members.

use super::{Reader, Spec};
use crate::{address, members, time, web};
use compact_str::{CompactString, format_compact};
use event::{Class, Event, Format, LogSource, Map, Value};

pub const SPEC: Spec = Spec {
    format: Format::WebInspection,
    about: "A request with findings, as `POST /api/v1/inspect` and the agents' `POST /api/v1/agent/events` tell it: \
            request, verdict, findings and what was done. The platform writes these lines itself. Added are `class` \
            (of the strongest finding), `techniques`, `locations`, `outcome` (`blocked`, `answered`, `refused`, \
            `server_error`, `unknown`) and `evidence` that an attack worked: `leak` (the answer shows an error or a \
            secret), `server_error` (after an injection), `answered` (a file or upload, with 2xx), `redirect`.",
    log_source: "product `erne`, category `waf`",
    reader: Reader::Json { detect, read },
    example: r#"{"erne":"web_inspection","time":"2026-11-20T10:00:00Z","agent":{"id":"agt_1","name":"shop-1","application":"shop"},"mode":"monitor","action":"allow","blocked":false,"client_ip":"198.51.100.7","request":{"method":"GET","uri":"/items?id=1%27%20OR%20%271%27=%271","http_version":"1.1","host":"shop.example","user_agent":"curl/8.5.0"},"response":{"status":500},"verdict":"attack","score":0.98,"classes":["sqli"],"findings":[{"analyser":"sqli","class":"sqli","location":"query:id","chain":["url"],"value":"1' OR '1'='1","score":0.98,"cwe":"CWE-89","technique":"T1190","why":"a condition that is always true"}]}"#,
};

/// Classes that make a server run or resolve what the request holds: a failing server after one of them listened to it.
const INJECTIONS: &[&str] = &[
    "sqli", "nosql", "ldap", "xpath", "command_injection", "code_injection", "template_injection", "expression_language",
    "xxe", "ssi", "deserialisation", "lookup",
];
/// Classes whose success is an ordinary answer.
const FETCHED: &[&str] = &["traversal", "file_inclusion", "upload"];

fn detect(map: &Map) -> bool {
    map.get("erne").and_then(Value::as_str) == Some("web_inspection")
}

fn read(event: &mut Event, mut map: Map) {
    event.class = Class::HttpActivity;
    event.log_source = LogSource { product: "erne", category: "waf", service: "" };
    time::set(event, map.get("time"));
    event.ocsf.product = members::text(&map, &["agent.application"]);
    let text = |name: &str| members::text(&map, &[name]);
    let (method, uri, version) = (text("request.method"), text("request.uri"), text("request.http_version"));
    let (client, host) = (text("client_ip"), text("request.host"));
    let (agent, referrer) = (text("request.user_agent"), text("request.referrer"));
    let number = |name: &str| members::first(&map, &[name]).and_then(Value::as_i64);
    let (status, length) = (number("response.status"), number("response.length"));
    if let Some(client) = client {
        address::set_endpoint(&mut event.ocsf.src, &client);
        members::add(&mut map, "c-ip", event.ocsf.src.ip.clone().unwrap_or(client));
    }
    if let Some(host) = host {
        members::add(&mut map, "cs-host", host.clone());
        event.ocsf.http.hostname = Some(host);
    }
    let request = web::Request { method: method.as_deref().unwrap_or("-"), target: uri.as_deref().unwrap_or("-"), version: version.as_deref() };
    web::set_request(event, &mut map, &request);
    if let Some(status) = status {
        web::set_status(event, &mut map, status);
    }
    if let Some(length) = length {
        web::set_bytes(&mut event.ocsf.http, &mut map, length);
    }
    if let Some(agent) = agent {
        web::set_agent(&mut event.ocsf.http, &mut map, &agent);
    }
    if let Some(referrer) = referrer {
        web::set_referrer(&mut event.ocsf.http, &mut map, &referrer);
    }
    judge(event, &mut map, status);
    event.native = Value::Map(map);
}

/// What came of it, in words that rules use.
fn judge(event: &mut Event, map: &mut Map, status: Option<i64>) {
    let classes = texts(map.get("classes"));
    let blocked = matches!(map.get("blocked"), Some(Value::Bool(true)));
    let outcome = outcome(blocked, status);
    if blocked {
        event.ocsf.status = event::Status::Failure;
        event.ocsf.status_detail = Some(CompactString::const_new("blocked"));
    }
    let evidence = evidence(blocked, status, &classes);
    event.ocsf.message = Some(message(map, &classes, outcome));
    if let Some(class) = classes.first() {
        members::add(map, "class", class.clone());
    }
    event.ocsf.finding_types = classes;
    for (name, member) in [("techniques", "technique"), ("locations", "location")] {
        let found = of_findings(map, member);
        add_list(map, name, found);
    }
    members::add(map, "outcome", outcome);
    add_list(map, "evidence", evidence.into_iter().map(CompactString::const_new).collect());
}

fn outcome(blocked: bool, status: Option<i64>) -> &'static str {
    match status {
        _ if blocked => "blocked",
        Some(100..400) => "answered",
        Some(400..500) => "refused",
        Some(500..600) => "server_error",
        _ => "unknown",
    }
}

fn evidence(blocked: bool, status: Option<i64>, classes: &[CompactString]) -> Vec<&'static str> {
    let among = |names: &[&str]| classes.iter().any(|class| names.contains(&class.as_str()));
    let mut found = Vec::new();
    if blocked {
        return found;
    }
    if among(&["leak"]) && classes.iter().any(|class| class != "leak" && class != "scanner") {
        found.push("leak");
    }
    if status.is_some_and(|code| (500..600).contains(&code)) && among(INJECTIONS) {
        found.push("server_error");
    }
    if status.is_some_and(|code| (200..300).contains(&code)) && among(FETCHED) {
        found.push("answered");
    }
    if status.is_some_and(|code| (300..400).contains(&code)) && among(&["open_redirect"]) {
        found.push("redirect");
    }
    found
}

fn message(map: &Map, classes: &[CompactString], outcome: &str) -> CompactString {
    let text = |name: &str| members::text(map, &[name]).unwrap_or_default();
    let verdict = text("verdict");
    let classes: Vec<&str> = classes.iter().map(CompactString::as_str).collect();
    let what = if classes.is_empty() { verdict } else { format_compact!("{verdict} ({})", classes.join(", ")) };
    format_compact!("{what} {outcome}: {} {}", text("request.method"), text("request.uri"))
}

fn texts(value: Option<&Value>) -> Vec<CompactString> {
    let mut found = Vec::new();
    if let Some(value) = value {
        value.each_element(&mut |one| {
            found.extend(members::as_text(one));
            false
        });
    }
    found
}

/// A member of the findings, each of its values once, in order.
fn of_findings(map: &Map, member: &str) -> Vec<CompactString> {
    let mut found: Vec<CompactString> = Vec::new();
    if let Some(findings) = map.get("findings") {
        findings.each_element(&mut |finding| {
            if let Some(text) = finding.get(member).and_then(members::as_text)
                && !found.contains(&text)
            {
                found.push(text);
            }
            false
        });
    }
    found
}

fn add_list(map: &mut Map, name: &str, list: Vec<CompactString>) {
    if !list.is_empty() {
        members::add(map, name, Value::List(list.into_iter().map(Value::Text).collect()));
    }
}
