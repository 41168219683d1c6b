//! The lake in a real S3 server on loopback, by `scripts/s3.sh`. The kills are in `kill`.

use crate::kill::Load;
use crate::server::{Client, erne};
use proxy::{Mood, Proxy};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[allow(dead_code)] // The lake's own tests use the other moods.
#[path = "../../../store/tests/place/proxy.rs"]
mod proxy;

pub struct Store {
    child: Child,
    pub address: String,
}

pub const BUCKET: &str = "erne-it";

impl Store {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// One that makes the bucket and from then on asks for keys which nobody has.
    fn that_refuses() -> Self {
        // Actions that need no key: making the bucket.
        Self::start_with(&[("INITIAL_NO_AUTH_ACTION_COUNT", "1")])
    }

    fn start_with(environment: &[(&str, &str)]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/s3.sh");
        let mut child = Command::new(script).arg("run").envs(environment.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        let address = address.trim().to_owned();
        assert!(address.starts_with("http://127.0.0.1:"), "scripts/s3.sh has not started a server (see above)");
        let made = ureq::put(format!("{address}/{BUCKET}")).send_empty().unwrap();
        assert!(made.status().is_success());
        Self { child, address }
    }

    /// What makes `erne` keep its lake here.
    pub fn environment(&self, prefix: &str) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ACCESS_KEY_ID", "test".into()),
            ("AWS_SECRET_ACCESS_KEY", "test".into()),
            ("ERNE__LAKE__URL", format!("s3://{BUCKET}/{prefix}")),
            ("ERNE__LAKE__S3__ENDPOINT", self.address.clone()),
            ("ERNE__LAKE__S3__REGION", "us-east-1".into()),
        ]
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Its standard input ends, and with it the server.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn borrowed<'a>(environment: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    environment.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// Runs a command that must fail within a minute, and answers all it said.
fn fails(arguments: &[&str], data: &Path, environment: &[(&str, &str)]) -> String {
    let mut command = erne();
    command.args(arguments).arg("--data-dir").arg(data).envs(environment.iter().copied());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("{arguments:?} does not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!status.success(), "{arguments:?} succeeds: {said}");
    said
}

#[test]
fn what_is_wrong_with_the_store_is_said_at_the_start_and_by_the_doctor() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::start();
    let refusing = Store::that_refuses();
    let with = |store: &Store, name: &'static str, value: &str| {
        let mut environment = store.environment("start");
        environment.retain(|(n, _)| *n != name);
        environment.push((name, value.to_owned()));
        environment.push(("ERNE__LAKE__S3__DEADLINE_SECS", "3".into()));
        environment
    };
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (environment, says) in [
        (with(&store, "ERNE__LAKE__URL", "s3://no-such-bucket/start"), "there is no such bucket: create it"),
        (with(&store, "ERNE__LAKE__URL", "https://example.org/start"), "s3://bucket/prefix"),
        (with(&refusing, "AWS_ACCESS_KEY_ID", "AKIAWRONG"), "check AWS_ACCESS_KEY_ID"),
        (with(&store, "ERNE__LAKE__S3__ENDPOINT", &format!("http://{nobody}")), "cannot be reached: check lake.s3.endpoint"),
    ] {
        let environment = borrowed(&environment);
        let told = fails(&["run", "--listen", "127.0.0.1:0"], dir.path(), &environment);
        assert!(told.contains(says), "run: {told}");
        let told = fails(&["doctor"], dir.path(), &environment);
        assert!(told.contains(says), "doctor: {told}");
    }
}

fn notices(client: &Client) -> String {
    client.get("/readyz")["notices"].to_string()
}

fn wait_until(mut ready: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !ready() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    true
}

#[test]
fn a_store_that_goes_away_under_a_server_is_told_and_loses_nothing() {
    let store = Store::start();
    let proxy = Proxy::start(&store.address);
    let dir = tempfile::tempdir().unwrap();
    let mut environment = store.environment("away");
    environment.push(("ERNE__LAKE__S3__ENDPOINT", proxy.address.clone()));
    environment.push(("ERNE__LAKE__S3__DEADLINE_SECS", "3".into()));
    environment.push(("ERNE__LAKE__FLUSH_SECS", "1".into()));
    let load = Load::new(dir.path());
    let server = load.serve(&dir.path().join("data"), &borrowed(&environment));
    let client = server.client();
    load.send_until(&client, || std::thread::sleep(Duration::from_millis(300)));
    proxy.set(Mood::Away);
    let before = load.acked();
    let mut told = false;
    load.send_until(&client, || told = wait_until(|| notices(&client).contains(&proxy.address)));
    assert!(told, "{}", notices(&client));
    assert!(load.acked() > before, "the log takes what the store cannot");
    assert!(client.get("/api/v1/search?from=2020-01-01T00:00:00Z&limit=1")["items"].as_array().is_some_and(|i| !i.is_empty()), "searches live");
    proxy.set(Mood::Kind);
    assert!(wait_until(|| !notices(&client).contains(&proxy.address)), "{}", notices(&client));
    load.check(&server, 1);
    server.stop();
}

/// After a restart with an empty cache everything comes from the store: words by the text index, SQL, an export.
#[test]
fn words_sql_and_exports_come_from_the_store() {
    let store = Store::start();
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let environment = store.environment("asked");
    let load = Load::new(dir.path());
    let server = load.serve(&data, &borrowed(&environment));
    load.send_until(&server.client(), || std::thread::sleep(Duration::from_millis(300)));
    load.check(&server, 1);
    server.stop();
    for folder in std::fs::read_dir(data.join("lake-cache")).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()) {
        std::fs::remove_dir_all(folder).unwrap();
    }

    let server = load.serve(&data, &borrowed(&environment));
    let client = server.client();
    let counted = |name: &str| {
        let text = client.agent.get(format!("{}/metrics", client.url)).header("authorization", format!("Bearer {}", client.key)).call().unwrap();
        let text = text.into_body().read_to_string().unwrap();
        text.lines().find_map(|l| l.strip_prefix(name)?.trim().parse::<f64>().ok()).unwrap_or_else(|| panic!("no {name}: {text}"))
    };
    assert!(wait_until(|| counted("erne_lake_files_without_text_index") == 0.0), "all files are indexed");
    assert!(counted("erne_lake_text_index_bytes") > 0.0);
    let page = client.get("/api/v1/search?from=2020-01-01T00:00:00Z&q=n0-7");
    assert_eq!(page["items"].as_array().map(Vec::len), Some(1), "{page}");
    assert!(page["items"][0]["raw_data"].as_str().unwrap().contains("n0-7."));
    let events = load.acked() as u64 * 40;
    let asked = br#"{"sql": "SELECT count(*) AS n, count(DISTINCT raw_data) AS texts FROM events"}"#;
    let (status, answer) = client.post("/api/v1/sql", &[("content-type", "application/json")], asked).unwrap();
    assert_eq!((status, &answer["rows"][0][0], &answer["rows"][0][1]), (200, &events.into(), &events.into()), "{answer}");
    let mut export = client
        .agent
        .get(format!("{}/api/v1/export?from=2020-01-01T00:00:00Z&format=jsonl", client.url))
        .header("authorization", format!("Bearer {}", client.key))
        .call()
        .unwrap();
    let mut lines = String::new();
    export.body_mut().as_reader().read_to_string(&mut lines).unwrap();
    assert_eq!(lines.lines().count() as u64, events);
    server.stop();
}
