//! Columns of all events of a time, as they come: how counters are rebuilt and rules are replayed.

use super::LakeError;
use super::file::DataFile;
use super::mask::Mask;
use super::reading::Reading;
use super::schema::{LAYOUT, Rows};
use arrow_array::{RecordBatch, UInt32Array};
use arrow_schema::{Field, Schema};
use event::Timestamp;
use std::sync::Arc;

const BATCH_ROWS: usize = 8_192;

/// See [`super::Lake::scan`].
pub(super) fn scan(reading: &Reading, columns: &[&str], from: Timestamp, to: Timestamp, visit: &mut dyn FnMut(&RecordBatch) -> bool) -> Result<(), LakeError> {
    let leaf = |c: &&str| LAYOUT.leaf(c).ok_or_else(|| LakeError::BadQuery(format!("there is no column {c}")));
    let leaves: Vec<usize> = columns.iter().map(leaf).collect::<Result<_, _>>()?;
    let field = |l: &usize| Field::new(LAYOUT.leaves[*l].path, LAYOUT.leaves[*l].data_type.clone(), true);
    let schema = Arc::new(Schema::new(leaves.iter().map(field).collect::<Vec<_>>()));
    let mut batch = |rows: &Rows| -> Result<bool, LakeError> {
        let times = rows.times();
        let mut within = Mask::none(rows.len);
        Mask::full(rows.len).keep(&mut within, |row| times[row] >= from.0 && times[row] < to.0);
        if within.is_empty() {
            return Ok(true);
        }
        let picked = (within.count() < rows.len).then(|| UInt32Array::from_iter_values(within.rows()));
        let array = |l: &usize| match &picked {
            None => Ok(rows.array(*l)),
            Some(picked) => arrow_select::take::take(&rows.array(*l), picked, None),
        };
        let arrays = leaves.iter().map(array).collect::<Result<Vec<_>, _>>()?;
        Ok(visit(&RecordBatch::try_new(schema.clone(), arrays)?))
    };
    for tail in &reading.snapshot.tail {
        if !batch(&tail.rows)? {
            return Ok(());
        }
    }
    let mut wanted = leaves.clone();
    wanted.push(LAYOUT.time);
    let mut files: Vec<&Arc<DataFile>> = reading.snapshot.table.iter().filter(|f| f.time_max >= from.0 && f.time_min < to.0).collect();
    files.sort_unstable_by_key(|f| f.time_min);
    for file in files {
        let opened = reading.open(file)?;
        for group in 0..opened.groups() {
            let (low, high) = opened.times(group);
            if high < from.0 || low >= to.0 {
                continue;
            }
            for rows in opened.batches(Some(group), &wanted, None, BATCH_ROWS)? {
                reading.clock.check()?;
                if !batch(&rows?)? {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}
