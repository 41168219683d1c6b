//! Sliding windows kept up event by event, with the result of [`walk`](super::walk) over all entries.
//!
//! Entries are kept one by one as long as a burst may begin with them: those that no burst has reached, and of each
//! burst the window that opened it (its *head*, up to the *trigger*). The rest of a burst, its *tail*, is counted.
//! A condition that more events can't make false again moves triggers only to earlier entries, so the tail
//! is never needed one by one again: an event before a trigger may open the burst earlier, and then what lay
//! between the new and the old trigger joins the tail; an event after it may bridge two bursts, which then are one.

use super::distinct::Distinct;
use super::entry::Entry;
use super::rule::{Measure, Rule};
use super::tell::{self, Burst, Details};
use super::uid::Uid;
use super::{Group, walk};
use crate::stateful::Draft;
use event::Finding;
use std::collections::BTreeMap;
use std::ops::Range;

/// A burst that may still change.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live {
    /// Names its stored entries.
    pub id: u32,
    /// The order of the entry that opened it.
    pub trigger: (i64, Uid, u16),
    /// First and last event time.
    pub from: i64,
    pub to: i64,
    /// The newest time of receipt of its events.
    pub heard: i64,
    /// Events of the head.
    pub head: u64,
    /// Of the tail: events, sum, first time per part, the first events by name, values.
    pub count: u64,
    pub sum: i128,
    pub parts: BTreeMap<u16, i64>,
    pub refs: Vec<Entry>,
    pub distinct: Distinct,
}

impl Live {
    fn order(&self) -> (i64, &Uid, u16) {
        (self.trigger.0, &self.trigger.1, self.trigger.2)
    }

    fn events(&self) -> u64 {
        self.head + self.count
    }
}

impl Group {
    pub(super) fn add_to_bursts(&mut self, rule: &Rule, entry: Entry, out: &mut Vec<Draft>) {
        let owner = self.live.iter().rposition(|live| live.order() < entry.order());
        let is_told_anew = match owner.filter(|owner| entry.time <= self.live[*owner].to + rule.span) {
            Some(owner) => {
                self.join_tail(rule, owner, entry);
                self.absorb(rule, owner) || self.has_doubled(owner)
            }
            None => self.insert(rule, entry),
        };
        if is_told_anew {
            self.tell_bursts(rule, None, out);
        }
        self.set_due(rule);
    }

    /// Puts an entry among those that are kept; returns whether a burst opened or began elsewhere.
    fn insert(&mut self, rule: &Rule, mut entry: Entry) -> bool {
        let Err(at) = self.entries.binary_search_by(|other| other.order().cmp(&entry.order())) else { return false };
        let (time, uid, part) = (entry.time, entry.uid.clone(), entry.part);
        self.store.place(&mut entry);
        self.entries.insert(at, entry);
        self.fold(rule);
        let at = self.entries.partition_point(|other| other.order() < (time, &uid, part)).min(self.entries.len() - 1);
        let next = self.live.partition_point(|live| live.order() < (time, &uid, part));
        let limit = self.live.get(next).map_or(self.entries.len(), |live| self.place_of(live));
        let near = self.entries[..limit].partition_point(|other| other.time <= time + rule.span);
        if at < near
            && !self.is_idle(rule, at, near)
            && let Some((_, trigger)) = walk::first_trigger(rule, &self.entries[..near], at)
        {
            self.open(rule, trigger, next);
            return true;
        }
        // The entry may still be one of the next burst's head, and even its first.
        self.live.get(next).is_some_and(|live| live.trigger.0 - rule.span <= time) && self.refresh(rule, next)
    }

