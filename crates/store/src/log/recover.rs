//! Opening: what is in the folder, whether it is whole, and which idempotency keys are still known.
//!
//! Every file but the last was synced to its end before its successor was made, so anything wrong with
//! one of those is damage. In the last one a batch that fails its checksum is either the write that a
//! power cut or a kill interrupted, which nobody was answered for, or damage to something that was
//! acknowledged; a later batch that was written after the broken one was synced decides.
//!
//! A damaged file stops the start. Whoever has no copy of it renames it from `.log` to `.lost`: the log then
//! opens without its records, and says so at every start until they are released.
//!
//! The last file is checked byte by byte. Of the others only the batch headers are (a gigabyte in less
//! than a second); their records are checked whenever they are read.

use super::batch::{
    BATCH_HEADER_BYTES, BATCH_MAGIC, BatchHeader, NO_KEY, SEGMENT_HEADER_BYTES, SegmentHeader,
};
use super::dedup::{Dedup, Seen};
use super::files::{create_on_open, io_error, now, segment_path, sync_dir};
use super::segments::{LogConfig, Segment};
use super::LogError;
use event::Timestamp;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The idempotency keys of batches whose segments are gone.
pub const KEYS_FILE: &str = "keys";
/// Headers are looked for in pieces of this size.
const LOOK_BYTES: usize = 16 << 10;
/// The rest of a file behind a broken batch is searched in pieces of this size.
const SEARCH_BYTES: usize = 1 << 20;

pub struct Recovered {
    pub segments: VecDeque<Segment>,
    pub dedup: Dedup,
    pub notices: Vec<String>,
    /// The last segment, positioned at its end.
    pub file: File,
    pub sealed: bool,
}

pub fn recover(dir: &Path, config: &LogConfig) -> Result<Recovered, LogError> {
    let mut recovery = Recovery {
        dir,
        segments: VecDeque::new(),
        dedup: Dedup::new(config.dedup_secs, config.dedup_keys_max),
        notices: Vec::new(),
        now: now(),
    };
    recovery.read_keys()?;
    recovery.run(config.next_offset_min)
}

struct Recovery<'a> {
    dir: &'a Path,
    segments: VecDeque<Segment>,
    dedup: Dedup,
    notices: Vec<String>,
    now: Timestamp,
}

/// One file being walked through.
struct Walk<'a> {
    path: &'a Path,
    file: &'a File,
    bytes: u64,
    /// Check the records too, not only the headers.
    whole: bool,
}

/// Where a walk had to end early.
struct Broken {
    at: u64,
    reason: &'static str,
}

