//! P1 and P3 of the promises: `kill -9` at any moment loses nothing acknowledged and doubles no finding.

use crate::server::{Client, Server};
use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const ROUNDS: u64 = 50;
/// In an object store each start and each commit takes requests.
const ROUNDS_ON_S3: u64 = 12;
const LINES: u64 = 40;

/// One batch: application logs that name their number; the first is an attack by a user of its own.
fn body(batch: u64) -> String {
    (0..LINES)
        .map(|i| {
            let message = if i == 0 { "GET /item?id=1'+UNION+SELECT+password+FROM+users-- HTTP/1.1" } else { "GET /item?id=1 HTTP/1.1" };
            format!("{{\"service\":\"shop\",\"status_code\":200,\"user\":\"u{batch}\",\"source_ip\":\"192.0.2.{}\",\"message\":\"{message} n{batch}-{i}.\"}}\n", batch % 250)
        })
        .collect()
}

/// A rule that every attack fires, with no limit of alerts, so that each of its findings can be looked at. The
/// built-in rule fires too and reaches its limit: its alerts must count every finding all the same.
const RULE: &str = "title: Kill test
id: 5f0f7d0e-5a68-4c55-9d51-0d2f3c1f9a01
status: test
level: low
logsource: {category: webserver}
detection: {selection: {cs-uri-query|contains: UNION+SELECT}, condition: selection}
erne: {alerts_per_hour: 1000000}
";

/// A small generator (splitmix64): the moments of the kills differ, and repeat.
pub fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Sends until told to stop. A batch that was not acknowledged goes first next time, under the same key.
fn send(client: &Client, load: &Load, stop: &AtomicBool) {
    let Load { next, pending, acked, .. } = load;
    while !stop.load(Ordering::Relaxed) {
        let batch = pending.lock().unwrap().pop().unwrap_or_else(|| next.fetch_add(1, Ordering::Relaxed));
        let key = format!("batch-{batch}");
        match client.post("/api/logs", &[("idempotency-key", &key), ("content-type", "application/x-ndjson")], body(batch).as_bytes()) {
            Ok((202, _)) if load.dark.load(Ordering::SeqCst) => {
                load.acked_in_the_dark.fetch_add(1, Ordering::Relaxed);
                pending.lock().unwrap().push(batch);
            }
            Ok((202, _)) => {
                acked.lock().unwrap().insert(batch);
            }
            Ok((429 | 503, _)) | Err(_) => {
                pending.lock().unwrap().push(batch);
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok((status, answer)) => panic!("the server answered {status}: {answer}"),
        }
    }
}

#[test]
fn fifty_kills_lose_nothing_and_double_nothing() {
    kill_again_and_again(ROUNDS, &[("ERNE__LAKE__FLUSH_SECS", "1")]);
}

#[test]
fn kills_lose_nothing_and_double_nothing_with_the_lake_on_s3() {
    let store = crate::s3::Store::start();
    let mut environment = store.environment("kills");
    environment.push(("ERNE__LAKE__FLUSH_SECS", "1".to_owned()));
    let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    kill_again_and_again(ROUNDS_ON_S3, &environment);
}

fn kill_again_and_again(rounds: u64, environment: &[(&str, &str)]) {
    let dir = tempfile::tempdir().unwrap();
    let load = Load::new(dir.path());
    let data = dir.path().join("data");
    let mut seed = 20_261_121;
    for _ in 0..rounds {
        let mut server = load.serve(&data, environment);
        load.send_until(&server.client(), || {
            std::thread::sleep(Duration::from_millis(30 + random(&mut seed) % 400));
            server.kill();
        });
    }
    load.check(&load.serve(&data, environment), rounds);
}

/// Two senders, and what they were promised.
pub struct Load {
    rule: std::path::PathBuf,
    next: AtomicU64,
    pending: Mutex<Vec<u64>>,
    acked: Mutex<HashSet<u64>>,
    /// The power is gone: what is acknowledged from here on no client could have received.
    dark: AtomicBool,
    acked_in_the_dark: AtomicU64,
}

impl Load {
    /// `dir` holds what must outlive the server's disk.
    pub fn new(dir: &std::path::Path) -> Self {
        let rule = dir.join("kill.yml");
        std::fs::write(&rule, RULE).unwrap();
        Self { rule, next: AtomicU64::new(0), pending: Mutex::default(), acked: Mutex::default(), dark: AtomicBool::new(false), acked_in_the_dark: AtomicU64::new(0) }
    }

    pub fn serve(&self, data: &std::path::Path, environment: &[(&str, &str)]) -> Server {
        Server::start_with(data, &["--rules", self.rule.to_str().unwrap()], environment)
    }

    /// Sends from two threads until `meanwhile` returns.
    pub fn send_until(&self, client: &Client, meanwhile: impl FnOnce()) {
        let stop = AtomicBool::new(false);
        self.dark.store(false, Ordering::SeqCst);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| send(client, self, &stop));
            }
            meanwhile();
            stop.store(true, Ordering::Relaxed);
        });
    }

    /// From here on acknowledgements are no promises, and the batches are sent again.
    pub fn goes_dark(&self) {
        self.dark.store(true, Ordering::SeqCst);
    }

    pub fn acked(&self) -> usize {
        self.acked.lock().unwrap().len()
    }

    /// Sends what was never acknowledged once more, and compares everything with what is stored.
    pub fn check(&self, server: &Server, rounds: u64) {
        let client = server.client();
        for batch in self.pending.lock().unwrap().drain(..) {
            let key = format!("batch-{batch}");
            let (status, _) = client.post("/api/logs", &[("idempotency-key", &key)], body(batch).as_bytes()).unwrap();
            assert_eq!(status, 202);
            self.acked.lock().unwrap().insert(batch);
        }
        client.settle();
        let acked = self.acked.lock().unwrap();
        assert!(acked.len() > rounds as usize, "only {} batches in {rounds} rounds", acked.len());
        let dark = self.acked_in_the_dark.load(Ordering::Relaxed);
        println!("{} batches, {} events acknowledged over {rounds} rounds; {dark} without power", acked.len(), acked.len() as u64 * LINES);
        every_event_once(&client, &acked);
        every_finding_once(&client, &acked);
    }
}

