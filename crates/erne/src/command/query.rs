//! `erne query`: the events of a running server.

use crate::client::{Answer, Client, Target, problem};
use crate::output::{Format, csv_row, inert, thousands};
use anyhow::{Context, bail};
use engine::query;
use event::{COLUMNS, Timestamp};
use serde_json::{Value, json};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

/// Rows of one request.
const PAGE: usize = 1_000;
const TABLE: &[&str] = &["time", "severity", "metadata.log_name", "actor.user.name", "src_endpoint.ip", "api.operation", "http_request.url.path", "message"];
/// Characters of a cell of chosen fields, and of the longest bar of a histogram.
const CELL_CHARS_MAX: usize = 60;
const BAR_CHARS_MAX: usize = 50;

#[derive(clap::Args)]
pub struct Search {
    /// What to look for: `user.name:alice AND NOT source.ip:10.0.0.0/8 "access denied"`; absent: everything.
    #[arg(default_value = "")]
    pub q: String,
    /// From this time on (RFC 3339), or so long ago: `15m`, `4h`, `7d`.
    #[arg(long, default_value = "24h")]
    pub from: String,
    /// Before this time.
    #[arg(long)]
    pub to: Option<String>,
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
    /// The columns to show, OCSF or ECS names separated by commas.
    #[arg(long, value_delimiter = ',')]
    pub fields: Vec<String>,
    /// Count by time instead of showing events, `auto` or seconds.
    #[arg(long, num_args = 0..=1, default_missing_value = "auto")]
    pub histogram: Option<String>,
}

impl Search {
    fn request(&self) -> anyhow::Result<Value> {
        let to = self.to.as_deref().map(moment).transpose()?.map(|t| t.to_string());
        Ok(json!({"q": self.q, "from": moment(&self.from)?.to_string(), "to": to}))
    }

    fn ask(&self, client: &Client, request: &Value) -> anyhow::Result<Value> {
        let Answer { status, mut body, .. } = client.post("/api/v1/search", "application/json", &[], request.to_string().as_bytes())?;
        let text = body.with_config().limit(512 << 20).read_to_string()?;
        if status >= 400 {
            eprint!("{}", pointer(&self.q, &text));
            bail!("{}", problem(&text));
        }
        serde_json::from_str(&text).context("the answer is no JSON")
    }

    /// Calls `visit` with events, newest first, until it has `limit`. Answers how many there were, and how many
    /// match in all, as far as they were counted.
    fn each(&self, client: &Client, limit: usize, visit: &mut dyn FnMut(&Value) -> anyhow::Result<()>) -> anyhow::Result<(usize, Value)> {
        let (mut request, mut count) = (self.request()?, 0);
        loop {
            request["limit"] = PAGE.min(limit - count).into();
            let answer = self.ask(client, &request)?;
            for event in answer["items"].as_array().context("the answer has no items")? {
                visit(event)?;
                count += 1;
            }
            request["cursor"] = answer["next_cursor"].clone();
            if request["cursor"].is_null() || count >= limit {
                return Ok((count, answer["total"].clone()));
            }
        }
    }
}

/// The query with a mark below the character that is wrong, if the server names one.
pub(super) fn pointer(q: &str, problem: &str) -> String {
    let column = || serde_json::from_str::<Value>(problem).ok()?["column"].as_u64();
    column().map_or_else(String::new, |column| format!("{}\n{}^\n", inert(q, usize::MAX), " ".repeat(column as usize)))
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

fn at<'a>(event: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(event, |value, part| value.get(part)).filter(|v| !v.is_null())
}

