//! Listing and triaging what `project` stored.

use super::desk::{ROWS_PER_STATEMENT, read, read_alert};
use super::group::{change_state, name_of};
use super::sql::{Row, Sql, Tx, Value, query};
use super::{AlertCounts, AlertFilter, Control, ControlError, FindingFilter, Listed, cursor, failed, id_from, page_items};
use ahash::AHashMap;
use event::{Alert, AlertState, Finding, Id, Rule, Severity, Timestamp};
use std::sync::Arc;


/// An alert with the incident that it is part of, if its group is one. Named, because PostgreSQL sorts by the names of
/// what is selected before those of the table.
const ALERT: &str = "body, (SELECT i.id FROM incident i WHERE i.id = alert.incident AND i.opened = 1) AS opened_incident";

impl Control {
    /// Newest `last_seen` first.
    pub async fn alerts(&self, filter: &AlertFilter) -> Result<Listed<Alert>, ControlError> {
        let narrow = |sql: &mut Sql| narrow_alerts(sql, filter);
        let read = |row: &Row| {
            let alert = read_listed(row)?;
            Ok(((alert.last_seen, alert.id), alert))
        };
        let list = List { table: "alert", columns: ALERT, time: "last_seen", limit: filter.limit, cursor: filter.cursor.as_deref() };
        self.list(list, narrow, read).await
    }

    pub async fn alert(&self, id: Id) -> Result<Alert, ControlError> {
        let mut select = Sql::new(format!("SELECT {ALERT} FROM alert WHERE id = "));
        select.push_bind(id.0.to_vec());
        let row = select.fetch_optional(&self.read).await?.ok_or(ControlError::NotFound("alert"))?;
        read_listed(&row)
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
            let Some(mut alert) = known.remove(id) else { continue };
            if alert.state != state {
                change_state(&mut alert, state, actor, reason.map(str::to_owned), now);
                put_state(&mut tx, &alert).await?;
            }
            alerts.push(alert);
        }
        tx.commit().await?;
        Ok(alerts)
    }

    /// Newest first. Of one alert at most `FINDINGS_PER_ALERT_MAX` are listed; its `finding_count` is exact.
    pub async fn findings(&self, filter: &FindingFilter) -> Result<Listed<Finding>, ControlError> {
        let narrow = |sql: &mut Sql| narrow_findings(sql, filter);
        let read = |row: &Row| {
            let finding: Finding = read(row.try_get(0)?, "finding")?;
            Ok(((finding.time, finding.id), finding))
        };
        let list = List { table: "finding", columns: "body", time: "time", limit: filter.limit, cursor: filter.cursor.as_deref() };
        self.list(list, narrow, read).await
    }

    /// Signals are not among them.
    pub async fn count_alerts_by_state(&self) -> Result<AlertCounts, ControlError> {
        let select = query("SELECT state, COUNT(*) FROM alert WHERE signal = 0 GROUP BY state");
        let mut counts = AlertCounts::default();
        for row in select.fetch_all(&self.read).await? {
            let state = AlertState::parse(row.try_get(0)?).ok_or_else(|| failed("a stored state is unknown"))?;
            let count = row.try_get::<i64>(1)? as u64;
            match state {
                AlertState::Open => counts.open = count,
                AlertState::Acknowledged => counts.acknowledged = count,
                AlertState::Closed => counts.closed = count,
            }
        }
        Ok(counts)
    }

    pub async fn count_open_alerts(&self) -> Result<u64, ControlError> {
        let select = "SELECT COUNT(*) FROM alert WHERE state = 'open' AND signal = 0";
        query(select).fetch_count(&self.read).await
    }

    /// Findings that alerts count, of all times; and those of alerts and signals since `from`, by rule and hour
    /// of the last one, with the worst level.
    pub async fn finding_counts(&self, from: Timestamp) -> Result<FindingCounts, ControlError> {
        let total = query("SELECT CAST(COALESCE(SUM(finding_count), 0) AS BIGINT) FROM alert WHERE signal = 0");
        let total = total.fetch_count(&self.read).await?;
        // The hour as databases divide times before 1970 is one off, which nobody looks at. The first alert of a
        // group stands for its rule.
        let select = "SELECT counted.hour, counted.worst, counted.findings, alert.body FROM (
                          SELECT id, last_seen / 3600000000 AS hour, MAX(severity) OVER alike AS worst,
                              CAST(SUM(finding_count) OVER alike AS BIGINT) AS findings,
                              ROW_NUMBER() OVER (PARTITION BY rule_id, last_seen / 3600000000 ORDER BY id) AS place
                          FROM alert WHERE last_seen >= $1 WINDOW alike AS (PARTITION BY rule_id, last_seen / 3600000000)
                      ) AS counted JOIN alert ON alert.id = counted.id WHERE counted.place = 1";
        let mut recent = Vec::new();
        for row in query(select).bind(from.0).fetch_all(&self.read).await? {
            let sample = read_alert(row.try_get(3)?)?;
            let level = Severity::ALL.get(row.try_get::<i64>(1)? as usize).copied().unwrap_or_default();
            let time = Timestamp::from_secs(row.try_get::<i64>(0)? * 3_600);
            recent.push((sample.rule, level, time, row.try_get::<i64>(2)? as u64));
        }
        Ok(FindingCounts { total, recent })
    }

    pub(super) async fn list<T>(
        &self,
        list: List<'_>,
        narrow: impl Fn(&mut Sql),
        read: impl Fn(&Row) -> Result<((Timestamp, Id), T), ControlError>,
    ) -> Result<Listed<T>, ControlError> {
        let mut count = Sql::new(format!("SELECT COUNT(*) FROM {} WHERE 1 = 1", list.table));
        narrow(&mut count);
        let total = count.fetch_count(&self.read).await?;
        let items = page_items(list.limit);
        let mut select = list.select()?;
        narrow(&mut select);
        select.push(format!(" ORDER BY {} DESC, id DESC LIMIT {}", list.time, items + 1));
        let rows = select.fetch_all(&self.read).await?;
        let page = rows.iter().take(items).map(&read);
        let page = page.collect::<Result<Vec<_>, ControlError>>()?;
        let more = rows.len() > items;
        let next_cursor = page.last().filter(|_| more).map(|((time, id), _)| cursor::encode(*time, *id));
        Ok(Listed { items: page.into_iter().map(|(_, item)| item).collect(), next_cursor, total })
    }
}

