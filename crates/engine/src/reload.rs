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
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

/// How often folders are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// Most problems that a notice names.
const ISSUES_SHOWN: usize = 3;

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
