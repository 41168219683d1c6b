//! The threads that drive the step: one reads the log, some run the stateless stage, one puts their results
//! back in order, runs the stateful stage and commits, one feeds the lake.

use crate::hot::{Hot, is_first_telling};
use crate::metrics::Metrics;
use crate::processor::{Processor, Stateless};
use crate::projector::ControlHealth;
use crate::stateful::Stateful;
use crate::reload::Content;
use crate::sinks::Sinks;
use detect::Stepped;
use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use event::{Event, Finding, Record, Severity, Timestamp};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use store::lake::Lake;
use store::log::Log;
use store::state::{Commit, StateStore};
use tokio::sync::{Notify, oneshot};

/// Bytes of records in one run of the stateless stage: a few thousand events, tens of milliseconds.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// Entries of one run, estimated from above; a single record may have more.
const BATCH_ENTRIES_MAX: usize = 16_384;
/// Runs under way between the reader and the committer.
const BATCHES_IN_FLIGHT: usize = 4;
/// How long the reader waits for records before it looks whether it should stop.
const IDLE: Duration = Duration::from_millis(200);
/// How long to wait before a failed commit is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How often time passes for the stateful stage while nothing comes.
const TICK: Duration = Duration::from_secs(1);
/// How far behind the wall clock it passes then: longer than a record is under way from its stamp to the log.
const SETTLING_SECS: i64 = 5;
/// How often state is synced and the log let go of.
const RELEASE_EVERY: Duration = Duration::from_secs(2);

/// What the threads share.
pub(crate) struct Shared {
    pub log: Arc<dyn Log>,
    pub state: Arc<dyn StateStore>,
    pub lake: Arc<Lake>,
    pub processor: ArcSwap<Processor>,
    /// What the processor's rules were made of.
    pub content: Content,
    pub hot: Hot,
    pub metrics: Metrics,
    pub sinks: Sinks,
    pub answer: Arc<crate::answer::Answer>,
    /// Bytes of log up to which it waits for sinks.
    pub sinks_bytes_max: u64,
    /// The next offset to process, and the receipt time of the last record processed (µs).
    pub processed: AtomicU64,
    pub processed_received: AtomicU64,
    /// The next offset whose events searches do not see yet.
    pub visible: AtomicU64,
    pub stop: AtomicBool,
    /// Wakes the projector.
    pub committed: Notify,
    /// Grows when exceptions change; wakes whoever rebuilds the rules with them.
    pub exceptions_generation: AtomicU64,
    pub exceptions_changed: Notify,
    /// Why the processor stands still, for `/readyz`.
    pub failure: Mutex<Option<String>>,
    pub control_health: ControlHealth,
    /// What did not come from the log, to be committed with what does.
    pub handed_in: HandedIn,
    /// Why scheduled searches fail, by their names.
    pub failing_searches: Mutex<BTreeMap<String, String>>,
    pub now: fn() -> Timestamp,
}

impl Shared {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn failed(&self, what: &str, error: &dyn std::fmt::Display) {
        tracing::error!("{what}: {error}");
        *self.failure.lock() = Some(format!("{what}: {error}"));
        self.metrics.stalled.set(1.0);
    }

    fn recovered(&self) {
        if self.failure.lock().take().is_some() {
            self.metrics.stalled.set(0.0);
        }
    }
}

/// Findings that are not made from records. The committer takes them, because it alone writes the state.
#[derive(Default)]
pub(crate) struct HandedIn(Mutex<Vec<(Vec<Finding>, oneshot::Sender<()>)>>);

impl HandedIn {
    /// Answers once they are committed; never, if the pipeline ends before.
    pub fn hand_in(&self, findings: Vec<Finding>) -> oneshot::Receiver<()> {
        let (done, committed) = oneshot::channel();
        self.0.lock().push((findings, done));
        committed
    }

    fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}

struct Job {
    number: u64,
    records: Vec<(u64, Record)>,
}

struct Done {
    number: u64,
    next_offset: u64,
    received: Timestamp,
    stateless: Stateless,
    /// Kept in case the rules changed meanwhile; their bytes are shared with the events.
    records: Vec<(u64, Record)>,
}

/// The stateful stage with the rules it runs on.
struct Committer {
    stateful: Stateful,
    generation: u64,
    /// What a change of rules left to be committed with the next records.
    pending: Stepped,
}

impl Committer {
    /// Brings a run and the stateful stage to the same rules: a run of older ones is made again, a run of newer
    /// ones is the moment at which the stateful stage takes them over.
    fn settle(&mut self, shared: &Shared, done: &mut Done) {
        if done.stateless.generation < self.generation {
            done.stateless = shared.processor.load().stateless(&done.records);
        }
        if done.stateless.generation > self.generation {
            let stepped = self.stateful.reload(&done.stateless.rules);
            self.pending.findings.extend(stepped.findings);
            self.pending.delta.extend(stepped.delta);
            self.generation = done.stateless.generation;
        }
    }
}

type LakeBatch = (Arc<Vec<Event>>, u64);

