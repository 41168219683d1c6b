//! Hands events and findings to sinks: a thread each, which is as slow as its server without holding up anything else.
//!
//! Events come over a short queue behind the lake. When a sink is slower, or away, the queue overflows; then it reads
//! what it lacks from the log, whose segments wait for it, and parses it again. So nothing is lost while a server is
//! away as long as the log holds it: beyond half of `log.backlog_bytes_max` old segments go all the same, and the
//! records that a sink never saw are counted. Where a sink stands is a file in the data folder, written after each batch;
//! a crash in between repeats the batch, which changes nothing there.
//!
//! A sink that wants large batches ([`connect::sinks::Cut`]) is only told that events wait: when a batch is full or old
//! enough, it is read from the log. Where it ends is noted before the first try, so that a repetition is the same batch.
//!
//! Findings come from the projector. After a start, and when the queue overflowed, those of the last day are written
//! again out of the control plane: sinks know them by their ids. What is known of their entities follows them to sinks
//! that keep profiles.

use crate::pipeline::Shared;
use connect::sinks::securitylake::{Archive, Bucket};
use connect::sinks::{Bad, Cut, Profile, ProfileAlert, Sink, SinkConfig, SinkError, Surroundings, TechniqueName, Which, Written};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use event::{Entity, Event, Finding, Id, Record, Severity, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use store::control::{Control, ControlError, EntityDetail, FindingFilter};

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
/// Entities whose profiles are written at once, and alerts that a profile lists.
const PROFILES_MAX: usize = 100;
const PROFILE_ALERTS_MAX: usize = 50;
/// So long findings about an entity are gathered into one telling of its profile.
const PROFILES_AFTER: Duration = Duration::from_secs(1);
/// Records of one batch of a sink that wants large ones, however small they are.
const CUT_RECORDS_MAX: u64 = 1 << 20;
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
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Place {
    next: u64,
    /// A batch from `next` up to here may have been written in part.
    #[serde(default)]
    until: Option<u64>,
    /// Names this installation's place in the log where others write beside it.
    #[serde(default)]
    instance: String,
}

/// A sink before its thread runs.
pub(crate) struct Opened {
    config: SinkConfig,
    sink: Box<dyn Sink>,
    feed: Receiver<Feed>,
    status: Arc<Status>,
    folder: PathBuf,
    place: Place,
}

/// The store's Parquet and buckets, as sinks know them.
struct Lake(store::bucket::Bucket);

impl Archive for Lake {
    fn parquet(&self, events: &[&Event]) -> Result<Vec<u8>, SinkError> {
        store::ocsf::parquet(events).map_err(|error| SinkError::Refused(error.to_string()))
    }

    fn put(&self, path: &str, bytes: Vec<u8>) -> Result<(), SinkError> {
        self.0.put(path, bytes).map_err(|error| SinkError::Unavailable(error.to_string()))
    }
}

fn archive(bucket: &Bucket) -> Result<Box<dyn Archive>, SinkError> {
    let credentials = bucket.credentials.as_ref().map(|(id, secret)| (id.as_str(), secret.as_str()));
    let opened = store::bucket::Bucket::open(&bucket.name, &bucket.region, bucket.endpoint.as_deref(), credentials);
    Ok(Box::new(Lake(opened.map_err(|error| SinkError::Refused(error.to_string()))?)))
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
        let mut place = read_place(&folder, name)?.unwrap_or(Place { next: end, until: None, instance: String::new() });
        if place.instance.is_empty() {
            place.instance = new_instance(dir);
        }
        let status = Arc::new(Status { name: name.clone(), kind: config.kind(), next: AtomicU64::new(place.next), ..Status::default() });
        status.findings_missed.store(true, Ordering::Relaxed);
        let (sender, feed) = bounded(QUEUE);
        let surroundings = Surroundings { technique: technique.clone(), archive: &archive, instance: &place.instance };
        let sink = config.build(surroundings).map_err(|error| format!("sink {name}: {error}"))?;
        sinks.outlets.push(Outlet { feed: sender, status: status.clone() });
        opened.push(Opened { config: config.clone(), sink, feed, status, folder: folder.clone(), place });
    }
    Ok((sinks, opened))
}

