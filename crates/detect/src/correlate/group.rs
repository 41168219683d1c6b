//! One group of one correlation: its entries in order of event time, and where it fired.

use super::compile::{Correlation, Kind};
use super::{ALLOWED_LATENESS_SECS, Keyed};
use crate::sigma::cut;
use compact_str::CompactString;
use event::{Condition, Explanation, Finding, FindingStatus, Id, Position, Timestamp};
use rsigma_parser::ConditionOperator;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Most past windows that are remembered to recognise their late events.
const FIRED_MAX: usize = 16;
/// The layout of a written group.
const LAYOUT: u8 = 1;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Microseconds of event time; first, so that entries sort by it.
    pub time: i64,
    pub offset: u64,
    pub index: u32,
    pub uid: CompactString,
    pub part: u16,
    pub value: Option<CompactString>,
    /// Microseconds of the time of receipt.
    pub received: i64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Group {
    layout: u8,
    pub entries: Vec<Entry>,
    /// First and last event time of windows that fired.
    fired: Vec<(i64, i64)>,
    pub received: Timestamp,
    /// Whether entries were let go to stay within the bound: counts are then "at least".
    pub overflowed: bool,
}

/// The entries of a window that satisfies the condition, and the count that does.
struct Window {
    from: usize,
    to: usize,
    count: u64,
}

