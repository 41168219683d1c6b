//! `erne explain`: why a rule holds for an event, or does not, condition by condition.

use crate::client::{Client, Target, problem};
use crate::command::hunt::describe;
use crate::output::{Format, colour_out, inert};
use anyhow::{Context, bail};
use detect::{RuleSet, Trace};
use engine::{ContentDirs, RuleTexts};
use event::{Event, Record, Timestamp};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Events of a file that are explained.
const EVENTS_MAX: usize = 100;
/// Values of one side that a line shows.
const VALUES_SHOWN: usize = 6;

#[derive(clap::Args)]
pub struct Args {
    /// A rule file, or the id of a rule: of the content pack, or with `--uid` of the server.
    pub rule: String,
    /// A file with one or a few events; `-` is standard input.
    #[arg(required_unless_present = "uid", conflicts_with = "uid")]
    pub event: Option<PathBuf>,
    /// An event that a running server has stored.
    #[arg(long)]
    pub uid: Option<String>,
    /// Reads the file as this format instead of detecting it.
    #[arg(long)]
    pub format: Option<String>,
    /// Processing pipelines in pySigma's format, for rule files.
    #[arg(long)]
    pub pipeline: Vec<PathBuf>,
    /// `table` or `json`.
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: Format,
    #[command(flatten)]
    pub target: Target,
}

