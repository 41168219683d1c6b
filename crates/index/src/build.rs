//! Rows → index.

use crate::merge::merge_parts;
use crate::read::Index;
use crate::segment::Segment;
use crate::write::Writer;
use crate::{IndexError, ROWS_MAX};
use query::{PROSE, WORD_BYTES_MAX, each_word};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes a builder holds before it puts words and rows aside in a file.
pub const MEMORY_BYTES_MAX: usize = 128 << 20;
/// The column whose words are stored as they are.
pub(crate) const MAIN: &str = "raw_data";
/// Parts put aside that one merge opens.
const PARTS_MAX: usize = 64;

/// Takes the prose of a file's rows, first row first.
pub struct Builder {
    scratch: PathBuf,
    memory_bytes_max: usize,
    segment: Segment,
    parts: Vec<Part>,
    /// Rows put aside.
    rows_before: u32,
    lower: Vec<u8>,
    named: Vec<u8>,
    fields: Vec<String>,
}

/// An index of consecutive rows that goes away with this.
pub(crate) struct Part {
    pub rows: u32,
    pub index: Index,
    path: PathBuf,
}

impl Drop for Part {
    fn drop(&mut self) {
        // What stays behind is a scratch file, which the owner of the folder removes at its next start.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Builder {
    /// `scratch` takes what memory cannot hold, as files whose names begin with `.tmp-`.
    pub fn new(scratch: &Path) -> Self {
        Self::with_memory(scratch, MEMORY_BYTES_MAX)
    }

    pub fn with_memory(scratch: &Path, memory_bytes_max: usize) -> Self {
        let fields = PROSE.iter().map(|f| (*f).to_owned()).collect();
        let (segment, parts) = (Segment::new(), Vec::new());
        let (lower, named) = (Vec::new(), Vec::with_capacity(WORD_BYTES_MAX + 1));
        Self { scratch: scratch.to_owned(), memory_bytes_max, segment, parts, rows_before: 0, lower, named, fields }
    }

    pub fn rows(&self) -> u32 {
        self.rows_before + self.segment.rows()
    }

    /// The next row: the values of [`query::PROSE`], in its order.
    pub fn add(&mut self, texts: &[Option<&str>; PROSE.len()]) -> Result<(), IndexError> {
        if self.rows() >= ROWS_MAX {
            return Err(IndexError::TooManyRows);
        }
        let main = PROSE.iter().zip(texts).find(|(name, _)| **name == MAIN).and_then(|(_, text)| *text).unwrap_or_default();
        let segment = &mut self.segment;
        each_word(main, &mut self.lower, |word| {
            segment.add(word);
            false
        });
        for (number, text) in texts.iter().enumerate() {
            match text {
                Some(text) if PROSE[number] != MAIN && !is_part(main, text) => {
                    each_word(text, &mut self.lower, |word| {
                        name(&mut self.named, number, word);
                        segment.add_unless_known(word, &self.named);
                        false
                    });
                }
                _ => {}
            }
        }
        segment.end_row();
        if segment.bytes() >= self.memory_bytes_max {
            self.put_aside()?;
        }
        Ok(())
    }

    fn put_aside(&mut self) -> Result<(), IndexError> {
        let path = scratch_path(&self.scratch);
        let mut part = Part { rows: self.segment.rows(), index: Index::nothing(), path };
        let mut writer = Writer::new(BufWriter::new(File::create_new(&part.path)?))?;
        self.segment.write(&mut writer)?;
        writer.finish(part.rows, &self.fields)?;
        self.segment = Segment::new();
        part.index = Index::open(Box::new(File::open(&part.path)?))?;
        self.rows_before += part.rows;
        self.parts.push(part);
        if self.parts.len() >= PARTS_MAX {
            self.join_parts()?;
        }
        Ok(())
    }

    /// Makes one part of all, so that open files stay bounded.
    fn join_parts(&mut self) -> Result<(), IndexError> {
        let path = scratch_path(&self.scratch);
        let mut joined = Part { rows: self.rows_before, index: Index::nothing(), path };
        merge_parts(&self.parts, BufWriter::new(File::create_new(&joined.path)?), &self.fields)?;
        joined.index = Index::open(Box::new(File::open(&joined.path)?))?;
        self.parts = vec![joined];
        Ok(())
    }

    /// Writes the index; answers its bytes.
    pub fn finish(mut self, out: impl Write) -> Result<u64, IndexError> {
        if self.parts.is_empty() {
            let mut writer = Writer::new(out)?;
            self.segment.write(&mut writer)?;
            return writer.finish(self.segment.rows(), &self.fields);
        }
        if self.segment.rows() > 0 {
            self.put_aside()?;
        }
        merge_parts(&self.parts, out, &self.fields)
    }
}

/// The key of a word of another column than the main one. No word begins with so low a byte.
pub(crate) fn name(key: &mut Vec<u8>, field: usize, word: &[u8]) {
    key.clear();
    key.push(1 + field as u8);
    key.extend_from_slice(word);
}

/// Whether all words of `text` are words of `main`, found out without cutting either.
fn is_part(main: &str, text: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let Some(at) = memchr::memmem::find(main.as_bytes(), text.as_bytes()) else { return false };
    let end = at + text.len();
    let joins = |before: Option<char>, after: Option<char>| before.is_some_and(part) && after.is_some_and(part);
    !joins(main[..at].chars().next_back(), text.chars().next()) && !joins(text.chars().next_back(), main[end..].chars().next())
}

fn scratch_path(folder: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    folder.join(format!(".tmp-index-{}-{count}", std::process::id()))
}