    /// Whether the entry at `at` cannot complete a window, seen without walking it. Only for one of the newest time:
    /// the windows that end at it and at its equals (CloudTrail counts in seconds) all begin at the same entry.
    fn is_idle(&self, rule: &Rule, at: usize, near: usize) -> bool {
        let new = &self.entries[at];
        if self.entries[near - 1].time != new.time {
            return false;
        }
        let start = self.entries[..at].partition_point(|entry| entry.time < new.time - rule.span);
        let count = (near - start) as i128;
        match &rule.measure {
            Measure::Events => !self.is_about && !super::rule::satisfied(&rule.predicates, count, 1),
            // No more values than entries: few entries need no look at their values.
            Measure::Values => {
                !super::rule::satisfied(&rule.predicates, count, 1)
                    || self.entries[start..at].iter().rev().any(|entry| entry.value == new.value)
            }
            Measure::Parts(presence) => {
                !presence.holds(self.entries[start..near].iter().fold(0u64, |present, entry| present | 1 << entry.part))
            }
            Measure::Order => {
                rule.places.last().is_none_or(|last| self.entries[at..near].iter().all(|entry| entry.part != *last))
            }
            _ => false,
        }
    }

    fn place_of(&self, live: &Live) -> usize {
        self.entries.partition_point(|entry| entry.order() < live.order())
    }

    /// The entries of a burst's head, by their places.
    pub(super) fn head_of(&self, rule: &Rule, live: &Live) -> Range<usize> {
        let last = self.place_of(live);
        let first = self.entries.partition_point(|entry| entry.time < live.trigger.0 - rule.span);
        first..(last + 1).min(self.entries.len())
    }

    /// Opens a burst at an entry, before the bursts from `next` on.
    fn open(&mut self, rule: &Rule, trigger: usize, next: usize) {
        let entry = &self.entries[trigger];
        let id = self.live.iter().map(|live| live.id + 1).max().unwrap_or(0);
        let trigger = (entry.time, entry.uid.clone(), entry.part);
        let live = Live { id, trigger, from: i64::MAX, to: entry.time, heard: entry.received, ..Live::default() };
        self.live.insert(next, live);
        self.refresh(rule, next);
        self.absorb(rule, next);
    }

    /// Counts the head anew; returns whether the burst begins elsewhere now.
    fn refresh(&mut self, rule: &Rule, place: usize) -> bool {
        let head = self.head_of(rule, &self.live[place]);
        let entries = &self.entries[head];
        let live = &mut self.live[place];
        let from = entries.first().map_or(live.trigger.0, |entry| entry.time);
        live.head = entries.iter().map(|entry| u64::from(entry.weight)).sum();
        live.heard = entries.iter().map(|entry| entry.received).fold(live.heard, i64::max);
        std::mem::replace(&mut live.from, from) != from
    }

    /// Adds an event after the trigger, and keeps it by name if it is one of the first.
    fn join_tail(&mut self, rule: &Rule, place: usize, mut entry: Entry) {
        let live = &mut self.live[place];
        live.count += u64::from(entry.weight);
        live.to = live.to.max(entry.time);
        live.heard = live.heard.max(entry.received);
        match rule.measure {
            Measure::Values => live.distinct.insert(entry.value),
            Measure::Sum => live.sum += entry.value,
            Measure::Parts(_) | Measure::Order => {
                let first = live.parts.entry(entry.part).or_insert(entry.time);
                *first = (*first).min(entry.time);
            }
            _ => {}
        }
        let at = live.refs.partition_point(|other| other.order() < entry.order());
        if at >= Finding::EVENTS_MAX {
            return self.store.free(&entry);
        }
        if entry.chunk == 0 {
            self.store.place(&mut entry);
        }
        self.store.touch(&entry);
        live.refs.insert(at, entry);
        if live.refs.len() > Finding::EVENTS_MAX
            && let Some(last) = live.refs.pop()
        {
            self.store.free(&last);
        }
    }

    /// Takes into a burst what its end reaches: entries, and other bursts. Returns whether there were any of those.
    fn absorb(&mut self, rule: &Rule, place: usize) -> bool {
        let mut has_merged = false;
        loop {
            let from = self.place_of(&self.live[place]) + 1;
            let to = self.entries.partition_point(|entry| entry.time <= self.live[place].to + rule.span);
            if to <= from {
                return has_merged;
            }
            let reached: Vec<Entry> = self.entries.drain(from..to).collect();
            for entry in reached {
                if self.live.get(place + 1).is_some_and(|next| next.order() == entry.order()) {
                    has_merged = true;
                    self.merge_next(place);
                }
                self.join_tail(rule, place, entry);
            }
        }
    }

