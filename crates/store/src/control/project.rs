//! Taking findings over from the state store: each is stored once and joins its alert.
//!
//! An alert that was closed stays closed when findings of the same window still come in: whoever closed it
//! has judged this rule about this entity, and the count goes on. It opens again when a finding is more
//! severe than all before it, because that is news.

use super::database::Tx;
use super::{Control, ControlError, Touched, failed, id_from};
use ahash::{AHashMap, AHashSet};
use event::{Alert, AlertState, Finding, Id, StateChange, Timestamp};
use sqlx::{QueryBuilder, Row, Sqlite};
use std::time::{SystemTime, UNIX_EPOCH};

/// Findings of one alert whose rows are kept, the first ones; the further ones are counted.
pub const FINDINGS_PER_ALERT_MAX: u64 = 1_000;
/// Changes of state that an alert remembers, the newest ones.
const HISTORY_MAX: usize = 200;
/// Rows per statement: well below SQLite's 32,766 and PostgreSQL's 65,535 parameters.
const ROWS_PER_STATEMENT: usize = 500;
/// Who is named when an alert opens by itself.
const ACTOR: &str = "erne";

/// An alert together with how many of its findings have rows.
pub struct Stored {
    pub alert: Alert,
    pub stored_findings: u64,
}

struct Changed<'a> {
    stored: Stored,
    is_new: bool,
    rows: Vec<&'a Finding>,
}

impl Control {
    /// Takes findings over from the state store: stores each once, makes or extends their alerts, and
    /// remembers `seq`, all in one transaction. A finding whose id is known changes nothing.
    pub async fn project(&self, findings: &[Finding], seq: u64) -> Result<Touched, ControlError> {
        let mut tx = self.begin().await?;
        let unseen = take_unseen(&mut tx, findings).await?;
        let changed = merge(&mut tx, unseen).await?;
        for change in &changed {
            put_findings(&mut tx, change.stored.alert.id, &change.rows).await?;
            put_alert(&mut tx, &change.stored).await?;
        }
        put_seq(&mut tx, seq).await?;
        tx.commit().await?;
        Ok(changed.into_iter().map(|c| (c.stored.alert, c.is_new)).collect())
    }

    pub async fn projected_seq(&self) -> Result<u64, ControlError> {
        let seq: Option<i64> = sqlx::query_scalar("SELECT value FROM counter WHERE name = 'projected_seq'")
            .fetch_optional(&self.read)
            .await?;
        Ok(seq.unwrap_or(0) as u64)
    }
}

/// The findings whose ids were not known, which they now are.
async fn take_unseen<'a>(tx: &mut Tx, findings: &'a [Finding]) -> Result<Vec<&'a Finding>, ControlError> {
    let mut unseen = Vec::new();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as i64);
    for some in findings.chunks(ROWS_PER_STATEMENT) {
        let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO seen_finding (id, seen_at) ");
        insert.push_values(some, |mut row, finding| {
            row.push_bind(&finding.id.0[..]).push_bind(now);
        });
        insert.push(" ON CONFLICT (id) DO NOTHING RETURNING id");
        let rows = insert.build().fetch_all(&mut **tx).await?;
        let id = |row: &sqlx::sqlite::SqliteRow| id_from(row.try_get::<&[u8], _>(0)?);
        let mut new: AHashSet<Id> = rows.iter().map(id).collect::<Result<_, _>>()?;
        // Taken out as they are met: an id that comes twice in one batch counts once.
        unseen.extend(some.iter().filter(|finding| new.remove(&finding.id)));
    }
    Ok(unseen)
}

/// Joins findings to their alerts; the alerts are in the order in which they were first met.
async fn merge<'a>(tx: &mut Tx, findings: Vec<&'a Finding>) -> Result<Vec<Changed<'a>>, ControlError> {
    let mut places = AHashMap::new();
    let mut groups: Vec<(Id, Vec<&Finding>)> = Vec::new();
    for finding in findings {
        let id = Alert::id_of(finding);
        let place = *places.entry(id).or_insert(groups.len());
        if place == groups.len() {
            groups.push((id, Vec::new()));
        }
        groups[place].1.push(finding);
    }
    let ids: Vec<Id> = groups.iter().map(|(id, _)| *id).collect();
    let mut known = load_alerts(tx, &ids).await?;
    Ok(groups.into_iter().map(|(id, group)| join(known.remove(&id), group)).collect())
}

