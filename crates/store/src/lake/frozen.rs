//! One state of the lake, held for long readers: SQL and exports.
//!
//! A [`Frozen`] names the files of one version of the table and the batches of the tail as they were at one
//! moment. The files stay on disk while it lives: upkeep deletes a file that was taken out of the table only
//! once nothing refers to it, whatever the grace is, so that a query of minutes reads what it began with.
//!
//! Rows come out flat: a column for each of `event::COLUMNS` under its dotted path, text as Arrow's string
//! views, and `day`. What a reader asks for are columns, tests of rows, and a [`Prune`] that is asked before a
//! file or row group is read. Checksums are verified as in every other search.

use super::{LakeConfig, LakeError};
use super::file::DataFile;
use super::read::{Files, Opened};
use super::schema::{DAY, LAYOUT, Rows, leaf_array};
use super::reading::Snapshot;
use super::tail;
use arrow_array::{Array, ArrayRef, BooleanArray, Date32Array, Int64Array, RecordBatch, RecordBatchOptions, StringViewArray, new_null_array};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use event::COLUMNS;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicate, ArrowPredicateFn, ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, RowFilter,
};
use parquet::file::statistics::Statistics;
use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};

/// The column of the table's partition, behind those of `event::COLUMNS`.
pub const DAY_COLUMN: usize = COLUMNS.len();

static FLAT: LazyLock<SchemaRef> = LazyLock::new(|| {
    let mut fields: Vec<Field> = LAYOUT.leaves[..DAY_COLUMN].iter().map(|l| Field::new(l.path, viewed(&l.data_type), true)).collect();
    fields.push(Field::new(DAY, DataType::Date32, true));
    Arc::new(Schema::new(fields))
});

/// Text columns become views: a page's dictionary is then shared and not copied row by row.
fn viewed(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8 => DataType::Utf8View,
        DataType::Struct(fields) => DataType::Struct(viewed_fields(fields)),
        other => other.clone(),
    }
}

fn viewed_fields(fields: &Fields) -> Fields {
    fields.iter().map(|f| -> FieldRef { Arc::new(f.as_ref().clone().with_data_type(viewed(f.data_type()))) }).collect()
}

/// What is known of the rows of a file, a row group or a batch without reading them.
pub trait Bounds {
    fn rows(&self) -> u64;
    /// The least and the greatest value of a column, as arrays of one value; not always tight.
    fn range(&self, column: usize) -> Option<(ArrayRef, ArrayRef)>;
    /// Rows without a value.
    fn nulls(&self, column: usize) -> Option<u64>;
    /// Whether a row can hold this text in the column; false is certain.
    fn may_hold(&self, column: usize, text: &str) -> bool;
}

/// Asked before something is read.
pub trait Prune: Send {
    /// Whether a wanted row can be there; false is certain.
    fn wants(&mut self, bounds: &dyn Bounds) -> bool;
}

/// Wants everything.
pub struct All;

impl Prune for All {
    fn wants(&mut self, _: &dyn Bounds) -> bool {
        true
    }
}

/// Says of each row of a batch whether it is wanted; null is no.
pub type Keep = Arc<dyn Fn(&RecordBatch) -> Result<BooleanArray, ArrowError> + Send + Sync>;

/// A test of rows: it sees batches with these columns, in this order.
#[derive(Clone)]
pub struct RowTest {
    pub columns: Vec<usize>,
    pub keep: Keep,
}

/// What to read.
pub struct FrozenRead {
    /// Positions in [`Frozen::schema`], in the order of the batches' columns.
    pub columns: Vec<usize>,
    /// Of so many equal shares this one (from 0): readers with all shares see every row once.
    pub share: (usize, usize),
    pub newest_first: bool,
    pub batch_rows: usize,
    pub prune: Box<dyn Prune>,
    /// Applied in this order; later ones read only rows that earlier ones kept.
    pub tests: Vec<RowTest>,
}

/// A file of the frozen table.
#[derive(Clone, Debug)]
pub struct FrozenFile {
    /// Relative to the lake's folder.
    pub path: String,
    /// Days since 1970-01-01.
    pub day: i64,
    pub rows: u64,
    pub bytes: u64,
    /// Least and greatest time, in microseconds.
    pub time: (i64, i64),
}

/// See the module's text. Cheap to clone.
#[derive(Clone)]
pub struct Frozen {
    snapshot: Snapshot,
    files: Arc<Files>,
    config: Arc<LakeConfig>,
}

impl std::fmt::Debug for Frozen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frozen({} files, {} batches)", self.snapshot.table.len(), self.snapshot.tail.len())
    }
}

