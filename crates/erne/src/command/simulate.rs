//! `erne simulate`: labelled traffic through the public ingest API.

use crate::client::{Client, Target};
use anyhow::{Context, bail};
use event::Timestamp;
use sim::{Kind, SimConfig, SimEvent, Simulator, Stream};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How often a batch is sent.
const TICK: Duration = Duration::from_millis(200);
/// Entries of one request.
const BATCH_MAX: usize = 2_000;
/// How often a refused batch is offered again before the command gives up.
const TRIES_MAX: u32 = 20;

#[derive(clap::Args)]
pub struct Args {
    /// What to simulate.
    #[arg(value_enum)]
    pub kind: KindArg,
    /// Events per second.
    #[arg(long, default_value_t = 20.0)]
    pub rate: f64,
    /// The same seed gives the same traffic.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The share of events that belong to attacks; 0 for none.
    #[arg(long, default_value_t = 0.05)]
    pub attacks: f64,
    /// How long to send, in seconds.
    #[arg(long, default_value_t = 60)]
    pub secs: u64,
    /// Begins this many seconds in the past and catches up first, so that timelines are full.
    #[arg(long, default_value_t = 0)]
    pub history_secs: u64,
    /// Writes the ground truth here, one line per event that belongs to an attack.
    #[arg(long)]
    pub truth: Option<PathBuf>,
    /// Writes the entries here instead of sending them, one file per kind.
    #[arg(long)]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub target: Target,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum KindArg {
    Cloud,
    Web,
    Auth,
    Mixed,
}

impl From<KindArg> for Kind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Cloud => Self::Cloud,
            KindArg::Web => Self::Web,
            KindArg::Auth => Self::Auth,
            KindArg::Mixed => Self::Mixed,
        }
    }
}

pub fn run(args: Args, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    if !args.rate.is_finite() || args.rate <= 0.0 || !(0.0..=1.0).contains(&args.attacks) {
        bail!("--rate must be above 0 and --attacks between 0 and 1");
    }
    let start = now().plus_secs(-(args.history_secs as i64));
    let mut simulator = Simulator::new(SimConfig {
        kind: args.kind.into(),
        seed: args.seed,
        rate: args.rate,
        attacks: args.attacks,
        start,
    });
    let mut truth = Truth::open(args.truth.as_deref())?;
    if let Some(out) = &args.out {
        let events = simulator.batch(start.plus_secs((args.secs + args.history_secs) as i64));
        return write_files(out, &events, &mut truth);
    }
    let client = Client::open(&args.target, config)?;
    let sent = send_live(&client, &mut simulator, &mut truth, Duration::from_secs(args.secs), &|| false, &mut |_| ())?;
    eprintln!("sent {sent} events");
    Ok(ExitCode::SUCCESS)
}

pub fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_microsecond())
}

/// The ground truth file.
pub struct Truth(Option<std::io::BufWriter<std::fs::File>>);

impl Truth {
    pub fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let open = |path: &Path| std::fs::File::create(path).with_context(|| format!("{} cannot be written", path.display()));
        Ok(Self(path.map(open).transpose()?.map(std::io::BufWriter::new)))
    }

    fn write(&mut self, events: &[SimEvent]) -> anyhow::Result<()> {
        let Some(file) = &mut self.0 else { return Ok(()) };
        for event in events.iter().filter(|e| e.truth.attack.is_some()) {
            serde_json::to_writer(&mut *file, &event.truth)?;
            writeln!(file)?;
        }
        Ok(file.flush()?)
    }
}

/// Sends what the clock has reached until the time is over or `stop` says so; `seen` gets what was sent. Returns the
/// events sent.
pub fn send_live(
    client: &Client,
    simulator: &mut Simulator,
    truth: &mut Truth,
    time: Duration,
    stop: &dyn Fn() -> bool,
    seen: &mut dyn FnMut(&[SimEvent]),
) -> anyhow::Result<u64> {
    let until = Instant::now() + time;
    let mut sent = 0;
    while Instant::now() < until && !stop() {
        let tick = Instant::now();
        let events = simulator.batch(now());
        for part in events.chunks(BATCH_MAX) {
            send(client, part, stop)?;
            truth.write(part)?;
            seen(part);
            sent += part.len() as u64;
        }
        std::thread::sleep(TICK.saturating_sub(tick.elapsed()));
    }
    Ok(sent)
}

/// One request per kind of source, as real senders would.
fn send(client: &Client, events: &[SimEvent], stop: &dyn Fn() -> bool) -> anyhow::Result<()> {
    let mut bodies: BTreeMap<Stream, Vec<u8>> = BTreeMap::new();
    for event in events {
        let body = bodies.entry(event.stream).or_default();
        body.extend_from_slice(event.line.as_bytes());
        body.push(b'\n');
    }
    for (stream, body) in bodies {
        send_one(client, stream, &body, stop)?;
    }
    Ok(())
}

fn send_one(client: &Client, stream: Stream, body: &[u8], stop: &dyn Fn() -> bool) -> anyhow::Result<()> {
    let path = match stream {
        Stream::App => format!("/api/logs?source={}", stream.source()),
        stream => format!("/api/v1/ingest?source={}&format={}", stream.source(), stream.format()),
    };
    // The key makes a retry safe whether or not the first try was stored.
    let key = event::Id::of(&[body, &now().0.to_le_bytes()]).to_string();
    let mut last = String::new();
    for _ in 0..TRIES_MAX {
        if stop() {
            return Ok(());
        }
        match client.post(&path, "application/x-ndjson", &[("idempotency-key", &key)], body) {
            Ok(answer) if answer.status < 300 => return Ok(()),
            Ok(mut answer) if matches!(answer.status, 429 | 503) => {
                last = crate::client::problem(&answer.body.read_to_string().unwrap_or_default());
                std::thread::sleep(Duration::from_secs(answer.retry_after.unwrap_or(1).min(5)));
            }
            Ok(mut answer) => {
                bail!("the server refused: {} {}", answer.status, crate::client::problem(&answer.body.read_to_string().unwrap_or_default()))
            }
            Err(error) => {
                last = format!("{error:#}");
                std::thread::sleep(Duration::from_millis(500));
            }
        }
    }
    bail!("gave up after {TRIES_MAX} tries: {last}")
}

fn write_files(dir: &Path, events: &[SimEvent], truth: &mut Truth) -> anyhow::Result<ExitCode> {
    std::fs::create_dir_all(dir).with_context(|| format!("{} cannot be created", dir.display()))?;
    let mut files: BTreeMap<Stream, std::io::BufWriter<std::fs::File>> = BTreeMap::new();
    for event in events {
        if let std::collections::btree_map::Entry::Vacant(vacant) = files.entry(event.stream) {
            let path = dir.join(format!("{}.log", event.stream.source()));
            let file = std::fs::File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
            vacant.insert(std::io::BufWriter::new(file));
        }
        if let Some(file) = files.get_mut(&event.stream) {
            writeln!(file, "{}", event.line)?;
        }
    }
    for mut file in files.into_values() {
        file.flush()?;
    }
    truth.write(events)?;
    eprintln!("wrote {} events to {}", events.len(), dir.display());
    Ok(ExitCode::SUCCESS)
}
