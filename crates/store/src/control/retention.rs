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
    /// Deletes closed alerts whose last finding is older than `before`, findings older than it, and the
    /// memory of finding ids taken over before it. Open alerts stay, without their old findings. Beyond
    /// half a million alerts or two million findings the oldest go in any case.
    pub async fn prune(&self, before: Timestamp) -> Result<Pruned, ControlError> {
        let closed = "DELETE FROM alert WHERE id IN (
                          SELECT id FROM alert WHERE state = 'closed' AND last_seen < $1 LIMIT $2)";
        let old = "DELETE FROM finding WHERE id IN (SELECT id FROM finding WHERE time < $1 LIMIT $2)";
        let seen = "DELETE FROM seen_finding WHERE id IN (
                        SELECT id FROM seen_finding WHERE seen_at < $1 LIMIT $2)";
        let alerts = self.delete_all(closed, before.0).await? + self.trim_alerts(ALERTS_MAX).await?;
        let findings = self.delete_all(old, before.0).await? + self.trim_findings(FINDINGS_MAX).await?;
        self.delete_all(seen, before.0).await?;
        let audit_entries = self.prune_audit(AUDIT_ENTRIES_MAX).await?;
        Ok(Pruned { alerts, findings, audit_entries })
    }

    async fn trim_alerts(&self, rows_max: i64) -> Result<u64, ControlError> {
        let beyond = "DELETE FROM alert WHERE id IN (
                          SELECT id FROM alert ORDER BY last_seen DESC, id DESC LIMIT $2 OFFSET $1)";
        self.delete_all(beyond, rows_max).await
    }

    async fn trim_findings(&self, rows_max: i64) -> Result<u64, ControlError> {
        let beyond = "DELETE FROM finding WHERE id IN (
                          SELECT id FROM finding ORDER BY time DESC, id DESC LIMIT $2 OFFSET $1)";
        self.delete_all(beyond, rows_max).await
    }

    /// Repeats a statement whose `$2` is a number of rows until it finds no more.
    async fn delete_all(&self, statement: &'static str, first: i64) -> Result<u64, ControlError> {
        let mut deleted = 0;
        loop {
            let some = sqlx::query(statement).bind(first).bind(DELETE_ROWS).execute(&self.write).await?;
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
