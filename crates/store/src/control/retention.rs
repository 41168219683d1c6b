//! What leaves the control plane, and when.

use super::audit::AUDIT_ENTRIES_MAX;
use super::{Control, ControlError};
use event::Timestamp;

/// Alerts and finding rows that are kept at most, whatever their age and state, the newest ones.
const ALERTS_MAX: i64 = 500_000;
const FINDINGS_MAX: i64 = 2_000_000;
/// Rows per transaction, so that nobody waits long for the writer.
const DELETE_ROWS: i64 = 5_000;

/// How many of each were deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    pub alerts: u64,
    pub findings: u64,
    pub audit_entries: u64,
}

impl Control {
    /// Deletes findings of before `before` that were also taken over before `seen_before` (old logs that were
    /// imported today are new to people), the memory of finding ids taken over before it, and closed alerts
    /// of before `before` that have no finding left. Open alerts stay, without their old findings. Beyond half
    /// a million alerts or two million findings the oldest go in any case.
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
        let audit_entries = self.prune_audit(AUDIT_ENTRIES_MAX).await?;
        Ok(Pruned { alerts, findings, audit_entries })
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
    async fn delete_all(&self, statement: &'static str, first: i64, third: Option<Timestamp>) -> Result<u64, ControlError> {
        let mut deleted = 0;
        loop {
            let query = sqlx::query(statement).bind(first).bind(DELETE_ROWS);
            let query = if let Some(third) = third { query.bind(third.0) } else { query };
            let some = query.execute(&self.write).await?;
            deleted += some.rows_affected();
            if some.rows_affected() < DELETE_ROWS as u64 {
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
            sqlx::query(put).bind(vec![n as u8; 16]).bind(n).execute(&control.write).await.unwrap();
        }
        assert_eq!(control.trim_alerts(3).await.unwrap(), 7);
        let oldest: i64 =
            sqlx::query_scalar("SELECT MIN(last_seen) FROM alert").fetch_one(&control.read).await.unwrap();
        assert_eq!(oldest, 7);
        assert_eq!(control.trim_findings(3).await.unwrap(), 0);
    }
}
