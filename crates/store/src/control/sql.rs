//! One statement for both databases. The text is valid on SQLite and on PostgreSQL; what differs is how a
//! connection is had and how values are bound, and that stands here.
//!
//! `sqlx::Any` would do the same for less code. It copies every text and blob of a result once more, and its
//! transactions cannot be told how to begin, which both databases need.

use super::{ControlError, failed};
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Database, Decode, Encode, PgPool, Postgres, Row as _, SqlSafeStr, Sqlite, SqlitePool, SqlStr, Transaction, Type};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

/// How long an answer of a PostgreSQL server is waited for. The server itself ends a statement before
/// (`STATEMENT_SECS_MAX`); this is for a server, or a network, that says nothing any more.
const ANSWER: Duration = Duration::from_secs(75);

/// A value to bind. An absent one has a type too, which PostgreSQL wants to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Int(Option<i64>),
    Real(f64),
    Text(Option<String>),
    Blob(Option<Vec<u8>>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}
impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}
impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}
impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(Some(storable(value)))
    }
}
impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::from(value.to_owned())
    }
}
impl From<Option<String>> for Value {
    fn from(value: Option<String>) -> Self {
        Self::Text(value.map(storable))
    }
}
impl From<Option<&str>> for Value {
    fn from(value: Option<&str>) -> Self {
        Self::from(value.map(str::to_owned))
    }
}
impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Blob(Some(value))
    }
}
impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Blob(Some(value.to_vec()))
    }
}
impl From<Option<Vec<u8>>> for Value {
    fn from(value: Option<Vec<u8>>) -> Self {
        Self::Blob(value)
    }
}

/// PostgreSQL stores no U+0000 in text, and senders choose names: it becomes the sign for what cannot be shown, on
/// both databases, when stored and when asked for.
pub fn storable(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{FFFD}") } else { text }
}

/// The connections to one database.
#[derive(Clone)]
pub enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Pool {
    pub async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// A transaction that may write, and that no other one runs beside.
pub enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Tx {
    pub fn commit(self) -> BoxFuture<'static, Result<(), ControlError>> {
        async move {
            match self {
                Self::Sqlite(tx) => tx.commit().await?,
                Self::Postgres(tx) => answer(tx.commit()).await?,
            }
            Ok(())
        }
        .boxed()
    }

    /// Several statements without values.
    pub async fn run(&mut self, sql: impl SqlSafeStr) -> Result<(), ControlError> {
        let statements = sqlx::raw_sql(sql);
        match self {
            Self::Sqlite(tx) => drop(statements.execute(&mut **tx).await?),
            Self::Postgres(tx) => drop(answer(statements.execute(&mut **tx)).await?),
        }
        Ok(())
    }
}

/// Where a statement runs.
pub enum On<'a> {
    Sqlite(&'a SqlitePool),
    Postgres(&'a PgPool),
    InSqlite(&'a mut Transaction<'static, Sqlite>),
    InPostgres(&'a mut Transaction<'static, Postgres>),
}

impl<'a> From<&'a Pool> for On<'a> {
    fn from(pool: &'a Pool) -> Self {
        match pool {
            Pool::Sqlite(pool) => Self::Sqlite(pool),
            Pool::Postgres(pool) => Self::Postgres(pool),
        }
    }
}

impl<'a> From<&'a mut Tx> for On<'a> {
    fn from(tx: &'a mut Tx) -> Self {
        match tx {
            Tx::Sqlite(tx) => Self::InSqlite(tx),
            Tx::Postgres(tx) => Self::InPostgres(tx),
        }
    }
}

/// A row of either database.
#[derive(Debug)]
pub enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    pub fn try_get<'r, T>(&'r self, column: usize) -> Result<T, sqlx::Error>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>,
    {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }
}

/// A statement with its values: `$1` is the first in one that never changes. One that is put together has a `?` for
/// each, which only SQLite understands: it looks numbered ones up by name, so that thousands take thousands of times
/// as long.
#[derive(Clone, Debug)]
pub struct Sql {
    text: Cow<'static, str>,
    values: Vec<Value>,
}

