//! Reading Parquet files of the table: open files are kept, row groups are pruned by statistics and bloom
//! filters, and only the asked-for columns and rows are decoded.

use super::checked::{CHECKSUMS_KEY, CheckedFile};
use super::file::{DataFile, column_path};
use super::home::Home;
use super::schema::{LAYOUT, Rows};
use super::text::{Text, Texts};
use super::LakeError;
use arrow_array::ArrayRef;
use arrow_schema::{DataType, Field, FieldRef, Fields, Schema};
use parking_lot::Mutex;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::errors::ParquetError;
use parquet::basic::Encoding;
use parquet::file::metadata::{PageIndexPolicy, RowGroupMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::statistics::Statistics;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Open files that are kept with their parsed footers (a few hundred KB each).
const OPEN_FILES_MAX: usize = 64;

/// The files that queries read, the last used ones kept open.
pub(super) struct Files {
    home: Arc<Home>,
    texts: Arc<Texts>,
    open: Mutex<Vec<(String, Arc<Opened>)>>,
}

pub(super) struct Opened {
    path: String,
    file: CheckedFile,
    metadata: ArrowReaderMetadata,
    /// The Parquet column of each leaf; a file of an older version may lack some.
    columns: Vec<Option<usize>>,
    /// Made when a column is first read by itself.
    packed: OnceLock<ArrowReaderMetadata>,
    pub text: Text,
}

impl Files {
    pub fn new(home: Arc<Home>, texts: Arc<Texts>) -> Self {
        Self { home, texts, open: Mutex::default() }
    }

    pub fn get(&self, file: &DataFile) -> Result<Arc<Opened>, LakeError> {
        {
            let mut open = self.open.lock();
            if let Some(at) = open.iter().position(|(path, _)| *path == file.path) {
                let entry = open.remove(at);
                if !entry.1.file.stale() {
                    let opened = entry.1.clone();
                    open.push(entry);
                    return Ok(opened);
                }
            }
        }
        let opened = Arc::new(self.open_new(file)?);
        let mut open = self.open.lock();
        if open.len() >= OPEN_FILES_MAX {
            open.remove(0);
        }
        open.push((file.path.clone(), opened.clone()));
        Ok(opened)
    }

    /// Opens without keeping: compaction reads each file once.
    pub fn open_new(&self, file: &DataFile) -> Result<Opened, LakeError> {
        let (name, bytes) = (self.home.describe(&file.path), self.home.open_file(file)?);
        let failed = |e: ParquetError| match bytes.failure() {
            Some(failure) => LakeError::Failed(failure),
            None => damaged(&name, e),
        };
        Opened::new(name.clone(), &file.path, bytes.clone(), &self.texts).map_err(failed)
    }

    pub fn forget(&self, path: &str) {
        self.open.lock().retain(|(p, _)| p != path);
    }
}

pub(super) fn damaged(file: &str, reason: impl std::fmt::Display) -> LakeError {
    LakeError::Damaged { file: file.to_owned(), reason: reason.to_string() }
}

impl Opened {
    fn new(path: String, relative: &str, file: CheckedFile, texts: &Arc<Texts>) -> Result<Self, ParquetError> {
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let metadata = ArrowReaderMetadata::load(&file, options)?;
        let pairs = metadata.metadata().file_metadata().key_value_metadata();
        let sums = pairs.and_then(|p| p.iter().find(|kv| kv.key == CHECKSUMS_KEY)?.value.as_deref());
        if let Some(sums) = sums {
            file.set_checksums(sums)?;
        }
        let descriptor = metadata.parquet_schema();
        let columns = LAYOUT.leaves.iter().map(|leaf| {
            let path = column_path(leaf.path, leaf.list);
            descriptor.columns().iter().position(|c| *c.path() == path)
        });
        let columns = columns.collect();
        let rows = metadata.metadata().file_metadata().num_rows().max(0) as u64;
        let text = Text::new(texts.clone(), relative, rows);
        Ok(Self { path, file, metadata, columns, packed: OnceLock::new(), text })
    }

    pub fn groups(&self) -> usize {
        self.metadata.metadata().num_row_groups()
    }

    pub fn group(&self, group: usize) -> &RowGroupMetaData {
        self.metadata.metadata().row_group(group)
    }

    pub fn group_rows(&self, group: usize) -> usize {
        self.group(group).num_rows().max(0) as usize
    }

    /// The rows of the file before a group.
    pub fn group_start(&self, group: usize) -> usize {
        (0..group).map(|g| self.group_rows(g)).sum()
    }

    /// What made a read of this file fail: the file, or a store that did not answer.
    pub fn damaged(&self, reason: impl std::fmt::Display) -> LakeError {
        match self.file.failure() {
            Some(failure) => LakeError::Failed(failure),
            None => damaged(&self.path, reason),
        }
    }

    /// The bytes that rows of these columns lie in: whole column chunks, or the pages of a selection.
    fn byte_ranges(&self, group: Option<usize>, columns: &[usize], selection: Option<&RowSelection>) -> Vec<Range<u64>> {
        let metadata = self.metadata.metadata();
        let mut ranges = Vec::new();
        for group in group.map_or(0..self.groups(), |g| g..g + 1) {
            for column in columns {
                let (start, length) = self.group(group).column(*column).byte_range();
                let pages = metadata.offset_index().and_then(|index| index.get(group)?.get(*column)).map(|c| c.page_locations());
                match (selection, pages) {
                    (Some(selection), Some(pages)) if !pages.is_empty() => {
                        // A dictionary lies before the first page.
                        ranges.push(start..(pages[0].offset.max(0) as u64).max(start));
                        ranges.extend(selection.scan_ranges(pages));
                    }
                    _ => ranges.push(start..start + length),
                }
            }
        }
        ranges
    }

    /// Gets what will be read of a row group with few requests, if the file is in an object store.
    pub fn prefetch(&self, group: usize, columns: impl IntoIterator<Item = usize>, selection: Option<&RowSelection>) -> Result<(), LakeError> {
        let ranges = || self.byte_ranges(Some(group), &columns.into_iter().collect::<Vec<_>>(), selection);
        self.file.prefetch(ranges).map_err(|e| self.damaged(e))
    }

    pub fn metadata(&self) -> &ArrowReaderMetadata {
        &self.metadata
    }

    /// A reader under other metadata of the same file: for SQL, which reads texts as views.
    pub fn reader(&self, metadata: ArrowReaderMetadata) -> ParquetRecordBatchReaderBuilder<CheckedFile> {
        ParquetRecordBatchReaderBuilder::new_with_metadata(self.file.clone(), metadata)
    }

    pub fn statistics(&self, group: usize, leaf: usize) -> Option<&Statistics> {
        self.group(group).column(self.columns[leaf]?).statistics()
    }

    /// Least and greatest time of a row group.
    pub fn times(&self, group: usize) -> (i64, i64) {
        match self.statistics(group, LAYOUT.time) {
            Some(Statistics::Int64(s)) => {
                (s.min_opt().copied().unwrap_or(i64::MIN), s.max_opt().copied().unwrap_or(i64::MAX))
            }
            _ => (i64::MIN, i64::MAX),
        }
    }

    /// The Parquet column of a leaf, if the file has it.
    pub fn column(&self, leaf: usize) -> Option<usize> {
        self.columns[leaf]
    }

    /// Whether a row of the group may hold one of the texts; false is certain.
    pub fn bloom_allows(&self, group: usize, leaf: usize, texts: &[String]) -> Result<bool, LakeError> {
        let Some(column) = self.columns[leaf] else { return Ok(true) };
        let filter = self.builder().get_row_group_column_bloom_filter(group, column).map_err(|e| self.damaged(e))?;
        Ok(filter.is_none_or(|filter| texts.iter().any(|t| filter.check(t.as_str()))))
    }

    /// The page index of a column in a row group: minima and maxima, and where pages begin.
    pub fn page_index(&self, group: usize, leaf: usize) -> Option<(&ColumnIndexMetaData, &[PageLocation])> {
        let (metadata, column) = (self.metadata.metadata(), self.columns[leaf]?);
        let index = metadata.column_index()?.get(group)?.get(column)?;
        let locations = metadata.offset_index()?.get(group)?.get(column)?.page_locations();
        Some((index, locations))
    }

    /// Bytes of a column's values, decompressed, by row.
    pub fn bytes_a_row(&self, group: usize, leaf: usize) -> u64 {
        let Some(column) = self.columns[leaf] else { return 0 };
        let bytes = self.group(group).column(column).uncompressed_size().max(0) as u64;
        bytes / (self.group_rows(group) as u64).max(1)
    }

    /// One column of a row group in batches. Texts that the file holds as a dictionary throughout stay one.
    pub fn arrays(
        &self,
        group: usize,
        leaf: usize,
        selection: Option<RowSelection>,
        batch_rows: usize,
    ) -> Result<impl Iterator<Item = Result<ArrayRef, LakeError>> + '_, LakeError> {
        let metadata = self.packed.get_or_init(|| self.pack());
        self.prefetch(group, self.columns[leaf], selection.as_ref())?;
        let mask = ProjectionMask::leaves(self.metadata.parquet_schema(), self.columns[leaf]);
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.file.clone(), metadata.clone());
        let mut builder = builder.with_projection(mask).with_batch_size(batch_rows.max(1)).with_row_groups(vec![group]);
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        let reader = builder.build().map_err(|e| self.damaged(e))?;
        Ok(reader.map(move |batch| {
            let batch = batch.map_err(|e| self.damaged(e))?;
            LAYOUT.flatten(&batch, &[leaf]).columns[leaf].take().ok_or_else(|| self.damaged("a column is missing"))
        }))
    }

    /// The metadata under which columns that are dictionaries on disk are read as dictionaries.
    fn pack(&self) -> ArrowReaderMetadata {
        let is_packed = |leaf: usize| {
            let Some(column) = self.columns[leaf] else { return false };
            let kind = LAYOUT.leaves[leaf].data_type == DataType::Utf8;
            kind && (0..self.groups()).all(|g| {
                let encodings = self.group(g).column(column).page_encoding_stats_mask();
                encodings.is_some_and(|mask| mask.is_only(Encoding::RLE_DICTIONARY))
            })
        };
        let packed: Vec<&str> = (0..LAYOUT.leaves.len()).filter(|l| is_packed(*l)).map(|l| LAYOUT.leaves[l].path).collect();
        let fields = self.metadata.schema().fields().iter().map(|f| pack_field(f, "", &packed)).collect::<Fields>();
        let schema = Schema::new_with_metadata(fields, self.metadata.schema().metadata().clone());
        let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
        // Only a faster way to the same values: without it, texts are read as texts.
        ArrowReaderMetadata::try_new(self.metadata.metadata().clone(), options).unwrap_or_else(|_| self.metadata.clone())
    }

    fn builder(&self) -> ParquetRecordBatchReaderBuilder<CheckedFile> {
        ParquetRecordBatchReaderBuilder::new_with_metadata(self.file.clone(), self.metadata.clone())
    }

    /// Rows of one row group (or of all), in batches, with the given leaves filled in.
    pub fn batches(
        &self,
        group: Option<usize>,
        leaves: &[usize],
        selection: Option<RowSelection>,
        batch_rows: usize,
    ) -> Result<Batches<'_>, LakeError> {
        let mut leaves: Vec<usize> = leaves.to_vec();
        leaves.sort_unstable();
        leaves.dedup();
        let columns: Vec<usize> = leaves.iter().filter_map(|l| self.columns[*l]).collect();
        self.file.prefetch(|| self.byte_ranges(group, &columns, selection.as_ref())).map_err(|e| self.damaged(e))?;
        let mask = ProjectionMask::leaves(self.metadata.parquet_schema(), columns);
        let mut builder = self.builder().with_projection(mask).with_batch_size(batch_rows.max(1));
        if let Some(group) = group {
            builder = builder.with_row_groups(vec![group]);
        }
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        let reader = builder.build().map_err(|e| self.damaged(e))?;
        Ok(Batches { file: self, reader, leaves })
    }

    /// All rows of a group at once: for the narrow columns that filters read.
    pub fn rows(&self, group: usize, leaves: &[usize], selection: Option<RowSelection>) -> Result<Rows, LakeError> {
        // Buffers are made for a whole batch: no larger than what is read.
        let rows = selection.as_ref().map_or(self.group_rows(group), RowSelection::row_count);
        let mut batches = self.batches(Some(group), leaves, selection, rows)?;
        let rows = batches.next().transpose()?.unwrap_or_else(|| Rows::new(0, LAYOUT.leaves.len()));
        if batches.next().is_some() {
            return Err(self.damaged("a row group has more rows than its footer says"));
        }
        Ok(rows)
    }
}

