//! Listing and triaging incidents.

use super::alerts::{List, narrow_inbox};
use super::desk::read;
use super::group::{ACTOR, change_state};
use super::sql::{Row, Sql, query};
use super::write::put_incident;
use super::{Control, ControlError, IncidentFilter, Listed};
use event::{Alert, AlertState, Id, Incident, Timestamp};

/// Alerts of an incident that are shown, the first ones.
const ALERTS_SHOWN_MAX: usize = 1_000;

impl Control {
    /// Newest `last_seen` first.
    pub async fn incidents(&self, filter: &IncidentFilter) -> Result<Listed<Incident>, ControlError> {
        let narrow = |sql: &mut Sql| narrow_incidents(sql, filter);
        let read = |row: &Row| {
            let incident: Incident = read(row.try_get(0)?, "incident")?;
            Ok(((incident.last_seen, incident.id), incident))
        };
        let list = List { table: "incident", columns: "body", time: "last_seen", limit: filter.limit, cursor: filter.cursor.as_deref() };
        self.list(list, narrow, read).await
    }

    /// An incident with its alerts and signals, oldest first, at most a thousand.
    pub async fn incident(&self, id: Id) -> Result<(Incident, Vec<Alert>), ControlError> {
        let select = query("SELECT body FROM incident WHERE id = $1 AND opened = 1").bind(id.0.to_vec());
        let row = select.fetch_optional(&self.read).await?.ok_or(ControlError::NotFound("incident"))?;
        let incident = read(row.try_get(0)?, "incident")?;
        let narrow = |sql: &mut Sql| {
            sql.push("incident = ").push_bind(id.0.to_vec());
        };
        Ok((incident, self.alerts_where(narrow, "first_seen, id", ALERTS_SHOWN_MAX).await?))
    }

    pub async fn count_open_incidents(&self) -> Result<u64, ControlError> {
        query("SELECT COUNT(*) FROM incident WHERE opened = 1 AND state = 'open'").fetch_count(&self.read).await
    }

    /// Moves incidents to `state` and answers them in the order asked for, as `set_alert_state` does.
    pub async fn set_incident_state(
        &self,
        ids: &[Id],
        state: AlertState,
        actor: &str,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<Incident>, ControlError> {
        let change = |incident: &mut Incident| {
            if incident.state != state {
                change_state(incident, state, actor, reason.map(str::to_owned), now);
            }
        };
        let changed = self.change_incidents(ids, change).await?;
        if changed.is_empty() && !ids.is_empty() { Err(ControlError::NotFound("incident")) } else { Ok(changed) }
    }

    /// Gives an incident to somebody, or to nobody; the history says so.
    pub async fn assign_incident(
        &self,
        id: Id,
        assignee: Option<&str>,
        actor: &str,
        now: Timestamp,
    ) -> Result<Incident, ControlError> {
        let change = |incident: &mut Incident| {
            if incident.assignee.as_deref() == assignee {
                return;
            }
            incident.assignee = assignee.map(str::to_owned);
            let reason = assignee.map_or_else(|| "assigned to nobody".to_owned(), |name| format!("assigned to {name}"));
            change_state(incident, incident.state, actor, Some(reason), now);
        };
        let mut changed = self.change_incidents(&[id], change).await?;
        changed.pop().ok_or(ControlError::NotFound("incident"))
    }

    async fn change_incidents(&self, ids: &[Id], change: impl Fn(&mut Incident)) -> Result<Vec<Incident>, ControlError> {
        let mut tx = self.begin().await?;
        let mut changed: Vec<Incident> = Vec::with_capacity(ids.len());
        for id in ids {
            if changed.iter().any(|known| known.id == *id) {
                continue;
            }
            let select = query("SELECT body FROM incident WHERE id = $1 AND opened = 1").bind(id.0.to_vec());
            let Some(row) = select.fetch_optional(&mut tx).await? else { continue };
            let before: Incident = read(row.try_get(0)?, "incident")?;
            let mut incident = before.clone();
            change(&mut incident);
            if incident != before {
                put_incident(&mut tx, &incident).await?;
            }
            changed.push(incident);
        }
        tx.commit().await?;
        Ok(changed)
    }

    /// Who is named when something happens by itself.
    pub const ACTOR: &'static str = ACTOR;
}

fn narrow_incidents(sql: &mut Sql, filter: &IncidentFilter) {
    sql.push(" AND opened = 1");
    let IncidentFilter { states, severity_min, text, from, to, .. } = filter;
    narrow_inbox(sql, states, *severity_min, text.as_deref(), *from, *to);
}
