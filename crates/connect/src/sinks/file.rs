//! JSON lines in a file that is rotated by size: events as `/api/v1/search` shows them, findings with `"finding"`.
//!
//! A line is written whole or not at all: what a crash left half is cut off before the first write, and what the last
//! [`TAIL_BYTES`] already hold is not written again.

use super::{Sink, SinkError, Written, unavailable};
use event::{Event, Finding};
use serde_json::json;
use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// How much of the file's end is looked through for lines that a crash made come again. `engine`'s batches are smaller.
const TAIL_BYTES: u64 = 16 << 20;

pub(super) struct File {
    path: PathBuf,
    bytes_max: u64,
    keep: u32,
    open: Option<Open>,
}

struct Open {
    file: fs::File,
    bytes: u64,
    /// Ids of the lines that were there when it was opened.
    known: HashSet<String>,
}

impl File {
    pub fn new(path: PathBuf, bytes_max: u64, keep: u32) -> Self {
        Self { path, bytes_max: bytes_max.max(1 << 20), keep: keep.clamp(1, 1_000), open: None }
    }

    fn put(&mut self, lines: impl Iterator<Item = (String, String)>) -> Written {
        if self.open.is_none() {
            self.prepare()?;
        }
        let Some(open) = &mut self.open else { return Err(unavailable("the file is not open")) };
        let mut text = String::new();
        for (id, line) in lines {
            // Each is asked for once: a finding that is told again is a line of its own.
            if !open.known.remove(&id) {
                text.push_str(&line);
                text.push('\n');
            }
        }
        // After an error nobody knows how much is in the file: it is opened, and looked at, anew.
        if let Err(error) = open.file.write_all(text.as_bytes()).and_then(|()| open.file.sync_data()) {
            self.open = None;
            return Err(at(&self.path, error));
        }
        open.bytes += text.len() as u64;
        if open.bytes >= self.bytes_max {
            self.rotate().map_err(|error| at(&self.path, error))?;
        }
        Ok(Vec::new())
    }

    fn rotate(&mut self) -> std::io::Result<()> {
        self.open = None;
        let older = |number: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        for number in (1..self.keep).rev() {
            if older(number).exists() {
                fs::rename(older(number), older(number + 1))?;
            }
        }
        fs::rename(&self.path, older(1))
    }
}

fn at(path: &Path, error: std::io::Error) -> SinkError {
    SinkError::Unavailable(format!("{}: {error}", path.display()))
}

impl Sink for File {
    fn prepare(&mut self) -> Result<(), SinkError> {
        self.open = None;
        let open = || -> std::io::Result<Open> {
            if let Some(folder) = self.path.parent() {
                fs::create_dir_all(folder)?;
            }
            let mut file = OpenOptions::new().read(true).append(true).create(true).open(&self.path)?;
            let (bytes, known) = tail(&mut file)?;
            Ok(Open { file, bytes, known })
        };
        self.open = Some(open().map_err(|error| at(&self.path, error))?);
        Ok(())
    }

    fn events(&mut self, events: &[Event]) -> Written {
        self.put(events.iter().map(|event| {
            let line = event.to_json();
            (id_of(&line), line.to_string())
        }))
    }

    fn findings(&mut self, findings: &[Finding]) -> Written {
        self.put(findings.iter().map(|finding| {
            let line = json!({ "finding": finding });
            (id_of(&line), line.to_string())
        }))
    }
}

/// An event by its id and place in the log, a finding by its id and revision.
fn id_of(line: &serde_json::Value) -> String {
    match line.get("finding") {
        Some(finding) => format!("f:{}:{}:{}", finding["id"], finding["revision"], finding["status"]),
        None => format!("e:{}", line["metadata"]["uid"]),
    }
}

/// Cuts off a half line; the file's length and the ids in its end.
fn tail(file: &mut fs::File) -> std::io::Result<(u64, HashSet<String>)> {
    let length = file.metadata()?.len();
    let from = length.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let whole = memchr::memrchr(b'\n', &text).map_or(0, |end| end + 1);
    if whole < text.len() && (whole > 0 || from == 0) {
        file.set_len(from + whole as u64)?;
        file.sync_data()?;
    }
    // The first line may have begun before.
    let start = if from == 0 { 0 } else { memchr::memchr(b'\n', &text[..whole]).map_or(whole, |end| end + 1) };
    let lines = text[start..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let known = lines.filter_map(|line| serde_json::from_slice(line).ok()).map(|line: serde_json::Value| id_of(&line)).collect();
    Ok((from + whole as u64, known))
}
