//! Windows over event time: the specification's correlation types, and `absence`.
//!
//! Which findings a set of entries makes is defined in [`walk`]. A group keeps up with it in two ways:
//! - *By walking* all entries again whenever one comes: for every shape whose entries are few or are soon over.
//! - *By bursts* (sliding windows over detection rules, the common case): only entries that a burst may still begin with are kept
//!   one by one. What comes after the entry that opened a burst is counted, its first hundred events are kept by name, its values in a
//!   set or sketch; so a group's memory follows what the condition needs, not the size of the attack.
//!
//! **What is told.** A condition that more events can't make false again (`gte`, `gt`, all rules occurred) is told at once,
//! as `provisional`; again when its beginning moves, when bursts grow together, when it has twice the events that it had;
//! and as `final` when the log's clock has passed its end by `timespan` and the lateness. A condition that is only known
//! when the window is over (`lt`, `lte`, `eq`, `neq`, averages, percentiles, `not`, absence) is told then, once, as `final`.
//!
//! **Too late.** An event that comes later than its lateness and lies in a window that is final changes nothing.

mod bursts;
mod distinct;
mod entry;
mod rule;
mod store;
mod tell;
mod uid;
mod walk;

pub(crate) use rule::{compile, compile_absence};

use super::Keyed;
use crate::stateful::{Draft, GroupState};
use bursts::Live;
use entry::Entry;
use event::Timestamp;
use rule::{Measure, Rule, Shape};
use std::collections::BTreeSet;
use store::Store;
use tell::{Burst, Details, Told};
use uid::Uid;

/// Most windows that are remembered after they were told as final, to recognise their late events.
const PAST_MAX: usize = 16;

#[derive(Clone, Debug, Default)]
pub(crate) struct Group {
    /// In their order.
    entries: Vec<Entry>,
    /// Bursts that are open, oldest first; only of rules that are kept up by bursts.
    live: Vec<Live>,
    told: Vec<Told>,
    /// First and last event time of windows that are over.
    past: Vec<(i64, i64)>,
    /// The largest allowed lateness of its events, µs.
    lateness: i64,
    /// The newest time of receipt, and the newest event time.
    heard: i64,
    newest: i64,
    /// The event that came last: one that matches two of the rules counts once.
    last: (u64, u32),
    /// Entries were folded or let go to stay within the bound.
    is_about: bool,
    /// When the next window is over, in log time.
    due: Option<i64>,
    /// No entry can be forgotten before this log time.
    forget_from: i64,
    store: Store,
}

impl GroupState for Group {
    type Rule = Rule;

    fn new() -> Self {
        Self { heard: i64::MIN, newest: i64::MIN, last: (u64::MAX, u32::MAX), ..Self::default() }
    }

    fn add(&mut self, rule: &Rule, part: &Keyed, out: &mut Vec<Draft>) {
        if part.is_taken_back {
            return self.take_back(rule, part, out);
        }
        let Some(mut entry) = Entry::of(&rule.measure, part) else { return };
        self.lateness = self.lateness.max(i64::from(part.lateness_secs) * 1_000_000);
        self.heard = self.heard.max(entry.received);
        self.newest = self.newest.max(entry.time);
        self.store.main_changed();
        let counts_events = !matches!(rule.measure, Measure::Parts(_) | Measure::Order | Measure::Absence);
        let position = (entry.offset, entry.index);
        if !rule.is_chained && std::mem::replace(&mut self.last, position) == position && counts_events {
            return;
        }
        if self.past.iter().any(|(from, end)| (*from..=*end).contains(&entry.time)) {
            return;
        }
        self.forget(rule, entry.received);
        if rule.is_by_bursts() {
            self.add_to_bursts(rule, entry, out);
        } else {
            if rule.is_chained {
                self.remove(&Uid::of(&part.uid), part.part);
            }
            if let Err(at) = self.entries.binary_search_by(|other| other.order().cmp(&entry.order())) {
                self.store.place(&mut entry);
                self.entries.insert(at, entry);
                self.fold(rule);
                self.walk(rule, None, out);
            }
        }
    }

    fn due(&self, _: &Rule) -> Option<Timestamp> {
        self.due.map(Timestamp)
    }

    fn ripen(&mut self, rule: &Rule, now: Timestamp, out: &mut Vec<Draft>) {
        self.store.main_changed();
        self.settle(rule, &|_, due| due <= now.micros(), out);
    }

    fn finish(&mut self, rule: &Rule, newest: Timestamp, out: &mut Vec<Draft>) {
        self.store.main_changed();
        self.settle(rule, &|end, _| end <= newest.micros(), out);
    }

    fn expires(&self, rule: &Rule) -> Timestamp {
        let last = self.heard.max(self.newest);
        Timestamp(last.saturating_add(rule.span).saturating_add(self.lateness).saturating_add(1))
    }

    fn evidence(&self) -> usize {
        self.entries.len() + self.told.len() * 4
    }

