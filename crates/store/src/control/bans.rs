//! Who is kept out and who never is: bans, trusts, and the addresses that admins came from. What follows from them is
//! decided above (`detect::bans`); here they are kept.
//!
//! A ban ends by its time, without a write, or is taken back; it stays in the list as what happened. Each change
//! stands in the audit log, written in the same transaction, and moves [`Control::bans_generation`].

use super::alerts::{List, like};
use super::audit::append;
use super::desk::{ROWS_PER_STATEMENT, read};
use super::sql::{Row, Sql, Tx, query};
use super::{Control, ControlError, Listed, failed};
use event::{Id, Timestamp};
use serde::{Deserialize, Serialize};

/// Bans that stand at a time, and trusts.
pub const BANS_STANDING_MAX: usize = 50_000;
pub const TRUSTS_MAX: usize = 2_000;
/// Bans that are remembered, the newest ones.
const BANS_MAX: i64 = 200_000;
/// Addresses of admins that are remembered.
const ADDRESSES_MAX: i64 = 1_000;

/// Who wanted a ban.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BanSource {
    Manual,
    /// A finding, or the growth of what findings banned.
    Rule,
    Import,
    Agent,
}

impl BanSource {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Rule => "rule",
            Self::Import => "import",
            Self::Agent => "agent",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BanState {
    Active,
    Expired,
    Undone,
}

impl BanState {
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "active" => Some(Self::Active),
            "expired" => Some(Self::Expired),
            "undone" => Some(Self::Undone),
            _ => None,
        }
    }
}

/// How a ban was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undone {
    pub actor: String,
    pub at: Timestamp,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    pub id: Id,
    pub cidr: String,
    pub reason: String,
    pub actor: String,
    pub source: BanSource,
    /// The rule whose finding it is for.
    #[serde(default)]
    pub rule: Option<String>,
    #[serde(default)]
    pub rule_name: Option<String>,
    #[serde(default)]
    pub alert: Option<Id>,
    #[serde(default)]
    pub finding: Option<Id>,
    pub created_at: Timestamp,
    /// Exclusive; none: for good.
    pub until: Option<Timestamp>,
    /// It is enforced nowhere: rules may only say whom they would have banned.
    #[serde(default)]
    pub dry_run: bool,
    /// Of a prefix: how many banned addresses made it.
    #[serde(default)]
    pub grown_from: Option<u32>,
    /// Earlier bans that made it longer.
    #[serde(default)]
    pub offences: u32,
    #[serde(default)]
    pub undone: Option<Undone>,
}

impl Ban {
    pub fn state(&self, now: Timestamp) -> BanState {
        match (&self.undone, self.until) {
            (Some(_), _) => BanState::Undone,
            (None, Some(until)) if until <= now => BanState::Expired,
            _ => BanState::Active,
        }
    }

    pub fn is_active(&self, now: Timestamp) -> bool {
        self.state(now) == BanState::Active
    }
}

/// A network that is never kept out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    pub id: Id,
    pub cidr: String,
    pub reason: String,
    pub actor: String,
    pub created_at: Timestamp,
}

/// Where an admin, or somebody who banned, came from, and when last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminAddress {
    pub address: String,
    pub person: String,
    pub seen: Timestamp,
}

#[derive(Clone, Debug, Default)]
pub struct BanFilter {
    /// Any of these; empty: all.
    pub states: Vec<BanState>,
    /// Part of network, reason, actor or rule, in any case.
    pub text: Option<String>,
    pub limit: usize,
    pub cursor: Option<String>,
}

/// Why a ban is taken back, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct Undoing<'a> {
    pub actor: &'a str,
    pub reason: &'a str,
    /// A person has judged: rules do not ban the same again at once.
    pub by_person: bool,
}

