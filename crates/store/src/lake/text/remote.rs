//! An index as an object in a store.
//!
//! Behind the bytes of the index stand a CRC-32C for each full block of 64 KiB and one for all that follows the last
//! full block, so that blocks can be read one by one, and what the cache holds of them proves itself, as with the
//! data files (see `checked`). Only the length of the object need be known, which the list of objects tells:
//!
//! ```text
//! full blocks | rest of the index (< 64 KiB) | 8 hex digits a block | 8 hex digits of the rest and these
//! ```

use crate::lake::LakeError;
use crate::lake::checked::BLOCK_BYTES;
use crate::lake::s3::file::RemoteFile;
use bytes::Bytes;
use index::IndexError;
use parking_lot::Mutex;
use std::borrow::Cow;
use std::io;
use std::io::Write;
use std::sync::Arc;

const BLOCK: u64 = BLOCK_BYTES as u64;
/// Bytes of a checksum.
const SUM: u64 = 8;

/// Lets `fill` write an index and adds the checksums. Answers the bytes of both.
pub fn write(out: &mut dyn Write, fill: impl FnOnce(&mut dyn Write) -> Result<u64, LakeError>) -> Result<u64, LakeError> {
    let mut summing = Summing { out, sums: String::new(), sum: 0, filled: 0, written: 0 };
    fill(&mut summing)?;
    let Summing { out, sums, sum, written, .. } = summing;
    let last = crc32c::crc32c_append(sum, sums.as_bytes());
    let end = format!("{sums}{last:08x}");
    out.write_all(end.as_bytes()).map_err(IndexError::from)?;
    Ok(written + end.len() as u64)
}

struct Summing<'a> {
    out: &'a mut dyn Write,
    /// Of the full blocks.
    sums: String,
    /// Of the block that is not full yet.
    sum: u32,
    filled: usize,
    written: u64,
}

impl Write for Summing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.out.write(&bytes[..bytes.len().min(BLOCK_BYTES - self.filled)])?;
        self.sum = crc32c::crc32c_append(self.sum, &bytes[..taken]);
        self.filled += taken;
        self.written += taken as u64;
        if self.filled == BLOCK_BYTES {
            self.sums.push_str(&format!("{:08x}", self.sum));
            (self.sum, self.filled) = (0, 0);
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The bytes of an index, verified block by block.
pub struct Source {
    file: Arc<RemoteFile>,
    sums: Vec<u32>,
    /// What follows the full blocks.
    tail: Bytes,
    /// Of the index, without what is added here.
    len: u64,
    /// The block read last: lists of neighbouring words lie in the same one.
    held: Mutex<Option<(usize, Bytes)>>,
}

impl Source {
    pub fn open(file: Arc<RemoteFile>, object_bytes: u64) -> Result<Self, IndexError> {
        let parts = object_bytes.checked_sub(SUM).map(|b| (b / (BLOCK + SUM), b % (BLOCK + SUM)));
        let (blocks, rest) = parts.filter(|(_, rest)| *rest < BLOCK).ok_or(IndexError::Damaged("its length is wrong"))?;
        let tail = file.tail(blocks * BLOCK..object_bytes, is_whole).map_err(other)?;
        if !is_whole(&tail) {
            return Err(IndexError::Damaged("its end fails its checksum"));
        }
        let sums = tail[rest as usize..tail.len() - SUM as usize].chunks_exact(SUM as usize).map(|s| number(s));
        let sums: Option<Vec<u32>> = sums.collect();
        let sums = sums.ok_or(IndexError::Damaged("its checksums make no sense"))?;
        let tail = tail.slice(..rest as usize);
        Ok(Self { file, sums, tail, len: blocks * BLOCK + rest, held: Mutex::default() })
    }

    /// Verified bytes at `at`, at least one, as far as they lie together.
    fn piece(&self, at: u64) -> io::Result<Bytes> {
        let (number, within) = ((at / BLOCK) as usize, (at % BLOCK) as usize);
        if number >= self.sums.len() {
            return Ok(self.tail.slice(within..));
        }
        let mut held = self.held.lock();
        if let Some((_, bytes)) = held.as_ref().filter(|(n, _)| *n == number) {
            return Ok(bytes.slice(within..));
        }
        let bytes = self.file.block(number, &self.sums).map_err(other)?;
        *held = Some((number, bytes.clone()));
        Ok(bytes.slice(within..))
    }
}

impl index::Source for Source {
    fn len(&self) -> io::Result<u64> {
        Ok(self.len)
    }

    fn read(&self, at: u64, len: usize) -> io::Result<Cow<'_, [u8]>> {
        let end = at.checked_add(len as u64).filter(|end| *end <= self.len).ok_or(io::ErrorKind::UnexpectedEof)?;
        if len as u64 > BLOCK {
            self.file.prefetch(&[at..end], &self.sums).map_err(other)?;
        }
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let piece = self.piece(at + bytes.len() as u64)?;
            bytes.extend_from_slice(&piece[..piece.len().min(len - bytes.len())]);
        }
        Ok(bytes.into())
    }
}

fn other(error: parquet::errors::ParquetError) -> io::Error {
    io::Error::other(error)
}

fn number(hex: &[u8]) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()
}

fn is_whole(tail: &[u8]) -> bool {
    tail.split_last_chunk::<{ SUM as usize }>().is_some_and(|(bytes, sum)| number(sum) == Some(crc32c::crc32c(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_stand_behind_the_bytes() {
        for len in [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES + 7] {
            let index: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            let mut object = Vec::new();
            let written = write(&mut object, |out| {
                index.chunks(999).try_for_each(|part| out.write_all(part)).map_err(IndexError::from)?;
                Ok(index.len() as u64)
            });
            assert_eq!(written.unwrap(), object.len() as u64);
            let blocks = len / BLOCK_BYTES;
            assert_eq!(object.len(), len + 8 * (blocks + 1));
            assert_eq!(object[..len], index);
            assert!(is_whole(&object[blocks * BLOCK_BYTES..]), "{len}");
            for block in 0..blocks {
                let sum = number(&object[len + 8 * block..][..8]);
                assert_eq!(sum, Some(crc32c::crc32c(&index[block * BLOCK_BYTES..][..BLOCK_BYTES])));
            }
        }
    }
}
