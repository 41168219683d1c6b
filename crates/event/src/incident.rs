use crate::{AlertState, Entity, Id, Severity, StateChange, Timestamp};
use serde::{Deserialize, Serialize};

/// Alerts and signals about one entity that belong together in time: what a person investigates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    pub id: Id,
    pub entity: Entity,
    pub state: AlertState,
    /// The highest severity of its alerts (of its signals if it has no alert), one higher when three or more
    /// tactics follow each other.
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

/// The tactics of ATT&CK Enterprise in the order of its matrix, which is the order of an attack.
pub const TACTICS: [&str; 14] = [
    "reconnaissance",
    "resource-development",
    "initial-access",
    "execution",
    "persistence",
    "privilege-escalation",
    "defense-evasion",
    "credential-access",
    "discovery",
    "lateral-movement",
    "collection",
    "command-and-control",
    "exfiltration",
    "impact",
];

/// The place of a tactic in [`TACTICS`].
pub fn tactic_place(tactic: &str) -> Option<usize> {
    TACTICS.iter().position(|t| *t == tactic)
}

/// How many tactics follow each other in the order of an attack: the longest chain in which each is later
/// in time than the one before and further on in [`TACTICS`]. `tactics` are sorted by time.
pub fn tactics_in_order(tactics: &[(&str, Timestamp)]) -> usize {
    let mut chains: Vec<(usize, Timestamp, usize)> = Vec::new();
    for (tactic, time) in tactics {
        let Some(place) = tactic_place(tactic) else { continue };
        let before = chains.iter().filter(|(p, t, _)| *p < place && t < time).map(|(.., length)| *length).max();
        chains.push((place, *time, before.unwrap_or(0) + 1));
    }
    chains.into_iter().map(|(.., length)| length).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(tactics: &[(&str, i64)]) -> usize {
        tactics_in_order(&tactics.iter().map(|(t, s)| (*t, Timestamp::from_secs(*s))).collect::<Vec<_>>())
    }

    #[test]
    fn tactics_progress_only_forwards_and_one_after_the_other() {
        assert_eq!(order(&[]), 0);
        assert_eq!(order(&[("initial-access", 1), ("persistence", 2), ("exfiltration", 3)]), 3);
        assert_eq!(order(&[("exfiltration", 1), ("persistence", 2), ("initial-access", 3)]), 1);
        assert_eq!(order(&[("initial-access", 1), ("impact", 2), ("discovery", 3), ("collection", 4)]), 3);
        assert_eq!(order(&[("initial-access", 1), ("persistence", 1), ("impact", 1)]), 1, "one alert is no progress");
        assert_eq!(order(&[("initial-access", 1), ("own-tactic", 2), ("impact", 3)]), 2);
    }
}
