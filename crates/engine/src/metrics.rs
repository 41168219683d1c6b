//! The engine's own counters, in Prometheus text. Every one is computed where its name says.

use crate::sinks::Sinks;
use detect::Lateness;
use event::{Event, Format, Severity, Timestamp};
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct FormatLabel {
    pub format: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct ReasonLabel {
    pub reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct LevelLabel {
    pub level: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct SourceLabel {
    pub source: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct SinkLabel {
    pub sink: String,
}

/// Sources that are counted by name; senders choose names, and each is a time series for ever.
const SOURCES_MAX: usize = 100;
const OTHER_SOURCES: &str = "_other";

/// Since the start, but for the last two.
const SINK_GAUGES: [(&str, &str); 7] = [
    ("sink_events", "Events written to a sink"),
    ("sink_findings", "Findings written to a sink, each telling"),
    ("sink_refused", "Rows that a sink's server will not take: they are in its dead-letter file"),
    ("sink_failures", "Writes to a sink that failed and were repeated"),
    ("sink_skipped_records", "Records that were gone from the log before the sink could take them"),
    ("sink_lag_records", "Records that a sink has not written yet"),
    ("sink_up", "1 while a sink's last write succeeded"),
];

pub(crate) struct Metrics {
    registry: Registry,
    pub records: Counter,
    pub record_bytes: Counter,
    pub refused: Family<ReasonLabel, Counter>,
    pub events: Family<FormatLabel, Counter>,
    pub issues: Family<ReasonLabel, Counter>,
    pub quarantined: Counter,
    events_late: Family<SourceLabel, Counter>,
    watermark: Family<SourceLabel, Gauge<f64, AtomicU64>>,
    sources: Mutex<HashSet<Arc<str>>>,
    /// Written events and findings, refused rows, failed writes, skipped records, records behind, whether it works.
    sinks: [Family<SinkLabel, Gauge<i64, AtomicI64>>; 7],
    pub findings: Family<LevelLabel, Counter>,
    pub alerts: Family<LevelLabel, Counter>,
    pub signals: Counter,
    pub alerts_withdrawn: Counter,
    pub findings_capped: Counter,
    pub incidents: Family<LevelLabel, Counter>,
    pub incidents_open: Gauge<i64, AtomicI64>,
    pub live_skipped: Counter,
    pub rule_reloads: Family<ReasonLabel, Counter>,
    /// Receipt to commit, seconds.
    pub latency: Histogram,
    pub scheduled_runs: Family<ReasonLabel, Counter>,
    pub scheduled_secs: Histogram,
    pub scheduled_findings: Counter,
    pub scheduled_skipped: Counter,
    pub lag_records: Gauge<i64, AtomicI64>,
    pub log_bytes: Gauge<i64, AtomicI64>,
    pub lake_rows: Gauge<i64, AtomicI64>,
    pub lake_files: Gauge<i64, AtomicI64>,
    pub text_bytes: Gauge<i64, AtomicI64>,
    pub text_missing: Gauge<i64, AtomicI64>,
    pub tail_rows: Gauge<i64, AtomicI64>,
    pub lake_deleted: Family<ReasonLabel, Gauge<i64, AtomicI64>>,
    pub lake_cache_bytes: Gauge<i64, AtomicI64>,
    pub lake_uploaded: Gauge<i64, AtomicI64>,
    pub lake_downloaded: Gauge<i64, AtomicI64>,
    pub stalled: Gauge<f64, AtomicU64>,
    sql_running: Gauge<i64, AtomicI64>,
    sql_waiting: Gauge<i64, AtomicI64>,
    sql_memory: Gauge<i64, AtomicI64>,
    sql_queries: Family<ReasonLabel, Gauge<i64, AtomicI64>>,
}

impl Metrics {
    pub fn new() -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("erne"),
            records: Counter::default(),
            record_bytes: Counter::default(),
            refused: Family::default(),
            events: Family::default(),
            issues: Family::default(),
            quarantined: Counter::default(),
            events_late: Family::default(),
            watermark: Family::default(),
            sources: Mutex::default(),
            sinks: Default::default(),
            findings: Family::default(),
            alerts: Family::default(),
            signals: Counter::default(),
            alerts_withdrawn: Counter::default(),
            findings_capped: Counter::default(),
            incidents: Family::default(),
            incidents_open: Gauge::default(),
            live_skipped: Counter::default(),
            rule_reloads: Family::default(),
            latency: Histogram::new(exponential_buckets(0.001, 2.0, 16)),
            scheduled_runs: Family::default(),
            scheduled_secs: Histogram::new(exponential_buckets(0.005, 2.0, 14)),
            scheduled_findings: Counter::default(),
            scheduled_skipped: Counter::default(),
            lag_records: Gauge::default(),
            log_bytes: Gauge::default(),
            lake_rows: Gauge::default(),
            lake_files: Gauge::default(),
            text_bytes: Gauge::default(),
            text_missing: Gauge::default(),
            tail_rows: Gauge::default(),
            lake_deleted: Family::default(),
            lake_cache_bytes: Gauge::default(),
            lake_uploaded: Gauge::default(),
            lake_downloaded: Gauge::default(),
            stalled: Gauge::default(),
            sql_running: Gauge::default(),
            sql_waiting: Gauge::default(),
            sql_memory: Gauge::default(),
            sql_queries: Family::default(),
        };
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let r = &mut self.registry;
        r.register("ingest_records", "Records made durable", self.records.clone());
        r.register("ingest_bytes", "Bytes of records made durable", self.record_bytes.clone());
        r.register("ingest_refused", "Appends refused, by reason", self.refused.clone());
        r.register("events", "Events processed, by format", self.events.clone());
        r.register("event_issues", "Events that could not be read cleanly, by reason", self.issues.clone());
        r.register("events_quarantined", "Events kept raw because they could not be parsed", self.quarantined.clone());
        r.register("events_late", "Events that came later than their source may be: final windows do not count them", self.events_late.clone());
        r.register("watermark_timestamp_seconds", "Event time up to which a source's windows are decided", self.watermark.clone());
        for (family, (name, help)) in self.sinks.iter().zip(SINK_GAUGES) {
            r.register(name, help, family.clone());
        }
        r.register("findings", "Findings raised, by level", self.findings.clone());
        r.register("alerts", "Alerts created, by level", self.alerts.clone());
        r.register("signals", "Signals created", self.signals.clone());
        r.register("alerts_withdrawn", "Alerts closed because late events took their last finding", self.alerts_withdrawn.clone());
        r.register("findings_capped", "Findings counted in an alert about further entities, beyond a rule's limit", self.findings_capped.clone());
        r.register("incidents", "Incidents opened, by level at the time", self.incidents.clone());
        r.register("incidents_open", "Incidents in state open", self.incidents_open.clone());
        r.register("live_events_skipped", "Events not sent to sockets because of sampling", self.live_skipped.clone());
        r.register("rule_reloads", "Edits of rules while running, by whether they were loaded or refused", self.rule_reloads.clone());
        r.register("processing_latency_seconds", "From receipt to commit", self.latency.clone());
        r.register("scheduled_runs", "Windows that scheduled searches looked at, by whether that worked", self.scheduled_runs.clone());
        r.register("scheduled_run_seconds", "How long a scheduled search ran", self.scheduled_secs.clone());
        r.register("scheduled_findings", "Findings of scheduled searches, told for the first time", self.scheduled_findings.clone());
        r.register("scheduled_windows_skipped", "Windows of scheduled searches that were missed and are too many to catch up", self.scheduled_skipped.clone());
        r.register("lag_records", "Records in the log that are not yet processed", self.lag_records.clone());
        r.register("log_bytes", "Bytes of the log on disk", self.log_bytes.clone());
        r.register("lake_rows", "Rows of the lake's table", self.lake_rows.clone());
        r.register("lake_files", "Files of the lake's table", self.lake_files.clone());
        r.register("lake_text_index_bytes", "Bytes of the text indexes beside the lake's files", self.text_bytes.clone());
        r.register("lake_files_without_text_index", "Files of the lake whose text is not indexed yet", self.text_missing.clone());
        r.register("lake_tail_rows", "Rows in memory before their file is written", self.tail_rows.clone());
        r.register("lake_deleted_events", "Events deleted by retention since the start, by reason", self.lake_deleted.clone());
        r.register("lake_cache_bytes", "Local disk taken by the cache of a lake in an object store", self.lake_cache_bytes.clone());
        r.register("lake_uploaded_bytes", "Bytes sent to the lake's object store since the start", self.lake_uploaded.clone());
        r.register("lake_downloaded_bytes", "Bytes read from the lake's object store since the start", self.lake_downloaded.clone());
        r.register("processor_stalled", "1 while the processor is stopped by a failing store", self.stalled.clone());
        r.register("sql_running", "Queries in SQL that run", self.sql_running.clone());
        r.register("sql_waiting", "Queries in SQL that wait for their turn", self.sql_waiting.clone());
        r.register("sql_memory_bytes", "Memory that queries in SQL have reserved", self.sql_memory.clone());
        r.register("sql_queries", "Queries in SQL since the start, by how they ended", self.sql_queries.clone());
        self
    }

    pub fn tell_sql(&self, load: &sql::Load) {
        self.sql_running.set(load.running as i64);
        self.sql_waiting.set(load.waiting as i64);
        self.sql_memory.set(load.memory_bytes as i64);
        for (reason, count) in [("done", load.done), ("failed", load.failed), ("refused", load.refused)] {
            self.sql_queries.get_or_create(&ReasonLabel { reason }).set(count as i64);
        }
    }

    pub fn count_event(&self, event: &Event) {
        self.events.get_or_create(&FormatLabel { format: event.format.as_str() }).inc();
        for issue in &event.issues {
            self.issues.get_or_create(&ReasonLabel { reason: issue.code }).inc();
        }
        if is_quarantined(event) {
            self.quarantined.inc();
        }
    }

    pub fn count_sinks(&self, sinks: &Sinks, visible: u64) {
        for status in sinks.statuses() {
            let label = SinkLabel { sink: status.name.clone() };
            let read = |count: &AtomicU64| count.load(Ordering::Relaxed) as i64;
            let values = [
                read(&status.events),
                read(&status.findings),
                read(&status.refused),
                read(&status.failures),
                read(&status.skipped),
                visible.saturating_sub(status.next.load(Ordering::Relaxed)) as i64,
                i64::from(status.trouble.lock().is_none()),
            ];
            for (family, value) in self.sinks.iter().zip(values) {
                family.get_or_create(&label).set(value);
            }
        }
    }

    /// Late events and the watermark of each source, by the log's clock as stateful rules read it.
    pub fn count_arrivals(&self, events: &[Event], lateness: &Lateness) {
        for run in events.chunk_by(|a, b| Arc::ptr_eq(&a.source, &b.source)) {
            let Some(last) = run.last() else { continue };
            let late = run.iter().filter(|e| e.time < watermark(e, lateness)).count();
            let label = SourceLabel { source: self.source_name(&last.source) };
            self.events_late.get_or_create(&label).inc_by(late as u64);
            self.watermark.get_or_create(&label).set(watermark(last, lateness).0 as f64 / 1e6);
        }
    }

    fn source_name(&self, source: &Arc<str>) -> String {
        let mut sources = self.sources.lock();
        if sources.contains(source) || (sources.len() < SOURCES_MAX && sources.insert(source.clone())) {
            return source.to_string();
        }
        OTHER_SOURCES.to_owned()
    }

    /// Matches of informational rules, which are not told one by one.
    pub fn count_untold(&self, count: u64) {
        self.findings.get_or_create(&LevelLabel { level: Severity::Informational.as_str() }).inc_by(count);
    }

    pub fn count_finding(&self, level: Severity) {
        self.findings.get_or_create(&LevelLabel { level: level.as_str() }).inc();
    }

    pub fn count_projected(&self, projected: &store::control::Projected) {
        for (alert, _) in projected.alerts.iter().filter(|(_, created)| *created) {
            if alert.rule.handling.signal {
                self.signals.inc();
            } else {
                self.alerts.get_or_create(&LevelLabel { level: alert.severity.as_str() }).inc();
            }
        }
        for (incident, _) in projected.incidents.iter().filter(|(_, created)| *created) {
            self.incidents.get_or_create(&LevelLabel { level: incident.severity.as_str() }).inc();
        }
        self.alerts_withdrawn.inc_by(projected.withdrawn);
        self.findings_capped.inc_by(projected.capped);
    }

    pub fn encode(&self, out: &mut String) {
        if let Err(error) = prometheus_client::encoding::text::encode(out, &self.registry) {
            tracing::error!(%error, "metrics cannot be written");
        }
    }
}

fn watermark(event: &Event, lateness: &Lateness) -> Timestamp {
    event.received.plus_secs(-i64::from(lateness.secs(event)))
}

/// An entry that its format's reader could not make sense of: kept raw, with the reason.
pub(crate) fn is_quarantined(event: &Event) -> bool {
    event.format == Format::Raw && !event.issues.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::Position;

    #[test]
    fn late_events_and_watermarks_are_counted_by_source() {
        let metrics = Metrics::new();
        let event = |source: &str, received: i64, age: i64| {
            let received = Timestamp(received * 1_000_000);
            let position = Position { offset: 0, index: 0 };
            let mut event = Event::new("u".into(), position, received, source.into(), Format::Json, Default::default());
            event.time = received.plus_secs(-age);
            event
        };
        let events = [event("fast", 1_000, 60), event("fast", 1_010, 61), event("slow", 1_000, 61)];
        metrics.count_arrivals(&events, &Lateness::new([("slow".to_owned(), 600)]));
        let many: Vec<Event> = (0..2 * SOURCES_MAX).map(|i| event(&format!("s{i}"), 1_000, 0)).collect();
        metrics.count_arrivals(&many, &Lateness::default());
        let mut text = String::new();
        metrics.encode(&mut text);
        assert!(text.contains(r#"erne_events_late_total{source="fast"} 1"#), "{text}");
        assert!(text.contains(r#"erne_events_late_total{source="slow"} 0"#), "{text}");
        assert!(text.contains(r#"erne_watermark_timestamp_seconds{source="fast"} 950"#), "{text}");
        assert!(text.contains(r#"erne_watermark_timestamp_seconds{source="slow"} 400"#), "{text}");
        assert!(text.contains(r#"source="_other""#), "{text}");
    }
}
