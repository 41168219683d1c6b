//! The Delta log. Commits are written here, because a commit must be fsynced before it counts and the
//! library's local store does not sync; reading the log, checkpoints and the clean-up of expired log files
//! are `deltalake-core`'s (see docs/adr/0003-lake.md).

use super::file::{DataFile, Stats, sync_folder};
use super::schema::{DAY, LAYOUT, day_text, parse_day};
use super::{LakeError, io_error};
use deltalake_core::{DeltaTable, DeltaTableBuilder};
use event::Timestamp;
use futures::TryStreamExt;
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Whose `txn` action names the covered log offset.
pub(super) const APP_ID: &str = "erne-lake";
/// Commits between two checkpoints: opening replays at most this many JSON files.
pub(super) const CHECKPOINT_COMMITS: u64 = 100;
/// Log files older than this and behind a checkpoint are deleted: nobody travels in time here.
const LOG_RETENTION_MILLIS: i64 = 3_600_000;
const LOG: &str = "_delta_log";

/// What a commit changes.
#[derive(Default)]
pub(super) struct Changes {
    pub adds: Vec<DataFile>,
    pub removes: Vec<DataFile>,
    /// The next log offset, where the commit covers more of the log.
    pub covered: Option<u64>,
    /// Whether rows come or go; false where files are only rewritten.
    pub data_change: bool,
    pub operation: &'static str,
}

pub(super) struct Loaded {
    pub version: u64,
    pub covered: u64,
    pub files: Vec<DataFile>,
    /// Files removed from the table that may still be on disk, with the time of removal in milliseconds.
    pub tombstones: Vec<(String, i64)>,
    schema: Value,
    table_id: String,
}

pub(super) fn exists(table: &Path) -> Result<bool, LakeError> {
    let log = table.join(LOG);
    if !log.is_dir() {
        return Ok(false);
    }
    let mut entries = std::fs::read_dir(&log).map_err(|e| io_error(&log, e))?;
    Ok(entries.any(|e| e.is_ok_and(|e| !e.file_name().to_string_lossy().starts_with('.'))))
}

/// Writes version 0 of a new table.
pub(super) fn create(table: &Path, now: Timestamp) -> Result<(), LakeError> {
    let log = table.join(LOG);
    std::fs::create_dir_all(&log).map_err(|e| io_error(&log, e))?;
    let actions = vec![
        json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}),
        metadata(&uuid::Uuid::new_v4().to_string(), &LAYOUT.delta_schema(), now),
    ];
    write_commit(table, 0, &actions, "CREATE TABLE", now)?;
    sync_folder(table)
}

fn metadata(id: &str, schema: &Value, now: Timestamp) -> Value {
    json!({"metaData": {
        "id": id,
        "name": "events",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": schema.to_string(),
        "partitionColumns": [DAY],
        "configuration": {
            "delta.checkpointInterval": CHECKPOINT_COMMITS.to_string(),
            "erne.ocsfVersion": event::OCSF_VERSION,
        },
        "createdTime": now.millis(),
    }})
}

/// Commits `changes` as `version`; durable when it returns.
pub(super) fn commit(table: &Path, version: u64, changes: &Changes, now: Timestamp) -> Result<(), LakeError> {
    let mut actions = Vec::with_capacity(changes.adds.len() + changes.removes.len() + 1);
    for file in &changes.removes {
        actions.push(json!({"remove": {
            "path": file.path,
            "deletionTimestamp": now.millis(),
            "dataChange": changes.data_change,
            "extendedFileMetadata": true,
            "partitionValues": {DAY: day_text(file.day)},
            "size": file.bytes,
        }}));
    }
    for file in &changes.adds {
        actions.push(json!({"add": {
            "path": file.path,
            "partitionValues": {DAY: day_text(file.day)},
            "size": file.bytes,
            "modificationTime": now.millis(),
            "dataChange": changes.data_change,
            "stats": file.stats_json(),
        }}));
    }
    if let Some(covered) = changes.covered {
        actions.push(json!({"txn": {"appId": APP_ID, "version": covered, "lastUpdated": now.millis()}}));
    }
    write_commit(table, version, &actions, changes.operation, now)
}