pub(super) struct Batches<'a> {
    file: &'a Opened,
    reader: ParquetRecordBatchReader,
    leaves: Vec<usize>,
}

impl Iterator for Batches<'_> {
    type Item = Result<Rows, LakeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next()?.map_err(|e| self.file.damaged(e));
        Some(batch.and_then(|batch| {
            let rows = LAYOUT.flatten(&batch, &self.leaves);
            // Rows that our code will index by position must have one.
            let whole = [LAYOUT.time, LAYOUT.offset, LAYOUT.index]
                .iter()
                .all(|l| !self.leaves.contains(l) || rows.columns[*l].as_ref().is_some_and(|a| a.null_count() == 0));
            if whole { Ok(rows) } else { Err(self.file.damaged("rows without time or position")) }
        }))
    }
}

/// A selection of single rows (ascending) out of `total`.
pub(super) fn selection(rows: &[u32], total: usize) -> RowSelection {
    let mut ranges: Vec<std::ops::Range<usize>> = Vec::new();
    for row in rows {
        let row = *row as usize;
        match ranges.last_mut() {
            Some(last) if last.end == row => last.end = row + 1,
            _ => ranges.push(row..row + 1),
        }
    }
    ranges_selection(&ranges, total)
}

pub(super) fn ranges_selection(ranges: &[std::ops::Range<usize>], total: usize) -> RowSelection {
    RowSelection::from_consecutive_ranges(ranges.iter().cloned(), total)
}

/// The field with those texts below it as dictionaries whose dotted paths are in `packed`.
fn pack_field(field: &Field, above: &str, packed: &[&str]) -> FieldRef {
    let path = if above.is_empty() { field.name().clone() } else { format!("{above}.{}", field.name()) };
    let data_type = match field.data_type() {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|f| pack_field(f, &path, packed)).collect()),
        DataType::Utf8 if packed.contains(&path.as_str()) => DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into()),
        other => other.clone(),
    };
    Arc::new(field.clone().with_data_type(data_type))
}
