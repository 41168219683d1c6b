//! From real input to a live alert, in one process.

use crate::server::{Client, Server};
use futures::StreamExt;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

const SINCE: &str = "/api/v1/search?from=2000-01-01T00:00:00Z";

fn now() -> String {
    jiff::Timestamp::now().to_string()
}

fn cloudtrail(id: &str, name: &str, user: &str) -> Value {
    json!({
        "eventVersion": "1.08", "eventID": id, "eventTime": now(), "eventName": name,
        "eventSource": "cloudtrail.amazonaws.com", "awsRegion": "eu-central-1", "sourceIPAddress": "203.0.113.7",
        "userAgent": "aws-cli/2.13.25", "eventType": "AwsApiCall", "recipientAccountId": "123456789012", "readOnly": false,
        "userIdentity": {"type": "IAMUser", "arn": format!("arn:aws:iam::123456789012:user/{user}"), "accountId": "123456789012", "userName": user},
        "requestParameters": {"name": "trail"}, "responseElements": null,
    })
}

fn send(client: &Client, path: &str, body: &str) {
    let (status, answer) = client.post(path, &[], body.as_bytes()).unwrap();
    assert_eq!(status, 202, "{answer}");
    assert!(answer["next_offset"].as_u64() > answer["first_offset"].as_u64(), "{answer}");
}

#[test]
fn every_format_becomes_typed_events_that_a_search_finds() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let client = server.client();
    send(&client, "/api/v1/ingest?source=trail", &json!({"Records": [cloudtrail("c1", "DescribeTrails", "alice")]}).to_string());
    send(&client, "/api/v1/ingest?source=web", "198.51.100.4 - - [20/Nov/2026:10:00:00 +0000] \"GET /shop?id=1 HTTP/1.1\" 200 512 \"-\" \"Mozilla/5.0\"\n");
    send(&client, "/api/v1/ingest?source=auth", "Nov 20 10:00:01 web1 sshd[812]: Failed password for invalid user admin from 198.51.100.9 port 4022 ssh2\n");
    send(&client, "/api/logs", &json!({"service": "payment-gateway", "status_code": 200, "message": "Transaction verified", "timestamp": "2026-11-20T10:00:00Z"}).to_string());
    send(&client, "/api/v1/ingest?source=odd", "{\"broken\": \n");
    client.settle();
    let events = client.until(SINCE, |page| page["items"].as_array().unwrap().len() == 5);
    let of = |source: &str| events["items"].as_array().unwrap().iter().find(|e| e["metadata"]["log_name"] == source).cloned().unwrap_or_else(|| panic!("nothing from {source}: {events:#}"));
    assert_eq!(of("trail")["class_name"], "API Activity");
    assert_eq!(of("trail")["actor"]["user"]["name"], "alice");
    assert_eq!(of("trail")["metadata"]["uid"], "c1");
    assert_eq!(of("web")["http_response"]["code"], 200);
    assert_eq!(of("web")["src_endpoint"]["ip"], "198.51.100.4");
    assert_eq!(of("auth")["status"], "Failure");
    assert_eq!(of("auth")["src_endpoint"]["ip"], "198.51.100.9");
    // What cannot be parsed is kept as it came, with the reason.
    assert!(of("odd")["raw_data"].as_str().unwrap().starts_with("{\"broken\":"));
    assert!(!of("odd")["metadata"]["issues"].as_array().unwrap().is_empty());
    let found = client.get(&format!("{SINCE}&q=src_endpoint.ip:198.51.100.9"));
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    let found = client.get(&format!("{SINCE}&q=user.name:alice"));
    assert_eq!(found["items"][0]["metadata"]["uid"], "c1");
    assert!(client.get("/api/v1/overview")["quarantined"].as_u64() >= Some(1));
}

