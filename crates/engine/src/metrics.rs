//! The engine's own counters, in Prometheus text. Every one is computed where its name says.

use event::{Event, Format, Severity};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::sync::atomic::{AtomicI64, AtomicU64};

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

pub(crate) struct Metrics {
    registry: Registry,
    pub records: Counter,
    pub record_bytes: Counter,
    pub refused: Family<ReasonLabel, Counter>,
    pub events: Family<FormatLabel, Counter>,
    pub issues: Family<ReasonLabel, Counter>,
    pub quarantined: Counter,
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
    pub lag_records: Gauge<i64, AtomicI64>,
    pub log_bytes: Gauge<i64, AtomicI64>,
    pub lake_rows: Gauge<i64, AtomicI64>,
    pub lake_files: Gauge<i64, AtomicI64>,
    pub tail_rows: Gauge<i64, AtomicI64>,
    pub stalled: Gauge<f64, AtomicU64>,
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
            lag_records: Gauge::default(),
            log_bytes: Gauge::default(),
            lake_rows: Gauge::default(),
            lake_files: Gauge::default(),
            tail_rows: Gauge::default(),
            stalled: Gauge::default(),
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
        r.register("lag_records", "Records in the log that are not yet processed", self.lag_records.clone());
        r.register("log_bytes", "Bytes of the log on disk", self.log_bytes.clone());
        r.register("lake_rows", "Rows of the lake's table", self.lake_rows.clone());
        r.register("lake_files", "Files of the lake's table", self.lake_files.clone());
        r.register("lake_tail_rows", "Rows in memory before their file is written", self.tail_rows.clone());
        r.register("processor_stalled", "1 while the processor is stopped by a failing store", self.stalled.clone());
        self
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

/// An entry that its format's reader could not make sense of: kept raw, with the reason.
pub(crate) fn is_quarantined(event: &Event) -> bool {
    event.format == Format::Raw && !event.issues.is_empty()
}
