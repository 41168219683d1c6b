//! Listing and triaging what `project` stored.

use super::project::{change_state, load_alerts, put_alert, read_alert};
use super::{AlertCounts, AlertFilter, Control, ControlError, FindingFilter, Listed, cursor, failed, page_items};
use event::{Alert, AlertState, Finding, Id, Severity, Timestamp};
use sqlx::{QueryBuilder, Row, Sqlite};

type Sql = QueryBuilder<Sqlite>;

impl Control {
    /// Newest `last_seen` first.
    pub async fn alerts(&self, filter: &AlertFilter) -> Result<Listed<Alert>, ControlError> {
        let narrow = |sql: &mut Sql| narrow_alerts(sql, filter);
        let read = |body: &str| {
            let alert = read_alert(body)?;
            Ok(((alert.last_seen, alert.id), alert))
        };
        let list = List { table: "alert", time: "last_seen", limit: filter.limit, cursor: filter.cursor.as_deref() };
        self.list(list, narrow, read).await
    }

    pub async fn alert(&self, id: Id) -> Result<Alert, ControlError> {
        let select = sqlx::query("SELECT body FROM alert WHERE id = $1").bind(id.0.to_vec());
        let row = select.fetch_optional(&self.read).await?.ok_or(ControlError::NotFound("alert"))?;
        read_alert(row.try_get(0)?)
    }

    /// Moves alerts to `state` and answers them in the order asked for. Unknown ids are left out (retention
    /// may have taken one since the page was loaded); if none is known that is an error. An alert that is
    /// in `state` already stays as it is, without a new line in its history.
    pub async fn set_alert_state(
        &self,
        ids: &[Id],
        state: AlertState,
        actor: &str,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<Alert>, ControlError> {
        let mut tx = self.begin().await?;
        let mut known = load_alerts(&mut tx, ids).await?;
        if known.is_empty() && !ids.is_empty() {
            return Err(ControlError::NotFound("alert"));
        }
        let mut alerts = Vec::with_capacity(known.len());
        for id in ids {
            let Some(mut stored) = known.remove(id) else { continue };
            if stored.alert.state != state {
                change_state(&mut stored.alert, state, actor, reason.map(str::to_owned), now);
                put_alert(&mut tx, &stored).await?;
            }
            alerts.push(stored.alert);
        }
        tx.commit().await?;
        Ok(alerts)
    }

    /// Newest first. Of one alert at most `FINDINGS_PER_ALERT_MAX` are listed; its `finding_count` is exact.
    pub async fn findings(&self, filter: &FindingFilter) -> Result<Listed<Finding>, ControlError> {
        let narrow = |sql: &mut Sql| narrow_findings(sql, filter);
        let read = |body: &str| {
            let finding: Finding = serde_json::from_str(body)
                .map_err(|e| failed(format!("a stored finding cannot be read: {e}")))?;
            Ok(((finding.time, finding.id), finding))
        };
        let list = List { table: "finding", time: "time", limit: filter.limit, cursor: filter.cursor.as_deref() };
        self.list(list, narrow, read).await
    }

    pub async fn count_alerts_by_state(&self) -> Result<AlertCounts, ControlError> {
        let select = sqlx::query("SELECT state, COUNT(*) FROM alert GROUP BY state");
        let mut counts = AlertCounts::default();
        for row in select.fetch_all(&self.read).await? {
            let state = AlertState::parse(row.try_get(0)?).ok_or_else(|| failed("a stored state is unknown"))?;
            let count = row.try_get::<i64, _>(1)? as u64;
            match state {
                AlertState::Open => counts.open = count,
                AlertState::Acknowledged => counts.acknowledged = count,
                AlertState::Closed => counts.closed = count,
            }
        }
        Ok(counts)
    }

    async fn list<T>(
        &self,
        list: List<'_>,
        narrow: impl Fn(&mut Sql),
        read: impl Fn(&str) -> Result<((Timestamp, Id), T), ControlError>,
    ) -> Result<Listed<T>, ControlError> {
        let mut count = Sql::new(format!("SELECT COUNT(*) FROM {} WHERE 1 = 1", list.table));
        narrow(&mut count);
        let total: i64 = count.build_query_scalar().fetch_one(&self.read).await?;
        let items = page_items(list.limit);
        let mut select = list.select()?;
        narrow(&mut select);
        select.push(format!(" ORDER BY {} DESC, id DESC LIMIT {}", list.time, items + 1));
        let rows = select.build().fetch_all(&self.read).await?;
        let page = rows.iter().take(items).map(|row| read(row.try_get(0)?));
        let page = page.collect::<Result<Vec<_>, ControlError>>()?;
        let more = rows.len() > items;
        let next_cursor = page.last().filter(|_| more).map(|((time, id), _)| cursor::encode(*time, *id));
        Ok(Listed { items: page.into_iter().map(|(_, item)| item).collect(), next_cursor, total: total as u64 })
    }
}

/// What is the same in every list: the newest first, and on from where the last page ended.
struct List<'a> {
    table: &'static str,
    time: &'static str,
    limit: usize,
    cursor: Option<&'a str>,
}

