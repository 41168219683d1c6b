//! `erne rules`: check that rules load and what they can match, run their cases, replay and measure them.

mod check;
mod coverage;
mod measure;
mod replay;

use super::hunt::describe;
use anyhow::{Context, bail};
use detect::{Detector, ThreatLists};
use engine::{ContentDirs, Processor, Stateful};
use event::{Event, Record, RuleKind, Timestamp};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

#[derive(clap::Subcommand)]
pub enum Rules {
    /// Loads rules and says, for each, what it needs and can match; exit 1 if one cannot be loaded.
    Check(check::Check),
    /// Runs the cases of rules: what must fire fires, what must stay quiet stays quiet.
    Test(Test),
    /// Shows the ATT&CK techniques that rules name; also as a layer for ATT&CK Navigator.
    Coverage(coverage::Coverage),
    /// Shows what rules would have told about stored events: how many alerts a day, about whom.
    Replay(replay::Args),
    /// Measures what each rule finds on labelled data, and how often it is wrong.
    Measure(measure::Args),
}

#[derive(clap::Args)]
pub struct Test {
    /// A content folder: `rules/`, `lists/` and `cases/RULE-FILE/{fires,quiet}.*`.
    #[arg(default_value = "content")]
    pub content: PathBuf,
}

pub fn run(rules: Rules, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    match rules {
        Rules::Check(args) => check::run(&args),
        Rules::Test(args) => test(&args),
        Rules::Coverage(args) => coverage::run(&args),
        Rules::Replay(args) => replay::run(&args, config),
        Rules::Measure(args) => measure::run(&args),
    }
}

fn dirs(paths: &[PathBuf]) -> ContentDirs {
    ContentDirs { builtin: paths.is_empty(), rules: paths.to_vec(), ..ContentDirs::default() }
}

fn test(args: &Test) -> anyhow::Result<ExitCode> {
    let dirs = ContentDirs { builtin: false, rules: vec![args.content.join("rules")], ..ContentDirs::default() };
    let (rules, issues) = engine::load_rules(&dirs);
    for issue in &issues {
        eprintln!("error: {}", describe(issue));
    }
    let detector = Detector { rules: Arc::new(rules), lists: Arc::new(ThreatLists::default()), lateness: Default::default() };
    let (enricher, _) = parse::enrich::Enricher::new(Default::default());
    let processor = Processor::new(Arc::new(enricher), detector);
    let mut tally = Tally::default();
    let cases = args.content.join("cases");
    let mut folders: Vec<_> = std::fs::read_dir(&cases)
        .with_context(|| format!("{} cannot be read", cases.display()))?
        .collect::<Result<_, _>>()?;
    folders.sort_by_key(|f| f.file_name());
    for folder in folders {
        run_case(&processor, &folder.path(), &mut tally)?;
    }
    for rule in processor.rules() {
        let stem = stem_of(&rule.file);
        if !tally.stems.contains(stem) {
            tally.failed.push(format!("{}: has no case folder {}", rule.file, cases.join(stem).display()));
        }
    }
    for line in &tally.failed {
        eprintln!("failed: {line}");
    }
    println!("{} rule cases passed, {} failed, {} rules did not load", tally.passed, tally.failed.len(), issues.len());
    Ok(if tally.failed.is_empty() && issues.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: Vec<String>,
    stems: BTreeSet<String>,
}

fn run_case(processor: &Processor, folder: &Path, tally: &mut Tally) -> anyhow::Result<()> {
    let stem = folder.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
    // Where a file holds a correlation, its other rules are only the parts of it.
    let correlates = processor.rules().iter().any(|r| is_stateful(r.kind) && stem_of(&r.file) == stem);
    let (mut fires, mut quiet) = (0, 0);
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let must_fire = name.starts_with("fires");
        if !must_fire && !name.starts_with("quiet") {
            bail!("{}: a case file is named fires.* or quiet.*", path.display());
        }
        let fired = fired(processor, &path)?;
        let own = fired.contains(&(stem.clone(), correlates));
        if own == must_fire {
            tally.passed += 1;
        } else {
            let what = if must_fire { "does not fire" } else { "fires on what must stay quiet" };
            tally.failed.push(format!("{}: {stem} {what}", path.display()));
        }
        *(if must_fire { &mut fires } else { &mut quiet }) += 1;
    }
    if fires == 0 || quiet == 0 {
        tally.failed.push(format!("{}: needs at least one fires.* and one quiet.*", folder.display()));
    }
    tally.stems.insert(stem);
    Ok(())
}

fn stem_of(file: &str) -> &str {
    Path::new(file).file_stem().and_then(|s| s.to_str()).unwrap_or_default()
}

/// The rule files (by stem) with a finding on the case's input, and whether a correlation raised it.
fn fired(processor: &Processor, path: &Path) -> anyhow::Result<BTreeSet<(String, bool)>> {
    let body = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    // Lines without a year take it from the receipt; a fixed one keeps cases from ageing.
    let received = Timestamp::parse("2026-11-20T12:00:00Z").context("a fixed time")?;
    let record = Record { source: "case".into(), format: None, received, peer: None, body: body.into() };
    let out = processor.stateless(&[(0, record)]);
    let unread: Vec<&Event> = out.events.iter().filter(|e| !e.issues.is_empty()).collect();
    if let Some(event) = unread.first() {
        bail!("{}: an entry is not read cleanly: {:?}", path.display(), event.issues);
    }
    let mut stateful = Stateful::new(processor.rule_set());
    let stepped = stateful.step(out.keyed);
    let told = out.findings.into_iter().chain(stepped.findings).chain(stateful.finish().findings);
    let findings = detect::standing(told.collect());
    Ok(findings.iter().map(|f| (stem_of(&f.rule.file).to_owned(), is_stateful(f.rule.kind))).collect())
}

fn is_stateful(kind: RuleKind) -> bool {
    matches!(kind, RuleKind::Correlation | RuleKind::Behaviour)
}
