//! [`SegmentLog`]: the log as files in one folder, each named after the offset of its first record.

use super::batch::{self, BatchHeader, Key, NO_KEY, SEGMENT_HEADER_BYTES};
use super::dedup::Dedup;
use super::files::{create_dir, io_error, lock, replace_file, sync_dir};
use super::recover::{self, Recovered};
use super::space::Space;
use super::writer::{self, Job, Writer};
use super::{Append, AppendError, Appended, Log, LogError};
use bytes::Bytes;
use event::{Id, Record};
use futures::FutureExt;
use futures::future::{self, BoxFuture};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The bounds of a [`SegmentLog`].
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// A segment file is closed before it grows beyond this (one append larger than it gets its own).
    pub segment_bytes_max: u64,
    /// One append, as encoded; beyond: [`AppendError::TooLarge`].
    pub append_bytes_max: usize,
    /// Appends waiting for their fsync; beyond: busy, `log.pending_bytes_max`.
    pub pending_bytes_max: usize,
    /// Records that nobody has released yet; beyond: busy, `log.backlog_bytes_max`.
    pub backlog_bytes_max: u64,
    /// Room left on the disk for everything else; below: [`AppendError::DiskFull`].
    pub free_bytes_min: u64,
    /// The newest batches kept in memory, so that a reader at the end never touches the disk.
    pub recent_bytes_max: usize,
    /// How long an idempotency key is remembered, and how many of them.
    pub dedup_secs: u64,
    pub dedup_keys_max: usize,
    /// Offsets below this are not given out (again): the next one that a consumer wants. It only matters
    /// after files were lost, when the log would otherwise go on with offsets that count as processed.
    pub next_offset_min: u64,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes_max: 64 << 20,
            append_bytes_max: 32 << 20,
            pending_bytes_max: 64 << 20,
            backlog_bytes_max: 4 << 30,
            free_bytes_min: 256 << 20,
            recent_bytes_max: 16 << 20,
            dedup_secs: 600,
            dedup_keys_max: 100_000,
            next_offset_min: 0,
        }
    }
}

/// Counts since the log was opened, and its two gauges.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogStats {
    pub appends: u64,
    pub duplicates: u64,
    /// Idempotency keys forgotten before `dedup_secs` because there were more than `dedup_keys_max`.
    pub dedup_evicted: u64,
    pub syncs: u64,
    pub sync_nanos: u64,
    pub sync_nanos_max: u64,
    pub pending_bytes: u64,
    pub backlog_bytes: u64,
}

const BUSY_PENDING_RETRY: Duration = Duration::from_secs(1);
const BUSY_BACKLOG_RETRY: Duration = Duration::from_secs(5);
/// A reader finds a batch by passing over at most this many bytes of headers.
const INDEX_EVERY_BYTES: u64 = 64 << 10;

/// One file, up to its last synced byte.
pub(super) struct Segment {
    pub path: PathBuf,
    pub salt: u64,
    pub base: u64,
    pub next: u64,
    pub bytes: u64,
    /// Where this file begins if all files since the log was opened are laid end to end.
    pub begins_at: u64,
    /// Offset and file position of a batch about every [`INDEX_EVERY_BYTES`].
    index: Vec<(u64, u64)>,
}

impl Segment {
    pub fn new(path: PathBuf, salt: u64, base: u64, begins_at: u64) -> Self {
        let bytes = SEGMENT_HEADER_BYTES as u64;
        Self { path, salt, base, next: base, bytes, begins_at, index: Vec::new() }
    }

    pub fn push(&mut self, header: &BatchHeader) {
        let due = self.index.last().is_none_or(|(_, at)| self.bytes >= at + INDEX_EVERY_BYTES);
        if header.count > 0 {
            if due {
                self.index.push((header.first, self.bytes));
            }
            self.next = header.next();
        }
        self.bytes += u64::from(header.length);
    }

    /// The position of a batch at or shortly before `offset`.
    pub fn position_of(&self, offset: u64) -> u64 {
        let after = self.index.partition_point(|(first, _)| *first <= offset);
        after.checked_sub(1).map_or(SEGMENT_HEADER_BYTES as u64, |i| self.index[i].1)
    }
}

