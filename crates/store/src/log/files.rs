//! Files and folders: made, locked, replaced and synced.

use super::LogError;
use super::batch::SegmentHeader;
use super::segments::Segment;
use super::writer::WriteError;
use event::Timestamp;
use std::fs::{File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

pub fn now() -> Timestamp {
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros());
    Timestamp(i64::try_from(micros).unwrap_or(i64::MAX))
}

pub fn io_error(context: impl Into<String>, source: std::io::Error) -> LogError {
    LogError::Io { context: context.into(), source }
}

pub fn create_dir(dir: &Path) -> Result<(), LogError> {
    if dir.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(dir).map_err(|e| io_error(format!("creating {}", dir.display()), e))?;
    dir.parent().map_or(Ok(()), sync_dir)
}

pub fn lock(dir: &Path) -> Result<File, LogError> {
    let path = dir.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|e| io_error(format!("opening {}", path.display()), e))?;
    match lock_soon(&file) {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let context = format!("{} is in use by another process", dir.display());
            Err(io_error(context, std::io::ErrorKind::WouldBlock.into()))
        }
        Err(TryLockError::Error(e)) => Err(io_error(format!("locking {}", path.display()), e)),
    }
}

/// Waits a moment for a lock: a process that was just killed, or a child between fork and exec, may still hold
/// it.
pub fn lock_soon(file: &File) -> Result<(), TryLockError> {
    const TRIES: u32 = 40;
    const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);
    for _ in 1..TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            done => return done,
        }
    }
    file.try_lock()
}

/// A new file, or a removed one, is only as durable as its folder's entry.
pub fn sync_dir(dir: &Path) -> Result<(), LogError> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let synced = File::open(dir).and_then(|d| d.sync_all());
    synced.map_err(|e| io_error(format!("syncing the folder {}", dir.display()), e))
}

pub fn replace_file(dir: &Path, name: &str, content: &[u8]) -> Result<(), LogError> {
    let (path, new) = (dir.join(name), dir.join(format!("{name}.new")));
    let write = || {
        std::fs::write(&new, content)?;
        File::open(&new)?.sync_all()?;
        std::fs::rename(&new, &path)
    };
    write().map_err(|e| io_error(format!("writing {}", path.display()), e))?;
    sync_dir(dir)
}

pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

pub fn segment_path(dir: &Path, base: u64) -> PathBuf {
    dir.join(format!("{base:020}.log"))
}

/// A segment for the records from `base` on, in a log that ended at `after` before. The file exists,
/// durably and with its header, before the first batch goes into it.
pub fn create_segment(
    dir: &Path,
    after: u64,
    base: u64,
    begins_at: u64,
) -> Result<(Segment, File), WriteError> {
    let path = segment_path(dir, base);
    let salt = RandomState::new().hash_one(base);
    let header = SegmentHeader { salt, base, after };
    match create_file(&path, header) {
        Ok(file) => {
            sync_dir(dir).map_err(|e| WriteError::Broken(e.to_string()))?;
            Ok((Segment::new(path, salt, base, begins_at), file))
        }
        Err(e) if is_full(&e) => match std::fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Err(WriteError::Broken(format!("removing {}: {e}", path.display())))
            }
            _ => Err(WriteError::Full),
        },
        Err(e) => Err(WriteError::Broken(format!("creating {}: {e}", path.display()))),
    }
}

fn create_file(path: &Path, header: SegmentHeader) -> io::Result<File> {
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(path)?;
    file.write_all(&header.encode(now()))?;
    file.sync_all()?;
    Ok(file)
}

/// The same while a log is being opened, when nobody waits for an answer yet.
pub fn create_on_open(dir: &Path, after: u64, base: u64, begins_at: u64) -> Result<(Segment, File), LogError> {
    create_segment(dir, after, base, begins_at).map_err(|error| {
        let (kind, reason) = match error {
            WriteError::Full => (io::ErrorKind::StorageFull, "the disk is full".to_owned()),
            WriteError::Broken(reason) => (io::ErrorKind::Other, reason),
        };
        let context = format!("creating {}", segment_path(dir, base).display());
        LogError::Io { context, source: io::Error::new(kind, reason) }
    })
}
