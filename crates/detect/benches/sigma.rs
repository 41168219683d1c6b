//! Sigma evaluation: three mixes with all rules beside other evaluators (`sigma_mixes`), then the evaluator
//! alone, without reading, on real CloudTrail events and made-up web requests, with 500 SigmaHQ rules of which
//! all AWS and web server rules are part. Needs the shared data folder. Times are of the thread's processor,
//! not of the wall: the machine has other work.

#![allow(clippy::unwrap_used)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use detect::{Correlator, Detector, Matched, RuleFile, RuleSet, Stepped};
use event::{Event, LogSource, Timestamp};
use std::time::Duration;

#[allow(dead_code)]
#[path = "../tests/detect/data.rs"]
mod data;

#[path = "sigma_mixes/mixes.rs"]
mod mixes;

/// The allocator of the `erne` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RULES: usize = 500;

/// Nanoseconds that this thread has run, by the kernel's count.
fn thread_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    text.split(' ').next().and_then(|word| word.parse().ok()).expect("begins with a number")
}

fn processor_time(count: u64, mut run: impl FnMut()) -> Duration {
    let start = thread_nanos();
    (0..count).for_each(|_| run());
    Duration::from_nanos(thread_nanos() - start)
}

/// All rules for our sources, then others up to 500.
fn rules(files: Vec<RuleFile>, count: usize) -> RuleSet {
    let ours = |file: &RuleFile| {
        file.path.contains("/aws/") || file.path.contains("/web/") || file.path.contains("/linux/builtin")
    };
    let (mut chosen, rest): (Vec<_>, Vec<_>) = files.into_iter().partition(ours);
    chosen.extend(rest);
    chosen.truncate(count);
    RuleSet::compile(&chosen).0
}

fn cloudtrail() -> Vec<Event> {
    let folder = data::folder().expect("the benchmark needs the shared data");
    let source = LogSource { product: "aws", category: "", service: "cloudtrail" };
    let lines = data::lines(folder.join("stratus_labelled.ndjson.zst"));
    lines.iter().map(|line| data::event(source, &line["event"].to_string())).collect()
}

fn web() -> Vec<Event> {
    let source = LogSource { product: "nginx", category: "webserver", service: "" };
    let agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36";
    (0..300)
        .map(|i| {
            let line = format!(
                r#"203.0.113.{} - - [20/Nov/2026:10:00:00 +0000] "GET /shop/item/{i}?page={}&sort=price HTTP/1.1" 200 {} "https://shop.example/" "{agent}""#,
                i % 250, i % 9, 1_000 + i
            );
            let native = serde_json::json!({
                "c-ip": format!("203.0.113.{}", i % 250), "cs-method": "GET", "cs-uri-stem": format!("/shop/item/{i}"),
                "cs-uri-query": format!("/shop/item/{i}?page={}&sort=price", i % 9), "sc-status": 200, "sc-bytes": 1_000 + i,
                "cs-referer": "https://shop.example/", "cs-user-agent": agent,
            });
            let mut event = data::event(source, &native.to_string());
            event.format = event::Format::AccessLog;
            event.raw = line.into_bytes().into();
            event
        })
        .collect()
}

fn bench_events(c: &mut Criterion, name: &str, rules: RuleSet, mut events: Vec<Event>) {
    let detector = Detector { rules: rules.into(), lists: Default::default(), lateness: Default::default() };
    let mut group = c.benchmark_group("detect");
    group.throughput(Throughput::Elements(events.len() as u64)).sample_size(20);
    group.measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
    group.bench_function(name, |b| {
        b.iter_custom(|count| {
            processor_time(count, || {
                let mut out = Matched::default();
                detector.run(&mut events, &mut out);
                events.iter_mut().for_each(|event| event.rules.clear());
                std::hint::black_box(out.findings.len());
            })
        });
    });
    group.finish();
}

fn benches(c: &mut Criterion) {
    let files = data::sigma_hq().expect("the benchmark needs the shared data");
    mixes::bench(c, &files);
    bench_events(c, "cloudtrail_500_rules", rules(files.clone(), RULES), cloudtrail());
    bench_events(c, "web_500_rules", rules(files.clone(), RULES), web());
    bench_events(c, "cloudtrail_all_rules", rules(files.clone(), usize::MAX), cloudtrail());
    c.benchmark_group("load").sample_size(10).bench_function("all_rules", |b| {
        b.iter_custom(|count| processor_time(count, || drop(std::hint::black_box(rules(files.clone(), usize::MAX)))));
    });
    correlation(c);
}

fn correlation(c: &mut Criterion) {
    let text = "title: Fail\nid: fail\nlogsource: {product: p}\ndetection:\n  s: {what: fail}\n  condition: s\n---\n\
                title: Burst\nid: burst\ncorrelation:\n  type: event_count\n  rules: [fail]\n  group-by: [ip]\n  timespan: 60s\n  condition: {gte: 10}\n";
    let rules = std::sync::Arc::new(RuleSet::compile(&[data::file(text)]).0);
    let source = LogSource { product: "p", category: "", service: "" };
    let mut events: Vec<Event> = (0..100_000u64)
        .map(|i| {
            let mut event = data::event(source, &format!(r#"{{"what":"fail","ip":"10.{}.{}.1"}}"#, i % 200, i / 200 % 250));
            event.position.offset = i;
            event.time = Timestamp::from_millis(i as i64);
            event.received = event.time;
            event
        })
        .collect();
    let mut out = Matched::default();
    Detector { rules: rules.clone(), lists: Default::default(), lateness: Default::default() }.run(&mut events, &mut out);
    let mut group = c.benchmark_group("correlate");
    group.throughput(Throughput::Elements(out.keyed.len() as u64)).sample_size(10);
    group.bench_function("event_count_50000_groups", |b| {
        b.iter_custom(|count| {
            processor_time(count, || {
                let mut correlator = Correlator::new(rules.clone());
                let mut stepped = Stepped::default();
                out.keyed.chunks(4_096).for_each(|part| correlator.step(part, &mut stepped));
                std::hint::black_box(stepped.findings.len());
            })
        });
    });
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
