//! The commands about rules: what they can match, why they fire, what they would have done, and edits while
//! the server runs.

use crate::server::{Server, erne};
use serde_json::Value;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

const RULE: &str = "title: Word seen\nid: 7e57c0de-0000-4000-8000-000000000001\nlevel: high\nlogsource: {category: application}\n\
    detection:\n  selection: {message|contains: WORD}\n  condition: selection\n";

fn run(arguments: &[&str]) -> Output {
    erne().args(arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn check_tells_what_rules_can_match() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.yml");
    let dead = "title: Dead\nid: dead\nlogsource: {product: zos}\ndetection:\n  s: {a: 1}\n  condition: s\n";
    std::fs::write(&path, format!("{RULE}---\n{dead}")).unwrap();
    let path = path.to_str().unwrap();
    let table = run(&["rules", "check", path]);
    assert!(table.status.success());
    let text = out(&table);
    assert!(text.contains("cannot match: Dead") && text.contains("product zos") && text.contains("2 rules loaded, 0 problems; 1 can"), "{text}");
    let json: Value = serde_json::from_slice(&run(&["rules", "check", path, "-o", "json"]).stdout).unwrap();
    let told: Vec<_> = json["rules"].as_array().unwrap().iter().map(|rule| (rule["name"].as_str().unwrap(), rule["can_match"].as_bool().unwrap())).collect();
    assert_eq!(told, [("Word seen", true), ("Dead", false)]);

    // A pipeline gives the dead rule a log source that exists.
    let pipeline = dir.path().join("p.yml");
    std::fs::write(&pipeline, "transformations:\n- type: change_logsource\n  category: application\n  rule_conditions: [{type: logsource, product: zos}]\n").unwrap();
    let json: Value = serde_json::from_slice(&run(&["rules", "check", path, "--pipeline", pipeline.to_str().unwrap(), "-o", "json"]).stdout).unwrap();
    assert_eq!(json["rules"][1]["can_match"], true, "{json}");
    std::fs::write(&pipeline, "transformations:\n- type: nonsense\n").unwrap();
    let bad = run(&["rules", "check", path, "--pipeline", pipeline.to_str().unwrap()]);
    assert!(!bad.status.success());
    assert!(String::from_utf8_lossy(&bad.stderr).contains("p.yml:2"), "{}", String::from_utf8_lossy(&bad.stderr));
}

#[test]
fn explain_shows_each_condition() {
    let dir = tempfile::tempdir().unwrap();
    let (rule, event) = (dir.path().join("r.yml"), dir.path().join("e.json"));
    std::fs::write(&rule, RULE.replace("WORD", "banana")).unwrap();
    std::fs::write(&event, r#"{"service":"shop","status_code":200,"message":"an apple\u001b[2J","timestamp":"2026-11-20T10:00:00Z"}"#).unwrap();
    let (rule, event) = (rule.to_str().unwrap(), event.to_str().unwrap());
    let told = run(&["explain", rule, event]);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let text = out(&told);
    assert!(text.contains("does not match") && text.contains("no  message contains banana") && text.contains("the event has an apple\\u{1b}[2J"), "{text}");
    std::fs::write(event, r#"{"service":"shop","status_code":200,"message":"a Banana","timestamp":"2026-11-20T10:00:00Z"}"#).unwrap();
    let json: Value = serde_json::from_slice(&run(&["explain", rule, event, "-o", "json"]).stdout).unwrap();
    assert_eq!((&json[0]["matched"], &json[0]["steps"][0]["actual"][0]), (&true.into(), &"a Banana".into()));
    assert!(!run(&["explain", "nosuch", event]).status.success());
}

#[test]
fn coverage_can_be_a_layer() {
    let layer: Value = serde_json::from_slice(&run(&["rules", "coverage", "-o", "navigator"]).stdout).unwrap();
    assert_eq!(layer["versions"]["layer"], "4.5");
    assert!(layer["techniques"].as_array().unwrap().len() > 20);
    assert!(out(&run(&["rules", "coverage"])).contains("T1110"));
}

#[test]
fn measure_counts_attacks_found_and_false_findings() {
    let dir = tempfile::tempdir().unwrap();
    let (rule, data) = (dir.path().join("r.yml"), dir.path().join("set.ndjson"));
    std::fs::write(&rule, RULE.replace("WORD", "banana")).unwrap();
    let row = |label: &str, message: &str| format!("{{{label},\"event\":{{\"service\":\"s\",\"status_code\":200,\"message\":\"{message}\",\"timestamp\":\"2026-11-20T10:00:00Z\"}}}}\n");
    let rows = [
        row("\"technique\":\"fruit\"", "a banana"),
        row("\"technique\":\"fruit\"", "an apple"),
        row("\"technique\":\"stone\"", "granite"),
        row("\"expected\":false", "banana bread"),
        row("\"expected\":false", "nothing"),
    ];
    std::fs::write(&data, rows.concat()).unwrap();
    let measured = run(&["rules", "measure", data.to_str().unwrap(), "--rules", rule.to_str().unwrap()]);
    assert!(measured.status.success(), "{}", String::from_utf8_lossy(&measured.stderr));
    let text = out(&measured);
    assert!(text.contains("| set | 5 | 0 | 1 of 2 | 1 of 3 | 2 | 1 | 5000.0 |"), "{text}");
    assert!(text.contains("| Word seen | high | 1 | fruit 1/2 | 1 |") && text.contains("Not found: stone."), "{text}");
    let organic = run(&["rules", "measure", "--organic", "200", "--rules", rule.to_str().unwrap()]);
    assert!(out(&organic).contains("| simulator, organic, seed 1 | 200 | 0 |"), "{}", out(&organic));
}

fn say(server: &Server, message: &str) {
    let client = server.client();
    let before = client.get("/api/v1/overview")["events"].as_u64().unwrap();
    let body = serde_json::json!({"service": "shop", "status_code": 200, "message": message, "timestamp": now()});
    let answer = client.agent.post(format!("{}/api/logs", client.url)).header("authorization", format!("Bearer {}", client.key)).send(body.to_string()).unwrap();
    assert_eq!(answer.status(), 202);
    until(|| client.get("/api/v1/overview")["events"].as_u64().unwrap() > before);
}

fn now() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    event::Timestamp(since.as_micros() as i64).to_string()
}

#[track_caller]
fn until(mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(20), "waited in vain");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn write_rule(path: &Path, word: &str) {
    std::fs::write(path, RULE.replace("WORD", word)).unwrap();
}

#[test]
fn an_edit_runs_within_seconds_and_a_bad_one_keeps_what_ran() {
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules");
    std::fs::create_dir(&rules).unwrap();
    let file = rules.join("r.yml");
    write_rule(&file, "apple");
    let server = Server::start_with(&dir.path().join("data"), &["--rules", rules.to_str().unwrap()], &[]);
    let client = server.client();
    let id = "7e57c0de-0000-4000-8000-000000000001";
    let findings = || client.get(&format!("/api/v1/findings?rule={id}"))["items"].as_array().unwrap().len();
    let text = || client.get(&format!("/api/v1/rules/{id}"))["text"].as_str().unwrap().to_owned();
    say(&server, "an apple");
    until(|| findings() == 1);

    write_rule(&file, "banana");
    until(|| text().contains("banana"));
    say(&server, "another apple");
    say(&server, "a banana");
    until(|| findings() == 2);

    std::fs::write(&file, "title: Broken\nlogsource: {product: x}\ndetection:\n  s: {a|nonsense: 1}\n  condition: s\n").unwrap();
    until(|| client.get("/readyz")["notices"].to_string().contains("nonsense"));
    assert!(text().contains("banana"), "the running rules stay");
    say(&server, "a second banana");
    until(|| findings() == 3);
    let metrics = client.agent.get(format!("{}/metrics", client.url)).call().unwrap().body_mut().read_to_string().unwrap();
    assert!(metrics.contains("erne_rule_reloads_total{reason=\"refused\"} 1"), "{metrics}");

    write_rule(&file, "cherry");
    until(|| text().contains("cherry"));
    assert!(!client.get("/readyz")["notices"].to_string().contains("nonsense"));

    // What the rules would have told, over the API and from the folder itself.
    let data = server.dir.to_str().unwrap().to_owned();
    let banana = dir.path().join("banana.yml");
    write_rule(&banana, "banana");
    let replayed = run(&["rules", "replay", banana.to_str().unwrap(), "--from", "1h", "--url", &server.url, "--data-dir", &data, "-o", "json"]);
    let told: Value = serde_json::from_slice(&replayed.stdout).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&replayed.stderr)));
    assert_eq!((&told["events"], &told["matches"], &told["alerts"]), (&4.into(), &2.into(), &1.into()), "{told}");
    let table = run(&["rules", "replay", id, "--from", "1h", "--url", &server.url, "--data-dir", &data]);
    assert!(out(&table).contains("0 matches, 0 alerts"), "nobody has said cherry yet: {}", out(&table));
    let uid = client.get("/api/v1/search?q=second")["items"][0]["metadata"]["uid"].as_str().unwrap().to_owned();
    let told = run(&["explain", banana.to_str().unwrap(), "--uid", &uid, "--url", &server.url, "--data-dir", &data]);
    assert!(out(&told).contains("matches") && out(&told).contains("a second banana"), "{}", out(&told));
    server.stop();
    let direct = run(&["rules", "replay", banana.to_str().unwrap(), "--from", "1h", "--lake", &data, "-o", "json"]);
    let direct: Value = serde_json::from_slice(&direct.stdout).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&direct.stderr)));
    assert_eq!((&direct["events"], &direct["matches"]), (&4.into(), &2.into()), "{direct}");
}