fn every_event_once(client: &Client, acked: &HashSet<u64>) {
    let mut seen: HashMap<String, u32> = HashMap::new();
    for event in client.all("/api/v1/search?from=2020-01-01T00:00:00Z") {
        let raw = event["raw_data"].as_str().unwrap();
        let number = raw.rsplit_once(" n").unwrap().1.split('.').next().unwrap();
        *seen.entry(number.to_owned()).or_default() += 1;
    }
    let lost: Vec<String> = acked.iter().flat_map(|b| (0..LINES).map(move |i| format!("{b}-{i}"))).filter(|n| !seen.contains_key(n)).collect();
    assert!(lost.is_empty(), "{} acknowledged events are lost: {:?}", lost.len(), &lost[..lost.len().min(10)]);
    let doubled: Vec<_> = seen.iter().filter(|(_, count)| **count > 1).collect();
    assert!(doubled.is_empty(), "{} events are stored twice: {:?}", doubled.len(), &doubled[..doubled.len().min(10)]);
}

fn every_finding_once(client: &Client, acked: &HashSet<u64>) {
    let expected = acked.len() as u64;
    let findings = || {
        let mut of_rule: HashMap<String, Vec<String>> = HashMap::new();
        for finding in client.all("/api/v1/findings?") {
            if finding["rule"]["kind"] == "sigma" {
                let rule = finding["rule"]["id"].as_str().unwrap().to_owned();
                of_rule.entry(rule).or_default().push(finding["event_ids"][0].as_str().unwrap().to_owned());
            }
        }
        of_rule
    };
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    let mut of_rule = findings();
    while !of_rule.values().any(|events| events.len() as u64 >= expected) && std::time::Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(100));
        of_rule = findings();
    }
    assert!(of_rule.values().any(|events| events.len() as u64 == expected), "no rule has exactly {expected} findings: {:?}", of_rule.iter().map(|(r, e)| (r, e.len())).collect::<Vec<_>>());
    for (rule, events) in of_rule {
        let distinct: HashSet<_> = events.iter().collect();
        assert_eq!(distinct.len(), events.len(), "rule {rule} has two findings about one event");
    }
    let mut counted: HashMap<String, u64> = HashMap::new();
    for alert in client.all("/api/v1/alerts?signals=true") {
        if alert["rule"]["kind"] == "sigma" {
            *counted.entry(alert["rule"]["name"].to_string()).or_default() += alert["finding_count"].as_u64().unwrap();
        }
    }
    assert!(counted.len() >= 2, "the built-in rule fires too: {counted:?}");
    assert!(counted.values().all(|count| *count == expected), "{expected} findings of each rule are to be counted: {counted:?}");
}
