//! The stateful stage of one shard: events in log order, what ripens between them, and the state's changes.

use super::compile::{Cause, Correlation};
use super::finding::{finding, id_of};
use super::groups::{AnyGroups, Key, Timer, Told};
use super::{Keyed, Stepped, group_key, split_key, within_time};
use crate::RuleSet;
use event::{FindingStatus, Timestamp};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

/// Most rounds in which findings feed correlations at one moment: `DEPTH_MAX` rounds are enough for every chain
/// of rules, the rest is for what they take back.
const ROUNDS_MAX: usize = 64;

/// The stateful stage of one shard.
///
/// [`step`](Self::step) is all that a caller with one shard needs. A caller with several drives them in one order:
/// [`ripen_until`](Self::ripen_until) the next event's receipt in order of [`next_due`](Self::next_due), [`apply`](Self::apply)
/// it, feed what came out in [`Stepped::chained`], and [`flush`](Self::flush) the changes of state at the end.
pub struct Correlator {
    rules: Arc<RuleSet>,
    /// Per correlation of the rule set.
    groups: Vec<Box<dyn AnyGroups>>,
    timers: BinaryHeap<Reverse<(Timestamp, u32, Key)>>,
    new_timers: Vec<Timer>,
    /// The log's clock: the newest time of receipt.
    now: Timestamp,
    /// The newest event time of an event that was applied.
    newest: Timestamp,
    /// Whether entries were taken back whose groups have no timer yet.
    is_restoring: bool,
}

impl Correlator {
    pub fn new(rules: Arc<RuleSet>) -> Self {
        let groups = rules.correlations.iter().map(|correlation| correlation.kind.groups()).collect();
        Self {
            rules,
            groups,
            timers: BinaryHeap::new(),
            new_timers: Vec::new(),
            now: Timestamp(i64::MIN),
            newest: Timestamp(i64::MIN),
            is_restoring: false,
        }
    }

    /// Takes back an entry that an earlier `step` wrote; entries come in the order of their keys. False if no
    /// rule knows it (it is of a rule that changed or went, or of an older layout): then it can be deleted.
    pub fn restore(&mut self, key: &[u8], value: &[u8]) -> bool {
        self.is_restoring = true;
        for (correlation, groups) in self.rules.correlations.iter().zip(&mut self.groups) {
            if let Some(rest) = key.strip_prefix(&*correlation.state_prefix) {
                let Some((_, entry)) = split_key(rest, correlation.group_by.len()) else { return false };
                return groups.restore(&rest[..rest.len() - entry.len()], entry, value);
            }
        }
        false
    }

    fn finish_restoring(&mut self) {
        if !std::mem::take(&mut self.is_restoring) {
            return;
        }
        for number in 0..self.groups.len() {
            self.groups[number].restored(&mut self.new_timers);
            self.set_timers(number as u32);
        }
    }

    fn set_timers(&mut self, number: u32) {
        self.timers.extend(self.new_timers.drain(..).map(|(time, key)| Reverse((time, number, key))));
    }

    /// Takes the events' parts in log order. What is due by an event's time of receipt ripens before it.
    pub fn step(&mut self, keyed: &[Keyed], out: &mut Stepped) {
        for part in keyed {
            self.ripen_and_feed(part.received, out);
            self.apply(part, out);
            self.feed(out);
        }
        self.flush(out);
    }

    /// Time passes without events. `now` is not later than the receipt of any event still to come.
    pub fn advance(&mut self, now: Timestamp, out: &mut Stepped) {
        let now = within_time(now);
        self.ripen_and_feed(now, out);
        self.now = self.now.max(now);
        self.flush(out);
    }

    /// No more input comes: tells what is decided by the newest event time seen. For files.
    pub fn finish(&mut self, out: &mut Stepped) {
        self.finish_until(self.newest, out);
        for _ in 0..ROUNDS_MAX {
            if out.chained.is_empty() {
                break;
            }
            self.feed(out);
            self.finish_until(self.newest, out);
        }
        self.flush(out);
    }

    /// The newest event time of what was applied.
    pub fn newest(&self) -> Timestamp {
        self.newest
    }

    /// Part of [`finish`](Self::finish) for a caller with several shards, who knows the newest time of all.
    pub fn finish_until(&mut self, newest: Timestamp, out: &mut Stepped) {
        self.finish_restoring();
        let mut told = Vec::new();
        for number in 0..self.groups.len() {
            self.groups[number].finish(newest, &mut self.new_timers, &mut told);
            self.set_timers(number as u32);
            for one in told.drain(..) {
                self.tell(number as u32, one, out);
            }
        }
    }

    fn ripen_and_feed(&mut self, until: Timestamp, out: &mut Stepped) {
        let until = within_time(until);
        while self.next_due().is_some_and(|due| due <= until) {
            self.ripen_next(out);
            self.feed(out);
        }
    }

