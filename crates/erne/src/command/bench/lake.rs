//! `erne bench lake`: rows through the lake's real writer, then the same questions to our SQL, to the lake's own
//! searches and to DuckDB, over the same Parquet files in the same run.

use crate::output::thousands;
use anyhow::{Context, bail};
use bytes::Bytes;
use event::{Event, Position, Record, Severity, Timestamp};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::lake::{Extras, Lake, LakeConfig, Query, Tuning, Width};

/// Simulated events that are parsed; the rows repeat them with other ids and times.
const TEMPLATES: usize = 100_000;
/// Rows of an append, as the pipeline hands them over.
const BATCH: u64 = 1_024;
/// 2026-11-01T00:00:00Z.
const START: i64 = 1_793_491_200;
/// Rows of a day: 11.6 events a second.
const DAY_ROWS: u64 = 1_000_000;
const PEER: &str = include_str!("peer.py");

#[derive(clap::Args)]
pub struct Args {
    #[arg(long, default_value_t = 10_000_000)]
    pub rows: u64,
    /// Where the lake goes; kept if given, and used again if it holds as many rows.
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Runs of each question; the median counts.
    #[arg(long, default_value_t = 5)]
    pub runs: usize,
    /// A Python with the package `duckdb`; without it the peer is left out.
    #[arg(long, default_value = "target/lake-readers-venv/bin/python")]
    pub python: PathBuf,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let dir = args.dir.clone().map_or_else(|| super::scratch("lake"), Ok)?;
    let lake = filled(&dir, args.rows)?;
    measure(&lake, args, &dir)?;
    drop(lake);
    if args.dir.is_none() {
        std::fs::remove_dir_all(&dir)?;
    }
    Ok(())
}

/// A reproducible number per (row, use).
fn mix(n: u64, of: u64) -> u64 {
    let mut x = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ of.wrapping_mul(0xd1b5_4a32_d192_ed03);
    x ^= x >> 29;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^ (x >> 32)
}

fn uid(n: u64) -> String {
    let (a, b) = (mix(n, 1), mix(n, 2));
    format!("{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}", a as u32, (a >> 32) as u16, (a >> 48) & 0xfff, b & 0xfff, (b >> 12) & 0xffff_ffff_ffff)
}

/// A parsed CloudTrail event, and where its id and time stand in its text.
struct Template {
    event: Event,
    id_at: Option<usize>,
    time_at: Option<usize>,
}

fn templates() -> anyhow::Result<Vec<Template>> {
    let start = Timestamp::from_secs(START);
    let config = sim::SimConfig { kind: sim::Kind::Cloud, seed: 1, rate: 1_000.0, attacks: 0.02, start };
    let lines = sim::Simulator::new(config).batch(start.plus_secs((TEMPLATES / 1_000) as i64));
    let mut templates = Vec::with_capacity(lines.len());
    for line in &lines {
        let record = Record { source: "aws-cloudtrail".into(), format: Some(event::Format::Cloudtrail), received: start, peer: None, body: Bytes::from(line.line.as_bytes().to_vec()) };
        for mut event in parse::events(&record, 0) {
            // Rules read it, the lake does not.
            event.native = event::Value::Null;
            let text = String::from_utf8_lossy(&event.raw).into_owned();
            let after = |key: &str, len: usize| text.find(key).map(|at| at + key.len()).filter(|at| text.len() >= at + len);
            let (id_at, time_at) = (after("\"eventID\":\"", 36), after("\"eventTime\":\"", 19));
            templates.push(Template { event, id_at, time_at });
        }
    }
    if templates.is_empty() {
        bail!("the simulator made no events");
    }
    Ok(templates)
}

fn row(templates: &[Template], n: u64) -> Event {
    let template = &templates[(n % templates.len() as u64) as usize];
    let mut event = template.event.clone();
    let id = uid(n);
    event.time = Timestamp(Timestamp::from_secs(START).0 + (n as i64) * (86_400_000_000 / DAY_ROWS as i64));
    event.received = event.time.plus_secs(2);
    let mut raw = event.raw.to_vec();
    if let Some(at) = template.id_at {
        raw[at..at + 36].copy_from_slice(id.as_bytes());
    }
    if let Some(at) = template.time_at {
        raw[at..at + 19].copy_from_slice(&event.time.to_string().as_bytes()[..19]);
    }
    event.raw = Bytes::from(raw);
    event.uid = id.into();
    event.position = Position { offset: n, index: 0 };
    event.severity = match mix(n, 3) % 1_000 {
        0 => Severity::Critical,
        1..10 => Severity::High,
        10..40 => Severity::Medium,
        40..120 => Severity::Low,
        _ => Severity::Informational,
    };
    event
}

