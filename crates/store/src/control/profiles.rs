//! Profiles of web agents: what mode they run in, what they block, and how that came about. The body is JSON that `api`
//! checks; here it is kept, version by version, and nothing is ever overwritten: an older version is restored by
//! making it the newest once more.
//!
//! A version is the revision at which it was made, so that no two profiles share one, and an agent that is given
//! another profile sees another number.

use super::agents::{known_profile, next_revision};
use super::audit::append;
use super::desk::read;
use super::sql::{Row, Sql, Tx, query};
use super::{Control, ControlError};
use event::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// The profile of agents that have no other; it cannot be deleted.
pub const PROFILE_DEFAULT: &str = "default";
pub const PROFILES_MAX: usize = 500;
/// Versions kept of one profile; the oldest go.
pub const PROFILE_VERSIONS_MAX: usize = 200;
const APPLICATIONS_MAX: usize = 5_000;

/// A profile as it is now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WebProfile {
    pub id: String,
    pub name: String,
    pub version: i64,
    pub updated_at: Timestamp,
    pub updated_by: String,
    pub note: String,
    pub profile: Value,
}

/// One version of a profile.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProfileVersion {
    pub version: i64,
    pub time: Timestamp,
    pub actor: String,
    pub note: String,
    pub profile: Value,
}

/// The profile of the agents of one application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WebApplication {
    pub name: String,
    pub profile: Option<String>,
    #[serde(skip)]
    pub assigned: i64,
}

/// How far what agents are told has come, and the bans among it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebRevision {
    pub revision: i64,
    /// A fingerprint of the bans that were last told, and the revision at which that was.
    pub bans: String,
    pub bans_revision: i64,
}

/// A change of a profile by somebody.
#[derive(Clone, Copy, Debug)]
pub struct ProfileChange<'a> {
    pub profile: &'a Value,
    pub note: &'a str,
    pub actor: &'a str,
    pub now: Timestamp,
}

const NOW: &str = "SELECT p.id, p.name, p.version, v.time, v.actor, v.note, v.body FROM web_profile p
                   JOIN web_profile_version v ON v.profile = p.id AND v.version = p.version";

impl Control {
    /// By name.
    pub async fn web_profiles(&self) -> Result<Vec<WebProfile>, ControlError> {
        let mut select = Sql::new(NOW);
        select.push(" ORDER BY p.name");
        select.fetch_all(&self.read).await?.iter().map(read_profile).collect()
    }

    pub async fn web_profile(&self, id: &str) -> Result<WebProfile, ControlError> {
        let mut select = Sql::new(NOW);
        select.push(" WHERE p.id = ").push_bind(id);
        let row = select.fetch_optional(&self.read).await?.ok_or(ControlError::NotFound("profile"))?;
        read_profile(&row)
    }

    /// Answers the version.
    pub async fn create_web_profile(&self, id: &str, name: &str, change: ProfileChange<'_>) -> Result<i64, ControlError> {
        let mut tx = self.begin().await?;
        if query("SELECT COUNT(*) FROM web_profile").fetch_count(&mut tx).await? as usize >= PROFILES_MAX {
            return Err(ControlError::TooMany(PROFILES_MAX));
        }
        let version = next_revision(&mut tx).await?;
        let put = query("INSERT INTO web_profile (id, name, version) VALUES ($1, $2, $3)");
        put.bind(id).bind(name).bind(version).try_execute(&mut tx).await.map_err(named)?;
        put_version(&mut tx, id, version, change).await?;
        append(&mut tx, [change.actor, "profile.create", id, &change.profile.to_string()], change.now).await?;
        tx.commit().await?;
        Ok(version)
    }