impl Group {
    pub(crate) fn new() -> Self {
        Self { layout: LAYOUT, ..Self::default() }
    }

    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().filter(|group: &Self| group.layout == LAYOUT)
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a struct of numbers and text has a JSON form")
    }

    /// Nothing left to count or to recognise.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.fired.is_empty()
    }

    /// How much an attacker would lose if the group were forgotten: its entries, or its having fired.
    pub(crate) fn evidence(&self) -> usize {
        self.entries.len() + self.fired.len()
    }

    /// Adds one event and returns the finding it completes.
    pub(crate) fn add(&mut self, correlation: &Correlation, part: &Keyed, now: Timestamp) -> Option<Finding> {
        self.received = self.received.max(part.received);
        let latest = part.received.plus_secs(ALLOWED_LATENESS_SECS);
        let entry = Entry {
            // A time that lies in the future is no time: clamped, it can neither be out of reach of the
            // group's other events for ever nor make them look old.
            time: part.time.min(latest).micros(),
            offset: part.position.offset,
            index: part.position.index,
            uid: part.uid.clone(),
            part: part.part,
            value: part.value.clone(),
            received: part.received.micros(),
        };
        self.forget(correlation, entry.time, now);
        let span = span_of(correlation);
        if self.fired.iter().any(|(from, to)| entry.time >= from - span && entry.time <= to + span) {
            return None;
        }
        let at = match self.entries.binary_search(&entry) {
            Ok(_) => return None,
            Err(at) => at,
        };
        if self.is_replayed(&entry, at) {
            return None;
        }
        self.entries.insert(at, entry);
        let at = self.thin(correlation, at);
        let window = self.find(correlation, at)?;
        Some(self.fire(correlation, part, &window))
    }

    /// The same event again: a log is replayed from its last commit after a crash.
    fn is_replayed(&self, entry: &Entry, at: usize) -> bool {
        let same = |other: &&Entry| other.time == entry.time;
        let before = self.entries[..at].iter().rev().take_while(same);
        let after = self.entries[at..].iter().take_while(same);
        before.chain(after).any(|other| {
            other.uid == entry.uid && other.part == entry.part && (other.offset, other.index) == (entry.offset, entry.index)
        })
    }

    /// Lets go what can't be part of a window any more. An entry is *far* when its event time is further
    /// from the new event than a window plus the allowed lateness. Far entries that the log received long
    /// ago are forgotten. Far entries received just now mean disorder (old files, a wrong clock, or someone
    /// who tries to flush the group with an odd date): as many of them stay as a condition needs.
    fn forget(&mut self, correlation: &Correlation, time: i64, now: Timestamp) {
        let horizon = span_of(correlation) + ALLOWED_LATENESS_SECS * 1_000_000;
        let (low, high) = (time.saturating_sub(horizon), time.saturating_add(horizon));
        let long_ago = now.micros().saturating_sub(horizon);
        let (first, last) = match (self.entries.first(), self.entries.last()) {
            (Some(first), Some(last)) => (first.time, last.time),
            _ => (time, time),
        };
        if first < low || last > high {
            self.entries.retain(|entry| (low..=high).contains(&entry.time) || entry.received >= long_ago);
            self.keep_nearest_far(low, high, correlation.far_max);
        }
        let is_gone = |to: i64| (to < low || to > high) && to < long_ago;
        self.fired.retain(|(_, to)| !is_gone(*to));
    }

    fn keep_nearest_far(&mut self, low: i64, high: i64, far_max: usize) {
        let before = self.entries.partition_point(|entry| entry.time < low);
        let after = self.entries.len() - self.entries.partition_point(|entry| entry.time <= high);
        if before + after <= far_max {
            return;
        }
        self.overflowed = true;
        // The older side first: what is after a late file is newer than it.
        let drop_before = before.min(before + after - far_max);
        let drop_after = before + after - far_max - drop_before;
        self.entries.truncate(self.entries.len() - drop_after);
        self.entries.drain(..drop_before);
    }

    /// Keeps the group within its bound after an insertion at `at`; returns where the new entry is now.
    fn thin(&mut self, correlation: &Correlation, mut at: usize) -> usize {
        if matches!(correlation.kind, Kind::ValueCount(_)) {
            at = self.thin_values(span_of(correlation), at);
        }
        if self.entries.len() <= correlation.entries_max {
            return at;
        }
        self.overflowed = true;
        let time = self.entries[at].time;
        let (first, last) = (self.entries[0].time, self.entries[self.entries.len() - 1].time);
        if time.abs_diff(first) >= time.abs_diff(last) && at > 0 {
            self.entries.remove(0);
            at - 1
        } else {
            self.entries.pop();
            at.min(self.entries.len() - 1)
        }
    }

    /// Of three entries with one value that all lie within one timespan, the middle one counts in no window
    /// in which not another of them counts too.
    fn thin_values(&mut self, span: i64, at: usize) -> usize {
        let new = &self.entries[at];
        let same = |entry: &&Entry| entry.value == new.value;
        let near = |entry: &&Entry| entry.time.abs_diff(new.time) <= span as u64;
        let before: Vec<i64> = self.entries[..at].iter().rev().take_while(near).filter(same).map(|e| e.time).take(2).collect();
        let after: Vec<i64> = self.entries[at + 1..].iter().take_while(near).filter(same).map(|e| e.time).take(2).collect();
        let (value, time) = (new.value.clone(), new.time);
        let middle = match (&before[..], &after[..]) {
            ([earlier, ..], [later, ..]) if later - earlier <= span => time,
            ([one, two, ..], _) if time - two <= span => *one,
            (_, [one, two, ..]) if two - time <= span => *one,
            _ => return at,
        };
        let Some(drop) = self.entries.iter().position(|e| e.time == middle && e.value == value) else { return at };
        self.entries.remove(drop);
        if drop < at { at - 1 } else { at.min(self.entries.len() - 1) }
    }

    /// A window that holds the entry at `at` and satisfies the condition: the earliest one.
    fn find(&self, correlation: &Correlation, at: usize) -> Option<Window> {
        let span = span_of(correlation);
        let time = self.entries.get(at)?.time;
        let low = self.entries.partition_point(|entry| entry.time < time - span);
        let high = self.entries.partition_point(|entry| entry.time <= time + span);
        let near = &self.entries[low..high];
        let least = correlation.predicates.iter().filter(|(op, _)| is_lower_bound(*op)).map(|(_, n)| *n as usize).max();
        if matches!(correlation.kind, Kind::EventCount | Kind::ValueCount(_)) && near.len() < least.unwrap_or(1) {
            return None;
        }
        let window = match &correlation.kind {
            Kind::TemporalOrdered => ordered(near, at - low, span, &correlation.bases),
            _ => sliding(near, at - low, span, correlation),
        }?;
        Some(Window { from: window.from + low, to: window.to + low, count: window.count })
    }

    fn fire(&mut self, correlation: &Correlation, part: &Keyed, window: &Window) -> Finding {
        let entries = &self.entries[window.from..=window.to];
        let (from, to) = (entries[0].time, entries[entries.len() - 1].time);
        let finding = finding(correlation, part, entries, window.count, self.overflowed);
        let span = span_of(correlation);
        self.fired.push((from, to));
        if self.fired.len() > FIRED_MAX {
            self.fired.remove(0);
        }
        self.entries.retain(|entry| entry.time < from - span || entry.time > to + span);
        self.overflowed = false;
        finding
    }
}

