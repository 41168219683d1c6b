//! What an event costs in the lake, and how long searches over a million take.
//!
//! `cargo bench -p store --bench lake`; figures with the machine they came from are in docs/lake.md.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use event::{Class, CompactString, Event, Format, Position, Severity, Timestamp, column};
use std::sync::Arc;
use std::time::Duration;
use store::lake::{Filter, Lake, LakeConfig, Op, Query, Tuning};

const START: i64 = 1_795_132_800;
const BATCH: u64 = 4_096;
const TABLE_ROWS: u64 = 1_000_000;

/// A cheap reproducible number per (event, field).
fn mix(n: u64, field: u64) -> u64 {
    let mut x = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ field.wrapping_mul(0xd1b5_4a32_d192_ed03);
    x ^= x >> 29;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^ (x >> 32)
}

fn text(value: String) -> Option<CompactString> {
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
    event.ocsf.activity = text("Get".into());
    event.ocsf.src.ip = text(ip);
    event.ocsf.src.location.country = text(["DE", "US", "FR", "JP"][(mix(offset, 1) % 4) as usize].into());
    event.ocsf.src.location.lat = Some((mix(offset, 1) % 180) as f64 - 90.0);
    event.ocsf.src.location.long = Some((mix(offset, 1) % 360) as f64 - 180.0);
    event.ocsf.device_hostname = text(format!("web-{}", mix(offset, 15) % 12));
    event.ocsf.user_name = mix(offset, 16).is_multiple_of(3).then(|| format!("user{}", mix(offset, 17) % 2_000).into());
    event.ocsf.http.method = text("GET".into());
    event.ocsf.http.path = text(path);
    event.ocsf.http.query = text(format!("session={session}"));
    event.ocsf.http.hostname = text("www.example.com".into());
    event.ocsf.http.user_agent = text(agent);
    event.ocsf.http.response_code = Some(code);
    event.ocsf.http.response_bytes = Some(bytes as i64);
    event.ocsf.user_agent.name = text("Chrome".into());
    event.ocsf.user_agent.os = text("Linux".into());
    event
}

fn batches(rows: u64) -> Vec<Arc<Vec<Event>>> {
    let batch = |from: u64| Arc::new((from..(from + BATCH).min(rows)).map(event).collect());
    (0..rows).step_by(BATCH as usize).map(batch).collect()
}

fn open(dir: &std::path::Path) -> Lake {
    let config = LakeConfig { retention_days: 36_500, flush_rows: usize::MAX, flush_secs: 3_600 };
    let tuning = Tuning { background: false, tail_bytes_max: usize::MAX, ..Tuning::default() };
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

fn repeated(rounds: u64, work: impl Fn()) -> Duration {
    let start = cpu_time();
    for _ in 0..rounds {
        work();
    }
    cpu_time() - start
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
    group.bench_function("merge", |b| b.iter_custom(|n| timed(n, nine_files, merge)));
    group.finish();
}

fn searching(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a folder");
    let lake = open(dir.path());
    let sample = batches(BATCH);
    let raw: usize = sample[0].iter().map(|e| e.raw.len()).sum();
    for from in (0..TABLE_ROWS).step_by(BATCH as usize) {
        append(&lake, &[Arc::new((from..(from + BATCH).min(TABLE_ROWS)).map(event).collect())]);
        if lake.stats().tail_rows >= 131_072 {
            eprintln!("{} tail bytes an event", lake.stats().tail_bytes / lake.stats().tail_rows);
            lake.flush().expect("a flush");
        }
    }
    lake.flush().expect("a flush");
    let stats = lake.stats();
    let on_disk = stats.bytes as f64 / stats.rows as f64;
    eprintln!("{} rows, {} files, {} raw bytes an event, {on_disk:.1} on disk", stats.rows, stats.files, raw as u64 / BATCH);
    let by = |name: &str, op: Op| Query {
        filters: vec![Filter { column: column(name).expect("a column"), op }],
        limit: 100,
        ..Query::default()
    };
    let text = |text: &str| Query { text: Some(text.into()), limit: 100, ..Query::default() };
    let queries = [
        ("newest 100", Query { limit: 100, ..Query::default() }),
        ("one address", by("source.ip", Op::Eq("198.51.7.9".into()))),
        ("one id", by("event.id", Op::Eq(event(123_456).uid.to_string()))),
        ("severity high", by("severity_id", Op::Gte(4.0))),
        ("status 500", by("http_response.code", Op::Eq("500".into()))),
        ("common text", text("Chrome/111")),
        ("rare text", text("/shop/item/4242/")),
        ("absent text", text("xyzzy")),
    ];
    let mut group = c.benchmark_group("1,000,000 rows");
    group.sample_size(10).measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(300));
    for (name, query) in &queries {
        group.bench_function(*name, |b| b.iter_custom(|n| repeated(n, || drop(lake.query(query).expect("an answer")))));
    }
    let histogram = || drop(lake.histogram(&Query::default(), 60).expect("an answer"));
    group.bench_function("histogram", |b| b.iter_custom(|n| repeated(n, histogram)));
    group.finish();
}

criterion_group!(benches, writing, searching);
criterion_main!(benches);
