use crate::analytics::{Bucket, BySeverity, Marker, Top};
use crate::attack::{Matrix, Technique};
use crate::live::{LiveReader, Topic};
use crate::pipeline::Shared;
use event::{Rule, Severity, Timestamp};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::control::Control;
use store::log::{Append, AppendError, Appended};

const TOP_RULES: usize = 20;

/// The overview's numbers.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Totals {
    pub events: u64,
    pub events_last_hour: u64,
    pub findings: u64,
    pub findings_last_hour: u64,
    /// Without signals.
    pub alerts_open: u64,
    pub incidents_open: u64,
    /// Bytes of the lake on disk.
    pub bytes: u64,
    /// Events since the start that could not be parsed and are kept raw.
    pub quarantined: u64,
    /// Events of the last ten seconds, per second.
    pub events_per_second: f64,
    /// Findings by level, last 24 h. Those of signal rules are in none of these numbers.
    pub severities: BySeverity,
    /// (rule id, rule name, level, findings) of the last 24 h, most first, at most 20.
    pub top_rules: Vec<(Arc<str>, Arc<str>, Severity, u64)>,
    /// HTTP status classes of the last 24 h: "2xx" → count.
    pub http_status: BTreeMap<&'static str, u64>,
    /// Records in the log not yet processed and visible to searches, and the age of the oldest of them in seconds.
    pub lag_records: u64,
    pub lag_secs: f64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Readiness {
    pub ready: bool,
    /// Why it is not ready.
    pub reasons: Vec<String>,
    /// What works less well than it could, such as an absent GeoIP database.
    pub notices: Vec<String>,
}

pub(crate) struct Inner {
    pub shared: Arc<Shared>,
    pub control: Control,
    pub matrix: Arc<Matrix>,
    pub notices: Vec<String>,
    pub data_dir: PathBuf,
    pub alerts_open: AtomicU64,
    /// A replay reads the whole lake: one at a time.
    pub replaying: Arc<tokio::sync::Semaphore>,
    pub incidents_open: AtomicU64,
    pub sql: sql::Sql,
    /// Exports under way.
    pub exporting: Arc<tokio::sync::Semaphore>,
    pub searching: Arc<tokio::sync::Semaphore>,
}

/// The running platform, as the API sees it. Cheap to clone.
#[derive(Clone)]
pub struct Platform(pub(crate) Arc<Inner>);

impl Platform {
    pub fn control(&self) -> &Control {
        &self.0.control
    }

    /// Resolves once the records are durable.
    pub async fn ingest(&self, append: Append) -> Result<Appended, AppendError> {
        let metrics = &self.0.shared.metrics;
        let (records, bytes) = (append.records.len(), append.records.iter().map(|r| r.body.len()).sum::<usize>());
        let result = self.0.shared.log.append(append).await;
        match &result {
            Ok(appended) if !appended.duplicate => {
                metrics.records.inc_by(records as u64);
                metrics.record_bytes.inc_by(bytes as u64);
            }
            Ok(_) => {}
            Err(error) => {
                let reason = match error {
                    AppendError::Busy { .. } => "busy",
                    AppendError::DiskFull { .. } => "disk_full",
                    AppendError::TooLarge { .. } => "too_large",
                    AppendError::Stopped(_) => "stopped",
                };
                metrics.refused.get_or_create(&crate::metrics::ReasonLabel { reason }).inc();
            }
        }
        result
    }

    pub fn totals(&self) -> Totals {
        let now = self.now();
        let lake = self.0.shared.lake.stats();
        let (lag_records, lag_secs) = self.lag(now);
        self.0.shared.hot.read(|counters| {
            let by_rule: Vec<_> = counters.findings.by_rule(now).into_iter().filter(|(rule, ..)| !rule.handling.signal).collect();
            let mut severities = BySeverity::new();
            for (_, level, count) in &by_rule {
                *severities.entry(*level).or_default() += count;
            }
            Totals {
                events: lake.rows + lake.tail_rows,
                events_last_hour: counters.analytics.events_since(now.plus_secs(-3600)),
                findings: counters.findings.total,
                findings_last_hour: counters.findings.last_hour(now),
                alerts_open: self.0.alerts_open.load(Ordering::Relaxed),
                incidents_open: self.0.incidents_open.load(Ordering::Relaxed),
                bytes: lake.bytes,
                quarantined: counters.quarantined,
                events_per_second: counters.rate.per_second(now),
                severities,
                top_rules: by_rule
                    .into_iter()
                    .take(TOP_RULES)
                    .map(|(rule, level, count)| (rule.id.clone(), rule.name.clone(), level, count))
                    .collect(),
                http_status: counters.analytics.http_status(),
                lag_records,
                lag_secs,
            }
        })
    }

    fn lag(&self, now: Timestamp) -> (u64, f64) {
        let shared = &self.0.shared;
        let (_, end) = shared.log.range();
        let done = shared.processed.load(Ordering::Acquire).min(shared.visible.load(Ordering::Acquire));
        let records = end.saturating_sub(done);
        let received = shared.processed_received.load(Ordering::Relaxed) as i64;
        let secs = if records == 0 || received == 0 { 0.0 } else { (now.0 - received).max(0) as f64 / 1e6 };
        (records, secs)
    }

    /// Buckets of `bucket_secs` (a multiple of 60) over the last `hours` (at most 24), oldest first.
    pub fn timeline(&self, hours: u32, bucket_secs: u32) -> Vec<Bucket> {
        let now = self.now();
        self.0.shared.hot.read(|counters| counters.analytics.timeline(hours, bucket_secs, now))
    }

