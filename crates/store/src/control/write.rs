//! Writes back what taking over a batch changed: a number of statements that follows from how many alerts,
//! groups and entities changed, and for findings from their number divided by `ROWS_PER_STATEMENT`.

use super::desk::{Desk, ROWS_PER_STATEMENT, RowChange, Stored, read};
use super::group::{Group, Key, key_of, name_of};
use super::sql::{Sql, Tx, query};
use super::{ControlError, failed};
use event::{Alert, Finding, Id, Incident};


/// Of rows with many columns: a statement stays below ten thousand parameters.
const WIDE_ROWS_PER_STATEMENT: usize = 250;

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
        query(put).bind(seq as i64).execute(&mut *tx).await?;
        Ok(())
    }

    async fn write_seen(&self, tx: &mut Tx, now: i64) -> Result<(), ControlError> {
        let changed: Vec<_> = self.seen.iter().filter(|(_, seen)| seen.changed).collect();
        for some in changed.chunks(ROWS_PER_STATEMENT) {
            let mut put = Sql::new("INSERT INTO seen_finding (id, seen_at, stage, alert, events) ");
            put.push_values(some, |row, (id, seen)| {
                row.push_bind(&id.0[..]).push_bind(now).push_bind(seen.stage);
                row.push_bind(seen.counted.map(|(alert, _)| alert.0.to_vec())).push_bind(seen.counted.map(|(_, n)| n as i64));
            });
            put.push(" ON CONFLICT (id) DO UPDATE SET stage = excluded.stage, alert = excluded.alert, events = excluded.events");
            put.execute(&mut *tx).await?;
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
            delete.push_list(some.iter().map(|id| id.0.to_vec())).push(")");
            delete.execute(&mut *tx).await?;
        }
        Ok(())
    }

    async fn write_limits(&self, tx: &mut Tx, now: i64) -> Result<(), ControlError> {
        let quotas: Vec<_> = self.quotas.iter().filter(|(_, (_, changed))| *changed).collect();
        for some in quotas.chunks(ROWS_PER_STATEMENT) {
            let mut put = Sql::new("INSERT INTO alert_quota (rule_id, hour, alerts, touched) ");
            put.push_values(some, |row, ((rule, hour), (alerts, _))| {
                row.push_bind(rule.to_string()).push_bind(*hour).push_bind(i64::from(*alerts)).push_bind(now);
            });
            put.push(" ON CONFLICT (rule_id, hour) DO UPDATE SET alerts = excluded.alerts, touched = excluded.touched");
            put.execute(&mut *tx).await?;
        }
        for some in self.new_further.chunks(ROWS_PER_STATEMENT) {
            let mut put = Sql::new("INSERT INTO further_entity (id, alert, touched) ");
            put.push_values(some, |row, (id, alert)| {
                row.push_bind(&id.0[..]).push_bind(&alert.0[..]).push_bind(now);
            });
            put.push(" ON CONFLICT (id) DO UPDATE SET alert = excluded.alert, touched = excluded.touched");
            put.execute(&mut *tx).await?;
        }
        Ok(())
    }

    async fn write_groups(&self, tx: &mut Tx, now: i64) -> Result<(), ControlError> {
        for (from, to) in &self.merged {
            let link = query("UPDATE alert SET incident = $1 WHERE incident = $2");
            link.bind(to.0.to_vec()).bind(from.0.to_vec()).execute(&mut *tx).await?;
        }
        for id in self.merged.iter().map(|(from, _)| from).chain(&self.dropped) {
            for delete in ["DELETE FROM incident WHERE id = $1", "DELETE FROM incident_key WHERE incident = $1"] {
                query(delete).bind(id.0.to_vec()).execute(&mut *tx).await?;
            }
        }
        let groups: Vec<&Group> = self.touched_groups.iter().filter_map(|id| self.groups.get(id)).collect();
        for some in groups.chunks(WIDE_ROWS_PER_STATEMENT) {
            put_groups(tx, some, now).await?;
        }
        let keys: Vec<_> = groups.iter().flat_map(|group| group.keys.iter().map(|key| (group.incident.id, key))).collect();
        for some in keys.chunks(ROWS_PER_STATEMENT) {
            put_keys(tx, some).await?;
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
        }
        let stored: Vec<&Stored> = self.touched.iter().filter_map(|id| self.alerts.get(id)).collect();
        for some in stored.chunks(WIDE_ROWS_PER_STATEMENT) {
            put_alerts(tx, some).await?;
        }
        Ok(())
    }

    async fn write_entities(&self, tx: &mut Tx, now: i64) -> Result<(), ControlError> {
        let risks: Vec<_> = self.risks.iter().filter(|(_, (_, changed))| *changed).collect();
        for some in risks.chunks(ROWS_PER_STATEMENT) {
            let bodies = some.iter().map(|(_, (risk, _))| serde_json::to_string(risk)).collect::<Result<Vec<_>, _>>().map_err(failed)?;
            let mut put = Sql::new("INSERT INTO entity (key, rank, body) ");
            put.push_values(some.iter().zip(bodies), |row, ((key, (risk, _)), body)| {
                row.push_bind((*key).clone()).push_bind(risk.rank()).push_bind(body);
            });
            put.push(" ON CONFLICT (key) DO UPDATE SET rank = excluded.rank, body = excluded.body");
            put.execute(&mut *tx).await?;
        }
        let links: Vec<_> = self.links.iter().filter(|(_, (_, changed))| *changed).collect();
        for some in links.chunks(ROWS_PER_STATEMENT) {
            let bodies = some.iter().map(|(_, (links, _))| serde_json::to_string(links)).collect::<Result<Vec<_>, _>>().map_err(failed)?;
            let mut put = Sql::new("INSERT INTO entity_link (key, touched, body) ");
            put.push_values(some.iter().zip(bodies), |row, ((key, _), body)| {
                row.push_bind((*key).clone()).push_bind(now).push_bind(body);
            });
            put.push(" ON CONFLICT (key) DO UPDATE SET touched = excluded.touched, body = excluded.body");
            put.execute(&mut *tx).await?;
        }
        Ok(())
    }
}

