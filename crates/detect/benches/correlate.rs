//! The stateful stage alone: parts of events in, findings and changes of state out. 100,000 groups are live, steps are
//! of 4,096 events as in the pipeline. Times are of the thread's processor, not of the wall: the machine has other work.

#![allow(clippy::unwrap_used)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use detect::{Correlator, Detector, EventSummary, Keyed, Matched, RuleFile, RuleSet, Stepped};
use event::{Bytes, Entity, EntityKind, Event, Format, Id, LogSource, Position, Timestamp, Value};
use rsigma_eval::event::JsonEvent;
use std::sync::Arc;
use std::time::Duration;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EVENTS: u64 = 1_000_000;
const GROUPS: u64 = 100_000;

/// Nanoseconds that this thread has run, by the kernel's count.
fn thread_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    text.split(' ').next().and_then(|word| word.parse().ok()).expect("begins with a number")
}

fn processor_time(count: u64, mut run: impl FnMut() -> u64) -> Duration {
    Duration::from_nanos((0..count).map(|_| run()).sum())
}

fn timed(run: impl FnOnce()) -> u64 {
    let start = thread_nanos();
    run();
    thread_nanos() - start
}

const BASE: &str = "title: Fail\nid: fail\nlogsource: {product: p}\ndetection:\n  s: {what: fail}\n  condition: s\n---\n";

fn text(kind: &str, condition: &str) -> String {
    format!("{BASE}title: Burst\nid: burst\ncorrelation:\n  type: {kind}\n  rules: [fail]\n  group-by: [ip]\n  timespan: 1h\n{condition}")
}

fn rules(text: &str) -> Arc<RuleSet> {
    let (rules, issues) = RuleSet::compile(&[RuleFile { path: "bench.yml".into(), text: text.into() }]);
    assert!(issues.is_empty(), "{issues:?}");
    rules.into()
}

fn group(i: u64, groups: u64) -> String {
    let i = i % groups;
    format!("10.{}.{}.{}", i >> 16, i >> 8 & 255, i & 255)
}

fn value(i: u64, values: u64) -> String {
    format!("user{}", i.wrapping_mul(0x9e37_79b9_7f4a_7c15) % values)
}

/// A million events in a quarter of an hour; `values` is how many different ones there are.
fn parts(rules: &Arc<RuleSet>, groups: u64, values: u64) -> Vec<Keyed> {
    let template = template(rules);
    let one = |i: u64| {
        let group = group(i, groups);
        Keyed {
            entity: Entity::new(EntityKind::Ip, group.as_str()),
            summary: EventSummary { source_ip: Some(group.as_str().into()), ..EventSummary::default() },
            group: vec![group.into()],
            time: Timestamp(i as i64 * 900),
            received: Timestamp(i as i64 * 900),
            uid: Id::of(&[&i.to_le_bytes()]).to_string().into(),
            position: Position { offset: i, index: 0 },
            value: Some(value(i, values).into()),
            ..template.clone()
        }
    };
    (0..EVENTS).map(one).collect()
}

/// A part as the stateless stage makes it.
fn template(rules: &Arc<RuleSet>) -> Keyed {
    let native = br#"{"what":"fail","ip":"10.0.0.1","user":"u"}"#;
    let raw = Bytes::from_static(native);
    let mut event = Event::new("u".into(), Position::default(), Timestamp(0), "bench".into(), Format::Json, raw);
    event.native = Value::from_json(native).unwrap().0;
    event.log_source = LogSource { product: "p", category: "", service: "" };
    let detector = Detector { rules: rules.clone(), lists: Default::default(), lateness: Default::default() };
    let mut out = Matched::default();
    detector.run(std::slice::from_mut(&mut event), &mut out);
    out.keyed.remove(0)
}

