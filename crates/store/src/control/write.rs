//! Writes back what taking over a batch changed: a number of statements that follows from how many alerts,
//! groups and entities changed, and for findings from their number divided by `ROWS_PER_STATEMENT`.

use super::database::Tx;
use super::desk::{Desk, ROWS_PER_STATEMENT, RowChange, Stored, read};
use super::group::{Group, key_of};
use super::{ControlError, failed};
use event::{Alert, Finding, Id, Incident};
use sqlx::{QueryBuilder, Row, Sqlite};

type Sql = QueryBuilder<Sqlite>;

impl Desk<'_> {
    pub async fn write(&mut self, tx: &mut Tx, now: i64, seq: u64) -> Result<(), ControlError> {
        self.write_seen(tx, now).await?;
        self.write_rows(tx).await?;
        self.write_limits(tx, now).await?;
        self.write_groups(tx, now).await?;
        self.write_alerts(tx).await?;
        self.write_entities(tx, now).await?;
        let put = "INSERT INTO counter (name, value) VALUES ('projected_seq', $1)
                   ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE excluded.value > counter.value";
        sqlx::query(put).bind(seq as i64).execute(&mut **tx).await?;
        Ok(())
    }

    async fn write_seen(&self, tx: &mut Tx, now: i64) -> Result<(), ControlError> {
        let changed: Vec<_> = self.seen.iter().filter(|(_, seen)| seen.changed).collect();
        for some in changed.chunks(ROWS_PER_STATEMENT) {
            let mut put = Sql::new("INSERT INTO seen_finding (id, seen_at, stage, alert, events) ");
            put.push_values(some, |mut row, (id, seen)| {
                row.push_bind(&id.0[..]).push_bind(now).push_bind(seen.stage);
                row.push_bind(seen.counted.map(|(alert, _)| alert.0.to_vec())).push_bind(seen.counted.map(|(_, n)| n as i64));
            });
            put.push(" ON CONFLICT (id) DO UPDATE SET stage = excluded.stage, alert = excluded.alert, events = excluded.events");
            put.build().execute(&mut **tx).await?;
        }
        Ok(())
    }

    async fn write_rows(&self, tx: &mut Tx) -> Result<(), ControlError> {
        let (mut puts, mut deletes) = (Vec::new(), Vec::new());
        for (id, change) in &self.rows {
            match change {
                RowChange::Put(finding, alert) => puts.push((*finding, *alert)),
                RowChange::Delete => deletes.push(*id),
            }
        }
        // In the order of ids the database's pages are written one after the other.
        puts.sort_by_key(|(finding, _)| finding.id);
        for some in puts.chunks(ROWS_PER_STATEMENT) {
            put_findings(tx, some).await?;
        }
        for some in deletes.chunks(ROWS_PER_STATEMENT) {
            let mut delete = Sql::new("DELETE FROM finding WHERE id IN (");
            let mut list = delete.separated(", ");
            for id in some {
                list.push_bind(id.0.to_vec());
            }
            delete.push(")");
            delete.build().execute(&mut **tx).await?;
        }
        Ok(())
    }

    async fn write_limits(&self, tx: &mut Tx, now: i64) -> Result<(), ControlError> {
        let quotas: Vec<_> = self.quotas.iter().filter(|(_, (_, changed))| *changed).collect();
        for some in quotas.chunks(ROWS_PER_STATEMENT) {
            let mut put = Sql::new("INSERT INTO alert_quota (rule_id, hour, alerts, touched) ");
            put.push_values(some, |mut row, ((rule, hour), (alerts, _))| {
                row.push_bind(rule.to_string()).push_bind(*hour).push_bind(i64::from(*alerts)).push_bind(now);
            });
            put.push(" ON CONFLICT (rule_id, hour) DO UPDATE SET alerts = excluded.alerts, touched = excluded.touched");
            put.build().execute(&mut **tx).await?;
        }
        for some in self.new_further.chunks(ROWS_PER_STATEMENT) {
            let mut put = Sql::new("INSERT INTO further_entity (id, alert, touched) ");
            put.push_values(some, |mut row, (id, alert)| {
                row.push_bind(&id.0[..]).push_bind(&alert.0[..]).push_bind(now);
            });
            put.push(" ON CONFLICT (id) DO UPDATE SET alert = excluded.alert, touched = excluded.touched");
            put.build().execute(&mut **tx).await?;
        }
        Ok(())
    }

    async fn write_groups(&self, tx: &mut Tx, now: i64) -> Result<(), ControlError> {
        for (from, to) in &self.merged {
            let link = sqlx::query("UPDATE alert SET incident = $1 WHERE incident = $2");
            link.bind(to.0.to_vec()).bind(from.0.to_vec()).execute(&mut **tx).await?;
        }
        for id in self.merged.iter().map(|(from, _)| from).chain(&self.dropped) {
            for delete in ["DELETE FROM incident WHERE id = $1", "DELETE FROM incident_key WHERE incident = $1"] {
                sqlx::query(delete).bind(id.0.to_vec()).execute(&mut **tx).await?;
            }
        }
        for id in &self.touched_groups {
            if let Some(group) = self.groups.get(id) {
                put_group(tx, group, now).await?;
            }
        }
        Ok(())
    }

    async fn write_alerts(&mut self, tx: &mut Tx) -> Result<(), ControlError> {
        for id in &self.touched {
            let Some(stored) = self.alerts.get_mut(id) else { continue };
            if let Some(newest) = stored.newest.filter(|newest| stored.summary_of != Some(*newest)) {
                let summary = match self.rows.get(&newest) {
                    Some(RowChange::Put(finding, _)) => Some(finding.explanation.summary.clone()),
                    _ => stored_summary(tx, newest).await?,
                };
                stored.alert.summary = summary.unwrap_or_else(|| stored.alert.summary.clone());
                stored.summary_of = Some(newest);
            }
            put_alert(tx, stored).await?;
        }
        Ok(())
    }

    async fn write_entities(&self, tx: &mut Tx, now: i64) -> Result<(), ControlError> {
        let risks: Vec<_> = self.risks.iter().filter(|(_, (_, changed))| *changed).collect();
        for some in risks.chunks(ROWS_PER_STATEMENT) {
            let bodies = some.iter().map(|(_, (risk, _))| serde_json::to_string(risk)).collect::<Result<Vec<_>, _>>().map_err(failed)?;
            let mut put = Sql::new("INSERT INTO entity (key, rank, body) ");
            put.push_values(some.iter().zip(bodies), |mut row, ((key, (risk, _)), body)| {
                row.push_bind((*key).clone()).push_bind(risk.rank()).push_bind(body);
            });
            put.push(" ON CONFLICT (key) DO UPDATE SET rank = excluded.rank, body = excluded.body");
            put.build().execute(&mut **tx).await?;
        }
        let links: Vec<_> = self.links.iter().filter(|(_, (_, changed))| *changed).collect();
        for some in links.chunks(ROWS_PER_STATEMENT) {
            let bodies = some.iter().map(|(_, (links, _))| serde_json::to_string(links)).collect::<Result<Vec<_>, _>>().map_err(failed)?;
            let mut put = Sql::new("INSERT INTO entity_link (key, touched, body) ");
            put.push_values(some.iter().zip(bodies), |mut row, ((key, _), body)| {
                row.push_bind((*key).clone()).push_bind(now).push_bind(body);
            });
            put.push(" ON CONFLICT (key) DO UPDATE SET touched = excluded.touched, body = excluded.body");
            put.build().execute(&mut **tx).await?;
        }
        Ok(())
    }
}

