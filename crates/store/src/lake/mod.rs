//! The lake: a Delta table of Parquet files on local disk or in an object store, behind an in-memory Arrow tail.
//!
//! [`Lake::append`] turns events into Arrow at once and they are visible to the next query. A background
//! thread writes the tail as Parquet, partitioned by day and sorted by time, and commits the files to the
//! Delta log together with the log offset that they cover (the `txn` action of `erne-lake`). After a crash
//! the table itself says where to go on: [`Lake::covered`]. There is no second write-ahead log.
//!
//! A query sees one snapshot of tail and table, taken at once, so a flush in between neither loses nor
//! doubles a row: a [`Reading`]. It runs as one pass over units (a batch of the tail, a row group of a file):
//!
//! 1. `compiled`: the [`query::Expr`] as a tree of conditions on columns, cheap ones first;
//! 2. `prune`: statistics, bloom filters and page indexes decide conditions for a whole row group, or leave rows;
//! 3. `eval`: what is undecided, column by column, each read (`unit`) only for rows that nothing has decided yet;
//!    `lookup` is where a text index answers instead of the column;
//! 4. `page`, `histogram`, `tally`, `aggregate`: what is made of the matching rows.
//!
//! Where the files lie is known to `home` alone: a folder, or a bucket behind a cache (`s3`, docs/adr/0007-lake-on-s3.md).
//!
//! What it is not: no SQL (the `sql` crate), no updates of rows.
//! The manual with figures is docs/lake.md, the reasons are docs/adr/0003-lake.md.

mod aggregate;
mod build;
mod checked;
mod compiled;
mod delta;
mod eval;
mod file;
mod frozen;
mod histogram;
mod home;
mod lookup;
mod maintain;
mod mask;
mod needle;
mod page;
mod pass;
mod prune;
mod read;
mod reading;
mod request;
mod retention;
mod rows;
mod s3;
mod scan;
mod schema;
mod sums;
mod tail;
mod tally;
mod text;
mod unit;

pub(crate) use build::array;
pub use frozen::{All, Bounds, DAY_COLUMN, Frozen, FrozenFile, Keep, Prune, FrozenRead, RowTest, FrozenRows};
pub use home::Location;
pub use maintain::Upkeep;
pub use reading::Reading;
pub use request::{
    AROUND_MAX, Aggregated, Aggregation, Answer, BySeverity, Cancel, Extras, FIELDS_MAX, FieldValues, GROUPS_BY_MAX, Group, Histogram, LIMIT_MAX,
    METRICS_MAX, Metric, Page, Query, Scanned, TOTAL_MAX, Total, ValueCount, Width,
};
pub use retention::{Deleted, DeletedFor, Retention, SourceRetention};
pub use s3::{S3Config, S3Credentials, ServerSideEncryption};

use arrow_array::RecordBatch;
use delta::Changes;
use event::{Column, Event, Timestamp};
use file::{DataFile, FileWriter};
use home::Home;
use parking_lot::{Condvar, Mutex};
use reading::Snapshot;
use s3::CommitFailed;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};
use tail::Batch;

/// A scan may take a day.
const SCAN_SECS_MAX: u64 = 86_400;
/// Pause after a flush that failed, and between rounds of upkeep.
const RETRY: Duration = Duration::from_secs(1);
const UPKEEP_EVERY: Duration = Duration::from_secs(20);
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    #[error("the lake failed: {0}")]
    Failed(String),
    #[error("not a cursor of this search")]
    BadCursor,
    #[error("{0}")]
    BadQuery(String),
    #[error("the search took longer than {secs} s; narrow its time range or add a condition")]
    Timeout { secs: u64 },
    /// Ask again later.
    #[error("too many searches run at once; try again")]
    Busy,
    /// Nobody waits for the answer any more.
    #[error("the search was cancelled")]
    Cancelled,
    /// Refuse to start, or name the file to the operator: nothing is skipped.
    #[error("{file} is damaged: {reason}; restore it from a copy")]
    Damaged { file: String, reason: String },
    #[error("{0} is in use by another process")]
    InUse(String),
}