/// A statement whose text never changes, so that connections keep it prepared.
pub fn query(text: &'static str) -> Sql {
    Sql { text: Cow::Borrowed(text), values: Vec::new() }
}

impl Sql {
    /// A statement that is put together. The text must be ours: what others choose is bound.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: Cow::Owned(text.into()), values: Vec::new() }
    }

    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    pub fn push(&mut self, text: impl AsRef<str>) -> &mut Self {
        self.text.to_mut().push_str(text.as_ref());
        self
    }

    pub fn push_bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        self.push("?")
    }

    /// `?, ?, …` for each of these.
    pub fn push_list<V: Into<Value>>(&mut self, values: impl IntoIterator<Item = V>) -> &mut Self {
        for (place, value) in values.into_iter().enumerate() {
            if place > 0 {
                self.push(", ");
            }
            self.push_bind(value);
        }
        self
    }

    /// `VALUES (?, ?), (?, ?), …`
    pub fn push_values<T>(&mut self, rows: impl IntoIterator<Item = T>, mut push: impl FnMut(&mut RowValues<'_>, T)) -> &mut Self {
        self.push("VALUES ");
        for (place, row) in rows.into_iter().enumerate() {
            self.push(if place > 0 { ", (" } else { "(" });
            push(&mut RowValues { sql: self, is_first: true }, row);
            self.push(")");
        }
        self
    }

    pub fn fetch_all<'a>(self, on: impl Into<On<'a>>) -> BoxFuture<'a, Result<Vec<Row>, ControlError>> {
        self.all(on.into())
    }

    pub fn fetch_optional<'a>(self, on: impl Into<On<'a>>) -> BoxFuture<'a, Result<Option<Row>, ControlError>> {
        self.optional(on.into())
    }

    pub async fn fetch_one(self, on: impl Into<On<'_>>) -> Result<Row, ControlError> {
        self.fetch_optional(on).await?.ok_or_else(|| failed("a statement that always answers answered nothing"))
    }

    /// The first column of the only row, a number.
    pub async fn fetch_count(self, on: impl Into<On<'_>>) -> Result<u64, ControlError> {
        Ok(self.fetch_one(on).await?.try_get::<i64>(0)? as u64)
    }

    /// How many rows it changed.
    pub async fn execute(self, on: impl Into<On<'_>>) -> Result<u64, ControlError> {
        Ok(self.try_execute(on).await?)
    }

    /// As `execute`, with the database's own error.
    pub fn try_execute<'a>(self, on: impl Into<On<'a>>) -> BoxFuture<'a, Result<u64, sqlx::Error>> {
        self.changed(on.into())
    }

    // Both drivers are compiled into these three, once: as part of every future that asks the database they made
    // each crate above this one take minutes to compile.

    fn all(self, on: On<'_>) -> BoxFuture<'_, Result<Vec<Row>, ControlError>> {
        async move {
            Ok(match on {
                On::Sqlite(pool) => sqlite_rows(self.bound().fetch_all(pool).await?),
                On::InSqlite(tx) => sqlite_rows(self.bound().fetch_all(&mut **tx).await?),
                On::Postgres(pool) => postgres_rows(answer(self.numbered().bound().fetch_all(pool)).await?),
                On::InPostgres(tx) => postgres_rows(answer(self.numbered().bound().fetch_all(&mut **tx)).await?),
            })
        }
        .boxed()
    }

    fn optional(self, on: On<'_>) -> BoxFuture<'_, Result<Option<Row>, ControlError>> {
        async move {
            Ok(match on {
                On::Sqlite(pool) => self.bound().fetch_optional(pool).await?.map(Row::Sqlite),
                On::InSqlite(tx) => self.bound().fetch_optional(&mut **tx).await?.map(Row::Sqlite),
                On::Postgres(pool) => answer(self.numbered().bound().fetch_optional(pool)).await?.map(Row::Postgres),
                On::InPostgres(tx) => answer(self.numbered().bound().fetch_optional(&mut **tx)).await?.map(Row::Postgres),
            })
        }
        .boxed()
    }

    fn changed(self, on: On<'_>) -> BoxFuture<'_, Result<u64, sqlx::Error>> {
        async move {
            Ok(match on {
                On::Sqlite(pool) => self.bound().execute(pool).await?.rows_affected(),
                On::InSqlite(tx) => self.bound().execute(&mut **tx).await?.rows_affected(),
                On::Postgres(pool) => answer(self.numbered().bound().execute(pool)).await?.rows_affected(),
                On::InPostgres(tx) => answer(self.numbered().bound().execute(&mut **tx)).await?.rows_affected(),
            })
        }
        .boxed()
    }

    /// As PostgreSQL understands it.
    fn numbered(mut self) -> Self {
        if let Cow::Owned(text) = &self.text {
            let mut numbered = String::with_capacity(text.len() + 4 * self.values.len());
            for (number, part) in text.split('?').enumerate() {
                if number > 0 {
                    write!(numbered, "${number}").expect("a String takes all text");
                }
                numbered.push_str(part);
            }
            self.text = Cow::Owned(numbered);
        }
        self
    }

    fn bound<DB>(self) -> sqlx::query::Query<'static, DB, DB::Arguments>
    where
        DB: Database,
        Option<i64>: Encode<'static, DB> + Type<DB>,
        f64: Encode<'static, DB> + Type<DB>,
        Option<String>: Encode<'static, DB> + Type<DB>,
        Option<Vec<u8>>: Encode<'static, DB> + Type<DB>,
    {
        let text: SqlStr = match self.text {
            Cow::Borrowed(text) => text.into_sql_str(),
            Cow::Owned(text) => AssertSqlSafe(text).into_sql_str(),
        };
        self.values.into_iter().fold(sqlx::query(text), |query, value| match value {
            Value::Int(value) => query.bind(value),
            Value::Real(value) => query.bind(value),
            Value::Text(value) => query.bind(value),
            Value::Blob(value) => query.bind(value),
        })
    }
}

/// One row of [`Sql::push_values`].
pub struct RowValues<'a> {
    sql: &'a mut Sql,
    is_first: bool,
}

impl RowValues<'_> {
    pub fn push_bind(&mut self, value: impl Into<Value>) -> &mut Self {
        if !std::mem::take(&mut self.is_first) {
            self.sql.push(", ");
        }
        self.sql.push_bind(value);
        self
    }
}

