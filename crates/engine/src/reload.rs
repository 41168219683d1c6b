//! Rules change while the platform runs: when files below the rule folders change, and when people make
//! exceptions. The next batch of records runs with the new rules; nothing stops.
//!
//! An edit that brings a new problem is refused whole and the running rules stay: half of an edit, saved by an
//! editor or a `git pull` in the middle, must not switch detections off. Problems that stood at the start are
//! known and refuse nothing.

use crate::content::{self, ContentDirs, RuleTexts};
use crate::metrics::ReasonLabel;
use crate::pipeline::Shared;
use detect::{Exception, ExceptionHits, LoadIssue, RuleFile, RuleSet};
use event::{Id, Timestamp};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;
use store::control::{Control, ControlError};

/// How often folders are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// Most problems that a notice names.
const ISSUES_SHOWN: usize = 3;

/// How often the hits of exceptions are written to the control plane, in rounds of [`EVERY`].
const HITS_EVERY: u32 = 5;

/// What the running rules were made of.
pub(crate) struct Content {
    dirs: ContentDirs,
    /// Held while rules or lists are swapped, so that neither swap loses the other's.
    inner: Mutex<Inner>,
}

struct Inner {
    texts: Arc<RuleTexts>,
    exceptions: Arc<Vec<Exception>>,
    /// Problems that refuse no edit.
    known: Vec<LoadIssue>,
    /// Why the newest edit is not running.
    refused: Option<String>,
    /// Exceptions that do not work.
    excepted: Option<String>,
}

impl Content {
    pub fn new(dirs: ContentDirs, texts: RuleTexts, known: Vec<LoadIssue>) -> Self {
        let inner = Inner { texts: Arc::new(texts), exceptions: Arc::default(), known, refused: None, excepted: None };
        Self { dirs, inner: Mutex::new(inner) }
    }

    pub fn texts(&self) -> Arc<RuleTexts> {
        self.inner.lock().texts.clone()
    }

    pub fn exceptions(&self) -> Arc<Vec<Exception>> {
        self.inner.lock().exceptions.clone()
    }

    /// For `/readyz`.
    pub fn notices(&self) -> Vec<String> {
        let inner = self.inner.lock();
        inner.refused.iter().chain(&inner.excepted).cloned().collect()
    }
}

/// Puts other exceptions into force. What is wrong with them is answered; the others count.
pub(crate) fn set_exceptions(shared: &Shared, exceptions: Vec<Exception>) -> Vec<LoadIssue> {
    let mut inner = shared.content.inner.lock();
    let (rules, issues) = inner.texts.compile(&exceptions);
    inner.exceptions = Arc::new(exceptions);
    swap(shared, rules);
    let issues: Vec<LoadIssue> = issues.into_iter().filter(LoadIssue::is_of_exception).collect();
    inner.excepted = (!issues.is_empty()).then(|| format!("exceptions without effect: {}", told(&issues)));
    issues
}

pub(crate) fn exception_hits(shared: &Shared) -> Vec<ExceptionHits> {
    shared.processor.load().rule_set().exception_hits()
}

/// Reads the folders again and runs what they hold, unless that is worse than what runs.
pub(crate) fn reload_rules(shared: &Shared) {
    let (texts, mut issues) = RuleTexts::read(&shared.content.dirs);
    let mut inner = shared.content.inner.lock();
    if issues.is_empty() && same(&texts.files, &inner.texts.files) && same(&texts.pipelines, &inner.texts.pipelines) {
        if inner.refused.take().is_some() {
            tracing::info!("the rules are again as they run");
        }
        return;
    }
    let (rules, more) = texts.compile(&inner.exceptions);
    issues.extend(more);
    let (of_exceptions, issues): (Vec<_>, Vec<_>) = issues.into_iter().partition(LoadIssue::is_of_exception);
    let new: Vec<LoadIssue> = issues.iter().filter(|issue| !issue.is_notice() && !is_known(issue, &inner.known)).cloned().collect();
    if !new.is_empty() {
        for issue in &new {
            tracing::error!("the rules were not reloaded: {issue}");
        }
        inner.refused = Some(format!("the newest edit of the rules is not running: {}", told(&new)));
        return count(shared, "refused");
    }
    inner.excepted = (!of_exceptions.is_empty()).then(|| format!("exceptions without effect: {}", told(&of_exceptions)));
    inner.known = issues;
    inner.refused = None;
    inner.texts = Arc::new(texts);
    tracing::info!(rules = rules.rules().len(), "rules reloaded");
    swap(shared, rules);
    count(shared, "loaded");
}

fn swap(shared: &Shared, mut rules: RuleSet) {
    let processor = shared.processor.load();
    rules.share_exception_hits(processor.rule_set());
    shared.processor.store(Arc::new(processor.with_rules(Arc::new(rules))));
}

fn count(shared: &Shared, reason: &'static str) {
    shared.metrics.rule_reloads.get_or_create(&ReasonLabel { reason }).inc();
}