    /// Feeds findings to the correlations that count them, for a caller with one shard.
    fn feed(&mut self, out: &mut Stepped) {
        for _ in 0..ROUNDS_MAX {
            if out.chained.is_empty() {
                return;
            }
            for part in std::mem::take(&mut out.chained) {
                self.apply(&part, out);
            }
        }
        out.chained.clear();
    }

    /// The log time at which something ripens or expires next.
    pub fn next_due(&mut self) -> Option<Timestamp> {
        self.finish_restoring();
        self.timers.peek().map(|Reverse((time, ..))| *time)
    }

    /// Lets what is due next ripen.
    pub fn ripen_next(&mut self, out: &mut Stepped) {
        let Some(Reverse((time, number, key))) = self.timers.pop() else { return };
        self.now = self.now.max(time);
        let told = self.groups[number as usize].look((time, key), &mut self.new_timers);
        self.set_timers(number);
        if let Some(told) = told {
            self.tell(number, told, out);
        }
    }

    /// Takes one part. What is due by its receipt has ripened.
    pub fn apply(&mut self, part: &Keyed, out: &mut Stepped) {
        self.finish_restoring();
        let Some(groups) = self.groups.get_mut(part.correlation as usize) else { return };
        let received = within_time(part.received);
        self.now = self.now.max(received);
        self.newest = self.newest.max(part.clamped());
        // The clock does not go back: an event behind it counts as received now.
        let part = if part.received != self.now { Cow::Owned(Keyed { received: self.now, ..part.clone() }) } else { Cow::Borrowed(part) };
        let told = groups.add(&group_key(&part.group), &part, &mut self.new_timers);
        self.set_timers(part.correlation);
        if let Some(told) = told {
            self.tell(part.correlation, told, out);
        }
    }

    /// Hands out the changes of state since the last call.
    pub fn flush(&mut self, out: &mut Stepped) {
        for (correlation, groups) in self.rules.correlations.iter().zip(&mut self.groups) {
            groups.changes(&correlation.state_prefix, &mut out.delta);
        }
    }

    fn tell(&self, number: u32, told: Told, out: &mut Stepped) {
        let correlation = &self.rules.correlations[number as usize];
        let group = split_key(&told.key, correlation.group_by.len()).map(|(values, _)| values).unwrap_or_default();
        for draft in &told.drafts {
            let finding = finding(correlation, &told.about, &group, &told.key, draft);
            for (next, part) in &correlation.chains {
                let delay = u32::try_from(correlation.kind.delay_secs).unwrap_or(u32::MAX);
                let cause = Cause {
                    finding: &finding,
                    draft,
                    group: &group,
                    summary: &told.about.summary,
                    now: self.now,
                    lateness_secs: told.about.lateness_secs.saturating_add(delay),
                };
                self.chain(*next, *part, correlation, &told.key, &cause, out);
            }
            if correlation.emits {
                out.findings.push(finding);
            }
        }
    }

    fn chain(&self, next: u32, part: u16, from: &Correlation, key: &[u8], cause: &Cause<'_>, out: &mut Stepped) {
        let Some(keyed) = self.rules.correlations[next as usize].key_of_finding(next, part, cause) else { return };
        if let Some(old) = &cause.draft.replaces {
            let uid = id_of(from, key, old).to_string().into();
            out.chained.push(Keyed { uid, is_taken_back: true, ..keyed.clone() });
        }
        let is_taken_back = cause.draft.status == FindingStatus::Withdrawn;
        out.chained.push(Keyed { is_taken_back, ..keyed });
    }

    /// Takes other rules. Rules whose text is the same keep their groups; the state of rules that changed or went is deleted.
    pub fn reload(&mut self, rules: Arc<RuleSet>, out: &mut Stepped) {
        self.flush(out);
        let mut old: Vec<_> = std::mem::take(&mut self.groups).into_iter().map(Some).collect();
        let before = std::mem::replace(&mut self.rules, rules);
        self.timers.clear();
        for (number, correlation) in self.rules.correlations.iter().enumerate() {
            let same = before.correlations.iter().position(|other| other.state_prefix == correlation.state_prefix);
            let groups = same.and_then(|place| old[place].take()).unwrap_or_else(|| correlation.kind.groups());
            groups.timers(&mut self.new_timers);
            self.timers.extend(self.new_timers.drain(..).map(|(time, key)| Reverse((time, number as u32, key))));
            self.groups.push(groups);
        }
        for (correlation, groups) in before.correlations.iter().zip(&mut old) {
            if let Some(groups) = groups {
                groups.clear(&correlation.state_prefix, &mut out.delta);
            }
        }
    }

    /// How many groups are kept, over all correlations.
    pub fn group_count(&self) -> usize {
        self.groups.iter().map(|groups| groups.len()).sum()
    }
}