pub(super) struct State {
    /// Never empty; the last one is written to.
    pub segments: VecDeque<Segment>,
    /// One past the newest synced record.
    pub next: u64,
    pub recent: VecDeque<(BatchHeader, Bytes)>,
    pub recent_bytes: usize,
    pub queue: Vec<Job>,
    pub pending_bytes: usize,
    /// Up to where records were released, in the measure of [`Segment::begins_at`].
    pub released_at: u64,
    pub dedup: Dedup,
    pub stopped: Option<String>,
    pub closing: bool,
    pub stats: LogStats,
}

impl State {
    pub fn start(&self) -> u64 {
        self.segments.front().map_or(self.next, |s| s.base)
    }

    fn begins_at(&self) -> u64 {
        self.segments.front().map_or(0, |s| s.begins_at)
    }

    pub fn ends_at(&self) -> u64 {
        self.segments.back().map_or(0, |s| s.begins_at + s.bytes)
    }

    fn backlog_bytes(&self) -> u64 {
        self.ends_at().saturating_sub(self.released_at)
    }

    /// The segment that holds `offset`, which must be in the log, or the first one behind it when a lost
    /// file held it.
    pub fn segment_of(&self, offset: u64) -> &Segment {
        &self.segments[self.segments.partition_point(|s| s.next <= offset)]
    }

    pub fn remember(&mut self, header: BatchHeader, batch: Bytes, bytes_max: usize) {
        self.recent_bytes += batch.len();
        self.recent.push_back((header, batch));
        while self.recent_bytes > bytes_max {
            let Some((_, oldest)) = self.recent.pop_front() else { break };
            self.recent_bytes -= oldest.len();
        }
    }
}

pub(super) struct Shared {
    pub dir: PathBuf,
    pub config: LogConfig,
    pub state: Mutex<State>,
    /// The writer waits here.
    pub work: Condvar,
    /// Readers wait here.
    pub appended: Condvar,
    pub space: Space,
}

/// The embedded log. Dropping it waits for what is queued.
pub struct SegmentLog {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
    notices: Vec<String>,
    /// One release at a time; appends and reads go on meanwhile.
    releasing: Mutex<()>,
    /// Held for as long as the log is open.
    _lock: File,
}

impl SegmentLog {
    /// Opens or creates the log in `dir`. A torn tail is cut off and told in [`SegmentLog::notices`];
    /// damage anywhere else, or a second process on the same folder, is an error.
    pub fn open(dir: &Path, config: LogConfig) -> Result<Self, LogError> {
        create_dir(dir)?;
        let lock = lock(dir)?;
        let recovered = recover::recover(dir, &config)?;
        Self::start(dir, config, lock, recovered)
    }