impl From<parquet::errors::ParquetError> for LakeError {
    fn from(error: parquet::errors::ParquetError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<arrow_schema::ArrowError> for LakeError {
    fn from(error: arrow_schema::ArrowError) -> Self {
        Self::Failed(error.to_string())
    }
}

fn io_error(path: &Path, error: std::io::Error) -> LakeError {
    LakeError::Failed(format!("{}: {error}", path.display()))
}

#[derive(Clone, Debug)]
pub struct LakeConfig {
    /// Events older than this many days are deleted.
    pub retention_days: u32,
    /// Sizes, and what holds for single sources.
    pub retention: Retention,
    /// A file is written when the tail holds this many rows …
    pub flush_rows: usize,
    /// … or its oldest row has waited this long.
    pub flush_secs: u64,
}

impl Default for LakeConfig {
    /// At 50,000 events/s the tail's bytes ask for a flush long before the rows do.
    fn default() -> Self {
        Self { retention_days: 90, retention: Retention::default(), flush_rows: 131_072, flush_secs: 10 }
    }
}

/// Where a test may make the writer fail or die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The Parquet files are synced, the commit is not written.
    Written,
    /// The merged file is synced, the commit is not written.
    Merged,
    /// A text index is written under a temporary name.
    Indexed,
    /// The commit is durable, memory does not know yet.
    Committed,
}

pub type FailPoint = Arc<dyn Fn(Step) -> std::io::Result<()> + Send + Sync>;

/// Bounds that are the same for nearly everyone.
#[derive(Clone)]
pub struct Tuning {
    /// `append` blocks while the tail holds more; at half of it a flush begins.
    pub tail_bytes_max: usize,
    /// A search that takes longer is an error.
    pub query_secs_max: u64,
    /// Files taken out of the table stay on disk this long, for readers outside this process.
    pub grace_secs: u64,
    /// Whether threads flush and tidy up by themselves.
    pub background: bool,
    pub fail_point: Option<FailPoint>,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { tail_bytes_max: 160 << 20, query_secs_max: 30, grace_secs: 900, background: true, fail_point: None }
    }
}

#[derive(Clone, Debug, Default)]
pub struct LakeStats {
    /// In the table; the tail's come on top.
    pub rows: u64,
    pub files: u64,
    pub bytes: u64,
    pub tail_rows: u64,
    pub tail_bytes: u64,
    pub last_flush: Option<Timestamp>,
    /// `2026-11-20`
    pub oldest_day: Option<String>,
    /// Leftovers of killed writes that were removed at the start.
    pub orphans_removed: u64,
    /// Bytes of the text indexes.
    pub text_bytes: u64,
    /// Files whose text is not indexed yet.
    pub text_missing: u64,
    /// Of an object store: bytes of the local cache, and what went over the network.
    pub cache_bytes: u64,
    pub uploaded_bytes: u64,
    pub downloaded_bytes: u64,
    /// Events deleted by retention since the start.
    pub deleted_for_age: u64,
    pub deleted_for_size: u64,
    /// Why the last flush or upkeep failed, until one succeeds.
    pub notices: Vec<String>,
}

/// The Delta table of Parquet files and the in-memory tail before it.
pub struct Lake {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    home: Arc<Home>,
    config: LakeConfig,
    tuning: Tuning,
    files: Arc<read::Files>,
    texts: Arc<text::Texts>,
    helpers: pass::Helpers,
    state: Mutex<State>,
    /// Wakes the background threads.
    work: Condvar,
    /// Wakes appenders that wait for room.
    room: Condvar,
    /// The next offset not yet appended; held while appending, so that appends keep their order.
    appended: Mutex<u64>,
    flushing: Mutex<()>,
    upkeep: Mutex<()>,
    /// The newest version of the Delta table; held while committing.
    head: Mutex<Head>,
    checkpointed: Mutex<u64>,
    orphans_removed: u64,
    shares: Mutex<retention::KnownShares>,
    ledger: Mutex<retention::Ledger>,
    /// Held open: the lock ends with the process.
    _lock: Option<std::fs::File>,
}

struct Head {
    version: u64,
    /// A commit to an object store whose answer was lost: nothing else is committed before it is settled.
    pending: Option<Pending>,
}

struct Pending {
    body: Vec<u8>,
    changes: Changes,
    /// Batches at the front of the tail that it writes.
    flushed: Option<usize>,
}