impl Control {
    /// Stores those that are not known by their ids yet, and answers which. `import` names a list they came from,
    /// which is then one line of the audit log.
    pub async fn put_bans(&self, bans: &[Ban], import: Option<&str>, now: Timestamp) -> Result<Vec<Id>, ControlError> {
        if bans.is_empty() {
            return Ok(Vec::new());
        }
        let mut tx = self.begin().await?;
        let standing = query("SELECT COUNT(*) FROM ban WHERE ended IS NULL AND (until_at IS NULL OR until_at > $1)");
        let standing = standing.bind(now.0).fetch_count(&mut tx).await?;
        let mut new = Vec::new();
        for ban in bans {
            let body = serde_json::to_string(ban).map_err(failed)?;
            if insert(&mut tx, ban, &body).await? {
                new.push(ban.id);
                if import.is_none() {
                    append(&mut tx, [&ban.actor, "ban.create", &ban.cidr, &body], now).await?;
                }
            }
        }
        if standing as usize + new.len() > BANS_STANDING_MAX {
            return Err(ControlError::TooMany(BANS_STANDING_MAX));
        }
        if new.is_empty() {
            return Ok(new);
        }
        if let (Some(import), Some(first)) = (import, bans.first()) {
            append(&mut tx, [&first.actor, "ban.import", import, &format!("{} networks", new.len())], now).await?;
        }
        moved(&mut tx).await?;
        tx.commit().await?;
        Ok(new)
    }

    /// Takes bans back. Those that are over, or are not there, are passed over.
    pub async fn undo_bans(&self, ids: &[Id], why: Undoing<'_>, now: Timestamp) -> Result<Vec<Ban>, ControlError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut tx = self.begin().await?;
        let mut undone = Vec::new();
        for id in ids {
            let row = query("SELECT body FROM ban WHERE id = $1").bind(id.0.to_vec()).fetch_optional(&mut tx).await?;
            let Some(row) = row else { continue };
            let mut ban: Ban = read(row.try_get(0)?, "ban")?;
            if !ban.is_active(now) {
                continue;
            }
            ban.undone = Some(Undone { actor: why.actor.to_owned(), at: now, reason: why.reason.to_owned() });
            let body = serde_json::to_string(&ban).map_err(failed)?;
            let put = query("UPDATE ban SET ended = $1, by_person = $2, body = $3 WHERE id = $4");
            put.bind(now.0).bind(i64::from(why.by_person)).bind(body.as_str()).bind(id.0.to_vec()).execute(&mut tx).await?;
            append(&mut tx, [why.actor, "ban.undo", &ban.cidr, &body], now).await?;
            undone.push(ban);
        }
        if undone.is_empty() {
            return Ok(undone);
        }
        moved(&mut tx).await?;
        tx.commit().await?;
        Ok(undone)
    }

    pub async fn ban(&self, id: Id) -> Result<Ban, ControlError> {
        let row = query("SELECT body FROM ban WHERE id = $1").bind(id.0.to_vec()).fetch_optional(&self.read).await?;
        read(row.ok_or(ControlError::NotFound("ban"))?.try_get(0)?, "ban")
    }

    /// Those that are neither over nor taken back, oldest first; those that would have been among them.
    pub async fn standing_bans(&self, now: Timestamp) -> Result<Vec<Ban>, ControlError> {
        let select = "SELECT body FROM ban WHERE ended IS NULL AND (until_at IS NULL OR until_at > $1) ORDER BY created, id LIMIT $2";
        let rows = query(select).bind(now.0).bind(BANS_STANDING_MAX as i64).fetch_all(&self.read).await?;
        rows.iter().map(|row| read(row.try_get(0)?, "ban")).collect()
    }

    /// Newest first.
    pub async fn bans(&self, filter: &BanFilter, now: Timestamp) -> Result<Listed<Ban>, ControlError> {
        let narrow = |sql: &mut Sql| narrow(sql, filter, now);
        let read = |row: &Row| {
            let ban: Ban = read(row.try_get(0)?, "ban")?;
            Ok(((ban.created_at, ban.id), ban))
        };
        let list = List { table: "ban", columns: "body", time: "created", limit: filter.limit, cursor: filter.cursor.as_deref() };
        self.list(list, narrow, read).await
    }

    /// Bans that ended since, by their time or because they were taken back, newest first.
    pub async fn bans_ended(&self, since: Timestamp, now: Timestamp, limit: usize) -> Result<Vec<Ban>, ControlError> {
        let select = "SELECT body FROM ban WHERE dry = 0 AND ((ended IS NOT NULL AND ended > $1) OR (ended IS NULL AND until_at > $1 AND until_at <= $2))
                      ORDER BY created DESC, id LIMIT $3";
        let rows = query(select).bind(since.0).bind(now.0).bind(limit as i64).fetch_all(&self.read).await?;
        rows.iter().map(|row| read(row.try_get(0)?, "ban")).collect()
    }