/// Starts the threads. They end after `stop` is set, in order, having finished what they had read.
/// `stateful` holds the state as of `from`; `stale` are the keys of entries that no rule knows any more.
pub(crate) fn spawn(shared: &Arc<Shared>, stateful: Stateful, stale: Vec<Vec<u8>>, from: u64, workers: usize) -> std::io::Result<Vec<JoinHandle<()>>> {
    let (jobs_in, jobs) = bounded::<Job>(BATCHES_IN_FLIGHT);
    let (done_in, done) = bounded::<Done>(BATCHES_IN_FLIGHT);
    let (lake_in, lake) = bounded::<LakeBatch>(BATCHES_IN_FLIGHT);
    let mut threads = Vec::new();
    let mut start = |name: String, run: Box<dyn FnOnce() + Send>| -> std::io::Result<()> {
        threads.push(std::thread::Builder::new().name(name).spawn(run)?);
        Ok(())
    };
    let own = shared.clone();
    start("erne-read".into(), Box::new(move || read_log(&own, from, &jobs_in)))?;
    for i in 0..workers {
        let (own, jobs, done_in) = (shared.clone(), jobs.clone(), done_in.clone());
        start(format!("erne-match-{i}"), Box::new(move || run_stateless(&own, &jobs, &done_in)))?;
    }
    let own = shared.clone();
    let delta = stale.into_iter().map(|key| (key, None)).collect();
    let committer = Committer { stateful, generation: 0, pending: Stepped { delta, ..Stepped::default() } };
    start("erne-commit".into(), Box::new(move || commit_in_order(&own, committer, &done, &lake_in)))?;
    let own = shared.clone();
    start("erne-lake".into(), Box::new(move || feed_lake(&own, &lake)))?;
    let own = shared.clone();
    start("erne-release".into(), Box::new(move || release_log(&own)))?;
    Ok(threads)
}

fn read_log(shared: &Shared, from: u64, jobs: &Sender<Job>) {
    let mut next = from;
    let mut number = 0;
    while !shared.stopped() {
        if !shared.log.wait(next, IDLE) {
            continue;
        }
        let records = match shared.log.read(next, BATCH_BYTES_MAX) {
            Ok(records) => records,
            Err(error) => {
                shared.failed("the log cannot be read", &error);
                std::thread::sleep(RETRY);
                continue;
            }
        };
        for records in split(records) {
            next = records.last().map_or(next, |(last, _)| last + 1);
            if jobs.send(Job { number, records }).is_err() {
                return;
            }
            number += 1;
        }
    }
}

/// Cuts what was read into runs of a bounded number of entries: memory follows entries, not bytes.
fn split(records: Vec<(u64, Record)>) -> Vec<Vec<(u64, Record)>> {
    let (mut runs, mut run, mut entries) = (Vec::new(), Vec::new(), 0);
    for (offset, record) in records {
        let count = entries_at_most(&record.body);
        if entries + count > BATCH_ENTRIES_MAX && !run.is_empty() {
            runs.push(std::mem::take(&mut run));
            entries = 0;
        }
        entries += count;
        run.push((offset, record));
    }
    if !run.is_empty() {
        runs.push(run);
    }
    runs
}

/// An entry is a line or an object; a JSON document has more objects than entries, so this is an upper bound.
fn entries_at_most(body: &[u8]) -> usize {
    memchr::memchr2_iter(b'\n', b'{', body).count() + 1
}

fn run_stateless(shared: &Shared, jobs: &Receiver<Job>, done: &Sender<Done>) {
    for Job { number, records } in jobs {
        let processor = shared.processor.load_full();
        let stateless = processor.stateless(&records);
        let (next_offset, received) =
            records.last().map_or((0, Timestamp(0)), |(offset, record)| (offset + 1, record.received));
        if done.send(Done { number, next_offset, received, stateless, records }).is_err() {
            return;
        }
    }
}

