//! Web agents: who may ask the gateway, with what secret, and what their instances last said of themselves.
//!
//! An agent is a name with a secret; its instances are the processes that use it. What agents are told (which profile,
//! which bans) has a revision that grows with each change, so that a node of the gateway copies all of it again only then.

use super::audit::append;
use super::desk::read;
use super::sql::{Row, Sql, Tx, query};
use super::{Control, ControlError, failed};
use event::Timestamp;
use serde::{Deserialize, Serialize};

pub const AGENTS_MAX: usize = 10_000;
/// Instances of one agent; those that were silent longest go first.
pub const INSTANCES_PER_AGENT_MAX: usize = 500;
/// An instance that says nothing for so long is forgotten.
const FORGOTTEN_SECS: i64 = 30 * 86_400;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WebAgent {
    pub id: String,
    pub name: String,
    pub application: String,
    /// What requests are signed with; never shown again.
    #[serde(skip)]
    pub secret: String,
    pub enabled: bool,
    /// None: that of its application.
    pub profile: Option<String>,
    /// The revision at which it last changed what it is told.
    #[serde(skip)]
    pub assigned: i64,
    pub created_at: Timestamp,
    pub created_by: String,
}

/// A process that uses an agent's secret.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AgentInstance {
    pub agent: String,
    pub instance: String,
    pub application: String,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    /// What it last said of itself.
    pub hello: serde_json::Value,
}

const COLUMNS: &str = "id, name, application, secret, enabled, profile, assigned, created_at, created_by";

impl Control {
    /// By name.
    pub async fn web_agents(&self) -> Result<Vec<WebAgent>, ControlError> {
        let mut select = Sql::new(format!("SELECT {COLUMNS} FROM web_agent"));
        select.push(" ORDER BY name");
        select.fetch_all(&self.read).await?.iter().map(read_agent).collect()
    }

    pub async fn web_agent(&self, id: &str) -> Result<WebAgent, ControlError> {
        let mut select = Sql::new(format!("SELECT {COLUMNS} FROM web_agent"));
        select.push(" WHERE id = ").push_bind(id);
        let row = select.fetch_optional(&self.read).await?.ok_or(ControlError::NotFound("agent"))?;
        read_agent(&row)
    }

    pub async fn create_web_agent(&self, agent: &WebAgent, now: Timestamp) -> Result<(), ControlError> {
        let mut tx = self.begin().await?;
        if query("SELECT COUNT(*) FROM web_agent").fetch_count(&mut tx).await? as usize >= AGENTS_MAX {
            return Err(ControlError::TooMany(AGENTS_MAX));
        }
        known_profile(&mut tx, agent.profile.as_deref()).await?;
        let assigned = next_revision(&mut tx).await?;
        let put = "INSERT INTO web_agent (name, application, secret, enabled, profile, assigned, id, created_at, created_by)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let put = columns_of(query(put), agent, assigned).bind(agent.id.as_str());
        put.bind(agent.created_at.0).bind(agent.created_by.as_str()).try_execute(&mut tx).await.map_err(named)?;
        append(&mut tx, [&agent.created_by, "agent.create", &agent.id, &told(agent)?], now).await?;
        tx.commit().await
    }

    /// Replaces name, application, secret, profile, and whether it may ask.
    pub async fn replace_web_agent(&self, agent: &WebAgent, action: &str, actor: &str, now: Timestamp) -> Result<(), ControlError> {
        let mut tx = self.begin().await?;
        known_profile(&mut tx, agent.profile.as_deref()).await?;
        let assigned = next_revision(&mut tx).await?;
        let put = "UPDATE web_agent SET name = $1, application = $2, secret = $3, enabled = $4, profile = $5, assigned = $6 WHERE id = $7";
        let put = columns_of(query(put), agent, assigned).bind(agent.id.as_str());
        if put.try_execute(&mut tx).await.map_err(named)? == 0 {
            return Err(ControlError::NotFound("agent"));
        }
        append(&mut tx, [actor, action, &agent.id, &told(agent)?], now).await?;
        tx.commit().await
    }

    /// Deletes the agent and forgets its instances.
    pub async fn delete_web_agent(&self, id: &str, actor: &str, now: Timestamp) -> Result<(), ControlError> {
        let mut tx = self.begin().await?;
        if query("DELETE FROM web_agent WHERE id = $1").bind(id).execute(&mut tx).await? == 0 {
            return Err(ControlError::NotFound("agent"));
        }
        query("DELETE FROM web_instance WHERE agent = $1").bind(id).execute(&mut tx).await?;
        next_revision(&mut tx).await?;
        append(&mut tx, [actor, "agent.delete", id, ""], now).await?;
        tx.commit().await
    }

