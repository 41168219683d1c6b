//! `erne rules measure`: what each rule finds on named, labelled data, and how often it is wrong.
//!
//! A data set is a file of JSON objects, one a line, plain or compressed. A row is an `event` (an object or a
//! line of a log) or a `log` (many lines), and beside it what it is:
//! - `technique` or `label`: an attack of that name; `benign` or nothing for none;
//! - `expected`: true for an attack, false for what must stay quiet; `name` names it;
//! - `expected_overflows`: an attack if above 0, named by `test`.
//!
//! A line without such members is benign traffic as it stands. Rows with the same name that follow each other
//! are correlated together, others not.

use crate::command::hunt::describe;
use anyhow::{Context, bail};
use connect::files;
use detect::{Detector, ThreatLists};
use engine::{ContentDirs, Processor, Stateful};
use event::{Bytes, Finding, Format, Id, Record, Rule, Severity, Timestamp};
use serde_json::Value;
use sim::{Kind, SimConfig, Simulator};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// The seed and rate of the simulator's organic traffic: the same on every machine.
const SIM_SEED: u64 = 1;
const SIM_RATE: f64 = 20.0;
const SIM_START: &str = "2026-11-16T00:00:00Z";
/// When rows are taken to be received: lines without a year take it from there.
const RECEIVED: &str = "2026-11-20T12:00:00Z";
/// Names that a table's cell lists.
const NAMES_SHOWN: usize = 6;
/// Benign events that are run together.
const CHUNK_EVENTS: usize = 10_000;

#[derive(clap::Args)]
pub struct Args {
    /// Labelled data: files of JSON lines, plain or compressed, and folders of them.
    pub data: Vec<PathBuf>,
    /// The rules: files or folders; none means those in the binary.
    #[arg(long)]
    pub rules: Vec<PathBuf>,
    /// Events of the simulator's organic traffic, in which every finding is false.
    #[arg(long, default_value_t = 0)]
    pub organic: u64,
    /// Writes the tables (Markdown) here instead of to standard output.
    #[arg(long)]
    pub out: Option<PathBuf>,
}

/// What one rule did on one data set.
#[derive(Default)]
struct Tally {
    /// Attack rows with a finding.
    rows: u64,
    /// Of each attack's rows, those with a finding.
    attacks: BTreeMap<String, u64>,
    /// Findings on benign rows.
    false_findings: u64,
}

/// One data set.
#[derive(Default)]
struct Set {
    name: String,
    /// Rows of each attack.
    attacks: BTreeMap<String, u64>,
    /// Rows in which some rule above informational found something, of each attack.
    found: BTreeMap<String, u64>,
    benign_rows: u64,
    benign_events: u64,
    events: u64,
    unread: u64,
    rules: BTreeMap<Arc<str>, Tally>,
}

/// What a row is.
enum Row {
    Attack { name: String, body: Bytes },
    /// Must stay quiet.
    Quiet { body: Bytes },
    /// A line of benign traffic.
    Traffic { body: Bytes },
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.data.is_empty() && args.organic == 0 {
        bail!("give labelled data, --organic, or both");
    }
    let dirs = ContentDirs { builtin: args.rules.is_empty(), rules: args.rules.clone(), ..ContentDirs::default() };
    let (rules, issues) = engine::load_rules(&dirs);
    for issue in &issues {
        eprintln!("error: {}", describe(issue));
    }
    let detector = Detector { rules: Arc::new(rules), lists: Arc::new(ThreatLists::default()), lateness: Default::default() };
    let (enricher, _) = parse::enrich::Enricher::new(Default::default());
    let processor = Processor::new(Arc::new(enricher), detector);
    let mut sets = Vec::new();
    for file in files::find(&args.data)? {
        eprintln!("measuring on {}", file.path.display());
        sets.push(Measure::new(&processor, name_of(&file.path))?.file(&file.path)?);
    }
    if args.organic > 0 {
        eprintln!("measuring on {} events of organic traffic", args.organic);
        sets.push(Measure::new(&processor, format!("simulator, organic, seed {SIM_SEED}"))?.organic(args.organic)?);
    }
    let text = tables(&processor, &sets);
    match &args.out {
        Some(path) => std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))?,
        None => print!("{text}"),
    }
    Ok(if issues.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The file's name without endings.
fn name_of(path: &Path) -> String {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.split('.').next().unwrap_or_default().to_owned()
}

struct Measure<'p> {
    processor: &'p Processor,
    received: Timestamp,
    stateful: Stateful,
    /// The attack whose rows are being correlated, or `benign`; empty for rows that stand alone.
    group: String,
    /// Findings come again when late events change them; each counts once.
    seen: BTreeSet<Id>,
    offset: u64,
    set: Set,
}

