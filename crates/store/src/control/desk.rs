//! What taking over a batch of findings needs and changes: read from the database at its begin in few
//! statements, written back at its end, so that the work in between is plain code that meets one finding after
//! the other. How findings were batched must not show in what is stored.

use super::group::{Group, Key, Links, SPAN_SECS_MAX, WINDOW_SECS, key_of, keys_of};
use super::risk::Risk;
use super::sql::{Row, Sql, Tx};
use super::{ControlError, failed, id_from};
use ahash::{AHashMap, AHashSet};
use event::{Alert, Finding, FindingStatus, Id, Severity, Timestamp};
use std::collections::BTreeMap;

/// Rows per statement: well below SQLite's 32,766 and PostgreSQL's 65,535 parameters.
pub const ROWS_PER_STATEMENT: usize = 500;


/// A finding as it was last taken over.
#[derive(Clone, Debug)]
pub struct Seen {
    /// See [`stage_of`].
    pub stage: i64,
    /// The alert that counts it, and with how many events.
    pub counted: Option<(Id, u64)>,
    /// It came with this batch and was not looked at yet.
    pub fresh: bool,
    pub changed: bool,
}

/// Grows with every further telling of a finding: with its revision, and within one from provisional to final
/// to withdrawn. What is not beyond the stage that is known was taken over before.
pub fn stage_of(finding: &Finding) -> i64 {
    let status = match finding.status {
        FindingStatus::Provisional => 0,
        FindingStatus::Final => 1,
        FindingStatus::Withdrawn => 2,
    };
    (i64::from(finding.revision) << 2) | status
}

/// Whether it may be told again, so that what it added to its alert must be remembered.
pub fn is_revisable(finding: &Finding) -> bool {
    finding.status == FindingStatus::Provisional || finding.revision > 0 || finding.replaces.is_some()
}

/// A stored finding of an alert that has to be worked out again.
#[derive(Clone, Debug)]
pub struct Slim {
    pub time: Timestamp,
    pub level: Severity,
}

/// An alert with what is stored beside it.
#[derive(Clone, Debug)]
pub struct Stored {
    pub alert: Alert,
    /// How many of its findings have rows.
    pub stored_findings: u64,
    /// The finding whose summary it shows.
    pub newest: Option<Id>,
    /// The finding whose summary is in `alert`, which `write` brings in line with `newest`.
    pub summary_of: Option<Id>,
    pub group: Option<Id>,
    /// What it added to its entity's risk score, in thousandths, and as of when.
    pub risk: (i64, Timestamp),
    /// The number of events that its group knows of.
    pub told_events: u64,
    /// Its stored findings, if one of them is to be corrected.
    pub rows: Option<BTreeMap<Id, Slim>>,
    pub is_new: bool,
    /// No finding has been counted yet.
    pub is_begun: bool,
    pub changed: bool,
}

/// What becomes of a finding's row.
pub enum RowChange<'a> {
    Put(&'a Finding, Id),
    Delete,
}

/// A finding that may be news, and the alerts it may join: its own, and the one beyond the rule's limit.
#[derive(Clone, Copy)]
pub struct News<'a> {
    pub finding: &'a Finding,
    pub alert: Id,
    pub further: Id,
}

#[derive(Default)]
pub struct Desk<'a> {
    pub news: Vec<News<'a>>,
    pub seen: AHashMap<Id, Seen>,
    pub alerts: AHashMap<Id, Stored>,
    /// The alerts touched, in the order in which they were first met.
    pub touched: Vec<Id>,
    pub rows: AHashMap<Id, RowChange<'a>>,
    /// Alerts that were not made, and the one that counts them.
    pub further: AHashMap<Id, Id>,
    pub new_further: Vec<(Id, Id)>,
    /// Alerts made, by rule and hour.
    pub quotas: AHashMap<(std::sync::Arc<str>, i64), (u32, bool)>,
    pub groups: AHashMap<Id, Group>,
    pub by_key: AHashMap<String, Vec<Id>>,
    /// Groups touched, in order; opened ones are published.
    pub touched_groups: Vec<Id>,
    pub group_is_touched: AHashSet<Id>,
    /// Groups that lost their last alert before they were an incident.
    pub dropped: Vec<Id>,
    /// Groups that became part of another one, in order.
    pub merged: Vec<(Id, Id)>,
    pub risks: AHashMap<String, (Risk, bool)>,
    pub links: AHashMap<String, (Links, bool)>,
}

pub fn hour_of(finding: &Finding) -> i64 {
    finding.time.secs().div_euclid(3_600)
}

fn in_list(select: &str, ids: impl IntoIterator<Item = Vec<u8>>) -> Sql {
    let mut sql = Sql::new(format!("{select} ("));
    sql.push_list(ids).push(")");
    sql
}