    /// Makes a new version and answers its number. `on` is the version that the change was made on: if somebody
    /// else was faster, nothing is written.
    pub async fn change_web_profile(&self, id: &str, name: &str, on: i64, change: ProfileChange<'_>) -> Result<i64, ControlError> {
        let mut tx = self.begin().await?;
        let row = query("SELECT version FROM web_profile WHERE id = $1").bind(id).fetch_optional(&mut tx).await?;
        let stands: i64 = row.ok_or(ControlError::NotFound("profile"))?.try_get(0)?;
        if stands != on {
            return Err(ControlError::Exists("a newer version of this profile"));
        }
        let version = next_revision(&mut tx).await?;
        let put = query("UPDATE web_profile SET name = $2, version = $3 WHERE id = $1");
        put.bind(id).bind(name).bind(version).try_execute(&mut tx).await.map_err(named)?;
        put_version(&mut tx, id, version, change).await?;
        let trim = "DELETE FROM web_profile_version WHERE profile = $1 AND version IN (
                        SELECT version FROM web_profile_version WHERE profile = $1 ORDER BY version DESC LIMIT 1000 OFFSET $2)";
        query(trim).bind(id).bind(PROFILE_VERSIONS_MAX as i64).execute(&mut tx).await?;
        append(&mut tx, [change.actor, "profile.update", id, &change.profile.to_string()], change.now).await?;
        tx.commit().await?;
        Ok(version)
    }

    /// Whoever was assigned to it gets what stands behind: the profile of the application, or the default.
    pub async fn delete_web_profile(&self, id: &str, actor: &str, now: Timestamp) -> Result<(), ControlError> {
        let mut tx = self.begin().await?;
        if id == PROFILE_DEFAULT || query("DELETE FROM web_profile WHERE id = $1").bind(id).execute(&mut tx).await? == 0 {
            return Err(ControlError::NotFound("profile that can be deleted"));
        }
        query("DELETE FROM web_profile_version WHERE profile = $1").bind(id).execute(&mut tx).await?;
        let revision = next_revision(&mut tx).await?;
        for put in [
            "UPDATE web_agent SET profile = NULL, assigned = $2 WHERE profile = $1",
            "UPDATE web_application SET profile = NULL, assigned = $2 WHERE profile = $1",
        ] {
            query(put).bind(id).bind(revision).execute(&mut tx).await?;
        }
        append(&mut tx, [actor, "profile.delete", id, ""], now).await?;
        tx.commit().await
    }

    /// Newest first.
    pub async fn web_profile_versions(&self, id: &str) -> Result<Vec<ProfileVersion>, ControlError> {
        let select = "SELECT version, time, actor, note, body FROM web_profile_version WHERE profile = $1 ORDER BY version DESC";
        query(select).bind(id).fetch_all(&self.read).await?.iter().map(read_version).collect()
    }

    pub async fn web_profile_version(&self, id: &str, version: i64) -> Result<ProfileVersion, ControlError> {
        let select = "SELECT version, time, actor, note, body FROM web_profile_version WHERE profile = $1 AND version = $2";
        let row = query(select).bind(id).bind(version).fetch_optional(&self.read).await?;
        read_version(&row.ok_or(ControlError::NotFound("version of this profile"))?)
    }

    /// Applications that a profile was ever assigned to, by name.
    pub async fn web_applications(&self) -> Result<Vec<WebApplication>, ControlError> {
        let rows = query("SELECT name, profile, assigned FROM web_application ORDER BY name").fetch_all(&self.read).await?;
        rows.iter().map(|row| Ok(WebApplication { name: row.try_get(0)?, profile: row.try_get(1)?, assigned: row.try_get(2)? })).collect()
    }

    /// Gives an application's agents a profile, or with `None` the default.
    pub async fn assign_web_application(&self, name: &str, profile: Option<&str>, actor: &str, now: Timestamp) -> Result<(), ControlError> {
        let mut tx = self.begin().await?;
        known_profile(&mut tx, profile).await?;
        if query("SELECT COUNT(*) FROM web_application").fetch_count(&mut tx).await? as usize >= APPLICATIONS_MAX {
            return Err(ControlError::TooMany(APPLICATIONS_MAX));
        }
        let revision = next_revision(&mut tx).await?;
        let put = "INSERT INTO web_application (name, profile, assigned) VALUES ($1, $2, $3)
                   ON CONFLICT (name) DO UPDATE SET profile = excluded.profile, assigned = excluded.assigned";
        query(put).bind(name).bind(profile).bind(revision).execute(&mut tx).await?;
        append(&mut tx, [actor, "application.profile", name, profile.unwrap_or("")], now).await?;
        tx.commit().await
    }

    pub async fn web_revision(&self) -> Result<WebRevision, ControlError> {
        let row = query("SELECT revision, bans, bans_revision FROM web_revision WHERE id = 1").fetch_one(&self.read).await?;
        Ok(WebRevision { revision: row.try_get(0)?, bans: row.try_get(1)?, bans_revision: row.try_get(2)? })
    }

    /// Says what stands for the bans that agents are told from now on. Nothing changes if another node said so before.
    pub async fn tell_web_bans(&self, bans: &str) -> Result<(), ControlError> {
        let mut tx = self.begin().await?;
        let stands = query("SELECT bans FROM web_revision WHERE id = 1").fetch_one(&mut tx).await?;
        if stands.try_get::<&str>(0)? == bans {
            return Ok(());
        }
        let revision = next_revision(&mut tx).await?;
        query("UPDATE web_revision SET bans = $1, bans_revision = $2 WHERE id = 1").bind(bans).bind(revision).execute(&mut tx).await?;
        tx.commit().await
    }
}

async fn put_version(tx: &mut Tx, id: &str, version: i64, change: ProfileChange<'_>) -> Result<(), ControlError> {
    let put = "INSERT INTO web_profile_version (profile, version, time, actor, note, body) VALUES ($1, $2, $3, $4, $5, $6)";
    let put = query(put).bind(id).bind(version).bind(change.now.0).bind(change.actor).bind(change.note);
    put.bind(change.profile.to_string()).execute(tx).await?;
    Ok(())
}

fn named(error: sqlx::Error) -> ControlError {
    match error.as_database_error() {
        Some(e) if e.is_unique_violation() => ControlError::Exists("a profile with this name"),
        _ => error.into(),
    }
}

fn read_profile(row: &Row) -> Result<WebProfile, ControlError> {
    Ok(WebProfile {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        version: row.try_get(2)?,
        updated_at: Timestamp(row.try_get(3)?),
        updated_by: row.try_get(4)?,
        note: row.try_get(5)?,
        profile: read(row.try_get(6)?, "profile")?,
    })
}

fn read_version(row: &Row) -> Result<ProfileVersion, ControlError> {
    Ok(ProfileVersion {
        version: row.try_get(0)?,
        time: Timestamp(row.try_get(1)?),
        actor: row.try_get(2)?,
        note: row.try_get(3)?,
        profile: read(row.try_get(4)?, "version of a profile")?,
    })
}