impl<'p> Measure<'p> {
    fn new(processor: &'p Processor, name: String) -> anyhow::Result<Self> {
        let received = Timestamp::parse(RECEIVED).context("a fixed time")?;
        let stateful = Stateful::new(processor.rule_set());
        let set = Set { name, ..Set::default() };
        Ok(Self { processor, received, stateful, group: String::new(), seen: BTreeSet::new(), offset: 0, set })
    }

    fn file(mut self, path: &Path) -> anyhow::Result<Set> {
        let mut failed = None;
        files::read(
            path,
            &mut |chunk| {
                for line in chunk.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
                    if let Err(error) = self.line(line) {
                        failed.get_or_insert(error);
                    }
                }
            },
            &mut |_| {},
        )?;
        failed.map_or(Ok(self.set), Err)
    }

    fn line(&mut self, line: &[u8]) -> anyhow::Result<()> {
        match row(line)? {
            Row::Attack { name, body } => {
                self.enter(&name);
                *self.set.attacks.entry(name.clone()).or_default() += 1;
                let found = self.findings(body, None, "measure");
                let told: BTreeSet<Arc<str>> = found.iter().map(|f| f.rule.id.clone()).collect();
                if found.iter().any(|f| f.level > Severity::Informational) {
                    *self.set.found.entry(name.clone()).or_default() += 1;
                }
                for rule in told {
                    let tally = self.set.rules.entry(rule).or_default();
                    tally.rows += 1;
                    *tally.attacks.entry(name.clone()).or_default() += 1;
                }
            }
            Row::Traffic { body } => {
                self.set.benign_rows += 1;
                self.enter("benign");
                self.count_benign(body, None, "measure");
            }
            Row::Quiet { body } => {
                self.set.benign_rows += 1;
                // Labelled near misses stand alone: their neighbours are other tests.
                self.enter("");
                self.stateful = Stateful::new(self.processor.rule_set());
                self.count_benign(body, None, "measure");
            }
        }
        Ok(())
    }

    /// Correlations see the rows of one attack together.
    fn enter(&mut self, group: &str) {
        if self.group != group {
            self.stateful = Stateful::new(self.processor.rule_set());
            group.clone_into(&mut self.group);
        }
    }

    fn count_benign(&mut self, body: Bytes, format: Option<Format>, source: &str) {
        let before = self.set.events;
        let found = self.findings(body, format, source);
        self.set.benign_events += self.set.events - before;
        for finding in found {
            self.set.rules.entry(finding.rule.id.clone()).or_default().false_findings += 1;
        }
    }

    fn findings(&mut self, body: Bytes, format: Option<Format>, source: &str) -> Vec<Finding> {
        let record = Record { source: source.into(), format, received: self.received, peer: None, body };
        self.offset += 1;
        let stateless = self.processor.stateless(&[(self.offset, record)]);
        self.set.events += stateless.events.len() as u64;
        self.set.unread += stateless.events.iter().filter(|event| event.format == Format::Raw).count() as u64;
        let stepped = self.stateful.step(stateless.keyed);
        let mut found: Vec<Finding> = stateless.findings.into_iter().chain(stepped.findings).collect();
        found.retain(|finding| self.seen.insert(finding.id));
        found
    }

    fn organic(mut self, events: u64) -> anyhow::Result<Set> {
        let start = Timestamp::parse(SIM_START).context("a fixed time")?;
        let mut traffic = Simulator::new(SimConfig { kind: Kind::Mixed, seed: SIM_SEED, rate: SIM_RATE, attacks: 0.0, start });
        let mut left = events as usize;
        while left > 0 {
            let mut bodies: BTreeMap<&'static str, (Format, String)> = BTreeMap::new();
            for event in traffic.by_ref().take(left.min(CHUNK_EVENTS)) {
                self.received = event.time;
                let (_, body) = bodies.entry(event.stream.source()).or_insert_with(|| (event.stream.format(), String::new()));
                body.push_str(&event.line);
                body.push('\n');
            }
            left -= left.min(CHUNK_EVENTS);
            for (source, (format, body)) in bodies {
                self.count_benign(body.into(), Some(format), source);
            }
        }
        self.set.benign_rows = self.set.benign_events;
        Ok(self.set)
    }
}

