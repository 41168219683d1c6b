//! Events and alerts in other people's databases: each once, whatever is killed meanwhile.

use crate::server::Server;
use serde_json::json;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[allow(dead_code)]
#[path = "../../../connect/tests/connect/server.rs"]
mod database;
use database::{Server as Database, has_mongodb, path as script};

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

/// Batches of 500 calls of an API; each hundredth stops a trail. How many were sent in all.
fn send(server: &Server, sent: &mut usize, batches: usize) -> usize {
    for _ in 0..batches {
        let lines: Vec<String> = (*sent..*sent + 500)
            .map(|i| json!({"eventVersion": "1.08", "eventID": format!("e-{i}"), "eventTime": jiff::Timestamp::now().to_string(),
                "eventName": if i % 100 == 0 { "StopLogging" } else { "DescribeInstances" }, "eventSource": "cloudtrail.amazonaws.com",
                "awsRegion": "eu-central-1", "sourceIPAddress": "203.0.113.9", "userAgent": "aws-cli/2", "eventType": "AwsApiCall",
                "recipientAccountId": "123456789012", "readOnly": false, "requestParameters": {"name": "trail"}, "responseElements": null,
                "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::123456789012:user/mallory", "accountId": "123456789012",
                    "userName": "mallory"}}).to_string())
            .collect();
        let (status, answer) = server.client().post("/api/v1/ingest?source=trail", &[], lines.join("\n").as_bytes()).unwrap();
        assert_eq!(status, 202, "{answer}");
        *sent += 500;
    }
    *sent
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
    let start = || Server::start_with(dir.path(), &arguments, &[("TEST_PG", &postgres.url)]);
    let mut server = start();
    let mut sent = 0;
    let mut send = |server: &Server, batches: usize| send(server, &mut sent, batches);
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


/// What MongoDB's own client finds; `expression` is Python with `db`.
fn mongo(url: &str, expression: &str) -> serde_json::Value {
    serde_json::from_str(&ask(script("mongodb.sh").to_str().unwrap(), &["eval", url, expression])).unwrap_or_default()
}

#[test]
fn mongodb_holds_each_finding_once_and_who_it_is_about() {
    if !has_mongodb() {
        return;
    }
    let mut mongodb = Database::start("mongodb.sh");
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = out.path().join("erne.toml");
    let text = "[[sinks]]\ntype = \"mongodb\"\nname = \"mongo\"\nurl = \"env:TEST_MONGO\"\nevents = \"threats\"\n";
    std::fs::write(&config, text).unwrap();
    let url = mongodb.url.clone();
    let arguments = ["--config", config.to_str().unwrap()];
    let start = || Server::start_with(dir.path(), &arguments, &[("TEST_MONGO", &url)]);
    let mut server = start();
    let mut sent = 0;
    send(&server, &mut sent, 2);
    let findings = "(lambda ids: [len(ids), len(set(ids))])([e for f in db.security_findings.find({'event_name': 'StopLogging', 'rule.kind': 'sigma'}) \
                    for e in f['event_ids'] if f['rule']['name'] == db.security_findings.find_one({'event_name': 'StopLogging', 'rule.kind': 'sigma'}, sort=[('rule.name', 1)])['rule']['name']])";
    let each_once = |all: usize| mongo(&url, findings) == json!([all / 100, all / 100]);
    until("the first findings in MongoDB", || each_once(1_000));
    // The server is away; then the platform is killed; then both are back.
    mongodb.tell("stop");
    send(&server, &mut sent, 4);
    server.client().settle();
    server.client().until("/readyz", |ready| ready["notices"].to_string().contains("sink mongo"));
    server.kill();
    mongodb.tell("start");
    server = start();
    let all = send(&server, &mut sent, 2);
    until("all findings in MongoDB", || each_once(all));
    until("each event that matched a rule in MongoDB", || {
        mongo(&url, "db.security_events.count_documents({'api.operation': 'StopLogging'})") == json!(all / 100)
    });
    let mallory = "[[p['entity']['kind'], p['risk'] > 0, len(p['alerts']) > 0] for p in db.entity_profiles.find({'_id': 'user:mallory'})]";
    until("mallory's profile", || mongo(&url, mallory) == json!([["user", true, true]]));
    server.stop();
}

/// The way to a server, which can be cut: then connections end, in the middle of a request too, and new ones are refused.
struct Way {
    address: SocketAddr,
    to: SocketAddr,
    open: Arc<Mutex<Option<Vec<TcpStream>>>>,
}

