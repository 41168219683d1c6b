use crate::{Format, Severity, Timestamp, Value};
use bytes::Bytes;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Where in the log an event came from: the record's offset, and which event of the record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    pub offset: u64,
    pub index: u32,
}

/// The OCSF event class, by its caption. People see the caption, never the number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Class {
    /// 0, for what no other class fits.
    #[default]
    BaseEvent,
    /// 6003: a call of a cloud or service API.
    ApiActivity,
    /// 4002: a request to a web server.
    HttpActivity,
    /// 3002: a logon, a logoff, a failed attempt.
    Authentication,
    /// 6008: a line of an application's log.
    ApplicationLog,
}

impl Class {
    /// OCSF's `class_uid`. The thousands are the category.
    pub fn uid(self) -> u32 {
        match self {
            Self::BaseEvent => 0,
            Self::ApiActivity => 6_003,
            Self::HttpActivity => 4_002,
            Self::Authentication => 3_002,
            Self::ApplicationLog => 6_008,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::BaseEvent => "Base Event",
            Self::ApiActivity => "API Activity",
            Self::HttpActivity => "HTTP Activity",
            Self::Authentication => "Authentication",
            Self::ApplicationLog => "Application Log",
        }
    }
}

/// OCSF `status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Status {
    #[default]
    Unknown,
    Success,
    Failure,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::Success => "Success",
            Self::Failure => "Failure",
        }
    }
}

/// Sigma's `logsource` of an event. A rule that names a part runs only on events with that part; an
/// empty part matches only rules that do not name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LogSource {
    pub product: &'static str,
    pub category: &'static str,
    pub service: &'static str,
}

/// Why an event is not as clean as it looks. It is kept all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// A stable word for counting: `invalid_json`, `duplicate_key`, `bad_time`, …
    pub code: &'static str,
    /// What is wrong, for people.
    pub detail: CompactString,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Location {
    /// ISO 3166-1 alpha-2.
    pub country: Option<CompactString>,
    pub city: Option<CompactString>,
    pub lat: Option<f64>,
    pub long: Option<f64>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct AutonomousSystem {
    pub number: Option<i64>,
    pub name: Option<CompactString>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Endpoint {
    /// Canonical text form (RFC 5952 for IPv6); empty when the log named no address.
    pub ip: Option<CompactString>,
    pub port: Option<i64>,
    pub hostname: Option<CompactString>,
    pub location: Location,
    pub autonomous_system: AutonomousSystem,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Http {
    pub method: Option<CompactString>,
    /// The path without the query, as sent.
    pub path: Option<CompactString>,
    pub query: Option<CompactString>,
    pub hostname: Option<CompactString>,
    pub version: Option<CompactString>,
    pub referrer: Option<CompactString>,
    pub user_agent: Option<CompactString>,
    pub response_code: Option<i64>,
    pub response_bytes: Option<i64>,
}

/// The parsed user agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserAgent {
    pub name: Option<CompactString>,
    pub os: Option<CompactString>,
    pub device: Option<CompactString>,
}

/// The normalised part, under OCSF's names (see `COLUMNS` for the paths).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ocsf {
    pub activity: Option<CompactString>,
    pub status: Status,
    pub status_detail: Option<CompactString>,
    pub message: Option<CompactString>,
    /// The principal: who did it, or who tried to log on.
    pub user_name: Option<CompactString>,
    pub user_uid: Option<CompactString>,
    pub user_type: Option<CompactString>,
    pub src: Endpoint,
    pub dst: Endpoint,
    pub device_hostname: Option<CompactString>,
    pub process_name: Option<CompactString>,
    pub process_pid: Option<i64>,
    pub api_operation: Option<CompactString>,
    pub api_service: Option<CompactString>,
    pub cloud_provider: Option<CompactString>,
    pub cloud_region: Option<CompactString>,
    pub cloud_account: Option<CompactString>,
    pub resource: Option<CompactString>,
    /// The application or service that wrote the line.
    pub product: Option<CompactString>,
    pub http: Http,
    pub user_agent: UserAgent,
    /// Kinds of attack that the source itself names, the likeliest first.
    pub finding_types: Vec<CompactString>,
}

/// What one entry of a record says. Never dropped: what cannot be read is an event with `issues`.
#[derive(Clone, Debug)]
pub struct Event {
    /// The source's own unique id where it has one (CloudTrail's `eventID`), else a hash of the position.
    pub uid: CompactString,
    pub position: Position,
    /// When it happened by the source's word; the time of receipt where the source gives none.
    pub time: Timestamp,
    pub received: Timestamp,
    pub source: Arc<str>,
    pub format: Format,
    pub class: Class,
    pub log_source: LogSource,
    pub ocsf: Ocsf,
    /// The fields under their native names, for rules.
    pub native: Value,
    /// The entry's bytes, untouched.
    pub raw: Bytes,
    pub issues: Vec<Issue>,
    /// Names of threat lists that the event's addresses or domains are on; set by `detect`.
    pub threat_lists: Vec<Arc<str>>,
    /// Ids of the rules that the event itself matched; set by `detect`.
    pub rules: Vec<Arc<str>>,
    /// The worst level of those rules.
    pub severity: Severity,
}

impl Event {
    /// An event with everything empty but what every event has.
    pub fn new(uid: CompactString, position: Position, received: Timestamp, source: Arc<str>, format: Format, raw: Bytes) -> Self {
        Self {
            uid,
            position,
            time: received,
            received,
            source,
            format,
            class: Class::BaseEvent,
            log_source: LogSource::default(),
            ocsf: Ocsf::default(),
            native: Value::Null,
            raw,
            issues: Vec::new(),
            threat_lists: Vec::new(),
            rules: Vec::new(),
            severity: Severity::Informational,
        }
    }

    /// Whether a rule above informational or a threat list marked it. Informational rules are context: a cron
    /// job's every run may match one.
    pub fn is_threat(&self) -> bool {
        self.severity > Severity::Informational || !self.threat_lists.is_empty()
    }

    /// The raw bytes as text, invalid UTF-8 replaced.
    pub fn raw_text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.raw)
    }
}
