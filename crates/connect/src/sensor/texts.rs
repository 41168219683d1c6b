//! Followed files, and the journal.

use super::{BATCH_BYTES, BATCH_SECS, Head, Shared};
use crate::tail::Tail;
use std::io::{BufRead, BufReader, Result};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const LOOK_MS: u64 = 250;
/// Longest entry of the journal.
const ENTRY_BYTES_MAX: usize = 1 << 20;
const CURSOR_FILE: &str = "journal.cursor";

/// Follows files until a stop; `once` reads what they hold now. A full spool makes it wait: files keep.
pub(super) fn follow(paths: &[PathBuf], places: &Path, once: bool, shared: &Shared) {
    let mut tails: Vec<Tail> = paths.iter().map(|path| Tail::new(path.clone(), places)).collect();
    let mut troubled = vec![false; tails.len()];
    loop {
        let mut moved = false;
        for (tail, troubled) in tails.iter_mut().zip(&mut troubled) {
            match step(tail, shared) {
                Ok(step) => (moved, *troubled) = (moved | step, false),
                // A log that may not be read now may be read later; the file is named once.
                Err(error) if !*troubled => {
                    *troubled = true;
                    eprintln!("warning: {error}");
                    if once {
                        shared.end(error.to_string());
                    }
                }
                Err(_) => {}
            }
        }
        if shared.stopping() || (once && !moved) {
            return;
        }
        if !moved {
            std::thread::sleep(Duration::from_millis(LOOK_MS));
        }
    }
}

/// Takes one chunk; true if there was one and the spool took it.
fn step(tail: &mut Tail, shared: &Shared) -> std::result::Result<bool, crate::tail::TailError> {
    let Some(chunk) = tail.next_chunk()? else { return Ok(false) };
    let lines = memchr::memchr_iter(b'\n', &chunk.body).count() as u64;
    let head = Head { format: None, source: shared.source.clone(), place: Some((tail.checkpoint().to_owned(), chunk.place())) };
    let mut failed = None;
    let pushed = shared.spool.push(&head, &chunk.body, || {
        tail.done(&chunk).map_err(|error| {
            let text = error.to_string();
            failed = Some(error);
            std::io::Error::other(text)
        })
    });
    match (pushed, failed) {
        (_, Some(error)) => Err(error),
        (Ok(true), None) => {
            shared.tally.lines.fetch_add(lines, Ordering::Relaxed);
            Ok(true)
        }
        (Ok(false), None) => Ok(false),
        (Err(error), None) => {
            shared.end(format!("the spool cannot be written: {error}"));
            Ok(false)
        }
    }
}

/// `journalctl`, from where it was left.
pub(super) struct Journal {
    child: Child,
    reader: JournalReader,
}

pub(super) struct JournalReader {
    out: BufReader<ChildStdout>,
    cursor: PathBuf,
}

impl Journal {
    pub fn start(places: &Path) -> Result<Self> {
        let cursor = places.join(CURSOR_FILE);
        let mut command = Command::new("journalctl");
        command.args(["--follow", "--output=json", "--no-pager"]);
        match std::fs::read_to_string(&cursor) {
            Ok(text) if !text.trim().is_empty() => command.arg(format!("--after-cursor={}", text.trim())),
            _ => command.arg("--lines=0"),
        };
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let out = child.stdout.take().ok_or_else(|| std::io::Error::other("it has no output"))?;
        Ok(Self { child, reader: JournalReader { out: BufReader::new(out), cursor } })
    }

    /// The program, which ends the reading when it is killed, and the reading.
    pub fn split(self) -> (Child, JournalReader) {
        (self.child, self.reader)
    }
}

impl JournalReader {
    /// Reads until the program ends. The place is remembered behind the batch: a crash between both sends a batch again,
    /// which is better than to lose it.
    pub fn read(mut self, shared: &Shared) {
        let (mut lines, mut count, mut last, mut begun) = (Vec::new(), 0, Vec::new(), Instant::now());
        loop {
            let mut entry = Vec::new();
            let got = std::io::Read::take(&mut self.out, ENTRY_BYTES_MAX as u64).read_until(b'\n', &mut entry);
            let over = !matches!(got, Ok(count) if count > 0);
            if !over {
                lines.extend_from_slice(&entry);
                if entry.last() != Some(&b'\n') {
                    lines.push(b'\n');
                }
                count += 1;
                last = entry;
            }
            // Entries that are there at once go together.
            let idle = self.out.buffer().is_empty();
            if over || idle || lines.len() >= BATCH_BYTES || begun.elapsed() >= Duration::from_secs(BATCH_SECS) {
                shared.tally.lines.fetch_add(count, Ordering::Relaxed);
                shared.keep(&mut lines, count);
                self.remember(&last);
                (count, begun) = (0, Instant::now());
            }
            if over {
                if !shared.stopping() {
                    shared.end("journalctl ended".to_owned());
                }
                return;
            }
        }
    }

    fn remember(&self, entry: &[u8]) {
        let cursor = serde_json::from_slice::<serde_json::Value>(entry).ok().and_then(|v| Some(v.get("__CURSOR")?.as_str()?.to_owned()));
        if let Some(cursor) = cursor
            && let Err(error) = std::fs::write(&self.cursor, cursor)
        {
            eprintln!("warning: {}: {error}", self.cursor.display());
        }
    }
}
