//! A sensor on a host: captured interfaces, followed files and the journal become records, wait on disk, and go to a
//! platform. Stopped, killed or cut off, it loses nothing that it had written down and sends nothing that counts twice.
//!
//! One thread an interface reads packets ([`crate::capture`]), keeps flows and detectors of its own and writes what they say
//! in the shape of Suricata's EVE; one follows files; one reads `journalctl`; one sends the oldest batch of [`spool`]. What is
//! in memory when a sensor is killed, at most [`BATCH_SECS`] of records and the open flows, is lost; a stop by signal writes
//! it down first.

#[allow(unsafe_code)]
mod confine;
mod host;
mod packets;
mod send;
mod spool;
mod texts;

pub use confine::{Confined, confine};
pub use packets::eve_alert;
pub use spool::{BYTES_MAX_DEFAULT, Batch, Head, Spool};

use crate::capture::{self, Capture, CaptureError, Counts, Options};
use serde::Serialize;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A batch is closed after so long or at so many bytes.
pub const BATCH_SECS: u64 = 2;
pub const BATCH_BYTES: usize = 512 << 10;
/// How often the host's inventory and the counters are sent.
pub const HEARTBEAT_SECS: u64 = 60;
/// Longest pause between two attempts to send.
const RETRY_SECS_MAX: u64 = 30;
/// How long a stop waits for the platform to take what waits; the rest stays on disk.
const FLUSH_SECS: u64 = 10;

#[derive(Clone, Debug)]
pub struct Config {
    /// The platform, `https://erne.example:8443`.
    pub url: String,
    pub key: String,
    /// Certificates to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// Name of the source that the platform shows.
    pub source: String,
    /// Folder of the spool and the places in followed files.
    pub dir: PathBuf,
    pub spool_bytes: u64,
    pub captures: Vec<Options>,
    pub follow: Vec<PathBuf>,
    pub journal: bool,
    pub detect: net::detect::Settings,
    /// Whom to become once everything is open.
    pub user: Option<String>,
    pub confine: bool,
    /// Reads what followed files hold now, sends it and ends.
    pub once: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum SensorError {
    #[error(transparent)]
    Capture(#[from] CaptureError),
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
    #[error("there is nothing to do: name an interface, a file to follow or the journal")]
    Nothing,
    /// Of threads that ended though nobody asked them to.
    #[error("{0}")]
    Ended(String),
}

fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> SensorError {
    let what = what.into();
    move |source| SensorError::Io { what, source }
}

/// What a sensor did since it began.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub records: AtomicU64,
    pub findings: AtomicU64,
    pub lines: AtomicU64,
    /// Records for which the spool had no room.
    pub lost: AtomicU64,
    pub sent: AtomicU64,
    pub sent_bytes: AtomicU64,
    pub refused: AtomicU64,
    pub failed: AtomicU64,
    pub captures: Mutex<Vec<(String, Counts)>>,
}

/// The same for people and for the platform.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    pub records: u64,
    pub findings: u64,
    pub lines: u64,
    pub records_lost: u64,
    pub batches_sent: u64,
    pub bytes_sent: u64,
    pub batches_refused: u64,
    pub attempts_failed: u64,
    pub spool_batches: usize,
    pub spool_bytes: u64,
    pub captures: Vec<CaptureSummary>,
}

#[derive(Clone, Debug, Serialize)]
pub struct CaptureSummary {
    pub interface: String,
    #[serde(flatten)]
    pub counts: Counts,
}

/// What all threads share.
pub(crate) struct Shared {
    pub spool: Spool,
    pub source: String,
    pub stop: Arc<AtomicBool>,
    /// Set once the readers are done, so that the sender may end.
    pub drained: AtomicBool,
    pub tally: Tally,
    /// Why a thread ended, if one did.
    pub ended: Mutex<Vec<String>>,
}

impl Shared {
    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub fn end(&self, why: String) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).push(why);
    }

    /// Keeps lines of JSON; those that find no room are counted.
    pub fn keep(&self, lines: &mut Vec<u8>, records: u64) {
        if lines.is_empty() {
            return;
        }
        let head = Head { format: Some("json".into()), source: self.source.clone(), place: None };
        match self.spool.push(&head, lines, || Ok(())) {
            Ok(true) => {}
            Ok(false) => {
                self.tally.lost.fetch_add(records, Ordering::Relaxed);
            }
            Err(error) => {
                self.tally.lost.fetch_add(records, Ordering::Relaxed);
                self.end(format!("the spool cannot be written: {error}"));
            }
        }
        lines.clear();
    }

    pub fn summary(&self) -> Summary {
        let tally = &self.tally;
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let captures = tally.captures.lock().unwrap_or_else(PoisonError::into_inner);
        Summary {
            records: of(&tally.records),
            findings: of(&tally.findings),
            lines: of(&tally.lines),
            records_lost: of(&tally.lost),
            batches_sent: of(&tally.sent),
            bytes_sent: of(&tally.sent_bytes),
            batches_refused: of(&tally.refused),
            attempts_failed: of(&tally.failed),
            spool_batches: self.spool.batches(),
            spool_bytes: self.spool.bytes(),
            captures: captures.iter().map(|(interface, counts)| CaptureSummary { interface: interface.clone(), counts: *counts }).collect(),
        }
    }
}