impl Frozen {
    pub(super) fn new(snapshot: Snapshot, files: Arc<Files>, config: Arc<LakeConfig>) -> Self {
        Self { snapshot, files, config }
    }

    /// The flat columns.
    pub fn schema() -> SchemaRef {
        FLAT.clone()
    }

    /// Exact.
    pub fn rows(&self) -> u64 {
        let tail: usize = self.snapshot.tail.iter().map(|b| b.rows.len).sum();
        self.snapshot.table.iter().map(|f| f.rows).sum::<u64>() + tail as u64
    }

    /// Rows that are in no file yet.
    pub fn tail_rows(&self) -> u64 {
        self.snapshot.tail.iter().map(|b| b.rows.len as u64).sum()
    }

    pub fn files(&self) -> Vec<FrozenFile> {
        let file = |f: &Arc<DataFile>| FrozenFile { path: f.path.clone(), day: f.day, rows: f.rows, bytes: f.bytes, time: (f.time_min, f.time_max) };
        self.snapshot.table.iter().map(file).collect()
    }

    /// Reads batches. Work is done in `next`; nothing is left out in silence: a file that cannot be read is an
    /// error, and the last item.
    pub fn read(&self, reading: FrozenRead) -> FrozenRows {
        let mut units: Vec<Unit> = (0..self.snapshot.tail.len()).map(Unit::Tail).collect();
        units.extend((0..self.snapshot.table.len()).map(Unit::File));
        let newest = |unit: &Unit| match unit {
            Unit::Tail(b) => self.snapshot.tail[*b].time_max,
            Unit::File(f) => self.snapshot.table[*f].time_max,
        };
        if reading.newest_first {
            units.sort_by_key(|u| Reverse(newest(u)));
        } else {
            units.sort_by_key(newest);
        }
        let fields: Vec<Field> = reading.columns.iter().map(|c| FLAT.field(*c).clone()).collect();
        FrozenRows { frozen: self.clone(), schema: Arc::new(Schema::new(fields)), reading, units: units.into(), tail: None, file: None, done: false }
    }
}

#[derive(Clone, Copy)]
enum Unit {
    Tail(usize),
    File(usize),
}

/// The batches of a [`FrozenRead`].
pub struct FrozenRows {
    frozen: Frozen,
    reading: FrozenRead,
    schema: SchemaRef,
    units: VecDeque<Unit>,
    /// A batch of the tail, and the next row.
    tail: Option<(usize, usize)>,
    file: Option<OpenFile>,
    done: bool,
}

struct OpenFile {
    opened: Arc<Opened>,
    metadata: ArrowReaderMetadata,
    day: i64,
    groups: VecDeque<usize>,
    reader: Option<ParquetRecordBatchReader>,
}