fn filled(dir: &Path, rows: u64) -> anyhow::Result<Lake> {
    let config = LakeConfig { retention_days: 36_500, ..LakeConfig::default() };
    let lake = Lake::open_with(dir, config, Tuning { grace_secs: 0, ..Tuning::default() })?;
    if lake.stats().rows == rows {
        println!("lake: {} rows are there already", thousands(rows));
        indexed(&lake)?;
        return Ok(lake);
    }
    if lake.covered() > 0 {
        bail!("{} holds another lake; give an empty folder", dir.display());
    }
    let templates = templates()?;
    let (started, mut raw_bytes) = (Instant::now(), 0_u64);
    let mut making = Duration::ZERO;
    for from in (0..rows).step_by(BATCH as usize) {
        let made = Instant::now();
        let next = (from + BATCH).min(rows);
        let batch: Vec<Event> = (from..next).map(|n| row(&templates, n)).collect();
        raw_bytes += batch.iter().map(|e| e.raw.len() as u64).sum::<u64>();
        making += made.elapsed();
        lake.append(Arc::new(batch), next)?;
    }
    lake.flush()?;
    let rate = |secs: f64| thousands((rows as f64 / secs) as u64);
    let secs = started.elapsed().as_secs_f64();
    println!("ingest: {} rows in {secs:.1} s, {} rows/s to synced Parquet (of it {:.1} s making the rows, on the appending thread)",
        thousands(rows), rate(secs), making.as_secs_f64());
    indexed(&lake)?;
    let secs = started.elapsed().as_secs_f64();
    println!("ingest and text index: {secs:.1} s, {} rows/s until every file had its index", rate(secs));
    let merging = Instant::now();
    let upkeep = lake.maintain(super::super::simulate::now())?;
    let stats = lake.stats();
    println!("merge of what upkeep had left: {} files in {:.1} s; {} files now", upkeep.merged, merging.elapsed().as_secs_f64(), stats.files);
    println!("size: {} MB raw, {} MB Parquet ({:.1} %), {} and {} bytes a row",
        raw_bytes / 1_000_000, stats.bytes / 1_000_000, stats.bytes as f64 * 100.0 / raw_bytes as f64, raw_bytes / rows.max(1), stats.bytes / rows.max(1));
    println!("text index: {} MB ({:.1} % of raw), {} files without one", stats.text_bytes / 1_000_000, stats.text_bytes as f64 * 100.0 / raw_bytes as f64, stats.text_missing);
    Ok(lake)
}

/// Until every file has its text index; merging makes new files.
fn indexed(lake: &Lake) -> anyhow::Result<()> {
    while lake.stats().text_missing > 0 && lake.index_texts()? + lake.maintain(super::super::simulate::now())?.merged > 0 {}
    Ok(())
}

struct Question {
    name: &'static str,
    sql: String,
}

fn questions(rows: u64) -> Vec<Question> {
    let day = Timestamp::from_secs(START + 86_400 * (rows / DAY_ROWS / 2) as i64);
    let within = format!("time >= TIMESTAMP '{}' AND time < TIMESTAMP '{}'", plain(day), plain(day.plus_secs(86_400)));
    let question = |name, sql: String| Question { name, sql };
    vec![
        question("count by hour, severity", "SELECT date_trunc('hour', time) AS hour, severity, count(*) AS n FROM events GROUP BY 1, 2".into()),
        question("needle by id", format!("SELECT metadata.uid, actor.user.name, 1 AS n FROM events WHERE metadata.uid = '{}'", uid(rows / 3))),
        question("id that is nowhere", "SELECT metadata.uid, 1 AS n FROM events WHERE metadata.uid = 'no such id'".into()),
        question("top 10 users", "SELECT actor.user.name, count(*) AS n FROM events GROUP BY 1 ORDER BY n DESC, 1 LIMIT 10".into()),
        question("newest 100", "SELECT time, actor.user.name, api.operation, src_endpoint.ip, 1 AS n FROM events ORDER BY time DESC LIMIT 100".into()),
        question("a day by minute, severity", format!("SELECT date_trunc('minute', time) AS minute, severity, count(*) AS n FROM events WHERE {within} GROUP BY 1, 2")),
        question("a day's top addresses", format!("SELECT src_endpoint.ip, count(*) AS n FROM events WHERE {within} GROUP BY 1 ORDER BY n DESC, 1 LIMIT 10")),
        question("a day's failures by call", format!("SELECT api.operation, count(*) AS n FROM events WHERE {within} AND status = 'Failure' GROUP BY 1 ORDER BY n DESC, 1 LIMIT 20")),
        question("a day's users and addresses", format!("SELECT count(DISTINCT actor.user.name) + count(DISTINCT src_endpoint.ip) AS n FROM events WHERE {within}")),
        question("a day, text in raw", format!("SELECT count(*) AS n FROM events WHERE {within} AND raw_data LIKE '%StopLogging%'")),
    ]
}