/// Runs until `stop` is set, or with [`Config::once`] until all was read and sent. `opened` is called once rights are given
/// up: threads of the caller, which would keep theirs, begin there. `say` takes lines for people.
pub fn run(config: Config, stop: Arc<AtomicBool>, opened: impl FnOnce() -> std::io::Result<()>, say: &mut dyn FnMut(String)) -> Result<Summary, SensorError> {
    if config.captures.is_empty() && config.follow.is_empty() && !config.journal {
        return Err(SensorError::Nothing);
    }
    let client = send::Client::new(&config.url, config.key.clone(), config.ca.as_deref()).map_err(io("the platform"))?;
    let (places, waiting) = (config.dir.join("places"), config.dir.join("spool"));
    for dir in [&config.dir, &places, &waiting] {
        std::fs::create_dir_all(dir).map_err(io(dir.display().to_string()))?;
    }
    private(&config.dir).map_err(io(config.dir.display().to_string()))?;
    let spool = Spool::open(&waiting, config.spool_bytes).map_err(io(waiting.display().to_string()))?;
    let mut captures: Vec<Box<dyn Capture>> = Vec::new();
    for options in &config.captures {
        let options = Options { filter: without_ourselves(&options.filter, &client), ..options.clone() };
        captures.push(capture::open(&options)?);
    }
    // Programs are started before starting programs is given up.
    let journal = if config.journal { Some(texts::Journal::start(&places).map_err(io("journalctl"))?) } else { None };
    if config.confine {
        if let Some(user) = &config.user {
            for dir in [&config.dir, &places, &waiting] {
                confine::give(dir, user).map_err(io(dir.display().to_string()))?;
            }
        }
        let done = confine(config.user.as_deref(), !config.follow.is_empty(), &[&config.dir]).map_err(io("giving up rights"))?;
        say(format!("rights kept: {}; writing confined to {}: {}", done.rights, config.dir.display(), if done.landlock { "yes" } else { "no, this kernel has no Landlock" }));
    }
    opened().map_err(io("signals cannot be watched"))?;
    let shared = Arc::new(Shared { spool, source: config.source.clone(), stop, drained: AtomicBool::new(false), tally: Tally::default(), ended: Mutex::default() });
    let mut readers = Vec::new();
    for capture in captures {
        let (shared, settings) = (shared.clone(), config.detect.clone());
        readers.push(std::thread::spawn(move || packets::read(capture, settings, &shared)));
    }
    if !config.follow.is_empty() {
        let (shared, follow, once) = (shared.clone(), config.follow.clone(), config.once);
        readers.push(std::thread::spawn(move || texts::follow(&follow, &places, once, &shared)));
    }
    let journal_child = journal.map(|journal| {
        let (child, reader) = journal.split();
        let shared = shared.clone();
        readers.push(std::thread::spawn(move || reader.read(&shared)));
        child
    });
    let sender = {
        let shared = shared.clone();
        std::thread::spawn(move || sending(&client, &shared))
    };
    watch(&config, &shared, &readers, say);
    if let Some(mut child) = journal_child {
        drop(child.kill());
        drop(child.wait());
    }
    shared.stop.store(true, Ordering::Relaxed);
    for reader in readers {
        drop(reader.join());
    }
    shared.drained.store(true, Ordering::Relaxed);
    drop(sender.join());
    let ended = shared.ended.lock().unwrap_or_else(PoisonError::into_inner).join("; ");
    if ended.is_empty() { Ok(shared.summary()) } else { Err(SensorError::Ended(ended)) }
}

/// Secrets of logs wait there.
fn private(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))
}

/// What the sensor itself sends would make records, which it would send, which…
fn without_ourselves(filter: &str, client: &send::Client) -> String {
    let (host, port) = client.host();
    let addresses = std::net::ToSocketAddrs::to_socket_addrs(&(host, port)).map(|found| found.map(|a| a.ip()).collect::<Vec<_>>()).unwrap_or_default();
    let own = addresses.iter().filter_map(|to| {
        let socket = std::net::UdpSocket::bind(if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).ok()?;
        // Nothing is sent: the kernel only says from where it would be.
        socket.connect((*to, port)).ok()?;
        Some((socket.local_addr().ok()?.ip(), to))
    });
    let mut text = if filter.trim().is_empty() { String::new() } else { format!("({filter})") };
    for (from, to) in own {
        let own = format!("not (tcp port {port} and host {from} and host {to})");
        text = if text.is_empty() { own } else { format!("{text} and {own}") };
    }
    text
}