    /// Bans of exactly this network since then that were not taken back; or, of those that only would have been.
    pub async fn offences(&self, cidr: &str, since: Timestamp, dry: bool) -> Result<u32, ControlError> {
        let count = query("SELECT COUNT(*) FROM ban WHERE cidr = $1 AND created >= $2 AND ended IS NULL AND dry = $3");
        Ok(count.bind(cidr).bind(since.0).bind(i64::from(dry)).fetch_count(&self.read).await? as u32)
    }

    /// When a person last took back a ban of exactly this network.
    pub async fn last_taken_back(&self, cidr: &str) -> Result<Option<Timestamp>, ControlError> {
        let select = "SELECT MAX(ended) FROM ban WHERE cidr = $1 AND by_person = 1 AND ended IS NOT NULL";
        let row = query(select).bind(cidr).fetch_one(&self.read).await?;
        Ok(row.try_get::<Option<i64>>(0)?.map(Timestamp))
    }

    /// Bans by findings since then.
    pub async fn count_rule_bans(&self, since: Timestamp, dry: bool) -> Result<u32, ControlError> {
        let count = query("SELECT COUNT(*) FROM ban WHERE source = 'rule' AND finding IS NOT NULL AND created >= $1 AND dry = $2");
        Ok(count.bind(since.0).bind(i64::from(dry)).fetch_count(&self.read).await? as u32)
    }

    /// Which of these findings have decided about a ban already.
    pub async fn findings_answered(&self, findings: &[Id]) -> Result<Vec<(Id, Id)>, ControlError> {
        let mut known = Vec::new();
        for some in findings.chunks(ROWS_PER_STATEMENT) {
            let mut select = Sql::new("SELECT finding, id FROM ban WHERE finding IN (");
            select.push_list(some.iter().map(|id| id.0.to_vec())).push(")");
            for row in select.fetch_all(&self.read).await? {
                known.push((super::id_from(row.try_get(0)?)?, super::id_from(row.try_get(1)?)?));
            }
        }
        Ok(known)
    }

    /// By network.
    pub async fn trusts(&self) -> Result<Vec<Trust>, ControlError> {
        let rows = query("SELECT body FROM trust ORDER BY cidr").fetch_all(&self.read).await?;
        rows.iter().map(|row| read(row.try_get(0)?, "trust")).collect()
    }

    pub async fn put_trust(&self, trust: &Trust, now: Timestamp) -> Result<(), ControlError> {
        let mut tx = self.begin().await?;
        if query("SELECT COUNT(*) FROM trust").fetch_count(&mut tx).await? as usize >= TRUSTS_MAX {
            return Err(ControlError::TooMany(TRUSTS_MAX));
        }
        let body = serde_json::to_string(trust).map_err(failed)?;
        let put = query("INSERT INTO trust (id, cidr, created, body) VALUES ($1, $2, $3, $4) ON CONFLICT (cidr) DO NOTHING");
        let put = put.bind(trust.id.0.to_vec()).bind(trust.cidr.as_str()).bind(trust.created_at.0).bind(body.as_str());
        if put.execute(&mut tx).await? == 0 {
            return Err(ControlError::Exists("a trust for this network"));
        }
        append(&mut tx, [&trust.actor, "trust.create", &trust.cidr, &body], now).await?;
        moved(&mut tx).await?;
        tx.commit().await
    }

    pub async fn delete_trust(&self, id: Id, actor: &str, now: Timestamp) -> Result<Trust, ControlError> {
        let mut tx = self.begin().await?;
        let delete = query("DELETE FROM trust WHERE id = $1 RETURNING body").bind(id.0.to_vec());
        let row = delete.fetch_optional(&mut tx).await?.ok_or(ControlError::NotFound("trust"))?;
        let trust: Trust = read(row.try_get(0)?, "trust")?;
        append(&mut tx, [actor, "trust.delete", &trust.cidr, row.try_get(0)?], now).await?;
        moved(&mut tx).await?;
        tx.commit().await?;
        Ok(trust)
    }

