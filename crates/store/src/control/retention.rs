//! What leaves the control plane, and when.

use super::audit::AUDIT_ENTRIES_MAX;
use super::risk::{HALF_LIFE_SECS, HISTORY_HOURS, Risk};
use super::sql::query;
use super::{Control, ControlError};
use event::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// Alerts and finding rows that are kept at most, whatever their age and state, the newest ones.
const ALERTS_MAX: i64 = 500_000;
const FINDINGS_MAX: i64 = 2_000_000;
/// Incidents, and groups of alerts that are none yet, the newest ones.
const INCIDENTS_MAX: i64 = 100_000;
const GROUPS_MAX: i64 = 500_000;
/// Entities with a risk score, the highest ones.
const ENTITIES_MAX: i64 = 200_000;
/// Links between users and addresses, entities beyond rules' limits, and hours of rules: what was touched last.
const LINKS_MAX: i64 = 200_000;
const FURTHER_MAX: i64 = 2_000_000;
const QUOTAS_MAX: i64 = 200_000;
/// Rows per transaction, so that nobody waits long for the writer.
const DELETE_ROWS: i64 = 5_000;

/// How many of each were deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    pub alerts: u64,
    pub findings: u64,
    /// Groups of alerts that never were one are among them.
    pub incidents: u64,
    pub entities: u64,
    pub audit_entries: u64,
}

