//! What waits on disk until the platform has it: one file a batch, fsynced before it counts, deleted once it was accepted.
//!
//! A batch's name never comes twice, and is its `Idempotency-Key`: a batch that is sent again after a crash or a lost answer
//! is known to the platform. A batch of lines of a followed file and the place remembered in that file become durable
//! together: the batch is written under a name that does not count, the place is remembered, and then it gets its name. A
//! start finishes or undoes what was between, by looking at the place.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes of batches that wait, when nothing else is said.
pub const BYTES_MAX_DEFAULT: u64 = 1 << 30;
/// Batches the platform will never take are kept for people to look at, so many of them.
const REFUSED_MAX: usize = 100;
/// Longest first line of a batch.
const HEAD_BYTES_MAX: usize = 4 << 10;

/// The first line of a batch's file; the body follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The format the platform is told; none lets it look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    pub source: String,
    /// The key of the followed file's chunk, and the state of its place after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<(PathBuf, String)>,
}

pub struct Batch {
    pub name: String,
    pub head: Head,
    pub body: Vec<u8>,
}

pub struct Spool {
    dir: PathBuf,
    bytes_max: u64,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// Names and sizes, the oldest first.
    batches: BTreeMap<String, u64>,
    bytes: u64,
    last_micros: u128,
}

impl Spool {
    /// Opens the folder and puts what a crash left in order.
    pub fn open(dir: &Path, bytes_max: u64) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let mut waiting = Waiting::default();
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(|n| n.to_str()).map(str::to_owned) else { continue };
            if let Some(name) = name.strip_suffix(".new") {
                if !is_placed(&path) {
                    std::fs::remove_file(&path)?;
                    continue;
                }
                std::fs::rename(&path, dir.join(name))?;
                waiting.add(name, std::fs::metadata(dir.join(name))?.len());
            } else if name.ends_with(".batch") {
                waiting.add(&name, std::fs::metadata(&path)?.len());
            }
        }
        sync_dir(dir)?;
        Ok(Self { dir: dir.to_owned(), bytes_max, waiting: Mutex::new(waiting) })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    pub fn batches(&self) -> usize {
        self.lock().batches.len()
    }

    /// Keeps a batch; it is durable when this returns true. False if there is no room: nothing was written, and `remember` was
    /// not called. `remember` makes durable what the batch is the consequence of.
    pub fn push(&self, head: &Head, body: &[u8], remember: impl FnOnce() -> Result<()>) -> Result<bool> {
        let mut waiting = self.lock();
        if waiting.bytes + body.len() as u64 > self.bytes_max {
            return Ok(false);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros());
        waiting.last_micros = now.max(waiting.last_micros + 1);
        let name = format!("{:020}.batch", waiting.last_micros);
        let (new, path) = (self.dir.join(format!("{name}.new")), self.dir.join(&name));
        let mut bytes = serde_json::to_vec(head)?;
        bytes.push(b'\n');
        bytes.extend_from_slice(body);
        let mut file = File::create(&new)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        remember()?;
        std::fs::rename(&new, &path)?;
        sync_dir(&self.dir)?;
        waiting.add(&name, bytes.len() as u64);
        Ok(true)
    }

    /// The oldest batch. It stays until [`Self::done`] or [`Self::refuse`].
    pub fn next(&self) -> Result<Option<Batch>> {
        let Some(name) = self.lock().batches.keys().next().cloned() else { return Ok(None) };
        let bytes = std::fs::read(self.dir.join(&name))?;
        match split(&bytes) {
            Some((head, at)) => Ok(Some(Batch { name, head, body: bytes[at..].to_vec() })),
            None => {
                self.refuse(&name)?;
                Err(Error::new(ErrorKind::InvalidData, format!("{name} is damaged and was put aside")))
            }
        }
    }

    pub fn done(&self, name: &str) -> Result<()> {
        std::fs::remove_file(self.dir.join(name))?;
        self.lock().remove(name);
        Ok(())
    }

    /// Puts a batch aside that will never be taken.
    pub fn refuse(&self, name: &str) -> Result<()> {
        let aside = self.dir.join("refused");
        std::fs::create_dir_all(&aside)?;
        std::fs::rename(self.dir.join(name), aside.join(name))?;
        self.lock().remove(name);
        let mut kept: Vec<PathBuf> = std::fs::read_dir(&aside)?.filter_map(|e| Some(e.ok()?.path())).collect();
        kept.sort();
        for old in kept.iter().take(kept.len().saturating_sub(REFUSED_MAX)) {
            std::fs::remove_file(old)?;
        }
        Ok(())
    }
}