/// Puts runs back in log order: correlation and commits must see what the log saw. When nothing comes, time
/// passes all the same: windows close, and what did not happen is told.
fn commit_in_order(shared: &Shared, mut committer: Committer, done: &Receiver<Done>, lake: &Sender<LakeBatch>) {
    let mut waiting = BTreeMap::new();
    let mut next = 0;
    loop {
        match done.recv_timeout(TICK) {
            Ok(one) => {
                waiting.insert(one.number, one);
            }
            Err(RecvTimeoutError::Timeout) if waiting.is_empty() => {
                if !tick(shared, &mut committer) {
                    return;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        while let Some(one) = waiting.remove(&next) {
            next += 1;
            if !commit(shared, &mut committer, one, lake) {
                return;
            }
        }
    }
}

/// Lets the stateful stage know that time has passed, when all of the log is processed. Returns false when the
/// pipeline is over.
fn tick(shared: &Shared, committer: &mut Committer) -> bool {
    let processed = shared.processed.load(Ordering::Relaxed);
    let now = (shared.now)().plus_secs(-SETTLING_SECS);
    let is_due = shared.log.range().1 == processed && committer.stateful.is_due(now);
    if !is_due && shared.handed_in.is_empty() {
        return true;
    }
    if is_due {
        let stepped = committer.stateful.advance(now);
        committer.pending.findings.extend(stepped.findings);
        committer.pending.delta.extend(stepped.delta);
    }
    conclude(shared, committer, processed, Vec::new())
}

/// Returns false when the pipeline is over.
fn commit(shared: &Shared, committer: &mut Committer, mut done: Done, lake: &Sender<LakeBatch>) -> bool {
    committer.settle(shared, &mut done);
    let Done { next_offset, received, mut stateless, .. } = done;
    let processed = shared.processed.load(Ordering::Relaxed);
    // After a crash the lake may be behind the state: then records come again for the lake's sake only.
    let fresh = next_offset > processed;
    if fresh {
        if processed > 0 {
            stateless.findings.retain(|f| f.positions.iter().any(|p| p.offset >= processed));
            stateless.keyed.retain(|k| k.position.offset >= processed);
        }
        shared.metrics.count_untold(stateless.untold);
        shared.metrics.count_arrivals(&stateless.events, shared.processor.load().lateness());
        let stepped = committer.stateful.step(std::mem::take(&mut stateless.keyed));
        committer.pending.findings.extend(stepped.findings);
        committer.pending.delta.extend(stepped.delta);
        if !conclude(shared, committer, next_offset, std::mem::take(&mut stateless.findings)) {
            return false;
        }
        shared.processed.store(next_offset, Ordering::Release);
        shared.processed_received.store(received.0 as u64, Ordering::Relaxed);
        let now = (shared.now)();
        shared.metrics.latency.observe((now.0 - received.0).max(0) as f64 / 1e6);
    }
    shared.hot.events(&stateless.events, (shared.now)(), &shared.metrics);
    lake.send((Arc::new(stateless.events), next_offset)).is_ok()
}

/// Commits what single events and the stateful stage told, and lets the projector and the sockets know. Returns
/// false when the pipeline is over.
fn conclude(shared: &Shared, committer: &mut Committer, next_offset: u64, mut findings: Vec<Finding>) -> bool {
    let stepped = std::mem::take(&mut committer.pending);
    findings.extend(stepped.findings);
    let (handed_in, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut *shared.handed_in.0.lock()).into_iter().unzip();
    findings.extend(handed_in.into_iter().flatten());
    for finding in findings.iter().filter(|finding| is_first_telling(finding)) {
        shared.metrics.count_finding(finding.level);
    }
    // Correlations of that level are context, as informational rules are: they make no alert.
    findings.retain(|f| f.level > Severity::Informational);
    shared.hot.findings(&findings);
    if !commit_state(shared, next_offset, stepped.delta, &findings) {
        return false;
    }
    if !findings.is_empty() {
        shared.committed.notify_one();
    }
    for done in waiting {
        // Whoever does not wait any more asks again.
        let _ = done.send(());
    }
    true
}

/// Tries until it succeeds or the process stops: a record that is acknowledged is never skipped.
fn commit_state(shared: &Shared, next_offset: u64, delta: Vec<(Vec<u8>, Option<Vec<u8>>)>, findings: &[event::Finding]) -> bool {
    loop {
        match shared.state.commit(Commit { next_offset, delta: delta.clone(), findings }) {
            Ok(()) => {
                shared.recovered();
                return true;
            }
            Err(error) => shared.failed("the state cannot be committed", &error),
        }
        if shared.stopped() {
            return false;
        }
        std::thread::sleep(RETRY);
    }
}

fn feed_lake(shared: &Shared, batches: &Receiver<LakeBatch>) {
    for (events, next_offset) in batches {
        while let Err(error) = shared.lake.append(events.clone(), next_offset) {
            shared.failed("the lake cannot take events", &error);
            if shared.stopped() {
                return;
            }
            std::thread::sleep(RETRY);
        }
        let from = shared.visible.swap(next_offset, Ordering::AcqRel);
        shared.sinks.events(from, next_offset, &events);
    }
    if let Err(error) = shared.lake.flush() {
        tracing::error!(%error, "the lake was not flushed; its events come again from the log");
    }
}

/// Lets go of log segments that the lake, the synced state and, within bounds, the sinks have passed.
fn release_log(shared: &Shared) {
    let mut synced_at = 0;
    while !shared.stopped() {
        std::thread::sleep(RELEASE_EVERY);
        let processed = shared.processed.load(Ordering::Acquire);
        if processed != synced_at {
            match shared.state.sync() {
                Ok(()) => synced_at = processed,
                Err(error) => {
                    shared.failed("the state cannot be synced", &error);
                    continue;
                }
            }
        }
        let mut passed = synced_at.min(shared.lake.covered());
        if shared.log.bytes() <= shared.sinks_bytes_max {
            passed = passed.min(shared.sinks.needed_from());
        }
        if let Err(error) = shared.log.release(passed) {
            tracing::warn!(%error, "old log segments cannot be deleted");
        }
    }
}