fn ours(c: &mut Criterion, name: &str, rules: &Arc<RuleSet>, parts: &[Keyed]) {
    let run = || {
        let mut correlator = Correlator::new(rules.clone());
        let (mut findings, mut bytes) = (0, 0);
        let time = timed(|| {
            for parts in parts.chunks(4_096) {
                let mut out = Stepped::default();
                correlator.step(parts, &mut out);
                findings += out.findings.len();
                bytes += out.delta.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len)).sum::<usize>();
            }
        });
        (time, findings, bytes, correlator.group_count())
    };
    let (_, findings, bytes, groups) = run();
    println!("{name}: {findings} findings, {groups} groups, {} bytes of state written per event", bytes / parts.len());
    let mut group = c.benchmark_group("correlate");
    group.throughput(Throughput::Elements(parts.len() as u64)).sample_size(10);
    group.bench_function(name, |b| b.iter_custom(|count| processor_time(count, || run().0)));
    group.finish();
}

/// rsigma-eval's correlation of the same events, whose detection results are made beforehand.
fn theirs(c: &mut Criterion, name: &str, text: &str, groups: u64, values: u64) {
    let collection = rsigma_parser::parse_sigma_yaml(text).unwrap();
    let config = rsigma_eval::CorrelationConfig { max_state_entries: 1_000_000, ..Default::default() };
    let new = || {
        let mut engine = rsigma_eval::CorrelationEngine::new(config.clone());
        engine.add_collection(&collection).unwrap();
        engine
    };
    let engine = new();
    let documents: Vec<serde_json::Value> = (0..EVENTS)
        .map(|i| serde_json::json!({"what": "fail", "ip": group(i, groups), "user": value(i, values)}))
        .collect();
    let run = || {
        let mut engine = new();
        let mut findings = 0;
        let mut nanos = 0;
        for (batch, documents) in documents.chunks(4_096).enumerate() {
            let prepared: Vec<_> = documents.iter().map(|document| {
                let event = JsonEvent::borrow(document);
                let detections = engine.evaluate(&event);
                (event, detections)
            }).collect();
            nanos += timed(|| {
                for (i, (event, detections)) in prepared.into_iter().enumerate() {
                    let time = (batch * 4_096 + i) as i64 * 900 / 1_000_000;
                    findings += engine.process_with_detections(&event, detections, time).len();
                }
            });
        }
        (nanos, findings)
    };
    drop(engine);
    println!("{name}: {} findings", run().1);
    let mut group = c.benchmark_group("correlate");
    group.throughput(Throughput::Elements(EVENTS)).sample_size(10);
    group.bench_function(name, |b| b.iter_custom(|count| processor_time(count, || run().0)));
    group.finish();
}

fn benches(c: &mut Criterion) {
    let count = text("event_count", "  condition: {gte: 10}\n");
    let values = text("value_count", "  condition: {gte: 10, field: user}\n");
    let ordered = text("temporal_ordered", "").replace("[fail]", "[fail, fail, fail]");
    let terms = text("new_terms", "  field: user\n").replace("1h", "30d");
    for (name, groups, distinct) in [("100k_groups_1k_values", GROUPS, 1_000), ("100k_groups_1m_values", GROUPS, 1_000_000)] {
        let parts = parts(&rules(&count), groups, distinct);
        ours(c, &format!("event_count/{name}"), &rules(&count), &parts);
        ours(c, &format!("value_count/{name}"), &rules(&values), &parts);
        ours(c, &format!("new_terms/{name}"), &rules(&terms), &parts);
    }
    let attacker = parts(&rules(&count), 1, 1_000_000);
    ours(c, "event_count/one_attacker", &rules(&count), &attacker);
    ours(c, "value_count/one_attacker_1m_values", &rules(&values), &attacker);
    ours(c, "value_count/one_attacker_1k_values", &rules(&values), &parts(&rules(&count), 1, 1_000));
    ours(c, "ordered/100k_groups", &rules(&ordered), &parts(&rules(&count), GROUPS, 1_000));
    theirs(c, "rsigma/event_count_100k_groups", &count, GROUPS, 1_000);
    theirs(c, "rsigma/value_count_100k_groups_1k_values", &values, GROUPS, 1_000);
    theirs(c, "rsigma/value_count_100k_groups_1m_values", &values, GROUPS, 1_000_000);
}

criterion_group! {
    name = all;
    config = Criterion::default().measurement_time(Duration::from_secs(8)).warm_up_time(Duration::from_millis(500));
    targets = benches
}
criterion_main!(all);