impl Recovery<'_> {
    fn run(mut self, next_offset_min: u64) -> Result<Recovered, LogError> {
        let mut bases = self.list()?;
        let last = bases.pop();
        for base in bases {
            self.add_closed(base)?;
        }
        let (mut file, mut sealed) = match last {
            Some(base) => self.add_last(base)?,
            None => (self.create(next_offset_min)?, true),
        };
        let next = self.segments.back().map_or(0, |s| s.next);
        if next < next_offset_min {
            self.notices.push(format!(
                "the log ends at offset {next}, but records up to {next_offset_min} were processed: files were \
                 lost; it goes on at {next_offset_min}"
            ));
            (file, sealed) = (self.create(next_offset_min)?, true);
        }
        let Self { segments, dedup, notices, .. } = self;
        Ok(Recovered { segments, dedup, notices, file, sealed })
    }

    fn list(&mut self) -> Result<Vec<u64>, LogError> {
        let failed = |e| io_error(format!("listing {}", self.dir.display()), e);
        let mut bases = Vec::new();
        for entry in std::fs::read_dir(self.dir).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let Some(stem) = name.to_str().and_then(|n| n.strip_suffix(".log")) else { continue };
            match stem.parse() {
                Ok(base) if stem.len() == 20 => bases.push(base),
                _ => self.notices.push(format!("{}: not a segment, ignored", name.display())),
            }
        }
        bases.sort_unstable();
        Ok(bases)
    }

    fn read_keys(&mut self) -> Result<(), LogError> {
        let path = self.dir.join(KEYS_FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(io_error(format!("reading {}", path.display()), e)),
        };
        match Dedup::read_snapshot(&bytes) {
            Some(keys) => keys.into_iter().for_each(|seen| self.dedup.insert(seen, self.now)),
            None => self.notices.push(format!(
                "{}: damaged, ignored: a request that is retried now may be stored twice",
                path.display()
            )),
        }
        Ok(())
    }

    fn create(&mut self, base: u64) -> Result<File, LogError> {
        let after = self.segments.back().map_or(base, |s| s.next);
        let (segment, file) = create_on_open(self.dir, after, base, self.begins_at())?;
        self.segments.push_back(segment);
        Ok(file)
    }

    fn begins_at(&self) -> u64 {
        self.segments.back().map_or(0, |s| s.begins_at + s.bytes)
    }

    fn add_closed(&mut self, base: u64) -> Result<(), LogError> {
        let path = segment_path(self.dir, base);
        let (file, bytes) = open(&path, OpenOptions::new().read(true))?;
        let walk = Walk { path: &path, file: &file, bytes, whole: false };
        let mut segment = self.begin(&walk, base)?;
        let (_, broken) = self.walk(&walk, &mut segment)?;
        if let Some(Broken { at, reason }) = broken {
            return Err(walk.damaged(at, reason));
        }
        self.segments.push_back(segment);
        Ok(())
    }

    fn add_last(&mut self, base: u64) -> Result<(File, bool), LogError> {
        let path = segment_path(self.dir, base);
        let (mut file, bytes) = open(&path, OpenOptions::new().read(true).write(true))?;
        if bytes <= SEGMENT_HEADER_BYTES as u64 && read_segment_header(&file).is_none() {
            self.notices.push(format!("{}: made when the machine stopped, made anew", path.display()));
            return Ok((self.create(base)?, true));
        }
        let walk = Walk { path: &path, file: &file, bytes, whole: true };
        let mut segment = self.begin(&walk, base)?;
        let (sealed, broken) = self.walk(&walk, &mut segment)?;
        if let Some(Broken { at, reason }) = broken {
            if walk.was_synced(at, segment.salt)? {
                return Err(walk.damaged(at, reason));
            }
            self.cut(&walk, at)?;
        }
        // What a killed process wrote may so far be in the page cache only, and is about to be relied on.
        let ready = file.sync_all().and_then(|()| file.seek(SeekFrom::Start(segment.bytes)));
        ready.map_err(|e| io_error(format!("syncing {}", path.display()), e))?;
        sync_dir(self.dir)?;
        self.segments.push_back(segment);
        Ok((file, sealed))
    }

    fn begin(&mut self, walk: &Walk<'_>, base: u64) -> Result<Segment, LogError> {
        let header = read_segment_header(walk.file)
            .ok_or_else(|| walk.damaged(0, "the file's header fails its checksum"))?;
        if header.base != base {
            return Err(walk.damaged(0, "the file's name is not the offset of its first record"));
        }
        if let Some(next) = self.segments.back().map(|previous| previous.next)
            && next != header.after
        {
            if !segment_path(self.dir, next).with_extension("lost").exists() {
                return Err(walk.damaged(0, "the records before this file are missing"));
            }
            self.notices.push(format!("the records {next} to {} are lost", base.saturating_sub(1)));
        }
        Ok(Segment::new(walk.path.to_owned(), header.salt, base, self.begins_at()))
    }

    /// Takes in all whole batches; tells whether the last one is a seal.
    fn walk(&mut self, walk: &Walk<'_>, segment: &mut Segment) -> Result<(bool, Option<Broken>), LogError> {
        let mut look = Look { walk, at: 0, buffer: Vec::new() };
        let mut sealed = true;
        while segment.bytes < walk.bytes {
            let at = segment.bytes;
            let header = BatchHeader::decode(look.bytes(at, BATCH_HEADER_BYTES, LOOK_BYTES)?, segment.salt);
            let Some(header) = header.filter(|h| h.first == segment.next) else {
                return Ok((sealed, Some(Broken { at, reason: "a batch's header fails its checksum" })));
            };
            let length = header.length as usize;
            if at + length as u64 > walk.bytes {
                return Ok((sealed, Some(Broken { at, reason: "the file ends inside a batch" })));
            }
            if walk.whole && !header.body_is_intact(look.bytes(at, length, LOOK_BYTES)?) {
                return Ok((sealed, Some(Broken { at, reason: "a batch's records fail their checksum" })));
            }
            segment.push(&header);
            sealed = header.count == 0;
            self.remember(&header);
        }
        Ok((sealed, None))
    }

    fn remember(&mut self, header: &BatchHeader) {
        if header.key != NO_KEY {
            let (key, first, next, written) = (header.key, header.first, header.next(), header.written);
            self.dedup.insert(Seen { key, first, next, written }, self.now);
        }
    }

    fn cut(&mut self, walk: &Walk<'_>, at: u64) -> Result<(), LogError> {
        self.notices.push(format!(
            "{}: the last write was interrupted; its {} bytes from byte {at} on, never acknowledged, were removed",
            walk.path.display(),
            walk.bytes - at
        ));
        walk.file.set_len(at).map_err(|e| io_error(format!("cutting {}", walk.path.display()), e))
    }
}

