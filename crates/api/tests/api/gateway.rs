//! Agents and the gateway from outside: signatures, inspections, what reaches the log, profiles that change.
use crate::door::{Answer, Door, Session};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

static NONCE: AtomicU64 = AtomicU64::new(0);

pub struct Agent {
    pub id: String,
    pub secret: String,
}

impl Agent {
    pub async fn make(door: &Door, admin: &Session, name: &str, profile: Option<&str>) -> Self {
        let body = json!({"name": name, "application": "shop", "profile": profile});
        let made = door.post_json("/api/v1/agents", &admin.headers(), body).await.expect(201).json();
        let secret = made["secret"].as_str().unwrap();
        assert_eq!(base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(secret).unwrap().len(), 32);
        assert_eq!(made["environment"]["ERNE_AGENT_SECRET"], secret);
        Self { id: made["agent"]["id"].as_str().unwrap().to_owned(), secret: secret.to_owned() }
    }

    pub fn sign(&self, verb: &str, path: &str, body: &[u8]) -> String {
        let nonce = format!("nonce-{:020}", NONCE.fetch_add(1, Ordering::Relaxed));
        api::sign_as_agent(&self.id, &self.secret, verb, path, body, now_secs(), &nonce)
    }

    pub async fn post(&self, door: &Door, path: &str, body: &Value) -> Answer {
        let body = body.to_string();
        let signature = self.sign("POST", path, body.as_bytes());
        door.call("POST", path, &[("Authorization", &signature), ("Content-Type", "application/json")], body.as_bytes()).await
    }

    pub async fn get(&self, door: &Door, path: &str) -> Answer {
        door.get(path, &[("Authorization", &self.sign("GET", path, b""))]).await
    }
}

fn now_secs() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64
}

fn asked(uri: &str) -> Value {
    json!({"id": "r1", "method": "GET", "uri": uri, "http_version": "1.1", "client_ip": "203.0.113.9",
        "headers": [["Host", "shop.example"], ["User-Agent", "Mozilla/5.0"], ["Accept", "*/*"]]})
}

const ATTACK: &str = "/items?id=1%27%20UNION%20SELECT%20password%20FROM%20users--%20";

