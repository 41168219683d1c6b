//! Writing one Parquet file: encodings, statistics, bloom filters, checksums, fsync.

use super::checked::{CHECKSUMS_KEY, CheckedWriter};
use super::schema::{DAY, LAYOUT, Rows, day_text};
use super::{LakeError, io_error};
use arrow_array::StringArray;
use event::Timestamp;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use serde_json::json;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Most rows of a row group: the unit that queries prune and read.
pub(super) const GROUP_ROWS_MAX: usize = 131_072;
/// Most raw bytes of a row group, so that no read of a text column reaches Arrow's 2 GB.
const GROUP_RAW_BYTES_MAX: usize = 512 << 20;
/// Most rows of a page: what a look-up of one event decodes at least.
const PAGE_ROWS_MAX: usize = 16_384;
/// Bytes of a page of raw text: showing one event decompresses one such page.
const RAW_PAGE_BYTES: usize = 128 << 10;
/// The fastest: writing shares two cores with detection.
const ZSTD_LEVEL: i32 = 1;
const BLOOM_FALSE_POSITIVES: f64 = 0.02;

/// A file of the table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct DataFile {
    /// Relative to the table: `day=2026-11-20/part-….parquet`.
    pub path: String,
    pub day: i64,
    pub bytes: u64,
    pub rows: u64,
    pub time_min: i64,
    pub time_max: i64,
    pub stats: Stats,
}

/// What the Delta log says about a file's values, beside time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stats {
    pub offset: (i64, i64),
    pub severity: (i64, i64),
}

impl DataFile {
    /// The `stats` of a Delta `add` action.
    pub fn stats_json(&self) -> String {
        let side = |time: i64, offset: i64, severity: i64| {
            json!({"time": Timestamp(time).to_string(), "erne_offset": offset, "severity_id": severity})
        };
        json!({
            "numRecords": self.rows,
            "minValues": side(self.time_min, self.stats.offset.0, self.stats.severity.0),
            "maxValues": side(self.time_max, self.stats.offset.1, self.stats.severity.1),
            "nullCount": {"time": 0, "erne_offset": 0, "severity_id": 0},
        })
        .to_string()
    }
}

/// Takes rows in time order and leaves a synced file under its final name. The caller syncs the folders.
pub(super) struct FileWriter {
    writer: ArrowWriter<CheckedWriter>,
    staged: Staged,
    folder: PathBuf,
    day: i64,
    group_raw_bytes: usize,
    seen: Option<Seen>,
}

/// A file under its temporary name: goes away unless it was renamed.
struct Staged(PathBuf);

impl Drop for Staged {
    fn drop(&mut self) {
        // Gone already after a rename; what a kill leaves behind is removed at the next start.
        let _ = std::fs::remove_file(&self.0);
    }
}

struct Seen {
    rows: u64,
    time: (i64, i64),
    stats: Stats,
}

impl FileWriter {
    pub fn create(table: &Path, day: i64, rows_expected: usize) -> Result<Self, LakeError> {
        let folder = table.join(folder_name(day));
        std::fs::create_dir_all(&folder).map_err(|e| io_error(&folder, e))?;
        let staged = folder.join(format!(".tmp-{}", uuid::Uuid::new_v4()));
        let file = File::create_new(&staged).map_err(|e| io_error(&staged, e))?;
        let properties = properties(rows_expected);
        let staged = Staged(staged);
        let writer = ArrowWriter::try_new(CheckedWriter::new(file), LAYOUT.schema.clone(), Some(properties))?;
        Ok(Self { writer, staged, folder, day, group_raw_bytes: 0, seen: None })
    }

    pub fn write(&mut self, rows: &Rows) -> Result<(), LakeError> {
        if rows.len == 0 {
            return Ok(());
        }
        self.group_raw_bytes += rows.typed::<StringArray>(LAYOUT.raw).map_or(0, |a| a.value_data().len());
        self.writer.write(&LAYOUT.nest(rows)?)?;
        if self.writer.in_progress_rows() == 0 {
            self.group_raw_bytes = 0;
        } else if self.group_raw_bytes >= GROUP_RAW_BYTES_MAX {
            self.writer.flush()?;
            self.group_raw_bytes = 0;
        }
        self.observe(rows);
        Ok(())
    }

