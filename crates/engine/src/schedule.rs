//! Saved searches that run by themselves: which window is due, and what becomes of what it finds.
//!
//! Windows stand on a grid of event time: one ends at every multiple of `every_secs`, and reaches `window_secs` back.
//! One is looked at once the longest lateness of the sources in the lake has passed after its end (see `detect`'s
//! `Lateness`), and once everything that had come in by then can be found; so what was under way is counted. What
//! comes later still is not.
//!
//! What a window finds goes the way of every finding: it is committed to the state by the thread that alone writes
//! it, and taken over into alerts and incidents from there. The window is done when that is on disk. A crash in
//! between looks at the window again and tells the same findings, which changes nothing: an id is a hash of the search,
//! the window's start and the group.
//!
//! An edit that makes a search find something else looks at the newest window again, one revision up, and withdraws
//! what is no longer found in it.

use crate::metrics::ReasonLabel;
use crate::pipeline::Shared;
use crate::scheduled::{Window, evaluate, longest_lateness, withdrawn};
use event::{Id, Timestamp};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use store::control::{Control, ControlError, Schedule, ScheduledSearch, SearchRun, WindowDone};

/// How often it is looked whether a window is due.
const EVERY: Duration = Duration::from_secs(1);
/// How often it is looked which sources there are.
const SOURCES_EVERY: Duration = Duration::from_secs(60);
/// Windows of one search that are caught up after a pause, the newest ones.
pub const CATCH_UP_MAX: i64 = 48;
/// How long a search that failed waits, at most, before it is tried again.
const RETRY_SECS_MAX: u32 = 60;

/// What is remembered between rounds; a restart begins it anew.
#[derive(Default)]
struct Memory {
    /// The window that each search waits for, and the end of the log when it was due.
    waiting: HashMap<Id, (Timestamp, u64)>,
    retry_at: HashMap<Id, Instant>,
    lateness: Option<(Instant, u32)>,
}

