//! What an event costs in the lake, and how long searches over a million take (or over `ERNE_BENCH_ROWS`, in a table
//! that `ERNE_BENCH_DIR` keeps for the next run).
//!
//! `cargo bench --workspace --bench lake`; figures with the machine they came from are in docs/lake.md.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use event::{Class, CompactString, Event, Format, Position, Severity, Timestamp, column};
use std::sync::Arc;
use std::time::Duration;
use query::{Expr, Test, Value, Words};
use std::time::Instant;
use store::lake::{Aggregation, Extras, Group, Lake, LakeConfig, Metric, Query, Tuning, Width};

const START: i64 = 1_795_132_800;
const BATCH: u64 = 4_096;
const TABLE_ROWS: u64 = 1_000_000;
/// Events of one second of log time.
const ROWS_A_SECOND: u64 = 20_000;

/// A cheap reproducible number per (event, field).
fn mix(n: u64, field: u64) -> u64 {
    let mut x = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ field.wrapping_mul(0xd1b5_4a32_d192_ed03);
    x ^= x >> 29;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^ (x >> 32)
}

fn some(value: String) -> Option<CompactString> {
    Some(value.into())
}

/// An access-log event of about 500 raw bytes, 20,000 events per second of log time.
fn event(offset: u64) -> Event {
    let ip = format!("198.51.{}.{}", mix(offset, 1) % 64, mix(offset, 2) % 256);
    let path = format!("/shop/item/{}/reviews", mix(offset, 3) % 5_000);
    let session = format!("{:016x}{:016x}", mix(offset, 4), mix(offset, 5));
    let code = [200, 200, 200, 302, 404, 500][(mix(offset, 6) % 6) as usize];
    let bytes = mix(offset, 7) % 40_000;
    let agent = format!("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/{}.0.0.0 Safari/537.36", 100 + mix(offset, 8) % 30);
    let time = Timestamp(Timestamp::from_secs(START).0 + offset as i64 * 50);
    let raw = format!(
        r#"{{"time":"{time}","remote_addr":"{ip}","request_method":"GET","request_uri":"{path}?session={session}","status":{code},"bytes_sent":{bytes},"http_referer":"https://www.example.com{path}","http_user_agent":"{agent}","request_time":0.{:03},"upstream":"10.0.0.{}:8080","host":"www.example.com","trace":"{:016x}"}}"#,
        mix(offset, 9) % 1_000,
        mix(offset, 10) % 8,
        mix(offset, 11)
    );
    let position = Position { offset, index: 0 };
    let uid = format!("{:016x}-{:016x}", mix(offset, 12), mix(offset, 13));
    let mut event = Event::new(uid.into(), position, time.plus_secs(1), "nginx-eu-1".into(), Format::AccessJson, raw.into());
    event.time = time;
    event.class = Class::HttpActivity;
    event.severity = if mix(offset, 14).is_multiple_of(500) { Severity::High } else { Severity::Informational };
    event.ocsf.activity = some("Get".into());
    event.ocsf.src.ip = some(ip);
    event.ocsf.src.location.country = some(["DE", "US", "FR", "JP"][(mix(offset, 1) % 4) as usize].into());
    event.ocsf.src.location.lat = Some((mix(offset, 1) % 180) as f64 - 90.0);
    event.ocsf.src.location.long = Some((mix(offset, 1) % 360) as f64 - 180.0);
    event.ocsf.device_hostname = some(format!("web-{}", mix(offset, 15) % 12));
    event.ocsf.user_name = mix(offset, 16).is_multiple_of(3).then(|| format!("user{}", mix(offset, 17) % 2_000).into());
    event.ocsf.http.method = some("GET".into());
    event.ocsf.http.path = some(path);
    event.ocsf.http.query = some(format!("session={session}"));
    event.ocsf.http.hostname = some("www.example.com".into());
    event.ocsf.http.user_agent = some(agent);
    event.ocsf.http.response_code = Some(code);
    event.ocsf.http.response_bytes = Some(bytes as i64);
    event.ocsf.user_agent.name = some("Chrome".into());
    event.ocsf.user_agent.os = some("Linux".into());
    event
}

fn batches(rows: u64) -> Vec<Arc<Vec<Event>>> {
    let batch = |from: u64| Arc::new((from..(from + BATCH).min(rows)).map(event).collect());
    (0..rows).step_by(BATCH as usize).map(batch).collect()
}