/// Without a zone, which both engines take for UTC.
fn plain(time: Timestamp) -> String {
    time.to_string().trim_end_matches('Z').replace('T', " ")
}

/// Milliseconds of the runs, rows, and the sum of column `n`: to compare answers.
#[derive(Clone, Debug)]
struct Measured {
    ms: f64,
    rows: u64,
    sum: u64,
}

fn median(mut values: Vec<f64>) -> f64 {
    super::percentile(&mut values, 0.5)
}

fn measure(lake: &Lake, args: &Args, dir: &Path) -> anyhow::Result<()> {
    let questions = questions(args.rows);
    let ours = by_sql(lake, &questions, args.runs)?;
    let own = by_search(lake, args)?;
    let peer = by_duckdb(lake, &questions, args, dir)?;
    searches(lake, args)?;
    println!("{:<28} {:>10} {:>10} {:>10} {:>8} {:>10}", "median of ms", "our SQL", "search", "DuckDB", "ratio", "rows");
    for (question, ours) in questions.iter().zip(&ours) {
        let peer = peer.get(question.name);
        let same = peer.is_none_or(|p| (p.rows, p.sum) == (ours.rows, ours.sum));
        let show = |ms: Option<f64>| ms.map_or("–".into(), |ms| format!("{ms:.1}"));
        println!("{:<28} {:>10.1} {:>10} {:>10} {:>8} {:>10}{}", question.name, ours.ms, show(own.get(question.name).copied()), show(peer.map(|p| p.ms)),
            peer.map_or("–".into(), |p| format!("{:.2}", ours.ms / p.ms)), thousands(ours.rows), if same { "" } else { "  THE ANSWERS DIFFER" });
    }
    Ok(())
}

struct Frozen(store::lake::Frozen);

#[async_trait::async_trait]
impl sql::Source for Frozen {
    fn events(&self) -> store::lake::Frozen {
        self.0.clone()
    }
    async fn alerts(&self) -> Result<Vec<event::Alert>, sql::SqlError> {
        Ok(Vec::new())
    }
    async fn incidents(&self) -> Result<Vec<event::Incident>, sql::SqlError> {
        Ok(Vec::new())
    }
    async fn findings(&self) -> Result<Vec<event::Finding>, sql::SqlError> {
        Ok(Vec::new())
    }
}

fn by_sql(lake: &Lake, questions: &[Question], runs: usize) -> anyhow::Result<Vec<Measured>> {
    let budget = sql::Budget { nice: 0, rows_max: 1_000_000, bytes_max: 1 << 30, ..sql::Budget::default() };
    let engine = sql::Sql::new(budget)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    questions.iter().map(|question| runtime.block_on(async {
        let mut ms = Vec::new();
        let mut last = None;
        for _ in 0..runs.max(1) {
            let started = Instant::now();
            let request = sql::Request { sql: question.sql.clone(), limit: Some(1_000_000), ..Default::default() };
            let answer = engine.run(request, Arc::new(Frozen(lake.frozen()))).await.with_context(|| question.name)?;
            ms.push(started.elapsed().as_secs_f64() * 1e3);
            last = Some(answer);
        }
        let answer = last.context("no run")?;
        let n = answer.columns.iter().position(|c| c.name == "n");
        let sum: u64 = answer.rows.iter().filter_map(|r| r.get(n?)?.as_u64()).sum();
        Ok::<_, anyhow::Error>(Measured { ms: median(ms), rows: answer.rows.len() as u64, sum })
    })).collect()
}

