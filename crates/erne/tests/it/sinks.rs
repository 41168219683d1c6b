//! Events and alerts in other people's databases: each once, whatever is killed meanwhile.

use crate::server::Server;
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A database server that a script of ours runs until this is dropped.
struct Database {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    url: String,
}

impl Database {
    fn start(script: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts").join(script);
        let mut child = Command::new(path).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut database = Self { output: BufReader::new(child.stdout.take().unwrap()), child, url: String::new() };
        database.url = database.line();
        assert!(database.url.contains("://"), "scripts/{script} did not start");
        database
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn tell(&mut self, word: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{word}").unwrap();
        assert!(self.line().starts_with(word));
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.child.stdin.take();
        let _ = self.child.wait();
    }
}

fn ask(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn until(what: &str, ready: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !ready() {
        assert!(Instant::now() < deadline, "{what} does not happen");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn sinks_hold_each_event_once_though_servers_and_platform_are_killed() {
    let (mut postgres, redis) = (Database::start("postgres.sh"), Database::start("redis.sh"));
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (file, config) = (out.path().join("events.jsonl"), out.path().join("erne.toml"));
    let text = format!(
        "[[sinks]]\ntype = \"postgres\"\nname = \"pg\"\nurl = \"env:TEST_PG\"\n\n[[sinks]]\ntype = \"redis\"\nname = \"cache\"\nurl = {:?}\n\n\
         [[sinks]]\ntype = \"file\"\nname = \"lines\"\npath = {:?}\n",
        redis.url,
        file.display().to_string(),
    );
    std::fs::write(&config, text).unwrap();
    let arguments = ["--config", config.to_str().unwrap()];
    let start = || Server::start_with(dir.path(), &arguments, &[("TEST_PG", &postgres_url(&postgres))]);
    let mut server = start();
    let mut sent = 0;
    let mut send = |server: &Server, batches: usize| {
        for _ in 0..batches {
            let lines: Vec<String> = (sent..sent + 500)
                .map(|i| json!({"eventVersion": "1.08", "eventID": format!("e-{i}"), "eventTime": jiff::Timestamp::now().to_string(),
                    "eventName": if i % 100 == 0 { "StopLogging" } else { "DescribeInstances" }, "eventSource": "cloudtrail.amazonaws.com",
                    "awsRegion": "eu-central-1", "sourceIPAddress": "203.0.113.9", "userAgent": "aws-cli/2", "eventType": "AwsApiCall",
                    "recipientAccountId": "123456789012", "readOnly": false, "requestParameters": {"name": "trail"}, "responseElements": null,
                    "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::123456789012:user/mallory", "accountId": "123456789012",
                        "userName": "mallory"}}).to_string())
                .collect();
            let (status, answer) = server.client().post("/api/v1/ingest?source=trail", &[], lines.join("\n").as_bytes()).unwrap();
            assert_eq!(status, 202, "{answer}");
            sent += 500;
        }
        sent
    };
    let url = postgres.url.clone();
    let rows = || ask("psql", &[&url, "-Atc", "SELECT COUNT(*) FROM security_events"]);
    let all = send(&server, 4);
    until("the first events in PostgreSQL", || rows() == all.to_string());
    // The database is away; then the platform is killed; then both are back.
    postgres.tell("stop");
    send(&server, 30);
    server.client().settle();
    let notices = server.client().until("/readyz", |ready| ready["notices"].to_string().contains("sink pg"));
    assert_eq!(notices["ready"], true, "a sink in trouble stops nobody: {notices}");
    server.kill();
    postgres.tell("start");
    server = Server::start_with(dir.path(), &arguments, &[("TEST_PG", &url)]);
    let all = send(&server, 2);
    until("all events in PostgreSQL", || rows() == all.to_string());
    until("findings in PostgreSQL", || {
        let stopped = "SELECT COUNT(*), COUNT(DISTINCT event_id) FROM detected_threats WHERE event_id IN (SELECT event_id FROM security_events WHERE event_name = 'StopLogging') AND threat_type LIKE '%logging%'";
        let count = ask("psql", &[&url, "-Atc", stopped]);
        let (found, distinct) = count.split_once('|').unwrap_or_default();
        !found.is_empty() && found != "0" && distinct == (all / 100).to_string()
    });
    let port = redis.url.trim_start_matches("redis://127.0.0.1:").split('/').next().unwrap().to_owned();
    until("all events counted in Redis", || ask("redis-cli", &["-p", &port, "HGET", "metrics", "events_processed"]) == all.to_string());
    until("all events in the file", || {
        let text = std::fs::read_to_string(&file).unwrap();
        text.lines().filter(|line| !line.starts_with("{\"finding\"")).count() == all
    });
    let text = std::fs::read_to_string(&file).unwrap();
    let mut uids: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter_map(|line| line["metadata"]["uid"].as_str().map(str::to_owned))
        .collect();
    uids.sort();
    uids.dedup();
    assert_eq!(uids.len(), all, "each once");
    let mut metrics = server.client().agent.get(format!("{}/metrics", server.url)).call().unwrap();
    let metrics = metrics.body_mut().read_to_string().unwrap();
    assert!(metrics.contains("erne_sink_lag_records{sink=\"pg\"} 0"), "{metrics}");
    assert!(metrics.contains("erne_sink_up{sink=\"pg\"} 1"));
    server.stop();
}

fn postgres_url(database: &Database) -> String {
    database.url.clone()
}
