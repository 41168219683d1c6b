//! All 3,141 rules of SigmaHQ's `rules/` over three mixes of real events, here and with two other
//! evaluators. Every figure begins with the event's bytes, so it includes reading the JSON:
//!
//! - `platform`: what Erne does with a record. Split, format recognised, OCSF columns, rules, findings.
//! - `json`: JSON read, rules evaluated, findings made; the log source is given. What the others do.
//! - `rsigma`: `serde_json` and `rsigma-eval`, which is told the log source too.
//! - `sigma-rust`: its own reader, and its rules of the log source one after the other; it has no index.

use crate::{data, processor_time, thread_nanos};
use criterion::{Criterion, Throughput};
use detect::{Detector, Matched, RuleFile, RuleSet};
use event::{Bytes, Event, Format, LogSource, Position, Record, Timestamp, Value};
use std::sync::Arc;
use std::time::Duration;

/// Events that are read before the rules see them: a small record of the platform.
const BATCH: usize = 50;
/// So many events, evenly spread, for the evaluator without an index, which takes milliseconds for one.
const UNINDEXED_EVENTS: usize = 310;
/// Every n-th event of the Windows sample is measured.
const WINDOWS_STEP: usize = 8;

pub struct Mix {
    name: &'static str,
    lines: Vec<String>,
    sources: Vec<LogSource>,
}

/// The log sources are those that the platform finds, for all evaluators.
fn mix(name: &'static str, lines: Vec<String>) -> Mix {
    let sources = lines.iter().map(|line| platform_events(&record(line.clone())).next().unwrap().log_source).collect();
    Mix { name, lines, sources }
}

pub fn mixes() -> Vec<Mix> {
    let folder = data::folder().expect("the benchmark needs the shared data");
    let cloudtrail = data::lines(folder.join("stratus_labelled.ndjson.zst"));
    let processes = data::lines(folder.join("windows/otrf_sysmon_process_creation.ndjson.zst"));
    let windows = data::lines(folder.join("windows/otrf_windows_sample.ndjson.zst"));
    vec![
        mix("cloudtrail", cloudtrail.iter().map(|line| line["event"].to_string()).collect()),
        mix("process_creation", processes.iter().map(ToString::to_string).collect()),
        mix("windows", windows.iter().step_by(WINDOWS_STEP).map(ToString::to_string).collect()),
    ]
}

fn record(body: String) -> Record {
    let received = Timestamp::from_secs(1_795_000_000);
    Record { source: "bench".into(), format: None, received, peer: None, body: body.into() }
}

fn platform_events(record: &Record) -> impl Iterator<Item = Event> {
    parse::events(record, 1)
}

/// Reads and evaluates all records; the number of findings.
fn platform(detector: &Detector, records: &[Record]) -> usize {
    records.iter().map(|record| found(detector, platform_events(record).collect())).sum()
}

fn json(detector: &Detector, mix: &Mix, lines: &[Bytes], name: &Arc<str>) -> usize {
    let batches = lines.chunks(BATCH).zip(mix.sources.chunks(BATCH));
    let events = |(lines, sources): (&[Bytes], &[LogSource])| {
        let event = |(line, source): (&Bytes, &LogSource)| {
            let at = Timestamp(0);
            let mut event = Event::new("u".into(), Position::default(), at, name.clone(), Format::Json, line.clone());
            event.native = Value::from_json(line).unwrap().0;
            event.log_source = *source;
            event
        };
        lines.iter().zip(sources).map(event).collect()
    };
    batches.map(|batch| found(detector, events(batch))).sum()
}

fn found(detector: &Detector, mut events: Vec<Event>) -> usize {
    let mut out = Matched::default();
    detector.run(&mut events, &mut out);
    out.findings.len()
}

fn rsigma_engine(files: &[RuleFile]) -> rsigma_eval::Engine {
    let mut engine = rsigma_eval::Engine::new();
    let parsed = files.iter().filter_map(|file| rsigma_parser::parse_sigma_yaml(&file.text).ok());
    let rules: Vec<_> = parsed.flat_map(|parsed| parsed.rules).collect();
    engine.add_rules(&rules);
    engine
}

fn rsigma(engine: &rsigma_eval::Engine, mix: &Mix, sources: &[rsigma_parser::LogSource]) -> usize {
    let matches = mix.lines.iter().zip(sources).map(|(line, source)| {
        let document: serde_json::Value = serde_json::from_str(line).unwrap();
        engine.evaluate_with_logsource(&rsigma_eval::event::JsonEvent::borrow(&document), source).len()
    });
    matches.sum()
}

fn rsigma_source(source: &LogSource) -> rsigma_parser::LogSource {
    let part = |part: &str| (!part.is_empty()).then(|| part.to_owned());
    rsigma_parser::LogSource {
        product: part(source.product),
        category: part(source.category),
        service: part(source.service),
        ..Default::default()
    }
}

