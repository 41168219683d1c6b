//! `erne web`: the request inspector over files, its rates on labelled files, and training its classifier.

use crate::output;
use anyhow::{Context, bail};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use ::web::measure::{HEADING, Row, Tally, line};
use ::web::model::Model;
use ::web::read::Item;
use ::web::{Inspector, Verdict};

/// Largest file once decompressed: HAR and raw requests are read whole.
const FILE_BYTES_MAX: usize = 1 << 30;
/// Widest value in a table.
const SHOWN_CHARS: usize = 60;

#[derive(clap::Subcommand)]
pub enum Action {
    /// Tell for every request of files whether it is an attack: JSON lines, raw HTTP, HAR; gzip, zstd, xz.
    Inspect(InspectArgs),
    /// Measure rates on labelled JSON lines, and times.
    Measure(MeasureArgs),
    /// Train the classifier from labelled JSON lines.
    Train(TrainArgs),
    /// Check virtual patches: read them, run their cases, tell what is wrong with its line.
    Patches(PatchesArgs),
}

#[derive(clap::Args)]
pub struct InspectArgs {
    /// Files; `-` is standard input.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Lines of JSON for programs, a table for people.
    #[arg(long, short, value_enum, default_value = "jsonl")]
    output: Shape,
    /// A classifier of `erne web train`, in addition to the analysers.
    #[arg(long)]
    model: Option<PathBuf>,
}

#[derive(clap::Args)]
pub struct MeasureArgs {
    /// Labelled JSON lines; `-` is standard input.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[arg(long, short, value_enum, default_value = "table")]
    output: Shape,
    #[arg(long)]
    model: Option<PathBuf>,
    /// Inspects every request so often; the shortest time counts, because other programs disturb the longer ones.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    repeat: u32,
}

#[derive(clap::Args)]
pub struct TrainArgs {
    /// Labelled JSON lines.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Where the model goes; its card goes beside it, as JSON.
    #[arg(long, short)]
    output: PathBuf,
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Share of benign requests that may be called attacks.
    #[arg(long)]
    fpr: Option<f64>,
}

#[derive(clap::Args)]
pub struct PatchesArgs {
    /// YAML files, as they stand in a profile's `virtual_patches`.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Shape {
    Table,
    Json,
    Jsonl,
}

pub fn run(action: Action) -> anyhow::Result<ExitCode> {
    match action {
        Action::Inspect(args) => inspect(&args),
        Action::Measure(args) => measure(&args),
        Action::Train(args) => train(&args),
        Action::Patches(args) => patches(&args),
    }
}

fn inspector(model: Option<&Path>) -> anyhow::Result<Inspector> {
    let Some(path) = model else { return Ok(Inspector::default()) };
    let bytes = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let model = Model::read(&bytes).with_context(|| format!("{} is no model", path.display()))?;
    Ok(Inspector::with_model(Some(model)))
}

/// The requests of a file; lines that cannot be read are told and counted.
fn read(path: &Path, visit: &mut dyn FnMut(Item) -> anyhow::Result<()>) -> anyhow::Result<u64> {
    let mut bytes = Vec::new();
    let mut take = |chunk: event::Bytes| {
        if bytes.len() <= FILE_BYTES_MAX {
            bytes.extend_from_slice(&chunk);
        }
    };
    let name = path.display().to_string();
    if path == Path::new("-") {
        connect::files::read_from(std::io::stdin().lock(), "standard input", &mut take, &mut |_| {})?;
    } else {
        connect::files::read(path, &mut take, &mut |_| {})?;
    }
    if bytes.len() > FILE_BYTES_MAX {
        bail!("{name} is larger than {FILE_BYTES_MAX} bytes once decompressed; split it");
    }
    let (mut unreadable, mut failed) = (0, None);
    let found = ::web::read::items(&bytes, &mut |item| match item {
        Ok(item) if failed.is_none() => failed = visit(item).err(),
        Ok(_) => {}
        Err(error) => {
            eprintln!("warning: {name}: {error}");
            unreadable += 1;
        }
    });
    found.with_context(|| format!("{name} holds no requests"))?;
    failed.map_or(Ok(unreadable), Err)
}