fn same(new: &[RuleFile], running: &[RuleFile]) -> bool {
    new.len() == running.len() && new.iter().zip(running).all(|(a, b)| a.path == b.path && a.text == b.text)
}

/// Lines move when a file is edited; what is wrong stays the same.
fn is_known(issue: &LoadIssue, known: &[LoadIssue]) -> bool {
    known.iter().any(|one| one.file == issue.file && one.message == issue.message)
}

fn told(issues: &[LoadIssue]) -> String {
    let shown: Vec<String> = issues.iter().take(ISSUES_SHOWN).map(ToString::to_string).collect();
    match issues.len().checked_sub(ISSUES_SHOWN) {
        Some(more) if more > 0 => format!("{}; and {more} more", shown.join("; ")),
        _ => shown.join("; "),
    }
}

/// Follows the folders of rules, pipelines and threat lists.
pub(crate) fn watch(shared: &Arc<Shared>) -> std::io::Result<JoinHandle<()>> {
    let shared = shared.clone();
    std::thread::Builder::new().name("erne-content".into()).spawn(move || {
        let dirs = shared.content.dirs.clone();
        let of_rules = || (content::fingerprint(&dirs.rules), content::fingerprint(&dirs.pipelines));
        let (mut rules, mut lists) = (of_rules(), content::fingerprint(&dirs.lists));
        while !shared.stop.load(Ordering::Relaxed) {
            std::thread::sleep(EVERY);
            let found = of_rules();
            if found != rules {
                rules = found;
                reload_rules(&shared);
            }
            let found = content::fingerprint(&dirs.lists);
            if found != lists {
                lists = found;
                reload_lists(&shared, &dirs);
            }
        }
    })
}

fn reload_lists(shared: &Shared, dirs: &ContentDirs) {
    let (lists, issues) = content::load_lists(dirs);
    for issue in issues {
        tracing::warn!(file = issue.file, line = issue.line, "threat list: {}", issue.message);
    }
    let _swapping = shared.content.inner.lock();
    shared.processor.store(Arc::new(shared.processor.load().with_lists(Arc::new(lists))));
    tracing::info!("threat lists re-read");
}

/// Puts the control plane's exceptions into force; before the first record, so that none slips through.
pub(crate) async fn load_exceptions(shared: &Arc<Shared>, control: &Control) -> Result<(), ControlError> {
    let listed = control.exceptions((shared.now)()).await?;
    if listed.is_empty() && shared.content.exceptions().is_empty() {
        return Ok(());
    }
    let own = shared.clone();
    // Compiling thousands of rules is no work for the threads that serve sockets.
    let issues = tokio::task::spawn_blocking(move || set_exceptions(&own, listed.into_iter().map(compiled).collect())).await;
    for issue in issues.unwrap_or_default() {
        tracing::error!("{issue}");
    }
    Ok(())
}

fn compiled(stored: store::control::Exception) -> Exception {
    Exception {
        id: stored.id.to_string(),
        rule_id: stored.rule_id,
        conditions: stored.r#where.into_iter().collect(),
        expires_at: stored.expires_at,
    }
}

/// Follows the control plane's exceptions, and writes how often they took something out there.
pub(crate) async fn follow_exceptions(shared: Arc<Shared>, control: Control) {
    let (mut loaded, mut round) = (0, 0);
    let mut written: HashMap<Arc<str>, u64> = HashMap::new();
    loop {
        let is_last = shared.stop.load(Ordering::Relaxed);
        let generation = shared.exceptions_generation.load(Ordering::Acquire);
        if generation != loaded {
            match load_exceptions(&shared, &control).await {
                Ok(()) => loaded = generation,
                Err(error) => tracing::warn!(%error, "exceptions cannot be read; those before stay in force"),
            }
        }
        round += 1;
        if is_last || round % HITS_EVERY == 0 {
            write_hits(&shared, &control, &mut written).await;
        }
        if is_last {
            return;
        }
        let _ = tokio::time::timeout(EVERY, shared.exceptions_changed.notified()).await;
    }
}

async fn write_hits(shared: &Shared, control: &Control, written: &mut HashMap<Arc<str>, u64>) {
    let new: Vec<(Arc<str>, u64, (Id, u64, Timestamp))> = exception_hits(shared)
        .into_iter()
        .filter_map(|one| {
            let before = written.get(&one.id).copied().unwrap_or(0);
            let added = one.hits.checked_sub(before).filter(|added| *added > 0)?;
            Some((one.id.clone(), one.hits, (Id::parse(&one.id)?, added, one.last_hit?)))
        })
        .collect();
    let rows: Vec<_> = new.iter().map(|(_, _, row)| *row).collect();
    match control.add_exception_hits(&rows).await {
        Ok(()) => written.extend(new.into_iter().map(|(id, hits, _)| (id, hits))),
        Err(error) => tracing::warn!(%error, "the hits of exceptions cannot be written; they come with the next"),
    }
}