impl Control {
    /// Deletes findings of before `before` that were also taken over before `seen_before` (old logs that were
    /// imported today are new to people), the memory of finding ids taken over before it, and closed alerts
    /// of before `before` that have no finding left. Closed incidents go when their alerts have gone, groups
    /// that never became one after the same time, risk scores a week after they have come to nothing. Open
    /// alerts and incidents stay, without their old findings. Beyond half a million alerts, a hundred thousand
    /// incidents or two million findings the oldest go in any case.
    pub async fn prune(&self, before: Timestamp, seen_before: Timestamp) -> Result<Pruned, ControlError> {
        let old = "DELETE FROM finding WHERE id IN (
                       SELECT f.id FROM finding f WHERE f.time < $1 AND NOT EXISTS (
                           SELECT 1 FROM seen_finding s WHERE s.id = f.id AND s.seen_at >= $3) LIMIT $2)";
        let closed = "DELETE FROM alert WHERE id IN (
                          SELECT a.id FROM alert a WHERE a.state = 'closed' AND a.last_seen < $1 AND NOT EXISTS (
                              SELECT 1 FROM finding f WHERE f.alert = a.id) LIMIT $2)";
        let seen = "DELETE FROM seen_finding WHERE id IN (
                        SELECT id FROM seen_finding WHERE seen_at < $1 LIMIT $2)";
        let findings = self.delete_all(old, before.0, Some(seen_before)).await? + self.trim_findings(FINDINGS_MAX).await?;
        let alerts = self.delete_all(closed, before.0, None).await? + self.trim_alerts(ALERTS_MAX).await?;
        self.delete_all(seen, seen_before.0, None).await?;
        let incidents = self.prune_incidents(before, seen_before).await?;
        let entities = self.prune_entities(seen_before).await?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as i64);
        self.prune_bans(before, Timestamp(now)).await?;
        let audit_entries = self.prune_audit(AUDIT_ENTRIES_MAX).await?;
        Ok(Pruned { alerts, findings, incidents, entities, audit_entries })
    }

    async fn prune_incidents(&self, before: Timestamp, touched_before: Timestamp) -> Result<u64, ControlError> {
        let closed = "DELETE FROM incident WHERE id IN (
                          SELECT i.id FROM incident i WHERE i.opened = 1 AND i.state = 'closed' AND i.last_seen < $1
                              AND i.touched < $3 AND NOT EXISTS (SELECT 1 FROM alert a WHERE a.incident = i.id) LIMIT $2)";
        let groups = "DELETE FROM incident WHERE id IN (
                          SELECT id FROM incident WHERE opened = 0 AND last_seen < $1 AND touched < $3 LIMIT $2)";
        let mut deleted = self.delete_all(closed, before.0, Some(touched_before)).await?;
        deleted += self.delete_all(groups, before.0, Some(touched_before)).await?;
        let beyond = "DELETE FROM incident WHERE id IN (
                          SELECT id FROM incident WHERE opened = 1 ORDER BY last_seen DESC, id DESC LIMIT $2 OFFSET $1)";
        deleted += self.delete_all(beyond, INCIDENTS_MAX, None).await?;
        let beyond = "DELETE FROM incident WHERE id IN (
                          SELECT id FROM incident WHERE opened = 0 ORDER BY last_seen DESC, id DESC LIMIT $2 OFFSET $1)";
        deleted += self.delete_all(beyond, GROUPS_MAX, None).await?;
        if deleted > 0 {
            let keys = "DELETE FROM incident_key WHERE (key, incident) IN (
                            SELECT key, incident FROM incident_key
                            WHERE NOT EXISTS (SELECT 1 FROM incident i WHERE i.id = incident_key.incident) AND $1 = 0 LIMIT $2)";
            self.delete_all(keys, 0, None).await?;
        }
        Ok(deleted)
    }

    async fn prune_entities(&self, touched_before: Timestamp) -> Result<u64, ControlError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as i64);
        // A score that came to nothing a week ago has no history left to show. In whole days, as ranks are.
        let forgotten = Risk::rank_forgotten(Timestamp(now).plus_secs(-HISTORY_HOURS * 3_600)).floor() as i64;
        debug_assert_eq!(HALF_LIFE_SECS, 86_400, "ranks are days");
        let over = "DELETE FROM entity WHERE key IN (SELECT key FROM entity WHERE rank < $1 LIMIT $2)";
        let beyond = "DELETE FROM entity WHERE key IN (SELECT key FROM entity ORDER BY rank DESC, key LIMIT $2 OFFSET $1)";
        let deleted = self.delete_all(over, forgotten, None).await? + self.delete_all(beyond, ENTITIES_MAX, None).await?;
        let old = [
            "DELETE FROM entity_link WHERE key IN (SELECT key FROM entity_link WHERE touched < $1 LIMIT $2)",
            "DELETE FROM further_entity WHERE id IN (SELECT id FROM further_entity WHERE touched < $1 LIMIT $2)",
            "DELETE FROM alert_quota WHERE (rule_id, hour) IN (
                 SELECT rule_id, hour FROM alert_quota WHERE touched < $1 LIMIT $2)",
        ];
        for statement in old {
            self.delete_all(statement, touched_before.0, None).await?;
        }
        let beyond = [
            ("DELETE FROM entity_link WHERE key IN (
                  SELECT key FROM entity_link ORDER BY touched DESC, key LIMIT $2 OFFSET $1)", LINKS_MAX),
            ("DELETE FROM further_entity WHERE id IN (
                  SELECT id FROM further_entity ORDER BY touched DESC, id LIMIT $2 OFFSET $1)", FURTHER_MAX),
            ("DELETE FROM alert_quota WHERE (rule_id, hour) IN (
                  SELECT rule_id, hour FROM alert_quota ORDER BY touched DESC, rule_id, hour LIMIT $2 OFFSET $1)", QUOTAS_MAX),
        ];
        for (statement, rows_max) in beyond {
            self.delete_all(statement, rows_max, None).await?;
        }
        Ok(deleted)
    }

    async fn trim_alerts(&self, rows_max: i64) -> Result<u64, ControlError> {
        let beyond = "DELETE FROM alert WHERE id IN (
                          SELECT id FROM alert ORDER BY last_seen DESC, id DESC LIMIT $2 OFFSET $1)";
        self.delete_all(beyond, rows_max, None).await
    }

    async fn trim_findings(&self, rows_max: i64) -> Result<u64, ControlError> {
        let beyond = "DELETE FROM finding WHERE id IN (
                          SELECT id FROM finding ORDER BY time DESC, id DESC LIMIT $2 OFFSET $1)";
        self.delete_all(beyond, rows_max, None).await
    }

    /// Repeats a statement whose `$2` is a number of rows until it finds no more.
    pub(super) async fn delete_all(&self, statement: &'static str, first: i64, third: Option<Timestamp>) -> Result<u64, ControlError> {
        let mut deleted = 0;
        loop {
            let sql = query(statement).bind(first).bind(DELETE_ROWS);
            let sql = if let Some(third) = third { sql.bind(third.0) } else { sql };
            // In a transaction, so that no other node's writer takes the same rows in another order.
            let mut tx = self.begin().await?;
            let some = sql.execute(&mut tx).await?;
            tx.commit().await?;
            deleted += some;
            if some < DELETE_ROWS as u64 {
                return Ok(deleted);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn beyond_the_bounds_the_oldest_go() {
        let dir = tempfile::tempdir().unwrap();
        let control = Control::open(&dir.path().join("control.db")).await.unwrap();
        for n in 0..10i64 {
            let put = "INSERT INTO alert (id, state, severity, first_seen, last_seen, search, stored_findings, body)
                       VALUES ($1, 'open', 1, $2, $2, '', 1, '')";
            query(put).bind(vec![n as u8; 16]).bind(n).execute(&control.write).await.unwrap();
        }
        assert_eq!(control.trim_alerts(3).await.unwrap(), 7);
        let oldest = query("SELECT MIN(last_seen) FROM alert").fetch_count(&control.read).await.unwrap();
        assert_eq!(oldest, 7);
        assert_eq!(control.trim_findings(3).await.unwrap(), 0);
    }
}