#[test]
fn an_attack_is_on_the_socket_within_a_second_and_in_the_inbox() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let client = server.client();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("{}/api/v1/live?topics=alert&token={}", server.url.replace("http", "ws"), client.key);
    let (mut socket, _) = runtime.block_on(tokio_tungstenite::connect_async(url)).unwrap();
    // The reader counts as listening once the handshake is over.
    let sent = Instant::now();
    send(&client, "/api/v1/ingest?source=trail", &cloudtrail("evil-1", "StopLogging", "mallory").to_string());
    let message = runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(5), async {
            loop {
                let text = socket.next().await.unwrap().unwrap().into_text().unwrap();
                let message: Value = serde_json::from_str(&text).unwrap_or_default();
                if message["topic"] == "alert" {
                    return message;
                }
            }
        })
        .await
        .expect("an alert within five seconds")
    });
    println!("event to alert on the socket: {} ms", sent.elapsed().as_millis());
    let alert = &message["data"]["alert"];
    assert_eq!(alert["user"], "mallory");
    assert_eq!(alert["state"], "open");
    let detail = client.get(&format!("/api/v1/alerts/{}", alert["id"].as_str().unwrap()));
    assert!(!detail["findings"][0]["explanation"]["conditions"].as_array().unwrap().is_empty(), "{detail:#}");
    assert_eq!(detail["events"][0]["metadata"]["uid"], "evil-1");
    assert!(!detail["alert"]["rule"]["techniques"].as_array().unwrap().is_empty());
}

struct Page {
    agent: ureq::Agent,
    url: String,
    cookie: String,
    csrf: String,
}

fn log_in(server: &Server, password: &str) -> Result<Page, u16> {
    let agent = server.client().agent;
    let body = json!({"user": "admin", "password": password}).to_string();
    let mut answer = agent.post(format!("{}/api/v1/login", server.url)).header("content-type", "application/json").send(body.as_bytes()).unwrap();
    if answer.status() != 200 {
        return Err(answer.status().as_u16());
    }
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let json: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
    Ok(Page { agent, url: server.url.clone(), cookie: cookie.split(';').next().unwrap().to_owned(), csrf: json["csrf"].as_str().unwrap().to_owned() })
}

impl Page {
    fn post(&self, path: &str, body: &Value, csrf: &str) -> (u16, Value) {
        let request = self.agent.post(format!("{}{path}", self.url)).header("cookie", &self.cookie).header("x-csrf-token", csrf).header("content-type", "application/json");
        let mut answer = request.send(body.to_string().as_bytes()).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or_default())
    }
}

#[test]
fn alerts_keep_who_did_what_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let password = server.password().expect("the first start prints a password").to_owned();
    assert_eq!(log_in(&server, "wrong").err(), Some(401));
    let page = log_in(&server, &password).unwrap_or_else(|s| panic!("{s}"));
    let client = server.client();
    send(&client, "/api/v1/ingest?source=trail", &cloudtrail("evil-2", "DeleteTrail", "mallory").to_string());
    let inbox = client.until("/api/v1/alerts?state=open", |page| page["total"].as_u64() > Some(0));
    let id = inbox["items"][0]["id"].clone();
    let close = json!({"ids": [id], "state": "closed", "reason": "drill"});
    assert_eq!(page.post("/api/v1/alerts/state", &close, "wrong").0, 403);
    let (status, answer) = page.post("/api/v1/alerts/state", &close, &page.csrf);
    assert_eq!((status, &answer["items"][0]["state"]), (200, &json!("closed")), "{answer}");
    server.stop();
    let server = Server::start(dir.path());
    assert!(server.password().is_none(), "the password is printed once");
    let client = server.client();
    let alert = client.get(&format!("/api/v1/alerts/{}", id.as_str().unwrap()));
    let change = &alert["alert"]["history"][0];
    assert_eq!((&change["state"], &change["actor"], &change["reason"]), (&json!("closed"), &json!("admin"), &json!("drill")));
    assert_eq!(client.get(SINCE)["items"].as_array().unwrap().len(), 1, "the event is there once after the restart");
    let overview = client.until("/api/v1/overview", |o| o["events_last_hour"].as_u64() > Some(0));
    assert!(overview["findings"].as_u64() > Some(0), "counters are rebuilt: {overview}");
    // The cookie of before the restart still stands: sessions are stored.
    assert!(log_in(&server, &password).is_ok());
}

