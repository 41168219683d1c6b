//! What is known to be harmless: events that rules pass over. Here they are kept; `detect` applies them.
//!
//! Each creation, deletion and expiry stands in the audit log, written in the same transaction: an exception
//! makes the platform blind, and somebody will ask who wanted it.

use super::audit::append;
use super::desk::read;
use super::group::ACTOR;
use super::sql::{Row, query};
use super::{Control, ControlError, failed};
use event::{Id, Timestamp};
use serde::{Deserialize, Serialize};

/// Exceptions at a time: each is looked at for every event that its rule matches.
pub const EXCEPTIONS_MAX: usize = 1_000;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exception {
    pub id: Id,
    /// The rule that it is an exception from; every rule, if absent.
    pub rule_id: Option<String>,
    pub rule_name: Option<String>,
    /// Field with modifiers, as in a rule's detection section, and the value or values. All must hold; none at
    /// all stands for every event of the rule.
    pub r#where: serde_json::Map<String, serde_json::Value>,
    pub reason: String,
    pub author: String,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    /// How often it applied, and when last. Not stored in the body.
    #[serde(default)]
    pub hits: u64,
    #[serde(default)]
    pub last_hit: Option<Timestamp>,
}

impl Control {
    /// Newest first; those whose time is over are not among them.
    pub async fn exceptions(&self, now: Timestamp) -> Result<Vec<Exception>, ControlError> {
        let select = "SELECT body, hits, last_hit FROM exception
                      WHERE expires_at IS NULL OR expires_at > $1 ORDER BY created_at DESC, id";
        let rows = query(select).bind(now.0).fetch_all(&self.read).await?;
        rows.iter().map(read_exception).collect()
    }

    pub async fn put_exception(&self, exception: &Exception, now: Timestamp) -> Result<(), ControlError> {
        let mut tx = self.begin().await?;
        let count = query("SELECT COUNT(*) FROM exception").fetch_count(&mut tx).await?;
        if count as usize >= EXCEPTIONS_MAX {
            return Err(ControlError::TooMany(EXCEPTIONS_MAX));
        }
        let body = serde_json::to_string(exception).map_err(failed)?;
        let put = "INSERT INTO exception (id, created_at, expires_at, hits, last_hit, body) VALUES ($1, $2, $3, 0, NULL, $4)";
        query(put)
            .bind(exception.id.0.to_vec())
            .bind(exception.created_at.0)
            .bind(exception.expires_at.map(|t| t.0))
            .bind(body.clone())
            .execute(&mut tx)
            .await?;
        append(&mut tx, [&exception.author, "exception.create", &exception.id.to_string(), &body], now).await?;
        Ok(tx.commit().await?)
    }

    pub async fn delete_exception(&self, id: Id, actor: &str, now: Timestamp) -> Result<(), ControlError> {
        let mut tx = self.begin().await?;
        let delete = query("DELETE FROM exception WHERE id = $1 RETURNING body").bind(id.0.to_vec());
        let row = delete.fetch_optional(&mut tx).await?.ok_or(ControlError::NotFound("exception"))?;
        append(&mut tx, [actor, "exception.delete", &id.to_string(), row.try_get(0)?], now).await?;
        Ok(tx.commit().await?)
    }

    /// Removes those whose time is over and answers how many there were.
    pub async fn expire_exceptions(&self, now: Timestamp) -> Result<u64, ControlError> {
        let over = query("SELECT 1 FROM exception WHERE expires_at <= $1 LIMIT 1").bind(now.0);
        if over.fetch_optional(&self.read).await?.is_none() {
            return Ok(0);
        }
        let mut tx = self.begin().await?;
        let delete = query("DELETE FROM exception WHERE expires_at <= $1 RETURNING body").bind(now.0);
        let rows = delete.fetch_all(&mut tx).await?;
        for row in &rows {
            let body: &str = row.try_get(0)?;
            let exception: Exception = read(body, "exception")?;
            append(&mut tx, [ACTOR, "exception.expire", &exception.id.to_string(), body], now).await?;
        }
        tx.commit().await?;
        Ok(rows.len() as u64)
    }

    /// Adds to how often exceptions applied. Ids that are no longer there are passed over.
    pub async fn add_exception_hits(&self, hits: &[(Id, u64, Timestamp)]) -> Result<(), ControlError> {
        if hits.is_empty() {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        for (id, count, last) in hits {
            let put = "UPDATE exception SET hits = hits + $1, last_hit = CASE WHEN last_hit > $2 THEN last_hit ELSE $2 END WHERE id = $3";
            query(put).bind(*count as i64).bind(last.0).bind(id.0.to_vec()).execute(&mut tx).await?;
        }
        Ok(tx.commit().await?)
    }
}

fn read_exception(row: &Row) -> Result<Exception, ControlError> {
    let mut exception: Exception = read(row.try_get(0)?, "exception")?;
    exception.hits = row.try_get::<i64>(1)? as u64;
    exception.last_hit = row.try_get::<Option<i64>>(2)?.map(Timestamp);
    Ok(exception)
}