    /// Notes what an instance says of itself.
    pub async fn web_hello(&self, said: &AgentInstance) -> Result<(), ControlError> {
        let mut tx = self.begin().await?;
        let put = "INSERT INTO web_instance (agent, instance, application, first_seen, last_seen, body) VALUES ($1, $2, $3, $4, $5, $6)
                   ON CONFLICT (agent, instance) DO UPDATE SET application = excluded.application,
                       last_seen = excluded.last_seen, body = excluded.body";
        query(put)
            .bind(said.agent.as_str())
            .bind(said.instance.as_str())
            .bind(said.application.as_str())
            .bind(said.first_seen.0)
            .bind(said.last_seen.0)
            .bind(said.hello.to_string())
            .execute(&mut tx)
            .await?;
        query("DELETE FROM web_instance WHERE last_seen < $1").bind(said.last_seen.plus_secs(-FORGOTTEN_SECS).0).execute(&mut tx).await?;
        let trim = "DELETE FROM web_instance WHERE agent = $1 AND instance IN (
                        SELECT instance FROM web_instance WHERE agent = $1 ORDER BY last_seen DESC, instance LIMIT 1000 OFFSET $2)";
        query(trim).bind(said.agent.as_str()).bind(INSTANCES_PER_AGENT_MAX as i64).execute(&mut tx).await?;
        tx.commit().await
    }

    /// Of one agent, or of all; the newest first, at most `limit`.
    pub async fn web_instances(&self, agent: Option<&str>, limit: usize) -> Result<Vec<AgentInstance>, ControlError> {
        let mut select = Sql::new("SELECT agent, instance, application, first_seen, last_seen, body FROM web_instance");
        if let Some(agent) = agent {
            select.push(" WHERE agent = ").push_bind(agent);
        }
        select.push(" ORDER BY last_seen DESC, agent, instance LIMIT ").push_bind(limit as i64);
        select.fetch_all(&self.read).await?.iter().map(read_instance).collect()
    }
}

/// The number of the next change of what agents are told.
pub(super) async fn next_revision(tx: &mut Tx) -> Result<i64, ControlError> {
    let put = "UPDATE web_revision SET revision = revision + 1 WHERE id = 1 RETURNING revision";
    Ok(query(put).fetch_one(tx).await?.try_get(0)?)
}

pub(super) async fn known_profile(tx: &mut Tx, id: Option<&str>) -> Result<(), ControlError> {
    let Some(id) = id else { return Ok(()) };
    let found = query("SELECT 1 FROM web_profile WHERE id = $1").bind(id).fetch_optional(tx).await?;
    found.map(drop).ok_or(ControlError::NotFound("profile"))
}

/// For the audit log: everything but the secret.
fn told(agent: &WebAgent) -> Result<String, ControlError> {
    serde_json::to_string(agent).map_err(failed)
}

fn columns_of(put: Sql, agent: &WebAgent, assigned: i64) -> Sql {
    put.bind(agent.name.as_str())
        .bind(agent.application.as_str())
        .bind(agent.secret.as_str())
        .bind(i64::from(agent.enabled))
        .bind(agent.profile.as_deref())
        .bind(assigned)
}

fn named(error: sqlx::Error) -> ControlError {
    match error.as_database_error() {
        Some(e) if e.is_unique_violation() => ControlError::Exists("an agent with this name"),
        _ => error.into(),
    }
}

fn read_agent(row: &Row) -> Result<WebAgent, ControlError> {
    Ok(WebAgent {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        application: row.try_get(2)?,
        secret: row.try_get(3)?,
        enabled: row.try_get::<i64>(4)? != 0,
        profile: row.try_get(5)?,
        assigned: row.try_get(6)?,
        created_at: Timestamp(row.try_get(7)?),
        created_by: row.try_get(8)?,
    })
}

fn read_instance(row: &Row) -> Result<AgentInstance, ControlError> {
    Ok(AgentInstance {
        agent: row.try_get(0)?,
        instance: row.try_get(1)?,
        application: row.try_get(2)?,
        first_seen: Timestamp(row.try_get(3)?),
        last_seen: Timestamp(row.try_get(4)?),
        hello: read(row.try_get(5)?, "instance of an agent")?,
    })
}
