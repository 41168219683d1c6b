use crate::server::Server;
use connect::sinks::{Sink, SinkConfig, SinkError, TechniqueName};
use event::{
    Bytes, CompactString, Entity, EntityKind, Event, Explanation, Finding, FindingStatus, Format, Id, Position, Rule, RuleKind, Severity, Timestamp,
};
use serde_json::{Value, json};
use std::process::Command;
use std::sync::Arc;

fn technique() -> TechniqueName {
    Arc::new(|id| (id == "T1110").then(|| "Brute Force".to_owned()))
}

fn sink(config: Value) -> Box<dyn Sink> {
    let config: SinkConfig = serde_json::from_value(config).unwrap();
    config.check().unwrap();
    config.build(technique()).unwrap()
}

/// An event with what breaks protocols in it.
fn event(number: u64) -> Event {
    let uid = CompactString::from(format!("event-{number}"));
    let at = Timestamp(1_790_000_000_123_456 + number as i64);
    let position = Position { offset: number / 3, index: (number % 3) as u32 };
    let mut event = Event::new(uid, position, at, "app".into(), Format::Json, Bytes::from_static(b"a\tb\\N \"q\" \0 \r\n \xF0\x9F\xA6\x85"));
    event.ocsf.user_name = Some("o'brien\\N\t\0".into());
    event.ocsf.src.ip = Some("203.0.113.7".into());
    event.ocsf.api_operation = Some("Delete\nBucket".into());
    event.severity = if number.is_multiple_of(2) { Severity::High } else { Severity::Informational };
    event
}

fn events(range: std::ops::Range<u64>) -> Vec<Event> {
    range.map(event).collect()
}

fn finding(number: u8, level: Severity) -> Finding {
    let rule = Rule {
        id: "r-1".into(),
        name: "Password guessing, from one address".into(),
        kind: RuleKind::Sigma,
        level,
        description: String::new(),
        techniques: vec!["T1110".into()],
        tactics: Vec::new(),
        false_positives: Vec::new(),
        references: Vec::new(),
        author: String::new(),
        file: String::new(),
        handling: Default::default(),
    };
    Finding {
        id: Id([number; 16]),
        time: Timestamp(1_790_000_000_000_000),
        rule: Arc::new(rule),
        level,
        entity: Entity::new(EntityKind::Ip, "203.0.113.7"),
        event_ids: vec!["event-1".into(), "event-2".into()],
        positions: Vec::new(),
        event_count: 2,
        window: None,
        explanation: Explanation { summary: "12 failures\tin \0 a minute".into(), conditions: Vec::new() },
        status: FindingStatus::Provisional,
        revision: 0,
        replaces: None,
        user: None,
        source_ip: Some("203.0.113.7".into()),
        event_name: Some("logon".into()),
        place: None,
    }
}

