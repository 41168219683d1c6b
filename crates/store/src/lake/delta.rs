//! The Delta log. Commits are written here, because a commit must be fsynced before it counts and the
//! library's local store does not sync; reading the log, checkpoints and the clean-up of expired log files
//! are `deltalake-core`'s (see docs/adr/0003-lake.md).

use super::file::{DataFile, Stats, sync_folder};
use super::home::Home;
use super::s3::{CommitFailed, LOG, S3};
use super::schema::{DAY, LAYOUT, day_text, parse_day};
use super::{LakeError, io_error};
use deltalake_core::logstore::{StorageConfig, default_logstore};
use deltalake_core::{DeltaTable, DeltaTableBuilder};
use event::Timestamp;
use futures::TryStreamExt;
use object_store::ObjectStore;
use serde_json::{Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Whose `txn` action names the covered log offset.
pub(super) const APP_ID: &str = "erne-lake";
/// Commits between two checkpoints: opening replays at most this many JSON files.
pub(super) const CHECKPOINT_COMMITS: u64 = 100;
/// Log files older than this and behind a checkpoint are deleted: nobody travels in time here.
const LOG_RETENTION_MILLIS: i64 = 3_600_000;

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

/// Writes version 0 of a new table.
pub(super) fn create(home: &Home, now: Timestamp) -> Result<(), LakeError> {
    if let Home::Disk(dir) = home {
        let log = dir.join(LOG);
        std::fs::create_dir_all(&log).map_err(|e| io_error(&log, e))?;
    }
    let actions = vec![
        json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}),
        metadata(&uuid::Uuid::new_v4().to_string(), &LAYOUT.delta_schema(), now),
    ];
    put(home, 0, &body(&actions, "CREATE TABLE", home.writer(), now))?;
    match home {
        Home::Disk(dir) => sync_folder(dir),
        Home::S3 { .. } => Ok(()),
    }
}

/// Puts a version that must not be there yet.
fn put(home: &Home, version: u64, body: &[u8]) -> Result<(), LakeError> {
    home.put_commit(version, body).map_err(|failed| match failed {
        CommitFailed::Unknown(error) | CommitFailed::Refused(error) => error,
        CommitFailed::Taken(whose) => LakeError::InUse(format!("{whose}: the table")),
    })
}

/// How often a table is read again whose newest version another writer, or a list that lags behind, hid.
const TAKE_OVER_TRIES: u32 = 3;

