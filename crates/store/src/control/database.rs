//! Opening the database, its schema, settings.

use super::sql::{Pool, Tx, query};
use super::url::DatabaseUrl;
use super::{Control, ControlError, failed};
use sqlx::postgres::{PgConnection, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection, PgPool, SqlStr, SqlSafeStr};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The schema, one step per release that changed it; steps are never edited. Written for SQLite; see
/// [`for_postgres`].
const MIGRATIONS: &[&str] = &[
    include_str!("schema/0001.sql"), include_str!("schema/0002.sql"), include_str!("schema/0003.sql"), include_str!("schema/web.sql"),
    include_str!("schema/bans.sql"),
];
const READERS_MAX: u32 = 4;
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Pages the writer keeps in memory, in KiB (negative, as the pragma wants it).
const WRITER_CACHE: &str = "-16384";
/// How long a connection to PostgreSQL is waited for, while it runs …
const CONNECT: Duration = Duration::from_secs(5);
/// … and at the start, where a machine may start both at once.
const CONNECT_AT_START: Duration = Duration::from_secs(30);
const CONNECT_AGAIN: Duration = Duration::from_millis(500);
/// The oldest PostgreSQL that is tested.
const POSTGRES_VERSION_MIN: i64 = 150_000;
/// How long somebody waits for the one connection that writes.
const WRITER_WAIT: Duration = Duration::from_secs(30);
/// What a session of ours is, whatever the server's defaults are. The times are what it may do at most, so that a
/// node that hangs does not hold up the others: run a statement, wait for the writer's lock, lie idle in a transaction.
const SESSION: [(&str, &str); 5] = [
    ("statement_timeout", "60s"),
    ("lock_timeout", "30s"),
    ("idle_in_transaction_session_timeout", "60s"),
    ("synchronous_commit", "on"),
    ("default_transaction_isolation", "read committed"),
];

impl Control {
    /// Opens or creates a SQLite database. A file made by a newer version is refused.
    pub async fn open(path: &Path) -> Result<Self, ControlError> {
        create_private(path).map_err(|e| failed(format!("{}: {e}", path.display())))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let write = Pool::Sqlite(sqlite(1).connect_with(options.clone().pragma("cache_size", WRITER_CACHE)).await?);
        migrate(&write).await?;
        let read = Pool::Sqlite(sqlite(READERS_MAX).connect_with(options.pragma("query_only", "ON")).await?);
        Ok(Self { read, write, path: Some(path.into()) })
    }

    /// Opens a PostgreSQL database, and makes the tables if there are none. A server that is only just starting is
    /// waited for. Tables made by a newer version are refused.
    pub async fn connect(url: &DatabaseUrl) -> Result<Self, ControlError> {
        let options = url.options().map_err(failed)?.application_name("erne").options(SESSION);
        let named = |error: sqlx::Error| failed(format!("{url}: {error}"));
        let give_up = Instant::now() + CONNECT_AT_START;
        let write = loop {
            match postgres(1, WRITER_WAIT).connect_with(options.clone()).await {
                Ok(pool) => break pool,
                Err(error) if is_starting(&error) && Instant::now() < give_up => tokio::time::sleep(CONNECT_AGAIN).await,
                Err(error) => return Err(named(error)),
            }
        };
        check_server(&write).await.map_err(|e| failed(format!("{url}: {e}")))?;
        let write = Pool::Postgres(write);
        migrate(&write).await?;
        let read = Pool::Postgres(postgres(READERS_MAX, CONNECT).connect_with(options).await.map_err(named)?);
        Ok(Self { read, write, path: None })
    }

    /// Looks at a PostgreSQL database without changing it, and says what is there.
    pub async fn examine(url: &DatabaseUrl) -> Result<String, ControlError> {
        let options = url.options().map_err(failed)?.application_name("erne doctor");
        let asked = async {
            let mut connection = PgConnection::connect_with(&options).await?;
            let select = "SELECT current_setting('server_version'), current_setting('server_encoding'),
                                 (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()),
                                 to_regclass('schema_version') IS NOT NULL,
                                 COALESCE(has_schema_privilege(current_schema(), 'CREATE'), false)";
            let found: (String, String, Option<bool>, bool, bool) = sqlx::query_as(select).fetch_one(&mut connection).await?;
            let version: Option<i64> = match found.3 {
                true => sqlx::query_scalar("SELECT MAX(version) FROM schema_version").fetch_one(&mut connection).await?,
                false => None,
            };
            Ok::<_, sqlx::Error>((found, version))
        };
        let answer = tokio::time::timeout(CONNECT, asked).await.map_err(|_| failed(format!("{url}: no answer within {} s", CONNECT.as_secs())))?;
        let ((server, encoding, tls, _, may_create), version) = answer.map_err(|e| failed(format!("{url}: {e}")))?;
        if encoding != "UTF8" {
            return Err(failed(format!("{url}: the database's encoding is {encoding}, UTF8 is needed")));
        }
        let schema = match version {
            Some(version) if version as usize > MIGRATIONS.len() => return Err(failed(too_new(version as usize))),
            Some(version) => format!("schema {version} of {}", MIGRATIONS.len()),
            None if may_create => "no tables yet".to_owned(),
            None => return Err(failed(format!("{url}: the user may not create tables there"))),
        };
        let tls = if tls == Some(true) { "TLS" } else { "no TLS" };
        Ok(format!("PostgreSQL {server} at {url}, {tls}, {schema}"))
    }