struct State {
    tail: Vec<Arc<Batch>>,
    tail_rows: usize,
    tail_bytes: usize,
    /// Batches at the front that a flush is writing.
    fixed: usize,
    /// When the oldest unflushed append came.
    oldest: Option<Instant>,
    appended: u64,
    covered: u64,
    table: Arc<Vec<Arc<DataFile>>>,
    tombstones: Vec<Tombstone>,
    last_flush: Option<Timestamp>,
    flush_error: Option<String>,
    upkeep_error: Option<String>,
    /// Batches at the front that a pending commit has written, perhaps.
    pending: usize,
    /// A commit may or may not be on disk, or the table is another writer's: only a restart can tell.
    in_doubt: Option<String>,
    stop: bool,
}

struct Tombstone {
    path: String,
    removed_millis: i64,
    /// Held by the snapshots of running queries, too.
    file: Option<Arc<DataFile>>,
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(since.as_micros() as i64)
}

/// The text indexes of the table's files, and of those that are about to be deleted.
fn find_texts(home: &Arc<Home>, loaded: &delta::Loaded, writes: bool) -> Result<Arc<text::Texts>, LakeError> {
    let texts = text::Texts::new(home.clone(), writes);
    let files = loaded.files.iter().map(|f| f.path.as_str());
    texts.find(&files.chain(loaded.tombstones.iter().map(|(path, _)| path.as_str())).collect())?;
    Ok(Arc::new(texts))
}

impl Lake {
    /// Opens or creates the table in `dir`, for this process alone. Removes what no commit names. A damaged
    /// Delta log is an error.
    pub fn open(dir: &Path, config: LakeConfig) -> Result<Self, LakeError> {
        Self::open_with(dir, config, Tuning::default())
    }

    pub fn open_with(dir: &Path, config: LakeConfig, tuning: Tuning) -> Result<Self, LakeError> {
        Self::open_at(&Location::from(dir), config, tuning)
    }

    /// Opens or creates the table at `location`, as its only writer.
    pub fn open_at(location: &Location, config: LakeConfig, tuning: Tuning) -> Result<Self, LakeError> {
        let (home, lock) = Home::open(location, true)?;
        if let Some(s3) = home.s3() {
            s3.look_for_other_writer(now())?;
        }
        if !home.has_log()? {
            if delta::holds_data(&home)? {
                let reason = "it is gone, though data files are here".into();
                return Err(LakeError::Damaged { file: home.describe(s3::LOG), reason });
            }
            delta::create(&home, now())?;
        }
        let loaded = match home.s3() {
            None => delta::load(&home, true, now())?,
            Some(s3) => {
                let loaded = delta::take_over(&home, s3, now())?;
                s3.take_lease(now())?;
                loaded
            }
        };
        let orphans = delta::remove_orphans(&home, &loaded)?;
        let background = tuning.background;
        let mut lake = Self::new(home, config, tuning, loaded, orphans, lock)?;
        if background {
            lake.start()?;
        }
        Ok(lake)
    }

    /// Opens for queries only, beside a process that writes: sees what is flushed, changes nothing.
    pub fn open_read_only(dir: &Path) -> Result<Self, LakeError> {
        Self::open_read_only_at(&Location::from(dir))
    }

    pub fn open_read_only_at(location: &Location) -> Result<Self, LakeError> {
        let (home, _) = Home::open(location, false)?;
        if !home.has_log()? {
            return Err(LakeError::Failed(format!("{} holds no table", home.describe(""))));
        }
        let loaded = delta::load(&home, false, now())?;
        let config = LakeConfig { retention_days: u32::MAX, flush_rows: usize::MAX, flush_secs: u64::MAX, ..LakeConfig::default() };
        let tuning = Tuning { background: false, ..Tuning::default() };
        let lake = Self::new(home, config, tuning, loaded, 0, None)?;
        lake.shared.state.lock().stop = true;
        Ok(lake)
    }

    /// Tries what a lake in an object store needs of it, and leaves nothing behind.
    pub fn try_out(config: &S3Config) -> Result<(), LakeError> {
        let (home, _) = Home::open(&Location::S3(Box::new(config.clone())), false)?;
        home.s3().map_or(Ok(()), |s3| s3.try_out())
    }

