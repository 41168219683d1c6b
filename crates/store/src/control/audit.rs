//! Who did what: a chain in which every entry holds the hash of the one before.
//!
//! Changing, removing or inserting an entry breaks the chain from there on, and the head kept beside it
//! shows when entries are missing at the end. It proves tampering by someone who edits the file; someone
//! who can run this code on it can build a new chain, so ship entries elsewhere where that matters.

use super::sql::{Row, Tx, query, storable};
use super::{Control, ControlError, Listed, cursor, page_items};
use event::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// The oldest entries beyond this number are removed; where the chain now begins is remembered.
pub(super) const AUDIT_ENTRIES_MAX: i64 = 1_000_000;
/// Entries checked at a time.
const VERIFY_ENTRIES: i64 = 1_000;

type Hash = [u8; 32];

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditEntry {
    pub seq: u64,
    pub time: Timestamp,
    pub actor: String,
    pub action: String,
    pub target: String,
    pub detail: String,
    /// In hex: over this entry and the hash of the one before.
    pub hash: String,
}

/// The first entry that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("audit entry {seq}: {reason}")]
pub struct BrokenAt {
    pub seq: u64,
    pub reason: &'static str,
}

/// Where the chain stands: after entry `seq`, whose hash this is.
#[derive(Clone, Copy)]
struct Mark {
    seq: i64,
    hash: Hash,
}

const BEGINNING: Mark = Mark { seq: 0, hash: [0; 32] };

impl Control {
    /// Appends to the hash-chained audit log.
    pub async fn audit(
        &self,
        actor: &str,
        action: &str,
        target: &str,
        detail: &str,
        now: Timestamp,
    ) -> Result<(), ControlError> {
        let mut tx = self.begin().await?;
        append(&mut tx, [actor, action, target, detail], now).await?;
        Ok(tx.commit().await?)
    }

    /// Newest first.
    pub async fn audit_entries(&self, limit: usize, cursor: Option<&str>) -> Result<Listed<AuditEntry>, ControlError> {
        let before = cursor.map_or(Ok(i64::MAX), cursor::decode_seq)?;
        let items = page_items(limit);
        let select = "SELECT seq, time, hash, actor, action, target, detail FROM audit
                      WHERE seq < $1 ORDER BY seq DESC LIMIT $2";
        let rows = query(select).bind(before).bind(items as i64 + 1).fetch_all(&self.read).await?;
        let entries = rows.iter().take(items).map(read_entry).collect::<Result<Vec<_>, _>>()?;
        let more = rows.len() > items;
        let next_cursor = entries.last().filter(|_| more).map(|e| cursor::encode_seq(e.seq as i64));
        let total = query("SELECT COUNT(*) FROM audit").fetch_count(&self.read).await?;
        Ok(Listed { items: entries, next_cursor, total: total as u64 })
    }

    /// Follows the whole chain: how many entries are intact, or the first that is not.
    pub async fn audit_verify(&self) -> Result<Result<u64, BrokenAt>, ControlError> {
        let mut tx = self.begin().await?;
        let anchor = read_mark(&mut tx, "anchor").await?;
        let head = read_mark(&mut tx, "head").await?;
        let mut at = anchor;
        loop {
            let select = "SELECT seq, time, hash, actor, action, target, detail FROM audit
                          WHERE seq > $1 ORDER BY seq LIMIT $2";
            let rows = query(select).bind(at.seq).bind(VERIFY_ENTRIES).fetch_all(&mut tx).await?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                match follow(at, row)? {
                    Ok(next) => at = next,
                    Err(broken) => return Ok(Err(broken)),
                }
            }
        }
        if at.seq != head.seq {
            return Ok(Err(BrokenAt { seq: at.seq as u64 + 1, reason: "missing at the end" }));
        }
        if at.hash != head.hash {
            return Ok(Err(BrokenAt { seq: at.seq as u64, reason: "not the newest that was written" }));
        }
        Ok(Ok((at.seq - anchor.seq) as u64))
    }

    /// Removes the oldest entries beyond `entries_max`.
    pub(super) async fn prune_audit(&self, entries_max: i64) -> Result<u64, ControlError> {
        let mut tx = self.begin().await?;
        let head = read_mark(&mut tx, "head").await?;
        let last = head.seq - entries_max;
        let select = query("SELECT hash FROM audit WHERE seq = $1").bind(last);
        let Some(row) = select.fetch_optional(&mut tx).await? else { return Ok(0) };
        let Ok(hash) = row.try_get::<&[u8]>(0)?.try_into() else { return Ok(0) };
        let delete = query("DELETE FROM audit WHERE seq <= $1").bind(last);
        let deleted = delete.execute(&mut tx).await?;
        put_mark(&mut tx, "anchor", Mark { seq: last, hash }).await?;
        tx.commit().await?;
        Ok(deleted)
    }
}

