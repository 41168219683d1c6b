//! One Parquet file in the store, read in verified blocks through the cache.

use super::cache::Entry;
use super::{Failure, S3};
use crate::lake::LakeError;
use crate::lake::checked::BLOCK_BYTES;
use bytes::Bytes;
use parking_lot::Mutex;
use parquet::errors::{ParquetError, Result};
use std::collections::VecDeque;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Blocks read along with one that was not asked for ahead: a bloom filter or dictionary has one to four. A reader
/// that comes back for the next ones gets twice as many each time, up to `RUN_BLOCKS_MAX`.
const READ_AHEAD_BLOCKS: usize = 4;
/// Readers of one file that are told apart by where they stopped: the columns of a wide batch are read in turn.
const READERS_MAX: usize = 128;
/// Two runs with a gap of at most this many blocks are one request.
const GAP_BLOCKS_MAX: usize = 4;
/// Blocks of one request; longer runs are read by several at once.
const RUN_BLOCKS_MAX: usize = 64;
/// Blocks fetched by one call of `prefetch`, which holds them in memory before they are written: 64 MB.
const PREFETCH_BLOCKS_MAX: usize = 1_024;

pub(in crate::lake) struct RemoteFile {
    s3: Arc<S3>,
    path: String,
    entry: Arc<Entry>,
    /// The cache's file; `None` if it cannot be opened, as on a full disk.
    local: Option<File>,
    /// Blocks that were read from the cache or put into it by this handle.
    known: Vec<AtomicU64>,
    /// What the network did last, so that a failure of it is not taken for damage.
    failure: Mutex<Option<String>>,
    /// Where reads ahead ended, and how far they went.
    ahead: Mutex<VecDeque<(usize, usize)>>,
    warned: AtomicBool,
}

impl RemoteFile {
    pub fn new(s3: Arc<S3>, path: &str, len: u64) -> Self {
        let entry = s3.cache.entry(path);
        let local = open_local(&entry);
        let words = (len as usize / BLOCK_BYTES).div_ceil(64) + 1;
        let known = (0..words).map(|_| AtomicU64::new(0)).collect();
        Self { s3, path: path.to_owned(), entry, local, known, failure: Mutex::default(), ahead: Mutex::default(), warned: AtomicBool::new(false) }
    }

    /// Whether the cache has let go of the file: it should be opened anew.
    pub fn stale(&self) -> bool {
        self.entry.gone()
    }

    /// Why the store did not answer, if that is why a read failed.
    pub fn failure(&self) -> Option<String> {
        self.failure.lock().clone()
    }

    /// Bytes without a checksum: a file of another writer. They are not kept.
    pub fn raw(&self, range: Range<u64>) -> Result<Bytes> {
        self.fetch(vec![range]).map(|mut read| read.pop().unwrap_or_default())
    }

    /// The file's tail, from the cache if `good` says so.
    pub fn tail(&self, range: Range<u64>, good: impl Fn(&[u8]) -> bool) -> Result<Bytes> {
        let mut bytes = vec![0; (range.end - range.start) as usize];
        if let Some(local) = &self.local
            && local.read_exact_at(&mut bytes, range.start).is_ok()
            && good(&bytes)
        {
            return Ok(bytes.into());
        }
        let read = self.raw(range.clone())?;
        if good(&read) {
            self.keep(range.start, &read, read.len() as u64);
        }
        Ok(read)
    }

    /// A block whose checksum is `sums[number]`.
    pub fn block(&self, number: usize, sums: &[u32]) -> Result<Bytes> {
        if let Some(bytes) = self.cached(number, sums) {
            return Ok(bytes);
        }
        let ahead = self.read_ahead(number);
        let mut end = number + 1;
        while end < sums.len() && end - number < ahead && !self.is_known(end) {
            end += 1;
        }
        self.remember(end, ahead);
        let mut blocks = self.fetch_blocks(vec![number..end], sums)?;
        if blocks.is_empty() {
            return Err(ParquetError::EOF("the store sent nothing".into()));
        }
        Ok(blocks.swap_remove(0))
    }

    /// Gets the blocks of `ranges` that are not here, close ones with one request, several at once.
    pub fn prefetch(&self, ranges: &[Range<u64>], sums: &[u32]) -> Result<()> {
        let mut wanted: Vec<usize> = ranges
            .iter()
            .filter(|r| r.end > r.start)
            .flat_map(|r| r.start as usize / BLOCK_BYTES..(r.end as usize).div_ceil(BLOCK_BYTES))
            .filter(|n| *n < sums.len())
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        wanted.retain(|n| !self.is_known(*n) && self.cached(*n, sums).is_none());
        for part in wanted.chunks(PREFETCH_BLOCKS_MAX) {
            self.fetch_blocks(runs(part), sums)?;
        }
        Ok(())
    }

    /// How many blocks to read from this one on.
    fn read_ahead(&self, number: usize) -> usize {
        let mut ends = self.ahead.lock();
        let before = ends.iter().position(|(end, _)| *end == number).and_then(|at| ends.remove(at));
        before.map_or(READ_AHEAD_BLOCKS, |(_, ahead)| (ahead * 2).min(RUN_BLOCKS_MAX))
    }

