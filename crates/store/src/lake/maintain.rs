//! Upkeep: retention, merging of small files, deletion of files that no snapshot needs, log checkpoints.
//!
//! Each step is one commit or idempotent, so a kill at any moment costs only the work of the step.

use super::delta::{self, Changes};
use super::file::{DataFile, FileWriter, sync_folder};
use super::read::Batches;
use super::schema::{DAY_MICROS, Key, LAYOUT, Rows};
use super::tail::gather;
use super::{LakeError, Shared, Step, io_error};
use event::Timestamp;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::path::Path;
use std::sync::Arc;

/// A day with more small files than this is merged.
const SMALL_FILES_MAX: usize = 8;
/// A file below this is small.
const SMALL_BYTES: u64 = 32 << 20;
/// Most files read at once by a merge (each holds a page per column), and most bytes merged into one.
const MERGE_FILES_MAX: usize = 16;
const MERGE_BYTES_MAX: u64 = 256 << 20;
/// Rows read ahead of each file.
const READ_ROWS: usize = 1_024;
/// Rows written at once.
const PIECE_ROWS: usize = 8_192;

/// What a round of upkeep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// Files taken out of the table because their day is too old.
    pub expired: usize,
    /// Small files that were merged into fewer.
    pub merged: usize,
    /// Files deleted from disk.
    pub deleted: usize,
    pub checkpointed: bool,
}

impl Shared {
    pub(super) fn maintain(&self, now: Timestamp) -> Result<Upkeep, LakeError> {
        let _one = self.upkeep.lock();
        let mut done = Upkeep { expired: self.expire(now)?, ..Upkeep::default() };
        while let Some(files) = self.mergeable() {
            if self.stopping() {
                break;
            }
            self.merge(&files)?;
            done.merged += files.len();
        }
        done.deleted = self.vacuum(now)?;
        done.checkpointed = self.checkpoint_if_due(now)?;
        Ok(done)
    }

    fn expire(&self, now: Timestamp) -> Result<usize, LakeError> {
        let oldest = now.0.div_euclid(DAY_MICROS) - i64::from(self.config.retention_days);
        let table = self.state.lock().table.clone();
        let removes: Vec<DataFile> = table.iter().filter(|f| f.day < oldest).map(|f| (**f).clone()).collect();
        let count = removes.len();
        if count > 0 {
            let changes = Changes { removes, data_change: true, operation: "DELETE", ..Changes::default() };
            self.commit(changes, |_| {})?;
        }
        Ok(count)
    }

    /// The small files of one day, of similar size: merging like with like rewrites each row a logarithmic
    /// number of times, where adding every newcomer to the largest would rewrite it again and again.
    fn mergeable(&self) -> Option<Vec<Arc<DataFile>>> {
        let table = self.state.lock().table.clone();
        let mut days: BTreeMap<i64, Vec<Arc<DataFile>>> = BTreeMap::new();
        for file in table.iter().filter(|f| f.bytes < SMALL_BYTES) {
            days.entry(file.day).or_default().push(file.clone());
        }
        let mut files = days.into_values().find(|files| files.len() > SMALL_FILES_MAX)?;
        files.sort_by_key(|f| f.bytes);
        let mut bytes = 0;
        let mut taken = 0;
        for file in &files {
            let alike = taken < SMALL_FILES_MAX || file.bytes <= bytes;
            if taken >= MERGE_FILES_MAX || bytes + file.bytes > MERGE_BYTES_MAX || !alike {
                break;
            }
            bytes += file.bytes;
            taken += 1;
        }
        files.truncate(taken.max(2));
        Some(files)
    }

    fn merge(&self, files: &[Arc<DataFile>]) -> Result<(), LakeError> {
        let Some(first) = files.first() else { return Ok(()) };
        let rows: u64 = files.iter().map(|f| f.rows).sum();
        let opened: Vec<_> = files.iter().map(|f| self.files.open_new(f)).collect::<Result<_, _>>()?;
        let all: Vec<usize> = (0..LAYOUT.leaves.len()).collect();
        let inputs = opened.iter().map(|o| Input::new(o.batches(None, &all, None, READ_ROWS)?));
        let mut writer = FileWriter::create(&self.dir, first.day, rows as usize)?;
        let places = merge_sorted(inputs.collect::<Result<_, _>>()?, &mut writer)?;
        let merged = writer.finish()?;
        if merged.rows != rows {
            return Err(LakeError::Damaged {
                file: first.path.clone(),
                reason: format!("a merge found {} rows where the table lists {rows}", merged.rows),
            });
        }
        super::file::sync_folders(&self.dir, std::slice::from_ref(&merged))?;
        self.reached(Step::Merged)?;
        let removes = files.iter().map(|f| (**f).clone()).collect();
        self.merge_texts(files, &places, &merged);
        let path = merged.path.clone();
        let committed = self.commit(Changes { adds: vec![merged], removes, operation: "OPTIMIZE", ..Changes::default() }, |_| {});
        if committed.is_err() && self.state.lock().in_doubt.is_none() {
            self.texts.forget(&path);
        }
        committed
    }

