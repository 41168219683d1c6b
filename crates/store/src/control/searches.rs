//! Searches that people keep, and how far the scheduled ones have come. Who may see and change which, `api` decides;
//! what a run finds, `engine`.

use super::audit::append;
use super::desk::read;
use super::sql::{Row, Sql, Tx, query};
use super::{Control, ControlError, failed};
use event::{Finding, Id, Severity, Timestamp};
use serde::{Deserialize, Serialize};

/// Searches of one owner, searches in all, and those whose schedule is enabled: each of these is a search of the lake
/// again and again.
pub const SEARCHES_PER_OWNER_MAX: usize = 200;
pub const SEARCHES_MAX: usize = 5_000;
pub const SCHEDULED_MAX: usize = 200;

/// When a search runs by itself, and what it then raises. Times are event time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// A window ends at every multiple of this …
    pub every_secs: u32,
    /// … and reaches this far back.
    pub window_secs: u32,
    /// Events of a group within a window from which on there is a finding.
    pub at_least: u64,
    pub severity: Severity,
    /// The path of a column: each of its values is a group of its own.
    pub group_by: Option<String>,
    pub enabled: bool,
}

/// How the newest run went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchRun {
    pub time: Timestamp,
    /// Events that matched within the window.
    pub hits: u64,
    pub findings: u64,
    /// Why there is no result, or what is missing in it.
    pub error: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedSearch {
    pub id: Id,
    pub name: String,
    pub q: String,
    /// Paths of the columns to show.
    pub columns: Vec<String>,
    /// The period to show, back from now, such as `1h`.
    pub range: Option<String>,
    pub owner: String,
    pub shared: bool,
    pub schedule: Option<Schedule>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Not stored in the body.
    #[serde(default)]
    pub last_run: Option<SearchRun>,
}

impl SavedSearch {
    fn is_scheduled(&self) -> bool {
        self.schedule.as_ref().is_some_and(|schedule| schedule.enabled)
    }

    /// Whether both find the same.
    fn finds_as(&self, other: &Self) -> bool {
        let what = |search: &Self| search.schedule.clone().map(|schedule| Schedule { enabled: true, ..schedule });
        self.q == other.q && what(self) == what(other)
    }
}

/// A search whose schedule is enabled, and how far it has come.
#[derive(Clone, Debug)]
pub struct ScheduledSearch {
    pub search: SavedSearch,
    pub revision: u32,
    /// None before the first window.
    pub done_until: Option<Timestamp>,
}

/// What a window came to.
#[derive(Clone, Debug)]
pub struct WindowDone<'a> {
    /// The revision and the progress that it began with: if either has changed meanwhile, nothing is written.
    pub revision: u32,
    pub before: Option<Timestamp>,
    pub done_until: Timestamp,
    pub run: &'a SearchRun,
    pub told: &'a [Finding],
}

const COLUMNS: &str = "SELECT body, last_run, revision, done_until FROM saved_search";

impl Control {
    /// By name: all, or those that are shared or somebody's own.
    pub async fn searches(&self, of: Option<&str>) -> Result<Vec<SavedSearch>, ControlError> {
        let mut select = Sql::new(COLUMNS);
        if let Some(owner) = of {
            select.push(" WHERE shared = 1 OR owner = ").push_bind(owner);
        }
        select.push(" ORDER BY name, id");
        select.fetch_all(&self.read).await?.iter().map(read_search).collect()
    }

    pub async fn search(&self, id: Id) -> Result<SavedSearch, ControlError> {
        let mut select = Sql::new(COLUMNS);
        select.push(" WHERE id = ").push_bind(id.0.to_vec());
        let row = select.fetch_optional(&self.read).await?.ok_or(ControlError::NotFound("search"))?;
        read_search(&row)
    }

    pub async fn create_search(&self, search: &SavedSearch, actor: &str, now: Timestamp) -> Result<(), ControlError> {
        let mut tx = self.begin().await?;
        bounded(&mut tx, "SELECT COUNT(*) FROM saved_search", None, SEARCHES_MAX).await?;
        let own = "SELECT COUNT(*) FROM saved_search WHERE owner = $1";
        bounded(&mut tx, own, Some(&search.owner), SEARCHES_PER_OWNER_MAX).await?;
        if search.is_scheduled() {
            bounded_schedules(&mut tx).await?;
        }
        let body = body_of(search)?;
        let put = "INSERT INTO saved_search (owner, name, shared, scheduled, body, id, revision)
                   VALUES ($1, $2, $3, $4, $5, $6, 0)";
        let put = columns_of(query(put), search, &body).bind(search.id.0.to_vec());
        put.try_execute(&mut tx).await.map_err(named)?;
        append(&mut tx, [actor, "search.create", &search.id.to_string(), &body], now).await?;
        tx.commit().await
    }