impl Iterator for FrozenRows {
    type Item = Result<RecordBatch, LakeError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.done {
            match self.step() {
                Ok(Step::Batch(batch)) if batch.num_rows() > 0 => return Some(Ok(batch)),
                Ok(Step::Batch(_) | Step::Again) => {}
                Ok(Step::End) => self.done = true,
                Err(error) => {
                    self.done = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

enum Step {
    Batch(RecordBatch),
    Again,
    End,
}

impl FrozenRows {
    fn step(&mut self) -> Result<Step, LakeError> {
        if let Some((batch, row)) = self.tail {
            return self.step_tail(batch, row).map(Step::Batch);
        }
        let Some(mut file) = self.file.take() else { return self.step_unit() };
        if let Some(reader) = &mut file.reader {
            match reader.next() {
                Some(batch) => {
                    let batch = batch.map_err(|e| file.opened.damaged(e))?;
                    let flat = flatten(&batch, &self.reading.columns, self.schema.clone(), file.day).map_err(|e| file.opened.damaged(e))?;
                    self.file = Some(file);
                    return Ok(Step::Batch(flat));
                }
                None => file.reader = None,
            }
        }
        if let Some(group) = file.groups.pop_front() {
            if self.reading.prune.wants(&GroupBounds { opened: &file.opened, group, day: file.day }) {
                file.reader = Some(self.reader(&file, group)?);
            }
            self.file = Some(file);
        }
        Ok(Step::Again)
    }

    /// Begins the next file, or the next batch of the tail.
    fn step_unit(&mut self) -> Result<Step, LakeError> {
        let (share, shares) = (self.reading.share.0, self.reading.share.1.max(1));
        match self.units.pop_front() {
            None => return Ok(Step::End),
            Some(Unit::Tail(b)) => {
                let batch = &self.frozen.snapshot.tail[b];
                let bounds = Known { rows: batch.rows.len as u64, time: (batch.time_min, batch.time_max), day: None, severity: None };
                if b % shares == share && self.reading.prune.wants(&bounds) {
                    self.tail = Some((b, 0));
                }
            }
            Some(Unit::File(f)) => {
                let file = self.frozen.snapshot.table[f].clone();
                let bounds = Known { rows: file.rows, time: (file.time_min, file.time_max), day: Some(file.day), severity: Some(file.stats.severity) };
                if self.reading.prune.wants(&bounds) {
                    self.file = Some(self.open(&file, f)?);
                }
            }
        }
        Ok(Step::Again)
    }

    fn open(&self, file: &DataFile, number: usize) -> Result<OpenFile, LakeError> {
        let opened = self.frozen.files.get(file)?;
        let viewed = Schema::new(viewed_fields(opened.metadata().schema().fields()));
        let options = ArrowReaderOptions::new().with_schema(Arc::new(viewed));
        let metadata = ArrowReaderMetadata::try_new(opened.metadata().metadata().clone(), options).map_err(|e| opened.damaged(e))?;
        let (share, shares) = (self.reading.share.0, self.reading.share.1.max(1));
        // Small files have one row group: counting on from the file's number spreads them, too.
        let mut groups: VecDeque<usize> = (0..opened.groups()).filter(|g| (g + number) % shares == share).collect();
        if self.reading.newest_first {
            groups = groups.into_iter().rev().collect();
        }
        Ok(OpenFile { opened, metadata, day: file.day, groups, reader: None })
    }

    fn reader(&self, file: &OpenFile, group: usize) -> Result<ParquetRecordBatchReader, LakeError> {
        let opened = &file.opened;
        // What the first test leaves of the other columns is not known yet: those are read ahead as they are read.
        let first = self.reading.tests.first().map_or(&self.reading.columns, |test| &test.columns);
        opened.prefetch(group, first.iter().filter(|c| **c != DAY_COLUMN).filter_map(|c| opened.column(*c)), None)?;
        let mask = |columns: &[usize]| {
            let leaves = columns.iter().filter(|c| **c != DAY_COLUMN).filter_map(|c| opened.column(*c));
            ProjectionMask::leaves(opened.metadata().parquet_schema(), leaves)
        };
        let day = file.day;
        let tests = self.reading.tests.iter().map(|test| -> Box<dyn ArrowPredicate> {
            let fields: Vec<Field> = test.columns.iter().map(|c| FLAT.field(*c).clone()).collect();
            let (schema, test_) = (Arc::new(Schema::new(fields)), test.clone());
            Box::new(ArrowPredicateFn::new(mask(&test.columns), move |batch| {
                (test_.keep)(&flatten(&batch, &test_.columns, schema.clone(), day)?)
            }))
        });
        let tests: Vec<_> = tests.collect();
        let mut builder = opened
            .reader(file.metadata.clone())
            .with_row_groups(vec![group])
            .with_projection(mask(&self.reading.columns))
            .with_batch_size(self.reading.batch_rows.max(1));
        if !tests.is_empty() {
            builder = builder.with_row_filter(RowFilter::new(tests));
        }
        builder.build().map_err(|e| opened.damaged(e))
    }

    fn step_tail(&mut self, batch: usize, row: usize) -> Result<RecordBatch, LakeError> {
        let rows = &self.frozen.snapshot.tail[batch].rows;
        let len = self.reading.batch_rows.max(1).min(rows.len - row);
        self.tail = (row + len < rows.len).then_some((batch, row + len));
        let slice = Rows { len, columns: rows.columns.iter().map(|c| c.as_ref().map(|a| a.slice(row, len))).collect() };
        let mut keep: Option<BooleanArray> = None;
        for test in &self.reading.tests {
            let kept = (test.keep)(&self.flat_tail(&slice, &test.columns)?)?;
            keep = Some(match keep {
                None => kept,
                Some(before) => arrow::compute::and_kleene(&before, &kept)?,
            });
        }
        let flat = self.flat_tail(&slice, &self.reading.columns)?;
        Ok(match keep {
            None => flat,
            Some(keep) => arrow_select::filter::filter_record_batch(&flat, &keep)?,
        })
    }

    fn flat_tail(&self, rows: &Rows, columns: &[usize]) -> Result<RecordBatch, ArrowError> {
        let array = |column: &usize| -> Result<ArrayRef, ArrowError> {
            if *column == DAY_COLUMN {
                let day = tail::partitions(rows, &self.frozen.config);
                return Ok(Arc::new(Date32Array::from_iter_values((0..rows.len).map(|row| day(row) as i32))));
            }
            let wanted = FLAT.field(*column).data_type();
            match &rows.columns[*column] {
                None => Ok(new_null_array(wanted, rows.len)),
                Some(array) if array.data_type() == wanted => Ok(array.clone()),
                Some(array) => arrow::compute::cast(array, wanted),
            }
        };
        let arrays = columns.iter().map(array).collect::<Result<_, _>>()?;
        let fields: Vec<Field> = columns.iter().map(|c| FLAT.field(*c).clone()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
    }
}

/// The flat columns of a batch that was read from a file of `day`.
fn flatten(batch: &RecordBatch, columns: &[usize], schema: SchemaRef, day: i64) -> Result<RecordBatch, ArrowError> {
    let rows = batch.num_rows();
    let array = |column: &usize| -> ArrayRef {
        if *column == DAY_COLUMN {
            return Arc::new(Date32Array::from_value(day as i32, rows));
        }
        leaf_array(batch, LAYOUT.leaves[*column].path).unwrap_or_else(|| new_null_array(FLAT.field(*column).data_type(), rows))
    };
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, columns.iter().map(array).collect(), &options)
}

/// What the Delta log says of a file, or the tail of a batch.
struct Known {
    rows: u64,
    time: (i64, i64),
    day: Option<i64>,
    severity: Option<(i64, i64)>,
}

fn times(range: (i64, i64)) -> (ArrayRef, ArrayRef) {
    let array = |v: i64| -> ArrayRef { Arc::new(arrow_array::TimestampMicrosecondArray::from(vec![v]).with_timezone("UTC")) };
    (array(range.0), array(range.1))
}

fn number(value: i64) -> ArrayRef {
    Arc::new(Int64Array::from(vec![value]))
}

/// A bound that was cut within a character is no text, and then none.
fn text(bytes: &[u8]) -> Option<ArrayRef> {
    Some(Arc::new(StringViewArray::from(vec![std::str::from_utf8(bytes).ok()?])))
}

fn days(day: i64) -> (ArrayRef, ArrayRef) {
    let array: ArrayRef = Arc::new(Date32Array::from(vec![day as i32]));
    (array.clone(), array)
}

impl Bounds for Known {
    fn rows(&self) -> u64 {
        self.rows
    }

    fn range(&self, column: usize) -> Option<(ArrayRef, ArrayRef)> {
        match column {
            DAY_COLUMN => self.day.map(days),
            c if c == LAYOUT.time => Some(times(self.time)),
            c if c == LAYOUT.severity => self.severity.map(|(low, high)| (number(low), number(high))),
            _ => None,
        }
    }

    fn nulls(&self, column: usize) -> Option<u64> {
        (column == LAYOUT.time || column == LAYOUT.severity || column == DAY_COLUMN).then_some(0)
    }

    fn may_hold(&self, _: usize, _: &str) -> bool {
        true
    }
}

struct GroupBounds<'a> {
    opened: &'a Opened,
    group: usize,
    day: i64,
}

impl Bounds for GroupBounds<'_> {
    fn rows(&self) -> u64 {
        self.opened.group_rows(self.group) as u64
    }

    fn range(&self, column: usize) -> Option<(ArrayRef, ArrayRef)> {
        if column == DAY_COLUMN {
            return Some(days(self.day));
        }
        let leaf = &LAYOUT.leaves[column];
        match self.opened.statistics(self.group, column)? {
            Statistics::Int64(s) if matches!(leaf.data_type, DataType::Timestamp(..)) => Some(times((*s.min_opt()?, *s.max_opt()?))),
            Statistics::Int64(s) => Some((number(*s.min_opt()?), number(*s.max_opt()?))),
            // A list's bounds are those of its elements.
            Statistics::ByteArray(s) if !leaf.list => Some((text(s.min_opt()?.data())?, text(s.max_opt()?.data())?)),
            _ => None,
        }
    }

    fn nulls(&self, column: usize) -> Option<u64> {
        if column == DAY_COLUMN {
            return Some(0);
        }
        let statistics = self.opened.statistics(self.group, column).filter(|_| !LAYOUT.leaves[column].list);
        statistics?.null_count_opt()
    }

    /// A filter that cannot be read proves nothing; the read that follows names the damage.
    fn may_hold(&self, column: usize, text: &str) -> bool {
        let asked = column != DAY_COLUMN && LAYOUT.leaves[column].bloom;
        !asked || self.opened.bloom_allows(self.group, column, &[text.to_owned()]).unwrap_or(true)
    }
}
