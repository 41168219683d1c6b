//! The text indexes beside the table's files: `_index/<path of the file>.idx`.
//!
//! An index is a function of its file and nothing more: it is written after the file in the background, is not
//! synced, and is made again when it is missing, damaged or of another version. Meanwhile the column is read, with
//! the same result. Readers and vacuums of Delta tables pass over folders that begin with `_`.
//!
//! In an object store an index is an object beside the data files, and read through the same cache (`remote`).

mod answer;
mod remote;
mod work;

pub(super) use answer::Text;

use super::file::DataFile;
use super::home::Home;
use super::s3::S3;
use super::s3::file::RemoteFile;
use super::{LakeError, io_error};
use index::{Index, IndexError};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const FOLDER: &str = "_index";
const STAGED: &str = ".tmp-";
/// A file whose index could not be written is tried again after this long.
const RETRY: Duration = Duration::from_secs(60);
/// For so long no index is opened after the store did not answer for one: searches read what the cache has instead.
const AWAY: Duration = Duration::from_secs(10);

/// The indexes of one table.
pub(super) struct Texts {
    home: Arc<Home>,
    /// Whether this process writes the table: one that only reads leaves damaged indexes alone.
    writes: bool,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Bytes of each index, by the path of its file.
    bytes: HashMap<String, u64>,
    failed: HashMap<String, Instant>,
    /// When the store did not answer.
    away: Option<Instant>,
    /// Why the last index could not be written, until one can.
    error: Option<String>,
}

/// An open index.
struct Open {
    index: Index,
    remote: Option<Arc<RemoteFile>>,
}

impl Open {
    /// Whether the cache has let go of it: it should be opened anew.
    fn stale(&self) -> bool {
        self.remote.as_ref().is_some_and(|r| r.stale())
    }

    /// Why the store did not answer, if that is why a read failed.
    fn failure(&self) -> Option<String> {
        self.remote.as_ref()?.failure()
    }
}

/// Relative to the table.
fn path(file: &str) -> String {
    format!("{FOLDER}/{file}.idx")
}

impl Texts {
    pub fn new(home: Arc<Home>, writes: bool) -> Self {
        Self { home, writes, known: Mutex::default() }
    }

    /// Finds the indexes. The writer removes those of files that are not `kept`, and what a kill left.
    pub fn find(&self, kept: &HashSet<&str>) -> Result<(), LakeError> {
        let start = format!("{FOLDER}/");
        for (index, bytes) in self.home.files_below(FOLDER)? {
            let file = index.strip_prefix(&start).and_then(|i| i.strip_suffix(".idx"));
            if let Some(file) = file.filter(|f| kept.contains(*f)) {
                self.known.lock().bytes.insert(file.to_owned(), bytes);
            } else if self.writes {
                self.home.delete(&index)?;
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

    /// The index of a file of so many rows, if it has a whole one. A damaged one is made again.
    fn open(&self, file: &str, rows: u64) -> Option<Open> {
        let bytes = {
            let known = self.known.lock();
            *known.bytes.get(file).filter(|_| known.away.is_none_or(|at| at.elapsed() >= AWAY))?
        };
        let remote = self.home.s3().map(|s3| Arc::new(RemoteFile::new(s3.clone(), &path(file), bytes)));
        let opened = match &remote {
            None => File::open(self.home.scratch().join(path(file))).map_err(IndexError::from).and_then(|f| Index::open(Box::new(f))),
            Some(remote) => remote::Source::open(remote.clone(), bytes).and_then(|source| Index::open(Box::new(source))),
        };
        match opened {
            Ok(index) if u64::from(index.row_count()) == rows => return Some(Open { index, remote }),
            Ok(_) => self.unusable(file, None, "it has another number of rows than its file"),
            Err(error) => self.unusable(file, remote.and_then(|r| r.failure()), error),
        }
        None
    }

    /// Takes a damaged index out of use; the writer makes it again. One that a store did not send is left alone.
    fn unusable(&self, file: &str, failure: Option<String>, reason: impl std::fmt::Display) {
        if let Some(failure) = failure {
            tracing::warn!("{failure}; searches go on without the text index for {} s", AWAY.as_secs());
            self.known.lock().away = Some(Instant::now());
            return;
        }
        tracing::warn!("{}: {reason}; searches read the column until it is made again", self.home.describe(&path(file)));
        if self.writes {
            // One that stays is replaced by the new one.
            let _ = self.home.delete(&path(file));
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
        let path = self.home.scratch().join(path(file));
        let folder = path.parent().unwrap_or(self.home.scratch());
        std::fs::create_dir_all(folder).map_err(|e| io_error(folder, e))?;
        let staged = folder.join(format!("{STAGED}{}", uuid::Uuid::new_v4()));
        let written = self.write_staged(&staged, file, fill, ready);
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
        file: &str,
        fill: impl FnOnce(&mut dyn Write) -> Result<u64, LakeError>,
        ready: impl FnOnce() -> Result<(), LakeError>,
    ) -> Result<u64, LakeError> {
        let mut out = BufWriter::new(File::create_new(staged).map_err(|e| io_error(staged, e))?);
        let bytes = match self.home.s3() {
            None => fill(&mut out)?,
            Some(_) => remote::write(&mut out, fill)?,
        };
        out.flush().map_err(|e| io_error(staged, e))?;
        ready()?;
        let named = self.home.scratch().join(path(file));
        if let Some(s3) = self.home.s3() {
            // What the cache holds of an earlier one.
            s3.cache.remove(&path(file));
        }
        std::fs::rename(staged, &named).map_err(|e| io_error(&named, e))?;
        if let Some(s3) = self.home.s3() {
            upload(s3, &path(file), bytes)?;
        }
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
            // What stays is removed at the next start, since no file has its name.
            let _ = self.home.delete(&path(file));
        }
    }
}

fn upload(s3: &S3, path: &str, bytes: u64) -> Result<(), LakeError> {
    let uploaded = s3.upload(path, bytes);
    if uploaded.is_err() {
        s3.cache.remove(path);
    }
    uploaded
}

impl From<IndexError> for LakeError {
    fn from(error: IndexError) -> Self {
        Self::Failed(error.to_string())
    }
}