fn inspect(args: &InspectArgs) -> anyhow::Result<ExitCode> {
    let inspector = inspector(args.model.as_deref())?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut unreadable = 0;
    for file in &args.files {
        unreadable += read(file, &mut |item| {
            let verdict = inspector.inspect(&item.transaction);
            write_verdict(&mut out, args.output, &item, &verdict).map_err(anyhow::Error::from)
        })?;
    }
    out.flush()?;
    Ok(if unreadable == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A line of `erne web inspect`.
#[derive(serde::Serialize)]
struct Told<'a> {
    id: &'a str,
    #[serde(flatten)]
    verdict: &'a Verdict,
}

fn write_verdict(out: &mut impl Write, shape: Shape, item: &Item, verdict: &Verdict) -> std::io::Result<()> {
    if shape != Shape::Table {
        let told = serde_json::to_string(&Told { id: &item.id, verdict }).map_err(std::io::Error::from)?;
        return writeln!(out, "{told}");
    }
    let decision = if verdict.verdict == ::web::Decision::Attack { "ATTACK" } else { "allow" };
    let target = output::inert(&item.transaction.target, SHOWN_CHARS);
    writeln!(out, "{decision:<6} {:>4.2} {:<20} {} {target}", verdict.score, output::inert(&item.id, 20), output::inert(&item.transaction.method, 10))?;
    for finding in verdict.findings.iter().filter(|f| f.score >= ::web::ATTACK_SCORE) {
        let chain = if finding.chain.is_empty() { String::new() } else { format!(" ({})", finding.chain.join(", ")) };
        writeln!(out, "       {:>4.2} {} at {}{chain}: {}: {}", finding.score, finding.class.as_str(), output::inert(&finding.location, SHOWN_CHARS), finding.why, output::inert(&finding.value, SHOWN_CHARS))?;
    }
    for note in verdict.policy.iter().chain(&verdict.truncated) {
        writeln!(out, "       note {note}")?;
    }
    Ok(())
}

fn measure(args: &MeasureArgs) -> anyhow::Result<ExitCode> {
    let inspector = inspector(args.model.as_deref())?;
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    let mut unreadable = 0;
    for file in &args.files {
        unreadable += read(file, &mut |item| {
            let (verdict, nanos) = timed(&inspector, &item, args.repeat);
            let corpus = if item.source.is_empty() { file.display().to_string() } else { item.source.clone() };
            tallies.entry(corpus).or_default().add(item.label, &verdict, nanos);
            Ok(())
        })?;
    }
    let rows: Vec<Row> = tallies.into_iter().map(|(corpus, tally)| tally.row(&corpus)).collect();
    match args.output {
        Shape::Table => {
            println!("{HEADING}");
            rows.iter().for_each(|row| println!("{}", line(row)));
        }
        Shape::Json => println!("{}", serde_json::to_string_pretty(&rows)?),
        Shape::Jsonl => {
            for row in &rows {
                println!("{}", serde_json::to_string(row)?);
            }
        }
    }
    Ok(if unreadable == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn timed(inspector: &Inspector, item: &Item, repeat: u32) -> (Verdict, u64) {
    let mut nanos = u64::MAX;
    let mut verdict = Verdict::default();
    for _ in 0..repeat {
        let started = Instant::now();
        verdict = inspector.inspect(&item.transaction);
        nanos = nanos.min(u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    (verdict, nanos)
}

fn train(args: &TrainArgs) -> anyhow::Result<ExitCode> {
    let mut settings = ::web::train::Settings { seed: args.seed, ..Default::default() };
    settings.fpr = args.fpr.unwrap_or(settings.fpr);
    let mut trainer = ::web::train::Trainer::default();
    for file in &args.files {
        read(file, &mut |item| {
            trainer.add(&item);
            Ok(())
        })?;
    }
    let (model, card) = trainer.finish(settings);
    let card_path = args.output.with_extension("json");
    std::fs::write(&args.output, model.write()).with_context(|| format!("{} cannot be written", args.output.display()))?;
    std::fs::write(&card_path, serde_json::to_string_pretty(&card)?).with_context(|| format!("{} cannot be written", card_path.display()))?;
    eprintln!("{} views of {} requests; {} and {}", card.views, card.corpora.iter().map(|c| c.attacks + c.benign).sum::<u32>(), args.output.display(), card_path.display());
    Ok(ExitCode::SUCCESS)
}

fn patches(args: &PatchesArgs) -> anyhow::Result<ExitCode> {
    let mut wrong = 0;
    for file in &args.files {
        let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
        match ::web::patch::Patches::compile(&text) {
            Ok(patches) => println!("{}: {} patches, and their cases hold", file.display(), patches.len()),
            Err(issues) => {
                wrong += issues.len();
                for issue in &issues {
                    println!("{}:{}: {}", file.display(), issue.line, issue.message);
                }
            }
        }
    }
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