fn open(dir: &std::path::Path) -> Lake {
    let config = LakeConfig { retention_days: 36_500, flush_rows: usize::MAX, flush_secs: 3_600, ..LakeConfig::default() };
    // A crowded machine must not end a bench.
    let tuning = Tuning { background: false, tail_bytes_max: usize::MAX, query_secs_max: 3_600, ..Tuning::default() };
    Lake::open_with(dir, config, tuning).expect("a new table")
}

fn append(lake: &Lake, batches: &[Arc<Vec<Event>>]) {
    for batch in batches {
        let next = batch.last().map_or(0, |e| e.position.offset + 1);
        lake.append(batch.clone(), next).expect("the tail has room");
    }
}

/// CPU time of this thread: the machine is shared, and one thread does all the work of each bench.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    Duration::from_nanos(text.split(' ').next().and_then(|n| n.parse().ok()).expect("nanoseconds"))
}

/// The time that `work` takes on a fresh lake that `prepare` has filled.
fn timed(rounds: u64, prepare: impl Fn(&Lake), work: impl Fn(&Lake)) -> Duration {
    let mut sum = Duration::ZERO;
    for _ in 0..rounds {
        let dir = tempfile::tempdir().expect("a folder");
        let lake = open(dir.path());
        prepare(&lake);
        let start = cpu_time();
        work(&lake);
        sum += cpu_time() - start;
    }
    sum
}