fn span_of(correlation: &Correlation) -> i64 {
    correlation.timespan_secs * 1_000_000
}

fn is_lower_bound(operator: ConditionOperator) -> bool {
    matches!(operator, ConditionOperator::Gt | ConditionOperator::Gte | ConditionOperator::Eq)
}

fn satisfied(predicates: &[(ConditionOperator, u64)], count: u64) -> bool {
    predicates.iter().all(|(operator, than)| match operator {
        ConditionOperator::Lt => count < *than,
        ConditionOperator::Lte => count <= *than,
        ConditionOperator::Gt => count > *than,
        ConditionOperator::Gte => count >= *than,
        ConditionOperator::Eq => count == *than,
        ConditionOperator::Neq => count != *than,
    })
}

/// What a sliding window counts, kept up as its ends move.
enum Counter<'e> {
    Events(u64),
    Values(HashMap<&'e str, u32>),
    Parts(HashMap<u16, u32>),
}

impl<'e> Counter<'e> {
    fn of(kind: &Kind) -> Self {
        match kind {
            Kind::ValueCount(_) => Self::Values(HashMap::new()),
            Kind::Temporal(_) => Self::Parts(HashMap::new()),
            Kind::EventCount | Kind::TemporalOrdered => Self::Events(0),
        }
    }

    fn enter(&mut self, entry: &'e Entry) {
        match self {
            Self::Events(count) => *count += 1,
            Self::Values(values) => *values.entry(entry.value.as_deref().unwrap_or_default()).or_default() += 1,
            Self::Parts(parts) => *parts.entry(entry.part).or_default() += 1,
        }
    }

    fn leave(&mut self, entry: &'e Entry) {
        match self {
            Self::Events(count) => *count -= 1,
            Self::Values(values) => leave(values, entry.value.as_deref().unwrap_or_default()),
            Self::Parts(parts) => leave(parts, entry.part),
        }
    }

    /// The count, if the condition holds.
    fn satisfies(&self, correlation: &Correlation) -> Option<u64> {
        match (self, &correlation.kind) {
            (Self::Parts(parts), Kind::Temporal(presence)) => {
                let present = parts.keys().fold(0u64, |bits, part| bits | 1 << part);
                presence.holds(present).then_some(parts.len() as u64)
            }
            (Self::Events(count), _) => satisfied(&correlation.predicates, *count).then_some(*count),
            (Self::Values(values), _) => {
                let count = values.len() as u64;
                satisfied(&correlation.predicates, count).then_some(count)
            }
            (Self::Parts(_), _) => None,
        }
    }
}

fn leave<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, u32>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

/// The earliest window that begins at an entry, holds `entries[at]` and satisfies the condition.
fn sliding(entries: &[Entry], at: usize, span: i64, correlation: &Correlation) -> Option<Window> {
    let mut counter = Counter::of(&correlation.kind);
    let mut to = 0;
    for from in 0..=at {
        while to < entries.len() && entries[to].time <= entries[from].time + span {
            counter.enter(&entries[to]);
            to += 1;
        }
        if to > at
            && let Some(count) = counter.satisfies(correlation)
        {
            return Some(Window { from, to: to - 1, count });
        }
        counter.leave(&entries[from]);
    }
    None
}

/// A chain of all rules in their order within one timespan that has the entry at `at` in reach: per rule,
/// the latest start of a chain that has come so far. One pass.
fn ordered(entries: &[Entry], at: usize, span: i64, bases: &[u32]) -> Option<Window> {
    let mut starts: Vec<Option<usize>> = vec![None; bases.len()];
    for (i, entry) in entries.iter().enumerate() {
        // Downwards, so that one event takes only one place in a chain.
        for place in (0..bases.len()).rev().filter(|place| bases[*place] == bases[entry.part as usize]) {
            let start = if place == 0 { Some(i) } else { starts[place - 1] };
            if let Some(from) = start
                && entry.time - entries[from].time <= span
            {
                starts[place] = Some(from);
            }
        }
        if let Some(from) = starts.last().copied().flatten()
            && i >= at
            && from <= at
        {
            return Some(Window { from, to: i, count: bases.len() as u64 });
        }
    }
    None
}

