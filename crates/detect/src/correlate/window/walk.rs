//! The definition of every window: which findings a set of entries makes. All else (arrival one by one,
//! what is forgotten, restarts) has to come to the same result.
//!
//! Entries are walked in order of (event time, uid).
//! - *Sliding*: when no burst is open and the window of `timespan` that ends at the entry satisfies the
//!   condition, a burst opens that begins with the first entry of that window. Later entries extend it as long as each is
//!   within `timespan` of the one before.
//! - *Anchored*: for conditions that more events can make false again, and so are known only when the window is
//!   over. An entry that lies in no window begins one of `timespan`.
//! - *Tumbling*: windows begin at multiples of `timespan`.
//! - *Session*: an entry belongs to the session of the one before if it is within `gap` of it and within
//!   `timespan` of the session's first.
//! - *Absence*: the first rule's event begins to wait for `timespan`; further ones in that time wait with it. The
//!   second rule's event ends the wait.

use super::entry::Entry;
use super::rule::{MILLI, Measure, Rule, Shape, satisfied};
use std::collections::HashMap;

/// One window of a walk: entries `first..=last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub first: usize,
    pub last: usize,
    /// The entry at which the condition held first; for conditions that are known at the end, the last one.
    pub trigger: usize,
    pub holds: bool,
    /// The event time after which nothing can belong to it.
    pub end: i64,
}

/// What a window measures, kept up as entries enter and leave.
pub(crate) enum Counter {
    Events(u64),
    Values(HashMap<i128, u32, ahash::RandomState>),
    Sum(i128),
    Parts(HashMap<u16, u32, ahash::RandomState>),
    /// Per place, the latest time at which a chain began that has come so far; whether the newest entry completed one.
    Order(Vec<Option<i64>>, bool),
    /// Measured when the window is over.
    Later,
}

impl Counter {
    pub(crate) fn of(rule: &Rule) -> Self {
        match rule.measure {
            Measure::Events => Self::Events(0),
            Measure::Values => Self::Values(HashMap::default()),
            Measure::Sum => Self::Sum(0),
            Measure::Parts(_) => Self::Parts(HashMap::default()),
            Measure::Order => Self::Order(vec![None; rule.places.len()], false),
            Measure::Average | Measure::Percentile(_) | Measure::Absence => Self::Later,
        }
    }

    pub(crate) fn enter(&mut self, rule: &Rule, entry: &Entry) {
        match self {
            Self::Events(count) => *count += u64::from(entry.weight),
            Self::Values(values) => *values.entry(entry.value).or_default() += 1,
            Self::Sum(sum) => *sum += entry.value,
            Self::Parts(parts) => *parts.entry(entry.part).or_default() += 1,
            Self::Order(starts, completed) => *completed = enter_order(starts, rule, entry),
            Self::Later => {}
        }
    }

    pub(crate) fn leave(&mut self, entry: &Entry) {
        match self {
            Self::Events(count) => *count -= u64::from(entry.weight),
            Self::Values(values) => leave(values, entry.value),
            Self::Sum(sum) => *sum -= entry.value,
            Self::Parts(parts) => leave(parts, entry.part),
            Self::Order(..) | Self::Later => {}
        }
    }

    /// Whether the condition holds with the entry that entered last.
    pub(crate) fn holds(&self, rule: &Rule) -> bool {
        match (self, &rule.measure) {
            (Self::Events(count), _) => satisfied(&rule.predicates, i128::from(*count), 1),
            (Self::Values(values), _) => satisfied(&rule.predicates, values.len() as i128, 1),
            (Self::Sum(sum), _) => satisfied(&rule.predicates, *sum, MILLI),
            (Self::Parts(parts), Measure::Parts(presence)) => {
                presence.holds(parts.keys().fold(0u64, |present, part| present | 1 << part))
            }
            (Self::Order(_, completed), _) => *completed,
            (Self::Parts(_) | Self::Later, _) => false,
        }
    }
}

/// Downwards, so that one event takes only one place in a chain.
fn enter_order(starts: &mut [Option<i64>], rule: &Rule, entry: &Entry) -> bool {
    let mut completed = false;
    for place in (0..starts.len()).rev().filter(|place| rule.places[*place] == entry.part) {
        let start = if place == 0 { Some(entry.time) } else { starts[place - 1] };
        if let Some(start) = start.filter(|start| entry.time - start <= rule.span) {
            starts[place] = Some(start);
            completed |= place + 1 == starts.len();
        }
    }
    completed
}

fn leave<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, u32, ahash::RandomState>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

/// All windows of a rule that is not sliding, and the bursts of one that is.
pub(crate) fn walk(rule: &Rule, entries: &[Entry]) -> Vec<Window> {
    match (&rule.measure, rule.shape) {
        (Measure::Absence, _) => waits(rule, entries),
        (_, Shape::Sliding) => bursts(rule, entries),
        _ => cut(rule, entries),
    }
}

