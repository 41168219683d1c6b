//! `erne bench`: figures of this machine, with the server as its own process and the load over loopback.

mod gateway;
mod inspector;
mod lake;

use crate::client::{Client, KEY_FILE, encode};
use crate::output::thousands;
use anyhow::{Context, bail};
use event::Timestamp;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[derive(clap::Subcommand)]
pub enum Bench {
    /// Acknowledged ingest over HTTP: rate, latency of the acknowledgement, processing, memory.
    Ingest(Ingest),
    /// `erne hunt` over simulated CloudTrail.
    Hunt(Hunt),
    /// Rows through the lake's writer, then questions in SQL beside DuckDB over the same files.
    Lake(lake::Args),
    /// Answers of the web gateway over loopback: latency at a rate of signed questions.
    Gateway(gateway::Args),
    /// How long a start takes: empty, and after a kill with much in the log.
    Start(Start),
    /// Rates and speed of the web inspector per corpus, beside other engines if asked for.
    Web(inspector::Args),
}

#[derive(clap::Args, Clone)]
pub struct Load {
    /// Events per second; 0 means as fast as it goes.
    #[arg(long, default_value_t = 0)]
    pub rate: u64,
    #[arg(long, default_value_t = 20)]
    pub secs: u64,
    /// Events of one request.
    #[arg(long, default_value_t = 1_000)]
    pub batch: usize,
    /// Requests under way at once.
    #[arg(long, default_value_t = 4)]
    pub connections: usize,
    /// Bytes of one event.
    #[arg(long, default_value_t = 500)]
    pub event_bytes: usize,
}

#[derive(clap::Args)]
pub struct Ingest {
    #[command(flatten)]
    pub load: Load,
    /// Adds rules to the content pack: a folder of SigmaHQ rules for example.
    #[arg(long)]
    pub rules: Vec<PathBuf>,
}

#[derive(clap::Args)]
pub struct Hunt {
    #[arg(long, default_value_t = 300_000)]
    pub events: usize,
    /// Adds rules to the content pack.
    #[arg(long)]
    pub rules: Vec<PathBuf>,
}

#[derive(clap::Args)]
pub struct Start {
    /// Megabytes in the log when it is killed.
    #[arg(long, default_value_t = 1_000)]
    pub log_mb: u64,
}