    fn new(
        home: Home,
        config: LakeConfig,
        tuning: Tuning,
        loaded: delta::Loaded,
        orphans: usize,
        lock: Option<std::fs::File>,
    ) -> Result<Self, LakeError> {
        let home = Arc::new(home);
        let texts = find_texts(&home, &loaded, lock.is_some())?;
        let tombstones = loaded.tombstones.into_iter().map(|(path, removed_millis)| Tombstone { path, removed_millis, file: None });
        let state = State {
            tail: Vec::new(),
            tail_rows: 0,
            tail_bytes: 0,
            fixed: 0,
            oldest: None,
            appended: loaded.covered,
            covered: loaded.covered,
            table: Arc::new(loaded.files.into_iter().map(Arc::new).collect()),
            tombstones: tombstones.collect(),
            last_flush: None,
            flush_error: None,
            upkeep_error: None,
            pending: 0,
            in_doubt: None,
            stop: false,
        };
        let shared = Shared {
            files: Arc::new(read::Files::new(home.clone(), texts.clone())),
            texts,
            helpers: pass::Helpers::new(),
            home,
            config,
            tuning,
            state: Mutex::new(state),
            work: Condvar::new(),
            room: Condvar::new(),
            appended: Mutex::new(loaded.covered),
            flushing: Mutex::new(()),
            upkeep: Mutex::new(()),
            head: Mutex::new(Head { version: loaded.version, pending: None }),
            checkpointed: Mutex::new(loaded.version - loaded.version % delta::CHECKPOINT_COMMITS),
            orphans_removed: orphans as u64,
            shares: Mutex::default(),
            ledger: Mutex::default(),
            _lock: lock,
        };
        Ok(Self { shared: Arc::new(shared), threads: Vec::new() })
    }

    fn start(&mut self) -> Result<(), LakeError> {
        let threads = [("lake-flush", Shared::run_flush as fn(&Shared)), ("lake-upkeep", Shared::run_upkeep), ("lake-text", Shared::run_text)];
        for (name, run) in threads {
            let shared = self.shared.clone();
            let thread = std::thread::Builder::new().name(name.into()).spawn(move || run(&shared));
            self.threads.push(thread.map_err(|e| LakeError::Failed(format!("no thread for {name}: {e}")))?);
        }
        Ok(())
    }

    /// The next log offset whose events the table does not hold yet (its `txn` action).
    pub fn covered(&self) -> u64 {
        self.shared.state.lock().covered
    }

    /// Takes the events of the records up to `next_offset`: visible to queries at once, on disk at the
    /// next flush. Blocks when the tail is full; an error means that nothing was taken. Must be called in
    /// the order of offsets: events below an earlier `next_offset` are dropped as already taken.
    pub fn append(&self, events: Arc<Vec<Event>>, next_offset: u64) -> Result<(), LakeError> {
        let mut appended = self.shared.appended.lock();
        let fresh: Vec<&Event> = events.iter().filter(|e| e.position.offset >= *appended).collect();
        let batches: Vec<Batch> = build::build(&fresh).into_iter().map(Batch::new).collect();
        self.shared.push(batches, next_offset)?;
        *appended = next_offset.max(*appended);
        Ok(())
    }

    /// Indexes the text of all files that lack an index; answers how many did.
    pub fn index_texts(&self) -> Result<usize, LakeError> {
        let mut files = 0;
        while self.shared.index_next()? {
            files += 1;
        }
        Ok(files)
    }

    /// Writes the whole tail; its rows are durable when it returns.
    pub fn flush(&self) -> Result<(), LakeError> {
        self.shared.flush()
    }

    /// Tail and table as they are now, for questions about the same moment.
    pub fn read(&self) -> Reading {
        Reading::new(self.shared.clone(), self.shared.snapshot(), self.shared.tuning.query_secs_max)
    }

    /// See [`Reading::query`].
    pub fn query(&self, query: &Query) -> Result<Page, LakeError> {
        self.read().query(query)
    }

    /// See [`Reading::search`].
    pub fn search(&self, query: &Query, extras: &Extras) -> Result<Answer, LakeError> {
        self.read().search(query, extras)
    }

    /// See [`Reading::export`].
    pub fn export(&self, query: &Query, visit: &mut dyn FnMut(serde_json::Value) -> bool) -> Result<(), LakeError> {
        self.read().export(query, visit)
    }

    /// See [`Reading::histogram`].
    pub fn histogram(&self, query: &Query, bucket_secs: u32) -> Result<Vec<(Timestamp, BySeverity)>, LakeError> {
        self.read().histogram(query, bucket_secs)
    }