type SigmaRust = Vec<(RuleSource, sigma_rust::Rule)>;
/// Product, category, service.
type RuleSource = [Option<String>; 3];

fn sigma_rust_rules(files: &[RuleFile]) -> SigmaRust {
    let rules = files.iter().filter_map(|file| {
        let rule = sigma_rust::rule_from_yaml(&file.text).ok()?;
        let parsed = rsigma_parser::parse_sigma_yaml(&file.text).ok()?;
        let source = &parsed.rules.first()?.logsource;
        Some(([&source.product, &source.category, &source.service].map(Clone::clone), rule))
    });
    rules.collect()
}

type Chosen<'a> = (&'a str, Vec<&'a sigma_rust::Rule>);

fn sigma_rust(chosen: &[Chosen<'_>]) -> usize {
    let matches = chosen.iter().map(|(line, rules)| {
        let event = sigma_rust::event_from_json(line).unwrap();
        rules.iter().filter(|rule| rule.is_match(&event)).count()
    });
    matches.sum()
}

/// Some events, each with the rules of its log source, which are chosen before the clock runs.
fn chosen<'a>(mix: &'a Mix, rules: &'a SigmaRust) -> Vec<Chosen<'a>> {
    let fits = |wanted: &RuleSource, source: &LogSource| {
        let parts = [source.product, source.category, source.service];
        wanted.iter().zip(parts).all(|(wanted, part)| wanted.as_deref().is_none_or(|wanted| wanted == part))
    };
    let of_source = |source| rules.iter().filter(|(wanted, _)| fits(wanted, source)).map(|(_, rule)| rule).collect();
    let step = mix.lines.len().div_ceil(UNINDEXED_EVENTS);
    mix.lines.iter().zip(&mix.sources).step_by(step).map(|(line, source)| (line.as_str(), of_source(source))).collect()
}

/// Bytes of memory that the process holds, by the kernel's count.
fn resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("pages") * 4_096
}

/// Says how long loading took on this thread and how much more memory the process holds since.
fn loaded<T>(name: &str, load: impl FnOnce() -> T) -> T {
    let (memory, start) = (resident_bytes(), thread_nanos());
    let value = load();
    let secs = (thread_nanos() - start) as f64 / 1e9;
    println!("loaded {name}: {secs:.2} s, {:.0} MB resident", resident_bytes().saturating_sub(memory) as f64 / 1e6);
    value
}

pub fn bench(c: &mut Criterion, files: &[RuleFile]) {
    let files: Vec<RuleFile> = files.iter().filter(|file| file.path.starts_with("rules/")).cloned().collect();
    println!("{} files of rules/", files.len());
    let rules = loaded("erne", || RuleSet::compile(&files).0);
    let detector = Detector { rules: rules.into(), lists: Default::default(), lateness: Default::default() };
    let rsigma_rules = loaded("rsigma", || rsigma_engine(&files));
    let sigma_rust_rules = loaded("sigma-rust", || sigma_rust_rules(&files));
    for mix in mixes() {
        let records: Vec<Record> = mix.lines.chunks(BATCH).map(|lines| record(lines.join("\n"))).collect();
        let lines: Vec<Bytes> = mix.lines.iter().map(|line| line.clone().into()).collect();
        let sources: Vec<_> = mix.sources.iter().map(rsigma_source).collect();
        let chosen = chosen(&mix, &sigma_rust_rules);
        let name: Arc<str> = "bench".into();
        let bytes: usize = mix.lines.iter().map(String::len).sum();
        println!(
            "{}: {} events of {} bytes; matches: platform {}, json {}, rsigma {}; of {} events: sigma-rust {}",
            mix.name, mix.lines.len(), bytes / mix.lines.len(), platform(&detector, &records),
            json(&detector, &mix, &lines, &name), rsigma(&rsigma_rules, &mix, &sources), chosen.len(), sigma_rust(&chosen),
        );
        let mut group = c.benchmark_group(mix.name);
        group.throughput(Throughput::Elements(mix.lines.len() as u64)).sample_size(10);
        group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
        let mut run = |name: &str, run: &dyn Fn() -> usize| {
            group.bench_function(name, |b| b.iter_custom(|count| processor_time(count, || { std::hint::black_box(run()); })));
        };
        run("platform", &|| platform(&detector, &records));
        run("json", &|| json(&detector, &mix, &lines, &name));
        run("rsigma", &|| rsigma(&rsigma_rules, &mix, &sources));
        group.throughput(Throughput::Elements(chosen.len() as u64));
        group.bench_function("sigma-rust", |b| b.iter_custom(|count| processor_time(count, || { std::hint::black_box(sigma_rust(&chosen)); })));
        group.finish();
    }
}