    /// Adds the tail of the next burst to this one's.
    fn merge_next(&mut self, place: usize) {
        let next = self.live.remove(place + 1);
        self.store.forget_values(&next);
        let live = &mut self.live[place];
        live.to = live.to.max(next.to);
        live.heard = live.heard.max(next.heard);
        live.count += next.count;
        live.sum += next.sum;
        live.distinct.merge(&next.distinct);
        for (part, time) in next.parts {
            let first = live.parts.entry(part).or_insert(time);
            *first = (*first).min(time);
        }
        live.refs.extend(next.refs);
        live.refs.sort_by(|a, b| a.order().cmp(&b.order()));
        while live.refs.len() > Finding::EVENTS_MAX {
            if let Some(last) = live.refs.pop() {
                self.store.free(&last);
            }
        }
    }

    fn has_doubled(&self, place: usize) -> bool {
        let live = &self.live[place];
        let told = self.told.iter().find(|told| told.from == live.from && !told.is_withdrawn);
        told.is_none_or(|told| live.events() >= told.count.saturating_mul(2))
    }

    fn due_of_burst(&self, rule: &Rule, live: &Live) -> i64 {
        self.due_of(live.to.saturating_add(rule.span), live.heard.saturating_add(rule.span))
    }

    fn set_due(&mut self, rule: &Rule) {
        self.due = self.live.iter().map(|live| self.due_of_burst(rule, live)).min();
    }

    pub(super) fn settle_bursts(&mut self, rule: &Rule, is_over: &dyn Fn(i64, i64) -> bool, out: &mut Vec<Draft>) {
        let is_final: Vec<bool> =
            self.live.iter().map(|live| is_over(live.to.saturating_add(rule.span), self.due_of_burst(rule, live))).collect();
        if is_final.contains(&true) {
            self.tell_bursts(rule, Some(&is_final), out);
        }
        for place in (0..is_final.len()).rev().filter(|place| is_final[*place]) {
            let head = self.head_of(rule, &self.live[place]);
            let live = self.live.remove(place);
            self.close(live.from, live.to.saturating_add(rule.span));
            self.entries.drain(head).chain(live.refs.iter().cloned()).for_each(|entry| self.store.free(&entry));
            self.store.forget_values(&live);
        }
        self.set_due(rule);
    }

    fn tell_bursts(&mut self, rule: &Rule, is_final: Option<&[bool]>, out: &mut Vec<Draft>) {
        let bursts: Vec<Burst> = self.live.iter().enumerate().map(|(place, live)| Burst {
            from: live.from,
            to: live.to,
            count: live.events(),
            is_final: is_final.is_some_and(|is_final| is_final[place]),
            place,
        }).collect();
        for telling in tell::compare(&mut self.told, &bursts) {
            let details = match self.live.get(telling.burst.place) {
                Some(live) => self.details_of(rule, live),
                None => Details::withdrawn(&telling.burst),
            };
            out.push(tell::draft(rule, &telling, details));
        }
    }

    fn details_of(&self, rule: &Rule, live: &Live) -> Details {
        let head = &self.entries[self.head_of(rule, live)];
        let mut parts = live.parts.clone();
        for entry in head {
            let first = parts.entry(entry.part).or_insert(entry.time);
            *first = (*first).min(entry.time);
        }
        let (distinct, is_estimate) = match rule.measure {
            Measure::Values => live.distinct.count_with(head.iter().map(|entry| entry.value)),
            _ => (0, false),
        };
        Details {
            time: live.trigger.0,
            window: (live.from, live.to),
            count: live.events(),
            is_about: self.is_about || is_estimate,
            distinct,
            number: live.sum + head.iter().map(|entry| entry.value).sum::<i128>(),
            parts,
            events: head.iter().chain(&live.refs).take(Finding::EVENTS_MAX).map(Entry::event_ref).collect(),
        }
    }
}