impl List<'_> {
    fn select(&self) -> Result<Sql, ControlError> {
        let mut sql = Sql::new(format!("SELECT body FROM {} WHERE 1 = 1", self.table));
        if let Some(cursor) = self.cursor {
            let (time, id) = cursor::decode(cursor)?;
            sql.push(format!(" AND ({}, id) < (", self.time)).push_bind(time.0);
            sql.push(", ").push_bind(id.0.to_vec()).push(")");
        }
        Ok(sql)
    }
}

fn narrow_alerts(sql: &mut Sql, filter: &AlertFilter) {
    any_of(sql, "state", filter.states.iter().map(|s| s.as_str().to_owned()));
    if let Some(severity) = filter.severity_min {
        sql.push(" AND severity >= ").push_bind(severity as i64);
    }
    if let Some(text) = filter.text.as_deref().filter(|t| !t.is_empty()) {
        sql.push(" AND search LIKE ").push_bind(like(text)).push(r" ESCAPE '\'");
    }
    if let Some(from) = filter.from {
        sql.push(" AND last_seen >= ").push_bind(from.0);
    }
    if let Some(to) = filter.to {
        sql.push(" AND first_seen < ").push_bind(to.0);
    }
}

fn narrow_findings(sql: &mut Sql, filter: &FindingFilter) {
    if let Some(alert) = filter.alert {
        sql.push(" AND alert = ").push_bind(alert.0.to_vec());
    }
    any_of(sql, "severity", filter.severities.iter().map(|s: &Severity| *s as i64));
    if let Some(rule) = &filter.rule {
        sql.push(" AND (rule_id = ").push_bind(rule.clone());
        sql.push(" OR rule_name = ").push_bind(rule.clone()).push(")");
    }
    if let Some(user) = &filter.user {
        sql.push(" AND user_name = ").push_bind(user.clone());
    }
    if let Some(ip) = &filter.source_ip {
        sql.push(" AND source_ip = ").push_bind(ip.clone());
    }
    if let Some(from) = filter.from {
        sql.push(" AND time >= ").push_bind(from.0);
    }
    if let Some(to) = filter.to {
        sql.push(" AND time < ").push_bind(to.0);
    }
}

fn any_of<T>(sql: &mut Sql, column: &str, values: impl ExactSizeIterator<Item = T>)
where
    T: for<'q> sqlx::Encode<'q, Sqlite> + sqlx::Type<Sqlite>,
{
    if values.len() == 0 {
        return;
    }
    sql.push(format!(" AND {column} IN ("));
    let mut list = sql.separated(", ");
    for value in values {
        list.push_bind(value);
    }
    sql.push(")");
}

/// A pattern for text that may itself hold the pattern's own signs.
fn like(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern + "%"
}