#[test]
fn windows_go_on_when_other_rules_change() {
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules");
    std::fs::create_dir(&rules).unwrap();
    let burst = |id: &str, word: &str| {
        format!(
            "{}name: said_{word}\n---\ntitle: Burst of {word}\nid: {id}-burst\nlevel: high\ncorrelation:\n  type: event_count\n  rules: [said_{word}]\n  \
             group-by: [service]\n  timespan: 10m\n  generate: true\n  condition: {{gte: 3}}\n",
            RULE.replace("WORD", word).replace("7e57c0de-0000-4000-8000-000000000001", id)
        )
    };
    std::fs::write(rules.join("z.yml"), burst("z", "zebra")).unwrap();
    let server = Server::start_with(&dir.path().join("data"), &["--no-builtin", "--rules", rules.to_str().unwrap()], &[]);
    let client = server.client();
    let findings = |rule: &str| client.get(&format!("/api/v1/findings?rule={rule}"))["items"].as_array().unwrap().len();
    say(&server, "zebra one");
    say(&server, "zebra two");
    // The new file comes first, so that every rule and correlation gets another number.
    std::fs::write(rules.join("a.yml"), burst("a", "ant")).unwrap();
    until(|| client.get("/api/v1/rules")["items"].to_string().contains("Burst of ant"));
    assert_eq!(findings("z-burst"), 0);
    say(&server, "zebra three");
    until(|| findings("z-burst") >= 1);
    assert_eq!(findings("a-burst"), 0, "what was counted for one rule is not another's");
    // A changed rule begins anew.
    std::fs::write(rules.join("a.yml"), burst("a", "ant").replace("gte: 3", "gte: 2")).unwrap();
    until(|| client.get("/api/v1/rules/a-burst")["text"].to_string().contains("gte: 2"));
    say(&server, "ant one");
    say(&server, "ant two");
    until(|| findings("a-burst") >= 1);
    server.stop();
}
