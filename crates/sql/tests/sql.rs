//! SQL's promises: right answers from tail and files alike, nothing but reading, and bounds that hold.
#![allow(clippy::unwrap_used)]

use async_trait::async_trait;
use event::{Alert, CompactString, Event, Finding, Format, Incident, Position, Severity, Timestamp};
use serde_json::{Value, json};
use sql::{Answer, Budget, Request, Source, Sql, SqlError};
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::lake::{Frozen, Lake, LakeConfig, Tuning};

/// 2026-11-20T00:00:00Z.
const DAY: i64 = 1_795_132_800;

fn text(value: &str) -> Option<CompactString> {
    Some(value.into())
}

/// One event a second from midnight on; its fields follow from the number.
fn event(n: u64) -> Event {
    let position = Position { offset: n, index: 0 };
    let raw = format!(r#"{{"n":{n},"word":"needle{}"}}"#, n % 7);
    let mut event = Event::new(format!("uid-{n}").into(), position, Timestamp::from_secs(DAY + 90_000), "web".into(), Format::AppLog, raw.into());
    event.time = Timestamp::from_secs(DAY + n as i64);
    event.severity = Severity::ALL[(n % 5) as usize];
    event.ocsf.user_name = text(&format!("user{}", n % 5));
    event.ocsf.src.ip = text(&format!("10.0.{}.{}", n % 3, n % 200));
    event.ocsf.http.response_code = Some(200 + (n % 4) as i64 * 100);
    if n.is_multiple_of(3) {
        event.ocsf.src.location.lat = Some(n as f64 / 10.0);
        event.rules = vec!["rule-a".into()];
    }
    event
}

struct World {
    _dir: tempfile::TempDir,
    lake: Arc<Lake>,
    sql: Sql,
}

struct Tables(Arc<Lake>);

#[async_trait]
impl Source for Tables {
    fn events(&self) -> Frozen {
        self.0.frozen()
    }
    async fn alerts(&self) -> Result<Vec<Alert>, SqlError> {
        Ok(Vec::new())
    }
    async fn incidents(&self) -> Result<Vec<Incident>, SqlError> {
        Ok(Vec::new())
    }
    async fn findings(&self) -> Result<Vec<Finding>, SqlError> {
        Err(SqlError::Failed("the control plane is away".into()))
    }
}

impl World {
    fn new(budget: Budget) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tuning = Tuning { background: false, grace_secs: 0, ..Tuning::default() };
        let config = LakeConfig { retention_days: 36_000, flush_rows: 10_000_000, flush_secs: 3_600, ..LakeConfig::default() };
        let lake = Arc::new(Lake::open_with(dir.path(), config, tuning).unwrap());
        Self { _dir: dir, lake, sql: Sql::new(budget).unwrap() }
    }

    /// 3,000 events: two files of a thousand, and a tail.
    fn filled() -> Self {
        let world = Self::new(Budget::default());
        for part in 0..3 {
            world.add(part * 1_000..part * 1_000 + 1_000);
            if part < 2 {
                world.lake.flush().unwrap();
            }
        }
        world
    }

    fn add(&self, range: std::ops::Range<u64>) {
        let end = range.end;
        self.lake.append(Arc::new(range.map(event).collect()), end).unwrap();
    }

    async fn ask(&self, request: Request) -> Result<Answer, SqlError> {
        self.sql.run(request, Arc::new(Tables(self.lake.clone()))).await
    }

    async fn run(&self, sql: &str) -> Result<Answer, SqlError> {
        self.ask(Request { sql: sql.into(), ..Request::default() }).await
    }

    async fn rows(&self, sql: &str) -> Value {
        match self.run(sql).await {
            Ok(answer) => json!(answer.rows),
            Err(error) => panic!("{sql}: {error:?}"),
        }
    }

    async fn bad(&self, sql: &str) -> (String, Option<usize>, Option<String>) {
        match self.run(sql).await {
            Err(SqlError::Bad { message, column, hint }) => (message, column, hint),
            other => panic!("{sql}: {other:?}"),
        }
    }
}