/// Beats, and waits for the end: a signal, all readers done, or one of them broken.
fn watch(config: &Config, shared: &Shared, readers: &[std::thread::JoinHandle<()>], say: &mut dyn FnMut(String)) {
    let mut beat: Option<Instant> = None;
    let mut failed = 0;
    while !shared.stopping() {
        if beat.is_none_or(|at| at.elapsed() >= Duration::from_secs(HEARTBEAT_SECS)) {
            beat = Some(Instant::now());
            let mut line = serde_json::to_vec(&json!({
                "timestamp": host::now(),
                "event_type": "sensor",
                "message": format!("sensor {} is alive", shared.source),
                "host": host::inventory(),
                "sensor": {"version": env!("CARGO_PKG_VERSION"), "counters": shared.summary(), "follow": config.follow, "interfaces": config.captures.iter().map(|c| &c.interface).collect::<Vec<_>>()},
            }))
            .unwrap_or_default();
            line.push(b'\n');
            shared.keep(&mut line, 1);
        }
        let now = shared.tally.failed.load(Ordering::Relaxed);
        if (now > 0) != (failed > 0) {
            say(if now > 0 { format!("{} does not take batches; they wait in {}", config.url, config.dir.display()) } else { format!("{} takes batches again", config.url) });
        }
        failed = now;
        if readers.iter().all(std::thread::JoinHandle::is_finished) || !shared.ended.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Sends the oldest batch until the platform has it.
fn sending(client: &send::Client, shared: &Shared) {
    let (mut pause, mut flush_until) = (Duration::ZERO, None);
    loop {
        if shared.drained.load(Ordering::Relaxed) {
            let until = *flush_until.get_or_insert_with(|| Instant::now() + Duration::from_secs(FLUSH_SECS));
            // A platform that is away when the sensor stops is not waited for.
            if Instant::now() >= until || shared.spool.batches() == 0 || !pause.is_zero() {
                return;
            }
        }
        match shared.spool.next() {
            Ok(None) => std::thread::sleep(Duration::from_millis(50)),
            Ok(Some(batch)) => match deliver(client, &batch, shared) {
                None => {
                    pause = Duration::ZERO;
                    shared.tally.failed.store(0, Ordering::Relaxed);
                }
                Some(least) => {
                    shared.tally.failed.fetch_add(1, Ordering::Relaxed);
                    pause = (pause * 2).clamp(Duration::from_millis(250), Duration::from_secs(RETRY_SECS_MAX)).max(least);
                    wait(pause, shared);
                }
            },
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                shared.tally.refused.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => return shared.end(format!("the spool cannot be read: {error}")),
        }
    }
}

/// Sleeps, but not beyond a stop.
fn wait(pause: Duration, shared: &Shared) {
    let until = Instant::now() + pause;
    while Instant::now() < until && !shared.drained.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// None if the batch is over with; else how long the platform wants to be left alone.
fn deliver(client: &send::Client, batch: &Batch, shared: &Shared) -> Option<Duration> {
    let mut target = format!("/api/v1/ingest?source={}", escaped(&batch.head.source));
    if let Some(format) = &batch.head.format {
        target.push_str(&format!("&format={}", escaped(format)));
    }
    let again = Some(Duration::ZERO);
    let answer = match client.post(&target, &format!("agent-{}-{}", escaped(&batch.head.source), batch.name), &batch.body) {
        Ok(answer) => answer,
        Err(_) => return again,
    };
    let done = match answer.status {
        200..=299 => {
            shared.tally.sent.fetch_add(1, Ordering::Relaxed);
            shared.tally.sent_bytes.fetch_add(batch.body.len() as u64, Ordering::Relaxed);
            shared.spool.done(&batch.name)
        }
        // Nothing would make these right; a key, an address or a proxy can be mended.
        400 | 413 | 415 | 422 => {
            shared.tally.refused.fetch_add(1, Ordering::Relaxed);
            let why: String = answer.text.chars().filter(|c| !c.is_control()).collect();
            eprintln!("warning: the platform refused {} for good ({}): {why}", batch.name, answer.status);
            shared.spool.refuse(&batch.name)
        }
        _ => return Some(Duration::from_secs(answer.retry_after_secs.unwrap_or(0).min(RETRY_SECS_MAX))),
    };
    if let Err(error) = done {
        shared.end(format!("the spool cannot be written: {error}"));
        return again;
    }
    None
}

/// For a query string and a header.
fn escaped(text: &str) -> String {
    text.bytes().map(|b| if b.is_ascii_alphanumeric() || b"-._".contains(&b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