fn row(line: &[u8]) -> anyhow::Result<Row> {
    let Ok(row) = serde_json::from_slice::<Value>(line) else {
        return Ok(Row::Traffic { body: Bytes::copy_from_slice(line) });
    };
    let Some(content) = row.get("event").or_else(|| row.get("log")) else {
        return Ok(Row::Traffic { body: Bytes::copy_from_slice(line) });
    };
    let body: Bytes = match content {
        Value::String(text) => text.clone().into(),
        other => serde_json::to_vec(other)?.into(),
    };
    let text = |name: &str| row.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let named = || text("name").or_else(|| text("test")).unwrap_or_else(|| "unnamed".to_owned());
    let attack = match (row.get("expected"), row.get("expected_overflows")) {
        (Some(expected), _) => expected.as_bool().context("`expected` is true or false")?.then(named),
        (None, Some(count)) => (count.as_u64().context("`expected_overflows` is a number")? > 0).then(|| text("test").unwrap_or_else(named)),
        (None, None) => text("technique").or_else(|| text("label")).filter(|label| label != "benign"),
    };
    Ok(match attack {
        Some(name) => Row::Attack { name, body },
        None => Row::Quiet { body },
    })
}

fn tables(processor: &Processor, sets: &[Set]) -> String {
    let mut out = String::from(
        "# What the rules find\n\n<!-- Written by `erne rules measure`; see docs/content.md for the command. -->\n\n\
         A row of labelled data is an attack or must stay quiet. *Found* is an attack of which at least one row has a finding\n\
         above informational. *False* are findings on rows that must stay quiet. Data made for other products' rules also\n\
         holds attacks that no rule of ours is about: their share is a measure of coverage, not of quality.\n\n\
         | data | events | unread | attacks found | attack rows found | quiet rows | false findings above informational | per 10,000 events |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    let rules: BTreeMap<&str, &Arc<Rule>> = processor.rules().iter().map(|rule| (&*rule.id, rule)).collect();
    for set in sets {
        let (rows, found): (u64, u64) = (set.attacks.values().sum(), set.found.values().sum());
        let is_told = |id: &str| rules.get(id).is_some_and(|rule| rule.level > Severity::Informational);
        let wrong: u64 = set.rules.iter().filter(|(id, _)| is_told(id)).map(|(_, tally)| tally.false_findings).sum();
        let per = if set.benign_events == 0 { "–".to_owned() } else { format!("{:.1}", wrong as f64 * 10_000.0 / set.benign_events as f64) };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} of {} | {found} of {rows} | {} | {wrong} | {per} |",
            set.name, set.events, set.unread, set.found.len(), set.attacks.len(), set.benign_rows,
        );
    }
    for set in sets {
        per_rule(&mut out, set, &rules);
        missed(&mut out, set);
    }
    out
}

fn per_rule(out: &mut String, set: &Set, rules: &BTreeMap<&str, &Arc<Rule>>) {
    let _ = write!(out, "\n## {}: by rule\n\n| rule | level | attack rows | attacks | false findings |\n|---|---|---:|---|---:|\n", set.name);
    let mut rows: Vec<_> = set.rules.iter().filter_map(|(id, tally)| Some((*rules.get(&**id)?, tally))).collect();
    rows.sort_by(|a, b| b.1.rows.cmp(&a.1.rows).then_with(|| b.1.false_findings.cmp(&a.1.false_findings)).then_with(|| a.0.name.cmp(&b.0.name)));
    for (rule, tally) in rows {
        let mut names: Vec<String> = tally
            .attacks
            .iter()
            .take(NAMES_SHOWN)
            .map(|(name, count)| format!("{} {count}/{}", cell(name), set.attacks.get(name).copied().unwrap_or_default()))
            .collect();
        if tally.attacks.len() > NAMES_SHOWN {
            names.push(format!("and {} more", tally.attacks.len() - NAMES_SHOWN));
        }
        let _ = writeln!(out, "| {} | {} | {} | {} | {} |", cell(&rule.name), rule.level.as_str(), tally.rows, names.join(", "), tally.false_findings);
    }
}

fn missed(out: &mut String, set: &Set) {
    let missed: Vec<String> = set.attacks.keys().filter(|name| !set.found.contains_key(*name)).map(|name| cell(name)).collect();
    if !missed.is_empty() {
        let _ = write!(out, "\nNot found: {}.\n", missed.join(", "));
    }
}

/// Text that cannot leave its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