/// What is the same in every list: the newest first, and on from where the last page ended.
pub(super) struct List<'a> {
    pub table: &'static str,
    pub columns: &'static str,
    pub time: &'static str,
    pub limit: usize,
    pub cursor: Option<&'a str>,
}

impl List<'_> {
    fn select(&self) -> Result<Sql, ControlError> {
        let mut sql = Sql::new(format!("SELECT {} FROM {} WHERE 1 = 1", self.columns, self.table));
        if let Some(cursor) = self.cursor {
            let (time, id) = cursor::decode(cursor)?;
            sql.push(format!(" AND ({}, id) < (", self.time)).push_bind(time.0);
            sql.push(", ").push_bind(id.0.to_vec()).push(")");
        }
        Ok(sql)
    }
}

/// See [`Control::finding_counts`].
#[derive(Debug)]
pub struct FindingCounts {
    pub total: u64,
    pub recent: Vec<(Arc<Rule>, Severity, Timestamp, u64)>,
}

fn read_listed(row: &Row) -> Result<Alert, ControlError> {
    let mut alert = read_alert(row.try_get(0)?)?;
    alert.incident = row.try_get::<Option<&[u8]>>(1)?.map(id_from).transpose()?;
    Ok(alert)
}

impl Control {
    /// Alerts and signals that a condition on the table selects, at most `limit`.
    pub(super) async fn alerts_where(&self, narrow: impl Fn(&mut Sql), order: &str, limit: usize) -> Result<Vec<Alert>, ControlError> {
        let mut sql = Sql::new(format!("SELECT {ALERT} FROM alert WHERE "));
        narrow(&mut sql);
        sql.push(format!(" ORDER BY {order} LIMIT {limit}"));
        sql.fetch_all(&self.read).await?.iter().map(read_listed).collect()
    }
}