async fn put_findings(tx: &mut Tx, findings: &[(&Finding, Id)]) -> Result<(), ControlError> {
    let bodies = findings.iter().map(|(f, _)| serde_json::to_string(f)).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let columns = "id, alert, time, severity, rule_id, rule_name, user_name, source_ip, signal, events, body";
    let mut insert = Sql::new(format!("INSERT INTO finding ({columns}) "));
    insert.push_values(findings.iter().zip(bodies), |mut row, ((finding, alert), body)| {
        row.push_bind(&finding.id.0[..])
            .push_bind(&alert.0[..])
            .push_bind(finding.time.0)
            .push_bind(finding.level as i64)
            .push_bind(&*finding.rule.id)
            .push_bind(&*finding.rule.name)
            .push_bind(finding.user.as_deref())
            .push_bind(finding.source_ip.as_deref())
            .push_bind(i64::from(finding.rule.handling.signal))
            .push_bind(finding.event_count as i64)
            .push_bind(body);
    });
    // A row is there already if the finding is told again, or if it is older than the memory of seen ids.
    insert.push(
        " ON CONFLICT (id) DO UPDATE SET alert = excluded.alert, time = excluded.time, severity = excluded.severity,
            rule_id = excluded.rule_id, rule_name = excluded.rule_name, user_name = excluded.user_name,
            source_ip = excluded.source_ip, signal = excluded.signal, events = excluded.events, body = excluded.body",
    );
    insert.build().execute(&mut **tx).await?;
    Ok(())
}