    /// See [`Reading::top_values`].
    pub fn top_values(&self, query: &Query, columns: &[&'static Column], top: usize) -> Result<Vec<FieldValues>, LakeError> {
        self.read().top_values(query, columns, top)
    }

    /// See [`Reading::aggregate`].
    pub fn aggregate(&self, query: &Query, asked: &Aggregation) -> Result<Aggregated, LakeError> {
        self.read().aggregate(query, asked)
    }

    /// See [`Reading::around`].
    pub fn around(&self, uid: &str, before: usize, after: usize) -> Result<Vec<serde_json::Value>, LakeError> {
        self.read().around(uid, before, after)
    }

    /// Reads columns (by their dotted paths) of all events with `from <= time < to`, in no order, until
    /// `visit` answers false. No time limit: this is how analytics are rebuilt at the start.
    pub fn scan(&self, columns: &[&str], from: Timestamp, to: Timestamp, visit: &mut dyn FnMut(&RecordBatch) -> bool) -> Result<(), LakeError> {
        scan::scan(&self.read().within(SCAN_SECS_MAX), columns, from, to, visit)
    }

    /// The state of this moment, for readers that take long.
    pub fn frozen(&self) -> Frozen {
        Frozen::new(self.shared.snapshot(), self.shared.files.clone(), Arc::new(self.shared.config.clone()))
    }

    /// One round of upkeep at `now`: retention, merging of small files, deletion of removed ones.
    pub fn maintain(&self, now: Timestamp) -> Result<Upkeep, LakeError> {
        self.shared.maintain(now)
    }

    /// What retention has deleted since this was asked last.
    pub fn take_deleted(&self) -> Vec<Deleted> {
        self.shared.ledger.lock().take()
    }

    pub fn stats(&self) -> LakeStats {
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
        let s3 = self.shared.home.s3();
        let (deleted_for_age, deleted_for_size) = {
            let ledger = self.shared.ledger.lock();
            (ledger.rows_for_age, ledger.rows_for_size)
        };
        let state = self.shared.state.lock();
        let (text_bytes, text_missing) = self.shared.texts.count(&state.table);
        let text_error = self.shared.texts.error();
        LakeStats {
            text_bytes,
            text_missing,
            deleted_for_age,
            deleted_for_size,
            cache_bytes: s3.map_or(0, |s3| s3.cache.bytes()),
            uploaded_bytes: s3.map_or(0, |s3| count(&s3.uploaded_bytes)),
            downloaded_bytes: s3.map_or(0, |s3| count(&s3.downloaded_bytes)),
            rows: state.table.iter().map(|f| f.rows).sum(),
            files: state.table.len() as u64,
            bytes: state.table.iter().map(|f| f.bytes).sum(),
            tail_rows: state.tail_rows as u64,
            tail_bytes: state.tail_bytes as u64,
            last_flush: state.last_flush,
            oldest_day: state.table.iter().map(|f| f.day).min().map(schema::day_text),
            orphans_removed: self.shared.orphans_removed,
            notices: [&state.in_doubt, &state.flush_error, &state.upkeep_error, &text_error].into_iter().flatten().cloned().collect(),
        }
    }
}

impl Drop for Lake {
    /// Does not flush: what is in the tail is in the log, and a shutdown that matters calls `flush`.
    fn drop(&mut self) {
        self.shared.state.lock().stop = true;
        self.shared.work.notify_all();
        self.shared.room.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        if self.shared.state.lock().in_doubt.is_none() {
            self.shared.home.close();
        }
    }
}

impl Shared {
    fn snapshot(&self) -> Snapshot {
        let state = self.state.lock();
        Snapshot { tail: state.tail.clone(), table: state.table.clone() }
    }

    /// Whether the table has this file, or has given it up and upkeep has not deleted it yet.
    fn holds(&self, path: &str) -> bool {
        let state = self.state.lock();
        state.table.iter().any(|f| f.path == path) || state.tombstones.iter().any(|t| t.path == path)
    }

    fn stopping(&self) -> bool {
        self.state.lock().stop
    }

    fn reached(&self, step: Step) -> Result<(), LakeError> {
        match &self.tuning.fail_point {
            Some(fail) => fail(step).map_err(|e| LakeError::Failed(format!("fail point {step:?}: {e}"))),
            None => Ok(()),
        }
    }

