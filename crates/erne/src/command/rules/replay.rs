//! `erne rules replay`: what rules would have told about the events that are stored.

use crate::client::{Client, Target, problem};
use crate::command::hunt::describe;
use crate::command::query::moment;
use crate::output::{Format, inert, level, thousands};
use anyhow::{Context, bail};
use engine::lake::{Lake, Location};
use engine::{Replay, ReplayJob, ReplayLimits, RuleTexts};
use event::{Severity, Timestamp};
use serde_json::{Value, json};
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Samples that the table shows.
const SAMPLES_SHOWN: usize = 5;

#[derive(clap::Args)]
pub struct Args {
    /// The id of a running rule, or files and folders of rules.
    #[arg(required = true)]
    pub rules: Vec<String>,
    /// From this time on (RFC 3339), or so long ago: `15m`, `4h`, `7d`.
    #[arg(long, default_value = "24h")]
    pub from: String,
    /// Before this time.
    #[arg(long)]
    pub to: Option<String>,
    /// Stops after so many seconds, with what it has until then.
    #[arg(long, default_value_t = 60)]
    pub secs: u64,
    /// Reads this data folder (or `s3://bucket/prefix`) itself instead of asking a server; what the server has not yet flushed is missing.
    #[arg(long)]
    pub lake: Option<PathBuf>,
    /// With `--lake`: processing pipelines in pySigma's format.
    #[arg(long, requires = "lake")]
    pub pipeline: Vec<PathBuf>,
    /// `table` or `json`.
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: Format,
    #[command(flatten)]
    pub target: Target,
}

pub fn run(args: &Args, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let from = moment(&args.from)?;
    let to = match &args.to {
        Some(to) => moment(to)?,
        None => moment("0s")?,
    };
    let told = match &args.lake {
        Some(dir) => serde_json::to_value(directly(args, dir, config, from, to)?)?,
        None => by_server(args, config, from, to)?,
    };
    write(args, &told)?;
    Ok(ExitCode::SUCCESS)
}

/// Over the folder of a server that does not run, or beside one that does.
fn directly(args: &Args, dir: &Path, config: Option<&Path>, from: Timestamp, to: Timestamp) -> anyhow::Result<Replay> {
    let paths: Vec<PathBuf> = args.rules.iter().map(PathBuf::from).collect();
    let dirs = engine::ContentDirs { pipelines: args.pipeline.clone(), ..super::dirs(&paths) };
    let (texts, mut issues) = RuleTexts::read(&dirs);
    let (rules, more) = texts.compile(&[]);
    issues.extend(more);
    if let Some(issue) = issues.iter().find(|issue| !issue.is_notice()) {
        bail!("{}", describe(issue));
    }
    let lake = Lake::open_read_only_at(&location(dir, config)?).with_context(|| format!("{} holds no lake", dir.display()))?;
    let (databases, _) = engine::load_geoip(&engine::GeoipConfig::default());
    let (enricher, _) = parse::enrich::Enricher::new(databases);
    let limits = ReplayLimits { secs_max: args.secs, ..ReplayLimits::default() };
    let job = ReplayJob { lake: &lake, enricher: &enricher, rules: &Arc::new(rules), tells: &|_| true, from, to, limits };
    let narration = Narration::start();
    Ok(engine::replay(&job, &mut |events| narration.tell(events))?)
}

/// The lake of a data folder, a lake's folder, or `s3://bucket/prefix` with the `[lake.s3]` of the configuration.
fn location(lake: &Path, config: Option<&Path>) -> anyhow::Result<Location> {
    if let Some(url) = lake.to_str().filter(|text| text.starts_with("s3://")) {
        let mut config = crate::command::config::load(config)?;
        config.lake.url = Some(url.to_owned());
        return Ok(config.lake_location());
    }
    Ok(Location::Disk(if lake.join("lake").is_dir() { lake.join("lake") } else { lake.to_owned() }))
}

fn by_server(args: &Args, config: Option<&Path>, from: Timestamp, to: Timestamp) -> anyhow::Result<Value> {
    let mut request = json!({"from": from.to_string(), "to": to.to_string(), "secs_max": args.secs});
    let is_file = |text: &String| Path::new(text).exists();
    match args.rules.as_slice() {
        [id] if !is_file(id) => request["rule_id"] = id.as_str().into(),
        files => request["text"] = text_of(files)?.into(),
    }
    let client = Client::open(&args.target, config)?.patient(Duration::from_secs(args.secs.saturating_add(60)));
    let narration = Narration::start();
    let done = Arc::new(AtomicBool::new(false));
    let waiting = narration.wait_beside(done.clone());
    let answer = client.post("/api/v1/rules/replay", "application/json", &[], request.to_string().as_bytes());
    done.store(true, Ordering::Relaxed);
    let _ = waiting.join();
    let mut answer = answer?;
    let mut text = String::new();
    answer.body.as_reader().read_to_string(&mut text)?;
    if answer.status >= 400 {
        bail!("{} {}", answer.status, problem(&text));
    }
    serde_json::from_str(&text).context("the answer is no JSON")
}