    fn write(&self) -> Vec<u8> {
        store::write_main(self)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        store::read_main(bytes)
    }

    fn changes(&mut self, put: &mut dyn FnMut(&[u8], Option<Vec<u8>>)) {
        self.write_changes(put);
    }

    fn take(&mut self, entry: &[u8], bytes: &[u8]) -> bool {
        self.take_entry(entry, bytes)
    }

    fn stored(&self) -> Vec<Vec<u8>> {
        self.stored_entries()
    }
}

impl Rule {
    /// Whether the group is kept up by bursts.
    fn is_by_bursts(&self) -> bool {
        self.shape == Shape::Sliding && !self.is_chained
    }
}

impl Group {
    /// Tells what is over by the test on a window's end (event time) and its due (log time).
    fn settle(&mut self, rule: &Rule, is_over: &dyn Fn(i64, i64) -> bool, out: &mut Vec<Draft>) {
        if rule.is_by_bursts() {
            self.settle_bursts(rule, is_over, out);
        } else {
            self.walk(rule, Some(is_over), out);
        }
    }

    /// Log time at which a window is known to be over that ends at `end` and whose events were heard until `heard`.
    fn due_of(&self, end: i64, heard: i64) -> i64 {
        // An event that is as late as is allowed still counts, hence one more.
        end.max(heard).saturating_add(self.lateness).saturating_add(1)
    }

    /// Walks all entries, tells what changed, and closes what is over.
    fn walk(&mut self, rule: &Rule, is_over: Option<&dyn Fn(i64, i64) -> bool>, out: &mut Vec<Draft>) {
        let windows = walk::walk(rule, &self.entries);
        let mut now = Vec::new();
        let mut over = Vec::new();
        self.due = None;
        for (place, window) in windows.iter().enumerate() {
            let own = &self.entries[window.first..=window.last];
            let heard = own.iter().map(|entry| entry.received).max().unwrap_or(self.heard);
            // A sliding burst is over when nothing can extend it; its own end has the timespan in it, its receipt not.
            let heard = if rule.shape == Shape::Sliding { heard.saturating_add(rule.span) } else { heard };
            let due = self.due_of(window.end, heard);
            let is_final = is_over.is_some_and(|is_over| is_over(window.end, due));
            if window.holds && (is_final || rule.is_rising) {
                let count = own.iter().map(|entry| u64::from(entry.weight)).sum();
                now.push(Burst { from: own[0].time, to: own[own.len() - 1].time, count, is_final, place });
            }
            if is_final {
                over.push(*window);
            } else {
                self.due = Some(self.due.map_or(due, |other| other.min(due)));
            }
        }
        for telling in tell::compare(&mut self.told, &now) {
            let details = match windows.get(telling.burst.place) {
                Some(window) => Details::of(rule, &self.entries, window, self.is_about),
                None => Details::withdrawn(&telling.burst),
            };
            out.push(tell::draft(rule, &telling, details));
        }
        for window in over.iter().rev() {
            self.close(self.entries[window.first].time, window.end);
            for entry in self.entries.drain(window.first..=window.last) {
                self.store.free(&entry);
            }
        }
        if self.entries.is_empty() {
            self.is_about = false;
        }
    }

    fn close(&mut self, from: i64, end: i64) {
        self.past.push((from, end));
        if self.past.len() > PAST_MAX {
            self.past.remove(0);
        }
    }

    fn remove(&mut self, uid: &Uid, part: u16) {
        let store = &mut self.store;
        self.entries.retain(|entry| {
            let stays = entry.part != part || entry.uid != *uid;
            if !stays {
                store.free(entry);
            }
            stays
        });
    }

    /// A finding that was counted is no more.
    fn take_back(&mut self, rule: &Rule, part: &Keyed, out: &mut Vec<Draft>) {
        let before = self.entries.len();
        self.remove(&Uid::of(&part.uid), part.part);
        if self.entries.len() < before {
            self.store.main_changed();
            self.walk(rule, None, out);
        }
    }

    /// Lets go of entries that no event can form a window with any more: an event of time t that was received at r is out
    /// of reach when the log's clock has passed max(t, r) by the timespan and the lateness.
    fn forget(&mut self, rule: &Rule, now: i64) {
        if rule.shape != Shape::Sliding || now <= self.forget_from {
            return;
        }
        let reach = rule.span.saturating_add(self.lateness);
        let kept = self.in_bursts(rule);
        let mut next = i64::MAX;
        let (mut at, store) = (0, &mut self.store);
        self.entries.retain(|entry| {
            let until = entry.time.max(entry.received).saturating_add(reach);
            let stays = until >= now || kept.contains(&at);
            at += 1;
            if !stays {
                store.free(entry);
            } else if until >= now {
                next = next.min(until);
            }
            stays
        });
        // Not at once again: a step may cost what it forgets, not what the group holds.
        self.forget_from = next.max(now.saturating_add(rule.span / 8));
        if self.entries.is_empty() && self.live.is_empty() {
            self.is_about = false;
        }
    }

