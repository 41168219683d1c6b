//! The write-ahead log: what a 2xx promises is in here, synced.
//!
//! [`Log`] is the seam: [`SegmentLog`] keeps segment files on the local disk, Kafka can stand behind the
//! same trait. A log is a sequence of records with offsets that grow by one and never repeat. Nothing in
//! it is ever changed; whole segments are let go from its beginning once every consumer is past them.
//!
//! What it is not: a queue. It knows no consumers and keeps no positions; whoever reads remembers where
//! it was (the state store and the lake each do so in the same commit as their own data).

mod batch;
mod dedup;
mod files;
mod reader;
mod recover;
mod segments;
mod space;
mod writer;

pub(crate) use files::lock_soon;
pub use segments::{LogConfig, LogStats, SegmentLog};

use event::Record;
use futures::future::BoxFuture;
use std::time::Duration;

/// What one request appends. All of it or nothing.
pub struct Append {
    pub records: Vec<Record>,
    /// A client's `Idempotency-Key`, scoped by the caller. A key seen inside the dedup window answers with
    /// the first append's offsets and writes nothing.
    pub idempotency_key: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the first record.
    pub first: u64,
    /// One past the last.
    pub next: u64,
    pub duplicate: bool,
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// A named bound is reached (unsynced bytes, unprocessed bytes): try again. → 429
    #[error("{bound} is reached; try again in {} s", retry_after.as_secs().max(1))]
    Busy { bound: &'static str, retry_after: Duration },
    /// → 503
    #[error("the disk is nearly full: {free_bytes} bytes free, {needed_bytes} are kept free")]
    DiskFull { free_bytes: u64, needed_bytes: u64 },
    /// → 413
    #[error("{bytes} bytes in one append, at most {bytes_max} are taken")]
    TooLarge { bytes: usize, bytes_max: usize },
    /// An fsync or write failed: the log has stopped acknowledging until a restart. → 503
    #[error("the log stopped after a write error: {0}")]
    Stopped(String),
}

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A batch in the middle fails its checksum: refuse to start.
    #[error("{file} is damaged at byte {at}: {reason}; restore it from a copy, or rename it to .lost to go on without its records")]
    Damaged { file: String, at: u64, reason: String },
    #[error("offset {wanted} is no longer in the log, which begins at {start}")]
    Gone { wanted: u64, start: u64 },
    #[error("{context}: {source}")]
    Io { context: String, source: std::io::Error },
}

/// The write-ahead log: what a 2xx promises is in here, synced.
pub trait Log: Send + Sync + 'static {
    /// Resolves once the records are fsynced.
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>>;
    /// Durable records from `from` on, at least one if there is one, then up to `bytes_max`. Blocking.
    fn read(&self, from: u64, bytes_max: usize) -> Result<Vec<(u64, Record)>, LogError>;
    /// Blocks until a record at `from` is durable (true) or the time is over (false).
    fn wait(&self, from: u64, timeout: Duration) -> bool;
    /// The oldest offset kept, and one past the newest durable one.
    fn range(&self) -> (u64, u64);
    /// Lets go of whole segments below `offset`.
    fn release(&self, offset: u64) -> Result<(), LogError>;
    /// Bytes kept on disk.
    fn bytes(&self) -> u64;
}
