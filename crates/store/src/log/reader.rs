//! Reading: from memory where the batch is still there, else from the file, a piece at a time.

use super::LogError;
use super::batch::{BATCH_HEADER_BYTES, BatchHeader, Records};
use super::files::io_error;
use super::segments::Shared;
use bytes::{Buf, Bytes};
use event::Record;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const READ_BYTES_MIN: u64 = 64 << 10;
const READ_BYTES_MAX: u64 = 4 << 20;

enum Place {
    Memory(Vec<(BatchHeader, Bytes)>),
    Disk { path: PathBuf, salt: u64, at: u64, end: u64 },
}

/// The records found so far, and how many bytes more are wanted.
struct Found {
    from: u64,
    records: Vec<(u64, Record)>,
    bytes_left: usize,
}

impl Found {
    fn wants_more(&self) -> bool {
        self.records.is_empty() || self.bytes_left > 0
    }

    /// `None` if the batch is not what its header says.
    fn take(&mut self, header: &BatchHeader, batch: Bytes) -> Option<()> {
        let mut reader = Records::new(header, batch);
        reader.skip_to(self.from)?;
        while !reader.is_done() && self.wants_more() {
            let (offset, record) = reader.next_record()?;
            self.bytes_left = self.bytes_left.saturating_sub(record.body.len() + record.source.len());
            self.records.push((offset, record));
        }
        Some(())
    }
}

impl Shared {
    pub fn read(&self, from: u64, bytes_max: usize) -> Result<Vec<(u64, Record)>, LogError> {
        let Some(place) = self.locate(from, bytes_max)? else { return Ok(Vec::new()) };
        let mut found = Found { from, records: Vec::new(), bytes_left: bytes_max };
        match place {
            Place::Memory(batches) => {
                for (header, batch) in batches {
                    found.take(&header, batch).expect("a batch in memory is as it was encoded");
                }
            }
            Place::Disk { path, salt, at, end } => match File::open(&path) {
                Ok(file) => SegmentReader { file: &file, path: &path, salt, end }.read(at, &mut found)?,
                // Released between the look and the open.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                    let start = self.state.lock().start();
                    return Err(LogError::Gone { wanted: from, start: start.max(from + 1) });
                }
                Err(e) => return Err(io_error(format!("opening {}", path.display()), e)),
            },
        }
        Ok(found.records)
    }

    fn locate(&self, from: u64, bytes_max: usize) -> Result<Option<Place>, LogError> {
        let state = self.state.lock();
        if from < state.start() {
            return Err(LogError::Gone { wanted: from, start: state.start() });
        }
        if from >= state.next {
            return Ok(None);
        }
        if state.recent.front().is_some_and(|(oldest, _)| oldest.first <= from) {
            let holds = state.recent.partition_point(|(header, _)| header.next() <= from);
            let mut bytes = 0;
            let wanted = state.recent.iter().skip(holds).take_while(|(_, batch)| {
                let before = bytes;
                bytes += batch.len();
                before == 0 || before < bytes_max
            });
            return Ok(Some(Place::Memory(wanted.cloned().collect())));
        }
        let segment = state.segment_of(from);
        Ok(Some(Place::Disk {
            path: segment.path.clone(),
            salt: segment.salt,
            at: segment.position_of(from),
            end: segment.bytes,
        }))
    }
}

struct SegmentReader<'a> {
    file: &'a File,
    path: &'a Path,
    salt: u64,
    end: u64,
}

impl SegmentReader<'_> {
    fn read(&self, mut at: u64, found: &mut Found) -> Result<(), LogError> {
        let ahead = (found.bytes_left as u64).clamp(READ_BYTES_MIN, READ_BYTES_MAX);
        let mut chunk = Bytes::new();
        while at < self.end && found.wants_more() {
            if chunk.len() < BATCH_HEADER_BYTES {
                chunk = self.read_at(at, ahead)?;
            }
            let header = BatchHeader::decode(&chunk, self.salt)
                .ok_or_else(|| self.damaged(at, "a batch's header fails its checksum"))?;
            let length = u64::from(header.length);
            if header.count == 0 || header.next() <= found.from {
                chunk.advance(chunk.len().min(length as usize));
            } else {
                if (chunk.len() as u64) < length {
                    chunk = self.read_at(at, ahead.max(length))?;
                }
                let batch = chunk.split_to(chunk.len().min(length as usize));
                if !header.body_is_intact(&batch) || found.take(&header, batch).is_none() {
                    return Err(self.damaged(at, "a batch's records fail their checksum"));
                }
            }
            at += length;
        }
        if found.records.is_empty() {
            return Err(self.damaged(at, "the file ends before a record that it should hold"));
        }
        Ok(())
    }

    fn read_at(&self, at: u64, bytes: u64) -> Result<Bytes, LogError> {
        let mut chunk = vec![0; bytes.min(self.end - at) as usize];
        match self.file.read_exact_at(&mut chunk, at) {
            Ok(()) => Ok(chunk.into()),
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(self.damaged(at, "the file is shorter than what was written to it"))
            }
            Err(e) => Err(io_error(format!("reading {}", self.path.display()), e)),
        }
    }

    fn damaged(&self, at: u64, reason: &str) -> LogError {
        LogError::Damaged { file: self.path.display().to_string(), at, reason: reason.into() }
    }
}