fn failed_login(n: u32) -> String {
    let time = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC).strftime("%b %e %H:%M:%S").to_string();
    format!("{time} web1 sshd[{}]: Failed password for root from 198.51.100.77 port {} ssh2\n", 900 + n, 40_000 + n)
}

#[test]
fn a_correlation_goes_on_where_a_kill_cut_it() {
    let unbroken = tempfile::tempdir().unwrap();
    let broken = tempfile::tempdir().unwrap();
    let server = Server::start(unbroken.path());
    let attack: Vec<String> = (0..12).map(failed_login).collect();
    for line in &attack {
        send(&server.client(), "/api/v1/ingest?source=auth&format=auth_log", line);
    }
    let want = correlations(&server.client());
    assert!(!want.is_empty(), "twelve failures from one address raise no correlation");
    let mut server = Server::start(broken.path());
    for line in &attack[..2] {
        send(&server.client(), "/api/v1/ingest?source=auth&format=auth_log", line);
    }
    server.client().settle();
    server.kill();
    let server = Server::start(broken.path());
    for line in &attack[2..] {
        send(&server.client(), "/api/v1/ingest?source=auth&format=auth_log", line);
    }
    assert_eq!(correlations(&server.client()), want);
}

/// Rule, entity and event count of every correlation finding, once a second has changed nothing: a finding that is told
/// again takes a moment to the control plane.
fn correlations(client: &Client) -> Vec<(String, String, u64)> {
    client.settle();
    let deadline = Instant::now() + Duration::from_secs(15);
    let (mut last, mut since) = (Vec::new(), Instant::now());
    loop {
        let findings = client.all("/api/v1/findings?");
        let mut list: Vec<_> = findings
            .iter()
            .filter(|f| f["rule"]["kind"] == "correlation")
            .map(|f| (f["rule"]["name"].to_string(), f["entity"]["value"].to_string(), f["event_count"].as_u64().unwrap()))
            .collect();
        list.sort();
        if list != last {
            (last, since) = (list, Instant::now());
        }
        let is_still = !last.is_empty() && since.elapsed() > Duration::from_secs(1);
        if is_still || Instant::now() > deadline {
            return last;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn threat_lists_are_read_again_when_they_change() {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("bad.txt");
    std::fs::write(&list, "# none yet\n").unwrap();
    let server = Server::start_with(&dir.path().join("data"), &["--lists", list.to_str().unwrap()], &[]);
    let client = server.client();
    let line = || format!("{{\"service\":\"a\",\"status_code\":200,\"message\":\"hello\",\"source_ip\":\"198.51.100.150\",\"timestamp\":\"{}\"}}", now());
    send(&client, "/api/logs", &line());
    client.settle();
    assert_eq!(client.get("/api/v1/alerts?")["total"], 0);
    std::fs::write(&list, "198.51.100.0/24\n").unwrap();
    let deadline = Instant::now() + Duration::from_secs(15);
    while client.get("/api/v1/alerts?")["total"] == 0 {
        assert!(Instant::now() < deadline, "the changed list is not in force");
        send(&client, "/api/logs", &line());
        std::thread::sleep(Duration::from_millis(300));
    }
    assert_eq!(client.get("/api/v1/alerts?")["items"][0]["rule"]["kind"], "intel");
}

#[test]
fn a_followed_file_is_read_once_through_restart_and_rotation() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let line = |n: u32| format!("198.51.100.4 - - [20/Nov/2026:10:00:{n:02} +0000] \"GET /page/{n} HTTP/1.1\" 200 512 \"-\" \"Mozilla/5.0\"\n");
    std::fs::write(&path, line(1)).unwrap();
    let config = dir.path().join("erne.toml");
    std::fs::write(&config, format!("[[files]]\npath = {path:?}\nname = \"web\"\n")).unwrap();
    let start = |dir: &Path| Server::start_with(&dir.join("data"), &["--config", config.to_str().unwrap()], &[]);
    let count = |client: &Client, n: usize| client.until(SINCE, |p| p["items"].as_array().unwrap().len() >= n)["items"].as_array().unwrap().len();
    let mut server = start(dir.path());
    assert_eq!(count(&server.client(), 1), 1);
    std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(line(2).as_bytes()).unwrap();
    assert_eq!(count(&server.client(), 2), 2);
    server.kill();
    let server = start(dir.path());
    std::fs::rename(&path, dir.path().join("access.log.1")).unwrap();
    std::fs::write(&path, line(3)).unwrap();
    assert_eq!(count(&server.client(), 3), 3);
}

#[test]
fn the_reference_clients_paths_answer_in_their_shapes() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let client = server.client();
    send(&client, "/api/v1/ingest?source=trail", &cloudtrail("evil-3", "DeleteTrail", "mallory").to_string());
    client.until("/api/v1/alerts?", |page| page["total"].as_u64() > Some(0));
    let stats = client.get("/api/stats");
    for part in ["/realtime/events_processed", "/realtime/active_alerts", "/severity_distribution/HIGH", "/database/total_events", "/top_threats/0/threat_type", "/timestamp"] {
        assert!(stats.pointer(part).is_some(), "{part} is absent in {stats:#}");
    }
    assert_eq!(client.get("/api/analytics/top-users")["users"][0]["user_name"], "mallory");
    assert!(client.get("/api/analytics/timeline")["timeline"].as_object().is_some_and(|t| !t.is_empty()));
    let coverage = client.get("/api/mitre-attack/coverage");
    assert!(coverage["techniques"][0]["mitre_attack"].as_str().is_some_and(|t| t.starts_with('T') && t.contains(" - ")), "{coverage}");
    let query = json!({"start_time": null, "end_time": null, "severity": null, "event_name": "DeleteTrail", "user_name": null, "source_ip": null, "limit": 100});
    let (status, answer) = client.post("/api/events/query", &[("content-type", "application/json")], query.to_string().as_bytes()).unwrap();
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["count"], 1, "{answer}");
}

