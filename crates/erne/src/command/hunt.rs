//! `erne hunt`: the server's processor over files, offline.

use super::packets::{self, Capture, Packets};
use super::report;
use crate::output::{self, Format};
use anyhow::{Context, bail};
use connect::files;
use detect::{Detector, LoadIssue};
use engine::{ContentDirs, GeoipConfig, Processor, Stateful};
use event::{Bytes, Event, Finding, Record, Severity, Timestamp};
use std::collections::{BTreeMap, HashMap};
use std::io::{BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Chunks read ahead of the workers: with 64 KiB each, a bounded amount of memory.
const CHUNKS_AHEAD: usize = 256;
/// Keyed events held before they are correlated: sorted by event time, which keeps groups short. What they decide
/// does not depend on it.
const KEYED_MAX: usize = 50_000;

#[derive(clap::Args)]
pub struct Args {
    /// Files and folders; `-` is standard input.
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// What to write on standard output.
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: Format,
    /// Adds rules: a file or a folder, a SigmaHQ checkout for example. May be repeated.
    #[arg(long)]
    pub rules: Vec<PathBuf>,
    /// Adds threat lists: files or folders of addresses, networks, domains and file hashes.
    #[arg(long)]
    pub lists: Vec<PathBuf>,
    /// Processing pipelines in pySigma's format, which change the rules. May be repeated.
    #[arg(long)]
    pub pipeline: Vec<PathBuf>,
    /// Leaves Erne's own content out.
    #[arg(long)]
    pub no_builtin: bool,
    /// Reads every file as this format instead of detecting it.
    #[arg(long)]
    pub format: Option<String>,
    /// Findings below this level are left out.
    #[arg(long, default_value = "informational", value_parser = level)]
    pub min_level: Severity,
    /// Ends with exit code 10 if there are findings of this level or above.
    #[arg(long, value_parser = level, num_args = 0..=1, default_missing_value = "informational")]
    pub fail_on: Option<Severity>,
    /// MMDB files for cities and autonomous systems.
    #[arg(long)]
    pub geoip_city: Option<PathBuf>,
    #[arg(long)]
    pub geoip_asn: Option<PathBuf>,
    /// Thresholds of the network detectors, as in content/network.yml.
    #[arg(long, value_name = "FILE")]
    pub net_settings: Option<PathBuf>,
    /// Stops at the first file that cannot be read instead of going on.
    #[arg(long)]
    pub strict: bool,
}

pub fn level(text: &str) -> Result<Severity, String> {
    Severity::parse(text).ok_or_else(|| "one of informational, low, medium, high, critical".to_owned())
}

/// What a hunt saw, besides findings.
#[derive(Default)]
pub struct Totals {
    pub files: u64,
    pub bytes: u64,
    pub events: u64,
    pub flagged: u64,
    pub formats: BTreeMap<&'static str, u64>,
    pub issues: BTreeMap<&'static str, u64>,
    /// Events that matched at least one rule or list.
    pub hits: u64,
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
    /// Packet captures among the files, and what was in them.
    pub captures: u64,
    pub frames: u64,
    pub flows: u64,
    pub malformed: u64,
    pub unreadable: Vec<String>,
    pub rules: usize,
    pub secs: f64,
    /// Events per hour, with those that hit.
    pub hours: BTreeMap<i64, (u64, u64)>,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let format = match &args.format {
        Some(name) => Some(event::Format::parse(name).with_context(|| unknown_format(name))?),
        None => None,
    };
    let (processor, issues) = processor(&args);
    for issue in &issues {
        eprintln!("warning: {}", describe(issue));
    }
    if processor.rules().is_empty() {
        bail!("no rule is loaded: leave --no-builtin away or give --rules a folder of Sigma rules");
    }
    let started = std::time::Instant::now();
    let mut hunt = Hunt::new(&processor, args.min_level, Packets::new(packets::settings(args.net_settings.as_deref())?));
    hunt.read_all(&args, format)?;
    let (mut totals, findings) = hunt.finish();
    totals.rules = processor.rules().len() + if totals.captures > 0 { ::net::detect::RULES.len() } else { 0 };
    totals.secs = started.elapsed().as_secs_f64();
    write(&args, &totals, &findings)?;
    let worst = findings.iter().map(|f| f.level).max();
    if args.fail_on.is_some_and(|limit| worst.is_some_and(|worst| worst >= limit)) {
        return Ok(ExitCode::from(10));
    }
    if totals.files == 0 || !totals.unreadable.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn unknown_format(name: &str) -> String {
    let known: Vec<_> = event::Format::ALL.iter().map(|f| f.as_str()).collect();
    format!("there is no format {name:?}; one of {}", known.join(", "))
}

pub fn describe(issue: &LoadIssue) -> String {
    let place = issue.line.map_or_else(|| issue.file.clone(), |line| format!("{}:{line}", issue.file));
    match &issue.hint {
        Some(hint) => format!("{place}: {} ({hint})", issue.message),
        None => format!("{place}: {}", issue.message),
    }
}

fn processor(args: &Args) -> (Processor, Vec<LoadIssue>) {
    let dirs = ContentDirs { builtin: !args.no_builtin, rules: args.rules.clone(), lists: args.lists.clone(), pipelines: args.pipeline.clone() };
    let (rules, mut issues) = engine::load_rules(&dirs);
    let (lists, more) = engine::load_lists(&dirs);
    issues.extend(more);
    let geoip = GeoipConfig { city: args.geoip_city.clone(), asn: args.geoip_asn.clone() };
    let (databases, notices) = engine::load_geoip(&geoip);
    for notice in notices {
        eprintln!("warning: {notice}");
    }
    let (enricher, _) = parse::enrich::Enricher::new(databases);
    let detector = Detector { rules: Arc::new(rules), lists: Arc::new(lists), lateness: Default::default() };
    (Processor::new(Arc::new(enricher), detector).telling_from(args.min_level), issues)
}

struct Hunt<'p> {
    processor: &'p Processor,
    correlating: Correlating,
    keyed: Vec<detect::Keyed>,
    findings: Vec<Finding>,
    totals: Totals,
    min_level: Severity,
    next_offset: u64,
    packets: Packets,
    /// One time of receipt for all that is read: windows wait for all files, however long reading takes.
    received: Timestamp,
}

impl<'p> Hunt<'p> {
    fn new(processor: &'p Processor, min_level: Severity, packets: Packets) -> Self {
        Self {
            processor,
            correlating: Correlating::start(processor.rule_set(), min_level),
            keyed: Vec::new(),
            findings: Vec::new(),
            totals: Totals::default(),
            min_level,
            next_offset: 0,
            packets,
            received: now(),
        }
    }

    fn read_all(&mut self, args: &Args, format: Option<event::Format>) -> anyhow::Result<()> {
        let (stdin, paths): (Vec<_>, Vec<_>) = args.paths.iter().cloned().partition(|p| p.as_os_str() == "-");
        let found = files::find(&paths)?;
        let bar = output::progress(found.iter().map(|f| f.bytes).sum());
        if !stdin.is_empty() {
            self.read_one("-", format, &bar, |visit, progress| {
                files::read_from(std::io::stdin().lock(), "standard input", visit, progress)
            })?;
        }
        for file in found {
            let name = file.path.display().to_string();
            let result = self.read_one(&name, format, &bar, |visit, progress| files::read(&file.path, visit, progress));
            if let Err(error) = result {
                if args.strict {
                    return Err(error);
                }
                bar.suspend(|| eprintln!("warning: {error:#}"));
                self.totals.unreadable.push(format!("{error:#}"));
            }
            bar.set_message(format!("{} findings", self.findings.len()));
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// Reads one file on a thread of its own while the workers process what was read before.
    fn read_one(
        &mut self,
        name: &str,
        format: Option<event::Format>,
        bar: &indicatif::ProgressBar,
        read: impl FnOnce(&mut dyn FnMut(Bytes), &mut dyn FnMut(u64)) -> Result<(), files::FileError> + Send,
    ) -> anyhow::Result<()> {
        self.totals.files += 1;
        let source: Arc<str> = name.into();
        let bytes = AtomicU64::new(0);
        let (bodies_in, bodies) = crossbeam_channel::bounded::<Bytes>(CHUNKS_AHEAD);
        let (mut begun, mut capture) = (false, None);
        let result = std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                // A closed channel means that this thread's result is no longer asked for.
                let mut visit = |body| drop(bodies_in.send(body));
                let result = read(&mut visit, &mut |count| {
                    bytes.fetch_add(count, Ordering::Relaxed);
                    bar.inc(count);
                });
                drop(bodies_in);
                result
            });
            while let Ok(first) = bodies.recv() {
                if !std::mem::replace(&mut begun, true) && format.is_none() {
                    capture = Capture::of(&first);
                }
                if let Some(capture) = &mut capture {
                    capture.push(&first, &mut self.packets, &mut self.totals);
                    continue;
                }
                let more = bodies.try_iter().take(CHUNKS_AHEAD / 2 - 1);
                let chunks: Vec<_> = std::iter::once(first).chain(more).map(|body| self.record(&source, format, body)).collect();
                self.process(chunks);
            }
            reader.join()
        });
        self.totals.bytes += bytes.into_inner();
        if let Some(capture) = capture
            && let Some(damage) = capture.finish(&mut self.packets, &mut self.totals)
        {
            bar.suspend(|| eprintln!("warning: {name}: {damage}"));
        }
        match result {
            Ok(result) => Ok(result?),
            Err(_) => bail!("{name}: reading it panicked"),
        }
    }

    fn record(&mut self, source: &Arc<str>, format: Option<event::Format>, body: Bytes) -> (u64, Record) {
        let offset = self.next_offset;
        self.next_offset += 1;
        (offset, Record { source: source.clone(), format, received: self.received, peer: None, body })
    }

    fn process(&mut self, chunks: Vec<(u64, Record)>) {
        use rayon::prelude::*;
        let processor = self.processor;
        let parts: Vec<_> = chunks
            .into_par_iter()
            .map(|(offset, record)| {
                let mut part = processor.stateless(&[(offset, record)]);
                let seen = Seen::of(&part.events);
                part.events = Vec::new();
                (part, seen)
            })
            .collect();
        for (part, seen) in parts {
            seen.add_to(&mut self.totals);
            self.findings.extend(part.findings.into_iter().filter(|f| f.level >= self.min_level));
            self.keyed.extend(part.keyed);
        }
        if self.keyed.len() > KEYED_MAX {
            self.correlate();
        }
    }

    fn correlate(&mut self) {
        // A closed channel means that the thread has ended by a panic, which joining it tells.
        drop(self.correlating.parts.send(std::mem::take(&mut self.keyed)));
    }

    fn finish(mut self) -> (Totals, Vec<Finding>) {
        self.correlate();
        self.findings.extend(self.correlating.finish());
        let told = self.packets.findings(&mut self.totals);
        self.findings.extend(told.into_iter().filter(|f| f.level >= self.min_level));
        self.findings = detect::standing(std::mem::take(&mut self.findings));
        self.findings.sort_by(|a, b| (a.time, &a.rule.id, a.id).cmp(&(b.time, &b.rule.id, b.id)));
        (self.totals, self.findings)
    }
}