/// Another one for each folder, also for one that was emptied: offsets begin anew there.
fn new_instance(dir: &Path) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let parts = [dir.as_os_str().as_encoded_bytes(), &now.as_nanos().to_le_bytes(), &std::process::id().to_le_bytes()];
    Id::of(&parts).to_string()[..8].to_owned()
}

fn read_place(folder: &Path, name: &str) -> Result<Option<Place>, String> {
    let path = folder.join(format!("{name}.json"));
    match std::fs::read(&path) {
        Ok(bytes) => {
            let place: Place = serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}; delete it to begin at the present", path.display()))?;
            Ok(Some(place))
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
            place: one.place,
            touched: BTreeSet::new(),
            touched_since: None,
            waiting: Waiting::default(),
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
    place: Place,
    /// Entities whose profiles are to be written.
    touched: BTreeSet<Entity>,
    touched_since: Option<Instant>,
    waiting: Waiting,
}

/// What waits in the log for a batch to be full.
#[derive(Default)]
struct Waiting {
    since: Option<Instant>,
    bytes: u64,
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
        if let Some(cut) = self.sink.cut() {
            return self.step_cut(cut);
        }
        if self.status.findings_missed.swap(false, Ordering::AcqRel) {
            self.findings_again()?;
        }
        match self.feed.recv_timeout(IDLE) {
            Ok(Feed::Events { from, next, events }) => {
                self.catch_up(from)?;
                self.events(&events, next)?;
            }
            Ok(Feed::Findings(findings)) => self.findings(&findings)?,
            Err(RecvTimeoutError::Timeout) if self.stopped() => return Err(Stopped),
            // What overflowed last is only in the log.
            Err(RecvTimeoutError::Timeout) => self.catch_up(self.shared.visible.load(Ordering::Acquire))?,
            Err(RecvTimeoutError::Disconnected) => return Err(Stopped),
        }
        if self.touched_since.is_some_and(|since| since.elapsed() >= PROFILES_AFTER) {
            self.profiles()?;
        }
        Ok(())
    }

    /// Notes what waits, and writes it once it is enough or old enough.
    fn step_cut(&mut self, cut: Cut) -> Result<(), Stopped> {
        if let Some(until) = self.place.until {
            return self.write_cut(until, None);
        }
        match self.feed.recv_timeout(IDLE) {
            Ok(Feed::Events { events, .. }) => self.waiting.bytes += events.iter().map(|event| event.raw.len() as u64).sum::<u64>(),
            Ok(Feed::Findings(_)) => {}
            Err(RecvTimeoutError::Timeout) if self.stopped() => return Err(Stopped),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(Stopped),
        }
        let visible = self.shared.visible.load(Ordering::Acquire);
        let records = visible.saturating_sub(self.next());
        if records == 0 {
            self.waiting = Waiting::default();
            return Ok(());
        }
        let since = *self.waiting.since.get_or_insert_with(Instant::now);
        if since.elapsed() < cut.after && self.waiting.bytes < cut.bytes_max && records < CUT_RECORDS_MAX {
            return Ok(());
        }
        self.waiting = Waiting::default();
        self.write_cut(visible, Some(cut))
    }

    /// Writes one batch: the log's records up to `until`, or as many as fill a cut.
    fn write_cut(&mut self, until: u64, cut: Option<Cut>) -> Result<(), Stopped> {
        self.skip_gone(until);
        let (from, mut next, mut bytes) = (self.next(), self.next(), 0);
        let mut events = Vec::new();
        let full = |bytes: u64, records: u64| cut.is_some_and(|cut| bytes >= cut.bytes_max || records >= CUT_RECORDS_MAX);
        while next < until && !full(bytes, next - from) {
            let records = self.read(next, until)?;
            let Some((last, _)) = records.last() else { break };
            next = last + 1;
            bytes += records.iter().map(|(_, record)| record.body.len() as u64).sum::<u64>();
            let read = self.shared.processor.load().stateless(&records).events;
            events.extend(read.into_iter().filter(|event| self.which.takes(event)));
        }
        self.place.until = Some(next);
        self.keep_place()?;
        if !events.is_empty() {
            self.deliver(&events, &|sink, part| sink.events(part), &|event| json!({"event": event.to_json()}))?;
            self.status.events.fetch_add(events.len() as u64, Ordering::Relaxed);
        }
        self.place.until = None;
        self.passed(next)
    }

    fn next(&self) -> u64 {
        self.status.next.load(Ordering::Relaxed)
    }

    /// Writes the log's records up to `until`, as far as they were not written.
    fn catch_up(&mut self, until: u64) -> Result<(), Stopped> {
        while self.next() < until {
            self.skip_gone(until);
            let records = self.read(self.next(), until)?;
            let Some(next) = records.last().map(|(offset, _)| offset + 1) else { return Ok(()) };
            let events = self.shared.processor.load().stateless(&records).events;
            self.events(&events, next)?;
        }
        Ok(())
    }

    /// Passes records that the log no longer has.
    fn skip_gone(&mut self, until: u64) {
        let (oldest, _) = self.shared.log.range();
        if self.next() < oldest.min(until) {
            let lost = oldest.min(until) - self.next();
            self.status.skipped.fetch_add(lost, Ordering::Relaxed);
            tracing::error!(sink = self.status.name, lost, "records were gone from the log before the sink could take them");
            self.status.next.store(oldest.min(until), Ordering::Release);
        }
    }

    /// A run of the log's records, none at or after `until`.
    fn read(&mut self, from: u64, until: u64) -> Result<Vec<(u64, Record)>, Stopped> {
        loop {
            match self.shared.log.read(from, READ_BYTES) {
                Ok(mut records) => {
                    records.retain(|(offset, _)| *offset < until);
                    return Ok(records);
                }
                Err(error) => self.fail(&format!("the log cannot be read: {error}"), PAUSE_MAX)?,
            }
        }
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
        self.passed(next)
    }

    /// Everything before `next` is written.
    fn passed(&mut self, next: u64) -> Result<(), Stopped> {
        self.status.next.store(next, Ordering::Release);
        self.keep_place()
    }

    fn findings(&mut self, findings: &[Finding]) -> Result<(), Stopped> {
        self.deliver(findings, &|sink, part| sink.findings(part), &|finding| json!({"finding": finding}))?;
        self.status.findings.fetch_add(findings.len() as u64, Ordering::Relaxed);
        if self.sink.takes_profiles() {
            for finding in findings {
                self.touched.insert(finding.entity.clone());
                self.touched_since.get_or_insert_with(Instant::now);
                if self.touched.len() >= PROFILES_MAX {
                    self.profiles()?;
                }
            }
        }
        Ok(())
    }

    /// Writes what is now known of the entities whose findings were written.
    fn profiles(&mut self) -> Result<(), Stopped> {
        let mut profiles = Vec::new();
        self.touched_since = None;
        while let Some(entity) = self.touched.first().cloned() {
            let now = (self.shared.now)();
            match self.runtime.block_on(self.control.entity(&entity, now)) {
                Ok(detail) => profiles.push(profile(detail, now)),
                // Its alerts are older than what is kept.
                Err(ControlError::NotFound(_)) => {}
                Err(error) => {
                    self.fail(&format!("profiles cannot be read: {error}"), PAUSE_MAX)?;
                    continue;
                }
            }
            self.touched.remove(&entity);
        }
        if profiles.is_empty() {
            return Ok(());
        }
        self.deliver(&profiles, &|sink, part| sink.profiles(part), &|profile| json!({"profile": profile}))
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

    fn keep_place(&mut self) -> Result<(), Stopped> {
        self.place.next = self.next();
        let path = self.folder.join(format!("{}.json", self.status.name));
        let write = || -> std::io::Result<()> {
            let new = path.with_extension("json.new");
            let mut file = std::fs::File::create(&new)?;
            file.write_all(json!(self.place).to_string().as_bytes())?;
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

fn profile(detail: EntityDetail, now: Timestamp) -> Profile {
    let alerts = detail.alerts.iter().take(PROFILE_ALERTS_MAX);
    Profile {
        entity: detail.entity,
        risk: detail.risk,
        first_seen: detail.first_seen,
        last_seen: detail.last_seen,
        tactics: detail.tactics,
        alerts: alerts.map(|a| ProfileAlert { id: a.id, rule: a.rule.name.clone(), severity: a.severity, last_seen: a.last_seen }).collect(),
        incidents: detail.incidents.iter().map(|incident| incident.id).collect(),
        updated: now,
    }
}