#[test]
fn wrong_use_is_told() {
    let erne = crate::server::erne;
    let said = |output: std::process::Output| (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned());
    assert_eq!(said(erne().args(["run", "--no-such-flag"]).output().unwrap()).0, Some(2));
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("erne.toml");
    std::fs::write(&config, "lissten = \"127.0.0.1:1\"\n").unwrap();
    let (code, text) = said(erne().args(["run", "-c", config.to_str().unwrap()]).output().unwrap());
    assert!(code == Some(1) && text.contains("lissten"), "{code:?} {text}");
    let (code, text) = said(erne().args(["query", "--data-dir", dir.path().to_str().unwrap()]).output().unwrap());
    assert!(code == Some(1) && text.contains("--key"), "{code:?} {text}");
    let server = Server::start(&dir.path().join("data"));
    let output = erne().args(["run", "--listen", "127.0.0.1:0", "--data-dir"]).arg(&server.dir).output().unwrap();
    let (code, text) = said(output);
    assert!(code == Some(1) && text.contains("error:"), "a second server on one folder is refused: {code:?} {text}");
}

#[test]
fn health_metrics_and_the_dashboard_answer() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let agent = server.client().agent;
    let get = |path: &str| {
        let mut answer = agent.get(format!("{}{path}", server.url)).call().unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    };
    assert_eq!(get("/healthz").0, 200);
    assert_eq!(get("/readyz").0, 200);
    let (status, metrics) = get("/metrics");
    assert!(status == 200 && metrics.contains("erne_events") && metrics.contains("erne_lag_records"), "{metrics}");
    assert!(get("/").1.contains("<!doctype html") || get("/").1.contains("<!DOCTYPE html"));
    assert_eq!(get("/api/v1/overview").0, 401);
    let (status, document) = get("/api/openapi.json");
    let document: Value = serde_json::from_str(&document).unwrap_or_else(|_| panic!("{status}"));
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
}