/// Appends an entry of actor, action, target and detail, in the same transaction as what it is about.
pub(super) async fn append(tx: &mut Tx, fields: [&str; 4], now: Timestamp) -> Result<(), ControlError> {
    let fields = fields.map(|field| storable(field.to_owned()));
    let head = read_mark(tx, "head").await?;
    let seq = head.seq + 1;
    let hash = chain(&head.hash, seq, now, &fields.each_ref().map(String::as_str));
    let insert = "INSERT INTO audit (seq, time, hash, actor, action, target, detail)
                  VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let insert = query(insert).bind(seq).bind(now.0).bind(hash.to_vec());
    let insert = fields.into_iter().fold(insert, |query, field| query.bind(field));
    insert.execute(&mut *tx).await?;
    put_mark(tx, "head", Mark { seq, hash }).await
}

fn chain(previous: &Hash, seq: i64, time: Timestamp, fields: &[&str; 4]) -> Hash {
    let mut hash = Sha256::new();
    hash.update(previous);
    hash.update(seq.to_le_bytes());
    hash.update(time.0.to_le_bytes());
    for field in fields {
        // Lengths, so that text cannot move from one field to the next.
        hash.update((field.len() as u64).to_le_bytes());
        hash.update(field);
    }
    hash.finalize().into()
}

fn follow(at: Mark, row: &Row) -> Result<Result<Mark, BrokenAt>, ControlError> {
    let seq: i64 = row.try_get(0)?;
    if seq != at.seq + 1 {
        return Ok(Err(BrokenAt { seq: at.seq as u64 + 1, reason: "missing" }));
    }
    // A row whose columns no longer hold what they should is broken, not a failure of the database.
    let field = |i| row.try_get::<&str>(i).ok();
    let hash = (|| {
        let fields = [field(3)?, field(4)?, field(5)?, field(6)?];
        let hash = chain(&at.hash, seq, Timestamp(row.try_get(1).ok()?), &fields);
        (row.try_get::<&[u8]>(2).ok()? == hash).then_some(hash)
    })();
    let broken = BrokenAt { seq: seq as u64, reason: "changed since it was written" };
    Ok(hash.map(|hash| Mark { seq, hash }).ok_or(broken))
}

fn read_entry(row: &Row) -> Result<AuditEntry, ControlError> {
    let hash: &[u8] = row.try_get(2)?;
    Ok(AuditEntry {
        seq: row.try_get::<i64>(0)? as u64,
        time: Timestamp(row.try_get(1)?),
        actor: row.try_get(3)?,
        action: row.try_get(4)?,
        target: row.try_get(5)?,
        detail: row.try_get(6)?,
        hash: hash.iter().map(|b| format!("{b:02x}")).collect(),
    })
}

async fn read_mark(tx: &mut Tx, name: &'static str) -> Result<Mark, ControlError> {
    let select = query("SELECT seq, hash FROM audit_mark WHERE name = $1").bind(name);
    let Some(row) = select.fetch_optional(&mut *tx).await? else { return Ok(BEGINNING) };
    let hash: &[u8] = row.try_get(1)?;
    // A mark that is not a hash matches no entry, which verifying then says.
    Ok(Mark { seq: row.try_get(0)?, hash: hash.try_into().unwrap_or([0xFF; 32]) })
}

async fn put_mark(tx: &mut Tx, name: &'static str, mark: Mark) -> Result<(), ControlError> {
    let put = "INSERT INTO audit_mark (name, seq, hash) VALUES ($1, $2, $3)
               ON CONFLICT (name) DO UPDATE SET seq = excluded.seq, hash = excluded.hash";
    query(put).bind(name).bind(mark.seq).bind(mark.hash.to_vec()).execute(&mut *tx).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_entries_leave_and_the_chain_still_holds() {
        let dir = tempfile::tempdir().unwrap();
        let control = Control::open(&dir.path().join("control.db")).await.unwrap();
        for n in 0..10 {
            control.audit("a", "b", &n.to_string(), "", Timestamp(n)).await.unwrap();
        }
        assert_eq!(control.prune_audit(4).await.unwrap(), 6);
        assert_eq!(control.prune_audit(4).await.unwrap(), 0);
        assert_eq!(control.audit_verify().await.unwrap(), Ok(4));
        control.audit("a", "b", "c", "", Timestamp(11)).await.unwrap();
        assert_eq!(control.audit_verify().await.unwrap(), Ok(5));
    }
}
