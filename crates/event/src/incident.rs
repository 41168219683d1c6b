use crate::{AlertState, Entity, Id, Severity, StateChange, Timestamp};
use serde::{Deserialize, Serialize};

/// Alerts and signals about one entity that belong together in time: what a person investigates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    pub id: Id,
    pub entity: Entity,
    pub state: AlertState,
    /// The highest severity of its alerts, one higher when three or more tactics follow each other.
    pub severity: Severity,
    /// The entity's risk score at the incident's worst, see `docs/manual.md`.
    pub risk: u32,
    /// "Credential access, then persistence, by alice from 203.0.113.7".
    pub title: String,
    /// Event time of the first and last finding.
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    /// ATT&CK tactics by their short names, in the order in which they were first seen.
    pub tactics: Vec<String>,
    /// ATT&CK technique ids, sorted.
    pub techniques: Vec<String>,
    pub alert_count: u64,
    pub signal_count: u64,
    pub event_count: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee: Option<String>,
    /// Oldest first; empty while nobody has touched it.
    #[serde(default)]
    pub history: Vec<StateChange>,
}
