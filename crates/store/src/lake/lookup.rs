//! The place where a text index answers for the column scan.

use super::mask::Mask;
use super::read::Opened;
use query::{Words, is_prose};

/// What an index says about a row group.
pub(super) struct Found {
    /// By their place in the row group. No row that holds the words is missing.
    pub rows: Mask,
    /// Whether every one of them holds the words; if not, the column is read for these rows.
    pub exact: bool,
}

/// The rows of a row group that hold the words in a column (a number in `LAYOUT.leaves`); `None` where no index
/// answers, and the column is read.
pub(super) fn lookup(file: &Opened, group: usize, leaf: usize, words: &Words) -> Option<Found> {
    let column = event::COLUMNS.get(leaf).filter(|c| is_prose(c))?;
    let found = file.text.rows(words, column.path)?;
    let (start, len) = (u32::try_from(file.group_start(group)).ok()?, file.group_rows(group));
    let mut rows = Mask::none(len);
    found.bitmap.range(start, start.saturating_add(len as u32)).for_each(|row| rows.set((row - start) as usize));
    Some(Found { rows, exact: found.exact })
}
