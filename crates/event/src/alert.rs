use crate::{Entity, Finding, Id, Rule, Severity, Timestamp};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Where an alert stands in triage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    #[default]
    Open,
    Acknowledged,
    Closed,
}

impl AlertState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Closed => "closed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Open, Self::Acknowledged, Self::Closed].into_iter().find(|s| s.as_str() == text)
    }
}

/// Who moved an alert to which state, when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateChange {
    pub state: AlertState,
    pub actor: String,
    pub time: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Findings of one rule about one entity in one window: what a person triages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    pub id: Id,
    pub rule: Arc<Rule>,
    pub entity: Entity,
    pub severity: Severity,
    pub state: AlertState,
    /// Event time of the first and of the last finding.
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub finding_count: u64,
    pub event_count: u64,
    /// The summary of the newest finding.
    pub summary: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<CompactString>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_ip: Option<CompactString>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_name: Option<CompactString>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<(f64, f64, CompactString)>,
    /// Oldest first; empty while nobody has touched it.
    #[serde(default)]
    pub history: Vec<StateChange>,
}

impl Alert {
    /// The id of the alert that a finding belongs to. The rule's windows are aligned to the clock, so that
    /// the alert of a finding follows from the finding alone and a replay agrees.
    pub fn id_of(finding: &Finding) -> Id {
        Id::of(&[
            b"alert",
            finding.rule.id.as_bytes(),
            finding.entity.kind.as_str().as_bytes(),
            finding.entity.value.as_bytes(),
            &finding.time.floor(finding.rule.handling.dedup_secs.max(1)).0.to_le_bytes(),
        ])
    }

    /// A fresh alert with this finding as its first.
    pub fn from_finding(finding: &Finding) -> Self {
        Self {
            id: Self::id_of(finding),
            rule: finding.rule.clone(),
            entity: finding.entity.clone(),
            severity: finding.level,
            state: AlertState::Open,
            first_seen: finding.time,
            last_seen: finding.time,
            finding_count: 1,
            event_count: finding.event_count,
            summary: finding.explanation.summary.clone(),
            user: finding.user.clone(),
            source_ip: finding.source_ip.clone(),
            event_name: finding.event_name.clone(),
            place: finding.place.clone(),
            history: Vec::new(),
        }
    }

    /// Adds a further finding of the same rule, entity and window. The caller sees to it that no finding
    /// is added twice.
    pub fn absorb(&mut self, finding: &Finding) {
        self.severity = self.severity.max(finding.level);
        self.first_seen = self.first_seen.min(finding.time);
        if finding.time >= self.last_seen {
            self.last_seen = finding.time;
            self.summary.clone_from(&finding.explanation.summary);
        }
        self.finding_count += 1;
        self.event_count += finding.event_count;
    }
}
