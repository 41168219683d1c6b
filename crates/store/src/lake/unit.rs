//! What is evaluated at a time: a batch of the tail, or those rows of a row group that page indexes leave.

use super::LakeError;
use super::eval::Rows;
use super::lookup::{self, Found};
use super::mask::Mask;
use super::pass::Clock;
use super::prune::{Facts, GroupFacts};
use super::read::{Opened, ranges_selection, selection};
use super::schema::LAYOUT;
use super::tail::Batch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef};
use parquet::arrow::arrow_reader::RowSelection;
use query::Words;
use std::borrow::Cow;
use std::ops::Range;

/// A column with more bytes a row is read only where it is needed, and in pieces.
const WIDE_BYTES: u64 = 64;
const WIDE_BATCH_ROWS: usize = 8_192;
/// Narrow columns are read whole once more than one row in so many is asked for.
const SPARSE: usize = 16;

pub(super) struct Unit<'a> {
    pub len: usize,
    clock: &'a Clock,
    source: Source<'a>,
    /// Columns that were read whole.
    columns: Vec<Option<ArrayRef>>,
}

enum Source<'a> {
    Tail(&'a Batch),
    /// With the rows of the group that are this unit's rows 0, 1, …; `None`: all.
    Group(&'a Opened, usize, Option<Vec<Range<usize>>>),
}

impl<'a> Unit<'a> {
    pub fn tail(batch: &'a Batch, clock: &'a Clock) -> Self {
        Self { len: batch.rows.len, clock, source: Source::Tail(batch), columns: Vec::new() }
    }

    pub fn group(opened: &'a Opened, group: usize, ranges: Option<Vec<Range<usize>>>, clock: &'a Clock) -> Self {
        let all = opened.group_rows(group);
        let ranges = ranges.filter(|r| r.as_slice() != [0..all]);
        let len = ranges.as_ref().map_or(all, |r| r.iter().map(Range::len).sum());
        Self { len, clock, source: Source::Group(opened, group, ranges), columns: vec![None; LAYOUT.leaves.len()] }
    }

    /// The row of the group, or of the batch, that is this row of the unit.
    pub fn places(&self, rows: &[u32]) -> Vec<u32> {
        let Source::Group(_, _, Some(ranges)) = &self.source else { return rows.to_vec() };
        let mut ranges = ranges.iter();
        let mut range = ranges.next().cloned().unwrap_or_default();
        // Rows of the unit before this range.
        let mut before = 0;
        let place = |row: &u32| {
            while *row as usize >= before + range.len() {
                before += range.len();
                range = ranges.next().cloned()?;
            }
            Some((range.start + *row as usize - before) as u32)
        };
        rows.iter().map_while(place).collect()
    }

    /// What an index says about the words, if one answers.
    pub fn lookup(&self, leaf: usize, words: &Words) -> Option<Found> {
        let Source::Group(opened, group, ranges) = &self.source else { return None };
        let found = lookup::lookup(opened, *group, leaf, words);
        match (found, ranges) {
            (Some(found), Some(ranges)) => Some(Found { rows: gather(&found.rows, ranges, self.len), exact: found.exact }),
            (found, _) => found,
        }
    }

    /// The number that every row has in this column, if statistics say so.
    pub fn constant(&self, leaf: usize) -> Option<i64> {
        let Source::Group(opened, group, _) = &self.source else { return None };
        let facts = GroupFacts { opened, group: *group };
        facts.ints(leaf).filter(|(min, max)| min == max && facts.nulls(leaf) == Some(0)).map(|(min, _)| min)
    }

    /// Whether no row has a value in this column.
    fn lacks(&self, leaf: usize) -> bool {
        match &self.source {
            Source::Tail(batch) => batch.rows.columns[leaf].is_none(),
            Source::Group(opened, group, _) => {
                let facts = GroupFacts { opened, group: *group };
                !facts.has(leaf) || facts.nulls(leaf).is_some_and(|n| n >= facts.rows())
            }
        }
    }

    /// Calls `visit` with the column's values at the rows of `mask`, in pieces, in order. Rows without a value may be
    /// left out: a column without any is not visited at all. Texts come as `Utf8` or as a dictionary of it.
    pub fn visit(&mut self, leaf: usize, mask: &Mask, visit: &mut dyn FnMut(&dyn Array, Rows<'_>)) -> Result<(), LakeError> {
        if self.lacks(leaf) || mask.is_empty() {
            return Ok(());
        }
        let (opened, group) = match &self.source {
            Source::Tail(batch) => {
                if let Some(array) = &batch.rows.columns[leaf] {
                    visit(array, Rows::All(mask));
                }
                return Ok(());
            }
            Source::Group(opened, group, _) => (*opened, *group),
        };
        if let Some(array) = &self.columns[leaf] {
            visit(array, Rows::All(mask));
            return Ok(());
        }
        let count = mask.count();
        if count * SPARSE >= self.len && opened.bytes_a_row(group, leaf) <= WIDE_BYTES {
            let array = self.whole(opened, group, leaf)?;
            visit(&array, Rows::All(mask));
            self.columns[leaf] = Some(array);
            return Ok(());
        }
        let rows: Vec<u32> = mask.rows().collect();
        let selection = if count == self.len { self.selection() } else { Some(selection(&self.places(&rows), opened.group_rows(group))) };
        let mut rest = rows.as_slice();
        for array in opened.arrays(group, leaf, selection, WIDE_BATCH_ROWS.min(count))? {
            self.clock.check()?;
            let array = array?;
            let Some((these, after)) = rest.split_at_checked(array.len()) else {
                return Err(opened.damaged("a row group has more rows than its footer says"));
            };
            visit(&array, Rows::These(these));
            rest = after;
        }
        if rest.is_empty() { Ok(()) } else { Err(opened.damaged("rows are missing")) }
    }

    /// Calls `visit` with row and value of a column of whole numbers or times, where there is one.
    pub fn numbers(&mut self, leaf: usize, mask: &Mask, visit: &mut impl FnMut(u32, i64)) -> Result<(), LakeError> {
        self.visit(leaf, mask, &mut |array, rows| {
            let values = whole_numbers(array);
            match array.nulls().filter(|n| n.null_count() > 0) {
                None => rows.each(|i, row| if let Some(v) = values.get(i) { visit(row, *v) }),
                Some(nulls) => rows.each(|i, row| if let (true, Some(v)) = (nulls.is_valid(i), values.get(i)) { visit(row, *v) }),
            }
        })
    }

    fn whole(&self, opened: &Opened, group: usize, leaf: usize) -> Result<ArrayRef, LakeError> {
        let mut arrays = opened.arrays(group, leaf, self.selection(), self.len)?;
        let array = arrays.next().transpose()?.filter(|a| a.len() == self.len && arrays.next().is_none());
        array.ok_or_else(|| opened.damaged("a row group has other rows than its footer says"))
    }

    /// All rows of this unit.
    fn selection(&self) -> Option<RowSelection> {
        match &self.source {
            Source::Group(opened, group, Some(ranges)) => Some(ranges_selection(ranges, opened.group_rows(*group))),
            _ => None,
        }
    }
}

/// The values of an array of whole numbers or times; empty for others.
pub(super) fn whole_numbers(array: &dyn Array) -> Cow<'_, [i64]> {
    if let Some(ints) = array.as_primitive_opt::<Int64Type>() {
        Cow::Borrowed(ints.values())
    } else if let Some(times) = array.as_primitive_opt::<TimestampMicrosecondType>() {
        Cow::Borrowed(times.values())
    } else if let Some(ints) = array.as_primitive_opt::<Int32Type>() {
        Cow::Owned(ints.values().iter().map(|v| i64::from(*v)).collect())
    } else {
        Cow::Borrowed(&[])
    }
}

/// The rows of a group that are in `ranges`, numbered as the unit's.
fn gather(rows: &Mask, ranges: &[Range<usize>], len: usize) -> Mask {
    let mut out = Mask::none(len);
    let mut ranges = ranges.iter();
    let (mut range, mut before) = (ranges.next().cloned().unwrap_or_default(), 0);
    for row in rows.rows().map(|r| r as usize) {
        while row >= range.end {
            before += range.len();
            let Some(next) = ranges.next() else { return out };
            range = next.clone();
        }
        if row >= range.start {
            out.set(before + row - range.start);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_group_are_renumbered() {
        let mut rows = Mask::none(100);
        [0, 10, 14, 15, 40, 59, 60].into_iter().for_each(|r| rows.set(r));
        let gathered = gather(&rows, &[10..15, 40..60], 25);
        assert_eq!(gathered.rows().collect::<Vec<_>>(), [0, 4, 5, 24]);
    }
}