fn in_texts(select: &str, texts: &[String]) -> Sql {
    let mut sql = Sql::new(format!("{select} ("));
    sql.push_list(texts.iter().cloned()).push(")");
    sql
}

fn optional_id(row: &Row, at: usize) -> Result<Option<Id>, ControlError> {
    row.try_get::<Option<&[u8]>>(at)?.map(id_from).transpose()
}

impl<'a> Desk<'a> {
    /// Reads all that the findings may concern. Their ids are known from now on.
    pub async fn load(tx: &mut Tx, findings: &'a [Finding], now: i64) -> Result<Self, ControlError> {
        let mut desk = Self::default();
        desk.load_seen(tx, findings, now).await?;
        desk.news = desk.find_news(findings);
        desk.load_further(tx).await?;
        desk.load_quotas(tx).await?;
        let mut ids: AHashSet<Id> = desk.news.iter().flat_map(|one| [one.alert, one.further]).collect();
        ids.extend(desk.further.values());
        ids.extend(desk.seen.values().filter_map(|seen| Some(seen.counted?.0)));
        let mut ids: Vec<Id> = ids.into_iter().collect();
        ids.sort();
        desk.load_alerts(tx, &ids).await?;
        desk.load_rows(tx).await?;
        desk.load_surroundings(tx).await?;
        Ok(desk)
    }