/// The stateful stage, on a thread of its own beside the reading and matching.
struct Correlating {
    parts: crossbeam_channel::Sender<Vec<detect::Keyed>>,
    thread: std::thread::JoinHandle<Vec<Finding>>,
}

impl Correlating {
    fn start(rules: &Arc<detect::RuleSet>, min_level: Severity) -> Self {
        let (parts, received) = crossbeam_channel::bounded::<Vec<detect::Keyed>>(2);
        let mut stateful = Stateful::new(rules);
        let thread = std::thread::spawn(move || {
            let mut told = Vec::new();
            for mut keyed in received {
                // Files come in any order; event time keeps groups short.
                keyed.sort_by_key(|k| (k.time, k.position));
                told.extend(stateful.step(keyed).findings.into_iter().filter(|f| f.level >= min_level));
            }
            told.extend(stateful.finish().findings.into_iter().filter(|f| f.level >= min_level));
            told
        });
        Self { parts, thread }
    }

    fn finish(self) -> Vec<Finding> {
        drop(self.parts);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_microsecond())
}

/// What one chunk adds to the totals.
#[derive(Default)]
struct Seen {
    events: u64,
    flagged: u64,
    hits: u64,
    formats: HashMap<&'static str, u64>,
    issues: HashMap<&'static str, u64>,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    hours: HashMap<i64, (u64, u64)>,
}