fn request(sql: &str) -> Request {
    Request { sql: sql.into(), ..Request::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tail_and_files_are_one_table() {
    let world = World::filled();
    assert_eq!(world.rows("SELECT count(*) FROM events").await, json!([[3000]]));
    assert_eq!(world.rows("SELECT count(*), min(time), max(time) FROM events WHERE time >= '2026-11-20T00:10:00Z'").await,
        json!([[2400, "2026-11-20T00:10:00.000000Z", "2026-11-20T00:49:59.000000Z"]]));
    assert_eq!(world.rows("SELECT severity, count(*) AS n FROM events GROUP BY severity ORDER BY severity").await,
        json!([["critical", 600], ["high", 600], ["informational", 600], ["low", 600], ["medium", 600]]));
    assert_eq!(world.rows("SELECT date_trunc('hour', time), count(*) FROM events GROUP BY 1").await, json!([["2026-11-20T00:00:00.000000Z", 3000]]));
    assert_eq!(world.rows("SELECT day, count(*) FROM events GROUP BY day").await, json!([["2026-11-20", 3000]]));
    // Each of the three parts has its row, whole.
    for n in [7, 1_007, 2_007] {
        let row = world.rows(&format!("SELECT metadata.uid, actor.user.name, raw_data FROM events WHERE metadata.uid = 'uid-{n}'")).await;
        assert_eq!(row, json!([[format!("uid-{n}"), format!("user{}", n % 5), format!(r#"{{"n":{n},"word":"needle{}"}}"#, n % 7)]]));
    }
    let newest = world.rows("SELECT metadata.uid FROM events ORDER BY time DESC LIMIT 3").await;
    assert_eq!(newest, json!([["uid-2999"], ["uid-2998"], ["uid-2997"]]));
    let oldest = world.rows("SELECT metadata.uid FROM events ORDER BY time LIMIT 2 OFFSET 1").await;
    assert_eq!(oldest, json!([["uid-1"], ["uid-2"]]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_are_named_by_their_dotted_paths_or_ecs_names_anywhere() {
    let world = World::filled();
    for column in ["src_endpoint.ip", "source.ip", "events.src_endpoint.ip", "e.source.ip", r#""src_endpoint.ip""#, "src_endpoint['ip']", "e.src_endpoint['ip']", "SRC_Endpoint.IP"] {
        let from = if column.starts_with("e.") { "events e" } else { "events" };
        let sql = format!("SELECT {column} FROM {from} WHERE {column} = '10.0.1.7' AND metadata.uid = 'uid-7' GROUP BY {column} ORDER BY {column}");
        assert_eq!(world.rows(&sql).await, json!([["10.0.1.7"]]), "{sql}");
    }
    let answer = world.run(r#"SELECT user.name, source.geo.location.lat, "@timestamp", @timestamp, severity FROM events WHERE event.id = 'uid-3'"#).await;
    // A quoted name is taken at its word: it is the column's, and this one is none.
    assert!(matches!(answer, Err(SqlError::Bad { .. })), "{answer:?}");
    let answer = world.run("SELECT user.name, source.geo.location.lat, @timestamp, severity AS s FROM events WHERE event.id = 'uid-3'").await.unwrap();
    let columns: Vec<(&str, &str)> = answer.columns.iter().map(|c| (&*c.name, c.r#type)).collect();
    assert_eq!(columns, [("user.name", "text"), ("source.geo.location.lat", "number"), ("@timestamp", "timestamp"), ("s", "text")]);
    assert_eq!(json!(answer.rows), json!([["user3", 0.3, "2026-11-20T00:00:03.000000Z", "high"]]));
    // Paths stay what they are through subqueries and WITH.
    let sql = "WITH hot AS (SELECT source.ip, count(*) AS n FROM events GROUP BY source.ip)
               SELECT h.src_endpoint.ip, n FROM hot h JOIN (SELECT DISTINCT src_endpoint.ip FROM events) d ON d.source.ip = h.source.ip ORDER BY n DESC, 1 LIMIT 1";
    assert_eq!(world.rows(sql).await, json!([["10.0.0.0", 5]]));
    // Lists.
    assert_eq!(world.rows("SELECT count(*) FROM events WHERE array_has(finding_info.rules, 'rule-a')").await, json!([[1000]]));
    assert_eq!(world.rows("SELECT finding_info.rules, finding_info.rules[1] FROM events WHERE metadata.uid = 'uid-3'").await, json!([[["rule-a"], "rule-a"]]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_column_answers_and_wildcards_have_them_all() {
    let world = World::filled();
    let answer = world.run("SELECT * FROM events ORDER BY time LIMIT 2").await.unwrap();
    let names: Vec<&str> = answer.columns.iter().map(|c| &*c.name).collect();
    let mut wanted: Vec<&str> = event::COLUMNS.iter().map(|c| c.path).collect();
    wanted.push("day");
    assert_eq!(names, wanted);
    for column in event::COLUMNS {
        for name in std::iter::once(column.path).chain(column.ecs.iter().copied()) {
            let sql = format!("SELECT count({name}), count(*) FROM events WHERE {name} IS NOT NULL OR {name} IS NULL");
            let answer = world.run(&sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
            assert_eq!(answer.rows[0][1], 3000, "{sql}");
        }
    }
    let answer = world.run("DESCRIBE events").await.unwrap();
    assert!(answer.rows.iter().any(|r| r[0] == "src_endpoint.ip"), "{answer:?}");
    let tables = world.rows("SHOW TABLES").await.to_string();
    for table in ["events", "alerts", "incidents", "findings"] {
        assert!(tables.contains(table), "{tables}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_mean_the_same_in_memory_and_on_disk() {
    let world = World::new(Budget::default());
    world.add(0..2_000);
    let cases = [
        ("src_endpoint.ip = '10.0.1.7'", 4), // 7, 607, 1207, 1807: n % 3 = 1 and n % 200 = 7
        ("http_response.code >= 400 AND http_response.code < 500", 500),
        ("http_response.code IN (200, 500)", 1000),
        ("severity <> 'low'", 1600),
        ("src_endpoint.location.lat IS NULL", 1333),
        ("src_endpoint.location.lat BETWEEN 0 AND 9.0", 31),
        ("raw_data LIKE '%needle3%' AND actor.user.name = 'user0'", 57),
        ("raw_data ILIKE '%NEEDLE3%'", 286),
        ("actor.user.name ~ '^user[12]$'", 800),
        ("time >= '2026-11-20 00:10:00' AND time < '2026-11-20 00:20:00'", 600),
        ("day = '2026-11-20'", 2000),
        ("day < '2026-11-20'", 0),
        ("cidr_match(src_endpoint.ip, '10.0.1.0/24')", 667),
        ("NOT cidr_match(source.ip, '10.0.0.0/8')", 0),
        ("message = 'x'", 0),
        ("metadata.uid IN ('uid-1', 'uid-1999', 'nothing')", 2),
        ("time > now() - INTERVAL '1 hour' AND time < '2000-01-01'", 0),
    ];
    for flushed in [false, true] {
        if flushed {
            world.lake.flush().unwrap();
        }
        for (filter, wanted) in cases {
            let count = world.rows(&format!("SELECT count(*) FROM events WHERE {filter}")).await;
            let by_python = (0..2_000u64).count();
            assert_eq!(by_python, 2_000);
            assert_eq!(count, json!([[wanted]]), "{filter} flushed={flushed}");
            let uids = world.ask(Request { limit: Some(5_000), ..request(&format!("SELECT metadata.uid, raw_data FROM events WHERE {filter}")) }).await.unwrap();
            assert_eq!(uids.rows.len(), wanted, "{filter} flushed={flushed}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_of_our_own() {
    let world = World::filled();
    let buckets = world.rows("SELECT time_bucket(INTERVAL '20 minutes', time) AS t, count(*) FROM events GROUP BY t ORDER BY t").await;
    assert_eq!(buckets, json!([["2026-11-20T00:00:00.000000Z", 1200], ["2026-11-20T00:20:00.000000Z", 1200], ["2026-11-20T00:40:00.000000Z", 600]]));
    let one = |ip: &str, block: &str| format!("SELECT cidr_match('{ip}', '{block}')");
    for (ip, block, inside) in [("10.1.2.3", "10.0.0.0/8", true), ("11.1.2.3", "10.0.0.0/8", false), ("2001:db8::1", "2001:db8::/32", true),
        ("::ffff:10.0.0.1", "10.0.0.0/8", true), ("not an address", "0.0.0.0/0", false), ("10.0.0.1", "10.0.0.1", true)] {
        assert_eq!(world.rows(&one(ip, block)).await, json!([[inside]]), "{ip} {block}");
    }
    assert_eq!(world.rows("SELECT cidr_match(NULL, '10.0.0.0/8')").await, json!([[null]]));
    let (message, ..) = world.bad("SELECT count(*) FROM events WHERE cidr_match(src_endpoint.ip, '10.0.0.0/33')").await;
    assert!(message.contains("is no block of addresses"), "{message}");
    let (message, ..) = world.bad("SELECT cidr_match(src_endpoint.ip, src_endpoint.ip) FROM events").await;
    assert!(message.contains("is a constant"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_but_reading() {
    let world = World::filled();
    let refused = [
        "COPY events TO '/tmp/x.csv'", "COPY (SELECT 1) TO '/tmp/x.parquet' STORED AS PARQUET",
        "CREATE TABLE t AS SELECT 1", "CREATE TABLE t (a INT)", "CREATE VIEW v AS SELECT 1", "CREATE SCHEMA s", "CREATE DATABASE d",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", "CREATE FUNCTION f() RETURNS INT RETURN 1",
        "DROP TABLE events", "DROP VIEW v", "ALTER TABLE events ADD COLUMN x INT", "TRUNCATE TABLE events",
        "INSERT INTO events SELECT * FROM events", "UPDATE events SET severity = 'low'", "DELETE FROM events",
        "MERGE INTO events USING alerts ON true WHEN MATCHED THEN DELETE",
        "WITH x AS (SELECT 1) INSERT INTO events SELECT * FROM x", "SELECT * INTO t FROM events",
        "SET datafusion.execution.target_partitions = 64", "RESET datafusion.execution.target_partitions", "SHOW ALL",
        "BEGIN", "COMMIT", "PREPARE p AS SELECT 1", "EXECUTE p", "DEALLOCATE p", "USE x", "VACUUM", "ANALYZE TABLE events", "GRANT SELECT ON events TO x",
        "EXPLAIN COPY events TO '/tmp/x.csv'", "EXPLAIN CREATE TABLE t (a INT)", "EXPLAIN DELETE FROM events",
        "SELECT * FROM generate_series(1, 100000000000)", "SELECT * FROM range(1, 3)", "SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM read_parquet('x')",
        "SELECT * FROM 'file:///etc/passwd'", "SELECT * FROM '/etc/passwd'", r#"SELECT * FROM "/etc/passwd.csv""#, "SELECT * FROM 'http://169.254.169.254/x.csv'",
        "SELECT 1; SELECT 2", "SELECT 1; DROP TABLE events", "", ";", "   ", "-- only a comment",
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t",
        "SELECT * FROM events FOR UPDATE", "SELECT repeat('x', 1000000000)", "SELECT lpad('x', 1000000000)", "SELECT rpad('x', 1000000000)",
        "SELECT generate_series(1, 10000000000)", "SELECT range(1, 10000000000)", "SELECT array_repeat(1, 10000000000)", "SELECT array_resize([1], 10000000000)",
        "SELECT list_repeat(1, 10000000000)", "SELECT version()", "SELECT @@version", "SELECT input_file_name() FROM events",
        "SELECT * FROM information_schema.nothing", "SELECT * FROM other.main.events", "TABLE events; TABLE events",
    ];
    for sql in refused {
        let (message, ..) = world.bad(sql).await;
        assert!(!message.is_empty() && !message.contains(env!("CARGO_MANIFEST_DIR")) && !message.contains("/root"), "{sql}: {message}");
    }
    assert_eq!(world.rows("SELECT count(*) FROM events").await, json!([[3000]]));
    // Function tables are refused by name, not found missing.
    assert!(world.bad("SELECT * FROM generate_series(1, 3)").await.0.contains("a function as a table is not allowed"));
    assert!(world.bad("DROP TABLE events").await.0.contains("DROP TABLE is not allowed"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_are_pointed_at() {
    let world = World::filled();
    let cases: [(&str, &str, Option<usize>, Option<&str>); 9] = [
        ("SELECT src_endpoint.ipp FROM events", "there is no column src_endpoint.ipp", Some(7), Some("did you mean src_endpoint.ip?")),
        ("SELECT time,\n  user.nam FROM events", "there is no column user.nam", Some(15), Some("did you mean user.name?")),
        ("SELECT sevrity FROM events", "there is no column sevrity", Some(7), Some("did you mean severity?")),
        ("SELECT actor FROM events", "there is no column actor", Some(7), Some("actor is a group of columns: actor.user.name")),
        ("SELEC time FROM events", "SELEC", Some(0), None),
        ("SELECT time FROM events WHERE", "", Some(29), None),
        ("SELECT time FROM evnts", "evnts", None, None),
        ("SELECT 'ü', 'unended FROM events", "Unterminated string literal", Some(12), None),
        ("SELECT frobnicate(time) FROM events", "frobnicate", None, None),
    ];
    for (sql, part, column, hint) in cases {
        let (message, at, way_out) = world.bad(sql).await;
        assert!(message.contains(part), "{sql}: {message}");
        if column.is_some() {
            assert_eq!(at, column, "{sql}: {message}");
        }
        assert!(hint.is_none_or(|h| way_out.as_deref().is_some_and(|w| w.starts_with(h))), "{sql}: {way_out:?}");
    }
    let missing = world.run("SELECT * FROM findings").await;
    assert!(matches!(missing, Err(SqlError::Failed(_))), "{missing:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_bytes_and_statements_are_bounded() {
    let world = World::filled();
    let answer = world.ask(Request { limit: Some(10), ..request("SELECT metadata.uid FROM events") }).await.unwrap();
    assert_eq!((answer.rows.len(), answer.truncated), (10, true));
    let answer = world.ask(Request { limit: Some(10), ..request("SELECT metadata.uid FROM events LIMIT 10") }).await.unwrap();
    assert_eq!((answer.rows.len(), answer.truncated), (10, false));
    let answer = world.ask(Request { limit: Some(usize::MAX), ..request("SELECT metadata.uid FROM events") }).await.unwrap();
    assert_eq!((answer.rows.len(), answer.truncated), (3_000, false));
    let small = World::new(Budget { bytes_max: 1_000, ..Budget::default() });
    small.add(0..1_000);
    let answer = small.run("SELECT raw_data FROM events").await.unwrap();
    assert!(answer.truncated && !answer.rows.is_empty() && answer.rows.len() < 50, "{}", answer.rows.len());
    // As deep and as long as it may be, and beyond: an answer, never the end of the process.
    for ors in [450, 950] {
        let sql = format!("SELECT count(*) FROM events WHERE severity_id = 9{}", " OR severity_id = 9".repeat(ors));
        assert_eq!(world.rows(&sql).await, json!([[0]]), "{ors}");
    }
    assert_eq!(world.rows(&format!("SELECT 0{}", " + 1".repeat(150))).await, json!([[150]]));
    assert!(world.bad(&format!("SELECT 0{}", " + 1".repeat(201))).await.0.contains("signs of arithmetic"));
    let unions = vec!["SELECT 1"; 600].join(" UNION ALL ");
    assert_eq!(world.ask(Request { limit: Some(1_000), ..request(&unions) }).await.unwrap().rows.len(), 600);
    let (message, ..) = world.bad(&format!("SELECT 1{}", " + 1".repeat(12_000))).await;
    assert!(message.contains("words and signs"), "{message}");
    let (message, ..) = world.bad(&format!("SELECT '{}'", "x".repeat(100_000))).await;
    assert!(message.contains("bytes"), "{message}");
    let deep = format!("SELECT {}1{}", "(".repeat(1_500), ")".repeat(1_500));
    assert!(world.bad(&deep).await.0.contains("deep"));
    let nested = format!("{}SELECT 1{}", "SELECT 1 FROM (".repeat(400), ")".repeat(400));
    assert!(world.bad(&nested).await.0.contains("deep"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_bounded_and_the_error_says_so() {
    let world = World::new(Budget { memory_bytes: 1 << 20, ..Budget::default() });
    world.add(0..20_000);
    let answer = world.run("SELECT count(*) FROM (SELECT metadata.uid, count(*) FROM events GROUP BY metadata.uid)").await;
    let Err(SqlError::Memory { mb: 1 }) = answer else { panic!("{answer:?}") };
    assert!(answer.unwrap_err().to_string().contains("1 MB of memory"));
    let sort = world.run("SELECT * FROM events ORDER BY raw_data DESC, metadata.uid OFFSET 10000").await;
    assert!(matches!(sort, Err(SqlError::Memory { .. })), "{sort:?}");
    // What was reserved is given back.
    assert_eq!(world.sql.load().memory_bytes, 0);
    assert_eq!(world.rows("SELECT count(*) FROM events").await, json!([[20000]]));
}

/// A query that would run for hours: a join of all rows with all rows with all rows.
const ENDLESS: &str = "SELECT sum(a.http_response.code + b.http_response.code + c.http_response.code) FROM events a, events b, events c WHERE a.http_response.code <> b.http_response.code + c.http_response.code";

async fn idle(world: &World) -> Duration {
    let began = Instant::now();
    while world.sql.load().running > 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "the query goes on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_is_bounded_and_who_goes_takes_the_query_along() {
    let world = World::filled();
    let began = Instant::now();
    let answer = world.ask(Request { timeout_secs: Some(1), ..request(ENDLESS) }).await;
    assert!(matches!(answer, Err(SqlError::Timeout { secs: 1 })), "{answer:?}");
    assert!(began.elapsed() < Duration::from_secs(10));
    idle(&world).await;
    // The asker goes away.
    let gone = tokio::time::timeout(Duration::from_millis(300), world.run(ENDLESS)).await;
    assert!(gone.is_err());
    idle(&world).await;
    assert_eq!(world.rows("SELECT 1").await, json!([[1]]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn only_so_many_run_and_wait() {
    let world = Arc::new(World::new(Budget { running_max: 1, waiting_max: 1, ..Budget::default() }));
    world.add(0..3_000);
    let ask = |secs| {
        let world = world.clone();
        tokio::spawn(async move { world.ask(Request { timeout_secs: Some(secs), ..request(ENDLESS) }).await })
    };
    let first = ask(60);
    while world.sql.load().running == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let second = ask(60);
    while world.sql.load().waiting == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let third = world.run("SELECT 1").await;
    assert!(matches!(third, Err(SqlError::Busy { running: 1, waiting: 1 })), "{third:?}");
    assert_eq!(world.sql.load().refused, 1);
    second.abort();
    while world.sql.load().waiting > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The place in the queue is free again, and then the turn.
    let waiter = { let world = world.clone(); tokio::spawn(async move { world.run("SELECT 2").await }) };
    while world.sql.load().waiting == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    first.abort();
    assert_eq!(json!(waiter.await.unwrap().unwrap().rows), json!([[2]]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plans_are_shown_and_only_what_is_needed_is_read() {
    let world = World::filled();
    let explained = world.ask(Request { explain: true, ..request("SELECT src_endpoint.ip FROM events WHERE user.name = 'user1'") }).await.unwrap();
    let plan = explained.plan.unwrap();
    assert!(plan.contains("EventsScan: columns=[src_endpoint.ip], files=2, tail_rows=1000"), "{plan}");
    assert!(explained.rows.is_empty() && !plan.contains("/tmp"), "{plan}");
    let rows = world.rows("EXPLAIN SELECT count(*) FROM events").await.to_string();
    assert!(rows.contains("physical_plan"), "{rows}");
    // An event's id is in one file; the other is passed over by its bloom filter, the tail is looked at.
    let analysed = world.rows("EXPLAIN ANALYZE SELECT metadata.uid FROM events WHERE metadata.uid = 'uid-1500'").await.to_string();
    assert!(analysed.contains("parts_skipped=1") || analysed.contains("parts_skipped=2"), "{analysed}");
    // By time, both files are.
    let analysed = world.rows("EXPLAIN ANALYZE SELECT metadata.uid FROM events WHERE time >= '2026-11-20T00:40:00Z'").await.to_string();
    assert!(!analysed.contains("parts_skipped=0"), "{analysed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_state_outlives_merges_and_deletions() {
    let world = World::new(Budget::default());
    for part in 0..10 {
        world.add(part * 100..part * 100 + 100);
        world.lake.flush().unwrap();
    }
    world.add(1_000..1_050);
    let frozen = world.lake.frozen();
    let paths: Vec<_> = frozen.files().iter().map(|f| world._dir.path().join(&f.path)).collect();
    assert_eq!((paths.len(), frozen.rows(), frozen.tail_rows()), (10, 1_050, 50));
    world.lake.flush().unwrap();
    // Merged away, and long past any grace.
    let done = world.lake.maintain(Timestamp::from_secs(DAY + 86_400)).unwrap();
    assert!(done.merged > 0, "{done:?}");
    let late = Timestamp::parse("2100-01-01T00:00:00Z").unwrap();
    world.lake.maintain(late).unwrap();
    assert!(paths.iter().all(|p| p.exists()), "a file in use was deleted");
    let columns = vec![0];
    let read = store::lake::FrozenRead { columns, share: (0, 1), newest_first: false, batch_rows: 64, prune: Box::new(store::lake::All), tests: Vec::new() };
    let rows: usize = frozen.read(read).map(|b| b.unwrap().num_rows()).sum();
    assert_eq!(rows, 1_050);
    drop(frozen);
    world.lake.maintain(late).unwrap();
    assert!(paths.iter().all(|p| !p.exists()), "nobody needs the old files any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_manuals_examples_run() {
    let world = World::filled();
    let manual = include_str!("../../../docs/sql.md");
    let examples: Vec<&str> = manual.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(examples.len() >= 9);
    for example in examples {
        let answer = world.run(example).await.unwrap_or_else(|e| panic!("{example}: {e:?}"));
        assert!(!answer.columns.is_empty(), "{example}");
    }
    for name in sql::REMOVED {
        let (message, ..) = world.bad(&format!("SELECT {name}('x', 3)")).await;
        assert!(!message.is_empty());
    }
}