    fn start(dir: &Path, config: LogConfig, lock: File, recovered: Recovered) -> Result<Self, LogError> {
        let Recovered { segments, dedup, notices, file, sealed } = recovered;
        let state = State {
            next: segments.back().map_or(0, |s| s.next),
            released_at: segments.front().map_or(0, |s| s.begins_at),
            segments,
            recent: VecDeque::new(),
            recent_bytes: 0,
            queue: Vec::new(),
            pending_bytes: 0,
            dedup,
            stopped: None,
            closing: false,
            stats: LogStats::default(),
        };
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            config,
            state: Mutex::new(state),
            work: Condvar::new(),
            appended: Condvar::new(),
            space: Space::new(dir.to_owned()),
        });
        let writer = Writer::new(shared.clone(), file, sealed);
        let writer = std::thread::Builder::new()
            .name("log-writer".into())
            .spawn(move || writer.run())
            .map_err(|e| io_error("starting the log's writer", e))?;
        Ok(Self { shared, writer: Some(writer), notices, releasing: Mutex::new(()), _lock: lock })
    }

    /// What opening it had to repair, in sentences for people.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    pub fn stats(&self) -> LogStats {
        let state = self.shared.state.lock();
        LogStats {
            dedup_evicted: state.dedup.evicted,
            pending_bytes: state.pending_bytes as u64,
            backlog_bytes: state.backlog_bytes(),
            ..state.stats
        }
    }

    /// Why the log no longer takes anything, if so.
    pub fn stopped(&self) -> Option<String> {
        self.shared.state.lock().stopped.clone()
    }

    fn enqueue(&self, append: Append) -> Result<oneshot::Receiver<Result<Appended, AppendError>>, AppendError> {
        let bytes = batch::encoded_bytes(&append.records);
        self.reserve(bytes)?;
        let key = append.idempotency_key.as_deref().map_or(NO_KEY, key_of);
        let (buffer, body_crc) = batch::encode_body(&append.records);
        let (reply, answer) = oneshot::channel();
        let count = append.records.len() as u32;
        // The encoded copy is the only one from here on: the records' memory goes back before the fsync.
        drop(append);
        let mut state = self.shared.state.lock();
        if let Some(reason) = &state.stopped {
            return Err(AppendError::Stopped(reason.clone()));
        }
        state.queue.push(Job { buffer, count, body_crc, key, reply });
        drop(state);
        self.shared.work.notify_one();
        Ok(answer)
    }

    /// Claims a place among the pending bytes, or says which bound is reached.
    fn reserve(&self, bytes: usize) -> Result<(), AppendError> {
        let config = &self.shared.config;
        if bytes > config.append_bytes_max {
            return Err(AppendError::TooLarge { bytes, bytes_max: config.append_bytes_max });
        }
        let free_bytes = self.shared.space.free_bytes();
        let mut state = self.shared.state.lock();
        if let Some(reason) = &state.stopped {
            return Err(AppendError::Stopped(reason.clone()));
        }
        let pending = state.pending_bytes + bytes;
        if free_bytes.saturating_sub(pending as u64) < config.free_bytes_min {
            return Err(AppendError::DiskFull { free_bytes, needed_bytes: config.free_bytes_min });
        }
        // A lone append is taken even when it is larger than the bound: it could never pass otherwise.
        if pending > config.pending_bytes_max && state.pending_bytes > 0 {
            return Err(AppendError::Busy { bound: "log.pending_bytes_max", retry_after: BUSY_PENDING_RETRY });
        }
        if state.backlog_bytes() + pending as u64 > config.backlog_bytes_max {
            return Err(AppendError::Busy { bound: "log.backlog_bytes_max", retry_after: BUSY_BACKLOG_RETRY });
        }
        state.pending_bytes = pending;
        Ok(())
    }

    /// Segments that end at or before `offset`, oldest first; never the one being written.
    fn releasable(&self, offset: u64) -> Vec<PathBuf> {
        let state = self.shared.state.lock();
        let closed = state.segments.len() - 1;
        let over = state.segments.iter().take(closed).take_while(|s| s.next <= offset);
        over.map(|s| s.path.clone()).collect()
    }

    fn note_released(&self, offset: u64) {
        let mut state = self.shared.state.lock();
        let at = if offset >= state.next {
            state.ends_at()
        } else if offset <= state.start() {
            return;
        } else {
            let segment = state.segment_of(offset);
            segment.begins_at + segment.position_of(offset)
        };
        state.released_at = state.released_at.max(at);
    }
}