async fn stored_summary(tx: &mut Tx, finding: Id) -> Result<Option<String>, ControlError> {
    let select = sqlx::query("SELECT body FROM finding WHERE id = $1").bind(finding.0.to_vec());
    let row = select.fetch_optional(&mut **tx).await?;
    row.map(|row| Ok(read::<Finding>(row.try_get(0)?, "finding")?.explanation.summary)).transpose()
}

/// What a search for alerts looks at.
pub fn search_of(alert: &Alert) -> String {
    format!("{}\n{}\n{}", alert.rule.name, alert.entity, alert.summary).to_lowercase()
}

async fn put_alert(tx: &mut Tx, stored: &Stored) -> Result<(), ControlError> {
    let alert = &stored.alert;
    // Only what can change: an index over a column that an update names is written again.
    let sql = if stored.is_new {
        "INSERT INTO alert (state, severity, first_seen, last_seen, search, stored_findings, finding_count, newest,
                            incident, risk, risk_at, body, id, rule_id, signal, entity, user_name, source_ip)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)"
    } else {
        "UPDATE alert SET state = $1, severity = $2, first_seen = $3, last_seen = $4, search = $5, stored_findings = $6,
                finding_count = $7, newest = $8, incident = $9, risk = $10, risk_at = $11, body = $12 WHERE id = $13"
    };
    let query = sqlx::query(sql)
        .bind(alert.state.as_str())
        .bind(alert.severity as i64)
        .bind(alert.first_seen.0)
        .bind(alert.last_seen.0)
        .bind(search_of(alert))
        .bind(stored.stored_findings as i64)
        .bind(alert.finding_count as i64)
        .bind(stored.newest.map(|id| id.0.to_vec()))
        .bind(stored.group.map(|id| id.0.to_vec()))
        .bind(stored.risk.0)
        .bind(stored.risk.1.0)
        .bind(serde_json::to_string(alert).map_err(failed)?)
        .bind(alert.id.0.to_vec());
    let query = if stored.is_new {
        query
            .bind(alert.rule.id.to_string())
            .bind(i64::from(alert.rule.handling.signal))
            .bind(if alert.further.is_some() { String::new() } else { key_of(&alert.entity) })
            .bind(alert.user.as_deref().map(str::to_owned))
            .bind(alert.source_ip.as_deref().map(str::to_owned))
    } else {
        query
    };
    query.execute(&mut **tx).await?;
    Ok(())
}

async fn put_group(tx: &mut Tx, group: &Group, now: i64) -> Result<(), ControlError> {
    let put = "INSERT INTO incident (id, opened, state, severity, first_seen, last_seen, touched, search, body, work)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
               ON CONFLICT (id) DO UPDATE SET opened = excluded.opened, state = excluded.state,
                   severity = excluded.severity, first_seen = excluded.first_seen, last_seen = excluded.last_seen,
                   touched = excluded.touched, search = excluded.search, body = excluded.body, work = excluded.work";
    let incident = &group.incident;
    sqlx::query(put)
        .bind(incident.id.0.to_vec())
        .bind(i64::from(group.opened))
        .bind(incident.state.as_str())
        .bind(incident.severity as i64)
        .bind(incident.first_seen.0)
        .bind(incident.last_seen.0)
        .bind(now)
        .bind(group.search())
        .bind(serde_json::to_string(incident).map_err(failed)?)
        .bind(group.work().map_err(failed)?)
        .execute(&mut **tx)
        .await?;
    let mut keys = Sql::new("INSERT INTO incident_key (key, incident, direct) ");
    if group.keys.is_empty() {
        return Ok(());
    }
    keys.push_values(&group.keys, |mut row, key| {
        row.push_bind(key.text.clone()).push_bind(incident.id.0.to_vec()).push_bind(i64::from(key.direct));
    });
    keys.push(" ON CONFLICT (key, incident) DO UPDATE SET direct = excluded.direct WHERE excluded.direct <> incident_key.direct");
    keys.build().execute(&mut **tx).await?;
    Ok(())
}

/// What people change about an incident; what it is made of stays.
pub async fn put_incident(tx: &mut Tx, incident: &Incident) -> Result<(), ControlError> {
    let put = "UPDATE incident SET state = $1, body = $2 WHERE id = $3";
    let body = serde_json::to_string(incident).map_err(failed)?;
    sqlx::query(put).bind(incident.state.as_str()).bind(body).bind(incident.id.0.to_vec()).execute(&mut **tx).await?;
    Ok(())
}
