//! The platform with its control plane in PostgreSQL: a real server, which goes away and comes back.

#[path = "../../../store/tests/embedded/postgres.rs"]
mod server_of_database;

use crate::server::{Client, Server, erne};
use serde_json::Value;
use server_of_database::{Server as Database, in_schema};
use std::time::{Duration, Instant};

const RULE: &str = "title: Database test
id: 5f0f7d0e-5a68-4c55-9d51-0d2f3c1f9a02
status: test
level: medium
logsource: {category: webserver}
detection: {selection: {cs-uri-query|contains: UNION+SELECT}, condition: selection}
erne: {alerts_per_hour: 1000000}
";

fn attack(n: u64) -> String {
    format!("{{\"service\":\"shop\",\"status_code\":200,\"user\":\"u{}\",\"source_ip\":\"192.0.2.7\",\"message\":\"GET /item?id={n}'+UNION+SELECT+password+FROM+users-- HTTP/1.1\"}}\n", n % 3)
}

fn send(client: &Client, from: u64, count: u64) {
    let body: String = (from..from + count).map(attack).collect();
    let (status, answer) = client.post("/api/v1/ingest?format=app_log", &[("content-type", "application/x-ndjson")], body.as_bytes()).unwrap();
    assert_eq!(status, 202, "{answer}");
}

/// Findings that the alerts of our rule count.
fn counted(alerts: &Value) -> u64 {
    let of_rule = alerts["items"].as_array().unwrap().iter().filter(|a| a["rule"]["name"] == "Database test");
    of_rule.map(|a| a["finding_count"].as_u64().unwrap()).sum()
}

fn readiness(client: &Client) -> (u16, String) {
    let mut response = client.agent.get(format!("{}/readyz", client.url)).call().unwrap();
    (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
}

fn until_ready(client: &Client, wanted: u16) -> String {
    let deadline = Instant::now() + Duration::from_secs(40);
    loop {
        let (status, text) = readiness(client);
        if status == wanted {
            return text;
        }
        assert!(Instant::now() < deadline, "/readyz does not become {wanted}; last: {status} {text}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn alerts_live_in_postgresql_through_kills_and_absences_of_the_server() {
    let mut database = Database::start();
    let url = in_schema(&database.url, "public");
    let password = database.url.split(':').nth(2).unwrap().split('@').next().unwrap().to_owned();
    let dir = tempfile::tempdir().unwrap();
    let (rule, data) = (dir.path().join("rule.yml"), dir.path().join("data"));
    std::fs::write(&rule, RULE).unwrap();
    let arguments = ["--rules", rule.to_str().unwrap()];
    let environment = [("ERNE__CONTROL__URL", url.as_str())];
    let mut server = Server::start_with(&data, &arguments, &environment);
    assert!(!server.said.contains(&password));
    assert!(!data.join("erne.db").exists());
    let client = server.client();
    send(&client, 0, 30);
    client.until("/api/v1/alerts?limit=1000", |a| counted(a) == 30);

    // The database goes: what is sent is taken all the same, and it is said that alerts are not.
    database.stop();
    send(&client, 30, 30);
    let said = until_ready(&client, 503);
    assert!(said.contains("control plane does not answer") || said.contains("alerts cannot be stored"), "{said}");
    assert!(!said.contains(&password), "{said}");
    send(&client, 60, 30);
    database.start_again();
    until_ready(&client, 200);
    client.until("/api/v1/alerts?limit=1000", |a| counted(a) == 90);

    // Killed while the database is away: findings wait in the state store.
    database.stop();
    send(&client, 90, 30);
    server.kill();
    database.start_again();
    let server = Server::start_with(&data, &arguments, &environment);
    assert!(server.password().is_none(), "the users are still there");
    let client = server.client();
    client.until("/api/v1/alerts?limit=1000", |a| counted(a) == 120);
    let incidents = client.get("/api/v1/incidents?limit=1000");
    assert!(incidents["total"].as_u64() > Some(0), "{incidents}");
    server.stop();

    let run = |arguments: &[&str], url: &str| {
        let out = erne().args(arguments).current_dir(dir.path()).env("ERNE__CONTROL__URL", url).output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        assert!(!text.contains(&password), "{text}");
        (out.status.success(), text)
    };
    let (_, doctor) = run(&["doctor"], &url);
    assert!(doctor.contains("good    control plane: PostgreSQL 1"), "{doctor}");
    for arguments in [&["config", "show"][..], &["config", "show", "--origin"], &["config", "check"]] {
        let (good, text) = run(arguments, &url);
        assert!(good && text.contains("erne:***@127.0.0.1"), "{text}");
    }
    let far = format!("postgres://erne:{password}@db.example/erne?sslmode=disable");
    let (good, text) = run(&["config", "check"], &far);
    assert!(!good && text.contains("verify-full"), "{text}");
    database.stop();
    let (good, doctor) = run(&["doctor"], &url);
    assert!(!good && doctor.contains("bad     control plane"), "{doctor}");
}