pub fn run(bench: Bench) -> anyhow::Result<ExitCode> {
    machine();
    match bench {
        Bench::Ingest(args) => ingest(&args),
        Bench::Hunt(args) => hunt(&args),
        Bench::Gateway(args) => gateway::run(&args),
        Bench::Lake(args) => lake::run(&args),
        Bench::Start(args) => start(&args),
        Bench::Web(args) => inspector::run(&args),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn machine() {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|l| l.strip_prefix("model name")).map_or("unknown", |m| m.trim_start_matches([' ', '\t', ':']));
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("machine: {cores} cores, {model}; load before: {}", load.split(' ').next().unwrap_or("?"));
}

/// A server of our own in a folder of its own; ended when dropped.
struct Server {
    child: Child,
    address: SocketAddr,
    dir: PathBuf,
    ready_secs: f64,
}

impl Server {
    fn start(dir: &Path, rules: &[PathBuf]) -> anyhow::Result<Self> {
        let started = Instant::now();
        let mut command = std::process::Command::new(std::env::current_exe()?);
        command.args(["run", "--listen", "127.0.0.1:0", "--data-dir"]).arg(dir);
        for folder in rules {
            command.arg("--rules").arg(folder);
        }
        let mut child = command.env("NO_COLOR", "1").env_remove("ERNE_LOG").stderr(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("no standard error")?).lines();
        let address = loop {
            let line = lines.next().context("the server ended at its start")??;
            if let Some((_, rest)) = line.split_once("watching at http://") {
                break rest.trim().parse()?;
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { child, address, dir: dir.to_owned(), ready_secs: started.elapsed().as_secs_f64() })
    }

    fn client(&self) -> anyhow::Result<Client> {
        let key = std::fs::read_to_string(self.dir.join(KEY_FILE))?;
        Ok(Client::new(format!("http://{}", self.address), key.trim().to_owned()))
    }

    /// Resident memory in bytes: now, and at most since its start.
    fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let of = |name: &str| {
            let line = status.lines().find_map(|l| l.strip_prefix(name))?;
            Some(line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok()? << 10)
        };
        (of("VmRSS:").unwrap_or(0), of("VmHWM:").unwrap_or(0))
    }

    /// Processor time used, in seconds.
    fn cpu_secs(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
        (ticks(11) + ticks(12)) / 100.0
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn scratch(name: &str) -> anyhow::Result<PathBuf> {
    let dir = std::env::temp_dir().join(format!("erne-bench-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir)?;
    Ok(dir)
}

/// Application log lines of exactly `bytes` bytes, no two alike, one in a thousand with an attack.
fn batch(number: u64, load: &Load, now: Timestamp) -> Vec<u8> {
    let mut body = Vec::with_capacity(load.batch * (load.event_bytes + 1));
    for i in 0..load.batch as u64 {
        let n = number * load.batch as u64 + i;
        let attack = if n.is_multiple_of(1_000) { "GET /search?q=1'+UNION+SELECT+password+FROM+users--" } else { "GET /cart/items" };
        let ip = format!("203.0.{}.{}", n / 256 % 256, n % 256);
        let start = format!(
            r#"{{"service":"checkout-{}","status_code":{},"timestamp":"{now}","source_ip":"{ip}","user":"user{}","request_id":"{n:032x}","message":"{attack} took {} ms "#,
            n % 12, if n.is_multiple_of(50) { 500 } else { 200 }, n % 5_000, n % 900,
        );
        body.extend_from_slice(start.as_bytes());
        let fill = load.event_bytes.saturating_sub(start.len() + 2);
        const WORDS: &[u8] = b"order item price total currency basket voucher address carrier parcel status region ";
        body.extend((0..fill).map(|j| WORDS[(j + n as usize * 7) % WORDS.len()]));
        body.extend_from_slice(b"\"}\n");
    }
    body
}

struct Sent {
    events: u64,
    secs: f64,
    refused: u64,
    latencies_ms: Vec<f64>,
}

/// Sends over `connections` threads. A refused batch is sent again after its `Retry-After`.
fn send(server: &Server, load: &Load) -> anyhow::Result<Sent> {
    let (events, refused, number) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let started = Instant::now();
    let until = started + Duration::from_secs(load.secs);
    let latencies = std::thread::scope(|scope| -> anyhow::Result<Vec<f64>> {
        let mut threads = Vec::new();
        for _ in 0..load.connections.max(1) {
            let client = server.client()?;
            let (events, refused, number) = (&events, &refused, &number);
            threads.push(scope.spawn(move || -> anyhow::Result<Vec<f64>> {
                let mut latencies = Vec::new();
                while Instant::now() < until {
                    let n = number.fetch_add(1, Ordering::Relaxed);
                    if load.rate > 0 {
                        let due = started + Duration::from_secs_f64((n * load.batch as u64) as f64 / load.rate as f64);
                        std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    }
                    let body = batch(n, load, super::simulate::now());
                    let sent = Instant::now();
                    let answer = client.post("/api/logs", "application/x-ndjson", &[], &body)?;
                    match answer.status {
                        202 => {
                            latencies.push(sent.elapsed().as_secs_f64() * 1e3);
                            events.fetch_add(load.batch as u64, Ordering::Relaxed);
                        }
                        429 | 503 => {
                            refused.fetch_add(1, Ordering::Relaxed);
                            std::thread::sleep(Duration::from_secs(answer.retry_after.unwrap_or(1)));
                        }
                        status => bail!("the server answered {status}"),
                    }
                }
                Ok(latencies)
            }));
        }
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().map_err(|_| anyhow::anyhow!("a sender panicked"))??);
        }
        Ok(all)
    })?;
    Ok(Sent { events: events.into_inner(), secs: started.elapsed().as_secs_f64(), refused: refused.into_inner(), latencies_ms: latencies })
}

fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = ((values.len() as f64 - 1.0) * share).round();
    values.get(index.max(0.0) as usize).copied().unwrap_or(f64::NAN)
}

/// Waits until everything that was sent is processed. Returns the seconds.
fn drain(client: &Client) -> anyhow::Result<f64> {
    let started = Instant::now();
    while client.get("/api/v1/overview")?["lag_records"].as_u64().unwrap_or(0) > 0 {
        if started.elapsed() > Duration::from_secs(600) {
            bail!("not processed after 600 s");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(started.elapsed().as_secs_f64())
}

fn ingest(args: &Ingest) -> anyhow::Result<()> {
    let dir = scratch("ingest")?;
    let server = Server::start(&dir, &args.rules)?;
    let client = server.client()?;
    let rules = client.get("/api/v1/rules")?["items"].as_array().map_or(0, Vec::len);
    println!("server: {rules} rules, fsync on, ready after {:.2} s", server.ready_secs);
    let (cpu, probes) = (server.cpu_secs(), Probes::start(&server)?);
    let mut sent = send(&server, &args.load)?;
    let drained = drain(&client)?;
    let mut probed = probes.stop();
    let total = sent.secs + drained;
    println!("load: {} byte events, {} a request, {} connections, {} s", args.load.event_bytes, args.load.batch, args.load.connections, args.load.secs);
    println!("acknowledged: {} events, {} events/s, {} requests refused", thousands(sent.events), thousands((sent.events as f64 / sent.secs) as u64), sent.refused);
    println!("acknowledgement: p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms", percentile(&mut sent.latencies_ms, 0.5), percentile(&mut sent.latencies_ms, 0.99), percentile(&mut sent.latencies_ms, 1.0));
    println!("processed and searchable: {} events/s (all processed {:.1} s after the last acknowledgement)", thousands((sent.events as f64 / total) as u64), drained);
    println!("event to socket: {} probes, p50 {:.0} ms, p99 {:.0} ms", probed.len(), percentile(&mut probed, 0.5), percentile(&mut probed, 0.99));
    let (now, most) = server.memory();
    println!("memory: {} MB, at most {} MB; processor time {:.1} s ({:.1} µs an event)", now >> 20, most >> 20, server.cpu_secs() - cpu, (server.cpu_secs() - cpu) * 1e6 / sent.events.max(1) as f64);
    let since = encode(&super::simulate::now().plus_secs(-3600).to_string());
    let stored = client.get("/api/v1/overview")?["events"].as_u64().unwrap_or(0);
    println!("stored: {} events; newest found by a search: {}", thousands(stored), !client.get(&format!("/api/v1/search?from={since}&limit=1"))?["items"].as_array().is_none_or(Vec::is_empty));
    drop(server);
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

/// Ten attacks a second with the time of their sending in the user's name, timed at the live socket.
struct Probes {
    stop: Arc<AtomicBool>,
    sender: std::thread::JoinHandle<()>,
    reader: std::thread::JoinHandle<Vec<f64>>,
}

impl Probes {
    fn start(server: &Server) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (client, own) = (server.client()?, stop.clone());
        let sender = std::thread::spawn(move || {
            while !own.load(Ordering::Relaxed) {
                let now = super::simulate::now();
                let body = format!(r#"{{"service":"probe","status_code":200,"timestamp":"{now}","user":"probe-{}","message":"GET /search?q=1'+UNION+SELECT+password+FROM+users--"}}"#, now.0);
                if let Err(error) = client.post("/api/logs", "application/json", &[], body.as_bytes()) {
                    eprintln!("probe not sent: {error:#}");
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let key = std::fs::read_to_string(server.dir.join(KEY_FILE))?;
        let (address, own) = (server.address, stop.clone());
        let reader = std::thread::spawn(move || read_probes(address, key.trim(), &own).unwrap_or_else(|error| {
            eprintln!("the live socket cannot be read: {error:#}");
            Vec::new()
        }));
        Ok(Self { stop, sender, reader })
    }

    fn stop(self) -> Vec<f64> {
        std::thread::sleep(Duration::from_millis(500));
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.sender.join();
        self.reader.join().unwrap_or_default()
    }
}

fn read_probes(address: SocketAddr, key: &str, stop: &AtomicBool) -> anyhow::Result<Vec<f64>> {
    use futures::StreamExt;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let url = format!("ws://{address}/api/v1/live?topics=event&token={}", encode(key));
        let (mut socket, _) = tokio_tungstenite::connect_async(url).await?;
        let mut latencies = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let Ok(message) = tokio::time::timeout(Duration::from_millis(200), socket.next()).await else { continue };
            let text = message.context("the socket was closed")??.into_text()?;
            if let Some((_, rest)) = text.split_once("\"probe-") {
                let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                latencies.push((super::simulate::now().0 - digits.parse::<i64>()?) as f64 / 1e3);
            }
        }
        Ok(latencies)
    })
}

fn hunt(args: &Hunt) -> anyhow::Result<()> {
    use sim::{Kind, SimConfig, Simulator};
    let dir = scratch("hunt")?;
    let rate = 1_000.0;
    let start = Timestamp::parse("2026-11-01T00:00:00Z").context("a fixed time")?;
    let mut simulator = Simulator::new(SimConfig { kind: Kind::Cloud, seed: 1, rate, attacks: 0.02, start });
    let events = simulator.batch(start.plus_secs((args.events as f64 / rate) as i64));
    let path = dir.join("cloudtrail.ndjson");
    let text: String = events.iter().flat_map(|e| [e.line.as_str(), "\n"]).collect();
    std::fs::write(&path, &text)?;
    println!("input: {} CloudTrail events, {} MB, {} bytes each", thousands(events.len() as u64), text.len() / 1_000_000, text.len() / events.len().max(1));
    for _ in 0..3 {
        let mut command = std::process::Command::new(std::env::current_exe()?);
        command.arg("hunt").arg(&path).args(["-o", "csv"]);
        for folder in &args.rules {
            command.arg("--rules").arg(folder);
        }
        let output = command.env("NO_COLOR", "1").output()?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        println!("{}", text.lines().find(|l| l.starts_with("Hunted")).unwrap_or("the hunt failed"));
    }
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

fn start(args: &Start) -> anyhow::Result<()> {
    let dir = scratch("start")?;
    let mut server = Server::start(&dir, &[])?;
    println!("empty: ready after {:.2} s", server.ready_secs);
    let load = Load { rate: 0, secs: 2, batch: 1_000, connections: 4, event_bytes: 500 };
    let mut events = 0;
    while folder_bytes(&dir.join("log")) < args.log_mb << 20 {
        events += send(&server, &load)?.events;
    }
    server.kill();
    println!("killed with {} MB of log after {} acknowledged events", folder_bytes(&dir.join("log")) >> 20, thousands(events));
    let server = Server::start(&dir, &[])?;
    println!("after the kill: ready after {:.2} s", server.ready_secs);
    let drained = drain(&server.client()?)?;
    println!("all processed {drained:.1} s after that");
    drop(server);
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

fn folder_bytes(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries.flatten().filter_map(|e| Some(e.metadata().ok()?.len())).sum()
}
