//! The in-memory tail: batches of rows that are in no file yet.

use super::{LakeConfig, LakeError};
use super::retention::source;
use super::schema::{Key, LAYOUT, Rows, partition};
use arrow_array::{Array, ArrayRef, StringArray};
use arrow_select::concat::concat;
use arrow_select::interleave::interleave;
use std::sync::Arc;

/// Small appends are merged up to this size: a batch of one row costs a hundred times its data.
const MERGE_ROWS_MAX: usize = 4_096;
const MERGE_BYTES_MAX: usize = 32 << 20;
/// Rows, and raw bytes, that are put in order and handed to the Parquet writer at once.
const ORDER_ROWS_MAX: usize = 8_192;
const ORDER_BYTES_MAX: usize = 64 << 20;

pub(super) struct Batch {
    pub rows: Rows,
    pub time_min: i64,
    pub time_max: i64,
    pub bytes: usize,
}

impl Batch {
    pub fn new(rows: Rows) -> Self {
        let times = rows.times();
        let time_min = times.iter().copied().min().unwrap_or(i64::MAX);
        let time_max = times.iter().copied().max().unwrap_or(i64::MIN);
        Self { bytes: rows.bytes(), time_min, time_max, rows }
    }
}

/// Adds a batch, merging it with as many equally small ones before it as there are. Batches before
/// `fixed` are being written and stay as they are.
pub(super) fn push(tail: &mut Vec<Arc<Batch>>, fixed: usize, batch: Batch) -> Result<(), LakeError> {
    let mut batch = batch;
    while tail.len() > fixed {
        let Some(last) = tail.last() else { break };
        let small = last.rows.len + batch.rows.len <= MERGE_ROWS_MAX && last.bytes + batch.bytes <= MERGE_BYTES_MAX;
        if last.rows.len > 2 * batch.rows.len || !small {
            break;
        }
        batch = Batch::new(join(&last.rows, &batch.rows)?);
        tail.pop();
    }
    tail.push(Arc::new(batch));
    Ok(())
}

fn join(first: &Rows, second: &Rows) -> Result<Rows, LakeError> {
    let mut rows = Rows::new(first.len + second.len, first.columns.len());
    for leaf in 0..first.columns.len() {
        if first.columns[leaf].is_some() || second.columns[leaf].is_some() {
            rows.columns[leaf] = Some(concat(&[&first.array(leaf), &second.array(leaf)])?);
        }
    }
    Ok(rows)
}

/// A row of the tail, by partition and then in the order of the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sorted {
    pub day: i64,
    key: Key,
    batch: u32,
    row: u32,
}

/// The partition of each row, in days since 1970-01-01.
pub(super) fn partitions(rows: &Rows, config: &LakeConfig) -> impl Fn(usize) -> i64 {
    let by_source = config.retention.by_source();
    let (times, received) = (rows.times(), rows.micros(LAYOUT.received));
    move |row| {
        let days = if by_source { config.retention.days(source(rows, row), config.retention_days) } else { config.retention_days };
        partition(times[row], received[row], days)
    }
}

pub(super) fn sort(batches: &[Arc<Batch>], config: &LakeConfig) -> Vec<Sorted> {
    let mut order = Vec::with_capacity(batches.iter().map(|b| b.rows.len).sum());
    for (b, batch) in batches.iter().enumerate() {
        let (times, day) = (batch.rows.times(), partitions(&batch.rows, config));
        let (offsets, indices) = (batch.rows.offsets(), batch.rows.indices());
        for row in 0..batch.rows.len {
            order.push(Sorted {
                day: day(row),
                key: Key { time: times[row], offset: offsets[row], index: indices[row] },
                batch: b as u32,
                row: row as u32,
            });
        }
    }
    order.sort_unstable();
    order
}

/// How many of `order` make the next piece to write.
pub(super) fn piece_len(batches: &[Arc<Batch>], order: &[Sorted]) -> usize {
    let mut bytes = 0;
    for (i, at) in order.iter().take(ORDER_ROWS_MAX).enumerate() {
        let raw = batches[at.batch as usize].rows.typed::<StringArray>(LAYOUT.raw);
        bytes += raw.map_or(0, |a| a.value_length(at.row as usize)).max(0) as usize;
        if bytes > ORDER_BYTES_MAX && i > 0 {
            return i;
        }
    }
    order.len().min(ORDER_ROWS_MAX)
}

/// Copies the rows of `order` together: in pieces, so that no sorted copy of the whole tail is ever held.
pub(super) fn piece(batches: &[Arc<Batch>], order: &[Sorted]) -> Result<Rows, LakeError> {
    let sources: Vec<&Rows> = batches.iter().map(|b| &b.rows).collect();
    let places: Vec<(usize, usize)> = order.iter().map(|s| (s.batch as usize, s.row as usize)).collect();
    gather(&sources, &places)
}

/// The rows at `places` (source, row). A run out of one source is a slice, without a copy.
pub(super) fn gather(sources: &[&Rows], places: &[(usize, usize)]) -> Result<Rows, LakeError> {
    let mut rows = Rows::new(places.len(), LAYOUT.leaves.len());
    let Some(&(source, start)) = places.first() else { return Ok(rows) };
    if places.iter().enumerate().all(|(i, p)| *p == (source, start + i)) {
        for (leaf, array) in sources[source].columns.iter().enumerate() {
            rows.columns[leaf] = array.as_ref().map(|a| a.slice(start, places.len()));
        }
        return Ok(rows);
    }
    let (used, places) = used_sources(sources.len(), places);
    for leaf in 0..LAYOUT.leaves.len() {
        if used.iter().any(|s| sources[*s].columns[leaf].is_some()) {
            let arrays: Vec<ArrayRef> = used.iter().map(|s| sources[*s].array(leaf)).collect();
            let arrays: Vec<&dyn Array> = arrays.iter().map(|a| a.as_ref()).collect();
            rows.columns[leaf] = Some(interleave(&arrays, &places)?);
        }
    }
    Ok(rows)
}

/// The sources that occur, and the places renumbered to them.
fn used_sources(sources: usize, places: &[(usize, usize)]) -> (Vec<usize>, Vec<(usize, usize)>) {
    let mut number = vec![usize::MAX; sources];
    let mut used = Vec::new();
    let renumbered = places.iter().map(|(source, row)| {
        if number[*source] == usize::MAX {
            number[*source] = used.len();
            used.push(*source);
        }
        (number[*source], *row)
    });
    let renumbered = renumbered.collect();
    (used, renumbered)
}