pub fn run(args: &Args, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let told = match (&args.uid, &args.event) {
        (Some(uid), _) => by_server(args, uid, config)?,
        (None, Some(file)) => from_file(args, file)?,
        (None, None) => bail!("give an event file or --uid"),
    };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match args.output {
        Format::Json => {
            serde_json::to_writer_pretty(&mut out, &told)?;
            writeln!(out)?;
        }
        Format::Table => told.iter().try_for_each(|trace| show(&mut out, trace))?,
        _ => bail!("explain writes table or json"),
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn by_server(args: &Args, uid: &str, config: Option<&Path>) -> anyhow::Result<Vec<Value>> {
    let mut request = json!({"event_uid": uid});
    match Path::new(&args.rule).is_file() {
        true => request["text"] = std::fs::read_to_string(&args.rule)?.into(),
        false => request["rule_id"] = args.rule.as_str().into(),
    }
    let client = Client::open(&args.target, config)?;
    let mut answer = client.post("/api/v1/explain", "application/json", &[], request.to_string().as_bytes())?;
    let mut text = String::new();
    answer.body.as_reader().read_to_string(&mut text)?;
    if answer.status >= 400 {
        bail!("{} {}", answer.status, problem(&text));
    }
    let mut first: Value = serde_json::from_str(&text).context("the answer is no JSON")?;
    let more = first.as_object_mut().and_then(|map| map.remove("more")).unwrap_or_default();
    Ok(std::iter::once(first).chain(more.as_array().cloned().unwrap_or_default()).collect())
}

fn from_file(args: &Args, file: &Path) -> anyhow::Result<Vec<Value>> {
    let (rules, wanted) = rules(args)?;
    let mut traces = Vec::new();
    for event in events(args, file)? {
        for id in &wanted {
            let trace: Trace = rules.explain(id, &event).with_context(|| format!("there is no detection rule {id}"))?;
            let mut trace = serde_json::to_value(trace)?;
            trace["event_uid"] = event.uid.as_str().into();
            traces.push(trace);
        }
    }
    Ok(traces)
}

/// The rules, and the ids of those that are to be explained: of a correlation, the rules that it counts.
fn rules(args: &Args) -> anyhow::Result<(RuleSet, Vec<String>)> {
    let is_file = Path::new(&args.rule).exists();
    let rules = if is_file { vec![PathBuf::from(&args.rule)] } else { Vec::new() };
    let dirs = ContentDirs { builtin: !is_file, rules, pipelines: args.pipeline.clone(), ..ContentDirs::default() };
    let (texts, mut issues) = RuleTexts::read(&dirs);
    let (rules, more) = texts.compile(&[]);
    issues.extend(more);
    if let Some(issue) = issues.iter().find(|issue| !issue.is_notice() && is_file) {
        bail!("{}", describe(issue));
    }
    let mut wanted = Vec::new();
    for needs in rules.requirements().iter().filter(|needs| is_file || *needs.rule.id == *args.rule) {
        match &needs.correlation {
            None => wanted.push(needs.rule.id.to_string()),
            Some(correlation) => wanted.extend(correlation.rules.iter().map(ToString::to_string)),
        }
    }
    wanted.dedup();
    if wanted.is_empty() {
        bail!("there is no rule {}: give a file, or the id of a rule of the content pack", args.rule);
    }
    Ok((rules, wanted))
}

fn events(args: &Args, file: &Path) -> anyhow::Result<Vec<Event>> {
    let mut body = Vec::new();
    if file.as_os_str() == "-" {
        std::io::stdin().lock().read_to_end(&mut body)?;
    } else {
        body = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    }
    let format = match &args.format {
        Some(name) => Some(event::Format::parse(name).with_context(|| format!("there is no format {name:?}"))?),
        None => None,
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let received = Timestamp(now.as_micros() as i64);
    let record = Record { source: file.display().to_string().into(), format, received, peer: None, body: body.into() };
    let (enricher, _) = parse::enrich::Enricher::new(Default::default());
    let mut events: Vec<Event> = parse::events(&record, 0).take(EVENTS_MAX + 1).collect();
    if events.is_empty() || events.len() > EVENTS_MAX {
        bail!("{} holds {}: give one to {EVENTS_MAX}", file.display(), if events.is_empty() { "no event" } else { "too many events" });
    }
    events.iter_mut().for_each(|event| enricher.enrich(event));
    Ok(events)
}

/// A trace for people: the verdict, then what each condition wanted and what the event had.
fn show(out: &mut impl Write, trace: &Value) -> anyhow::Result<()> {
    let text = |value: &Value| inert(value.as_str().unwrap_or_default(), 120);
    let verdict = match (trace["matched"] == true, trace["excepted_by"].as_str()) {
        (true, Some(exception)) => format!("matches, but exception {} takes it out", inert(exception, 60)),
        (true, None) => "matches".to_owned(),
        (false, _) if trace["log_source_matches"] != true => "does not run on this event: the log source is another".to_owned(),
        (false, _) => "does not match".to_owned(),
    };
    writeln!(out, "{} ({}): {verdict}", text(&trace["rule"]["name"]), text(&trace["rule"]["id"]))?;
    if let Some(uid) = trace["event_uid"].as_str() {
        writeln!(out, "  event {}", inert(uid, 80))?;
    }
    let mut selection = String::new();
    for step in trace["steps"].as_array().into_iter().flatten() {
        let name = text(&step["selection"]);
        if name != selection {
            writeln!(out, "  {name}")?;
            selection = name;
        }
        let values = |side: &Value| {
            let list: Vec<String> = side.as_array().into_iter().flatten().map(&text).collect();
            let shown = list.iter().take(VALUES_SHOWN).cloned().collect::<Vec<_>>().join(", ");
            if list.len() > VALUES_SHOWN { format!("{shown}, … ({} in all)", list.len()) } else { shown }
        };
        let all = if step["all"] == true { " all of" } else { "" };
        let actual = values(&step["actual"]);
        let actual = if actual.is_empty() { "nothing".to_owned() } else { actual };
        writeln!(out, "    {} {} {}{all} {}", mark(step["matched"] == true), text(&step["field"]), text(&step["operator"]), values(&step["expected"]))?;
        writeln!(out, "        the event has {actual}")?;
    }
    Ok(())
}

fn mark(holds: bool) -> &'static str {
    match (holds, colour_out()) {
        (true, true) => "\u{1b}[32myes\u{1b}[0m",
        (false, true) => "\u{1b}[31mno \u{1b}[0m",
        (true, false) => "yes",
        (false, false) => "no ",
    }
}