fn cell(event: &Value, path: &str) -> String {
    match at(event, path) {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// The paths of columns by any of their names.
pub(super) fn paths(names: &[String]) -> anyhow::Result<Vec<&'static str>> {
    let path = |name: &String| query::field(name.trim()).map(|c| c.path).map_err(|e| anyhow::anyhow!("{e}; {}", e.hint.as_deref().unwrap_or_default()));
    names.iter().map(path).collect()
}

pub fn query(args: QueryArgs, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    if args.output == Format::Html {
        bail!("query writes table, json, jsonl or csv");
    }
    let fields = paths(&args.fields)?;
    let client = Client::open(&args.search.target, config)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    if let Some(width) = &args.histogram {
        histogram(&args, width, &client, &mut out)?;
        out.flush()?;
        return Ok(ExitCode::SUCCESS);
    }
    header(&mut out, args.output, &fields)?;
    let mut list = Vec::new();
    let (count, total) = args.search.each(&client, args.limit, &mut |event| {
        match args.output {
            Format::Json => list.push(shown(event, &fields)),
            Format::Jsonl => writeln!(out, "{}", shown(event, &fields))?,
            Format::Csv => csv_event(&mut out, event, &fields)?,
            _ => table_row(&mut out, event, &fields)?,
        }
        Ok(())
    })?;
    if args.output == Format::Json {
        serde_json::to_writer_pretty(&mut out, &list)?;
        writeln!(out)?;
    }
    out.flush()?;
    let value = thousands(total["value"].as_u64().unwrap_or_default());
    let bound = if total["exact"] == true { "" } else { "at least " };
    eprintln!("{count} of {bound}{value} events");
    Ok(ExitCode::SUCCESS)
}

fn header(out: &mut impl Write, format: Format, fields: &[&str]) -> anyhow::Result<()> {
    match format {
        Format::Csv if fields.is_empty() => csv_row(out, &COLUMNS.iter().map(|c| c.path).collect::<Vec<_>>())?,
        Format::Csv => csv_row(out, fields)?,
        Format::Table if fields.is_empty() => {
            writeln!(out, "{:<27} {:<13} {:<14} {:<20} {:<16} WHAT", "TIME", "SEVERITY", "SOURCE", "USER", "IP")?;
        }
        Format::Table => writeln!(out, "{}", fields.join("\t"))?,
        _ => {}
    }
    Ok(())
}

fn table_row(out: &mut impl Write, event: &Value, fields: &[&str]) -> anyhow::Result<()> {
    if !fields.is_empty() {
        let cells: Vec<String> = fields.iter().map(|path| inert(&cell(event, path), CELL_CHARS_MAX)).collect();
        writeln!(out, "{}", cells.join("\t"))?;
        return Ok(());
    }
    let cells: Vec<String> = TABLE.iter().map(|path| cell(event, path)).collect();
    let what = cells[5..].iter().find(|c| !c.is_empty()).cloned().unwrap_or_default();
    writeln!(out, "{:<27} {:<13} {:<14} {:<20} {:<16} {}", cells[0], cells[1], inert(&cells[2], 14), inert(&cells[3], 20), inert(&cells[4], 16), inert(&what, 80))?;
    Ok(())
}

/// The event, or only these columns of it under their paths.
fn shown(event: &Value, fields: &[&str]) -> Value {
    if fields.is_empty() {
        return event.clone();
    }
    fields.iter().map(|path| ((*path).to_owned(), at(event, path).cloned().unwrap_or_default())).collect::<serde_json::Map<_, _>>().into()
}

fn csv_event(out: &mut impl Write, event: &Value, fields: &[&str]) -> std::io::Result<()> {
    let all: Vec<&str> = COLUMNS.iter().map(|c| c.path).collect();
    let fields = if fields.is_empty() { &all } else { fields };
    let cells: Vec<String> = fields.iter().map(|path| cell(event, path)).collect();
    csv_row(out, &cells.iter().map(String::as_str).collect::<Vec<_>>())
}

fn histogram(args: &QueryArgs, width: &str, client: &Client, out: &mut impl Write) -> anyhow::Result<()> {
    let mut request = args.search.request()?;
    request["limit"] = 0.into();
    request["histogram"] = width.into();
    let answer = args.search.ask(client, &request)?;
    let buckets = answer["histogram"]["buckets"].as_array().context("the answer has no histogram")?;
    let of = |bucket: &Value| bucket["counts"].as_object().map_or(0, |counts| counts.values().filter_map(Value::as_u64).sum::<u64>());
    match args.output {
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, &answer["histogram"])?;
            writeln!(out)?;
        }
        Format::Jsonl => buckets.iter().try_for_each(|bucket| writeln!(out, "{bucket}"))?,
        Format::Csv => {
            let levels = event::Severity::ALL.map(event::Severity::as_str);
            csv_row(out, &[&["start"], &levels[..]].concat())?;
            for bucket in buckets {
                let count = |level: &&str| bucket["counts"][*level].as_u64().unwrap_or_default().to_string();
                let cells: Vec<String> = std::iter::once(cell(bucket, "start")).chain(levels.iter().map(count)).collect();
                csv_row(out, &cells.iter().map(String::as_str).collect::<Vec<_>>())?;
            }
        }
        _ => {
            let most = buckets.iter().map(of).max().unwrap_or(1).max(1);
            for bucket in buckets {
                let count = of(bucket);
                let bar = "#".repeat((count as usize * BAR_CHARS_MAX).div_ceil(most as usize));
                writeln!(out, "{:<27} {:>12} {bar}", cell(bucket, "start"), thousands(count))?;
            }
        }
    }
    eprintln!("{} events, {} s a bucket", thousands(answer["total"]["value"].as_u64().unwrap_or_default()), answer["histogram"]["bucket_secs"]);
    Ok(())
}
