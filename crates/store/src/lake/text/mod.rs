//! The text indexes beside the table's files: `_index/<path of the file>.idx`.
//!
//! An index is a function of its file and nothing more: it is written after the file in the background, is not
//! synced, and is made again when it is missing, damaged or of another version. Meanwhile the column is read, with
//! the same result. Readers and vacuums of Delta tables pass over folders that begin with `_`.

mod answer;
mod work;

pub(super) use answer::Text;

use super::file::DataFile;
use super::{LakeError, io_error};
use index::{Index, IndexError};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const FOLDER: &str = "_index";
const STAGED: &str = ".tmp-";
/// A file whose index could not be written is tried again after this long.
const RETRY: Duration = Duration::from_secs(60);

/// The indexes of one table.
pub(super) struct Texts {
    table: PathBuf,
    /// Whether this process writes the table: one that only reads leaves damaged indexes alone.
    writes: bool,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Bytes of each index, by the path of its file.
    bytes: HashMap<String, u64>,
    failed: HashMap<String, Instant>,
    /// Why the last index could not be written, until one can.
    error: Option<String>,
}

impl Texts {
    pub fn new(table: &Path, writes: bool) -> Self {
        Self { table: table.to_owned(), writes, known: Mutex::default() }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.table.join(FOLDER).join(format!("{file}.idx"))
    }

    /// Finds the indexes on disk. The writer removes those of files that are not `kept`, and what a kill left.
    pub fn find(&self, kept: &HashSet<&str>) -> Result<(), LakeError> {
        let folder = self.table.join(FOLDER);
        let mut known = self.known.lock();
        for day in entries(&folder)? {
            for index in entries(&day)? {
                let relative = index.strip_prefix(&folder).ok().and_then(Path::to_str);
                let file = relative.and_then(|r| r.strip_suffix(".idx"));
                if let Some(file) = file.filter(|f| kept.contains(*f)) {
                    let bytes = index.metadata().map_err(|e| io_error(&index, e))?.len();
                    known.bytes.insert(file.to_owned(), bytes);
                } else if self.writes {
                    std::fs::remove_file(&index).map_err(|e| io_error(&index, e))?;
                }
            }
            if self.writes {
                // Goes only if it is empty.
                let _ = std::fs::remove_dir(&day);
            }
        }
        Ok(())
    }

    /// Bytes of all indexes, and how many of these files have none.
    pub fn count(&self, files: &[Arc<DataFile>]) -> (u64, u64) {
        let known = self.known.lock();
        let missing = files.iter().filter(|f| !known.bytes.contains_key(&f.path)).count();
        (known.bytes.values().sum(), missing as u64)
    }

    pub fn error(&self) -> Option<String> {
        self.known.lock().error.clone()
    }

    /// The newest of these files that lacks an index, and has not just failed to get one.
    fn next(&self, files: &[Arc<DataFile>]) -> Option<Arc<DataFile>> {
        let mut known = self.known.lock();
        known.failed.retain(|_, at| at.elapsed() < RETRY);
        let lacks = |f: &&Arc<DataFile>| !known.bytes.contains_key(&f.path) && !known.failed.contains_key(&f.path);
        files.iter().filter(lacks).max_by_key(|f| f.time_max).cloned()
    }

    fn has(&self, file: &str) -> bool {
        self.known.lock().bytes.contains_key(file)
    }

    /// The index of a file of so many rows, if it has a whole one. A damaged one is made again.
    fn open(&self, file: &str, rows: u64) -> Option<Index> {
        if !self.has(file) {
            return None;
        }
        let opened = File::open(self.path(file)).map_err(IndexError::from).and_then(|f| Index::open(Box::new(f)));
        match opened {
            Ok(index) if u64::from(index.row_count()) == rows => Some(index),
            Ok(_) => {
                self.damaged(file, "it has another number of rows than its file");
                None
            }
            Err(error) => {
                self.damaged(file, error);
                None
            }
        }
    }

    /// Takes an index out of use; the writer makes it again.
    fn damaged(&self, file: &str, reason: impl std::fmt::Display) {
        tracing::warn!("{}: {reason}; searches read the column until it is made again", self.path(file).display());
        if self.writes {
            // One that stays is replaced by the new one.
            let _ = std::fs::remove_file(self.path(file));
        }
        self.known.lock().bytes.remove(file);
    }

    /// Writes the index of a file: whole, or not at all. `ready` is asked before it gets its name.
    fn write(
        &self,
        file: &str,
        fill: impl FnOnce(&mut dyn Write) -> Result<u64, LakeError>,
        ready: impl FnOnce() -> Result<(), LakeError>,
    ) -> Result<(), LakeError> {
        let path = self.path(file);
        let folder = path.parent().unwrap_or(&self.table);
        std::fs::create_dir_all(folder).map_err(|e| io_error(folder, e))?;
        let staged = folder.join(format!("{STAGED}{}", uuid::Uuid::new_v4()));
        let written = self.write_staged(&staged, &path, fill, ready);
        match &written {
            Ok(bytes) => {
                let mut known = self.known.lock();
                known.bytes.insert(file.to_owned(), *bytes);
                known.failed.remove(file);
                known.error = None;
            }
            Err(_) => {
                // What stays is removed at the next start.
                let _ = std::fs::remove_file(&staged);
            }
        }
        written.map(|_| ())
    }

    fn write_staged(
        &self,
        staged: &Path,
        path: &Path,
        fill: impl FnOnce(&mut dyn Write) -> Result<u64, LakeError>,
        ready: impl FnOnce() -> Result<(), LakeError>,
    ) -> Result<u64, LakeError> {
        let mut out = BufWriter::new(File::create_new(staged).map_err(|e| io_error(staged, e))?);
        let bytes = fill(&mut out)?;
        out.flush().map_err(|e| io_error(staged, e))?;
        ready()?;
        std::fs::rename(staged, path).map_err(|e| io_error(path, e))?;
        Ok(bytes)
    }

    fn failed(&self, file: &str, error: &LakeError) {
        let mut known = self.known.lock();
        known.failed.insert(file.to_owned(), Instant::now());
        known.error = Some(format!("writing a text index of the lake: {error}"));
    }

    /// Removes the index of a file that is no longer needed.
    pub fn forget(&self, file: &str) {
        let known = {
            let mut known = self.known.lock();
            known.failed.remove(file);
            known.bytes.remove(file).is_some()
        };
        if known {
            let path = self.path(file);
            // What stays is removed at the next start, since no file has its name.
            let _ = std::fs::remove_file(&path);
            let _ = path.parent().map(std::fs::remove_dir);
        }
    }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, LakeError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(error) => return Err(io_error(folder, error)),
    };
    entries.map(|e| e.map(|e| e.path()).map_err(|e| io_error(folder, e))).collect()
}

impl From<IndexError> for LakeError {
    fn from(error: IndexError) -> Self {
        Self::Failed(error.to_string())
    }
}