    pub fn top_users(&self, limit: usize) -> Vec<Top> {
        self.0.shared.hot.read(|counters| counters.analytics.top_users(limit))
    }

    pub fn top_ips(&self, limit: usize) -> Vec<Top> {
        self.0.shared.hot.read(|counters| counters.analytics.top_ips(limit))
    }

    pub fn markers(&self) -> Vec<Marker> {
        self.0.shared.hot.read(|counters| counters.analytics.markers())
    }

    /// Every technique that an active rule names, with its findings of the last 24 h.
    pub fn coverage(&self) -> Vec<Technique> {
        self.coverage_of(|_| true)
    }

    /// As `coverage`, with the findings of rules that page people.
    pub fn coverage_without_signals(&self) -> Vec<Technique> {
        self.coverage_of(|rule| !rule.handling.signal)
    }

    fn coverage_of(&self, counts_for: impl Fn(&Rule) -> bool) -> Vec<Technique> {
        let now = self.now();
        let mut counts: HashMap<String, u64> = HashMap::new();
        let by_rule = self.0.shared.hot.read(|counters| counters.findings.by_rule(now));
        for (rule, _, count) in by_rule.into_iter().filter(|(rule, ..)| counts_for(rule)) {
            for technique in &rule.techniques {
                *counts.entry(technique.clone()).or_default() += count;
            }
        }
        self.0.matrix.coverage(self.0.shared.processor.load().rules(), &counts)
    }

    /// The name of an ATT&CK technique.
    pub fn technique_name(&self, id: &str) -> Option<&str> {
        self.0.matrix.name(id)
    }

    /// The active rules, the threat lists' among them.
    pub fn rules(&self) -> Vec<Arc<Rule>> {
        let processor = self.0.shared.processor.load();
        processor.rules().iter().chain(processor.list_rules()).cloned().collect()
    }

    /// Messages after `after_seq` that are still held (the last 4,096), then live ones.
    pub fn live(&self, after_seq: Option<u64>) -> LiveReader {
        LiveReader::new(self.0.shared.hot.ring.clone(), after_seq)
    }

    /// Tells the sockets that people changed alerts.
    pub fn announce(&self, alerts: &[event::Alert]) {
        for alert in alerts.iter().filter(|alert| !alert.rule.handling.signal) {
            let json = serde_json::json!({"alert": alert, "created": false}).to_string();
            self.0.shared.hot.ring.publish(Topic::Alert, json);
        }
    }

    /// Tells the sockets that people changed incidents.
    pub fn announce_incidents(&self, incidents: &[event::Incident]) {
        for incident in incidents {
            let json = serde_json::json!({"incident": incident, "created": false}).to_string();
            self.0.shared.hot.ring.publish(Topic::Incident, json);
        }
    }

    /// The exceptions in the control plane are no longer those that the rules were built with.
    pub fn exceptions_changed(&self) {
        self.0.shared.exceptions_generation.fetch_add(1, Ordering::Release);
        self.0.shared.exceptions_changed.notify_waiters();
    }

    /// How often [`Platform::exceptions_changed`] was called: rules built at an earlier number are out of date.
    pub fn exceptions_generation(&self) -> u64 {
        self.0.shared.exceptions_generation.load(Ordering::Acquire)
    }

    pub fn readiness(&self) -> Readiness {
        let shared = &self.0.shared;
        let mut reasons: Vec<String> = shared.failure.lock().clone().into_iter().collect();
        reasons.extend(shared.control_health.reasons());
        let searches = shared.failing_searches.lock();
        let searches = searches.iter().map(|(name, error)| format!("the scheduled search {name:?} fails: {error}"));
        let stores = shared.sinks.notices().into_iter().chain(shared.lake.stats().notices).chain(shared.answer.notices());
        let notices = self.0.notices.iter().cloned().chain(shared.content.notices()).chain(stores).chain(searches).collect();
        Readiness { ready: reasons.is_empty(), reasons, notices }
    }

    /// Prometheus text of the engine's own metrics; `api` adds its own.
    pub fn metrics(&self, out: &mut String) {
        let shared = &self.0.shared;
        let (lake, (lag, _)) = (shared.lake.stats(), self.lag(self.now()));
        shared.metrics.lag_records.set(lag as i64);
        shared.metrics.log_bytes.set(shared.log.bytes() as i64);
        shared.metrics.lake_rows.set(lake.rows as i64);
        shared.metrics.lake_files.set(lake.files as i64);
        shared.metrics.tail_rows.set(lake.tail_rows as i64);
        let deleted = |why: &'static str, rows: u64| {
            shared.metrics.lake_deleted.get_or_create(&crate::metrics::ReasonLabel { reason: why }).set(rows as i64);
        };
        deleted("age", lake.deleted_for_age);
        deleted("size", lake.deleted_for_size);
        shared.metrics.lake_cache_bytes.set(lake.cache_bytes as i64);
        shared.metrics.lake_uploaded.set(lake.uploaded_bytes as i64);
        shared.metrics.lake_downloaded.set(lake.downloaded_bytes as i64);
        shared.metrics.tell_sql(&self.sql_load());
        shared.metrics.text_bytes.set(lake.text_bytes as i64);
        shared.metrics.text_missing.set(lake.text_missing as i64);
        shared.metrics.count_sinks(&shared.sinks, shared.visible.load(Ordering::Acquire));
        shared.metrics.encode(out);
        shared.answer.metrics(out);
    }

    /// The folder for secrets and the database.
    pub fn data_dir(&self) -> &Path {
        &self.0.data_dir
    }

    pub fn now(&self) -> Timestamp {
        (self.0.shared.now)()
    }
}
