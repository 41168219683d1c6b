//! Scheduled searches on a real server: what they find becomes alerts, once, across kills and edits.

use crate::server::{Client, Server};
use event::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

const ENVIRONMENT: [(&str, &str); 1] = [("ERNE__LAKE__FLUSH_SECS", "1")];

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp(since.as_micros() as i64)
}

/// Log entries of users that happened some minutes ago.
fn send(client: &Client, user: &str, count: u64, minutes_ago: i64) {
    let time = now().plus_secs(-minutes_ago * 60);
    let line = |n| json!({"timestamp": time.plus_secs(n as i64 % 10).to_string(), "service": "shop", "level": "INFO", "user": user, "source_ip": "192.0.2.9", "message": format!("basket emptied {n}")}).to_string() + "\n";
    let body: String = (0..count).map(line).collect();
    let (status, answer) = client.post("/api/logs", &[("content-type", "application/x-ndjson")], body.as_bytes()).unwrap();
    assert_eq!(status, 202, "{answer}");
}

struct Admin<'a> {
    client: &'a Client,
    token: String,
}

impl<'a> Admin<'a> {
    fn new(client: &'a Client, password: &str) -> Self {
        let body = json!({"user": "admin", "password": password}).to_string();
        let (_, answer) = client.post("/api/v1/token", &[("content-type", "application/json")], body.as_bytes()).unwrap();
        Self { client, token: answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned() }
    }

    fn send(&self, verb: &str, path: &str, body: &Value) -> Value {
        let request = ureq::http::Request::builder().method(verb).uri(format!("{}{path}", self.client.url));
        let request = request.header("authorization", format!("Bearer {}", self.token)).header("content-type", "application/json");
        let mut response = self.client.agent.run(request.body(body.to_string()).unwrap()).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        assert!(response.status().is_success(), "{verb} {path}: {} {text}", response.status());
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}

fn alerts_of(client: &Client, name: &str) -> Vec<Value> {
    let all = client.get("/api/v1/alerts?limit=1000");
    all["items"].as_array().unwrap().iter().filter(|a| a["rule"]["name"] == name).cloned().collect()
}

/// The next whole window of a minute may end while a test runs; then it finds the same events once more.
fn windows(alerts: &[Value]) -> u64 {
    alerts.iter().map(|a| a["finding_count"].as_u64().unwrap()).sum()
}

#[test]
fn what_a_scheduled_search_finds_is_an_alert_once_across_kills_and_edits() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start_with(dir.path(), &[], &ENVIRONMENT);
    let password = server.password().unwrap().to_owned();
    let client = server.client();
    for (user, count) in [("alice", 12), ("bob", 4), ("carol", 7)] {
        send(&client, user, count, 30);
    }
    client.settle();
    let admin = Admin::new(&client, &password);
    let schedule = json!({"every_secs": 60, "window_secs": 86400, "at_least": 5, "severity": "high", "group_by": "user.name", "enabled": true});
    let mut search = json!({"name": "Emptied baskets", "q": "\"basket emptied\"", "columns": ["user.name"], "range": "24h", "shared": true, "schedule": schedule});
    let made = admin.send("POST", "/api/v1/searches", &search);
    let path = format!("/api/v1/searches/{}", made["id"].as_str().unwrap());
    client.until("/api/v1/alerts?limit=1000", |a| a["items"].as_array().unwrap().iter().filter(|a| a["rule"]["name"] == "Emptied baskets").count() == 2);
    let found = alerts_of(&client, "Emptied baskets");
    let mut who: Vec<_> = found.iter().map(|a| a["entity"]["value"].as_str().unwrap()).collect();
    who.sort();
    assert_eq!(who, ["alice", "carol"], "bob has too few");
    let alice = found.iter().find(|a| a["entity"]["value"] == "alice").unwrap();
    assert_eq!((&alice["entity"]["kind"], &alice["severity"], &alice["rule"]["kind"]), (&json!("user"), &json!("high"), &json!("scheduled_search")));
    assert_eq!(alice["source_ip"], "192.0.2.9");
    let detail = client.get(&format!("/api/v1/alerts/{}", alice["id"].as_str().unwrap()));
    let finding = &detail["findings"][0];
    assert_eq!((&finding["event_count"], finding["event_ids"].as_array().unwrap().len()), (&json!(12), 12));
    let conditions = finding["explanation"]["conditions"].as_array().unwrap();
    assert!(conditions.iter().any(|c| c["field"] == "query" && c["expected"] == "\"basket emptied\""), "{conditions:?}");
    assert!(finding["explanation"]["summary"].as_str().unwrap().starts_with("12 events with actor.user.name alice within 1 d match the search"), "{finding}");
    assert!(!detail["events"].as_array().unwrap().is_empty(), "its evidence can be looked at");
    let ran = client.until(&path, |s| s["last_run"]["findings"] == 2);
    assert_eq!((&ran["last_run"]["hits"], &ran["last_run"]["error"]), (&json!(23), &Value::Null));
    assert!(client.get("/api/v1/incidents?limit=10")["total"].as_u64() > Some(0), "alerts of level high are incidents");

    // Killed and started again: nothing is told twice. Each window that ends meanwhile is one finding more.
    let before = windows(&alerts_of(&client, "Emptied baskets"));
    let last = client.get(&path)["last_run"]["time"].clone();
    server.kill();
    let server = Server::start_with(dir.path(), &[], &ENVIRONMENT);
    let client = server.client();
    client.settle();
    std::thread::sleep(Duration::from_secs(3));
    let after = alerts_of(&client, "Emptied baskets");
    assert_eq!(after.len(), 2, "{after:?}");
    let moved = client.get(&path)["last_run"]["time"] != last;
    assert!(windows(&after) == before || (moved && windows(&after) <= before + 4), "{before} findings became {}", windows(&after));

    // An edit looks at the newest window again: who has too few by now is taken back.
    let admin = Admin::new(&client, &password);
    search["schedule"]["at_least"] = json!(10);
    admin.send("PUT", &path, &search);
    client.until(&path, |s| s["last_run"]["findings"] == 1);
    let metrics = client.agent.get(format!("{}/metrics", client.url)).call().unwrap().body_mut().read_to_string().unwrap();
    assert!(metrics.contains("erne_scheduled_runs_total{reason=\"done\"}"), "runs are counted");
    client.until("/api/v1/alerts?limit=1000", |a| {
        let counts = |name: &str| a["items"].as_array().unwrap().iter().find(|a| a["entity"]["value"] == name && a["rule"]["name"] == "Emptied baskets").map(|a| a["finding_count"].as_u64().unwrap());
        counts("carol") < counts("alice")
    });
    let gone = client.agent.delete(format!("{}{path}", client.url)).header("authorization", format!("Bearer {}", admin.token)).call().unwrap();
    assert_eq!(gone.status(), 204);
    assert_eq!(alerts_of(&client, "Emptied baskets").len(), 2, "what was raised stays");
    server.stop();
}
