//! Where a control plane lives, for tests that must hold on every database.

use crate::postgres::{SHARED, in_schema, new_schema};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Column, ColumnIndex, Connection, Database, Decode, Row, Type, ValueRef};
use std::path::PathBuf;
use store::control::Control;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

/// An empty database, gone with the test.
pub enum Place {
    Sqlite(tempfile::TempDir),
    Postgres(String),
}

impl Kind {
    pub async fn place(self) -> Place {
        match self {
            Self::Sqlite => Place::Sqlite(tempfile::tempdir().unwrap()),
            Self::Postgres => {
                let url = tokio::task::spawn_blocking(|| SHARED.clone()).await.unwrap();
                let schema = new_schema();
                let mut connection = PgConnection::connect(&url).await.unwrap();
                sqlx::raw_sql(AssertSqlSafe(format!("CREATE SCHEMA {schema}"))).execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
                Place::Postgres(in_schema(&url, &schema))
            }
        }
    }
}

impl Place {
    pub async fn open(&self) -> Control {
        self.try_open().await.unwrap()
    }

    pub async fn try_open(&self) -> Result<Control, store::control::ControlError> {
        match self {
            Self::Sqlite(_) => Control::open(&self.path()).await,
            Self::Postgres(url) => Control::connect(&url.parse().unwrap()).await,
        }
    }

    /// SQLite's file.
    pub fn path(&self) -> PathBuf {
        match self {
            Self::Sqlite(dir) => dir.path().join("control.db"),
            Self::Postgres(_) => panic!("PostgreSQL has no file of ours"),
        }
    }

    /// Statements behind the platform's back.
    pub async fn run(&self, sql: &str) {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql));
        match self {
            Self::Sqlite(_) => {
                let mut connection = self.sqlite().await;
                sql.execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
            Self::Postgres(url) => {
                let mut connection = PgConnection::connect(url).await.unwrap();
                sql.execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            }
        }
    }

    async fn sqlite(&self) -> SqliteConnection {
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(self.path())).await.unwrap()
    }

    /// All rows of all tables but those of people, as text that is the same on every database, without the
    /// columns that say when this machine did it.
    pub async fn dump(&self) -> Vec<(&'static str, Vec<String>)> {
        let mut tables = Vec::new();
        for (table, order) in [
            ("alert", "id"), ("finding", "id"), ("seen_finding", "id"), ("alert_quota", "rule_id, hour"), ("further_entity", "id"),
            ("incident", "id"), ("incident_key", "key, incident"), ("entity", "key"), ("entity_link", "key"), ("counter", "name"),
        ] {
            let sql = AssertSqlSafe(format!("SELECT * FROM {table} ORDER BY {order}"));
            let rows = match self {
                Self::Sqlite(_) => {
                    let rows = sqlx::query(sql).fetch_all(&mut self.sqlite().await).await.unwrap();
                    rows.iter().map(told::<SqliteRow>).collect()
                }
                Self::Postgres(url) => {
                    let mut connection = PgConnection::connect(url).await.unwrap();
                    let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
                    rows.iter().map(told::<PgRow>).collect()
                }
            };
            tables.push((table, rows));
        }
        tables
    }
}

fn told<'r, R: Row>(row: &'r R) -> String
where
    &'static str: ColumnIndex<R>,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    f64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
    R::Database: Database,
{
    let columns = row.columns().iter().filter(|c| !matches!(c.name(), "seen_at" | "touched"));
    let value = |at: usize| {
        if row.try_get_raw(at).unwrap().is_null() {
            return "null".to_owned();
        }
        row.try_get::<i64, _>(at).map(|n| n.to_string())
            .or_else(|_| row.try_get::<f64, _>(at).map(|n| n.to_string()))
            .or_else(|_| row.try_get::<String, _>(at))
            .unwrap_or_else(|_| format!("{:02x?}", row.get::<Vec<u8>, _>(at)))
    };
    columns.map(|c| format!("{}={}", c.name(), value(c.ordinal()))).collect::<Vec<_>>().join(" | ")
}

/// Runs `async fn(Kind)`s as tests on every database.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test] async fn $name() { super::$name(crate::place::Kind::Sqlite).await })*
        }
        mod on_postgres {
            $(#[tokio::test] async fn $name() { super::$name(crate::place::Kind::Postgres).await })*
        }
    };
}
pub(crate) use on_both;