fn bursts(rule: &Rule, entries: &[Entry]) -> Vec<Window> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some((first, trigger)) = first_trigger(rule, &entries[at..], 0) {
        let mut last = at + trigger;
        while last + 1 < entries.len() && entries[last + 1].time - entries[last].time <= rule.span {
            last += 1;
        }
        found.push(Window { first: at + first, last, trigger: at + trigger, holds: true, end: entries[last].time + rule.span });
        at = last + 1;
    }
    found
}

/// The first entry from `from` on at which the window of `timespan` that ends there satisfies the condition, and the
/// first entry of that window.
pub(crate) fn first_trigger(rule: &Rule, entries: &[Entry], from: usize) -> Option<(usize, usize)> {
    let start = entries.get(from)?.time - rule.span;
    let mut first = entries[..from].partition_point(|entry| entry.time < start);
    let mut counter = Counter::of(rule);
    for (at, entry) in entries.iter().enumerate().skip(first) {
        while entries[first].time < entry.time - rule.span {
            counter.leave(&entries[first]);
            first += 1;
        }
        counter.enter(rule, entry);
        if at >= from && counter.holds(rule) {
            return Some((first, at));
        }
    }
    None
}

/// Windows that follow each other without overlap.
fn cut(rule: &Rule, entries: &[Entry]) -> Vec<Window> {
    let mut found = Vec::new();
    let mut first = 0;
    while first < entries.len() {
        let begin = entries[first].time;
        let mut last = first;
        let limit = match rule.shape {
            Shape::Tumbling => (begin.div_euclid(rule.span) + 1) * rule.span - 1,
            Shape::Sliding | Shape::Anchored | Shape::Session { .. } => begin + rule.span,
        };
        let near = |last: usize, next: &Entry| match rule.shape {
            Shape::Session { gap } => next.time - entries[last].time <= gap,
            _ => true,
        };
        while let Some(next) = entries.get(last + 1).filter(|next| next.time <= limit && near(last, next)) {
            let _ = next;
            last += 1;
        }
        let end = match rule.shape {
            Shape::Session { gap } => (entries[last].time + gap).min(limit),
            _ => limit,
        };
        let trigger = trigger_of(rule, &entries[first..=last]);
        found.push(Window { first, last, trigger: trigger.map_or(last, |at| first + at), holds: trigger.is_some(), end });
        first = last + 1;
    }
    found
}

/// The entry of a whole window at which its condition held: the first for a rising one, else the last.
fn trigger_of(rule: &Rule, entries: &[Entry]) -> Option<usize> {
    let last = entries.len().checked_sub(1)?;
    match rule.measure {
        Measure::Average => {
            let sum: i128 = entries.iter().map(|entry| entry.value).sum();
            let count: i128 = entries.iter().map(|entry| i128::from(entry.weight)).sum();
            return satisfied(&rule.predicates, sum, count * MILLI).then_some(last);
        }
        Measure::Percentile(percent) => {
            return satisfied(&rule.predicates, percentile(entries, percent), MILLI).then_some(last);
        }
        _ => {}
    }
    let mut counter = Counter::of(rule);
    for (at, entry) in entries.iter().enumerate() {
        counter.enter(rule, entry);
        if rule.is_rising && counter.holds(rule) {
            return Some(at);
        }
    }
    counter.holds(rule).then_some(last)
}

/// The smallest value that at least `percent` of the entries do not exceed (nearest rank), thousandths.
pub(crate) fn percentile(entries: &[Entry], percent: u8) -> i128 {
    // A folded entry holds the sum of equal numbers.
    let mut values: Vec<(i128, u64)> =
        entries.iter().map(|e| (e.value / i128::from(e.weight.max(1)), u64::from(e.weight))).collect();
    values.sort_unstable();
    let count: u64 = values.iter().map(|(_, weight)| weight).sum();
    let rank = (count * u64::from(percent)).div_ceil(100).max(1);
    let mut seen = 0;
    for (value, weight) in &values {
        seen += weight;
        if seen >= rank {
            return *value;
        }
    }
    0
}

fn waits(rule: &Rule, entries: &[Entry]) -> Vec<Window> {
    let mut found: Vec<Window> = Vec::new();
    let mut open: Option<Window> = None;
    for (at, entry) in entries.iter().enumerate() {
        if open.is_some_and(|wait| entry.time > wait.end) {
            found.extend(open.take());
        }
        match (&mut open, entry.part) {
            (Some(wait), 0) => wait.last = at,
            (Some(wait), _) => {
                (wait.last, wait.holds) = (at, false);
                found.extend(open.take());
            }
            (None, 0) => {
                open = Some(Window { first: at, last: at, trigger: at, holds: true, end: entry.time + rule.span });
            }
            // The second rule alone: nothing waits for it.
            (None, _) => found.push(Window { first: at, last: at, trigger: at, holds: false, end: entry.time }),
        }
    }
    found.extend(open);
    found
}