    /// Remembers where somebody came from who must never be locked out.
    pub async fn note_address(&self, address: &str, person: &str, now: Timestamp) -> Result<(), ControlError> {
        let mut tx = self.begin().await?;
        let known = query("SELECT seen FROM admin_address WHERE address = $1").bind(address).fetch_optional(&mut tx).await?;
        let put = "INSERT INTO admin_address (address, person, seen) VALUES ($1, $2, $3)
                   ON CONFLICT (address) DO UPDATE SET person = excluded.person, seen = excluded.seen";
        query(put).bind(address).bind(person).bind(now.0).execute(&mut tx).await?;
        let trim = "DELETE FROM admin_address WHERE address IN (SELECT address FROM admin_address ORDER BY seen DESC LIMIT 1000000 OFFSET $1)";
        query(trim).bind(ADDRESSES_MAX).execute(&mut tx).await?;
        if known.is_none() {
            moved(&mut tx).await?;
        }
        tx.commit().await
    }

    pub async fn admin_addresses(&self, since: Timestamp) -> Result<Vec<AdminAddress>, ControlError> {
        let select = query("SELECT address, person, seen FROM admin_address WHERE seen >= $1 ORDER BY seen DESC, address");
        let rows = select.bind(since.0).fetch_all(&self.read).await?;
        let read = |row: &Row| Ok(AdminAddress { address: row.try_get(0)?, person: row.try_get(1)?, seen: Timestamp(row.try_get(2)?) });
        rows.iter().map(read).collect()
    }

    /// Grows whenever bans, trusts or admins' addresses change, on whichever node.
    pub async fn bans_generation(&self) -> Result<u64, ControlError> {
        let row = query("SELECT value FROM counter WHERE name = 'bans_generation'").fetch_optional(&self.read).await?;
        Ok(row.map(|row| row.try_get::<i64>(0)).transpose()?.unwrap_or(0) as u64)
    }

    /// Deletes bans that were over before `before`, and the oldest of those that are over beyond two hundred thousand.
    pub(super) async fn prune_bans(&self, before: Timestamp, now: Timestamp) -> Result<u64, ControlError> {
        let old = "DELETE FROM ban WHERE id IN (SELECT id FROM ban WHERE (ended < $1 OR until_at < $1) LIMIT $2)";
        let beyond = "DELETE FROM ban WHERE (ended IS NOT NULL OR until_at < $3) AND id IN (
                          SELECT id FROM ban ORDER BY created DESC, id DESC LIMIT $2 OFFSET $1)";
        let deleted = self.delete_all(old, before.0, None).await?;
        Ok(deleted + self.delete_all(beyond, BANS_MAX, Some(now)).await?)
    }
}

async fn insert(tx: &mut Tx, ban: &Ban, body: &str) -> Result<bool, ControlError> {
    let search = [Some(&ban.cidr), Some(&ban.reason), Some(&ban.actor), ban.rule_name.as_ref()];
    let search = search.into_iter().flatten().map(|text| text.to_lowercase()).collect::<Vec<_>>().join("\n");
    let put = "INSERT INTO ban (id, cidr, source, created, until_at, ended, by_person, dry, finding, search, body)
               VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING";
    let put = query(put)
        .bind(ban.id.0.to_vec())
        .bind(ban.cidr.as_str())
        .bind(ban.source.as_str())
        .bind(ban.created_at.0)
        .bind(ban.until.map(|t| t.0))
        .bind(ban.undone.as_ref().map(|u| u.at.0))
        .bind(i64::from(ban.dry_run))
        .bind(ban.finding.map(|id| id.0.to_vec()))
        .bind(search)
        .bind(body);
    Ok(put.execute(tx).await? > 0)
}

async fn moved(tx: &mut Tx) -> Result<(), ControlError> {
    let put = "INSERT INTO counter (name, value) VALUES ('bans_generation', 1) ON CONFLICT (name) DO UPDATE SET value = counter.value + 1";
    query(put).execute(tx).await.map(drop)
}

fn narrow(sql: &mut Sql, filter: &BanFilter, now: Timestamp) {
    if let Some(text) = filter.text.as_deref().filter(|t| !t.is_empty()) {
        sql.push(" AND search LIKE ").push_bind(like(text)).push(r" ESCAPE '\'");
    }
    if filter.states.is_empty() {
        return;
    }
    sql.push(" AND (1 = 0");
    for state in &filter.states {
        match state {
            BanState::Active => sql.push(" OR (ended IS NULL AND (until_at IS NULL OR until_at > ").push_bind(now.0).push("))"),
            BanState::Expired => sql.push(" OR (ended IS NULL AND until_at <= ").push_bind(now.0).push(")"),
            BanState::Undone => sql.push(" OR ended IS NOT NULL"),
        };
    }
    sql.push(")");
}
