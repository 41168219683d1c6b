//! The index of a merged file out of the indexes of its parts.

use crate::build::Part;
use crate::codec::{Each, read_rows};
use crate::read::{Cursor, Index};
use crate::write::Writer;
use crate::{Bitmap, IndexError, ROWS_MAX};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Write;

/// Lists of together at least one row in so many are put in order by a bitmap, others by sorting.
const DENSE_ROWS: usize = 128;

/// Where a row of a part lies in the whole.
#[derive(Clone, Copy)]
enum Places<'a> {
    From(u32),
    Each(&'a [u32]),
}

/// Writes the index of a file whose rows are those of `parts`: for each its index, and for each of its rows the row
/// in the new file. Answers the bytes written.
pub fn merge(parts: &[(&Index, &[u32])], out: impl Write) -> Result<u64, IndexError> {
    let Some((first, _)) = parts.first() else { return Writer::new(out)?.finish(0, &[]) };
    if parts.iter().any(|(index, _)| index.fields() != first.fields()) {
        return Err(IndexError::Damaged("it covers other columns than this version asks for"));
    }
    if parts.iter().any(|(index, places)| index.row_count() as usize != places.len()) {
        return Err(IndexError::Damaged("it has another number of rows than its file"));
    }
    let rows: u64 = parts.iter().map(|(index, _)| u64::from(index.row_count())).sum();
    let parts: Vec<(&Index, Places<'_>)> = parts.iter().map(|(index, places)| (*index, Places::Each(places))).collect();
    run(&parts, rows, out, first.fields())
}

/// Joins parts of consecutive rows.
pub(crate) fn merge_parts(parts: &[Part], out: impl Write, fields: &[String]) -> Result<u64, IndexError> {
    let mut from = 0;
    let places = parts.iter().map(|part| {
        from += part.rows;
        (&part.index, Places::From(from - part.rows))
    });
    let places: Vec<_> = places.collect();
    run(&places, u64::from(from), out, fields)
}

fn run(parts: &[(&Index, Places<'_>)], rows: u64, out: impl Write, fields: &[String]) -> Result<u64, IndexError> {
    let rows = u32::try_from(rows).ok().filter(|r| *r <= ROWS_MAX).ok_or(IndexError::TooManyRows)?;
    let mut writer = Writer::new(out)?;
    let mut cursors: Vec<Cursor<'_>> = parts.iter().map(|(index, _)| index.cursor(&[])).collect();
    let mut heap = BinaryHeap::new();
    for (i, cursor) in cursors.iter_mut().enumerate() {
        if cursor.next()? {
            heap.push(Reverse((cursor.term().to_vec(), i)));
        }
    }
    let mut list = Lists { rows: Vec::new(), scratch: Bitmap::empty(rows) };
    while let Some(Reverse((term, mut i))) = heap.pop() {
        list.rows.clear();
        let mut sources = 0;
        loop {
            list.take(&cursors[i], parts[i].1)?;
            sources += 1;
            if cursors[i].next()? {
                heap.push(Reverse((cursors[i].term().to_vec(), i)));
            }
            match heap.peek() {
                Some(Reverse((next, j))) if *next == term => i = *j,
                _ => break,
            }
            heap.pop();
        }
        let ordered = sources == 1 || matches!(parts[0].1, Places::From(_));
        list.order(ordered);
        writer.add(&term, &list.rows)?;
    }
    writer.finish(rows, fields)
}

struct Lists {
    rows: Vec<u32>,
    scratch: Bitmap,
}

impl Lists {
    fn take(&mut self, cursor: &Cursor<'_>, places: Places<'_>) -> Result<(), IndexError> {
        let (layout, bytes) = cursor.list()?;
        let rows = &mut self.rows;
        match places {
            Places::From(from) => read_rows(layout, &bytes, cursor.row_count(), &mut Each(|r| rows.push(from + r))),
            Places::Each(places) => {
                read_rows(layout, &bytes, cursor.row_count(), &mut Each(|r| rows.extend(places.get(r as usize))))
            }
        }
    }

    /// Puts the rows into ascending order.
    fn order(&mut self, ordered: bool) {
        if ordered {
            return;
        }
        if self.rows.len() * DENSE_ROWS < self.scratch.len() as usize {
            self.rows.sort_unstable();
            return;
        }
        self.rows.iter().for_each(|r| self.scratch.insert(*r));
        self.rows.clear();
        self.rows.extend(self.scratch.iter());
        self.scratch.clear();
    }
}