fn join<'a>(known: Option<Stored>, findings: Vec<&'a Finding>) -> Changed<'a> {
    let is_new = known.is_none();
    let mut findings = findings.into_iter();
    let mut rows = Vec::new();
    let mut stored = known.unwrap_or_else(|| {
        let first = findings.next().expect("a group has at least one finding");
        rows.push(first);
        Stored { alert: Alert::from_finding(first), stored_findings: 1 }
    });
    for finding in findings {
        absorb(&mut stored.alert, finding);
        if stored.stored_findings < FINDINGS_PER_ALERT_MAX {
            stored.stored_findings += 1;
            rows.push(finding);
        }
    }
    Changed { stored, is_new, rows }
}

fn absorb(alert: &mut Alert, finding: &Finding) {
    let before = alert.severity;
    alert.absorb(finding);
    if alert.state == AlertState::Closed && alert.severity > before {
        let reason = format!("severity rose from {before} to {}", alert.severity);
        change_state(alert, AlertState::Open, ACTOR, Some(reason), finding.time);
    }
}

pub fn change_state(alert: &mut Alert, state: AlertState, actor: &str, reason: Option<String>, time: Timestamp) {
    if alert.history.len() >= HISTORY_MAX {
        alert.history.remove(0);
    }
    alert.state = state;
    alert.history.push(StateChange { state, actor: actor.to_owned(), time, reason });
}

pub async fn load_alerts(tx: &mut Tx, ids: &[Id]) -> Result<AHashMap<Id, Stored>, ControlError> {
    let mut known = AHashMap::new();
    for some in ids.chunks(ROWS_PER_STATEMENT) {
        let mut select = QueryBuilder::<Sqlite>::new("SELECT stored_findings, body FROM alert WHERE id IN (");
        let mut list = select.separated(", ");
        for id in some {
            list.push_bind(&id.0[..]);
        }
        select.push(")");
        for row in select.build().fetch_all(&mut **tx).await? {
            let alert = read_alert(row.try_get(1)?)?;
            let stored_findings = row.try_get::<i64, _>(0)? as u64;
            known.insert(alert.id, Stored { alert, stored_findings });
        }
    }
    Ok(known)
}

pub fn read_alert(body: &str) -> Result<Alert, ControlError> {
    serde_json::from_str(body).map_err(|e| failed(format!("a stored alert cannot be read: {e}")))
}

pub async fn put_alert(tx: &mut Tx, stored: &Stored) -> Result<(), ControlError> {
    let put = "INSERT INTO alert (id, state, severity, first_seen, last_seen, search, stored_findings, body)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
               ON CONFLICT (id) DO UPDATE SET state = excluded.state, severity = excluded.severity,
                   first_seen = excluded.first_seen, last_seen = excluded.last_seen,
                   search = excluded.search, stored_findings = excluded.stored_findings,
                   body = excluded.body";
    let alert = &stored.alert;
    let search = format!("{}\n{}\n{}", alert.rule.name, alert.entity, alert.summary).to_lowercase();
    sqlx::query(put)
        .bind(&alert.id.0[..])
        .bind(alert.state.as_str())
        .bind(alert.severity as i64)
        .bind(alert.first_seen.0)
        .bind(alert.last_seen.0)
        .bind(search)
        .bind(stored.stored_findings as i64)
        .bind(serde_json::to_string(alert).map_err(failed)?)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn put_findings(tx: &mut Tx, alert: Id, findings: &[&Finding]) -> Result<(), ControlError> {
    for some in findings.chunks(ROWS_PER_STATEMENT) {
        let bodies = some.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let columns = "id, alert, time, severity, rule_id, rule_name, user_name, source_ip, body";
        let mut insert = QueryBuilder::<Sqlite>::new(format!("INSERT INTO finding ({columns}) "));
        insert.push_values(some.iter().zip(bodies), |mut row, (finding, body)| {
            row.push_bind(&finding.id.0[..])
                .push_bind(&alert.0[..])
                .push_bind(finding.time.0)
                .push_bind(finding.level as i64)
                .push_bind(&*finding.rule.id)
                .push_bind(&*finding.rule.name)
                .push_bind(finding.user.as_deref())
                .push_bind(finding.source_ip.as_deref())
                .push_bind(body);
        });
        // Its id may be older than the memory of seen ids, and its row still be there.
        insert.push(" ON CONFLICT (id) DO NOTHING");
        insert.build().execute(&mut **tx).await?;
    }
    Ok(())
}

async fn put_seq(tx: &mut Tx, seq: u64) -> Result<(), ControlError> {
    let put = "INSERT INTO counter (name, value) VALUES ('projected_seq', $1)
               ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE excluded.value > counter.value";
    sqlx::query(put).bind(seq as i64).execute(&mut **tx).await?;
    Ok(())
}
