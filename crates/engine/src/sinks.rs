//! Hands events and findings to sinks: a thread each, which is as slow as its server without holding up anything else.
//!
//! Events come over a short queue behind the lake. When a sink is slower, or away, the queue overflows; then it reads
//! what it lacks from the log, whose segments wait for it, and parses it again. So nothing is lost while a server is
//! away as long as the log holds it: beyond half of `log.backlog_bytes_max` old segments go all the same, and the
//! records that a sink never saw are counted. Where a sink stands is a file in the data folder, written after each batch;
//! a crash in between repeats the batch, which changes nothing there.
//!
//! Findings come from the projector. After a start, and when the queue overflowed, those of the last day are written
//! again out of the control plane: sinks know them by their ids.

use crate::pipeline::Shared;
use connect::sinks::{Bad, Sink, SinkConfig, SinkError, TechniqueName, Which, Written};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use event::{Event, Finding, Severity, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use store::control::{Control, FindingFilter};

/// Batches that wait in memory for one sink.
const QUEUE: usize = 16;
const IDLE: Duration = Duration::from_millis(300);
/// Pauses after a failure, doubled each time.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Events of one write, bytes of the log read at once.
const EVENTS_MAX: usize = 4_096;
const READ_BYTES: usize = 1 << 20;
/// Findings that are looked up again after a start: of how long, and how many at most.
const AGAIN_SECS: i64 = 86_400;
const AGAIN_MAX: usize = 20_000;
const PAGE: usize = 500;
/// A file of refused rows; one older is kept beside it.
const DEAD_BYTES_MAX: u64 = 64 << 20;

#[derive(Clone)]
enum Feed {
    Events { from: u64, next: u64, events: Arc<Vec<Event>> },
    Findings(Arc<Vec<Finding>>),
}

/// The sinks' queues, and how each is doing.
#[derive(Default)]
pub(crate) struct Sinks {
    outlets: Vec<Outlet>,
}

struct Outlet {
    feed: Sender<Feed>,
    status: Arc<Status>,
}

/// What others may know of a sink.
#[derive(Default)]
pub(crate) struct Status {
    pub name: String,
    pub kind: &'static str,
    /// The log's offset up to which everything is written.
    pub next: AtomicU64,
    pub events: AtomicU64,
    pub findings: AtomicU64,
    pub refused: AtomicU64,
    pub failures: AtomicU64,
    /// Records that were gone from the log before it could read them.
    pub skipped: AtomicU64,
    /// Why the last write failed, until one succeeds.
    pub trouble: Mutex<Option<String>>,
    findings_missed: AtomicBool,
}

impl Sinks {
    /// Hands on what the lake has just taken, the log's records from `from` up to `next`.
    pub fn events(&self, from: u64, next: u64, events: &Arc<Vec<Event>>) {
        for outlet in &self.outlets {
            // What does not fit is read from the log.
            let _ = outlet.feed.try_send(Feed::Events { from, next, events: events.clone() });
        }
    }

    /// Hands on what the control plane has just taken over.
    pub fn findings(&self, findings: &[Finding]) {
        let loud: Vec<Finding> = findings.iter().filter(|f| !f.rule.handling.signal && f.level > Severity::Informational).cloned().collect();
        if loud.is_empty() || self.outlets.is_empty() {
            return;
        }
        let loud = Arc::new(loud);
        for outlet in &self.outlets {
            if outlet.feed.try_send(Feed::Findings(loud.clone())).is_err() {
                outlet.status.findings_missed.store(true, Ordering::Release);
            }
        }
    }

    /// The offset from which on the log is still needed.
    pub fn needed_from(&self) -> u64 {
        self.outlets.iter().map(|outlet| outlet.status.next.load(Ordering::Acquire)).min().unwrap_or(u64::MAX)
    }

    pub fn statuses(&self) -> impl Iterator<Item = &Status> {
        self.outlets.iter().map(|outlet| &*outlet.status)
    }

    /// One line for each sink that is in trouble.
    pub fn notices(&self) -> Vec<String> {
        let line = |status: &Status| status.trouble.lock().as_ref().map(|why| format!("sink {} ({}): {why}", status.name, status.kind));
        self.statuses().filter_map(line).collect()
    }
}

/// Where a sink stands, in its file.
#[derive(Debug, Serialize, Deserialize)]
struct Place {
    next: u64,
}

/// A sink before its thread runs.
pub(crate) struct Opened {
    config: SinkConfig,
    sink: Box<dyn Sink>,
    feed: Receiver<Feed>,
    status: Arc<Status>,
    folder: PathBuf,
}

/// Reads where each sink stands; a new one begins with what comes from now on, at `end`.
pub(crate) fn open(configs: &[SinkConfig], dir: &Path, end: u64, technique: &TechniqueName) -> Result<(Sinks, Vec<Opened>), String> {
    let folder = dir.join("sinks");
    let mut sinks = Sinks::default();
    let mut opened: Vec<Opened> = Vec::new();
    for config in configs {
        config.check()?;
        let name = &config.common().name;
        if opened.iter().any(|one| one.config.common().name == *name) {
            return Err(format!("two sinks have the name {name}"));
        }
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let next = read_place(&folder, name)?.unwrap_or(end);
        let status = Arc::new(Status { name: name.clone(), kind: config.kind(), next: AtomicU64::new(next), ..Status::default() });
        status.findings_missed.store(true, Ordering::Relaxed);
        let (sender, feed) = bounded(QUEUE);
        let sink = config.build(technique.clone()).map_err(|error| format!("sink {name}: {error}"))?;
        sinks.outlets.push(Outlet { feed: sender, status: status.clone() });
        opened.push(Opened { config: config.clone(), sink, feed, status, folder: folder.clone() });
    }
    Ok((sinks, opened))
}

fn read_place(folder: &Path, name: &str) -> Result<Option<u64>, String> {
    let path = folder.join(format!("{name}.json"));
    match std::fs::read(&path) {
        Ok(bytes) => {
            let place: Place = serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}; delete it to begin at the present", path.display()))?;
            Ok(Some(place.next))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

pub(crate) fn spawn(shared: &Arc<Shared>, control: &Control, opened: Vec<Opened>, runtime: &tokio::runtime::Handle) -> std::io::Result<Vec<JoinHandle<()>>> {
    let start = |one: Opened| {
        let mut thread = Thread {
            shared: shared.clone(),
            control: control.clone(),
            runtime: runtime.clone(),
            which: one.config.common().events,
            sink: one.sink,
            feed: one.feed,
            status: one.status,
            folder: one.folder,
        };
        let name = format!("erne-sink-{}", thread.status.name);
        std::thread::Builder::new().name(name).spawn(move || thread.run())
    };
    opened.into_iter().map(start).collect()
}

struct Thread {
    shared: Arc<Shared>,
    control: Control,
    runtime: tokio::runtime::Handle,
    which: Which,
    sink: Box<dyn Sink>,
    feed: Receiver<Feed>,
    status: Arc<Status>,
    folder: PathBuf,
}

/// The platform stops: the thread ends where it stands.
struct Stopped;

impl Thread {
    fn run(&mut self) {
        while self.step().is_ok() {}
    }

    fn stopped(&self) -> bool {
        self.shared.stop.load(Ordering::Relaxed)
    }

    fn step(&mut self) -> Result<(), Stopped> {
        if self.status.findings_missed.swap(false, Ordering::AcqRel) {
            self.findings_again()?;
        }
        match self.feed.recv_timeout(IDLE) {
            Ok(Feed::Events { from, next, events }) => {
                self.catch_up(from)?;
                self.events(&events, next)
            }
            Ok(Feed::Findings(findings)) => self.findings(&findings),
            Err(RecvTimeoutError::Timeout) if self.stopped() => Err(Stopped),
            // What overflowed last is only in the log.
            Err(RecvTimeoutError::Timeout) => self.catch_up(self.shared.visible.load(Ordering::Acquire)),
            Err(RecvTimeoutError::Disconnected) => Err(Stopped),
        }
    }

    fn next(&self) -> u64 {
        self.status.next.load(Ordering::Relaxed)
    }

    /// Writes the log's records up to `until`, as far as they were not written.
    fn catch_up(&mut self, until: u64) -> Result<(), Stopped> {
        while self.next() < until {
            let (oldest, _) = self.shared.log.range();
            if self.next() < oldest {
                let lost = oldest.min(until) - self.next();
                self.status.skipped.fetch_add(lost, Ordering::Relaxed);
                tracing::error!(sink = self.status.name, lost, "records were gone from the log before the sink could take them");
                self.status.next.store(oldest.min(until), Ordering::Release);
                continue;
            }
            let mut records = match self.shared.log.read(self.next(), READ_BYTES) {
                Ok(records) => records,
                Err(error) => {
                    self.fail(&format!("the log cannot be read: {error}"), PAUSE_MAX)?;
                    continue;
                }
            };
            records.retain(|(offset, _)| *offset < until);
            let Some(next) = records.last().map(|(offset, _)| offset + 1) else { return Ok(()) };
            let events = self.shared.processor.load().stateless(&records).events;
            self.events(&events, next)?;
        }
        Ok(())
    }

    fn events(&mut self, events: &[Event], next: u64) -> Result<(), Stopped> {
        let from = self.next();
        if next <= from {
            return Ok(());
        }
        let wanted: Vec<Event> = events.iter().filter(|e| e.position.offset >= from && self.which.takes(e)).cloned().collect();
        for part in wanted.chunks(EVENTS_MAX) {
            self.deliver(part, &|sink, part| sink.events(part), &|event| json!({"event": event.to_json()}))?;
            self.status.events.fetch_add(part.len() as u64, Ordering::Relaxed);
        }
        self.status.next.store(next, Ordering::Release);
        self.keep_place(next)
    }

    fn findings(&mut self, findings: &[Finding]) -> Result<(), Stopped> {
        self.deliver(findings, &|sink, part| sink.findings(part), &|finding| json!({"finding": finding}))?;
        self.status.findings.fetch_add(findings.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Those of the last day, oldest first.
    fn findings_again(&mut self) -> Result<(), Stopped> {
        let from = Timestamp((self.shared.now)().0).plus_secs(-AGAIN_SECS);
        let mut filter = FindingFilter { without_signals: true, from: Some(from), limit: PAGE, ..FindingFilter::default() };
        let mut found = Vec::new();
        loop {
            match self.runtime.block_on(self.control.findings(&filter)) {
                Ok(page) => {
                    found.extend(page.items);
                    filter.cursor = page.next_cursor;
                }
                Err(error) => {
                    self.fail(&format!("findings cannot be read: {error}"), PAUSE_MAX)?;
                    continue;
                }
            }
            if filter.cursor.is_none() || found.len() >= AGAIN_MAX {
                break;
            }
        }
        found.retain(|finding| finding.level > Severity::Informational);
        found.reverse();
        for part in found.chunks(PAGE) {
            self.findings(part)?;
        }
        Ok(())
    }

    /// Writes until it is written: what is refused as a whole is halved until the bad row is alone.
    fn deliver<T>(&mut self, rows: &[T], write: &dyn Fn(&mut dyn Sink, &[T]) -> Written, shown: &dyn Fn(&T) -> serde_json::Value) -> Result<(), Stopped> {
        let mut pause = PAUSE_MIN;
        loop {
            match write(&mut *self.sink, rows) {
                Ok(bad) => {
                    self.status.trouble.lock().take();
                    return self.bury(rows, bad, shown);
                }
                Err(SinkError::Refused(reason)) if rows.len() <= 1 => {
                    return self.bury(rows, vec![Bad { place: 0, reason }], shown);
                }
                Err(SinkError::Refused(_)) => {
                    let (first, second) = rows.split_at(rows.len() / 2);
                    self.deliver(first, write, shown)?;
                    return self.deliver(second, write, shown);
                }
                Err(SinkError::Unavailable(why)) => {
                    self.fail(&why, pause)?;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    fn fail(&self, why: &str, pause: Duration) -> Result<(), Stopped> {
        self.status.failures.fetch_add(1, Ordering::Relaxed);
        if self.status.trouble.lock().replace(why.to_owned()).is_none() {
            tracing::warn!(sink = self.status.name, "{why}; trying again");
        }
        let mut left = pause;
        while !left.is_zero() {
            if self.stopped() {
                return Err(Stopped);
            }
            let nap = left.min(IDLE);
            std::thread::sleep(nap);
            left -= nap;
        }
        Ok(())
    }

    /// Rows that the server will never take go into a file, with the reason.
    fn bury<T>(&self, rows: &[T], bad: Vec<Bad>, shown: &dyn Fn(&T) -> serde_json::Value) -> Result<(), Stopped> {
        if bad.is_empty() {
            return Ok(());
        }
        self.status.refused.fetch_add(bad.len() as u64, Ordering::Relaxed);
        let mut text = String::new();
        for one in &bad {
            let Some(row) = rows.get(one.place) else { continue };
            let mut line = shown(row);
            line["reason"] = one.reason.as_str().into();
            text.push_str(&line.to_string());
            text.push('\n');
        }
        tracing::warn!(sink = self.status.name, count = bad.len(), reason = bad[0].reason, "rows were refused; see the dead-letter file");
        while let Err(error) = self.append_dead(&text) {
            self.fail(&format!("the dead-letter file cannot be written: {error}"), PAUSE_MAX)?;
        }
        Ok(())
    }

    fn append_dead(&self, text: &str) -> std::io::Result<()> {
        let path = self.folder.join(format!("{}.dead.jsonl", self.status.name));
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(&path)?;
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        if file.metadata()?.len() > DEAD_BYTES_MAX {
            std::fs::rename(&path, self.folder.join(format!("{}.dead.jsonl.1", self.status.name)))?;
        }
        Ok(())
    }

    fn keep_place(&self, next: u64) -> Result<(), Stopped> {
        let path = self.folder.join(format!("{}.json", self.status.name));
        let write = || -> std::io::Result<()> {
            let new = path.with_extension("json.new");
            let mut file = std::fs::File::create(&new)?;
            file.write_all(json!(Place { next }).to_string().as_bytes())?;
            // Without it a power cut could leave an empty file under the old one's name.
            file.sync_data()?;
            std::fs::rename(&new, &path)
        };
        while let Err(error) = write() {
            self.fail(&format!("{}: {error}", path.display()), PAUSE_MAX)?;
        }
        Ok(())
    }
}
