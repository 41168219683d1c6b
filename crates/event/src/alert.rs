use crate::{Entity, EntityKind, Finding, Id, Rule, Severity, Timestamp};
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

/// The entities beyond a rule's `alerts_per_hour` that share one alert.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Further {
    /// How many there are; exact up to [`Further::ENTITIES_MAX`].
    pub entities: u64,
    /// The first few, as `kind:value`.
    pub samples: Vec<String>,
}

impl Further {
    /// Entities told apart; one that comes later is counted among the findings only.
    pub const ENTITIES_MAX: u64 = 100_000;
    /// Entities that are named.
    pub const SAMPLES_MAX: usize = 5;
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
    /// Only in the alert that stands for those beyond the rule's limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub further: Option<Further>,
    /// The incident it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<Id>,
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

    /// The id of the alert that stands for what is beyond the rule's `alerts_per_hour` in the finding's hour.
    pub fn further_id_of(finding: &Finding) -> Id {
        Id::of(&[b"further", finding.rule.id.as_bytes(), &finding.time.floor(3_600).0.to_le_bytes()])
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
            further: None,
            incident: None,
        }
    }

    /// A fresh alert for what is beyond the rule's limit, with this finding as its first. No entity is counted
    /// yet.
    pub fn of_further(finding: &Finding) -> Self {
        Self {
            id: Self::further_id_of(finding),
            user: None,
            source_ip: None,
            place: None,
            further: Some(Further::default()),
            ..Self::from_finding(finding)
        }
    }

    /// Counts one more entity in the alert that stands for those beyond the limit.
    pub fn count_further(&mut self, entity: &Entity) {
        let further = self.further.get_or_insert_default();
        further.entities += 1;
        if further.samples.len() < Further::SAMPLES_MAX {
            further.samples.push(entity.to_string());
        }
        let n = further.entities;
        let most = if n >= Further::ENTITIES_MAX { "at least " } else { "" };
        let named = further.samples.join(", ");
        let rest = n - further.samples.len() as u64;
        let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
        let entities = if n == 1 { "1 further entity".to_owned() } else { format!("{most}{n} further entities") };
        self.summary = format!("{entities} within the hour, beyond the rule's limit of alerts: {named}{rest}");
        self.entity = Entity::new(EntityKind::Group, entities);
    }

    /// Adds a further finding of the same rule, entity and window. The caller sees to it that no finding
    /// is added twice, and knows whether this one is the `newest` so far.
    pub fn absorb(&mut self, finding: &Finding, newest: bool) {
        self.severity = self.severity.max(finding.level);
        self.first_seen = self.first_seen.min(finding.time);
        self.last_seen = self.last_seen.max(finding.time);
        if newest && self.further.is_none() {
            self.summary.clone_from(&finding.explanation.summary);
        }
        self.finding_count += 1;
        self.event_count += finding.event_count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Explanation, FindingStatus, RuleKind};

    fn finding(entity: &str) -> Finding {
        let rule = Rule {
            id: "r".into(), name: "R".into(), kind: RuleKind::Sigma, level: Severity::High, description: String::new(),
            techniques: vec![], tactics: vec![], false_positives: vec![], references: vec![], author: String::new(),
            file: String::new(), handling: Default::default(),
        };
        Finding {
            id: Id::of(&[entity.as_bytes()]), time: Timestamp::from_secs(5), rule: rule.into(), level: Severity::High,
            entity: Entity::new(EntityKind::User, entity), event_ids: vec![], positions: vec![], event_count: 1,
            window: None, explanation: Explanation::default(), status: FindingStatus::Final, revision: 0, replaces: None,
            user: None, source_ip: None, event_name: None, place: None,
        }
    }

    #[test]
    fn the_alert_beyond_the_limit_counts_exactly_and_names_a_few() {
        let mut alert = Alert::of_further(&finding("u0"));
        alert.count_further(&finding("u0").entity);
        assert_eq!((&*alert.entity.value, alert.entity.kind), ("1 further entity", EntityKind::Group));
        for n in 1..7 {
            alert.count_further(&finding(&format!("u{n}")).entity);
        }
        assert_eq!(&*alert.entity.value, "7 further entities");
        let want = "7 further entities within the hour, beyond the rule's limit of alerts: user:u0, user:u1, user:u2, user:u3, user:u4 and 2 more";
        assert_eq!(alert.summary, want);
        assert_ne!(alert.id, Alert::id_of(&finding("u0")));
    }
}