fn sqlite_rows(rows: Vec<SqliteRow>) -> Vec<Row> {
    rows.into_iter().map(Row::Sqlite).collect()
}

fn postgres_rows(rows: Vec<PgRow>) -> Vec<Row> {
    rows.into_iter().map(Row::Postgres).collect()
}

async fn answer<T>(asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    match tokio::time::timeout(ANSWER, asked).await {
        Ok(result) => result,
        Err(_) => Err(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "the database does not answer"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_numbered_whatever_was_pushed_in_which_way() {
        let mut sql = Sql::new("INSERT INTO t (a, b) ");
        sql.push_values([(1i64, "x"), (2, "y")], |row, (a, b)| {
            row.push_bind(a).push_bind(b);
        });
        sql.push(" WHERE c IN (").push_list([3i64, 4]).push(") AND d = ").push_bind(None::<String>);
        assert_eq!(sql.text, "INSERT INTO t (a, b) VALUES (?, ?), (?, ?) WHERE c IN (?, ?) AND d = ?");
        assert_eq!(sql.clone().numbered().text, "INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4) WHERE c IN ($5, $6) AND d = $7");
        assert_eq!(query("SELECT $1").numbered().text, "SELECT $1");
        assert_eq!(sql.values.len(), 7);
        assert_eq!(sql.values[6], Value::Text(None));
    }

    #[test]
    fn text_that_one_database_would_refuse_is_changed_for_both() {
        assert_eq!(Value::from("a\0b"), Value::from("a\u{FFFD}b"));
        assert_eq!(Value::from(Some("\0")), Value::Text(Some("\u{FFFD}".into())));
        assert_eq!(Value::from("é"), Value::Text(Some("é".into())));
    }
}
