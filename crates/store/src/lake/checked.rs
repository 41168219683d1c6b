//! Parquet files that notice a flipped bit.
//!
//! The Parquet writer puts no checksums on its pages, and zstd frames without a checksum decode a flipped
//! literal into a wrong value without complaint. So every 64 KiB block before the file's tail has a CRC-32C
//! in the footer's key-value metadata, and the tail (the last partial block, page indexes, footer) has its
//! length and CRC in the file's name: `part-<uuid>-<tail bytes, hex>-<crc, hex>.parquet`. Other readers see
//! an ordinary Parquet file.

use super::s3::file::RemoteFile;
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// Bytes per checksum.
pub(super) const BLOCK_BYTES: usize = 64 << 10;
/// Blocks kept by an open file, since pages of several columns are read in turn.
const BLOCKS_HELD_MAX: usize = 64;
/// The longest tail that is believed: indexes and footer of the largest file are a few MB.
const TAIL_BYTES_MAX: u64 = 256 << 20;
/// The footer's key for the block checksums, as hex of big-endian words.
pub(super) const CHECKSUMS_KEY: &str = "erne.crc32c";

/// Computes the checksums of what passes through.
pub(super) struct CheckedWriter {
    file: File,
    sums: Vec<u32>,
    sum: u32,
    filled: usize,
    sealed: bool,
    written: u64,
}

impl CheckedWriter {
    pub fn new(file: File) -> Self {
        Self { file, sums: Vec::new(), sum: 0, filled: 0, sealed: false, written: 0 }
    }

    /// Ends the blocks: the last partial one and all that follows is the tail. Answers the footer's value.
    pub fn seal(&mut self) -> String {
        self.sealed = true;
        let mut text = String::with_capacity(self.sums.len() * 8);
        for sum in &self.sums {
            text.push_str(&format!("{sum:08x}"));
        }
        text
    }

    /// The file, its size, and the part of its name that describes the tail.
    pub fn finish(self) -> (File, u64, String) {
        let tail = self.written - (self.sums.len() * BLOCK_BYTES) as u64;
        (self.file, self.written, format!("{tail:x}-{:08x}", self.sum))
    }
}

impl Write for CheckedWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let room = if self.sealed { bytes.len() } else { bytes.len().min(BLOCK_BYTES - self.filled) };
        let taken = self.file.write(&bytes[..room])?;
        self.sum = crc32c::crc32c_append(self.sum, &bytes[..taken]);
        self.filled += taken;
        self.written += taken as u64;
        if !self.sealed && self.filled == BLOCK_BYTES {
            self.sums.push(self.sum);
            (self.sum, self.filled) = (0, 0);
        }
        Ok(taken)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// A file whose reads are verified, if its name says how.
#[derive(Clone)]
pub(super) struct CheckedFile(Arc<Inner>);

/// Where a file's bytes come from.
enum Source {
    Disk(File),
    Remote(Arc<RemoteFile>),
}

struct Inner {
    source: Source,
    len: u64,
    /// The verified tail and where it begins; `None` for a file of another writer.
    tail: Option<(u64, Bytes)>,
    sums: OnceLock<Vec<u32>>,
    held: Mutex<VecDeque<(usize, Bytes)>>,
}

impl CheckedFile {
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        Self::new(Source::Disk(file), name, len)
    }

    /// A file in an object store; the Delta log knows its length.
    pub fn remote(file: Arc<RemoteFile>, path: &str, len: u64) -> Result<Self> {
        let name = path.rsplit('/').next().unwrap_or_default();
        let source = Source::Remote(file);
        Self::new(source, name, len)
    }

    fn new(source: Source, name: &str, len: u64) -> Result<Self> {
        let tail = tail_of(name).map(|(tail, sum)| read_tail(&source, len, tail, sum)).transpose()?;
        Ok(Self(Arc::new(Inner { source, len, tail, sums: OnceLock::new(), held: Mutex::default() })))
    }

    /// Whether a search must open the file anew, because the cache no longer keeps what it reads.
    pub fn stale(&self) -> bool {
        matches!(&self.0.source, Source::Remote(file) if file.stale())
    }

    /// Why the store did not answer, if that is why a read failed: then the file is not damaged.
    pub fn failure(&self) -> Option<String> {
        match &self.0.source {
            Source::Disk(_) => None,
            Source::Remote(file) => file.failure(),
        }
    }

    /// Gets what will be read with few requests. On local disk there is nothing to do.
    pub fn prefetch(&self, ranges: impl FnOnce() -> Vec<Range<u64>>) -> Result<()> {
        match (&self.0.source, self.0.sums.get()) {
            (Source::Remote(file), Some(sums)) => file.prefetch(&ranges(), sums),
            _ => Ok(()),
        }
    }

    /// Hands over the block checksums, once the footer is read.
    pub fn set_checksums(&self, hex: &str) -> Result<()> {
        let sums: Option<Vec<u32>> = (0..hex.len() / 8)
            .map(|i| u32::from_str_radix(hex.get(i * 8..i * 8 + 8)?, 16).ok())
            .collect();
        let sums = sums.ok_or_else(|| ParquetError::General("unreadable checksums".into()))?;
        self.0.sums.get_or_init(|| sums);
        Ok(())
    }
}