/// Reads a table in an object store and becomes its only writer: from here on no commit of an earlier one
/// succeeds. See `s3/lease.rs`.
pub(super) fn take_over(home: &Home, s3: &S3, now: Timestamp) -> Result<Loaded, LakeError> {
    let mut taken = String::new();
    for _ in 0..TAKE_OVER_TRIES {
        let mut loaded = load(home, true, now)?;
        let changes = Changes { covered: Some(loaded.covered), operation: "OPEN", ..Changes::default() };
        let body = commit_body(&changes, home.writer(), now);
        match home.put_commit(loaded.version + 1, &body) {
            Ok(()) => {
                loaded.version += 1;
                s3.must_honour_create(&super::s3::commit_name(loaded.version), &body)?;
                return Ok(loaded);
            }
            Err(CommitFailed::Taken(whose)) => taken = whose,
            Err(CommitFailed::Unknown(error) | CommitFailed::Refused(error)) => return Err(error),
        }
    }
    Err(LakeError::InUse(format!("{taken}: the table")))
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

/// The bytes of a commit.
pub(super) fn commit_body(changes: &Changes, writer: Option<&str>, now: Timestamp) -> Vec<u8> {
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
    body(&actions, changes.operation, writer, now)
}

fn body(actions: &[Value], operation: &str, writer: Option<&str>, now: Timestamp) -> Vec<u8> {
    let lines: Vec<String> = actions.iter().map(Value::to_string).collect();
    let body = lines.join("\n");
    let mut info = json!({"commitInfo": {
        "timestamp": now.millis(),
        "operation": operation,
        "engineInfo": concat!("erne/", env!("CARGO_PKG_VERSION")),
        "erneCrc32c": format!("{:08x}", crc32c::crc32c(body.as_bytes())),
    }});
    if let Some(writer) = writer {
        // Two writers never put the same bytes, so that each knows its own commit by them.
        info["commitInfo"]["erneWriter"] = writer.into();
        info["commitInfo"]["erneCommit"] = uuid::Uuid::new_v4().to_string().into();
    }
    format!("{info}\n{body}\n").into_bytes()
}

/// Reads the newest state of the table and brings its schema up to date with `COLUMNS`.
pub(super) fn load(home: &Home, writable: bool, now: Timestamp) -> Result<Loaded, LakeError> {
    verify_commits(home)?;
    super::sums::verify(home)?;
    let mut loaded = with_delta(home, |table| async move {
        let delta = open_table(&table).await?;
        read_table(&delta).await
    })?;
    let wanted = LAYOUT.delta_schema();
    let missing = missing_columns(home, &loaded.schema, &wanted)?;
    if missing && writable {
        let merged = merge_schema(&loaded.schema, &wanted);
        loaded.version += 1;
        put(home, loaded.version, &body(&[metadata(&loaded.table_id, &merged, now)], "ADD COLUMNS", home.writer(), now))?;
    }
    Ok(loaded)
}

/// What the Delta library needs to find the table.
#[derive(Clone)]
enum Table {
    Disk(PathBuf),
    S3(Arc<dyn ObjectStore>, url::Url),
}

impl Table {
    fn describe(&self) -> String {
        match self {
            Self::Disk(dir) => dir.join(LOG).display().to_string(),
            Self::S3(_, url) => format!("{url}{LOG}"),
        }
    }
}

async fn open_table(table: &Table) -> Result<DeltaTable, LakeError> {
    let failed = |e: deltalake_core::DeltaTableError| damaged_log(&table.describe(), e);
    match table {
        Table::Disk(dir) => {
            let url = url::Url::from_directory_path(dir)
                .map_err(|()| LakeError::Failed(format!("{} is not an absolute path", dir.display())))?;
            DeltaTableBuilder::from_url(url).map_err(failed)?.load().await.map_err(failed)
        }
        Table::S3(store, url) => {
            let prefix = object_store::path::Path::from_url_path(url.path()).map_err(|e| LakeError::Failed(e.to_string()))?;
            let prefixed = Arc::new(object_store::prefix::PrefixStore::new(store.clone(), prefix));
            let log = default_logstore(prefixed, store.clone(), url, &StorageConfig::default());
            let mut delta = DeltaTable::new(log);
            delta.load().await.map_err(failed)?;
            Ok(delta)
        }
    }
}

/// What the library cannot read is damaged, unless the store did not answer.
fn damaged_log(log: &str, error: impl std::fmt::Display) -> LakeError {
    let reason = error.to_string();
    if reason.contains("Error performing") || reason.contains("Generic S3 error") {
        return LakeError::Failed(format!("{log} could not be read: {reason}"));
    }
    LakeError::Damaged { file: log.to_owned(), reason }
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
fn verify_commits(home: &Home) -> Result<(), LakeError> {
    for (path, bytes) in home.commits()? {
        if let Some(reason) = commit_damage(&bytes) {
            return Err(LakeError::Damaged { file: home.describe(&path), reason });
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
fn missing_columns(home: &Home, have: &Value, want: &Value) -> Result<bool, LakeError> {
    let mut missing = false;
    for field in want["fields"].as_array().into_iter().flatten() {
        let found = have["fields"].as_array().into_iter().flatten().find(|f| f["name"] == field["name"]);
        let Some(found) = found else {
            missing = true;
            continue;
        };
        let (have, want) = (&found["type"], &field["type"]);
        if have["type"] == "struct" && want["type"] == "struct" {
            missing |= missing_columns(home, have, want)?;
        } else if have != want && have["type"] != want["type"] || have.is_string() && have != want {
            let reason = format!("column {} is {have}, this version writes {want}", field["name"]);
            return Err(damaged_log(&home.describe(LOG), reason));
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

/// Writes a checkpoint of the newest version, syncs it, remembers its checksum, and deletes log files that it
/// makes needless.
pub(super) fn checkpoint(home: &Home, now: Timestamp) -> Result<(), LakeError> {
    use deltalake_core::protocol::checkpoints::{cleanup_expired_logs_for, create_checkpoint};
    with_delta(home, move |table| async move {
        let failed = |e: deltalake_core::DeltaTableError| damaged_log(&table.describe(), e);
        let delta = open_table(&table).await?;
        create_checkpoint(&delta, None).await.map_err(failed)?;
        if let Table::Disk(dir) = &table {
            sync_checkpoints(dir)?;
        }
        Ok(())
    })?;
    super::sums::record(home)?;
    with_delta(home, move |table| async move {
        let failed = |e: deltalake_core::DeltaTableError| damaged_log(&table.describe(), e);
        let delta = open_table(&table).await?;
        let cutoff = now.millis() - LOG_RETENTION_MILLIS;
        let version = delta.version().unwrap_or(0);
        cleanup_expired_logs_for(version, delta.log_store().as_ref(), cutoff, None).await.map_err(failed)?;
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

/// Runs async work of the library: for a local table on a thread of its own, because the caller may be inside
/// a runtime, where blocking on another is forbidden.
fn with_delta<T, F, Fut>(home: &Home, work: F) -> Result<T, LakeError>
where
    T: Send + 'static,
    F: FnOnce(Table) -> Fut + Send + 'static,
    Fut: Future<Output = Result<T, LakeError>> + Send + 'static,
{
    let dir = match home {
        Home::S3 { s3, .. } => return s3.run_delta(|store, url| work(Table::S3(store, url))),
        Home::Disk(dir) => dir.clone(),
    };
    let thread = std::thread::Builder::new().name("lake-delta".into()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|e| io_error(&dir, e))?.block_on(work(Table::Disk(dir)))
    });
    thread
        .map_err(|e| LakeError::Failed(format!("no thread for the Delta log: {e}")))?
        .join()
        .map_err(|_| LakeError::Failed("the Delta library panicked".into()))?
}

/// Deletes what no commit names: leftovers of writes that a kill cut off. Answers their number.
pub(super) fn remove_orphans(home: &Home, loaded: &Loaded) -> Result<usize, LakeError> {
    let known: std::collections::HashSet<&str> = loaded
        .files
        .iter()
        .map(|f| f.path.as_str())
        .chain(loaded.tombstones.iter().map(|(path, _)| path.as_str()))
        .collect();
    let mut removed = home.remove_staged_commits()?;
    for path in home.data_files()?.iter().filter(|p| !known.contains(p.as_str())) {
        home.delete(path)?;
        removed += 1;
    }
    Ok(removed)
}

/// Whether data files lie here: then a missing log means a lost log, not a new table.
pub(super) fn holds_data(home: &Home) -> Result<bool, LakeError> {
    Ok(home.data_files()?.iter().any(|p| p.ends_with(".parquet")))
}