/// The file is complete and synced before it gets its name, and the name is never taken twice.
fn write_commit(table: &Path, version: u64, actions: &[Value], operation: &str, now: Timestamp) -> Result<(), LakeError> {
    let lines: Vec<String> = actions.iter().map(Value::to_string).collect();
    let body = lines.join("\n");
    let info = json!({"commitInfo": {
        "timestamp": now.millis(),
        "operation": operation,
        "engineInfo": concat!("erne/", env!("CARGO_PKG_VERSION")),
        "erneCrc32c": format!("{:08x}", crc32c::crc32c(body.as_bytes())),
    }});
    let log = table.join(LOG);
    let staged = log.join(format!(".tmp-{}", uuid::Uuid::new_v4()));
    let named = commit_path(table, version);
    let written = File::create_new(&staged)
        .and_then(|mut file| {
            file.write_all(format!("{info}\n{body}\n").as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| std::fs::hard_link(&staged, &named));
    let removed = std::fs::remove_file(&staged);
    written.and(removed).map_err(|e| io_error(&named, e))?;
    sync_folder(&log)
}

pub(super) fn commit_exists(table: &Path, version: u64) -> bool {
    commit_path(table, version).exists()
}

fn commit_path(table: &Path, version: u64) -> PathBuf {
    table.join(LOG).join(format!("{version:020}.json"))
}

/// Reads the newest state of the table and brings its schema up to date with `COLUMNS`.
pub(super) fn load(table: &Path, writable: bool, now: Timestamp) -> Result<Loaded, LakeError> {
    verify_commits(table)?;
    let mut loaded = on_delta_thread(table, |table| async move {
        let delta = open_table(&table).await?;
        read_table(&delta).await
    })?;
    let wanted = LAYOUT.delta_schema();
    let missing = missing_columns(table, &loaded.schema, &wanted)?;
    if missing && writable {
        let merged = merge_schema(&loaded.schema, &wanted);
        loaded.version += 1;
        write_commit(table, loaded.version, &[metadata(&loaded.table_id, &merged, now)], "ADD COLUMNS", now)?;
    }
    Ok(loaded)
}

async fn open_table(table: &Path) -> Result<DeltaTable, LakeError> {
    let url = url::Url::from_directory_path(table)
        .map_err(|()| LakeError::Failed(format!("{} is not an absolute path", table.display())))?;
    DeltaTableBuilder::from_url(url).map_err(|e| damaged_log(table, e))?.load().await.map_err(|e| damaged_log(table, e))
}

fn damaged_log(table: &Path, error: impl std::fmt::Display) -> LakeError {
    LakeError::Damaged { file: table.join(LOG).display().to_string(), reason: error.to_string() }
}

async fn read_table(delta: &DeltaTable) -> Result<Loaded, LakeError> {
    let failed = |e: deltalake_core::DeltaTableError| LakeError::Failed(format!("reading the Delta log: {e}"));
    let state = delta.snapshot().map_err(failed)?;
    let store = delta.log_store();
    let covered = state.transaction_version(store.as_ref(), APP_ID).await.map_err(failed)?.unwrap_or(0);
    let views: Vec<_> = state.snapshot().file_views(store.as_ref(), None).try_collect().await.map_err(failed)?;
    let files = views.iter().map(|v| data_file(v.path().into_owned(), v.size(), v.stats())).collect::<Result<_, _>>()?;
    let tombstones: Vec<_> = state.all_tombstones(store.as_ref()).try_collect().await.map_err(failed)?;
    Ok(Loaded {
        version: delta.version().unwrap_or(0),
        covered: u64::try_from(covered).unwrap_or(0),
        files,
        tombstones: tombstones.iter().map(|t| (t.path().into_owned(), t.deletion_timestamp().unwrap_or(0))).collect(),
        schema: serde_json::to_value(state.schema().as_ref()).map_err(|e| LakeError::Failed(e.to_string()))?,
        table_id: state.metadata().id().to_owned(),
    })
}

fn data_file(path: String, size: i64, stats: Option<String>) -> Result<DataFile, LakeError> {
    let bad = |reason: &str| LakeError::Damaged { file: path.clone(), reason: format!("its Delta entry has {reason}") };
    let stats: Value = stats
        .and_then(|s| serde_json::from_str(&s).ok())
        .ok_or_else(|| bad("no statistics"))?;
    let day = path.strip_prefix("day=").and_then(|p| parse_day(p.split('/').next()?));
    let number = |side: &str, name: &str| stats[side][name].as_i64();
    let time = |side: &str| Timestamp::parse(stats[side]["time"].as_str()?).map(|t| t.0);
    Ok(DataFile {
        day: day.ok_or_else(|| bad("no day"))?,
        bytes: size.max(0) as u64,
        rows: stats["numRecords"].as_u64().ok_or_else(|| bad("no row count"))?,
        time_min: time("minValues").ok_or_else(|| bad("no least time"))?,
        // A checkpoint of another writer may hold milliseconds, rounded down.
        time_max: time("maxValues").ok_or_else(|| bad("no greatest time"))?.saturating_add(999),
        stats: Stats {
            offset: (number("minValues", "erne_offset").unwrap_or(0), number("maxValues", "erne_offset").unwrap_or(i64::MAX)),
            severity: (number("minValues", "severity_id").unwrap_or(0), number("maxValues", "severity_id").unwrap_or(i64::MAX)),
        },
        path,
    })
}

/// The library parses the commits; whether their bytes are the ones written, it cannot know.
fn verify_commits(table: &Path) -> Result<(), LakeError> {
    let log = table.join(LOG);
    for entry in std::fs::read_dir(&log).map_err(|e| io_error(&log, e))? {
        let path = entry.map_err(|e| io_error(&log, e))?.path();
        if path.extension().is_some_and(|e| e == "json") {
            let text = std::fs::read(&path).map_err(|e| io_error(&path, e))?;
            if let Some(reason) = commit_damage(&text) {
                return Err(LakeError::Damaged { file: path.display().to_string(), reason });
            }
        }
    }
    Ok(())
}

fn commit_damage(bytes: &[u8]) -> Option<String> {
    let Ok(text) = std::str::from_utf8(bytes) else { return Some("it is not text".into()) };
    for line in text.lines().filter(|l| !l.is_empty()) {
        if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(line) {
            return Some(format!("it is not JSON: {error}"));
        }
    }
    if text.trim().is_empty() {
        return Some("it is empty".into());
    }
    let (first, body) = text.split_once('\n').unwrap_or((text, ""));
    let info: Value = serde_json::from_str(first).ok()?;
    // Commits of other writers carry no checksum.
    let sum = info["commitInfo"]["erneCrc32c"].as_str()?;
    let body = body.strip_suffix('\n').unwrap_or(body);
    (format!("{:08x}", crc32c::crc32c(body.as_bytes())) != sum).then(|| "it fails its checksum".into())
}

/// Whether the table lacks columns of ours; an error if one has another type.
fn missing_columns(table: &Path, have: &Value, want: &Value) -> Result<bool, LakeError> {
    let mut missing = false;
    for field in want["fields"].as_array().into_iter().flatten() {
        let found = have["fields"].as_array().into_iter().flatten().find(|f| f["name"] == field["name"]);
        let Some(found) = found else {
            missing = true;
            continue;
        };
        let (have, want) = (&found["type"], &field["type"]);
        if have["type"] == "struct" && want["type"] == "struct" {
            missing |= missing_columns(table, have, want)?;
        } else if have != want && have["type"] != want["type"] || have.is_string() && have != want {
            let reason = format!("column {} is {have}, this version writes {want}", field["name"]);
            return Err(damaged_log(table, reason));
        }
    }
    Ok(missing)
}

/// The union of both, what the table has first.
fn merge_schema(have: &Value, want: &Value) -> Value {
    let mut fields = have["fields"].as_array().cloned().unwrap_or_default();
    for field in want["fields"].as_array().into_iter().flatten() {
        match fields.iter_mut().find(|f| f["name"] == field["name"]) {
            None => fields.push(field.clone()),
            Some(found) if found["type"]["type"] == "struct" => {
                found["type"] = merge_schema(&found["type"], &field["type"]);
            }
            Some(_) => {}
        }
    }
    json!({"type": "struct", "fields": fields})
}

/// Writes a checkpoint of the newest version, syncs it, and deletes log files that it makes needless.
pub(super) fn checkpoint(table: &Path, now: Timestamp) -> Result<(), LakeError> {
    on_delta_thread(table, move |table| async move {
        use deltalake_core::protocol::checkpoints::{cleanup_expired_logs_for, create_checkpoint};
        let delta = open_table(&table).await?;
        create_checkpoint(&delta, None).await.map_err(|e| damaged_log(&table, e))?;
        sync_checkpoints(&table)?;
        let cutoff = now.millis() - LOG_RETENTION_MILLIS;
        let version = delta.version().unwrap_or(0);
        cleanup_expired_logs_for(version, delta.log_store().as_ref(), cutoff, None).await.map_err(|e| damaged_log(&table, e))?;
        Ok(())
    })
}

/// A checkpoint that a power cut tears must not be the only thing that is left.
fn sync_checkpoints(table: &Path) -> Result<(), LakeError> {
    let log = table.join(LOG);
    for entry in std::fs::read_dir(&log).map_err(|e| io_error(&log, e))? {
        let path = entry.map_err(|e| io_error(&log, e))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.contains("checkpoint") {
            File::open(&path).and_then(|f| f.sync_all()).map_err(|e| io_error(&path, e))?;
        }
    }
    sync_folder(&log)
}

/// Runs async work of the library on a thread of its own: the caller may be inside a runtime, where
/// blocking on another is forbidden.
fn on_delta_thread<T, F, Fut>(table: &Path, work: F) -> Result<T, LakeError>
where
    T: Send + 'static,
    F: FnOnce(PathBuf) -> Fut + Send + 'static,
    Fut: Future<Output = Result<T, LakeError>>,
{
    let table = table.to_owned();
    let thread = std::thread::Builder::new().name("lake-delta".into()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|e| io_error(&table, e))?.block_on(work(table))
    });
    thread
        .map_err(|e| LakeError::Failed(format!("no thread for the Delta log: {e}")))?
        .join()
        .map_err(|_| LakeError::Failed("the Delta library panicked".into()))?
}

