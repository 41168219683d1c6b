//! The local copy of what was read and written: sparse files that need no bookkeeping on disk.
//!
//! A file of the table has a file of the same name here, with holes where nothing was read yet. Whether a
//! block is there is not remembered: a block counts if its checksum, which the Parquet file itself carries,
//! is right. So a kill, a full disk or a flipped bit in here costs one request and never a wrong answer, and
//! what is here survives a restart. Above the bound, the file unused for longest goes.

use crate::lake::LakeError;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub(in crate::lake) struct Cache {
    dir: PathBuf,
    bytes_max: u64,
    entries: Mutex<HashMap<String, Arc<Entry>>>,
    bytes: AtomicU64,
    clock: AtomicU64,
}

pub(in crate::lake) struct Entry {
    pub path: PathBuf,
    bytes: AtomicU64,
    used: AtomicU64,
    /// Evicted: whoever has the file open keeps nothing in it any more.
    gone: AtomicBool,
}

impl Entry {
    pub fn gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }
}

impl Cache {
    /// Takes over what an earlier process left; a writer also removes its half-written files.
    pub fn open(dir: &Path, bytes_max: u64, writable: bool) -> Result<Self, LakeError> {
        std::fs::create_dir_all(dir).map_err(|e| crate::lake::io_error(dir, e))?;
        let cache = Self {
            dir: dir.to_owned(),
            bytes_max,
            entries: Mutex::default(),
            bytes: AtomicU64::new(0),
            clock: AtomicU64::new(0),
        };
        let mut found = Vec::new();
        for above in ["", "_index/"] {
            for folder in names(&dir.join(above)).into_iter().filter(|f| f.starts_with("day=") || f == "scratch") {
                let folder = format!("{above}{folder}");
                for name in names(&dir.join(&folder)) {
                    let path = format!("{folder}/{name}");
                    if name.starts_with(".tmp-") || folder.ends_with("scratch") {
                        if writable {
                            let _ = std::fs::remove_file(dir.join(&path));
                        }
                    } else if let Ok(meta) = dir.join(&path).metadata() {
                        found.push((meta.modified().ok(), path, meta.blocks() * 512));
                    }
                }
            }
        }
        found.sort();
        for (_, path, bytes) in found {
            cache.grow(&cache.entry(&path), bytes);
        }
        Ok(cache)
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The entry of a file, marked as used now.
    pub fn entry(&self, path: &str) -> Arc<Entry> {
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        let mut entries = self.entries.lock();
        let entry = entries.entry(path.to_owned()).or_insert_with(|| {
            let path = self.dir.join(path);
            Arc::new(Entry { path, bytes: AtomicU64::new(0), used: AtomicU64::new(now), gone: AtomicBool::new(false) })
        });
        entry.used.store(now, Ordering::Relaxed);
        entry.clone()
    }

    /// A file that was written here whole.
    pub fn adopt(&self, path: &str, bytes: u64) {
        let entry = self.entry(path);
        if entry.bytes.load(Ordering::Relaxed) == 0 {
            self.grow(&entry, bytes);
        }
    }

    /// Counts bytes that were added to a file, and makes room.
    pub fn grow(&self, entry: &Arc<Entry>, bytes: u64) {
        entry.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        while self.bytes() > self.bytes_max {
            let oldest = {
                let entries = self.entries.lock();
                let others = entries.iter().filter(|(_, e)| !Arc::ptr_eq(e, entry) || entries.len() == 1);
                others.min_by_key(|(_, e)| e.used.load(Ordering::Relaxed)).map(|(path, _)| path.clone())
            };
            match oldest {
                Some(path) => self.remove(&path),
                None => return,
            }
        }
    }

    /// Lets go of a file. Who has it open finds a hole and asks the store again.
    pub fn remove(&self, path: &str) {
        let Some(entry) = self.entries.lock().remove(path) else {
            let _ = std::fs::remove_file(self.dir.join(path));
            return;
        };
        entry.gone.store(true, Ordering::Relaxed);
        // Truncated first: an open file keeps its blocks after its name is gone.
        if let Ok(file) = std::fs::OpenOptions::new().write(true).open(&entry.path) {
            let _ = file.set_len(0);
        }
        let _ = std::fs::remove_file(&entry.path);
        if let Some(folder) = entry.path.parent() {
            // Only when it was the last.
            let _ = std::fs::remove_dir(folder);
        }
        self.bytes.fetch_sub(entry.bytes.swap(0, Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// What cannot be listed is not in the cache.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
}