fn tail_of(name: &str) -> Option<(u64, u32)> {
    let mut parts = name.strip_prefix("part-")?.strip_suffix(".parquet")?.rsplit('-');
    let sum = u32::from_str_radix(parts.next().filter(|s| s.len() == 8)?, 16).ok()?;
    let tail = u64::from_str_radix(parts.next()?, 16).ok()?;
    // A UUID has five parts of its own.
    (parts.count() == 5).then_some((tail, sum))
}

fn read_tail(source: &Source, len: u64, tail: u64, sum: u32) -> Result<(u64, Bytes)> {
    if tail > len || tail > TAIL_BYTES_MAX || !(len - tail).is_multiple_of(BLOCK_BYTES as u64) {
        return Err(ParquetError::General(format!("the file has {len} bytes, which its name does not allow")));
    }
    let good = |bytes: &[u8]| crc32c::crc32c(bytes) == sum;
    let bytes = match source {
        Source::Disk(file) => {
            let mut bytes = BytesMut::zeroed(tail as usize);
            file.read_exact_at(&mut bytes, len - tail)?;
            bytes.freeze()
        }
        Source::Remote(file) => file.tail(len - tail..len, good)?,
    };
    if !good(&bytes) {
        return Err(ParquetError::General("the footer fails its checksum".into()));
    }
    Ok((len - tail, bytes))
}

impl Inner {
    fn block(&self, number: usize) -> Result<Bytes> {
        if let Some((_, bytes)) = self.held.lock().iter().find(|(n, _)| *n == number) {
            return Ok(bytes.clone());
        }
        let sums = self.sums.get().ok_or_else(|| ParquetError::General("the footer lacks checksums".into()))?;
        let sum = sums.get(number).ok_or_else(|| ParquetError::EOF("beyond the checksummed blocks".into()))?;
        let bytes = match &self.source {
            Source::Remote(file) => file.block(number, sums)?,
            Source::Disk(file) => {
                let mut bytes = BytesMut::zeroed(BLOCK_BYTES);
                file.read_exact_at(&mut bytes, (number * BLOCK_BYTES) as u64)?;
                bytes.freeze()
            }
        };
        if crc32c::crc32c(&bytes) != *sum {
            return Err(ParquetError::General(format!("block {number} fails its checksum")));
        }
        let mut held = self.held.lock();
        if held.len() >= BLOCKS_HELD_MAX {
            held.pop_front();
        }
        held.push_back((number, bytes.clone()));
        Ok(bytes)
    }

    /// Verified bytes at `at`, at least one, as far as they lie together.
    fn piece(&self, at: u64) -> Result<Bytes> {
        match &self.tail {
            Some((start, tail)) if at >= *start => {
                let from = (at - start) as usize;
                if from >= tail.len() {
                    return Err(ParquetError::EOF("beyond the end of the file".into()));
                }
                Ok(tail.slice(from..))
            }
            Some(_) => Ok(self.block(at as usize / BLOCK_BYTES)?.slice(at as usize % BLOCK_BYTES..)),
            None => self.unchecked(at),
        }
    }
}

impl Inner {
    /// Bytes of another writer's file, for which nobody can vouch.
    fn unchecked(&self, at: u64) -> Result<Bytes> {
        /// A request to a store costs more than its bytes.
        const REMOTE_PIECE_BYTES: u64 = 1 << 20;
        let left = self.len.saturating_sub(at);
        match &self.source {
            Source::Remote(_) if left == 0 => Err(ParquetError::EOF("beyond the end of the file".into())),
            Source::Remote(file) => file.raw(at..at + REMOTE_PIECE_BYTES.min(left)),
            Source::Disk(file) => {
                let mut bytes = BytesMut::zeroed(BLOCK_BYTES.min(left as usize));
                file.read_exact_at(&mut bytes, at)?;
                Ok(bytes.freeze())
            }
        }
    }
}

impl Length for CheckedFile {
    fn len(&self) -> u64 {
        self.0.len
    }
}

impl ChunkReader for CheckedFile {
    type T = PieceReader;

    fn get_read(&self, start: u64) -> Result<PieceReader> {
        Ok(PieceReader { file: self.clone(), at: start })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        if start.saturating_add(length as u64) > self.0.len {
            return Err(ParquetError::EOF("beyond the end of the file".into()));
        }
        if length == 0 {
            return Ok(Bytes::new());
        }
        let first = self.0.piece(start)?;
        if first.len() >= length {
            return Ok(first.slice(..length));
        }
        let mut bytes = BytesMut::with_capacity(length);
        bytes.extend_from_slice(&first);
        while bytes.len() < length {
            let piece = self.0.piece(start + bytes.len() as u64)?;
            bytes.extend_from_slice(&piece[..piece.len().min(length - bytes.len())]);
        }
        Ok(bytes.freeze())
    }
}

pub(super) struct PieceReader {
    file: CheckedFile,
    at: u64,
}

impl Read for PieceReader {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.at >= self.file.0.len || out.is_empty() {
            return Ok(0);
        }
        let piece = self.file.0.piece(self.at).map_err(std::io::Error::other)?;
        let len = piece.len().min(out.len());
        out[..len].copy_from_slice(&piece[..len]);
        self.at += len as u64;
        Ok(len)
    }
}
