//! `erne query` and `erne export`: the events of a running server.

use crate::client::{Client, Target, encode};
use crate::output::{self, Format, csv_row, inert};
use anyhow::{Context, bail};
use event::{COLUMNS, Timestamp};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Rows of one request.
const PAGE: usize = 1_000;
const TABLE: &[&str] = &["time", "severity", "metadata.log_name", "actor.user.name", "src_endpoint.ip", "api.operation", "http_request.url.path", "message"];

#[derive(clap::Args)]
pub struct Search {
    /// `FIELD=VALUE`, `FIELD!=VALUE`, `FIELD~PART`, `FIELD>=N`, `FIELD<=N`; OCSF or ECS names. All must hold.
    pub filters: Vec<String>,
    /// Text anywhere in the raw entry.
    #[arg(long, short)]
    pub text: Option<String>,
    /// From this time on (RFC 3339), or so long ago: `15m`, `4h`, `7d`.
    #[arg(long, default_value = "24h")]
    pub since: String,
    /// Before this time.
    #[arg(long)]
    pub until: Option<String>,
    #[command(flatten)]
    pub target: Target,
}

#[derive(clap::Args)]
pub struct QueryArgs {
    #[command(flatten)]
    pub search: Search,
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: Format,
}

#[derive(clap::Args)]
pub struct ExportArgs {
    #[command(flatten)]
    pub search: Search,
    /// The file to write; absent means standard output.
    #[arg(long)]
    pub file: Option<PathBuf>,
    /// `jsonl` or `csv`.
    #[arg(long, short, value_enum, default_value = "jsonl")]
    pub output: Format,
}

impl Search {
    fn path(&self) -> anyhow::Result<String> {
        let mut path = format!("/api/v1/events?from={}", encode(&moment(&self.since)?.to_string()));
        if let Some(until) = &self.until {
            path += &format!("&to={}", encode(&moment(until)?.to_string()));
        }
        if let Some(text) = &self.text {
            path += &format!("&q={}", encode(text));
        }
        for filter in &self.filters {
            path += &format!("&filter={}", encode(filter));
        }
        Ok(path)
    }
}

/// RFC 3339, or a number with `s`, `m`, `h` or `d`: so long ago.
pub fn moment(text: &str) -> anyhow::Result<Timestamp> {
    if let Some(time) = Timestamp::parse(text) {
        return Ok(time);
    }
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3_600,
        Some('d') => 86_400,
        _ => bail!("{text:?} is no time: write 2026-11-20T10:00:00Z or 15m, 4h, 7d"),
    };
    let count: i64 = text[..text.len() - 1].parse().with_context(|| format!("{text:?} is no time"))?;
    Ok(super::simulate::now().plus_secs(-count * unit))
}

/// Calls `visit` with events, newest first, until it has `limit`.
fn each(search: &Search, config: Option<&Path>, limit: usize, visit: &mut dyn FnMut(&serde_json::Value) -> anyhow::Result<()>) -> anyhow::Result<usize> {
    let client = Client::open(&search.target, config)?;
    let (path, mut cursor, mut count) = (search.path()?, None::<String>, 0);
    while count < limit {
        let mut page = format!("{path}&limit={}", PAGE.min(limit - count));
        if let Some(cursor) = &cursor {
            page += &format!("&cursor={}", encode(cursor));
        }
        let answer = client.get(&page)?;
        for event in answer["items"].as_array().context("the answer has no items")? {
            visit(event)?;
            count += 1;
        }
        cursor = answer["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    Ok(count)
}

fn cell(event: &serde_json::Value, path: &str) -> String {
    let value = path.split('.').try_fold(event, |value, part| value.get(part));
    match value {
        None | Some(serde_json::Value::Null) => String::new(),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

pub fn query(args: QueryArgs, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut list = Vec::new();
    if args.output == Format::Table {
        writeln!(out, "{:<27} {:<13} {:<14} {:<20} {:<16} WHAT", "TIME", "SEVERITY", "SOURCE", "USER", "IP")?;
    }
    let count = each(&args.search, config, args.limit, &mut |event| {
        match args.output {
            Format::Table => {
                let cells: Vec<String> = TABLE.iter().map(|path| cell(event, path)).collect();
                let what = cells[5..].iter().find(|c| !c.is_empty()).cloned().unwrap_or_default();
                writeln!(out, "{:<27} {:<13} {:<14} {:<20} {:<16} {}", cells[0], cells[1], inert(&cells[2], 14), inert(&cells[3], 20), inert(&cells[4], 16), inert(&what, 80))?;
            }
            Format::Jsonl => writeln!(out, "{event}")?,
            Format::Json => list.push(event.clone()),
            Format::Csv => csv_event(&mut out, event)?,
            Format::Html => bail!("query writes table, json, jsonl or csv"),
        }
        Ok(())
    })?;
    if args.output == Format::Json {
        serde_json::to_writer_pretty(&mut out, &list)?;
        writeln!(out)?;
    }
    out.flush()?;
    eprintln!("{count} events");
    Ok(ExitCode::SUCCESS)
}

fn csv_event(out: &mut impl Write, event: &serde_json::Value) -> std::io::Result<()> {
    let cells: Vec<String> = COLUMNS.iter().map(|c| cell(event, c.path)).collect();
    csv_row(out, &cells.iter().map(String::as_str).collect::<Vec<_>>())
}

pub fn export(args: ExportArgs, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    if !matches!(args.output, Format::Jsonl | Format::Csv) {
        bail!("export writes jsonl or csv");
    }
    let mut out: Box<dyn Write> = match &args.file {
        Some(path) => Box::new(BufWriter::new(std::fs::File::create(path).with_context(|| format!("{} cannot be written", path.display()))?)),
        None => Box::new(BufWriter::new(std::io::stdout().lock())),
    };
    if args.output == Format::Csv {
        csv_row(&mut out, &COLUMNS.iter().map(|c| c.path).collect::<Vec<_>>())?;
    }
    let bar = output::progress(0);
    let count = each(&args.search, config, usize::MAX, &mut |event| {
        bar.inc(1);
        match args.output {
            Format::Csv => csv_event(&mut out, event)?,
            _ => writeln!(out, "{event}")?,
        }
        Ok(())
    })?;
    out.flush()?;
    bar.finish_and_clear();
    eprintln!("{count} events");
    Ok(ExitCode::SUCCESS)
}