    fn remember(&self, end: usize, ahead: usize) {
        let mut ends = self.ahead.lock();
        if ends.len() >= READERS_MAX {
            ends.pop_front();
        }
        ends.push_back((end, ahead));
    }

    fn is_known(&self, number: usize) -> bool {
        self.known.get(number / 64).is_some_and(|w| w.load(Ordering::Relaxed) >> (number % 64) & 1 == 1)
    }

    fn cached(&self, number: usize, sums: &[u32]) -> Option<Bytes> {
        let mut bytes = vec![0; BLOCK_BYTES];
        self.local.as_ref()?.read_exact_at(&mut bytes, (number * BLOCK_BYTES) as u64).ok()?;
        let good = crc32c::crc32c(&bytes) == *sums.get(number)?;
        if good {
            self.know(number);
        } else if self.is_known(number) && !self.stale() {
            tracing::warn!(file = %self.entry.path.display(), block = number, "a cached block went bad and is read from the store again");
        }
        good.then(|| bytes.into())
    }

    fn know(&self, number: usize) {
        if let Some(word) = self.known.get(number / 64) {
            word.fetch_or(1 << (number % 64), Ordering::Relaxed);
        }
    }

    /// Reads runs of blocks, verifies and keeps them. The answer holds all blocks in order.
    fn fetch_blocks(&self, runs: Vec<Range<usize>>, sums: &[u32]) -> Result<Vec<Bytes>> {
        let at = |block: usize| (block * BLOCK_BYTES) as u64;
        let read = self.fetch(runs.iter().map(|r| at(r.start)..at(r.end)).collect())?;
        let mut blocks = Vec::new();
        for (run, bytes) in runs.into_iter().zip(read) {
            if bytes.len() != run.len() * BLOCK_BYTES {
                return Err(ParquetError::EOF(format!("block {} ends early in the store", run.start)));
            }
            for (i, number) in run.clone().enumerate() {
                let block = bytes.slice(i * BLOCK_BYTES..(i + 1) * BLOCK_BYTES);
                if crc32c::crc32c(&block) != sums[number] {
                    return Err(ParquetError::General(format!("block {number} fails its checksum")));
                }
                blocks.push(block);
            }
            let fresh = run.clone().filter(|number| !self.is_known(*number)).count() * BLOCK_BYTES;
            if self.keep(at(run.start), &bytes, fresh as u64) {
                run.for_each(|number| self.know(number));
            }
        }
        Ok(blocks)
    }

    fn fetch(&self, ranges: Vec<Range<u64>>) -> Result<Vec<Bytes>> {
        match self.s3.get_ranges(&self.path, ranges) {
            Ok(read) => {
                *self.failure.lock() = None;
                Ok(read)
            }
            Err(failure) => {
                let missing = matches!(&failure, Failure::Store(object_store::Error::NotFound { .. }));
                if missing && !super::explain::is_missing_bucket(&failure) {
                    return Err(ParquetError::General("it is not in the bucket".into()));
                }
                if super::explain::is_too_short(&failure) {
                    return Err(ParquetError::EOF("it is shorter in the bucket than the table says".into()));
                }
                let text = match self.s3.explain(&self.path, &failure) {
                    LakeError::Failed(text) => text,
                    other => other.to_string(),
                };
                *self.failure.lock() = Some(text.clone());
                Err(ParquetError::General(text))
            }
        }
    }

    /// Puts bytes into the cache, `fresh` of which were not there. That this fails costs speed only.
    fn keep(&self, at: u64, bytes: &[u8], fresh: u64) -> bool {
        let Some(local) = self.local.as_ref().filter(|_| !self.stale()) else { return false };
        match local.write_all_at(bytes, at) {
            Ok(()) => {
                self.s3.cache.grow(&self.entry, fresh);
                true
            }
            Err(error) => {
                if !self.warned.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, file = %self.entry.path.display(), "the lake's cache cannot be written; reads come from the store");
                }
                false
            }
        }
    }
}

fn open_local(entry: &Entry) -> Option<File> {
    std::fs::create_dir_all(entry.path.parent()?).ok()?;
    File::options().read(true).write(true).create(true).truncate(false).open(&entry.path).ok()
}

/// Neighbours, and neighbours but for a small gap, as runs of bounded length.
fn runs(blocks: &[usize]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for block in blocks {
        match runs.last_mut() {
            Some(last) if block - last.end <= GAP_BLOCKS_MAX && block - last.start < RUN_BLOCKS_MAX => last.end = block + 1,
            _ => runs.push(*block..block + 1),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_blocks_are_one_request_and_far_ones_are_not() {
        assert!(runs(&[]).is_empty());
        assert_eq!(runs(&[3]), vec![3..4]);
        assert_eq!(runs(&[0, 1, 2, 7, 20]), vec![0..8, 20..21]);
        let long: Vec<usize> = (0..150).collect();
        assert_eq!(runs(&long), vec![0..64, 64..128, 128..150]);
    }
}