    /// The entries that belong to bursts, by their places.
    fn in_bursts(&self, rule: &Rule) -> BTreeSet<usize> {
        if rule.is_by_bursts() {
            return self.live.iter().flat_map(|live| self.head_of(rule, live)).collect();
        }
        walk::walk(rule, &self.entries).iter().flat_map(|window| window.first..=window.last).collect()
    }

    /// Keeps the group within its bound: folds entries into a neighbour that makes no difference to what is
    /// detected, and if that is not enough, lets the ones go that are furthest from the newest event.
    fn fold(&mut self, rule: &Rule) {
        if self.entries.len() <= rule.entries_max {
            return;
        }
        self.is_about = true;
        let pinned = self.live.iter().map(|live| live.trigger.0).collect::<BTreeSet<_>>();
        let redundant = redundant(rule, &self.entries);
        let mut kept: Vec<Entry> = Vec::with_capacity(self.entries.len());
        // Backwards, so that an entry is folded into a later one.
        for (at, entry) in self.entries.drain(..).enumerate().rev() {
            match redundant[at] {
                true if !pinned.contains(&entry.time) => {
                    let into = kept.iter_mut().rev().take(FOLD_REACH).find(|later| is_same(rule, later, &entry));
                    if let Some(into) = into {
                        into.weight = into.weight.saturating_add(entry.weight);
                        into.received = into.received.max(entry.received);
                        if rule.measure != Measure::Values {
                            into.value = into.value.saturating_add(entry.value);
                        }
                        self.store.touch(into);
                        self.store.free(&entry);
                    } else {
                        kept.push(entry);
                    }
                }
                _ => kept.push(entry),
            }
        }
        kept.reverse();
        self.entries = kept;
        let limit = rule.entries_max - rule.entries_max / 8;
        if self.entries.len() > limit {
            self.let_go(self.entries.len() - limit, &pinned);
        }
    }

    /// Lets go of so many entries that are furthest in event time from the one that came last.
    fn let_go(&mut self, mut count: usize, pinned: &BTreeSet<i64>) {
        let last = self.last;
        let place = self.entries.iter().position(|entry| (entry.offset, entry.index) == last);
        let time = place.map_or(self.newest, |place| self.entries[place].time);
        let (mut from, mut to) = (0, self.entries.len());
        while count > 0 && to - from > 1 {
            let is_older_further = time.abs_diff(self.entries[from].time) >= time.abs_diff(self.entries[to - 1].time);
            if is_older_further { from += 1 } else { to -= 1 }
            count -= 1;
        }
        let mut at = 0;
        let store = &mut self.store;
        self.entries.retain(|entry| {
            let stays = (from..to).contains(&at) || pinned.contains(&entry.time);
            at += 1;
            if !stays {
                store.free(entry);
            }
            stays
        });
    }
}

/// How far behind an entry its neighbour is looked for when it is folded.
const FOLD_REACH: usize = 64;
/// Of events that only count, those of one 64th of the timespan are one.
const FOLD_FRACTION: i64 = 64;

fn is_same(rule: &Rule, a: &Entry, b: &Entry) -> bool {
    a.part == b.part && (a.value == b.value || !matches!(rule.measure, Measure::Values | Measure::Percentile(_)))
}

/// Which entries could be folded: those with a like one before and after them so near that every window that
/// holds them holds one of those too.
fn redundant(rule: &Rule, entries: &[Entry]) -> Vec<bool> {
    let near = match rule.measure {
        Measure::Values | Measure::Parts(_) => rule.span,
        _ => rule.span / FOLD_FRACTION,
    };
    let like = |at: usize, other: usize| is_same(rule, &entries[at], &entries[other]);
    let mut redundant = vec![false; entries.len()];
    let mut before: Option<usize>;
    for at in 1..entries.len().saturating_sub(1) {
        let in_run = |other: usize| rule.measure != Measure::Order || entries[other].part == entries[at].part;
        before = (at.saturating_sub(FOLD_REACH)..at).rev().take_while(|other| in_run(*other)).find(|other| !redundant[*other] && like(at, *other));
        let after = (at + 1..entries.len().min(at + FOLD_REACH)).take_while(|other| in_run(*other)).find(|other| like(at, *other));
        // Of a run that is to occur several times, both ends stay.
        let is_inner = rule.measure != Measure::Order || {
            let times = rule.places.iter().filter(|part| **part == entries[at].part).count();
            let run = |other: Option<&Entry>| other.is_some_and(|other| other.part == entries[at].part);
            (1..=times).all(|far| run(at.checked_sub(far).and_then(|i| entries.get(i))) && run(entries.get(at + far)))
        };
        redundant[at] = is_inner
            && before.zip(after).is_some_and(|(before, after)| entries[after].time - entries[before].time <= near);
    }
    redundant
}