    /// Ids are hashes, which cost more than most of what follows: each is made once.
    fn find_news(&self, findings: &'a [Finding]) -> Vec<News<'a>> {
        let mut further = AHashMap::new();
        let news = findings.iter().filter(|finding| self.is_news(finding)).map(|finding| {
            let key = (&*finding.rule.id, hour_of(finding));
            let further = *further.entry(key).or_insert_with(|| Alert::further_id_of(finding));
            News { finding, alert: Alert::id_of(finding), further }
        });
        news.collect()
    }

    fn is_news(&self, finding: &Finding) -> bool {
        self.seen.get(&finding.id).is_none_or(|seen| seen.fresh || stage_of(finding) > seen.stage)
    }

    async fn load_seen(&mut self, tx: &mut Tx, findings: &[Finding], now: i64) -> Result<(), ControlError> {
        let mut known: AHashSet<Id> = findings.iter().filter_map(|f| f.replaces).collect();
        for some in findings.chunks(ROWS_PER_STATEMENT) {
            let mut insert = Sql::new("INSERT INTO seen_finding (id, seen_at, stage) ");
            insert.push_values(some, |row, finding| {
                row.push_bind(&finding.id.0[..]).push_bind(now).push_bind(stage_of(finding));
            });
            insert.push(" ON CONFLICT (id) DO NOTHING RETURNING id");
            for row in insert.fetch_all(&mut *tx).await? {
                let id = id_from(row.try_get::<&[u8]>(0)?)?;
                self.seen.insert(id, Seen { stage: 0, counted: None, fresh: true, changed: false });
            }
        }
        known.extend(findings.iter().map(|f| f.id));
        let known: Vec<Id> = known.into_iter().filter(|id| !self.seen.contains_key(id)).collect();
        let select = "SELECT s.id, s.stage, COALESCE(s.alert, CASE WHEN s.stage = 1 THEN f.alert END),
                             COALESCE(s.events, CASE WHEN s.stage = 1 THEN f.events END)
                      FROM seen_finding s LEFT JOIN finding f ON f.id = s.id WHERE s.id IN";
        for some in known.chunks(ROWS_PER_STATEMENT) {
            for row in in_list(select, some.iter().map(|id| id.0.to_vec())).fetch_all(&mut *tx).await? {
                let alert = optional_id(&row, 2)?;
                let events = row.try_get::<Option<i64>>(3)?.map(|n| n as u64);
                let seen = Seen { stage: row.try_get(1)?, counted: alert.zip(events), fresh: false, changed: false };
                self.seen.insert(id_from(row.try_get::<&[u8]>(0)?)?, seen);
            }
        }
        Ok(())
    }

    async fn load_further(&mut self, tx: &mut Tx) -> Result<(), ControlError> {
        let ids: AHashSet<Id> = self.news.iter().map(|one| one.alert).collect();
        let ids: Vec<Id> = ids.into_iter().collect();
        for some in ids.chunks(ROWS_PER_STATEMENT) {
            let select = "SELECT id, alert FROM further_entity WHERE id IN";
            for row in in_list(select, some.iter().map(|id| id.0.to_vec())).fetch_all(&mut *tx).await? {
                let (id, alert) = (id_from(row.try_get::<&[u8]>(0)?)?, id_from(row.try_get::<&[u8]>(1)?)?);
                self.further.insert(id, alert);
            }
        }
        Ok(())
    }

    async fn load_quotas(&mut self, tx: &mut Tx) -> Result<(), ControlError> {
        let wanted: AHashSet<_> = self.news.iter().map(|one| (one.finding.rule.id.clone(), hour_of(one.finding))).collect();
        let wanted: Vec<_> = wanted.into_iter().collect();
        for some in wanted.chunks(ROWS_PER_STATEMENT) {
            let mut sql = Sql::new("SELECT rule_id, hour, alerts FROM alert_quota WHERE (rule_id, hour) IN (");
            sql.push_values(some, |row, (rule, hour)| {
                row.push_bind(rule.to_string()).push_bind(*hour);
            });
            sql.push(")");
            for row in sql.fetch_all(&mut *tx).await? {
                let rule: std::sync::Arc<str> = row.try_get::<&str>(0)?.into();
                self.quotas.insert((rule, row.try_get(1)?), (row.try_get::<i64>(2)? as u32, false));
            }
        }
        Ok(())
    }

    async fn load_alerts(&mut self, tx: &mut Tx, ids: &[Id]) -> Result<(), ControlError> {
        let select = "SELECT body, stored_findings, newest, incident, risk, risk_at FROM alert WHERE id IN";
        for some in ids.chunks(ROWS_PER_STATEMENT) {
            for row in in_list(select, some.iter().map(|id| id.0.to_vec())).fetch_all(&mut *tx).await? {
                let alert = read_alert(row.try_get(0)?)?;
                let stored = Stored {
                    stored_findings: row.try_get::<i64>(1)? as u64,
                    newest: optional_id(&row, 2)?,
                    summary_of: optional_id(&row, 2)?,
                    told_events: alert.event_count,
                    group: optional_id(&row, 3)?,
                    risk: (row.try_get(4)?, Timestamp(row.try_get(5)?)),
                    rows: None,
                    is_new: false,
                    is_begun: false,
                    changed: false,
                    alert,
                };
                self.alerts.insert(stored.alert.id, stored);
            }
        }
        Ok(())
    }

    /// The stored findings of alerts of which one may be corrected.
    async fn load_rows(&mut self, tx: &mut Tx) -> Result<(), ControlError> {
        let (mut met, mut corrected) = (AHashSet::new(), AHashSet::new());
        for News { finding, .. } in &self.news {
            let fresh = self.seen.get(&finding.id).is_some_and(|seen| seen.fresh);
            if !met.insert(finding.id) || !fresh {
                corrected.insert(finding.id);
            }
            corrected.extend(finding.replaces);
        }
        if corrected.is_empty() {
            return Ok(());
        }
        let mut alerts: AHashSet<Id> = corrected.iter().filter_map(|id| Some(self.seen.get(id)?.counted?.0)).collect();
        for one in self.news.iter().filter(|one| corrected.contains(&one.finding.id)) {
            alerts.extend([one.alert, one.further]);
            alerts.extend(self.further.get(&one.alert));
        }
        let alerts: Vec<Id> = alerts.into_iter().filter(|id| self.alerts.contains_key(id)).collect();
        for id in &alerts {
            self.alerts.get_mut(id).expect("just filtered").rows = Some(BTreeMap::new());
        }
        for some in alerts.chunks(ROWS_PER_STATEMENT) {
            let select = "SELECT id, alert, time, severity FROM finding WHERE alert IN";
            for row in in_list(select, some.iter().map(|id| id.0.to_vec())).fetch_all(&mut *tx).await? {
                let (id, alert) = (id_from(row.try_get::<&[u8]>(0)?)?, id_from(row.try_get::<&[u8]>(1)?)?);
                let level = Severity::ALL.get(row.try_get::<i64>(3)? as usize).copied().unwrap_or_default();
                if let Some(rows) = self.alerts.get_mut(&alert).and_then(|stored| stored.rows.as_mut()) {
                    rows.insert(id, Slim { time: Timestamp(row.try_get(2)?), level });
                }
            }
        }
        Ok(())
    }

    /// Groups, risks and links that alerts touch that are new or no longer one.
    async fn load_surroundings(&mut self, tx: &mut Tx) -> Result<(), ControlError> {
        let mut groups: AHashSet<Id> = self.alerts.values().filter_map(|stored| stored.group).collect();
        let (mut entities, mut keys) = (AHashSet::new(), AHashSet::new());
        let (mut from, mut to) = (i64::MAX, i64::MIN);
        let mut met = AHashSet::new();
        for News { finding, alert, .. } in &self.news {
            let known = self.alerts.get(alert);
            if known.is_some_and(|stored| stored.alert.finding_count > 0 && stored.group.is_some() && stored.rows.is_none()) {
                continue;
            }
            (from, to) = (from.min(finding.time.0), to.max(finding.time.0));
            // Any of its findings may be the one that the alert is made from, and so say whom it names.
            if !met.insert((*alert, finding.user.as_deref(), finding.source_ip.as_deref())) {
                continue;
            }
            // An alert that was there before is about whom its first finding was.
            let alert = known.map_or_else(|| Alert::from_finding(finding), |stored| stored.alert.clone());
            groups.insert(Group::new(&alert).incident.id);
            let (own, named) = keys_of(&alert);
            entities.insert(key_of(&finding.entity));
            keys.extend(own.into_iter().chain(named));
        }
        entities.extend(self.alerts.values().filter(|s| s.rows.is_some()).map(|s| key_of(&s.alert.entity)));
        let keys: Vec<String> = keys.into_iter().collect();
        if !keys.is_empty() {
            self.load_keys(tx, &keys, Timestamp(from), Timestamp(to), &mut groups).await?;
            self.load_links(tx, &keys).await?;
        }
        self.load_risks(tx, &entities.into_iter().collect::<Vec<_>>()).await?;
        self.load_groups(tx, &groups.into_iter().collect::<Vec<_>>()).await
    }

    async fn load_keys(
        &mut self,
        tx: &mut Tx,
        keys: &[String],
        from: Timestamp,
        to: Timestamp,
        groups: &mut AHashSet<Id>,
    ) -> Result<(), ControlError> {
        let (from, to) = (from.plus_secs(-WINDOW_SECS - SPAN_SECS_MAX), to.plus_secs(WINDOW_SECS));
        for some in keys.chunks(ROWS_PER_STATEMENT) {
            let select = "SELECT k.key, k.incident FROM incident_key k JOIN incident i ON i.id = k.incident WHERE k.key IN";
            let mut sql = in_texts(select, some);
            sql.push(" AND i.last_seen >= ").push_bind(from.0).push(" AND i.first_seen <= ").push_bind(to.0);
            for row in sql.fetch_all(&mut *tx).await? {
                let id = id_from(row.try_get::<&[u8]>(1)?)?;
                self.by_key.entry(row.try_get::<&str>(0)?.to_owned()).or_default().push(id);
                groups.insert(id);
            }
        }
        Ok(())
    }

    async fn load_links(&mut self, tx: &mut Tx, keys: &[String]) -> Result<(), ControlError> {
        for some in keys.chunks(ROWS_PER_STATEMENT) {
            let sql = in_texts("SELECT key, body FROM entity_link WHERE key IN", some);
            for row in sql.fetch_all(&mut *tx).await? {
                let links = read(row.try_get(1)?, "link")?;
                self.links.insert(row.try_get::<&str>(0)?.to_owned(), (links, false));
            }
        }
        Ok(())
    }

    async fn load_risks(&mut self, tx: &mut Tx, keys: &[String]) -> Result<(), ControlError> {
        for some in keys.chunks(ROWS_PER_STATEMENT) {
            let sql = in_texts("SELECT key, body FROM entity WHERE key IN", some);
            for row in sql.fetch_all(&mut *tx).await? {
                let risk = read(row.try_get(1)?, "risk score")?;
                self.risks.insert(row.try_get::<&str>(0)?.to_owned(), (risk, false));
            }
        }
        Ok(())
    }

    async fn load_groups(&mut self, tx: &mut Tx, ids: &[Id]) -> Result<(), ControlError> {
        for some in ids.chunks(ROWS_PER_STATEMENT) {
            let select = "SELECT body, work, opened, id FROM incident WHERE id IN";
            for row in in_list(select, some.iter().map(|id| id.0.to_vec())).fetch_all(&mut *tx).await? {
                let group = Group::read(row.try_get(0)?, row.try_get(1)?, row.try_get::<i64>(2)? != 0, Vec::new());
                let group = group.map_err(|e| failed(format!("a stored incident cannot be read: {e}")))?;
                self.groups.insert(id_from(row.try_get::<&[u8]>(3)?)?, group);
            }
            let select = "SELECT incident, key, direct FROM incident_key WHERE incident IN";
            for row in in_list(select, some.iter().map(|id| id.0.to_vec())).fetch_all(&mut *tx).await? {
                if let Some(group) = self.groups.get_mut(&id_from(row.try_get::<&[u8]>(0)?)?) {
                    group.keys.push(Key { text: row.try_get(1)?, direct: row.try_get::<i64>(2)? != 0 });
                }
            }
        }
        Ok(())
    }
}

pub fn read_alert(body: &str) -> Result<Alert, ControlError> {
    read(body, "alert")
}

pub fn read<T: serde::de::DeserializeOwned>(body: &str, what: &str) -> Result<T, ControlError> {
    serde_json::from_str(body).map_err(|e| failed(format!("a stored {what} cannot be read: {e}")))
}