async fn put_findings(tx: &mut Tx, findings: &[(&Finding, Id)]) -> Result<(), ControlError> {
    let bodies = findings.iter().map(|(f, _)| serde_json::to_string(f)).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let columns = "id, alert, time, severity, rule_id, rule_name, user_name, source_ip, signal, events, body";
    let mut insert = Sql::new(format!("INSERT INTO finding ({columns}) "));
    insert.push_values(findings.iter().zip(bodies), |row, ((finding, alert), body)| {
        row.push_bind(&finding.id.0[..])
            .push_bind(&alert.0[..])
            .push_bind(finding.time.0)
            .push_bind(finding.level as i64)
            .push_bind(&*finding.rule.id)
            .push_bind(&*finding.rule.name)
            .push_bind(finding.user.as_deref().map(name_of))
            .push_bind(finding.source_ip.as_deref().map(name_of))
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
    insert.execute(&mut *tx).await?;
    Ok(())
}

async fn stored_summary(tx: &mut Tx, finding: Id) -> Result<Option<String>, ControlError> {
    let select = query("SELECT body FROM finding WHERE id = $1").bind(finding.0.to_vec());
    let row = select.fetch_optional(&mut *tx).await?;
    row.map(|row| Ok(read::<Finding>(row.try_get(0)?, "finding")?.explanation.summary)).transpose()
}

/// What a search for alerts looks at.
pub fn search_of(alert: &Alert) -> String {
    format!("{}\n{}\n{}", alert.rule.name, alert.entity, alert.summary).to_lowercase()
}

/// Of an alert that is there only what can change is written: an index over a column that an update names is written
/// again.
async fn put_alerts(tx: &mut Tx, alerts: &[&Stored]) -> Result<(), ControlError> {
    let bodies = alerts.iter().map(|stored| serde_json::to_string(&stored.alert)).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let mut put = Sql::new(
        "INSERT INTO alert (state, severity, first_seen, last_seen, search, stored_findings, finding_count, newest,
                            incident, risk, risk_at, body, id, rule_id, signal, entity, user_name, source_ip) ",
    );
    put.push_values(alerts.iter().zip(bodies), |row, (stored, body)| {
        let alert = &stored.alert;
        row.push_bind(alert.state.as_str())
            .push_bind(alert.severity as i64)
            .push_bind(alert.first_seen.0)
            .push_bind(alert.last_seen.0)
            .push_bind(search_of(alert))
            .push_bind(stored.stored_findings as i64)
            .push_bind(alert.finding_count as i64)
            .push_bind(stored.newest.map(|id| id.0.to_vec()))
            .push_bind(stored.group.map(|id| id.0.to_vec()))
            .push_bind(stored.risk.0)
            .push_bind(stored.risk.1.0)
            .push_bind(body)
            .push_bind(&alert.id.0[..])
            .push_bind(&*alert.rule.id)
            .push_bind(i64::from(alert.rule.handling.signal))
            .push_bind(if alert.further.is_some() { String::new() } else { key_of(&alert.entity) })
            .push_bind(alert.user.as_deref().map(name_of))
            .push_bind(alert.source_ip.as_deref().map(name_of));
    });
    put.push(
        " ON CONFLICT (id) DO UPDATE SET state = excluded.state, severity = excluded.severity,
            first_seen = excluded.first_seen, last_seen = excluded.last_seen, search = excluded.search,
            stored_findings = excluded.stored_findings, finding_count = excluded.finding_count, newest = excluded.newest,
            incident = excluded.incident, risk = excluded.risk, risk_at = excluded.risk_at, body = excluded.body",
    );
    put.execute(&mut *tx).await?;
    Ok(())
}

async fn put_groups(tx: &mut Tx, groups: &[&Group], now: i64) -> Result<(), ControlError> {
    let texts = groups.iter().map(|group| Ok((serde_json::to_string(&group.incident)?, group.work()?)));
    let texts = texts.collect::<Result<Vec<_>, serde_json::Error>>().map_err(failed)?;
    let mut put = Sql::new("INSERT INTO incident (id, opened, state, severity, first_seen, last_seen, touched, search, body, work) ");
    put.push_values(groups.iter().zip(texts), |row, (group, (body, work))| {
        let incident = &group.incident;
        row.push_bind(&incident.id.0[..])
            .push_bind(i64::from(group.opened))
            .push_bind(incident.state.as_str())
            .push_bind(incident.severity as i64)
            .push_bind(incident.first_seen.0)
            .push_bind(incident.last_seen.0)
            .push_bind(now)
            .push_bind(group.search())
            .push_bind(body)
            .push_bind(work);
    });
    put.push(
        " ON CONFLICT (id) DO UPDATE SET opened = excluded.opened, state = excluded.state,
            severity = excluded.severity, first_seen = excluded.first_seen, last_seen = excluded.last_seen,
            touched = excluded.touched, search = excluded.search, body = excluded.body, work = excluded.work",
    );
    put.execute(&mut *tx).await?;
    Ok(())
}

async fn put_keys(tx: &mut Tx, keys: &[(Id, &Key)]) -> Result<(), ControlError> {
    let mut put = Sql::new("INSERT INTO incident_key (key, incident, direct) ");
    put.push_values(keys, |row, (incident, key)| {
        row.push_bind(key.text.as_str()).push_bind(&incident.0[..]).push_bind(i64::from(key.direct));
    });
    put.push(" ON CONFLICT (key, incident) DO UPDATE SET direct = excluded.direct WHERE excluded.direct <> incident_key.direct");
    put.execute(&mut *tx).await?;
    Ok(())
}

/// What people change about an incident; what it is made of stays.
pub async fn put_incident(tx: &mut Tx, incident: &Incident) -> Result<(), ControlError> {
    let put = "UPDATE incident SET state = $1, body = $2 WHERE id = $3";
    let body = serde_json::to_string(incident).map_err(failed)?;
    query(put).bind(incident.state.as_str()).bind(body).bind(incident.id.0.to_vec()).execute(&mut *tx).await?;
    Ok(())
}
