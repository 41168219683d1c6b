//! Upkeep: retention, merging of small files, deletion of files that no snapshot needs, log checkpoints.
//!
//! Each step is one commit or idempotent, so a kill at any moment costs only the work of the step.

use super::delta::{self, Changes};
use super::file::{DataFile, FileWriter};
use super::read::Batches;
use super::schema::{Key, LAYOUT, Rows};
use super::tail::gather;
use super::{LakeError, Shared, Step};
use event::Timestamp;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
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
    /// Files taken out of the table because they are too old, or the table too large.
    pub expired: usize,
    /// Files written anew without the events of a source.
    pub rewritten: usize,
    /// Small files that were merged into fewer.
    pub merged: usize,
    /// Files deleted from disk.
    pub deleted: usize,
    pub checkpointed: bool,
}

impl Shared {
    pub(super) fn maintain(&self, now: Timestamp) -> Result<Upkeep, LakeError> {
        let _one = self.upkeep.lock();
        self.hold_on()?;
        let (expired, rewritten) = self.expire(now)?;
        let mut done = Upkeep { expired, rewritten, ..Upkeep::default() };
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
        let mut writer = FileWriter::create(self.home.scratch(), first.day, rows as usize)?;
        let places = merge_sorted(inputs.collect::<Result<_, _>>()?, &mut writer)?;
        let merged = writer.finish()?;
        if merged.rows != rows {
            return Err(LakeError::Damaged {
                file: self.home.describe(&first.path),
                reason: format!("a merge found {} rows where the table lists {rows}", merged.rows),
            });
        }
        let removes = files.iter().map(|f| (**f).clone()).collect();
        self.publish(std::slice::from_ref(&merged), Step::Merged)?;
        self.merge_texts(files, &places, &merged);
        self.commit(Changes { adds: vec![merged], removes, operation: "OPTIMIZE", ..Changes::default() }, None)
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
        for (i, path) in gone.iter().enumerate() {
            self.files.forget(path);
            self.texts.forget(path);
            match self.home.delete(path) {
                Ok(was_there) => deleted += usize::from(was_there),
                Err(error) => {
                    // Asked again in the next round.
                    let rest = gone[i..].iter().map(|path| super::Tombstone { path: path.clone(), removed_millis: 0, file: None });
                    self.state.lock().tombstones.extend(rest);
                    return Err(error);
                }
            }
        }
        Ok(deleted)
    }

    fn checkpoint_if_due(&self, now: Timestamp) -> Result<bool, LakeError> {
        let version = self.head.lock().version;
        let mut last = self.checkpointed.lock();
        if version < *last + delta::CHECKPOINT_COMMITS {
            return Ok(false);
        }
        delta::checkpoint(&self.home, now)?;
        *last = version;
        Ok(true)
    }
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
