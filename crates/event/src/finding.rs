use crate::{Event, Id, Position, Severity, Timestamp};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What kind of detector a rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// A Sigma detection rule: one event decides.
    Sigma,
    /// A Sigma correlation: several events decide.
    Correlation,
    /// A threat list.
    Intel,
    /// A detector of behaviour: travel, habit, rate, first-seen values, missing events.
    Behaviour,
    /// A saved search that runs by itself.
    ScheduledSearch,
}

/// How a rule's findings are handled once they exist: the rule's `erne:` attributes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Handling {
    /// A signal feeds incidents and risk scores, and pages nobody.
    pub signal: bool,
    /// Findings about one entity within this many seconds are one alert.
    pub dedup_secs: i64,
    /// Most new alerts in an hour; what is beyond is counted in one alert that says so.
    pub alerts_per_hour: u32,
    /// What one alert adds to its entity's risk score, 0 to 100; by level if absent.
    pub risk: Option<u8>,
    /// Seconds that a finding bans its source for, where rules may ban.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ban_secs: Option<i64>,
}

impl Default for Handling {
    fn default() -> Self {
        Self { signal: false, dedup_secs: 3_600, alerts_per_hour: 1_000, risk: None, ban_secs: None }
    }
}

/// What people and clients are told about a rule. The compiled rule stays inside `detect`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Sigma's `id`; for a rule without one, a hash of its title and file.
    pub id: Arc<str>,
    /// Sigma's `title`.
    pub name: Arc<str>,
    pub kind: RuleKind,
    pub level: Severity,
    #[serde(default)]
    pub description: String,
    /// ATT&CK technique ids in upper case, `T1110.003`.
    #[serde(default)]
    pub techniques: Vec<String>,
    /// ATT&CK tactics by their short names, `credential-access`.
    #[serde(default)]
    pub tactics: Vec<String>,
    #[serde(default)]
    pub false_positives: Vec<String>,
    #[serde(default)]
    pub references: Vec<String>,
    /// Sigma's `author`: shown with every alert, as the Detection Rule License asks.
    #[serde(default)]
    pub author: String,
    /// The file it came from, relative to the folder that was loaded.
    #[serde(default)]
    pub file: String,
    #[serde(default)]
    pub handling: Handling,
}

impl Rule {
    /// What one alert of the rule adds to its entity's risk score.
    pub fn risk(&self) -> u8 {
        self.handling.risk.unwrap_or(match self.level {
            Severity::Informational => 1,
            Severity::Low => 10,
            Severity::Medium => 25,
            Severity::High => 50,
            Severity::Critical => 80,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntityKind {
    User,
    Ip,
    Host,
    Service,
    Account,
    /// The group-by values of a correlation that are none of the above.
    Group,
    /// Nothing in the event says who.
    Unknown,
}

impl EntityKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Ip => "ip",
            Self::Host => "host",
            Self::Service => "service",
            Self::Account => "account",
            Self::Group => "group",
            Self::Unknown => "unknown",
        }
    }
}

/// Whom a finding is about: what alerts are grouped by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Entity {
    pub kind: EntityKind,
    pub value: CompactString,
}

impl Entity {
    pub fn new(kind: EntityKind, value: impl Into<CompactString>) -> Self {
        Self { kind, value: value.into() }
    }

    /// Whom a single event is about: the principal where there is one, else the address, the host, the
    /// application. An HTTP request is about the address even when it names a user.
    pub fn of(event: &Event) -> Self {
        let ocsf = &event.ocsf;
        let user = ocsf.user_name.as_ref().or(ocsf.user_uid.as_ref());
        let ip = ocsf.src.ip.as_ref();
        let (first, second) = match event.class {
            crate::Class::HttpActivity | crate::Class::Authentication => {
                (ip.map(|v| (EntityKind::Ip, v)), user.map(|v| (EntityKind::User, v)))
            }
            _ => (user.map(|v| (EntityKind::User, v)), ip.map(|v| (EntityKind::Ip, v))),
        };
        first
            .or(second)
            .or(ocsf.device_hostname.as_ref().map(|v| (EntityKind::Host, v)))
            .or(ocsf.product.as_ref().map(|v| (EntityKind::Service, v)))
            .map_or_else(|| Self::new(EntityKind::Unknown, &*event.source), |(k, v)| Self::new(k, v.clone()))
    }
}

impl std::fmt::Display for Entity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.kind.as_str(), self.value)
    }
}

/// One condition that held, with what was asked and what was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// The selection it belongs to, or the correlation's own word (`count`).
    pub selection: CompactString,
    /// The field as the rule names it; `keyword` for keyword searches.
    pub field: CompactString,
    /// The operator, in Sigma's words: `equals`, `contains`, `endswith`, `re`, `cidr`, `gte`, …
    pub operator: CompactString,
    /// The pattern that matched.
    pub expected: CompactString,
    /// The event's value, cut to 256 characters.
    pub actual: CompactString,
}

/// Why a finding exists: enough to decide at three in the morning without opening the rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// One sentence that names who, what and why.
    pub summary: String,
    pub conditions: Vec<Condition>,
}

/// Whether late events may still change a finding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingStatus {
    /// Told at once; events that are still allowed to come may revise it.
    Provisional,
    #[default]
    Final,
    /// Late events showed that it did not happen.
    Withdrawn,
}

/// One detector's output. Its id is a hash of its cause: the rule, and the event or the group and window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    pub id: Id,
    /// Event time: of the event, or of the one that completed the correlation.
    pub time: Timestamp,
    pub rule: Arc<Rule>,
    pub level: Severity,
    pub entity: Entity,
    /// The events, oldest first, at most [`Finding::EVENTS_MAX`] of them.
    pub event_ids: Vec<CompactString>,
    pub positions: Vec<Position>,
    /// How many events there were in all.
    pub event_count: u64,
    /// For correlations: when the window began and ended, in event time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<(Timestamp, Timestamp)>,
    pub explanation: Explanation,
    #[serde(default)]
    pub status: FindingStatus,
    /// Grows by one whenever the finding of this id is told again with other contents.
    #[serde(default)]
    pub revision: u32,
    /// The id it had before late events moved its beginning: that finding is to be replaced by this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Id>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<CompactString>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_ip: Option<CompactString>,
    /// The API call, the request's path, or the activity: what happened, in the source's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_name: Option<CompactString>,
    /// Latitude, longitude and country of the source address, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<(f64, f64, CompactString)>,
}

impl Finding {
    pub const EVENTS_MAX: usize = 100;

    /// The id of a rule's finding about one event.
    pub fn id_of_event(rule_id: &str, event: &Event) -> Id {
        Id::of(&[
            b"finding",
            rule_id.as_bytes(),
            &event.position.offset.to_le_bytes(),
            &event.position.index.to_le_bytes(),
            event.uid.as_bytes(),
        ])
    }
}
