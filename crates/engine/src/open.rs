//! Opens the stores a configuration names and starts the threads: a table of constructors, in order.

use crate::analytics::Counted;
use crate::attack::Matrix;
use crate::config::Config;
use crate::content::{self, RuleTexts};
use crate::hot::Hot;
use crate::live::Topic;
use crate::metrics::Metrics;
use crate::pipeline::{self, Shared};
use crate::platform::{Inner, Platform};
use crate::processor::Processor;
use crate::stateful::Stateful;
use crate::projector::{self, ControlHealth};
use crate::reload::{self, Content};
use crate::schedule;
use crate::sources;
use arc_swap::ArcSwap;
use detect::{Detector, Lateness, LoadIssue};
use event::{Severity, Timestamp};
use parking_lot::Mutex;
use parse::enrich::Enricher;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use store::control::Control;
use store::lake::{DeletedFor, Lake, Tuning};
use store::log::{LogConfig, SegmentLog};
use store::state::FjallState;

/// Why the platform cannot start. Each names what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the data folder {dir} cannot be used: {source}")]
    DataDir { dir: String, source: std::io::Error },
    #[error(transparent)]
    Log(#[from] store::log::LogError),
    #[error(transparent)]
    State(#[from] store::state::StateError),
    #[error(transparent)]
    Lake(#[from] store::lake::LakeError),
    #[error(transparent)]
    Control(#[from] store::control::ControlError),
    #[error(transparent)]
    Sql(#[from] sql::SqlError),
    #[error("{0}")]
    Sink(String),
    #[error("{0}")]
    Answer(String),
    #[error("a thread cannot be started: {0}")]
    Thread(std::io::Error),
}

/// Exports at once: each reads the lake from end to end.
const EXPORTS_MAX: usize = 2;

/// A platform with its threads. Dropping it does not stop them: call [`Running::stop`].
pub struct Running {
    pub platform: Platform,
    /// Rules and lists that could not be loaded.
    pub load_issues: Vec<LoadIssue>,
    threads: Vec<JoinHandle<()>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Running {
    /// Finishes what was read, flushes the lake and syncs the state.
    pub async fn stop(self) {
        let shared = self.platform.0.shared.clone();
        shared.stop.store(true, Ordering::Relaxed);
        shared.committed.notify_waiters();
        let threads = self.threads;
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                if thread.join().is_err() {
                    tracing::error!("a pipeline thread ended by a panic");
                }
            }
        });
        let _ = joined.await;
        for task in self.tasks {
            let _ = task.await;
        }
        if let Err(error) = shared.state.sync() {
            tracing::error!(%error, "the state was not synced; what is lost comes again from the log");
        }
    }
}

/// Opens everything below `config.data_dir`, resumes and runs.
pub async fn start(config: &Config) -> Result<Running, OpenError> {
    let dir = &config.data_dir;
    create_private_dir(dir).map_err(|source| OpenError::DataDir { dir: dir.display().to_string(), source })?;
    let (processor, texts, load_issues, mut notices) = processor(config);
    let state = FjallState::open(&dir.join("state"))?;
    let lake = Lake::open_at(&config.lake_location(), config.lake_config(), Tuning::default())?;
    let control = open_control(config).await?;
    let loaded = store::state::StateStore::load(&state)?;
    let covered = lake.covered();
    // Offsets that state or lake know must never be given out again, even if log files were lost.
    let log = LogConfig { next_offset_min: loaded.next_offset.max(covered), ..log_config(config) };
    let log = SegmentLog::open(&dir.join("log"), log)?;
    notices.extend(log.notices().iter().cloned());
    notices.extend(lake.stats().notices);

    let matrix = Arc::new(Matrix::builtin());
    let names = matrix.clone();
    let technique: connect::sinks::TechniqueName = Arc::new(move |id| names.name(id).map(str::to_owned));
    let (sinks, opened) = crate::sinks::open(&config.sinks, dir, store::log::Log::range(&log).1, &technique).map_err(OpenError::Sink)?;

    let runners = crate::answer::Runner::open(&config.answer.actions, dir).map_err(OpenError::Answer)?;
    let answer = Arc::new(crate::answer::Answer::new(&config.answer, runners).map_err(OpenError::Answer)?);
    let mut stateful = Stateful::new(processor.rule_set());
    let mut stale = Vec::new();
    for (key, value) in &loaded.entries {
        if !stateful.restore(key, value) {
            stale.push(key.clone());
        }
    }
    let shared = Arc::new(Shared {
        log: Arc::new(log),
        state: Arc::new(state),
        lake: Arc::new(lake),
        processor: ArcSwap::from_pointee(processor),
        content: Content::new(config.content(), texts, load_issues.clone()),
        hot: Hot::default(),
        metrics: Metrics::new(),
        sinks,
        answer,
        sinks_bytes_max: config.log.backlog_bytes_max / 2,
        processed: AtomicU64::new(loaded.next_offset),
        processed_received: AtomicU64::new(0),
        visible: AtomicU64::new(covered),
        stop: AtomicBool::new(false),
        committed: tokio::sync::Notify::new(),
        exceptions_generation: AtomicU64::new(0),
        exceptions_changed: tokio::sync::Notify::new(),
        failure: Mutex::new(None),
        control_health: ControlHealth::default(),
        handed_in: Default::default(),
        failing_searches: Default::default(),
        now,
    });
    restore_findings(&shared, &control).await?;
    reload::load_exceptions(&shared, &control).await?;
    let from = covered.min(loaded.next_offset);
    let workers = if config.workers > 0 { config.workers } else { cores() };
    let mut threads = pipeline::spawn(&shared, stateful, stale, from, workers).map_err(OpenError::Thread)?;
    threads.push(restore_events(&shared, covered).map_err(OpenError::Thread)?);
    threads.push(reload::watch(&shared).map_err(OpenError::Thread)?);
    for file in &config.files {
        let runtime = tokio::runtime::Handle::current();
        threads.push(sources::follow(&shared, file.clone(), dir, runtime).map_err(OpenError::Thread)?);
    }
    threads.extend(crate::sinks::spawn(&shared, &control, opened, &tokio::runtime::Handle::current()).map_err(OpenError::Thread)?);
    threads.extend(crate::answer::spawn(&shared).map_err(OpenError::Thread)?);
    shared.answer.refresh(&shared, &control).await?;
    let platform = Platform(Arc::new(Inner {
        shared: shared.clone(),
        control: control.clone(),
        matrix,
        notices,
        data_dir: dir.clone(),
        alerts_open: AtomicU64::new(0),
        replaying: Arc::new(tokio::sync::Semaphore::new(1)),
        searching: Arc::new(tokio::sync::Semaphore::new(crate::SEARCHES_MAX)),
        incidents_open: AtomicU64::new(0),
        sql: sql::Sql::new(config.sql.budget())?,
        exporting: Arc::new(tokio::sync::Semaphore::new(EXPORTS_MAX)),
    }));
    let tasks = vec![
        tokio::spawn(reload::follow_exceptions(shared.clone(), control.clone())),
        tokio::spawn(projector::run(shared.clone(), control.clone())),
        tokio::spawn(crate::answer::run(shared.clone(), control.clone())),
        tokio::spawn(schedule::run(shared.clone(), control)),
        tokio::spawn(report(platform.clone())),
        tokio::spawn(prune(platform.clone(), config.retention_days_max())),
    ];
    Ok(Running { platform, load_issues, threads, tasks })
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(since.map_or(0, |d| d.as_micros() as i64))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// The data holds secrets and other people's logs: nobody else on the machine reads it.
fn create_private_dir(dir: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    if dir.is_dir() {
        return std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700));
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn processor(config: &Config) -> (Processor, RuleTexts, Vec<LoadIssue>, Vec<String>) {
    let dirs = config.content();
    let (texts, mut issues) = RuleTexts::read(&dirs);
    let (rules, more) = texts.compile(&[]);
    issues.extend(more);
    let (lists, more) = content::load_lists(&dirs);
    issues.extend(more);
    let (databases, mut notices) = content::load_geoip(&config.geoip_or_found());
    let (enricher, more) = Enricher::new(databases);
    notices.extend(more);
    let detector = Detector { rules: Arc::new(rules), lists: Arc::new(lists), lateness: Arc::new(Lateness::new(config.sources.lateness_secs.clone())) };
    // Informational rules are context: they stand on their events, and make no finding.
    let processor = Processor::new(Arc::new(enricher), detector).telling_from(Severity::Low);
    (processor, texts, issues, notices)
}

async fn open_control(config: &Config) -> Result<Control, OpenError> {
    Ok(match &config.control.url {
        Some(url) => Control::connect(url).await?,
        None => Control::open(&config.data_dir.join("erne.db")).await?,
    })
}

fn log_config(config: &Config) -> LogConfig {
    LogConfig {
        backlog_bytes_max: config.log.backlog_bytes_max,
        free_bytes_min: config.log.free_bytes_min,
        dedup_secs: config.log.dedup_secs,
        ..LogConfig::default()
    }
}

/// The finding counters of the last 24 h, from the alerts, which count exactly.
async fn restore_findings(shared: &Shared, control: &Control) -> Result<(), OpenError> {
    let counts = control.finding_counts((shared.now)().plus_secs(-crate::analytics::HOURS * 3_600)).await?;
    shared.hot.restore_findings(counts.total, counts.recent);
    Ok(())
}

const SCANNED: &[&str] = &[
    "time",
    "erne_offset",
    "severity_id",
    "enrichments.threat_lists",
    "http_response.code",
    "actor.user.name",
    "src_endpoint.ip",
    "src_endpoint.location.country",
    "src_endpoint.location.city",
    "src_endpoint.location.lat",
    "src_endpoint.location.long",
];

/// Counts the last 24 h of the lake again, beside the running pipeline.
fn restore_events(shared: &Arc<Shared>, covered: u64) -> std::io::Result<JoinHandle<()>> {
    let shared = shared.clone();
    std::thread::Builder::new().name("erne-restore".into()).spawn(move || {
        let now = (shared.now)();
        let from = now.plus_secs(-crate::analytics::HOURS * 3600);
        let result = shared.lake.scan(SCANNED, from, now.plus_secs(300), &mut |batch| {
            crate::restore::count(batch, covered, &mut |event: &Counted<'_>| shared.hot.restore_event(event, now));
            !shared.stop.load(Ordering::Relaxed)
        });
        if let Err(error) = result {
            tracing::warn!(%error, "the overview's counters could not be rebuilt from the lake");
        }
    })
}

/// Once an hour: findings and closed alerts go when their events have gone from the lake.
async fn prune(platform: Platform, retention_days: u32) {
    const EVERY_SECS: u32 = 3_600;
    let mut secs = 0;
    while !platform.0.shared.stop.load(Ordering::Relaxed) {
        if secs % AUDIT_EVERY_SECS == 0 {
            audit_deleted(&platform).await;
        }
        if secs % EVERY_SECS == 0 {
            let before = platform.now().plus_secs(-i64::from(retention_days) * 86_400);
            if let Err(error) = platform.control().prune(before, before).await {
                tracing::warn!(%error, "old findings and alerts could not be deleted");
            }
        }
        secs += 1;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// How often the audit log is told what the lake's retention has deleted.
const AUDIT_EVERY_SECS: u32 = 60;

/// Deleting evidence is an act that the audit log must show, though nobody asked for it at that moment.
async fn audit_deleted(platform: &Platform) {
    for deleted in platform.0.shared.lake.take_deleted() {
        let target = deleted.source.as_deref().map_or("lake".to_owned(), |source| format!("lake, source {source}"));
        let why = match deleted.why {
            DeletedFor::Age => "age",
            DeletedFor::Size => "size",
        };
        let detail = format!("{} events, about {} bytes, of days until {}: beyond the {why} that is kept", deleted.rows, deleted.bytes, deleted.until_day);
        tracing::info!(target_of = %target, "retention: {detail}");
        if let Err(error) = platform.control().audit("retention", "lake.delete", &target, &detail, platform.now()).await {
            tracing::warn!(%error, %detail, "the audit log could not be told what was deleted");
        }
    }
}

/// Once a second: exceptions whose time is over go, and the overview to whoever listens.
async fn report(platform: Platform) {
    let inner = &platform.0;
    while !inner.shared.stop.load(Ordering::Relaxed) {
        let open = inner.control.count_open_alerts().await;
        inner.shared.control_health.answered(open.as_ref().err());
        if let Ok(open) = open {
            inner.alerts_open.store(open, Ordering::Relaxed);
        }
        if let Ok(open) = inner.control.count_open_incidents().await {
            inner.incidents_open.store(open, Ordering::Relaxed);
            inner.shared.metrics.incidents_open.set(open as i64);
        }
        match inner.control.expire_exceptions(platform.now()).await {
            Ok(0) => {}
            Ok(_) => platform.exceptions_changed(),
            Err(error) => tracing::warn!(%error, "exceptions whose time is over could not be removed"),
        }
        if inner.shared.hot.ring.has_readers() {
            match serde_json::to_string(&platform.totals()) {
                Ok(json) => inner.shared.hot.ring.publish(Topic::Stats, json),
                Err(error) => tracing::error!(%error, "the overview cannot be written as JSON"),
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