    fn push(&self, batches: Vec<Batch>, next_offset: u64) -> Result<(), LakeError> {
        let bytes: usize = batches.iter().map(|b| b.bytes).sum();
        let mut state = self.state.lock();
        loop {
            if let Some(doubt) = &state.in_doubt {
                return Err(LakeError::Failed(doubt.clone()));
            }
            if state.stop {
                return Err(LakeError::Failed("the lake is closed or read-only".into()));
            }
            if state.tail_bytes == 0 || state.tail_bytes + bytes <= self.tuning.tail_bytes_max {
                break;
            }
            if let Some(error) = &state.flush_error {
                return Err(LakeError::Failed(format!("the tail is full and cannot be written: {error}")));
            }
            self.work.notify_all();
            self.room.wait(&mut state);
        }
        let State { tail, fixed, .. } = &mut *state;
        for batch in batches {
            tail::push(tail, *fixed, batch)?;
        }
        state.tail_rows = state.tail.iter().map(|b| b.rows.len).sum();
        state.tail_bytes = state.tail.iter().map(|b| b.bytes).sum();
        state.appended = state.appended.max(next_offset);
        if state.appended > state.covered {
            state.oldest.get_or_insert_with(Instant::now);
        }
        if self.due(&state) == Some(Duration::ZERO) {
            self.work.notify_all();
        }
        Ok(())
    }

    /// How long until the tail is to be written; `None` while there is nothing.
    fn due(&self, state: &State) -> Option<Duration> {
        let oldest = state.oldest?;
        if state.tail_rows >= self.config.flush_rows || state.tail_bytes >= self.tuning.tail_bytes_max / 2 {
            return Some(Duration::ZERO);
        }
        Some(Duration::from_secs(self.config.flush_secs).saturating_sub(oldest.elapsed()))
    }

    fn run_flush(&self) {
        let mut state = self.state.lock();
        while !state.stop {
            match self.due(&state) {
                None => self.work.wait(&mut state),
                Some(Duration::ZERO) => {
                    drop(state);
                    let failed = self.flush().is_err();
                    state = self.state.lock();
                    if failed && !state.stop {
                        self.work.wait_for(&mut state, RETRY);
                    }
                }
                Some(wait) => {
                    self.work.wait_for(&mut state, wait);
                }
            }
        }
    }

    fn run_upkeep(&self) {
        let mut next = Instant::now() + UPKEEP_EVERY;
        loop {
            {
                let mut state = self.state.lock();
                while !state.stop && Instant::now() < next {
                    self.work.wait_until(&mut state, next);
                }
                if state.stop {
                    return;
                }
            }
            let error = self.maintain(now()).err().map(|e| format!("upkeep of the lake: {e}"));
            if let Some(error) = &error {
                tracing::warn!("{error}");
            }
            self.state.lock().upkeep_error = error;
            next = Instant::now() + UPKEEP_EVERY;
        }
    }

    fn flush(&self) -> Result<(), LakeError> {
        let _one = self.flushing.lock();
        let settled = self.settle(&mut self.head.lock());
        if let Err(error) = settled {
            self.state.lock().flush_error = Some(format!("writing the lake: {error}"));
            self.room.notify_all();
            return Err(error);
        }
        let (batches, next, covered) = {
            let mut state = self.state.lock();
            state.fixed = state.tail.len();
            (state.tail.clone(), state.appended, state.covered)
        };
        let result = if next > covered { self.write(&batches, next) } else { Ok(()) };
        let mut state = self.state.lock();
        state.fixed = state.pending;
        state.flush_error = result.as_ref().err().map(|e| format!("writing the lake: {e}"));
        if let Some(error) = &state.flush_error {
            tracing::warn!("{error}");
        }
        self.room.notify_all();
        result
    }

    fn write(&self, batches: &[Arc<Batch>], next: u64) -> Result<(), LakeError> {
        let mut adds = Vec::new();
        if let Err(error) = self.write_files(batches, &mut adds) {
            self.discard(&adds);
            return Err(error);
        }
        self.publish(&adds, Step::Written)?;
        self.commit(Changes { adds, covered: Some(next), data_change: true, operation: "WRITE", ..Changes::default() }, Some(batches.len()))
    }

    fn write_files(&self, batches: &[Arc<Batch>], adds: &mut Vec<DataFile>) -> Result<(), LakeError> {
        let order = tail::sort(batches, &self.config);
        for day in order.chunk_by(|a, b| a.day == b.day) {
            let mut writer = FileWriter::create(self.home.scratch(), day[0].day, day.len())?;
            let mut rest = day;
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(tail::piece_len(batches, rest));
                writer.write(&tail::piece(batches, piece)?)?;
                rest = after;
            }
            adds.push(writer.finish()?);
        }
        Ok(())
    }

