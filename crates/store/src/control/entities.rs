//! Who deserves attention: entities by their risk score, and what is known of one.

use super::desk::read;
use super::group::{key_of, name_of};
use super::risk::Risk;
use super::sql::{Sql, query};
use super::{Control, ControlError, page_items};
use event::{Alert, Entity, EntityKind, Incident, Timestamp};
use serde::Serialize;

/// Alerts and incidents of an entity that are shown, the newest ones.
const ALERTS_SHOWN_MAX: usize = 200;
const INCIDENTS_SHOWN_MAX: usize = 50;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EntityRisk {
    pub entity: Entity,
    /// As of now, never below 1.
    pub risk: u32,
    /// Alerts and signals that added to it.
    pub alerts: u64,
    pub last_seen: Timestamp,
    /// In the order in which they were first seen.
    pub tactics: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RiskPoint {
    pub time: Timestamp,
    pub risk: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EntityDetail {
    pub entity: Entity,
    pub risk: u32,
    /// By the hour, at most seven days, oldest first.
    pub history: Vec<RiskPoint>,
    /// About it or naming it, signals among them; newest first.
    pub alerts: Vec<Alert>,
    pub incidents: Vec<Incident>,
    pub tactics: Vec<String>,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
}

impl Control {
    /// Highest risk first.
    pub async fn entities(&self, limit: usize, now: Timestamp) -> Result<Vec<EntityRisk>, ControlError> {
        let select = "SELECT body FROM entity WHERE rank >= $1 ORDER BY rank DESC, key LIMIT $2";
        let select = query(select).bind(Risk::rank_forgotten(now)).bind(page_items(limit) as i64);
        let mut entities = Vec::new();
        for row in select.fetch_all(&self.read).await? {
            let risk: Risk = read(row.try_get(0)?, "risk score")?;
            entities.push(EntityRisk {
                risk: risk.at(now).max(1),
                alerts: risk.alerts,
                last_seen: risk.last_seen,
                entity: risk.entity,
                tactics: risk.tactics,
            });
        }
        Ok(entities)
    }

    /// What is known of an entity: its score and the alerts and incidents about it or naming it.
    pub async fn entity(&self, entity: &Entity, now: Timestamp) -> Result<EntityDetail, ControlError> {
        let key = key_of(entity);
        let row = query("SELECT body FROM entity WHERE key = $1").bind(key.clone()).fetch_optional(&self.read).await?;
        let risk: Option<Risk> = row.map(|row| read(row.try_get(0)?, "risk score")).transpose()?;
        let alerts = self.alerts_where(|sql| naming(sql, entity, &key), "last_seen DESC, id", ALERTS_SHOWN_MAX).await?;
        let incidents = self.incidents_of(&key).await?;
        let times = || alerts.iter().flat_map(|a| [a.first_seen, a.last_seen]).chain(incidents.iter().map(|i| i.last_seen));
        let first_seen = times().chain(risk.as_ref().map(|r| r.first_seen)).min();
        let last_seen = times().chain(risk.as_ref().map(|r| r.last_seen)).max();
        let (first_seen, last_seen) = first_seen.zip(last_seen).ok_or(ControlError::NotFound("entity"))?;
        let history = risk.as_ref().map_or_else(Vec::new, |risk| risk.history(now));
        Ok(EntityDetail {
            entity: entity.clone(),
            risk: risk.as_ref().map_or(0, |risk| risk.at(now)),
            history: history.into_iter().map(|(time, risk)| RiskPoint { time, risk }).collect(),
            tactics: risk.map_or_else(Vec::new, |risk| risk.tactics),
            alerts,
            incidents,
            first_seen,
            last_seen,
        })
    }

    async fn incidents_of(&self, key: &str) -> Result<Vec<Incident>, ControlError> {
        let select = "SELECT i.body FROM incident_key k JOIN incident i ON i.id = k.incident
                      WHERE k.key = $1 AND i.opened = 1 ORDER BY i.last_seen DESC LIMIT $2";
        let rows = query(select).bind(key.to_owned()).bind(INCIDENTS_SHOWN_MAX as i64).fetch_all(&self.read).await?;
        rows.iter().map(|row| read(row.try_get(0)?, "incident")).collect()
    }
}

fn naming(sql: &mut Sql, entity: &Entity, key: &str) {
    sql.push("(entity = ").push_bind(key.to_owned());
    match entity.kind {
        EntityKind::User => {
            sql.push(" OR user_name = ").push_bind(name_of(&entity.value));
        }
        EntityKind::Ip => {
            sql.push(" OR source_ip = ").push_bind(name_of(&entity.value));
        }
        _ => {}
    }
    sql.push(")");
}