impl Log for SegmentLog {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        if append.records.is_empty() {
            let next = self.range().1;
            return future::ready(Ok(Appended { first: next, next, duplicate: false })).boxed();
        }
        match self.enqueue(append) {
            Err(refused) => future::ready(Err(refused)).boxed(),
            Ok(answer) => async {
                answer.await.unwrap_or_else(|_| Err(AppendError::Stopped(writer::ENDED.into())))
            }
            .boxed(),
        }
    }

    fn read(&self, from: u64, bytes_max: usize) -> Result<Vec<(u64, Record)>, LogError> {
        self.shared.read(from, bytes_max)
    }

    fn wait(&self, from: u64, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.shared.state.lock();
        while state.next <= from {
            if self.shared.appended.wait_until(&mut state, deadline).timed_out() {
                return state.next > from;
            }
        }
        true
    }

    fn range(&self) -> (u64, u64) {
        let state = self.shared.state.lock();
        (state.start(), state.next)
    }

    fn release(&self, offset: u64) -> Result<(), LogError> {
        let _one_at_a_time = self.releasing.lock();
        self.note_released(offset);
        let paths = self.releasable(offset);
        if paths.is_empty() {
            return Ok(());
        }
        // The keys of the batches that go away must outlive them, or a retry would be stored twice after
        // a restart.
        let keys = self.shared.state.lock().dedup.snapshot();
        replace_file(&self.shared.dir, recover::KEYS_FILE, &keys)?;
        for path in paths {
            std::fs::remove_file(&path).map_err(|e| io_error(format!("deleting {}", path.display()), e))?;
            // Synced one by one: after a power cut the log must not have a hole.
            sync_dir(&self.shared.dir)?;
            self.shared.state.lock().segments.pop_front();
        }
        self.shared.space.forget();
        Ok(())
    }

    fn bytes(&self) -> u64 {
        let state = self.shared.state.lock();
        state.ends_at() - state.begins_at()
    }
}

impl Drop for SegmentLog {
    fn drop(&mut self) {
        self.shared.state.lock().closing = true;
        self.shared.work.notify_one();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the log's writer panicked");
        }
    }
}

fn key_of(key: &str) -> Key {
    Id::of(&[b"idempotency key", key.as_bytes()]).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::Timestamp;
    use futures::executor::block_on;
    use std::fs::OpenOptions;
    use std::os::fd::OwnedFd;

    fn append(body: &'static str) -> Append {
        let record = Record {
            source: "test".into(),
            format: None,
            received: Timestamp(0),
            peer: None,
            body: body.into(),
        };
        Append { records: vec![record], idempotency_key: None }
    }

    /// A log whose writer got another file than the one it should write to.
    fn with_file(dir: &Path, file: File) -> SegmentLog {
        let config = LogConfig { free_bytes_min: 0, ..LogConfig::default() };
        let recovered = recover::recover(dir, &config).unwrap();
        SegmentLog::start(dir, config, lock(dir).unwrap(), Recovered { file, ..recovered }).unwrap()
    }

    fn stops(file: File, reason: &str) {
        let dir = tempfile::tempdir().unwrap();
        let log = with_file(dir.path(), file);
        for _ in 0..2 {
            match block_on(log.append(append("x"))) {
                Err(AppendError::Stopped(why)) => assert!(why.starts_with(reason), "{why}"),
                other => panic!("{other:?}"),
            }
        }
        assert!(log.stopped().is_some_and(|why| why.starts_with(reason)));
        assert_eq!(log.range(), (0, 0), "nothing was acknowledged");
        assert!(!log.wait(0, Duration::ZERO));
    }

    #[test]
    fn a_failed_sync_stops_the_log_for_good() {
        // A pipe takes the bytes and refuses the sync.
        let (_reader, writer) = std::io::pipe().unwrap();
        stops(File::from(OwnedFd::from(writer)), "fdatasync: ");
    }

    #[test]
    fn a_failed_write_stops_the_log_for_good() {
        stops(File::open("/dev/null").unwrap(), "write: ");
    }

    #[test]
    fn a_full_disk_that_cannot_be_cut_back_stops_the_log() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        stops(full, "cutting back after a full disk: ");
    }

    #[test]
    fn what_was_written_before_the_stop_can_still_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let config = || LogConfig { free_bytes_min: 0, ..LogConfig::default() };
        block_on(SegmentLog::open(dir.path(), config()).unwrap().append(append("kept"))).unwrap();
        let log = with_file(dir.path(), File::open("/dev/null").unwrap());
        assert!(block_on(log.append(append("lost"))).is_err());
        assert_eq!(log.read(0, 0).unwrap()[0].1.body, "kept");
        drop(log);
        assert_eq!(SegmentLog::open(dir.path(), config()).unwrap().range(), (0, 1));
    }
}
