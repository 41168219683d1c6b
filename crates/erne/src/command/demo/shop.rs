//! The demo's shop: an agent that asks the gateway about the simulated web requests, as one inside an application would.

use super::super::simulate::now;
use crate::client::{Client, problem};
use anyhow::{Context, bail};
use event::{Event, Record};
use serde_json::{Value, json};
use sim::{SimEvent, Stream};
use std::time::{Duration, Instant};

const NAME: &str = "demo-shop-1";
const APPLICATION: &str = "demo-shop";
/// Older requests are the simulated past: what was found in them is told afterwards.
const PAST_SECS: i64 = 10;
/// Questions of one tick, so that a slow machine falls behind with no more than these.
const QUESTIONS_MAX: usize = 100;
/// Items of one telling.
const TOLD_MAX: usize = 500;
const HEARTBEAT: Duration = Duration::from_secs(30);
const JSON: &str = "application/json";

pub struct Shop {
    client: Client,
    id: String,
    secret: String,
    instance: String,
    inspector: web::Inspector,
    profile_version: u64,
    asked: u64,
    attacks: u64,
    blocked: u64,
    said_hello: Option<Instant>,
}

impl Shop {
    /// Makes the agent as the administrator; if there is one of an earlier demo, gives it a new secret.
    pub fn open(url: &str, password: &str) -> anyhow::Result<Self> {
        let asked = json!({"user": "admin", "password": password}).to_string();
        let mut answer = Client::new(url.to_owned(), String::new()).post("/api/v1/token", JSON, &[], asked.as_bytes())?;
        let text = answer.body.read_to_string()?;
        if answer.status >= 300 {
            bail!("the administrator's password of the demo was changed: {} {}", answer.status, problem(&text));
        }
        let token: Value = serde_json::from_str(&text)?;
        let client = Client::new(url.to_owned(), token["access_token"].as_str().context("the answer holds no token")?.to_owned());
        let asked = json!({"name": NAME, "application": APPLICATION}).to_string();
        let mut answer = client.post("/api/v1/agents", JSON, &[], asked.as_bytes())?;
        if answer.status == 409 {
            let agents = client.get("/api/v1/agents")?;
            let old = agents["items"].as_array().into_iter().flatten().find(|a| a["name"] == NAME).context("the demo's agent is gone")?;
            let path = format!("/api/v1/agents/{}/secret", old["id"].as_str().unwrap_or_default());
            answer = client.post(&path, JSON, &[], b"{}")?;
        }
        let text = answer.body.read_to_string()?;
        if answer.status >= 300 {
            bail!("the demo's agent was not made: {} {}", answer.status, problem(&text));
        }
        let made: Value = serde_json::from_str(&text)?;
        let text = |value: &Value| value.as_str().map(str::to_owned).context("the answer names no agent");
        Ok(Self {
            client,
            id: text(&made["agent"]["id"])?,
            secret: text(&made["secret"])?,
            instance: format!("demo-{}", std::process::id()),
            inspector: web::Inspector::default(),
            profile_version: 0,
            asked: 0,
            attacks: 0,
            blocked: 0,
            said_hello: None,
        })
    }

    /// Asks about those of these events that are web requests of the moment, and tells of attacks among the older ones.
    pub fn ask(&mut self, events: &[SimEvent]) -> anyhow::Result<()> {
        let oldest = now().plus_secs(-PAST_SECS);
        let (fresh, past): (Vec<&SimEvent>, Vec<&SimEvent>) = events.iter().filter(|e| e.stream == Stream::Web).partition(|e| e.time >= oldest);
        self.tell(&past)?;
        for request in fresh.into_iter().take(QUESTIONS_MAX).filter_map(question) {
            let verdict = self.post("/api/v1/inspect", &request)?;
            self.asked += 1;
            self.attacks += u64::from(verdict["verdict"] == "attack");
            self.blocked += u64::from(verdict["action"] == "block");
        }
        if self.said_hello.is_none_or(|at| at.elapsed() >= HEARTBEAT) {
            self.hello()?;
            self.said_hello = Some(Instant::now());
        }
        Ok(())
    }

