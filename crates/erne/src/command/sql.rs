//! `erne sql`: one statement to a running server.

use crate::client::{Client, Target, problem};
use crate::output::{Format, csv_row, inert};
use anyhow::{Context, bail};
use serde_json::{Value, json};
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Characters of a cell in a table.
const CELL_CHARS_MAX: usize = 60;
/// Seconds beyond the query's own that the answer may take.
const ANSWER_GRACE_SECS: u64 = 15;

#[derive(clap::Args)]
pub struct Args {
    /// One SELECT; `-` reads it from standard input. Tables: events, alerts, incidents, findings.
    pub sql: String,
    /// Rows at most.
    #[arg(long, default_value_t = 1_000)]
    pub limit: usize,
    /// Seconds that the query may take.
    #[arg(long, default_value_t = 30)]
    pub timeout: u64,
    /// Show the plan instead of running it.
    #[arg(long)]
    pub explain: bool,
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: Format,
    #[command(flatten)]
    pub target: Target,
}

pub fn run(args: Args, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    if args.output == Format::Html {
        bail!("sql writes table, json, jsonl or csv");
    }
    let sql = statement(&args.sql)?;
    let client = Client::open(&args.target, config)?.patient(Duration::from_secs(args.timeout + ANSWER_GRACE_SECS));
    let request = json!({"sql": sql, "limit": args.limit, "timeout_secs": args.timeout, "explain": args.explain});
    let mut answer = client.post("/api/v1/sql", "application/json", &[], request.to_string().as_bytes())?;
    let text = answer.body.with_config().limit(256 << 20).read_to_string()?;
    if answer.status >= 400 {
        eprint!("{}", pointer(&sql, &text));
        bail!("{}", problem(&text));
    }
    let answer: Value = serde_json::from_str(&text).context("the answer is no JSON")?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    if let Some(plan) = answer["plan"].as_str() {
        write!(out, "{plan}")?;
        out.flush()?;
        return Ok(ExitCode::SUCCESS);
    }
    write_rows(&mut out, &answer, args.output)?;
    out.flush()?;
    let rows = answer["rows"].as_array().map_or(0, Vec::len);
    eprintln!("{rows} rows, {} ms", answer["took_ms"]);
    if answer["truncated"] == true {
        eprintln!("there are more: raise --limit, or narrow the query");
    }
    Ok(ExitCode::SUCCESS)
}

fn statement(argument: &str) -> anyhow::Result<String> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let mut text = String::new();
    std::io::stdin().take(1 << 20).read_to_string(&mut text).context("standard input cannot be read")?;
    Ok(text)
}

/// The line of the statement that the error is about, with a mark below it.
fn pointer(sql: &str, problem: &str) -> String {
    let column = || serde_json::from_str::<Value>(problem).ok()?["column"].as_u64();
    let Some(column) = column() else { return String::new() };
    let mut left = column as usize;
    for line in sql.split('\n') {
        let chars = line.chars().count();
        if left <= chars {
            return format!("{}\n{}^\n", inert(line, usize::MAX), " ".repeat(left));
        }
        left -= chars + 1;
    }
    String::new()
}

fn write_rows(out: &mut impl Write, answer: &Value, format: Format) -> anyhow::Result<()> {
    let none = Vec::new();
    let columns: Vec<&str> = answer["columns"].as_array().unwrap_or(&none).iter().map(|c| c["name"].as_str().unwrap_or_default()).collect();
    let rows = answer["rows"].as_array().unwrap_or(&none);
    let cells = |row: &Value| row.as_array().map(|r| r.iter().map(text).collect::<Vec<_>>()).unwrap_or_default();
    match format {
        Format::Csv => {
            csv_row(out, &columns)?;
            for row in rows {
                csv_row(out, &cells(row).iter().map(String::as_str).collect::<Vec<_>>())?;
            }
        }
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, &rows.iter().map(|r| object(&columns, r)).collect::<Vec<_>>())?;
            writeln!(out)?;
        }
        Format::Jsonl => {
            for row in rows {
                writeln!(out, "{}", object(&columns, row))?;
            }
        }
        Format::Table | Format::Html => table(out, &columns, &rows.iter().map(cells).collect::<Vec<_>>())?,
    }
    Ok(())
}

fn object(columns: &[&str], row: &Value) -> Value {
    let none = Vec::new();
    let values = row.as_array().unwrap_or(&none).iter().cloned();
    columns.iter().map(|c| (*c).to_owned()).zip(values).collect::<serde_json::Map<_, _>>().into()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn table(out: &mut impl Write, columns: &[&str], rows: &[Vec<String>]) -> std::io::Result<()> {
    let shown: Vec<Vec<String>> = rows.iter().map(|r| r.iter().map(|c| inert(c, CELL_CHARS_MAX)).collect()).collect();
    let width = |i: usize| {
        let cells = shown.iter().filter_map(|r| r.get(i)).map(|c| c.chars().count());
        cells.max().unwrap_or(0).max(columns[i].chars().count())
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut line = |cells: &[String]| {
        let padded: Vec<String> = cells.iter().zip(widths.iter().copied()).map(|(c, w)| format!("{c:<w$}")).collect();
        writeln!(out, "{}", padded.join("  ").trim_end())
    };
    line(&columns.iter().map(|c| inert(c, CELL_CHARS_MAX)).collect::<Vec<_>>())?;
    line(&widths.iter().map(|w| "─".repeat(*w)).collect::<Vec<_>>())?;
    shown.iter().try_for_each(|row| line(row))
}