fn ask(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn tells_of_trouble(result: Result<Vec<connect::sinks::Bad>, SinkError>) -> bool {
    matches!(result, Err(SinkError::Unavailable(_)))
}

#[test]
fn postgres_holds_each_event_and_each_finding_once() {
    let mut server = Server::start("postgres.sh");
    let url = server.url.clone();
    let sql = |text: &str| ask("psql", &[&url, "-Atc", text]);
    let mut sink = sink(json!({"type": "postgres", "name": "pg", "url": server.url}));
    sink.prepare().unwrap();
    assert_eq!(sink.events(&events(0..2_000)).unwrap(), []);
    // A batch whose outcome was unknown comes again, overlapping.
    assert_eq!(sink.events(&events(1_500..2_500)).unwrap(), []);
    assert_eq!(sql("SELECT COUNT(*), COUNT(*) FILTER (WHERE is_suspicious), MIN(severity), MAX(severity) FROM security_events"), "2500|1250|HIGH|LOW");
    let row = "SELECT event_name = E'Delete\\nBucket', user_name = E'o''brien\\\\N\\t\u{FFFD}', source_ip, \
               event_data -> 'actor' -> 'user' ->> 'name' = user_name, to_char(time AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US') \
               FROM security_events WHERE event_id = 'event-7'";
    assert_eq!(sql(row), "t|t|203.0.113.7|t|2026-09-21T14:13:20.123463");

    let first = finding(1, Severity::High);
    let mut second = finding(2, Severity::Low);
    sink.findings(&[first.clone(), second.clone()]).unwrap();
    let changed = Finding { revision: 1, event_count: 9, level: Severity::Critical, ..first.clone() };
    sink.findings(&[first.clone(), changed]).unwrap();
    let threats = "SELECT threat_type, severity, mitre_attack, event_id, additional_data ->> 'event_count' FROM detected_threats ORDER BY id";
    assert_eq!(
        sql(threats),
        "password_guessing_from_one_address|CRITICAL|T1110 - Brute Force|event-2|9\n\
         password_guessing_from_one_address|LOW|T1110 - Brute Force|event-2|2"
    );
    second.status = FindingStatus::Withdrawn;
    let moved = Finding { id: Id([3; 16]), replaces: Some(first.id), ..first };
    sink.findings(&[second, moved]).unwrap();
    assert_eq!(sql("SELECT string_agg(additional_data ->> 'finding_id', ',') FROM detected_threats"), Id([3; 16]).to_string());

    server.tell("stop");
    assert!(tells_of_trouble(sink.events(&events(2_500..2_501))));
    server.tell("start");
    assert_eq!(sink.events(&events(2_500..2_501)).unwrap(), []);
    assert_eq!(sql("SELECT COUNT(*) FROM security_events"), "2501");
}

#[test]
fn postgres_gives_way_to_tables_that_are_there_and_names_what_is_wrong() {
    let server = Server::start("postgres.sh");
    ask("psql", &[&server.url, "-qc", "CREATE TABLE security_events (time timestamptz, event_id text PRIMARY KEY, severity varchar(3))"]);
    let mut sink = sink(json!({"type": "postgres", "name": "pg", "url": server.url}));
    let error = sink.events(&events(0..1)).unwrap_err().to_string();
    assert!(error.contains("event_name"), "{error}");
    let password = server.url.split(':').nth(2).unwrap().split('@').next().unwrap();
    assert!(!error.contains(password));
}

#[test]
fn redis_holds_the_newest_and_counts_each_once() {
    let mut server = Server::start("redis.sh");
    let port = server.port().to_owned();
    let cli = |arguments: &[&str]| ask("redis-cli", &[&["-p", &port][..], arguments].concat());
    let mut listener = Command::new("redis-cli")
        .args(["-p", &port, "--csv", "SUBSCRIBE", "security_alerts"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while cli(&["PUBSUB", "NUMSUB", "security_alerts"]) != "security_alerts\n1" {
        std::thread::yield_now();
    }
    let mut sink = sink(json!({"type": "redis", "name": "cache", "url": server.url}));
    sink.events(&events(0..250)).unwrap();
    sink.events(&events(0..250)).unwrap();
    sink.events(&events(250..260)).unwrap();
    assert_eq!(cli(&["HGET", "metrics", "events_processed"]), "260");
    assert_eq!(cli(&["HGET", "metrics", "suspicious_events"]), "130");
    assert_eq!(cli(&["LLEN", "recent_events"]), "100");
    let newest: Value = serde_json::from_str(&cli(&["LINDEX", "recent_events", "0"])).unwrap();
    assert_eq!((&newest["event_id"], &newest["severity"]), (&json!("event-259"), &json!("LOW")));

    let many: Vec<Finding> = (0..60).map(|i| finding(i, if i % 2 == 0 { Severity::High } else { Severity::Low })).collect();
    sink.findings(&many).unwrap();
    sink.findings(&many).unwrap();
    assert_eq!(cli(&["HGET", "metrics", "threats_detected"]), "60");
    assert_eq!((cli(&["LLEN", "recent_threats"]), cli(&["LLEN", "active_alerts"])), ("50".into(), "20".into()));
    assert_eq!(cli(&["SMEMBERS", "threats:ip:203.0.113.7"]), "password_guessing_from_one_address");
    let ttl: i64 = cli(&["TTL", "threats:ip:203.0.113.7"]).parse().unwrap();
    assert!((86_000..=86_400).contains(&ttl));

    server.tell("stop");
    let heard = listener.wait_with_output_text();
    let messages = heard.lines().filter(|line| line.starts_with("\"message\"")).count();
    assert_eq!(messages, 30, "one for each finding of level high, none twice");
    assert!(heard.contains(r#"\"type\":\"alert\""#), "{heard}");
    assert!(tells_of_trouble(sink.events(&events(260..270))));
    server.tell("start");
    sink.events(&events(260..270)).unwrap();
    assert_eq!(cli(&["HGET", "metrics", "events_processed"]), "10", "the new server knows nothing of before");
}

trait OutputText {
    fn wait_with_output_text(&mut self) -> String;
}

impl OutputText for std::process::Child {
    fn wait_with_output_text(&mut self) -> String {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut self.stdout.take().unwrap(), &mut text).unwrap();
        self.wait().unwrap();
        text
    }
}

#[test]
fn a_file_has_whole_lines_each_once_and_is_rotated() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out/events.jsonl");
    let config = json!({"type": "file", "name": "file", "path": path, "bytes_max": 1 << 20, "keep": 2});
    let mut first = sink(config.clone());
    first.events(&events(0..100)).unwrap();
    first.findings(&[finding(1, Severity::High)]).unwrap();
    drop(first);
    // A crash left half a line; the batch comes again with more.
    let mut text = std::fs::read_to_string(&path).unwrap();
    let whole = text.len();
    text.push_str(r#"{"metadata":{"uid":"event-100"#);
    std::fs::write(&path, &text).unwrap();
    let mut second = sink(config);
    second.events(&events(50..150)).unwrap();
    second.findings(&[finding(1, Severity::High), Finding { revision: 1, ..finding(1, Severity::High) }]).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.as_bytes()[whole - 1], b'\n');
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let uids: Vec<&str> = lines.iter().filter_map(|line| line["metadata"]["uid"].as_str()).collect();
    assert_eq!(uids, (0..150).map(|n| format!("event-{n}")).collect::<Vec<_>>());
    assert_eq!(lines.iter().filter(|line| line.get("finding").is_some()).count(), 2);
    for start in (150..12_000).step_by(1_000) {
        second.events(&events(start..start + 1_000)).unwrap();
    }
    let mut names: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names.iter().filter(|name| name.starts_with("events.jsonl.")).count(), 2, "{names:?}");
}

#[test]
fn opensearch_holds_each_document_once_and_says_what_it_refuses() {
    let mut server = Server::start("opensearch.sh");
    let url = server.url.clone();
    let get = |path: &str| -> Value { serde_json::from_str(&ask("curl", &["-s", &format!("{url}{path}")])).unwrap() };
    let refresh = || ask("curl", &["-s", "-XPOST", &format!("{url}/_refresh")]);
    let mut sink = sink(json!({"type": "opensearch", "name": "search", "url": server.url}));
    assert_eq!(sink.events(&events(0..2_000)).unwrap(), []);
    assert_eq!(sink.events(&events(1_500..2_500)).unwrap(), []);
    refresh();
    assert_eq!(get("/security-events/_count")["count"], 2_500);
    let near = get("/security-events/_search?q=src_endpoint.ip:203.0.113.0%5C%2F24%20AND%20actor.user.name:*brien*&size=1");
    assert_eq!(near["hits"]["total"]["value"], 2_500, "addresses are addresses: {near}");
    let mapping = get("/security-events/_mapping");
    let properties = &mapping["security-events"]["mappings"]["properties"];
    assert_eq!((&properties["@timestamp"]["type"], &properties["raw_data"]["type"]), (&json!("date"), &json!("text")));

    let first = finding(1, Severity::High);
    let moved = Finding { id: Id([3; 16]), replaces: Some(first.id), ..first.clone() };
    sink.findings(&[first, finding(2, Severity::Low)]).unwrap();
    sink.findings(&[moved, Finding { status: FindingStatus::Withdrawn, ..finding(2, Severity::Low) }]).unwrap();
    refresh();
    let left = get("/security-findings/_search");
    assert_eq!(left["hits"]["total"]["value"], 1);
    assert_eq!(left["hits"]["hits"][0]["_id"], Id([3; 16]).to_string());

    // A mapping that somebody made by hand: one document does not fit, the others do.
    let body = r#"{"mappings": {"properties": {"api": {"properties": {"operation": {"type": "long", "ignore_malformed": false}}}}}}"#;
    ask("curl", &["-s", "-XPUT", "-Hcontent-type: application/json", &format!("{url}/narrow"), "-d", body]);
    let mut narrow = self::sink(json!({"type": "opensearch", "name": "search", "url": server.url, "events_index": "narrow"}));
    let mut two = events(0..2);
    two[1].ocsf.api_operation = Some("42".into());
    let bad = narrow.events(&two).unwrap();
    assert_eq!(bad.len(), 1);
    assert!(bad[0].place == 0 && bad[0].reason.contains("mapper_parsing_exception"), "{bad:?}");

    server.tell("stop");
    assert!(tells_of_trouble(sink.events(&events(2_500..2_501))));
    server.tell("start");
    assert_eq!(sink.events(&events(2_500..2_501)).unwrap(), []);
}
