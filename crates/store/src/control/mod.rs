use event::{Alert, AlertState, Finding, Id, Severity, Timestamp};
use serde::{Deserialize, Serialize};
use std::path::Path;

#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("the control plane failed: {0}")]
    Failed(String),
    #[error("there is no such {0}")]
    NotFound(&'static str),
    #[error("{0} exists already")]
    Exists(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Viewer,
    Analyst,
    Admin,
}

#[derive(Clone, Debug, Serialize)]
pub struct User {
    pub name: String,
    pub role: Role,
    #[serde(skip)]
    pub password_hash: String,
    pub created: Timestamp,
}

/// A hashed API key: the clear text is shown once.
#[derive(Clone, Debug, Serialize)]
pub struct ApiKey {
    pub id: String,
    pub name: String,
    /// `ingest`, `read`, `admin`.
    pub scopes: Vec<String>,
    #[serde(skip)]
    pub hash: String,
    pub created: Timestamp,
    pub created_by: String,
    pub last_used: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub struct Session {
    /// SHA-256 of the cookie's token.
    pub token_hash: String,
    pub user: String,
    pub csrf: String,
    pub expires: Timestamp,
}

#[derive(Clone, Debug, Default)]
pub struct AlertFilter {
    pub states: Vec<AlertState>,
    pub severity_min: Option<Severity>,
    pub text: Option<String>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub limit: usize,
    /// Opaque, from an earlier page.
    pub cursor: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub struct FindingFilter {
    pub alert: Option<Id>,
    pub severities: Vec<Severity>,
    pub rule: Option<String>,
    pub user: Option<String>,
    pub source_ip: Option<String>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub limit: usize,
    pub cursor: Option<String>,
}

pub struct Listed<T> {
    pub items: Vec<T>,
    pub next_cursor: Option<String>,
    pub total: u64,
}

/// Users, keys, sessions, alerts and findings: SQLite here, PostgreSQL by URL later.
#[derive(Clone)]
pub struct Control;

/// The alerts that a batch of findings created (true) or changed (false).
pub type Touched = Vec<(Alert, bool)>;

impl Control {
    pub async fn open(path: &Path) -> Result<Self, ControlError> {
        let _ = path;
        Ok(Self)
    }
    /// Takes findings over from the state store: stores each once, makes or extends their alerts, and
    /// remembers `seq`, all in one transaction. A finding whose id is known changes nothing.
    pub async fn project(&self, findings: &[Finding], seq: u64) -> Result<Touched, ControlError> {
        let _ = (findings, seq);
        Ok(vec![])
    }
    pub async fn projected_seq(&self) -> Result<u64, ControlError> {
        Ok(0)
    }
    pub async fn alerts(&self, filter: &AlertFilter) -> Result<Listed<Alert>, ControlError> {
        let _ = filter;
        Ok(Listed { items: vec![], next_cursor: None, total: 0 })
    }
    pub async fn alert(&self, id: Id) -> Result<Alert, ControlError> {
        let _ = id;
        Err(ControlError::NotFound("alert"))
    }
    pub async fn set_alert_state(&self, ids: &[Id], state: AlertState, actor: &str, reason: Option<&str>, now: Timestamp) -> Result<Vec<Alert>, ControlError> {
        let _ = (ids, state, actor, reason, now);
        Ok(vec![])
    }
    pub async fn findings(&self, filter: &FindingFilter) -> Result<Listed<Finding>, ControlError> {
        let _ = filter;
        Ok(Listed { items: vec![], next_cursor: None, total: 0 })
    }
    pub async fn user(&self, name: &str) -> Result<Option<User>, ControlError> {
        let _ = name;
        Ok(None)
    }
    pub async fn users(&self) -> Result<Vec<User>, ControlError> {
        Ok(vec![])
    }
    /// Creates or replaces.
    pub async fn put_user(&self, user: &User) -> Result<(), ControlError> {
        let _ = user;
        Ok(())
    }
    pub async fn delete_user(&self, name: &str) -> Result<(), ControlError> {
        let _ = name;
        Ok(())
    }
    pub async fn put_session(&self, session: &Session) -> Result<(), ControlError> {
        let _ = session;
        Ok(())
    }
    pub async fn session(&self, token_hash: &str, now: Timestamp) -> Result<Option<(Session, User)>, ControlError> {
        let _ = (token_hash, now);
        Ok(None)
    }
    pub async fn delete_session(&self, token_hash: &str) -> Result<(), ControlError> {
        let _ = token_hash;
        Ok(())
    }
    /// Ends all of a user's sessions.
    pub async fn delete_sessions_of(&self, user: &str) -> Result<(), ControlError> {
        let _ = user;
        Ok(())
    }
    pub async fn put_key(&self, key: &ApiKey) -> Result<(), ControlError> {
        let _ = key;
        Ok(())
    }
    pub async fn keys(&self) -> Result<Vec<ApiKey>, ControlError> {
        Ok(vec![])
    }
    pub async fn key_by_hash(&self, hash: &str) -> Result<Option<ApiKey>, ControlError> {
        let _ = hash;
        Ok(None)
    }
    pub async fn delete_key(&self, id: &str) -> Result<(), ControlError> {
        let _ = id;
        Ok(())
    }
    /// Appends to the hash-chained audit log.
    pub async fn audit(&self, actor: &str, action: &str, target: &str, detail: &str, now: Timestamp) -> Result<(), ControlError> {
        let _ = (actor, action, target, detail, now);
        Ok(())
    }
}