    /// Replaces a search. If it now finds something else, its newest window is looked at again.
    pub async fn replace_search(&self, search: &SavedSearch, actor: &str, now: Timestamp) -> Result<(), ControlError> {
        let mut tx = self.begin().await?;
        let mut select = Sql::new(COLUMNS);
        select.push(" WHERE id = ").push_bind(search.id.0.to_vec());
        let row = select.fetch_optional(&mut tx).await?.ok_or(ControlError::NotFound("search"))?;
        let before = read_search(&row)?;
        if search.is_scheduled() && !before.is_scheduled() {
            bounded_schedules(&mut tx).await?;
        }
        let (mut revision, mut done_until) = (row.try_get::<i64>(2)?, row.try_get::<Option<i64>>(3)?.map(Timestamp));
        if !search.finds_as(&before) {
            revision += 1;
            done_until = match (&before.schedule, done_until) {
                (Some(schedule), Some(done)) => Some(done.plus_secs(-i64::from(schedule.every_secs))),
                _ => None,
            };
        }
        if search.is_scheduled() && !before.is_scheduled() {
            // What went by while it was off is not looked at.
            done_until = None;
        }
        let body = body_of(search)?;
        let put = "UPDATE saved_search SET owner = $1, name = $2, shared = $3, scheduled = $4, body = $5, revision = $7, done_until = $8
                   WHERE id = $6";
        let put = columns_of(query(put), search, &body).bind(search.id.0.to_vec());
        put.bind(revision).bind(done_until.map(|t| t.0)).try_execute(&mut tx).await.map_err(named)?;
        append(&mut tx, [actor, "search.update", &search.id.to_string(), &body], now).await?;
        tx.commit().await
    }

    pub async fn delete_search(&self, id: Id, actor: &str, now: Timestamp) -> Result<(), ControlError> {
        let mut tx = self.begin().await?;
        let delete = query("DELETE FROM saved_search WHERE id = $1 RETURNING body").bind(id.0.to_vec());
        let row = delete.fetch_optional(&mut tx).await?.ok_or(ControlError::NotFound("search"))?;
        append(&mut tx, [actor, "search.delete", &id.to_string(), row.try_get(0)?], now).await?;
        tx.commit().await
    }

    /// Those whose schedule is enabled, in the order of their ids.
    pub async fn scheduled_searches(&self) -> Result<Vec<ScheduledSearch>, ControlError> {
        let mut select = Sql::new(COLUMNS);
        select.push(" WHERE scheduled = 1 ORDER BY id");
        let rows = select.fetch_all(&self.read).await?;
        let scheduled = |row: &Row| {
            Ok(ScheduledSearch {
                search: read_search(row)?,
                revision: row.try_get::<i64>(2)? as u32,
                done_until: row.try_get::<Option<i64>>(3)?.map(Timestamp),
            })
        };
        rows.iter().map(scheduled).collect()
    }

    /// What the newest window that was looked at told.
    pub async fn told_by_search(&self, id: Id) -> Result<Vec<Finding>, ControlError> {
        let select = query("SELECT told FROM saved_search WHERE id = $1 AND told IS NOT NULL").bind(id.0.to_vec());
        let row = select.fetch_optional(&self.read).await?;
        row.map_or_else(|| Ok(Vec::new()), |row| read(row.try_get(0)?, "finding"))
    }

    /// Notes that a window was looked at. False if the search was edited, deleted or run by another node meanwhile.
    pub async fn window_done(&self, id: Id, done: &WindowDone<'_>) -> Result<bool, ControlError> {
        let mut tx = self.begin().await?;
        let put = "UPDATE saved_search SET done_until = $1, last_run = $2, told = $3
                   WHERE id = $4 AND revision = $5 AND scheduled = 1 AND COALESCE(done_until, $6) = $6";
        let changed = query(put)
            .bind(done.done_until.0)
            .bind(serde_json::to_string(done.run).map_err(failed)?)
            .bind(serde_json::to_string(done.told).map_err(failed)?)
            .bind(id.0.to_vec())
            .bind(i64::from(done.revision))
            .bind(done.before.map_or(i64::MIN, |t| t.0))
            .execute(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(changed > 0)
    }

    /// Notes how a run went that did not get to the end of its window.
    pub async fn window_failed(&self, id: Id, run: &SearchRun) -> Result<(), ControlError> {
        let put = query("UPDATE saved_search SET last_run = $1 WHERE id = $2");
        put.bind(serde_json::to_string(run).map_err(failed)?).bind(id.0.to_vec()).execute(&self.write).await?;
        Ok(())
    }
}

async fn bounded(tx: &mut Tx, count: &'static str, owner: Option<&str>, most: usize) -> Result<(), ControlError> {
    let count = owner.map_or_else(|| query(count), |owner| query(count).bind(owner));
    if count.fetch_count(&mut *tx).await? as usize >= most { Err(ControlError::TooMany(most)) } else { Ok(()) }
}

async fn bounded_schedules(tx: &mut Tx) -> Result<(), ControlError> {
    bounded(tx, "SELECT COUNT(*) FROM saved_search WHERE scheduled = 1", None, SCHEDULED_MAX).await
}

fn body_of(search: &SavedSearch) -> Result<String, ControlError> {
    serde_json::to_string(&SavedSearch { last_run: None, ..search.clone() }).map_err(failed)
}

fn columns_of(put: Sql, search: &SavedSearch, body: &str) -> Sql {
    let (shared, scheduled) = (i64::from(search.shared), i64::from(search.is_scheduled()));
    put.bind(search.owner.as_str()).bind(search.name.as_str()).bind(shared).bind(scheduled).bind(body)
}

fn named(error: sqlx::Error) -> ControlError {
    match error.as_database_error() {
        Some(e) if e.is_unique_violation() => ControlError::Exists("a search of yours with this name"),
        _ => error.into(),
    }
}

fn read_search(row: &Row) -> Result<SavedSearch, ControlError> {
    let mut search: SavedSearch = read(row.try_get(0)?, "search")?;
    search.last_run = row.try_get::<Option<&str>>(1)?.map(|run| read(run, "run of a search")).transpose()?;
    Ok(search)
}