/// The median of the runs, in milliseconds.
fn timed(runs: usize, mut work: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let mut ms = Vec::new();
    for _ in 0..runs.max(1) {
        let started = Instant::now();
        work()?;
        ms.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(ms))
}

/// Searches as the dashboard makes them: a page of 50, the histogram, the exact total, over everything.
fn searches(lake: &Lake, args: &Args) -> anyhow::Result<()> {
    let needle = format!("metadata.uid:\"{}\"", uid(args.rows / 3));
    let word = format!("\"{}\"", uid(args.rows / 3));
    let asked = [
        ("one event by id", needle.as_str()),
        ("one event by a word", word.as_str()),
        ("a rare word", "StopLogging"),
        ("a frequent word", "AccessDenied"),
        ("two words", "AccessDenied AND GetObject"),
        ("a phrase", "\"access denied\""),
        ("a wildcard", "api.operation:Delete*"),
        ("a network", "src_endpoint.ip:203.0.113.0/24"),
        ("everything", "*"),
    ];
    println!("{:<28} {:>10} {:>12} {:>8} {:>12}", "search: page and histogram", "median ms", "matches", "files", "rows read");
    for (name, text) in asked {
        let query = Query { expr: engine::query::parse(text, super::super::simulate::now()).map_err(|e| anyhow::anyhow!("{text}: {e}"))?, limit: 50, ..Query::default() };
        let extras = Extras { histogram: Some(Width::Auto), ..Extras::default() };
        let mut answer = None;
        let ms = timed(args.runs, || Ok(answer = Some(lake.search(&query, &extras)?)))?;
        let page = answer.context("no run")?.page;
        println!("{name:<28} {ms:>10.1} {:>12} {:>8} {:>12}", thousands(page.total.value), page.scanned.files, thousands(page.scanned.rows));
    }
    Ok(())
}

/// What the lake's own searches answer of the same.
fn by_search(lake: &Lake, args: &Args) -> anyhow::Result<HashMap<&'static str, f64>> {
    let time = |work: &dyn Fn() -> anyhow::Result<()>| timed(args.runs, work);
    let mut own = HashMap::new();
    own.insert("count by hour, severity", time(&|| Ok(lake.histogram(&Query::default(), 3_600).map(drop)?))?);
    own.insert("newest 100", time(&|| Ok(lake.query(&Query { limit: 100, ..Query::default() }).map(drop)?))?);
    let day = Timestamp::from_secs(START + 86_400 * (args.rows / DAY_ROWS / 2) as i64);
    let query = Query { from: Some(day), to: Some(day.plus_secs(86_400)), ..Query::default() };
    own.insert("a day by minute, severity", time(&|| Ok(lake.histogram(&query, 60).map(drop)?))?);
    Ok(own)
}

/// The same SQL by DuckDB's Python package, on as many threads.
fn by_duckdb(lake: &Lake, questions: &[Question], args: &Args, dir: &Path) -> anyhow::Result<HashMap<String, Measured>> {
    if !args.python.exists() {
        println!("DuckDB is left out: there is no {} (scripts/test_lake_readers.sh makes one)", args.python.display());
        return Ok(HashMap::new());
    }
    let files: Vec<String> = lake.frozen().files().iter().map(|f| dir.join(&f.path).display().to_string()).collect();
    let asked: Vec<Value> = questions.iter().map(|q| json!({"name": q.name, "sql": q.sql})).collect();
    let input = json!({"files": files, "questions": asked, "runs": args.runs.max(1), "threads": 2});
    let mut child = std::process::Command::new(&args.python).args(["-c", PEER]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    child.stdin.take().context("no standard input")?.write_all(input.to_string().as_bytes())?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("the peer failed; is the package duckdb installed for {}?", args.python.display());
    }
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    println!("peer: DuckDB {}, 2 threads, the same {} Parquet files", answer["version"].as_str().unwrap_or("?"), files.len());
    let results = answer["results"].as_array().context("the peer answered nothing")?;
    let measured = results.iter().map(|r| {
        let ms = r["ms"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
        let name = r["name"].as_str().unwrap_or_default().to_owned();
        (name, Measured { ms: median(ms), rows: r["rows"].as_u64().unwrap_or(0), sum: r["sum"].as_u64().unwrap_or(0) })
    });
    Ok(measured.collect())
}