    fn observe(&mut self, rows: &Rows) {
        let time = min_max(rows.times());
        let offset = min_max(rows.offsets());
        let severity = min_max(rows.typed::<arrow_array::Int64Array>(LAYOUT.severity).map_or(&[], |a| a.values()));
        let wider = |a: (i64, i64), b: (i64, i64)| (a.0.min(b.0), a.1.max(b.1));
        let seen = self.seen.get_or_insert(Seen { rows: 0, time, stats: Stats { offset, severity } });
        seen.rows += rows.len as u64;
        seen.time = wider(seen.time, time);
        seen.stats.offset = wider(seen.stats.offset, offset);
        seen.stats.severity = wider(seen.stats.severity, severity);
    }

    /// Closes, syncs and names the file; the folder's entry is durable after [`sync_folders`].
    pub fn finish(mut self) -> Result<DataFile, LakeError> {
        let Some(seen) = self.seen.take() else {
            return Err(LakeError::Failed("a file without rows".into()));
        };
        self.writer.flush()?;
        self.writer.sync().map_err(|e| io_error(&self.staged.0, e))?;
        let sums = self.writer.inner_mut().seal();
        self.writer.append_key_value_metadata(KeyValue::new(CHECKSUMS_KEY.into(), sums));
        let (file, bytes, tail) = self.writer.into_inner()?.finish();
        file.sync_all().map_err(|e| io_error(&self.staged.0, e))?;
        let name = format!("part-{}-{tail}.parquet", uuid::Uuid::new_v4());
        let path = self.folder.join(&name);
        std::fs::rename(&self.staged.0, &path).map_err(|e| io_error(&path, e))?;
        Ok(DataFile {
            path: format!("{}/{name}", folder_name(self.day)),
            day: self.day,
            bytes,
            rows: seen.rows,
            time_min: seen.time.0,
            time_max: seen.time.1,
            stats: seen.stats,
        })
    }
}

pub(super) fn folder_name(day: i64) -> String {
    format!("{DAY}={}", day_text(day))
}

/// Makes new names durable: an fsync of the file alone does not keep its directory entry.
pub(super) fn sync_folders(table: &Path, files: &[DataFile]) -> Result<(), LakeError> {
    let mut days: Vec<i64> = files.iter().map(|f| f.day).collect();
    days.sort_unstable();
    days.dedup();
    for day in days {
        sync_folder(&table.join(folder_name(day)))?;
    }
    sync_folder(table)
}

pub(super) fn sync_folder(folder: &Path) -> Result<(), LakeError> {
    File::open(folder).and_then(|f| f.sync_all()).map_err(|e| io_error(folder, e))
}

fn min_max(values: &[i64]) -> (i64, i64) {
    let first = values.first().copied().unwrap_or(0);
    values.iter().fold((first, first), |(low, high), v| (low.min(*v), high.max(*v)))
}

fn properties(rows_expected: usize) -> WriterProperties {
    let level = ZstdLevel::try_new(ZSTD_LEVEL).expect("a level of zstd");
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("erne ", env!("CARGO_PKG_VERSION")).into())
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(GROUP_ROWS_MAX))
        .set_data_page_row_count_limit(PAGE_ROWS_MAX)
        .set_write_page_header_statistics(false);
    for leaf in &LAYOUT.leaves {
        let path = column_path(leaf.path, leaf.list);
        if leaf.bloom {
            let distinct = rows_expected.clamp(64, GROUP_ROWS_MAX) as u64;
            builder = builder
                .set_column_bloom_filter_enabled(path.clone(), true)
                .set_column_bloom_filter_fpp(path.clone(), BLOOM_FALSE_POSITIVES)
                .set_column_bloom_filter_max_ndv(path.clone(), distinct);
        }
        builder = match leaf.path {
            // Hardly ever equal: a dictionary would be built and thrown away. Minima of raw text prune nothing.
            "raw_data" => builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_data_page_size_limit(path.clone(), RAW_PAGE_BYTES)
                .set_column_statistics_enabled(path, EnabledStatistics::None),
            "metadata.uid" => builder.set_column_dictionary_enabled(path, false),
            "time" | "metadata.logged_time" | super::schema::OFFSET => builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
            _ => builder,
        };
    }
    builder.build()
}

/// The path of a leaf in Parquet, where a list has two levels of its own.
pub(super) fn column_path(path: &str, list: bool) -> ColumnPath {
    let mut parts: Vec<String> = path.split('.').map(str::to_owned).collect();
    if list {
        parts.extend(["list".to_owned(), "element".to_owned()]);
    }
    ColumnPath::new(parts)
}