/// Runs until `stop` is set.
pub(crate) async fn run(shared: Arc<Shared>, control: Control) {
    let mut memory = Memory::default();
    while !shared.stop.load(Ordering::Relaxed) {
        // That the control plane is away is said elsewhere.
        if let Ok(scheduled) = control.scheduled_searches().await {
            round(&shared, &control, &mut memory, scheduled).await;
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn round(shared: &Arc<Shared>, control: &Control, memory: &mut Memory, scheduled: Vec<ScheduledSearch>) {
    memory.forget_all_but(shared, &scheduled);
    if scheduled.is_empty() {
        return;
    }
    let lateness = memory.lateness(shared).await;
    for one in scheduled {
        if shared.stop.load(Ordering::Relaxed) {
            return;
        }
        let Some(schedule) = one.search.schedule.clone() else { continue };
        let now = (shared.now)();
        let Some((window, skipped)) = next_window(&schedule, one.done_until, now.plus_secs(-i64::from(lateness))) else { continue };
        if !memory.is_ready(shared, one.search.id, window.end) {
            continue;
        }
        let result = look_at(shared, control, &one, &schedule, window, skipped).await;
        let reason = if result.is_ok() { "done" } else { "failed" };
        shared.metrics.scheduled_runs.get_or_create(&ReasonLabel { reason }).inc();
        let key = one.search.id;
        match result {
            Ok(()) => {
                memory.retry_at.remove(&key);
                shared.failing_searches.lock().remove(&one.search.name);
            }
            Err(error) => {
                tracing::warn!(search = one.search.name, "a scheduled search fails: {error}");
                shared.failing_searches.lock().insert(one.search.name.clone(), error.clone());
                let wait = Duration::from_secs(u64::from(schedule.every_secs.min(RETRY_SECS_MAX)));
                memory.retry_at.insert(key, Instant::now() + wait);
                let run = SearchRun { time: now, hits: 0, findings: 0, error: Some(error) };
                if let Err(error) = control.window_failed(key, &run).await {
                    tracing::warn!(%error, "the failure of a scheduled search cannot be noted");
                }
            }
        }
    }
}

impl Memory {
    fn forget_all_but(&mut self, shared: &Shared, scheduled: &[ScheduledSearch]) {
        let ids: BTreeSet<Id> = scheduled.iter().map(|one| one.search.id).collect();
        self.waiting.retain(|id, _| ids.contains(id));
        self.retry_at.retain(|id, _| ids.contains(id));
        let names: BTreeSet<&str> = scheduled.iter().map(|one| one.search.name.as_str()).collect();
        shared.failing_searches.lock().retain(|name, _| names.contains(name.as_str()));
    }

    async fn lateness(&mut self, shared: &Arc<Shared>) -> u32 {
        if let Some((at, secs)) = self.lateness.filter(|(at, _)| at.elapsed() < SOURCES_EVERY) {
            self.lateness = Some((at, secs));
            return secs;
        }
        let own = shared.clone();
        let secs = tokio::task::spawn_blocking(move || longest_lateness(&own)).await.unwrap_or(detect::Lateness::SECS_MAX);
        self.lateness = Some((Instant::now(), secs));
        secs
    }

    /// Whether what was in the log when the window became due can be found by now.
    fn is_ready(&mut self, shared: &Shared, id: Id, end: Timestamp) -> bool {
        if self.retry_at.get(&id).is_some_and(|at| *at > Instant::now()) {
            return false;
        }
        let log_end = shared.log.range().1;
        let waiting = self.waiting.entry(id).or_insert((end, log_end));
        if waiting.0 != end {
            *waiting = (end, log_end);
        }
        shared.visible.load(Ordering::Acquire) >= waiting.1
    }
}

/// The window to look at, if one has ended by `until`, and how many are passed over because they are too many.
fn next_window(schedule: &Schedule, done_until: Option<Timestamp>, until: Timestamp) -> Option<(Window, i64)> {
    let every = i64::from(schedule.every_secs.max(1));
    let newest = until.secs().div_euclid(every);
    let done = done_until.map_or(newest - 1, |done| done.secs().div_euclid(every));
    if done >= newest {
        return None;
    }
    let first = (done + 1).max(newest + 1 - CATCH_UP_MAX);
    let end = Timestamp::from_secs(first * every);
    let window = Window { start: end.plus_secs(-i64::from(schedule.window_secs)), end };
    Some((window, first - (done + 1)))
}

/// Looks at one window, and does not come back before what it told is on disk.
async fn look_at(
    shared: &Arc<Shared>,
    control: &Control,
    one: &ScheduledSearch,
    schedule: &Schedule,
    window: Window,
    skipped: i64,
) -> Result<(), String> {
    let started = Instant::now();
    let (own, search, schedule, revision) = (shared.clone(), one.search.clone(), schedule.clone(), one.revision);
    let found = tokio::task::spawn_blocking(move || evaluate(&own.lake, &search, &schedule, revision, window));
    let found = found.await.map_err(|error| format!("it ended by a panic: {error}"))??;
    shared.metrics.scheduled_secs.observe(started.elapsed().as_secs_f64());
    let told = control.told_by_search(one.search.id).await.map_err(text)?;
    let mut findings = withdrawn(&told, &found.findings, one.revision, window);
    let new = found.findings.iter().filter(|finding| !told.iter().any(|known| known.id == finding.id)).count();
    findings.extend(found.findings.iter().cloned());
    if !findings.is_empty() {
        commit(shared, findings).await?;
    }
    let passed_over = (skipped > 0).then(|| format!("{skipped} windows were missed while Erne was not running, and not caught up"));
    let run = SearchRun {
        time: (shared.now)(),
        hits: found.hits,
        findings: found.findings.len() as u64,
        error: found.incomplete.or(passed_over),
    };
    let done = WindowDone { revision: one.revision, before: one.done_until, done_until: window.end, run: &run, told: &found.findings };
    // If it was edited meanwhile, or another node was faster, the next round sees what is to be done.
    if control.window_done(one.search.id, &done).await.map_err(text)? {
        shared.metrics.scheduled_findings.inc_by(new as u64);
        shared.metrics.scheduled_skipped.inc_by(skipped as u64);
    }
    Ok(())
}

fn text(error: ControlError) -> String {
    error.to_string()
}

/// Into the state, and onto the disk with it: findings of a search do not come again from the log.
async fn commit(shared: &Arc<Shared>, findings: Vec<event::Finding>) -> Result<(), String> {
    let committed = shared.handed_in.hand_in(findings);
    committed.await.map_err(|_| "the pipeline is stopping".to_owned())?;
    let state = shared.state.clone();
    let synced = tokio::task::spawn_blocking(move || state.sync()).await.map_err(|e| e.to_string())?;
    synced.map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::Severity;

    fn schedule(every_secs: u32, window_secs: u32) -> Schedule {
        Schedule { every_secs, window_secs, at_least: 1, severity: Severity::Low, group_by: None, enabled: true }
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn next(done: Option<i64>, until: i64) -> Option<(i64, i64, i64)> {
        let found = next_window(&schedule(60, 300), done.map(at), at(until));
        found.map(|(window, skipped)| (window.start.secs(), window.end.secs(), skipped))
    }

    #[test]
    fn the_first_window_is_the_newest_and_the_others_follow_one_by_one() {
        assert_eq!(next(None, 6_059), Some((5_700, 6_000, 0)));
        assert_eq!(next(Some(6_000), 6_059), None);
        assert_eq!(next(Some(6_000), 6_060), Some((5_760, 6_060, 0)));
        assert_eq!(next(Some(6_000), 6_500), Some((5_760, 6_060, 0)), "the oldest that is missing");
        assert_eq!(next(Some(9_000), 6_500), None, "a clock that was set back");
        assert_eq!(next(Some(6_001), 6_060), Some((5_760, 6_060, 0)), "an edit of every_secs leaves the grid");
        assert_eq!(next(None, -61), Some((-420, -120, 0)));
    }

    #[test]
    fn a_long_pause_is_caught_up_to_a_bound_and_the_rest_counted() {
        let (_, end, skipped) = next(Some(0), 60 * 1_000).unwrap();
        assert_eq!((end, skipped), (60 * (1_000 - CATCH_UP_MAX + 1), 1_000 - CATCH_UP_MAX));
        assert_eq!(next(Some(60 * (1_000 - CATCH_UP_MAX)), 60 * 1_000).unwrap().2, 0);
    }
}