/// Processor time of all threads, to a hundredth of a second.
fn cpu_of_all() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let ticks: u64 = stat.rsplit(')').next().into_iter().flat_map(|rest| rest.split(' ').skip(12).take(2)).filter_map(|n| n.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// Prints the processor time of one round, which other work on the machine hardly changes, and the shortest round.
fn figure(name: &str, work: impl Fn()) {
    const CPU_MIN: Duration = Duration::from_millis(1_000);
    work();
    let (began, mut rounds, mut shortest) = (cpu_of_all(), 0, Duration::MAX);
    while cpu_of_all() - began < CPU_MIN {
        let start = Instant::now();
        work();
        shortest = shortest.min(start.elapsed());
        rounds += 1;
    }
    let cpu = (cpu_of_all() - began) / rounds;
    println!("{name:<50} {:>9.1} ms of processor time, shortest {:>9.1} ms", cpu.as_secs_f64() * 1e3, shortest.as_secs_f64() * 1e3);
}

fn writing(c: &mut Criterion) {
    let events = batches(131_072);
    let mut group = c.benchmark_group("131,072 events");
    group.sample_size(10).measurement_time(Duration::from_secs(3)).throughput(Throughput::Elements(131_072));
    group.bench_function("append", |b| b.iter_custom(|n| timed(n, |_| {}, |lake| append(lake, &events))));
    let flush = |lake: &Lake| lake.flush().expect("a flush");
    group.bench_function("flush", |b| b.iter_custom(|n| timed(n, |lake| append(lake, &events), flush)));
    let nine_files = |lake: &Lake| {
        for part in events.chunks(events.len().div_ceil(9)) {
            append(lake, part);
            lake.flush().expect("a flush");
        }
        lake.flush().expect("a flush");
        let last = Arc::new(vec![event(200_000)]);
        lake.append(last, 200_001).expect("the tail has room");
        lake.flush().expect("a flush");
    };
    let merge = |lake: &Lake| assert!(lake.maintain(Timestamp::from_secs(START)).expect("upkeep").merged >= 8);
    let index = |lake: &Lake| assert!(lake.index_texts().expect("text indexes") > 0);
    let flushed = |lake: &Lake| {
        append(lake, &events);
        flush(lake);
    };
    group.bench_function("text index", |b| b.iter_custom(|n| timed(n, flushed, index)));
    let indexed = |lake: &Lake| {
        nine_files(lake);
        index(lake);
    };
    let merged = |lake: &Lake| {
        merge(lake);
        assert_eq!(lake.stats().text_missing, 0);
    };
    group.bench_function("merge with text index", |b| b.iter_custom(|n| timed(n, indexed, merged)));
    group.bench_function("merge", |b| b.iter_custom(|n| timed(n, nine_files, merge)));
    group.finish();
}

/// The table to search, built unless it is there already.
fn table(dir: &std::path::Path, rows: u64) -> Lake {
    let lake = open(dir);
    let began = Instant::now();
    for from in (lake.covered()..rows).step_by(BATCH as usize) {
        append(&lake, &[Arc::new((from..(from + BATCH).min(rows)).map(event).collect())]);
        if lake.stats().tail_rows >= 1_048_576 {
            lake.flush().expect("a flush");
        }
    }
    lake.flush().expect("a flush");
    let stats = lake.stats();
    let on_disk = stats.bytes as f64 / stats.rows as f64;
    eprintln!("{} rows, {} files, {on_disk:.1} bytes an event on disk, built in {:?}", stats.rows, stats.files, began.elapsed());
    if std::env::var_os("ERNE_BENCH_WITHOUT_TEXT_INDEX").is_none() {
        let began = cpu_time();
        let files = lake.index_texts().expect("text indexes");
        let bytes = lake.stats().text_bytes as f64 / stats.rows as f64;
        eprintln!("{files} text indexes made in {:?} of CPU, {bytes:.1} bytes an event", cpu_time() - began);
    }
    lake
}

fn is(name: &str, value: Value) -> Expr {
    Expr::Field(column(name).expect("a column"), Test::OneOf(vec![value]))
}

fn text(value: &str) -> Value {
    Value::Text(value.into())
}

fn phrase(text: &str) -> Expr {
    Expr::Text(Words::Phrase(query::words(text).collect()))
}

/// Not criterion's: on a shared machine, processor time says more than a distribution.
fn searching(_: &mut Criterion) {
    let rows = std::env::var("ERNE_BENCH_ROWS").ok().and_then(|n| n.parse().ok()).unwrap_or(TABLE_ROWS);
    let kept = std::env::var_os("ERNE_BENCH_DIR").map(std::path::PathBuf::from);
    let dir = tempfile::tempdir().expect("a folder");
    let lake = table(kept.as_deref().unwrap_or(dir.path()), rows);
    let by = |expr: Expr| Query { expr, limit: 100, ..Query::default() };
    let pages = [
        ("newest", Expr::All),
        ("one id", is("event.id", text(&event(rows / 3).uid))),
        ("an id that is not there", is("event.id", text("0123456789abcdef-0123456789abcdef"))),
        ("one address", is("source.ip", text("198.51.7.9"))),
        ("status 500", is("http_response.code", Value::Int(500))),
        ("severity high", is("severity", text("high"))),
        ("common words", phrase("chrome 111")),
        ("rare words", phrase("shop item 4242")),
        ("absent word", phrase("xyzzy")),
        ("one session by its id", phrase(&format!("{:016x}{:016x}", mix(rows / 3, 4), mix(rows / 3, 5)))),
        ("end of a word", Expr::Text(Words::Wildcard("*zzy".into()))),
        ("absent part of the path", Expr::Field(column("url.path").expect("a column"), Test::Contains("XYZZY".into()))),
    ];
    for (name, expr) in pages {
        let query = by(expr);
        figure(name, || drop(lake.query(&query).expect("an answer")));
    }
    let minute = Extras { histogram: Some(Width::Auto), ..Extras::default() };
    let names = ["http_response.code", "source.ip", "user.name", "source.geo.country_iso_code", "severity", "url.path"];
    let fields = Extras { fields: names.iter().map(|n| column(n).expect("a column")).collect(), top: 10, ..Extras::default() };
    for (name, expr, extras) in [
        ("histogram", Expr::All, &minute),
        ("status 500 with histogram", is("http_response.code", Value::Int(500)), &minute),
        ("rare words with histogram", phrase("shop item 4242"), &minute),
        ("values of six fields", Expr::All, &fields),
    ] {
        let query = by(expr);
        figure(name, || drop(lake.search(&query, extras).expect("an answer")));
    }
    let aggregate = |by: Vec<Group>, metrics: Vec<Metric>| Aggregation { by, metrics, limit: 1_000 };
    let (severity, country) = (Group::Column(column("severity").expect("a column")), Group::Column(column("source.geo.country_iso_code").expect("a column")));
    let bytes = column("http_response.length").expect("a column");
    for (name, asked) in [
        ("count by hour, severity", aggregate(vec![Group::Time { secs: 3_600 }, severity], vec![Metric::Count])),
        ("count, bytes by hour, severity, country", aggregate(vec![Group::Time { secs: 3_600 }, severity, country], vec![Metric::Count, Metric::Sum(bytes)])),
    ] {
        figure(name, || drop(lake.aggregate(&Query::default(), &asked).expect("an answer")));
    }
    // What a page of the dashboard asks for, over the last tenth.
    let from = Timestamp::from_secs(START + (rows / ROWS_A_SECOND * 9 / 10) as i64);
    let last = Query { from: Some(from), limit: 100, ..Query::default() };
    let all = Extras { histogram: Some(Width::Auto), ..fields.clone() };
    figure("page, histogram and six fields of the last tenth", || drop(lake.search(&last, &all).expect("an answer")));
}

criterion_group!(benches, writing, searching);
criterion_main!(benches);