fn finding(correlation: &Correlation, part: &Keyed, entries: &[Entry], count: u64, overflowed: bool) -> Finding {
    let rule = &correlation.rule;
    let (from, to) = (Timestamp(entries[0].time), Timestamp(entries[entries.len() - 1].time));
    let group = super::group_key(&part.group);
    let shown = entries.iter().take(Finding::EVENTS_MAX);
    Finding {
        id: Id::of(&[b"correlation", rule.id.as_bytes(), &group, &from.micros().to_le_bytes()]),
        time: to,
        rule: rule.clone(),
        level: rule.level,
        entity: part.entity.clone(),
        event_ids: shown.clone().map(|entry| entry.uid.clone()).collect(),
        positions: shown.map(|entry| Position { offset: entry.offset, index: entry.index }).collect(),
        event_count: entries.len() as u64,
        window: Some((from, to)),
        explanation: explanation(correlation, part, entries, count, overflowed),
        status: FindingStatus::Final,
        revision: 0,
        replaces: None,
        user: part.summary.user.clone(),
        source_ip: part.summary.source_ip.clone(),
        event_name: part.summary.event_name.clone(),
        place: part.summary.place.clone(),
    }
}

fn explanation(correlation: &Correlation, part: &Keyed, entries: &[Entry], count: u64, overflowed: bool) -> Explanation {
    let at_least = if overflowed { "at least " } else { "" };
    let counted = match &correlation.kind {
        Kind::EventCount => format!("{at_least}{count} events"),
        Kind::ValueCount(fields) => format!("{at_least}{count} different values of {}", fields.join(", ")),
        Kind::Temporal(_) => format!("{count} of the rules {}", correlation.base_titles.join(", ")),
        Kind::TemporalOrdered => format!("{} in this order", correlation.base_titles.join(", ")),
    };
    let who: String = part.entity.value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let took = (entries[entries.len() - 1].time - entries[0].time) / 1_000_000;
    let summary = format!("{}: {counted} within {}: {}", cut(&who, 120), duration(took), correlation.rule.name);
    let condition = |selection: &str, field: &str, operator: &str, expected: String, actual: String| Condition {
        selection: selection.into(),
        field: field.into(),
        operator: operator.into(),
        expected: expected.into(),
        actual: cut(&actual, 256),
    };
    let mut conditions: Vec<Condition> = Vec::new();
    match &correlation.kind {
        Kind::EventCount | Kind::ValueCount(_) => {
            let field = match &correlation.kind {
                Kind::ValueCount(fields) => fields.join(", "),
                _ => "events".into(),
            };
            for (operator, than) in &correlation.predicates {
                let actual = format!("{at_least}{count}");
                conditions.push(condition("count", &field, operator_name(*operator), than.to_string(), actual));
            }
        }
        Kind::Temporal(_) | Kind::TemporalOrdered => {
            for (place, title) in correlation.base_titles.iter().enumerate().take(8) {
                let base = correlation.bases[place];
                let hit = entries.iter().find(|entry| correlation.bases[entry.part as usize] == base);
                let Some(hit) = hit else { continue };
                conditions.push(condition("rule", "rule", "occurred", title.clone(), Timestamp(hit.time).to_string()));
            }
        }
    }
    conditions.push(condition("window", "time", "within", duration(correlation.timespan_secs), duration(took)));
    for (field, value) in correlation.group_by.iter().zip(&part.group).take(6) {
        conditions.push(condition("group-by", field, "equals", "same value".into(), value.to_string()));
    }
    Explanation { summary, conditions }
}

fn operator_name(operator: ConditionOperator) -> &'static str {
    match operator {
        ConditionOperator::Lt => "lt",
        ConditionOperator::Lte => "lte",
        ConditionOperator::Gt => "gt",
        ConditionOperator::Gte => "gte",
        ConditionOperator::Eq => "eq",
        ConditionOperator::Neq => "neq",
    }
}

/// `45 s`, `12 min`, `3 h`, `2 d`: rounded up, because it follows "within".
fn duration(secs: i64) -> String {
    let (unit_secs, unit) = match secs {
        0..=119 => (1, "s"),
        120..=7_199 => (60, "min"),
        7_200..=172_799 => (3_600, "h"),
        _ => (86_400, "d"),
    };
    format!("{} {unit}", secs.max(1).div_euclid(unit_secs) + i64::from(secs.max(1) % unit_secs != 0))
}