async fn load_alerts(tx: &mut Tx, ids: &[Id]) -> Result<AHashMap<Id, Alert>, ControlError> {
    let mut known = AHashMap::new();
    for some in ids.chunks(ROWS_PER_STATEMENT) {
        let mut select = Sql::new(format!("SELECT {ALERT} FROM alert WHERE id IN ("));
        select.push_list(some.iter().map(|id| id.0.to_vec())).push(")");
        for row in select.fetch_all(&mut *tx).await? {
            let alert = read_listed(&row)?;
            known.insert(alert.id, alert);
        }
    }
    Ok(known)
}

async fn put_state(tx: &mut Tx, alert: &Alert) -> Result<(), ControlError> {
    let body = serde_json::to_string(&Alert { incident: None, ..alert.clone() }).map_err(failed)?;
    let put = query("UPDATE alert SET state = $1, body = $2 WHERE id = $3");
    put.bind(alert.state.as_str()).bind(body).bind(alert.id.0.to_vec()).execute(&mut *tx).await?;
    Ok(())
}

fn narrow_alerts(sql: &mut Sql, filter: &AlertFilter) {
    if !filter.signals {
        sql.push(" AND signal = 0");
    }
    if let Some(of) = &filter.event {
        // The ids of a finding's events stand in its body only. The index by time keeps this short.
        sql.push(" AND id IN (SELECT alert FROM finding WHERE time >= ").push_bind(of.from.0);
        sql.push(" AND time < ").push_bind(of.to.0);
        sql.push(" AND body LIKE ").push_bind(holds(&serde_json::Value::from(of.uid.as_str()).to_string())).push(r" ESCAPE '\')");
    }
    let AlertFilter { states, severity_min, text, from, to, .. } = filter;
    narrow_inbox(sql, states, *severity_min, text.as_deref(), *from, *to);
}

/// What alerts and incidents are both searched by: their tables name it alike. A text is looked for in `search`,
/// a period is one that they touch.
pub(super) fn narrow_inbox(
    sql: &mut Sql,
    states: &[AlertState],
    severity_min: Option<Severity>,
    text: Option<&str>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
) {
    any_of(sql, "state", states.iter().map(|s| s.as_str().to_owned()));
    if let Some(severity) = severity_min {
        sql.push(" AND severity >= ").push_bind(severity as i64);
    }
    if let Some(text) = text.filter(|t| !t.is_empty()) {
        sql.push(" AND search LIKE ").push_bind(like(text)).push(r" ESCAPE '\'");
    }
    if let Some(from) = from {
        sql.push(" AND last_seen >= ").push_bind(from.0);
    }
    if let Some(to) = to {
        sql.push(" AND first_seen < ").push_bind(to.0);
    }
}

fn narrow_findings(sql: &mut Sql, filter: &FindingFilter) {
    if filter.without_signals {
        sql.push(" AND signal = 0");
    }
    if let Some(alert) = filter.alert {
        sql.push(" AND alert = ").push_bind(alert.0.to_vec());
    }
    any_of(sql, "severity", filter.severities.iter().map(|s: &Severity| *s as i64));
    if let Some(rule) = &filter.rule {
        sql.push(" AND (rule_id = ").push_bind(rule.clone());
        sql.push(" OR rule_name = ").push_bind(rule.clone()).push(")");
    }
    if let Some(user) = &filter.user {
        sql.push(" AND user_name = ").push_bind(name_of(user));
    }
    if let Some(ip) = &filter.source_ip {
        sql.push(" AND source_ip = ").push_bind(name_of(ip));
    }
    if let Some(from) = filter.from {
        sql.push(" AND time >= ").push_bind(from.0);
    }
    if let Some(to) = filter.to {
        sql.push(" AND time < ").push_bind(to.0);
    }
}

pub(super) fn any_of<V: Into<Value>>(sql: &mut Sql, column: &str, values: impl ExactSizeIterator<Item = V>) {
    if values.len() > 0 {
        sql.push(format!(" AND {column} IN (")).push_list(values).push(")");
    }
}

/// A pattern for text that may itself hold the pattern's own signs.
pub(super) fn like(text: &str) -> String {
    holds(&text.to_lowercase())
}

fn holds(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern + "%"
}