    /// Deletes removed files once their grace is over and no running query holds them.
    fn vacuum(&self, now: Timestamp) -> Result<usize, LakeError> {
        let limit = now.millis() - self.tuning.grace_secs as i64 * 1_000;
        let gone: Vec<String> = {
            let mut state = self.state.lock();
            let due = |t: &super::Tombstone| t.removed_millis <= limit && t.file.as_ref().is_none_or(|f| Arc::strong_count(f) == 1);
            let (gone, kept) = std::mem::take(&mut state.tombstones).into_iter().partition(due);
            state.tombstones = kept;
            let gone: Vec<super::Tombstone> = gone;
            gone.into_iter().map(|t| t.path).collect()
        };
        let mut deleted = 0;
        for path in &gone {
            self.files.forget(path);
            self.texts.forget(path);
            deleted += usize::from(delete(&self.dir, path)?);
        }
        Ok(deleted)
    }

    fn checkpoint_if_due(&self, now: Timestamp) -> Result<bool, LakeError> {
        let version = *self.version.lock();
        let mut last = self.checkpointed.lock();
        if version < *last + delta::CHECKPOINT_COMMITS {
            return Ok(false);
        }
        delta::checkpoint(&self.dir, now)?;
        *last = version;
        Ok(true)
    }
}

/// Deletes one file of the table, and its day's folder when it was the last.
fn delete(table: &Path, path: &str) -> Result<bool, LakeError> {
    let file = table.join(path);
    match std::fs::remove_file(&file) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(io_error(&file, error)),
    }
    if let Some(folder) = file.parent()
        && std::fs::remove_dir(folder).is_ok()
    {
        sync_folder(table)?;
    }
    Ok(true)
}

/// A sorted file being read.
struct Input<'a> {
    batches: Batches<'a>,
    rows: Rows,
    at: usize,
}

impl<'a> Input<'a> {
    fn new(batches: Batches<'a>) -> Result<Self, LakeError> {
        let mut input = Self { batches, rows: Rows::new(0, LAYOUT.leaves.len()), at: 0 };
        input.refill()?;
        Ok(input)
    }

    fn refill(&mut self) -> Result<(), LakeError> {
        self.at = 0;
        self.rows = match self.batches.next() {
            Some(rows) => rows?,
            None => Rows::new(0, LAYOUT.leaves.len()),
        };
        Ok(())
    }

    fn key(&self) -> Option<Key> {
        (self.at < self.rows.len).then(|| self.rows.key(self.at))
    }
}

/// Answers, for each input, which row of the merged file each of its rows became.
fn merge_sorted(mut inputs: Vec<Input<'_>>, writer: &mut FileWriter) -> Result<Vec<Vec<u32>>, LakeError> {
    let mut merged: Vec<Vec<u32>> = vec![Vec::new(); inputs.len()];
    let mut written = 0;
    let mut heap: BinaryHeap<Reverse<(Key, usize)>> =
        inputs.iter().enumerate().filter_map(|(i, input)| Some(Reverse((input.key()?, i)))).collect();
    let mut places: Vec<(usize, usize)> = Vec::with_capacity(PIECE_ROWS);
    while let Some(Reverse((_, i))) = heap.pop() {
        // The run of this file's rows that come before any other file's next row.
        let next = heap.peek().map(|Reverse((key, _))| *key);
        let input = &mut inputs[i];
        while let Some(key) = input.key() {
            if places.len() >= PIECE_ROWS || next.is_some_and(|n| key > n) {
                break;
            }
            places.push((i, input.at));
            input.at += 1;
        }
        if input.at >= input.rows.len || places.len() >= PIECE_ROWS {
            number(&places, &mut written, &mut merged);
            write_piece(&inputs, &mut places, writer)?;
            if inputs[i].at >= inputs[i].rows.len {
                inputs[i].refill()?;
            }
        }
        if let Some(key) = inputs[i].key() {
            heap.push(Reverse((key, i)));
        }
    }
    number(&places, &mut written, &mut merged);
    write_piece(&inputs, &mut places, writer)?;
    Ok(merged)
}

/// Rows of an input are taken in their order, so the next one taken is its next row.
fn number(places: &[(usize, usize)], written: &mut u32, merged: &mut [Vec<u32>]) {
    for (input, _) in places {
        merged[*input].push(*written);
        *written = written.saturating_add(1);
    }
}

fn write_piece(inputs: &[Input<'_>], places: &mut Vec<(usize, usize)>, writer: &mut FileWriter) -> Result<(), LakeError> {
    let sources: Vec<&Rows> = inputs.iter().map(|i| &i.rows).collect();
    writer.write(&gather(&sources, places)?)?;
    places.clear();
    Ok(())
}
