use crate::server::{has_mongodb, path, Server};
use connect::sinks::{Profile, ProfileAlert, Sink, SinkConfig, SinkError, Surroundings, TechniqueName};
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
    let archive = |_: &connect::sinks::securitylake::Bucket| Err(SinkError::Refused("none here".into()));
    config.build(Surroundings { technique: technique(), archive: &archive, instance: "test" }).unwrap()
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

/// What MongoDB's own client finds; `expression` is Python with `db`.
fn mongo(url: &str, expression: &str) -> Value {
    serde_json::from_str(&ask(path("mongodb.sh").to_str().unwrap(), &["eval", url, expression])).unwrap()
}

fn profile(value: &str, risk: u32) -> Profile {
    let at = Timestamp(1_790_000_000_000_000);
    let alert = ProfileAlert { id: Id([7; 16]), rule: "Password guessing".into(), severity: Severity::High, last_seen: at };
    Profile {
        entity: Entity::new(EntityKind::Ip, value),
        risk,
        first_seen: at,
        last_seen: at,
        tactics: vec!["credential-access".into()],
        alerts: vec![alert],
        incidents: Vec::new(),
        updated: at,
    }
}

#[test]
fn mongodb_holds_each_document_once() {
    if !has_mongodb() {
        return;
    }
    let mut server = Server::start("mongodb.sh");
    let url = server.url.clone();
    let mut sink = sink(json!({"type": "mongodb", "name": "mongo", "url": url}));
    sink.prepare().unwrap();
    assert_eq!(sink.events(&events(0..300)).unwrap(), []);
    // A batch whose outcome was unknown comes again, overlapping.
    assert_eq!(sink.events(&events(200..400)).unwrap(), []);
    let seen = mongo(
        &url,
        "(db.security_events.count_documents({}), [(e['_id'], str(e['time']), e['time_dt'], e['actor']['user']['name'], e['severity_id']) \
         for e in db.security_events.find({'_id': 'event-7'})])",
    );
    assert_eq!(seen, json!([400, [["event-7", "2026-09-21 14:13:20.123000", "2026-09-21T14:13:20.123463Z", "o'brien\\N\t\0", 1]]]));

    let first = finding(1, Severity::High);
    sink.findings(&[first.clone(), finding(2, Severity::Low)]).unwrap();
    sink.findings(&[first.clone(), Finding { revision: 1, event_count: 9, level: Severity::Critical, ..first.clone() }]).unwrap();
    let kept = "[(f['_id'], f['revision'], f['event_count'], f['rule']['name']) for f in db.security_findings.find().sort('_id')]";
    let name = "Password guessing, from one address";
    assert_eq!(mongo(&url, kept), json!([[first.id, 1, 9, name], [Id([2; 16]), 0, 2, name]]));
    let withdrawn = Finding { status: FindingStatus::Withdrawn, ..finding(2, Severity::Low) };
    let moved = Finding { id: Id([3; 16]), replaces: Some(first.id), ..first };
    sink.findings(&[withdrawn, moved]).unwrap();
    assert_eq!(mongo(&url, kept), json!([[Id([3; 16]), 0, 2, name]]));

    sink.profiles(&[profile("203.0.113.7", 50), profile("203.0.113.8", 20)]).unwrap();
    sink.profiles(&[profile("203.0.113.7", 70)]).unwrap();
    let profiles = "[(p['_id'], p['risk'], str(p['last_seen'])) for p in db.entity_profiles.find().sort('risk', -1)]";
    let at = "2026-09-21 14:13:20";
    assert_eq!(mongo(&url, profiles), json!([["ip:203.0.113.7", 70, at], ["ip:203.0.113.8", 20, at]]));
    let indexes = mongo(&url, "sorted(db.security_findings.index_information())");
    assert_eq!(indexes, json!(["_id_", "entity.kind_1_entity.value_1_time_-1", "rule.id_1_time_-1", "time_-1"]));

    server.tell("stop");
    assert!(tells_of_trouble(sink.events(&events(400..401))));
    server.tell("start");
    assert_eq!(sink.events(&events(400..401)).unwrap(), []);
    assert_eq!(mongo(&url, "db.security_events.count_documents({})"), 401);
}

#[test]
fn mongodb_is_reached_by_tls_and_refuses_strangers() {
    if !has_mongodb() {
        return;
    }
    let server = Server::start_with("mongodb.sh", &["tls"]);
    let tried = |url: &str| self::sink(json!({"type": "mongodb", "name": "mongo", "url": url})).prepare();
    tried(&server.url).unwrap();
    let (bare, options) = server.url.split_once('?').unwrap();
    let error = tried(&format!("{bare}?tls=true")).unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
    assert!(tried(bare).is_err(), "without TLS nobody answers");
    let elsewhere = server.url.replace("127.0.0.1", "127.0.0.2");
    assert!(tried(&elsewhere).is_err());
    if server.url.contains('@') {
        let error = tried(&format!("{}?{options}", bare.replace("secret", "s3cret-guess"))).unwrap_err().to_string();
        assert!(error.contains("sasl") && !error.contains("s3cret"), "{error}");
    }
}

/// A table whose unique index the rows break: they are refused by themselves, or as a batch that can be halved.
#[test]
fn mongodb_says_which_documents_it_refuses() {
    if !has_mongodb() {
        return;
    }
    let server = Server::start("mongodb.sh");
    mongo(&server.url, "db.security_findings.create_index('rule.id', name='mine', unique=True)");
    let mut sink = sink(json!({"type": "mongodb", "name": "mongo", "url": server.url}));
    sink.findings(&[finding(1, Severity::High)]).unwrap();
    let other = finding(2, Severity::High);
    match sink.findings(std::slice::from_ref(&other)) {
        Ok(bad) => assert!(bad.len() == 1 && bad[0].place == 0 && bad[0].reason.contains("11000"), "{bad:?}"),
        Err(SinkError::Refused(reason)) => assert!(reason.contains("11000"), "{reason}"),
        Err(error) => panic!("{error}"),
    }
    // One that no server takes: its size is known here.
    let mut huge = finding(3, Severity::High);
    huge.explanation.summary = "x".repeat(17 << 20);
    let bad = sink.findings(&[finding(1, Severity::Low), huge]).unwrap();
    assert!(bad.len() == 1 && bad[0].place == 1 && bad[0].reason.contains("bytes"), "{bad:?}");
    assert_eq!(mongo(&server.url, "[f['level'] for f in db.security_findings.find()]"), json!(["low"]));
}