    /// What an agent in mode `lite` forwards of a time when nobody could be asked: here only what it found something in.
    fn tell(&mut self, past: &[&SimEvent]) -> anyhow::Result<()> {
        self.asked += past.len() as u64;
        let is_attack = |question: &Value| {
            let read: Option<web::wire::Request> = serde_json::from_value(question.clone()).ok();
            read.is_some_and(|read| self.inspector.inspect(&read.transaction).verdict == web::Decision::Attack)
        };
        let item = |line: &&SimEvent| {
            let question = question(line).filter(is_attack)?;
            Some(json!({"time": line.time, "transaction": question, "mode": "lite", "blocked": false, "latency_us": 0}))
        };
        let items: Vec<Value> = past.iter().filter_map(item).collect();
        self.attacks += items.len() as u64;
        for part in items.chunks(TOLD_MAX) {
            self.post("/api/v1/agent/events", &json!({"items": part}))?;
        }
        Ok(())
    }

    fn hello(&mut self) -> anyhow::Result<()> {
        let hello = json!({
            "agent_version": env!("CARGO_PKG_VERSION"), "language": "simulated", "framework": "demo", "application": APPLICATION, "instance": self.instance, "profile_version": self.profile_version,
            "host": {"hostname": "demo", "os": std::env::consts::OS, "arch": std::env::consts::ARCH, "pid": std::process::id(), "runtime": "erne demo", "runtime_version": env!("CARGO_PKG_VERSION"), "run_as": ""},
            "counters": {"requests": self.asked, "attacks": self.attacks, "blocked": self.blocked, "errors": 0, "dropped": 0, "queue": 0},
        });
        let told = self.post("/api/v1/agent/hello", &hello)?;
        // The first hello learns the profile, the second says so.
        let known = self.profile_version;
        self.profile_version = told["profile"]["version"].as_u64().unwrap_or(0);
        if known == 0 && self.profile_version != 0 { self.hello() } else { Ok(()) }
    }

    fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let body = body.to_string();
        // Unique: the count and the clock together never come again.
        let nonce = format!("{:016x}{:016x}", self.asked, now().0);
        let signature = api::sign_as_agent(&self.id, &self.secret, "POST", path, body.as_bytes(), now().secs(), &nonce);
        let mut answer = self.client.post_as(&signature, path, JSON, &[], body.as_bytes())?;
        let text = answer.body.read_to_string()?;
        if answer.status >= 300 {
            bail!("{path}: {} {}", answer.status, problem(&text));
        }
        Ok(serde_json::from_str(&text)?)
    }
}

/// The request of an access log's line, with the response that it got.
fn question(line: &SimEvent) -> Option<Value> {
    let record = Record { source: line.stream.source().into(), format: Some(line.stream.format()), received: now(), peer: None, body: line.line.clone().into_bytes().into() };
    let event: Event = parse::events(&record, 0).into_iter().next()?;
    let http = &event.ocsf.http;
    let path = http.path.as_deref()?;
    let uri = http.query.as_deref().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut headers = vec![["host", http.hostname.as_deref().unwrap_or("shop.example")], ["accept", "*/*"]];
    headers.extend(http.user_agent.as_deref().map(|agent| ["user-agent", agent]));
    headers.extend(http.referrer.as_deref().map(|referrer| ["referer", referrer]));
    let mut question = json!({"method": http.method.as_deref()?, "uri": uri, "headers": headers, "client_ip": event.ocsf.src.ip.as_deref()?, "scheme": "https"});
    if let Some(status) = http.response_code {
        question["response"] = json!({"status": status, "headers": []});
    }
    Some(question)
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::Timestamp;

    #[test]
    fn every_simulated_web_request_makes_a_question() {
        let config = sim::SimConfig { kind: sim::Kind::Web, seed: 3, rate: 10.0, attacks: 0.1, start: Timestamp::from_secs(1_795_000_000) };
        let lines = sim::Simulator::new(config).batch(Timestamp::from_secs(1_795_000_060));
        assert!(lines.len() > 300);
        for line in &lines {
            let asked = question(line).unwrap_or_else(|| panic!("no question: {}", line.line));
            assert!(asked["uri"].as_str().unwrap().starts_with('/') && asked["client_ip"].is_string() && asked["response"]["status"].is_u64(), "{asked}");
        }
    }
}