/// The documents of files and folders as one text.
fn text_of(files: &[String]) -> anyhow::Result<String> {
    let paths: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
    if let Some(absent) = paths.iter().find(|path| !path.exists()) {
        bail!("{} does not exist; a rule's id stands alone", absent.display());
    }
    let (texts, issues) = RuleTexts::read(&super::dirs(&paths));
    if let Some(issue) = issues.first() {
        bail!("{}", describe(issue));
    }
    Ok(texts.files.iter().map(|file| file.text.trim_end().to_owned()).collect::<Vec<_>>().join("\n---\n"))
}

/// Progress on standard error, on a terminal only.
struct Narration {
    started: Instant,
    is_shown: bool,
    last: std::cell::Cell<Option<Instant>>,
}

impl Narration {
    fn start() -> Self {
        Self { started: Instant::now(), is_shown: std::io::stderr().is_terminal(), last: std::cell::Cell::new(None) }
    }

    fn tell(&self, events: u64) -> bool {
        let due = self.last.get().is_none_or(|last| last.elapsed() > Duration::from_millis(200));
        if self.is_shown && due {
            eprint!("\r{} events, {:.0} s ", thousands(events), self.started.elapsed().as_secs_f64());
            self.last.set(Some(Instant::now()));
        }
        true
    }

    /// The server answers once: until then, only the time is known.
    fn wait_beside(&self, done: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
        let (started, is_shown) = (self.started, self.is_shown);
        std::thread::spawn(move || {
            while is_shown && !done.load(Ordering::Relaxed) {
                eprint!("\rreplaying, {:.0} s ", started.elapsed().as_secs_f64());
                std::thread::sleep(Duration::from_millis(200));
            }
        })
    }
}

impl Drop for Narration {
    fn drop(&mut self) {
        if self.is_shown {
            eprint!("\r\u{1b}[K");
        }
    }
}

fn write(args: &Args, told: &Value) -> anyhow::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match args.output {
        Format::Json => {
            serde_json::to_writer_pretty(&mut out, told)?;
            writeln!(out)?;
        }
        Format::Table => table(&mut out, told)?,
        _ => bail!("rules replay writes table or json"),
    }
    out.flush()?;
    Ok(())
}

fn table(out: &mut impl Write, told: &Value) -> anyhow::Result<()> {
    let number = |value: &Value| thousands(value.as_u64().unwrap_or_default());
    let rows = |name: &str| told[name].as_array().cloned().unwrap_or_default();
    writeln!(
        out,
        "{} events read in {:.1} s: {} matches, {} alerts{}",
        number(&told["events"]),
        told["secs"].as_f64().unwrap_or_default(),
        number(&told["matches"]),
        number(&told["alerts"]),
        if told["truncated"] == true { " (not all of the time was read)" } else { "" },
    )?;
    for note in rows("notes") {
        writeln!(out, "note: {}", inert(note.as_str().unwrap_or_default(), 200))?;
    }
    writeln!(out, "\n{:<12} {:>14} {:>12} {:>12}", "DAY", "EVENTS", "FINDINGS", "ALERTS")?;
    for day in rows("per_day") {
        let name = day["day"].as_str().unwrap_or_default();
        writeln!(out, "{name:<12} {:>14} {:>12} {:>12}", number(&day["events"]), number(&day["findings"]), number(&day["alerts"]))?;
    }
    if !rows("entities").is_empty() {
        writeln!(out, "\n{:>9}  ENTITY", "FINDINGS")?;
    }
    for row in rows("entities") {
        let (kind, value) = (row["entity"]["kind"].as_str().unwrap_or_default(), row["entity"]["value"].as_str().unwrap_or_default());
        writeln!(out, "{:>9}  {kind} {}", number(&row["count"]), inert(value, 100))?;
    }
    if !rows("samples").is_empty() {
        writeln!(out, "\nFIRST FINDINGS")?;
    }
    for finding in rows("samples").iter().take(SAMPLES_SHOWN) {
        let severity = Severity::parse(finding["level"].as_str().unwrap_or_default()).unwrap_or_default();
        let summary = finding["explanation"]["summary"].as_str().unwrap_or_default();
        writeln!(out, "{}  {} {}", finding["time"].as_str().unwrap_or_default(), level(severity, 13), inert(summary, 160))?;
    }
    Ok(())
}