impl Seen {
    fn of(events: &[Event]) -> Self {
        let mut seen = Self::default();
        for event in events {
            seen.events += 1;
            seen.flagged += u64::from(!event.issues.is_empty());
            seen.hits += u64::from(event.is_threat());
            *seen.formats.entry(event.format.as_str()).or_default() += 1;
            for issue in &event.issues {
                *seen.issues.entry(issue.code).or_default() += 1;
            }
            // Time of receipt stands in where the source gave none: it says nothing about the data.
            if event.time != event.received {
                seen.first = Some(seen.first.map_or(event.time, |t| t.min(event.time)));
                seen.last = Some(seen.last.map_or(event.time, |t| t.max(event.time)));
                let hour = seen.hours.entry(event.time.secs().div_euclid(3600)).or_default();
                hour.0 += 1;
                hour.1 += u64::from(event.is_threat());
            }
        }
        seen
    }

    fn add_to(self, totals: &mut Totals) {
        totals.events += self.events;
        totals.flagged += self.flagged;
        totals.hits += self.hits;
        for (format, count) in self.formats {
            *totals.formats.entry(format).or_default() += count;
        }
        for (code, count) in self.issues {
            *totals.issues.entry(code).or_default() += count;
        }
        for (hour, (events, hits)) in self.hours {
            let sum = totals.hours.entry(hour).or_default();
            sum.0 += events;
            sum.1 += hits;
        }
        totals.first = [totals.first, self.first].into_iter().flatten().min();
        totals.last = [totals.last, self.last].into_iter().flatten().max();
    }
}

/// A finding as one JSON line: the finding's own fields, with the techniques lifted to the top.
fn line(finding: &Finding) -> anyhow::Result<serde_json::Value> {
    let mut json = serde_json::to_value(finding)?;
    json["techniques"] = finding.rule.techniques.clone().into();
    json["tactics"] = finding.rule.tactics.clone().into();
    Ok(json)
}

fn write(args: &Args, totals: &Totals, findings: &[Finding]) -> anyhow::Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    match args.output {
        Format::Table => report::table(&mut out, totals, findings)?,
        Format::Html => report::html(&mut out, totals, findings)?,
        Format::Csv => report::csv(&mut out, findings)?,
        Format::Jsonl => {
            for finding in findings {
                writeln!(out, "{}", line(finding)?)?;
            }
        }
        Format::Json => {
            let lines: anyhow::Result<Vec<_>> = findings.iter().map(line).collect();
            serde_json::to_writer_pretty(&mut out, &lines?)?;
            writeln!(out)?;
        }
    }
    out.flush()?;
    if args.output != Format::Table && !(args.output == Format::Html && std::io::stdout().is_terminal()) {
        report::summary(&mut std::io::stderr(), totals, findings)?;
    }
    Ok(())
}