impl Walk<'_> {
    fn damaged(&self, at: u64, reason: &str) -> LogError {
        LogError::Damaged { file: self.path.display().to_string(), at, reason: reason.into() }
    }

    /// Whether some batch from `broken_at` on was written after the one there had been synced.
    fn was_synced(&self, broken_at: u64, salt: u64) -> Result<bool, LogError> {
        let mut look = Look { walk: self, at: 0, buffer: Vec::new() };
        let mut at = broken_at;
        while at < self.bytes {
            let bytes = look.bytes(at, SEARCH_BYTES, SEARCH_BYTES)?;
            let proves = |header: BatchHeader| header.synced > broken_at;
            let found = bytes.windows(BATCH_MAGIC.len()).enumerate().any(|(i, magic)| {
                magic == BATCH_MAGIC && BatchHeader::decode(&bytes[i..], salt).is_some_and(proves)
            });
            if found {
                return Ok(true);
            }
            // The next piece overlaps, for a header across the border.
            at += (bytes.len().saturating_sub(BATCH_HEADER_BYTES - 1)).max(1) as u64;
        }
        Ok(false)
    }
}

/// Reads ahead, so that a million small batches are not a million system calls.
struct Look<'a> {
    walk: &'a Walk<'a>,
    at: u64,
    buffer: Vec<u8>,
}

impl Look<'_> {
    /// The `wanted` bytes at `at`, fewer only at the end of the file.
    fn bytes(&mut self, at: u64, wanted: usize, ahead: usize) -> Result<&[u8], LogError> {
        let end = (at + wanted as u64).min(self.walk.bytes);
        if at < self.at || end > self.at + self.buffer.len() as u64 {
            let bytes = (wanted.max(ahead) as u64).min(self.walk.bytes - at);
            self.buffer.resize(bytes as usize, 0);
            let read = self.walk.file.read_exact_at(&mut self.buffer, at);
            read.map_err(|e| io_error(format!("reading {}", self.walk.path.display()), e))?;
            self.at = at;
        }
        Ok(&self.buffer[(at - self.at) as usize..(end - self.at) as usize])
    }
}

fn read_segment_header(file: &File) -> Option<SegmentHeader> {
    let mut bytes = [0; SEGMENT_HEADER_BYTES];
    file.read_exact_at(&mut bytes, 0).ok()?;
    SegmentHeader::decode(&bytes)
}

fn open(path: &PathBuf, options: &OpenOptions) -> Result<(File, u64), LogError> {
    let opened = options.open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (bytes, file) = opened.map_err(|e| io_error(format!("opening {}", path.display()), e))?;
    Ok((file, bytes))
}