impl Waiting {
    fn add(&mut self, name: &str, bytes: u64) {
        if self.batches.insert(name.to_owned(), bytes).is_none() {
            self.bytes += bytes;
        }
        let micros = name.split('.').next().and_then(|n| n.parse().ok()).unwrap_or(0);
        self.last_micros = self.last_micros.max(micros);
    }

    fn remove(&mut self, name: &str) {
        self.bytes -= self.batches.remove(name).unwrap_or(0);
    }
}

fn split(bytes: &[u8]) -> Option<(Head, usize)> {
    let end = bytes.iter().take(HEAD_BYTES_MAX).position(|b| *b == b'\n')?;
    Some((serde_json::from_slice(&bytes[..end]).ok()?, end + 1))
}

/// Whether the place that this unfinished batch leads to was remembered: then it counts.
fn is_placed(path: &Path) -> bool {
    let mut begin = vec![0; HEAD_BYTES_MAX];
    let count = File::open(path).and_then(|mut file| file.read(&mut begin)).unwrap_or(0);
    let head = split(&begin[..count]).map(|(head, _)| head);
    head.and_then(|head| head.place).is_some_and(|(checkpoint, after)| std::fs::read_to_string(checkpoint).is_ok_and(|now| now == after))
}

fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        Head { format: Some("json".into()), source: "sensor".into(), place: None }
    }

    #[test]
    fn batches_come_back_in_order_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path(), 1_000).unwrap();
        for body in ["one", "two", "three"] {
            assert!(spool.push(&head(), body.as_bytes(), || Ok(())).unwrap());
        }
        let first = spool.next().unwrap().unwrap();
        assert_eq!((first.head.clone(), first.body.as_slice()), (head(), &b"one"[..]));
        spool.done(&first.name).unwrap();
        let spool = Spool::open(dir.path(), 1_000).unwrap();
        assert_eq!((spool.batches(), spool.next().unwrap().unwrap().body.as_slice()), (2, &b"two"[..]));
        spool.refuse(&spool.next().unwrap().unwrap().name).unwrap();
        assert_eq!(spool.next().unwrap().unwrap().body, b"three");
    }

    #[test]
    fn a_full_spool_takes_nothing_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path(), 100).unwrap();
        assert!(spool.push(&head(), &[b'x'; 60], || Ok(())).unwrap());
        assert!(!spool.push(&head(), &[b'x'; 60], || panic!("nothing is remembered")).unwrap());
    }

    #[test]
    fn a_crash_between_batch_and_place_is_undone_or_finished() {
        let dir = tempfile::tempdir().unwrap();
        let checkpoint = dir.path().join("place.json");
        let placed = Head { place: Some((checkpoint.clone(), "5".into())), ..head() };
        let spool = Spool::open(&dir.path().join("spool"), 1_000).unwrap();
        // The place was not remembered: the lines will be read again.
        assert!(spool.push(&placed, b"lines", || Err(Error::other("crash"))).is_err());
        let spool = Spool::open(&dir.path().join("spool"), 1_000).unwrap();
        assert_eq!(spool.batches(), 0);
        // It was: the batch counts.
        let remember = || std::fs::write(&checkpoint, "5").and(Err(Error::other("crash")));
        assert!(spool.push(&placed, b"lines", remember).is_err());
        let spool = Spool::open(&dir.path().join("spool"), 1_000).unwrap();
        assert_eq!(spool.next().unwrap().unwrap().body, b"lines");
    }
}
