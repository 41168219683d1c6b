//! Opening the database, its schema, settings.

use super::{Control, ControlError, failed};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqlitePool, Transaction};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The schema, one step per release that changed it; steps are never edited.
const MIGRATIONS: &[&str] = &[include_str!("schema/0001.sql"), include_str!("schema/0002.sql")];
const READERS_MAX: u32 = 4;
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Pages the writer keeps in memory, in KiB (negative, as the pragma wants it).
const WRITER_CACHE: &str = "-16384";

pub type Tx = Transaction<'static, Sqlite>;

impl Control {
    /// Opens or creates the database. A file made by a newer version is refused.
    pub async fn open(path: &Path) -> Result<Self, ControlError> {
        create_private(path).map_err(|e| failed(format!("{}: {e}", path.display())))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let write = pool(1).connect_with(options.clone().pragma("cache_size", WRITER_CACHE)).await?;
        migrate(&write).await?;
        let read = pool(READERS_MAX).connect_with(options.pragma("query_only", "ON")).await?;
        Ok(Self { read, write, path: path.into() })
    }

    /// Makes all commits so far survive a power cut too.
    pub async fn sync(&self) -> Result<(), ControlError> {
        let path = self.path.clone();
        let synced = tokio::task::spawn_blocking(move || sync_files(&path)).await.map_err(failed)?;
        synced.map_err(|e| failed(format!("syncing {}: {e}", self.path.display())))
    }

    /// Ends all connections; SQLite folds its write-ahead file into the database.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }

    /// A transaction that may write. It takes the lock at once: one that reads first and writes later
    /// would fail if another process wrote in between.
    pub(super) async fn begin(&self) -> Result<Tx, ControlError> {
        Ok(self.write.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// A named value of the platform itself, such as the key that signs tokens.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, ControlError> {
        let value = sqlx::query_scalar("SELECT value FROM setting WHERE name = $1").bind(name.to_owned());
        Ok(value.fetch_optional(&self.read).await?)
    }

    pub async fn put_setting(&self, name: &str, value: &str) -> Result<(), ControlError> {
        let put = "INSERT INTO setting (name, value) VALUES ($1, $2)
                   ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        sqlx::query(put).bind(name.to_owned()).bind(value.to_owned()).execute(&self.write).await?;
        Ok(())
    }
}

fn pool(connections_max: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections_max)
        .min_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

/// The file holds hashes and keys: only its owner may read it. SQLite gives its other files the same mode.
fn create_private(path: &Path) -> std::io::Result<()> {
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        created => created.map(drop),
    }
}

/// A sync through any handle writes out what every handle wrote. What SQLite moved into the database
/// itself it has synced before; the rest is in the write-ahead file.
fn sync_files(path: &Path) -> std::io::Result<()> {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    match File::open(PathBuf::from(wal)) {
        Ok(wal) => wal.sync_all()?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    File::open(path)?.sync_all()?;
    match path.parent().filter(|p| !p.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

async fn migrate(pool: &SqlitePool) -> Result<(), ControlError> {
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
    let table = "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)";
    sqlx::query(table).execute(&mut *tx).await?;
    let version: Option<i64> =
        sqlx::query_scalar("SELECT MAX(version) FROM schema_version").fetch_one(&mut *tx).await?;
    let version = usize::try_from(version.unwrap_or(0)).map_err(failed)?;
    if version > MIGRATIONS.len() {
        let newest = MIGRATIONS.len();
        return Err(failed(format!(
            "the database has schema {version}, this version knows {newest}: run the newer version again"
        )));
    }
    for (number, steps) in (1i64..).zip(MIGRATIONS).skip(version) {
        sqlx::raw_sql(*steps).execute(&mut *tx).await?;
        let done = sqlx::query("INSERT INTO schema_version (version) VALUES ($1)").bind(number);
        done.execute(&mut *tx).await?;
    }
    Ok(tx.commit().await?)
}