/// Deletes what no commit names: leftovers of writes that a kill cut off. Answers their number.
pub(super) fn remove_orphans(table: &Path, loaded: &Loaded) -> Result<usize, LakeError> {
    let known: std::collections::HashSet<&str> = loaded
        .files
        .iter()
        .map(|f| f.path.as_str())
        .chain(loaded.tombstones.iter().map(|(path, _)| path.as_str()))
        .collect();
    let mut removed = remove_staged(&table.join(LOG))?;
    for entry in std::fs::read_dir(table).map_err(|e| io_error(table, e))? {
        let entry = entry.map_err(|e| io_error(table, e))?;
        let folder = entry.file_name().to_string_lossy().into_owned();
        if !folder.starts_with("day=") || !entry.path().is_dir() {
            continue;
        }
        removed += remove_staged(&entry.path())?;
        for file in std::fs::read_dir(entry.path()).map_err(|e| io_error(&entry.path(), e))? {
            let file = file.map_err(|e| io_error(&entry.path(), e))?;
            let name = file.file_name().to_string_lossy().into_owned();
            if name.ends_with(".parquet") && !known.contains(format!("{folder}/{name}").as_str()) {
                std::fs::remove_file(file.path()).map_err(|e| io_error(&file.path(), e))?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

fn remove_staged(folder: &Path) -> Result<usize, LakeError> {
    let mut removed = 0;
    for entry in std::fs::read_dir(folder).map_err(|e| io_error(folder, e))? {
        let entry = entry.map_err(|e| io_error(folder, e))?;
        if entry.file_name().to_string_lossy().starts_with(".tmp-") {
            std::fs::remove_file(entry.path()).map_err(|e| io_error(&entry.path(), e))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Whether day folders lie here: then a missing log means a lost log, not a new table.
pub(super) fn holds_data(table: &Path) -> bool {
    std::fs::read_dir(table).is_ok_and(|mut entries| {
        entries.any(|e| {
            e.is_ok_and(|e| {
                e.file_name().to_string_lossy().starts_with("day=")
                    && std::fs::read_dir(e.path()).is_ok_and(|mut files| {
                        files.any(|f| f.is_ok_and(|f| f.file_name().to_string_lossy().ends_with(".parquet")))
                    })
            })
        })
    })
}
