//! A file that is followed through rotation and truncation, like `tail -F`, with its place remembered.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

const CHUNK_BYTES_MAX: usize = 1 << 20;
/// A line without an end that is longer is delivered in pieces.
const LINE_BYTES_MAX: usize = CHUNK_BYTES_MAX;

#[derive(Debug, thiserror::Error)]
pub enum TailError {
    #[error("{path}: {source}")]
    Io { path: String, source: std::io::Error },
}

/// The place in the file: which file it was (a rotated one has another inode) and how far it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    inode: u64,
    offset: u64,
}

/// Whole lines, and what to remember once they are stored.
pub struct Chunk {
    pub body: Bytes,
    /// Names the bytes: file, inode and offset.
    pub key: String,
    after: Place,
}

impl Chunk {
    /// What [`Tail::done`] will have written to [`Tail::checkpoint`].
    pub fn place(&self) -> String {
        serde_json::to_string(&self.after).unwrap_or_default()
    }
}

/// One followed file. A file that is absent is waited for.
pub struct Tail {
    path: PathBuf,
    checkpoint: PathBuf,
    place: Place,
    open: Option<File>,
}

impl Tail {
    /// Resumes at the place remembered in `dir`; a file seen for the first time is read from its start.
    pub fn new(path: PathBuf, dir: &Path) -> Self {
        let name: String = path.display().to_string().chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
        let checkpoint = dir.join(format!("{name}.json"));
        let place = std::fs::read(&checkpoint).ok().and_then(|b| serde_json::from_slice(&b).ok()).unwrap_or_default();
        Self { path, checkpoint, place, open: None }
    }

    /// The file in which the place is remembered.
    pub fn checkpoint(&self) -> &Path {
        &self.checkpoint
    }

    /// The next whole lines, or `None` when there is nothing new.
    pub fn next_chunk(&mut self) -> Result<Option<Chunk>, TailError> {
        self.open()?;
        if let Some(chunk) = self.read_lines(false)? {
            return Ok(Some(chunk));
        }
        if self.rotated()? {
            // The last line of a rotated file may lack its end: it will never get one.
            let rest = self.read_lines(true)?;
            if rest.is_none() {
                self.open = None;
                self.place = Place::default();
            }
            return Ok(rest);
        }
        Ok(None)
    }

    /// Remembers that the chunk is stored. Durable before it returns.
    pub fn done(&mut self, chunk: &Chunk) -> Result<(), TailError> {
        self.place = chunk.after;
        let write = || -> std::io::Result<()> {
            if let Some(dir) = self.checkpoint.parent() {
                std::fs::create_dir_all(dir)?;
            }
            let temporary = self.checkpoint.with_extension("tmp");
            let mut file = File::create(&temporary)?;
            file.write_all(&serde_json::to_vec(&self.place)?)?;
            file.sync_all()?;
            std::fs::rename(&temporary, &self.checkpoint)
        };
        write().map_err(|source| self.failed(source))
    }

    fn failed(&self, source: std::io::Error) -> TailError {
        TailError::Io { path: self.path.display().to_string(), source }
    }

    fn open(&mut self) -> Result<(), TailError> {
        if self.open.is_some() {
            return Ok(());
        }
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(self.failed(error)),
        };
        let inode = file.metadata().map_err(|e| self.failed(e))?.ino();
        if self.place.inode != inode {
            self.place = Place { inode, offset: 0 };
        }
        self.open = Some(file);
        Ok(())
    }

    fn rotated(&self) -> Result<bool, TailError> {
        if self.open.is_none() {
            return Ok(false);
        }
        match std::fs::metadata(&self.path) {
            Ok(now) => Ok(now.ino() != self.place.inode),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn read_lines(&mut self, to_the_end: bool) -> Result<Option<Chunk>, TailError> {
        let Some(file) = &self.open else { return Ok(None) };
        let size = file.metadata().map_err(|e| self.failed(e))?.len();
        if size < self.place.offset {
            self.place.offset = 0;
        }
        let mut buffer = vec![0; CHUNK_BYTES_MAX.min((size - self.place.offset) as usize)];
        let mut filled = 0;
        while filled < buffer.len() {
            match file.read_at(&mut buffer[filled..], self.place.offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        buffer.truncate(filled);
        let end = match buffer.iter().rposition(|b| *b == b'\n') {
            Some(end) => end + 1,
            None if to_the_end || buffer.len() == LINE_BYTES_MAX => buffer.len(),
            None => 0,
        };
        if end == 0 {
            return Ok(None);
        }
        buffer.truncate(end);
        let Place { inode, offset } = self.place;
        Ok(Some(Chunk {
            body: buffer.into(),
            key: format!("file:{}:{inode}:{offset}", self.path.display()),
            after: Place { inode, offset: offset + end as u64 },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(tail: &mut Tail) -> Option<String> {
        let chunk = tail.next_chunk().unwrap()?;
        tail.done(&chunk).unwrap();
        Some(String::from_utf8(chunk.body.to_vec()).unwrap())
    }

    #[test]
    fn follows_appends_rotation_truncation_and_restarts() {
        let dir = tempfile::tempdir().unwrap();
        let (path, places) = (dir.path().join("a.log"), dir.path().join("places"));
        let mut tail = Tail::new(path.clone(), &places);
        assert_eq!(take(&mut tail), None);
        std::fs::write(&path, "one\ntw").unwrap();
        assert_eq!(take(&mut tail).as_deref(), Some("one\n"));
        assert_eq!(take(&mut tail), None);
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"o\nthree").unwrap();
        assert_eq!(take(&mut tail).as_deref(), Some("two\n"));
        let mut tail = Tail::new(path.clone(), &places);
        assert_eq!(take(&mut tail), None);
        std::fs::rename(&path, dir.path().join("a.log.1")).unwrap();
        std::fs::write(&path, "four\n").unwrap();
        assert_eq!(take(&mut tail).as_deref(), Some("three"));
        assert_eq!(take(&mut tail), None);
        assert_eq!(take(&mut tail).as_deref(), Some("four\n"));
        std::fs::write(&path, "5\n").unwrap();
        assert_eq!(take(&mut tail).as_deref(), Some("5\n"));
    }

    #[test]
    fn an_endless_line_comes_in_pieces() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        std::fs::write(&path, vec![b'x'; LINE_BYTES_MAX + 10]).unwrap();
        let mut tail = Tail::new(path, dir.path());
        assert_eq!(take(&mut tail).map(|t| t.len()), Some(LINE_BYTES_MAX));
        assert_eq!(take(&mut tail), None);
    }
}