    /// Makes all commits so far survive a power cut too. PostgreSQL has done so with each commit.
    pub async fn sync(&self) -> Result<(), ControlError> {
        let Some(path) = self.path.clone() else { return Ok(()) };
        let shown = path.display().to_string();
        let synced = tokio::task::spawn_blocking(move || sync_files(&path)).await.map_err(failed)?;
        synced.map_err(|e| failed(format!("syncing {shown}: {e}")))
    }

    /// Ends all connections; SQLite folds its write-ahead file into the database.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), ControlError> {
        query("SELECT 1").fetch_one(&self.read).await.map(drop)
    }

    /// A transaction that may write. It takes the lock at once: one that reads first and writes later would fail,
    /// or overwrite, if another one wrote in between.
    pub(super) fn begin(&self) -> futures::future::BoxFuture<'_, Result<Tx, ControlError>> {
        // Boxed for the reason that stands in `sql`.
        Box::pin(begin(&self.write))
    }

    /// A named value of the platform itself, such as the key that signs tokens.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, ControlError> {
        let row = query("SELECT value FROM setting WHERE name = $1").bind(name).fetch_optional(&self.read).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    pub async fn put_setting(&self, name: &str, value: &str) -> Result<(), ControlError> {
        let put = "INSERT INTO setting (name, value) VALUES ($1, $2)
                   ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        query(put).bind(name).bind(value).execute(&self.write).await?;
        Ok(())
    }
}

async fn begin(pool: &Pool) -> Result<Tx, ControlError> {
    Ok(match pool {
        Pool::Sqlite(pool) => Tx::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?),
        Pool::Postgres(pool) => {
            // Each statement after the lock sees what all writers before have committed. One lock a schema, until
            // the end of the transaction however it ends.
            let begin = pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
            let mut tx = Tx::Postgres(begin);
            let lock = "SELECT pg_advisory_xact_lock(hashtextextended('erne ' || current_schema(), 0))";
            query(lock).fetch_one(&mut tx).await?;
            tx
        }
    })
}

fn sqlite(connections_max: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections_max)
        .min_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

/// A connection is tested before it is used: the server may have been away.
fn postgres(connections_max: u32, wait: Duration) -> PgPoolOptions {
    PgPoolOptions::new().max_connections(connections_max).acquire_timeout(wait).test_before_acquire(true)
}

/// Whether the server may be there in a moment. A wrong password stays wrong.
fn is_starting(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code == "57P03"),
        _ => false,
    }
}

async fn check_server(pool: &PgPool) -> Result<(), ControlError> {
    let select = "SELECT current_setting('server_version_num')::bigint, current_setting('server_encoding'), current_setting('fsync')";
    let (version, encoding, fsync): (i64, String, String) = sqlx::query_as(select).fetch_one(pool).await?;
    if version < POSTGRES_VERSION_MIN {
        return Err(failed(format!("PostgreSQL {} is needed, this is {}", POSTGRES_VERSION_MIN / 10_000, version / 10_000)));
    }
    if encoding != "UTF8" {
        return Err(failed(format!("the database's encoding is {encoding}, UTF8 is needed")));
    }
    if fsync == "off" {
        tracing::warn!("the PostgreSQL server commits without writing to disk: a power cut loses alerts");
    }
    Ok(())
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

/// The same step in PostgreSQL's words: other names of types, comparison of text by its bytes as SQLite has it, no
/// hint how rows are stored, and nothing about rows of versions that knew SQLite only.
fn for_postgres(step: &str) -> String {
    let mut kept = String::new();
    let mut is_for_both = true;
    for line in step.lines() {
        match line.split(':').next() {
            Some("-- SQLite only") => is_for_both = false,
            Some("-- both") => is_for_both = true,
            _ if is_for_both => kept.extend([line, "\n"]),
            _ => {}
        }
    }
    kept.replace(" BLOB", " BYTEA").replace(" WITHOUT ROWID", "").replace(" TEXT", " TEXT COLLATE \"C\"")
}

fn too_new(version: usize) -> String {
    let newest = MIGRATIONS.len();
    format!("the database has schema {version}, this version knows {newest}: run the newer version again")
}

/// Several nodes may start at once: the writer's lock lets one after the other look what is to be done.
async fn migrate(pool: &Pool) -> Result<(), ControlError> {
    let mut tx = begin(pool).await?;
    tx.run("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)").await?;
    let version = query("SELECT COALESCE(MAX(version), 0) FROM schema_version").fetch_count(&mut tx).await? as usize;
    if version > MIGRATIONS.len() {
        return Err(failed(too_new(version)));
    }
    for (number, steps) in (1i64..).zip(MIGRATIONS).skip(version) {
        let steps: SqlStr = match pool {
            Pool::Sqlite(_) => (*steps).into_sql_str(),
            Pool::Postgres(_) => AssertSqlSafe(for_postgres(steps)).into_sql_str(),
        };
        tx.run(steps).await?;
        query("INSERT INTO schema_version (version) VALUES ($1)").bind(number).execute(&mut tx).await?;
    }
    tx.commit().await
}