    /// Makes files durable before a commit names them; otherwise they go again.
    fn publish(&self, files: &[DataFile], step: Step) -> Result<(), LakeError> {
        let published = self.home.publish(files).and_then(|()| self.reached(step));
        if published.is_err() {
            self.discard(files);
        }
        published
    }

    /// Deletes files that no commit names. What cannot be deleted now is deleted by the upkeep, or by the next
    /// start.
    fn discard(&self, files: &[DataFile]) {
        let litter = |file: &DataFile| Tombstone { path: file.path.clone(), removed_millis: 0, file: None };
        if let Some(s3) = self.home.s3() {
            // The store is away, most likely, and each request would wait for it.
            files.iter().for_each(|file| s3.cache.remove(&file.path));
            return self.state.lock().tombstones.extend(files.iter().map(litter));
        }
        for file in files {
            let _ = self.home.delete(&file.path);
            self.texts.forget(&file.path);
        }
    }

    /// Commits, then shows the change to queries and lets go of the `flushed` batches that it made durable.
    fn commit(&self, changes: Changes, flushed: Option<usize>) -> Result<(), LakeError> {
        let mut head = self.head.lock();
        if let Err(error) = self.settle(&mut head) {
            self.discard(&changes.adds);
            return Err(error);
        }
        let body = delta::commit_body(&changes, self.home.writer(), now());
        self.put(&mut head, Pending { body, changes, flushed })
    }

    /// Puts a commit again whose answer was lost.
    fn settle(&self, head: &mut Head) -> Result<(), LakeError> {
        if let Some(doubt) = &self.state.lock().in_doubt {
            return Err(LakeError::Failed(doubt.clone()));
        }
        match head.pending.take() {
            Some(pending) => self.put(head, pending),
            None => Ok(()),
        }
    }

    fn put(&self, head: &mut Head, commit: Pending) -> Result<(), LakeError> {
        match self.home.put_commit(head.version + 1, &commit.body) {
            Ok(()) => {}
            Err(CommitFailed::Unknown(error)) => {
                self.state.lock().pending = commit.flushed.unwrap_or(0);
                head.pending = Some(commit);
                return Err(error);
            }
            Err(CommitFailed::Refused(error)) => {
                self.discard(&commit.changes.adds);
                return Err(error);
            }
            Err(CommitFailed::Taken(whose)) => return Err(self.doubt(whose)),
        }
        head.version += 1;
        self.reached(Step::Committed)?;
        let mut state = self.state.lock();
        state.apply(commit.changes, now());
        if let Some(batches) = commit.flushed {
            state.drop_front(batches);
        }
        Ok(())
    }

    /// Stops writing for good.
    fn doubt(&self, why: String) -> LakeError {
        let doubt = format!("{why}; this process writes nothing more to the lake: restart it to read what is there");
        self.state.lock().in_doubt = Some(doubt.clone());
        self.room.notify_all();
        LakeError::Failed(doubt)
    }

    /// Tells other processes that this one writes, and stops where one has taken over.
    fn hold_on(&self) -> Result<(), LakeError> {
        match self.home.renew(now())? {
            None => Ok(()),
            Some(other) => Err(self.doubt(format!("{} has been taken over by {other}", self.home.describe("")))),
        }
    }
}

impl State {
    fn apply(&mut self, changes: Changes, now: Timestamp) {
        let gone: std::collections::HashSet<&str> = changes.removes.iter().map(|f| f.path.as_str()).collect();
        let (removed, mut kept): (Vec<_>, Vec<_>) = self.table.iter().cloned().partition(|f| gone.contains(f.path.as_str()));
        let tombstones = removed.into_iter().map(|f| Tombstone { path: f.path.clone(), removed_millis: now.millis(), file: Some(f) });
        self.tombstones.extend(tombstones);
        kept.extend(changes.adds.into_iter().map(Arc::new));
        self.table = Arc::new(kept);
        if let Some(covered) = changes.covered {
            self.covered = covered;
            self.last_flush = Some(now);
        }
    }

    /// Lets go of the batches that a commit has made durable.
    fn drop_front(&mut self, batches: usize) {
        self.tail.drain(..batches);
        self.fixed = 0;
        self.pending = 0;
        self.tail_rows = self.tail.iter().map(|b| b.rows.len).sum();
        self.tail_bytes = self.tail.iter().map(|b| b.bytes).sum();
        // Rows that came meanwhile are at most one flush young.
        self.oldest = (self.appended > self.covered).then(Instant::now);
    }
}
