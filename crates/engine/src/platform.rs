//! stub: what `api` sees of the running platform.
use event::{Rule, Severity, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use store::control::Control;
use store::lake::{LakeError, Page, Query};
use store::log::{Append, AppendError, Appended};

/// Counts by severity.
pub type BySeverity = BTreeMap<Severity, u64>;

#[derive(Clone, Debug, Default, Serialize)]
pub struct Totals {
    pub events: u64,
    pub events_last_hour: u64,
    pub findings: u64,
    pub findings_last_hour: u64,
    pub alerts_open: u64,
    pub bytes: u64,
    pub quarantined: u64,
    /// Events of the last ten seconds, per second.
    pub events_per_second: f64,
    /// Findings by level, last 24 h.
    pub severities: BySeverity,
    /// (rule id, rule name, level, findings) of the last 24 h, most first, at most 20.
    pub top_rules: Vec<(Arc<str>, Arc<str>, Severity, u64)>,
    /// HTTP status classes of the last 24 h: "2xx" → count.
    pub http_status: BTreeMap<String, u64>,
    /// Records in the log not yet processed, and their age in seconds.
    pub lag_records: u64,
    pub lag_secs: f64,
}

/// One bucket of the timeline, event time.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Bucket {
    pub start: Timestamp,
    pub events: u64,
    /// Events that matched no rule are counted as informational.
    pub severities: BySeverity,
    pub http_status: BTreeMap<String, u64>,
}

/// A user or an address with its counts of the last 24 h.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Top {
    pub value: String,
    pub events: u64,
    /// Events that matched a rule.
    pub suspicious: u64,
    /// … with level high or critical.
    pub high: u64,
    pub country: Option<String>,
    pub last_seen: Timestamp,
}

#[derive(Clone, Debug, Serialize)]
pub struct Technique {
    pub id: String,
    pub name: String,
    pub tactics: Vec<String>,
    /// Active rules that name it.
    pub rules: u64,
    /// Findings of the last 24 h that name it.
    pub findings: u64,
}

/// A live marker: where findings (or, with level informational, plain events) came from.
#[derive(Clone, Debug, Serialize)]
pub struct Marker {
    pub lat: f64,
    pub long: f64,
    pub country: String,
    pub city: Option<String>,
    pub ip: String,
    pub events: u64,
    pub severity: Severity,
    pub last_seen: Timestamp,
}

/// What goes to the sockets. JSON is serialised once, not per client.
#[derive(Clone)]
pub struct Live {
    /// Grows by one per message; a client resumes after the last it saw.
    pub seq: u64,
    pub topic: Topic,
    /// The message's data, as JSON text.
    pub json: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Topic {
    /// An event: `Event::to_json`. Sampled above 200 per second, threats first; the rest is counted.
    Event,
    /// A finding.
    Finding,
    /// A new or changed alert: `{"alert":…, "created":bool}`.
    Alert,
    /// Totals, once a second.
    Stats,
}

pub struct LiveReader;
impl LiveReader {
    /// The next messages; `Err(n)`: the reader was too slow and `n` messages are lost to it.
    pub async fn recv(&mut self) -> Result<Live, u64> {
        std::future::pending().await
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct Readiness {
    pub ready: bool,
    /// What is not ready, or notices such as an absent GeoIP database.
    pub reasons: Vec<String>,
    pub notices: Vec<String>,
}

/// The running platform, as the API sees it. Cheap to clone.
#[derive(Clone)]
pub struct Platform {
    control: Control,
}

impl Platform {
    pub fn control(&self) -> &Control {
        &self.control
    }
    pub async fn ingest(&self, append: Append) -> Result<Appended, AppendError> {
        let _ = append;
        Err(AppendError::Stopped("stub".into()))
    }
    /// Searches lake and tail; runs on the blocking pool.
    pub async fn events(&self, query: Query) -> Result<Page, LakeError> {
        let _ = query;
        Err(LakeError::Failed("stub".into()))
    }
    pub fn totals(&self) -> Totals {
        Totals::default()
    }
    /// Buckets of `bucket_secs` (a multiple of 60) over the last `hours` (at most 24), oldest first.
    pub fn timeline(&self, hours: u32, bucket_secs: u32) -> Vec<Bucket> {
        let _ = (hours, bucket_secs);
        vec![]
    }
    pub fn top_users(&self, limit: usize) -> Vec<Top> {
        let _ = limit;
        vec![]
    }
    pub fn top_ips(&self, limit: usize) -> Vec<Top> {
        let _ = limit;
        vec![]
    }
    pub fn coverage(&self) -> Vec<Technique> {
        vec![]
    }
    pub fn markers(&self) -> Vec<Marker> {
        vec![]
    }
    pub fn rules(&self) -> Vec<Arc<Rule>> {
        vec![]
    }
    /// Messages after `after_seq` that are still held (the last 4,096), then live ones.
    pub fn live(&self, after_seq: Option<u64>) -> LiveReader {
        let _ = after_seq;
        LiveReader
    }
    pub fn readiness(&self) -> Readiness {
        Readiness { ready: true, reasons: vec![], notices: vec![] }
    }
    /// Prometheus text of the engine's own metrics; `api` adds its own.
    pub fn metrics(&self, out: &mut String) {
        let _ = out;
    }
    /// The folder for secrets and the database.
    pub fn data_dir(&self) -> &std::path::Path {
        std::path::Path::new(".")
    }
    pub fn now(&self) -> Timestamp {
        Timestamp(0)
    }
}
