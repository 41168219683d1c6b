//! What people manage and triage: users, sessions, API keys, alerts with their findings, incidents, risk
//! scores, exceptions, saved searches, web agents with their profiles, bans, settings and the audit log; in a SQLite file, or in PostgreSQL by URL.
//!
//! Findings come from the state store through [`Control::project`]: what was told of which finding is
//! remembered, so that handing the same over again changes nothing. This module checks no password and no right;
//! `api` does. It stores hashes of secrets only, except for [`Control::setting`], which holds the
//! platform's own, and the secrets of web agents, which a signature is verified with (the file is readable by its owner
//! only; `docs/adr`).
//!
//! One text of each statement serves both databases (`sql`), and both have one writer at a time: SQLite by itself,
//! PostgreSQL by an advisory lock that every transaction takes first (`database`). So several nodes may take findings
//! over into one database, the audit log's chain has one end, and no transaction fails because of another.
//!
//! A commit survives a kill at once and a power cut after the next [`Control::sync`]: call that before the
//! state store forgets the findings that were taken over.

mod agents;
mod alerts;
mod audit;
mod bans;
mod cursor;
mod database;
mod desk;
mod entities;
mod exceptions;
mod group;
mod incidents;
mod people;
mod profiles;
mod project;
mod retention;
mod risk;
mod searches;
mod sql;
mod url;
mod write;

pub use agents::{AGENTS_MAX, AgentInstance, INSTANCES_PER_AGENT_MAX, WebAgent};
pub use alerts::FindingCounts;
pub use audit::{AuditEntry, BrokenAt};
pub use bans::{AdminAddress, BANS_STANDING_MAX, Ban, BanFilter, BanSource, BanState, TRUSTS_MAX, Trust, Undoing, Undone};
pub use entities::{EntityDetail, EntityRisk};
pub use exceptions::{EXCEPTIONS_MAX, Exception};
pub use profiles::{PROFILE_DEFAULT, PROFILE_VERSIONS_MAX, PROFILES_MAX, ProfileChange, ProfileVersion, WebApplication, WebProfile, WebRevision};
pub use project::{FINDINGS_PER_ALERT_MAX, Projected};
pub use retention::Pruned;
pub use searches::{SCHEDULED_MAX, SEARCHES_MAX, SEARCHES_PER_OWNER_MAX, SavedSearch, Schedule, ScheduledSearch, SearchRun, WindowDone};
pub use url::{DatabaseUrl, UrlError};

use event::{AlertState, Id, Severity, Timestamp};
use serde::{Deserialize, Serialize};
use sql::Pool;
use std::path::Path;
use std::sync::Arc;

/// Items of one page when the filter says 0, and at most.
const PAGE_ITEMS: usize = 100;
const PAGE_ITEMS_MAX: usize = 1_000;

#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("the control plane failed: {0}")]
    Failed(String),
    #[error("there is no such {0}")]
    NotFound(&'static str),
    #[error("{0} exists already")]
    Exists(&'static str),
    #[error("not a cursor of this list")]
    BadCursor,
    #[error("there are {0} already")]
    TooMany(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Viewer,
    Analyst,
    Admin,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Analyst => "analyst",
            Self::Admin => "admin",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Viewer, Self::Analyst, Self::Admin].into_iter().find(|r| r.as_str() == text)
    }
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
    /// Any of these; empty: all.
    pub states: Vec<AlertState>,
    pub severity_min: Option<Severity>,
    /// Part of the rule's name, the entity or the summary, in any case.
    pub text: Option<String>,
    /// Alerts with a finding at or after `from` and before `to`, as far as first and last one tell.
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// Signals too, which are left out otherwise.
    pub signals: bool,
    pub limit: usize,
    /// Opaque, from an earlier page.
    pub cursor: Option<String>,
    /// Only alerts with a stored finding that names this event.
    pub event: Option<OfEvent>,
}

/// An event, and when findings that name it were told.
#[derive(Clone, Debug, PartialEq)]
pub struct OfEvent {
    pub uid: String,
    pub from: Timestamp,
    /// Exclusive.
    pub to: Timestamp,
}

#[derive(Clone, Debug, Default)]
pub struct IncidentFilter {
    /// Any of these; empty: all.
    pub states: Vec<AlertState>,
    pub severity_min: Option<Severity>,
    /// Part of the title, the entity, a rule's name, a technique, a user or an address, in any case.
    pub text: Option<String>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub limit: usize,
    pub cursor: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub struct FindingFilter {
    pub alert: Option<Id>,
    /// Leaves out those of signal rules.
    pub without_signals: bool,
    pub severities: Vec<Severity>,
    /// A rule's id or its name.
    pub rule: Option<String>,
    pub user: Option<String>,
    pub source_ip: Option<String>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub limit: usize,
    pub cursor: Option<String>,
}

#[derive(Debug)]
pub struct Listed<T> {
    pub items: Vec<T>,
    pub next_cursor: Option<String>,
    /// Of all pages.
    pub total: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AlertCounts {
    pub open: u64,
    pub acknowledged: u64,
    pub closed: u64,
}

/// Users, keys, sessions, alerts and findings, in SQLite or PostgreSQL. Cheap to clone.
#[derive(Clone)]
pub struct Control {
    read: Pool,
    /// One connection: there is one writer at a time, and waiting here is fair.
    write: Pool,
    /// SQLite's file.
    path: Option<Arc<Path>>,
}

fn failed(error: impl std::fmt::Display) -> ControlError {
    ControlError::Failed(error.to_string())
}

impl From<sqlx::Error> for ControlError {
    fn from(error: sqlx::Error) -> Self {
        failed(error)
    }
}

/// How many items a page holds.
fn page_items(limit: usize) -> usize {
    if limit == 0 { PAGE_ITEMS } else { limit.min(PAGE_ITEMS_MAX) }
}

fn id_from(bytes: &[u8]) -> Result<Id, ControlError> {
    bytes.try_into().map(Id).map_err(|_| failed("a stored id is not 16 bytes long"))
}