/// Waits until the search finds so many events.
async fn events(door: &Door, session: &Session, query: &str, count: usize) -> Vec<Value> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let path = format!("/api/v1/search?q={query}");
        let found = door.get(&path, &session.headers()).await.expect(200).json();
        let items = found["items"].as_array().unwrap().clone();
        if items.len() == count {
            return items;
        }
        assert!(Instant::now() < deadline, "{query}: {} instead of {count}: {found:#}", items.len());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn protect(door: &Door, admin: &Session) -> String {
    let made = door.post_json("/api/v1/profiles", &admin.headers(), json!({"name": "p", "profile": {"mode": "protection"}})).await;
    made.expect(201).json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_asks_signed_and_what_is_found_is_an_event() {
    let door = Door::open().await;
    let admin = door.admin().await;
    let profile = protect(&door, &admin).await;
    let agent = Agent::make(&door, &admin, "shop-1", Some(&profile)).await;
    let benign = agent.post(&door, "/api/v1/inspect", &asked("/items?id=17")).await;
    let benign = benign.expect(200).json();
    assert_eq!((&benign["verdict"], &benign["action"], &benign["id"]), (&json!("allow"), &json!("allow"), &json!("r1")));
    let attack = agent.post(&door, "/api/v1/inspect", &asked(ATTACK)).await.expect(200).json();
    assert_eq!((&attack["verdict"], &attack["action"], &attack["mode"]), (&json!("attack"), &json!("block"), &json!("protection")));
    assert!(attack["classes"]["sqli"].as_f64().unwrap() > 0.5, "{attack}");
    assert_eq!(attack["findings"][0]["location"], "query:id");
    let found = events(&door, &admin, "metadata.log_format:web_inspection", 1).await;
    let event = &found[0];
    assert_eq!((&event["class_name"], &event["src_endpoint"]["ip"]), (&json!("HTTP Activity"), &json!("203.0.113.9")));
    assert_eq!((&event["metadata"]["log_name"], &event["status_detail"]), (&json!("web:shop"), &json!("blocked")));
    assert_eq!(event["http_request"]["url"]["path"], "/items");
    assert!(event["finding_info"]["rules"].as_array().is_some_and(|rules| !rules.is_empty()), "{event:#}");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signatures_that_are_not_right_are_refused_as_such() {
    let door = Door::open().await;
    let admin = door.admin().await;
    let agent = Agent::make(&door, &admin, "a", None).await;
    let body = asked("/").to_string();
    let call = async |authorization: &str, body: &str| {
        let headers = [("Authorization", authorization), ("Content-Type", "application/json")];
        door.call("POST", "/api/v1/inspect", &headers, body.as_bytes()).await
    };
    let refused = |answer: &Answer, why: &str| {
        let problem = answer.expect(401).json();
        assert!(problem["type"].as_str().unwrap().ends_with("/agent-signature"), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(why), "{problem}");
    };
    let good = agent.sign("POST", "/api/v1/inspect", body.as_bytes());
    call(&good, &body).await.expect(200);
    refused(&call(&good, &body).await, "nonce");
    refused(&call(&agent.sign("POST", "/api/v1/inspect", b"other"), &body).await, "wrong");
    refused(&call(&agent.sign("PUT", "/api/v1/inspect", body.as_bytes()), &body).await, "wrong");
    refused(&call(&agent.sign("POST", "/api/v1/agent/events", body.as_bytes()), &body).await, "wrong");
    let other = Agent { id: "agt_nobody".into(), secret: agent.secret.clone() };
    refused(&call(&other.sign("POST", "/api/v1/inspect", body.as_bytes()), &body).await, "no such agent");
    let late = api::sign_as_agent(&agent.id, &agent.secret, "POST", "/api/v1/inspect", body.as_bytes(), now_secs() - 400, "n123456789012345");
    refused(&call(&late, &body).await, "clock");
    refused(&call("ERNE-HMAC-SHA256 id=a", &body).await, "cannot be read");
    // An agent is nobody else: no other route takes its signature.
    agent.get(&door, "/api/v1/alerts").await.expect(401);
    // Switched off, given a new secret, deleted: each holds at once.
    let change = |enabled: bool| json!({"name": "a", "application": "shop", "enabled": enabled}).to_string();
    let put = async |body: String| {
        let headers = [("Cookie", &*admin.cookie), ("X-CSRF-Token", &*admin.csrf), ("Content-Type", "application/json")];
        door.call("PUT", &format!("/api/v1/agents/{}", agent.id), &headers, body.as_bytes()).await
    };
    put(change(false)).await.expect(200);
    refused(&agent.post(&door, "/api/v1/inspect", &asked("/")).await, "switched off");
    put(change(true)).await.expect(200);
    agent.post(&door, "/api/v1/inspect", &asked("/")).await.expect(200);
    let rotated = door.post_json(&format!("/api/v1/agents/{}/secret", agent.id), &admin.headers(), json!({})).await.expect(200).json();
    refused(&agent.post(&door, "/api/v1/inspect", &asked("/")).await, "wrong");
    let agent = Agent { secret: rotated["secret"].as_str().unwrap().to_owned(), ..agent };
    agent.post(&door, "/api/v1/inspect", &asked("/")).await.expect(200);
    door.call("DELETE", &format!("/api/v1/agents/{}", agent.id), &admin.headers(), b"").await.expect(204);
    refused(&agent.post(&door, "/api/v1/inspect", &asked("/")).await, "no such agent");
    let listed = door.get("/api/v1/agents", &admin.headers()).await;
    assert!(!listed.text().contains(&agent.secret));
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_count_the_same_however_they_come() {
    let door = Door::open().await;
    let admin = door.admin().await;
    let agent = Agent::make(&door, &admin, "a", None).await;
    let (key, _) = door.make_key(&admin, "proxy", &["inspect"]).await;
    let mut question = asked("/login");
    question["method"] = json!("POST");
    question["headers"].as_array_mut().unwrap().push(json!(["Content-Type", "application/x-www-form-urlencoded"]));
    question["body_b64"] = json!(STANDARD.encode("user=admin'%20or%20'1'='1&x=1"));
    let plain = question.to_string();
    let expected = agent.post(&door, "/api/v1/inspect", &question).await.expect(200).json();
    assert_eq!((&expected["verdict"], &expected["action"]), (&json!("attack"), &json!("allow")), "monitor blocks nothing");
    assert_eq!(expected["findings"][0]["location"], "body:form:user");
    let same = |answer: &Answer| {
        let told = answer.expect(200).json();
        assert_eq!((&told["findings"], &told["score"]), (&expected["findings"], &expected["score"]));
    };
    let bearer = format!("Bearer {key}");
    same(&door.post_json("/api/v1/inspect", &[("Authorization", &bearer)], question.clone()).await);
    let packed = gzip(plain.as_bytes());
    let signature = agent.sign("POST", "/api/v1/inspect", &packed);
    for credential in [bearer.as_str(), &signature] {
        let headers = [("Authorization", credential), ("Content-Type", "application/json"), ("Content-Encoding", "gzip")];
        same(&door.call("POST", "/api/v1/inspect", &headers, &packed).await);
    }
    let chunked: String = plain.as_bytes().chunks(7).map(|c| format!("{:x}\r\n{}\r\n", c.len(), String::from_utf8_lossy(c))).collect::<String>() + "0\r\n\r\n";
    let signature = agent.sign("POST", "/api/v1/inspect", plain.as_bytes());
    let head = format!("POST /api/v1/inspect HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\nAuthorization: {signature}\r\n\r\n{chunked}");
    let answer = door.raw(head.as_bytes(), Duration::from_secs(10)).await;
    assert!(String::from_utf8_lossy(&answer).contains("body:form:user"), "{}", String::from_utf8_lossy(&answer));
    for (bad, status) in [("", 400), ("{}", 400), ("[]", 400), ("{\"method\":\"GET\",\"uri\":\"/\",\"body_b64\":\"?\"}", 400)] {
        door.call("POST", "/api/v1/inspect", &[("Authorization", &bearer)], bad.as_bytes()).await.expect(status);
    }
    let large = vec![b' '; (8 << 20) + 1];
    door.call("POST", "/api/v1/inspect", &[("Authorization", &bearer)], &large).await.expect(413);
    door.close().await;
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_agents_report_is_stored_once_redacted_and_one_bad_item_spoils_no_batch() {
    let door = Door::open().await;
    let admin = door.admin().await;
    let agent = Agent::make(&door, &admin, "a", None).await;
    let mut transaction = asked("/login?password=hunter2&next=..%2F..%2Fetc%2Fpasswd");
    transaction["headers"].as_array_mut().unwrap().push(json!(["Authorization", "Bearer hunter2"]));
    let time = "2026-11-20T10:00:00Z";
    let verdict = json!({"verdict": "attack", "action": "block", "score": 0.97, "classes": {"traversal": 0.97}, "profile_version": 3,
        "findings": [{"analyser": "traversal", "class": "traversal", "location": "query:password", "value": "hunter2", "score": 0.97, "technique": "T1083"}]});
    let items = json!({"items": [
        {"time": time, "transaction": transaction, "verdict": verdict, "mode": "protection", "blocked": true, "latency_us": 41},
        {"time": "whenever"},
        {"time": time, "transaction": asked(ATTACK), "mode": "lite", "blocked": false, "latency_us": 0},
    ]});
    let body = items.to_string();
    let mut first = None;
    for _ in 0..2 {
        let signature = agent.sign("POST", "/api/v1/agent/events", body.as_bytes());
        let headers = [("Authorization", &*signature), ("Idempotency-Key", "batch-1")];
        let answer = door.call("POST", "/api/v1/agent/events", &headers, body.as_bytes()).await;
        let told = answer.expect(202).json();
        assert_eq!((&told["accepted"], &told["refused"][0]["index"]), (&json!(2), &json!(1)), "{told}");
        assert_eq!(first.get_or_insert(told.clone()), &told);
    }
    let found = events(&door, &admin, "metadata.log_format:web_inspection&from=2026-11-20T00:00:00Z", 2).await;
    let all = serde_json::to_string(&found).unwrap();
    assert!(!all.contains("hunter2"), "{all}");
    assert!(all.contains("traversal") && all.contains("sqli"), "a batch of mode lite is inspected here: {all}");
    let many = json!({"items": vec![json!({}); 1_001]});
    agent.post(&door, "/api/v1/agent/events", &many).await.expect(413);
    agent.post(&door, "/api/v1/agent/events", &json!({"items": 7})).await.expect(400);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_reaches_its_agents_as_soon_as_it_changes() {
    let door = Door::open().await;
    let admin = door.admin().await;
    let profile = protect(&door, &admin).await;
    let agent = Agent::make(&door, &admin, "a", None).await;
    let hello = json!({"agent_version": "1.0", "language": "python", "framework": "flask", "application": "shop", "instance": "i-1", "profile_version": 0,
        "host": {"hostname": "web1", "pid": 17, "later": true}, "counters": {"requests": 10, "attacks": 1, "blocked": 0, "errors": 0, "dropped": 0, "queue": 0}});
    let told = agent.post(&door, "/api/v1/agent/hello", &hello).await.expect(200).json();
    assert_eq!((&told["heartbeat_secs"], &told["profile"]["mode"], &told["profile"]["timeout_ms"]), (&json!(30), &json!("monitor"), &json!(250)));
    let version = told["profile"]["version"].as_u64().unwrap();
    let quick = Instant::now();
    let same = agent.get(&door, &format!("/api/v1/agent/profile?version={version}&wait=0")).await;
    assert_eq!((same.status, same.body.len()), (304, 0));
    let waited = agent.get(&door, &format!("/api/v1/agent/profile?version={version}&wait=1")).await;
    assert_eq!(waited.status, 304);
    assert!(quick.elapsed() >= Duration::from_millis(900));
    // Somebody waits; the application gets another profile meanwhile.
    let path = format!("/api/v1/agent/profile?version={version}&wait=30");
    let poll = agent.get(&door, &path);
    let change = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let headers = [("Cookie", &*admin.cookie), ("X-CSRF-Token", &*admin.csrf), ("Content-Type", "application/json")];
        door.call("PUT", "/api/v1/applications/shop", &headers, json!({"profile": profile}).to_string().as_bytes()).await.expect(204);
        Instant::now()
    };
    let (answer, changed) = tokio::join!(poll, change);
    assert!(changed.elapsed() < Duration::from_secs(5));
    let now = answer.expect(200).json();
    assert_eq!(now["mode"], "protection");
    assert!(now["version"].as_u64().unwrap() > version);
    let detail = door.get(&format!("/api/v1/agents/{}", agent.id), &admin.headers()).await.expect(200).json();
    assert_eq!((&detail["agent"]["status"], &detail["agent"]["profile_in_force"]["by"]), (&json!("online"), &json!("application")));
    assert_eq!((&detail["instances"][0]["hello"]["host"]["hostname"], &detail["instances"][0]["up_to_date"]), (&json!("web1"), &json!(false)));
    assert_eq!(detail["agent"]["counters"]["requests"], 10);
    let applications = door.get("/api/v1/applications", &admin.headers()).await.expect(200).json();
    assert_eq!((&applications["items"][0]["name"], &applications["items"][0]["instances_online"]), (&json!("shop"), &json!(1)));
    agent.post(&door, "/api/v1/agent/hello", &json!({"application": "shop"})).await.expect(400);
    agent.get(&door, "/api/v1/agent/profile?wait=61").await.expect(400);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn profiles_have_versions_that_can_be_compared_and_restored() {
    let door = Door::open().await;
    let admin = door.admin().await;
    let id = protect(&door, &admin).await;
    let path = format!("/api/v1/profiles/{id}");
    let headers = [("Cookie", &*admin.cookie), ("X-CSRF-Token", &*admin.csrf), ("Content-Type", "application/json")];
    let put = async |body: Value| door.call("PUT", &path, &headers, body.to_string().as_bytes()).await;
    let first = door.get(&path, &admin.headers()).await.expect(200).json()["version"].as_i64().unwrap();
    let changed = put(json!({"version": first, "profile": {"mode": "monitor", "threshold": 0.7}, "note": "less"})).await.expect(200).json();
    let second = changed["version"].as_i64().unwrap();
    put(json!({"version": first, "profile": {}})).await.expect(409);
    put(json!({"version": second, "profile": {"mode": "of"}})).await.expect(400);
    put(json!({"version": second, "profile": {"modes": 1}})).await.expect(400);
    let diff = door.get(&format!("{path}/diff"), &admin.headers()).await.expect(200).json();
    assert_eq!((&diff["from"], &diff["to"]), (&json!(first), &json!(second)));
    assert_eq!(diff["changes"], json!([{"path": "/mode", "kind": "changed", "from": "protection", "to": "monitor"}, {"path": "/threshold", "kind": "added", "from": null, "to": 0.7}]));
    door.get(&format!("{path}/diff?from=999999"), &admin.headers()).await.expect(404);
    let restored = door.post_json(&format!("{path}/restore"), &admin.headers(), json!({"version": first})).await.expect(200).json();
    assert_eq!((&restored["profile"]["mode"], restored["version"].as_i64() > Some(second)), (&json!("protection"), true));
    let versions = door.get(&format!("{path}/versions"), &admin.headers()).await.expect(200).json();
    assert_eq!(versions["items"].as_array().unwrap().len(), 3);
    door.post_json(&format!("{path}/restore"), &admin.headers(), json!({"version": 999_999})).await.expect(404);
    for template in door.get("/api/v1/profiles/templates", &admin.headers()).await.expect(200).json()["items"].as_array().unwrap() {
        let name = template["name"].as_str().unwrap();
        door.post_json("/api/v1/profiles", &admin.headers(), json!({"name": format!("t-{name}"), "template": name})).await.expect(201);
    }
    door.post_json("/api/v1/profiles", &admin.headers(), json!({"name": "x", "template": "protct"})).await.expect(400);
    door.call("DELETE", "/api/v1/profiles/default", &admin.headers(), b"").await.expect(409);
    door.call("DELETE", &path, &admin.headers(), b"").await.expect(204);
    door.get(&path, &admin.headers()).await.expect(404);
    door.close().await;
}