impl Way {
    fn to(to: SocketAddr) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self { address, to, open: Arc::new(Mutex::new(None)) }
    }

    fn mend(&self) {
        let listener = TcpListener::bind(self.address).unwrap();
        *self.open.lock().unwrap() = Some(Vec::new());
        let (open, to) = (self.open.clone(), self.to);
        std::thread::spawn(move || {
            for inward in listener.incoming() {
                let (inward, outward) = (inward.unwrap(), TcpStream::connect(to).unwrap());
                match &mut *open.lock().unwrap() {
                    None => return,
                    Some(open) => open.extend([inward.try_clone().unwrap(), outward.try_clone().unwrap()]),
                }
                let (inward2, outward2) = (inward.try_clone().unwrap(), outward.try_clone().unwrap());
                std::thread::spawn(move || carry(inward, outward));
                std::thread::spawn(move || carry(outward2, inward2));
            }
        });
    }

    fn cut(&self) {
        for stream in self.open.lock().unwrap().take().unwrap_or_default() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        // Wakes the listener, which sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// A request to the object store, signed.
fn s3(arguments: &[&str]) -> String {
    ask("curl", &[&["-s", "--aws-sigv4", "aws:amz:eu-central-1:s3", "--user", "erne:secret"], arguments].concat())
}

/// Copies a bucket into a folder; how many objects there are.
fn download(endpoint: &str, folder: &Path) -> usize {
    let list = s3(&[&format!("{endpoint}/lake?list-type=2&max-keys=1000")]);
    let keys: Vec<&str> = list.split("<Key>").skip(1).map(|rest| rest.split("</Key>").next().unwrap()).collect();
    for key in &keys {
        let to = folder.join(key);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        s3(&["-o", to.to_str().unwrap(), &format!("{endpoint}/lake/{key}")]);
    }
    keys.len()
}

/// Python with DuckDB and pyarrow, as `scripts/test_lake_readers.sh` makes it.
fn python() -> PathBuf {
    let target = Path::new(env!("CARGO_BIN_EXE_erne")).parent().unwrap().parent().unwrap().to_owned();
    let venv = std::env::var("VENV").map_or_else(|_| target.join("lake-readers-venv"), PathBuf::from);
    let made = Command::new(script("test_lake_readers.sh")).arg("--install").env("VENV", &venv).status().unwrap();
    assert!(made.success());
    venv.join("bin/python")
}

#[test]
fn a_security_lake_holds_each_event_once_though_the_way_is_cut_and_the_platform_killed() {
    let s3 = Database::start_with("s3.sh", &["run"]);
    // Unsigned, the server does not ask where.
    ask("curl", &["-s", "-XPUT", &format!("{}/lake", s3.url)]);
    let way = Way::to(s3.url.trim_start_matches("http://").parse().unwrap());
    way.mend();
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = out.path().join("erne.toml");
    let text = format!(
        "[[sinks]]\ntype = \"securitylake\"\nname = \"lake\"\nbucket = \"lake\"\nregion = \"eu-central-1\"\nendpoint = \"http://{}\"\n\
         every_secs = 1\naccess_key_id = \"erne\"\nsecret_access_key = \"env:TEST_S3\"\n",
        way.address
    );
    std::fs::write(&config, text).unwrap();
    let arguments = ["--config", config.to_str().unwrap()];
    let start = || Server::start_with(dir.path(), &arguments, &[("TEST_S3", "secret")]);
    let mut server = start();
    let mut sent = 0;
    send(&server, &mut sent, 4);
    server.client().post("/api/v1/ingest?source=web", &[], b"{\"message\": \"not of the cloud\"}").unwrap();
    let metric = |server: &Server, line: &str| {
        let mut answer = server.client().agent.get(format!("{}/metrics", server.url)).call().unwrap();
        answer.body_mut().read_to_string().unwrap().contains(line)
    };
    until("the first objects", || metric(&server, "erne_sink_lag_records{sink=\"lake\"} 0"));
    way.cut();
    send(&server, &mut sent, 6);
    server.client().settle();
    server.client().until("/readyz", |ready| ready["notices"].to_string().contains("sink lake"));
    // A batch is noted and not yet written: after the kill it is the same one, however much has come since.
    let place = std::fs::read_to_string(dir.path().join("sinks/lake.json")).unwrap();
    let noted: serde_json::Value = serde_json::from_str(&place).unwrap();
    assert!(noted["until"].as_u64() > noted["next"].as_u64(), "{place}");
    server.kill();
    way.mend();
    server = start();
    // Kills at any moment: while objects are made, put, or noted.
    for pause in [300, 900, 1_400] {
        send(&server, &mut sent, 2);
        std::thread::sleep(Duration::from_millis(pause));
        server.kill();
        server = start();
    }
    let all = send(&server, &mut sent, 2);
    server.client().settle();
    until("all records in the lake", || metric(&server, "erne_sink_lag_records{sink=\"lake\"} 0"));
    let objects = out.path().join("objects");
    let count = download(&s3.url, &objects);
    assert!(count > 3, "{count}");
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("../store/tests/securitylake_reader.py");
    let said = ask(python().to_str().unwrap(), &[reader.to_str().unwrap(), objects.to_str().unwrap()]);
    let read: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&read["rows"], &read["uids"], &read["files"]), (&json!(all + 1), &json!(all + 1), &json!(count)), "{read}");
    let text = read["partitions"].to_string();
    assert!(text.contains("ext/erne-6003/region=eu-central-1/accountId=123456789012/eventDay=2"), "{text}");
    assert!(text.contains("accountId=external/eventDay=2"), "{text}");
    server.stop();
}
