//! All groups of one correlation: what each holds, when it is to be looked at, and which of them goes when
//! there are too many.

use super::{EventSummary, GROUPS_PER_RULE_MAX, Keyed};
use crate::stateful::{Draft, GroupState};
use event::{Entity, EntityKind, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Evidence is ranked by its binary logarithm, so that a group moves between ranks a dozen times at most.
const RANKS: usize = 16;
/// The layout of a group's own entry.
const LAYOUT: u8 = 1;
/// What follows the group's key: whom it is about, and the entries of its state.
const ENTRY_ABOUT: u8 = 0;
const ENTRY_STATE: u8 = 1;

pub(crate) type Key = Arc<[u8]>;
pub(crate) type Delta = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// Whom a group is about: what its findings say beside what happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct About {
    pub entity: Entity,
    /// Of the event that came last.
    pub summary: EventSummary,
    /// The largest that an event brought.
    pub lateness_secs: u32,
}

/// What a group told, and about whom.
pub(crate) struct Told {
    pub key: Key,
    pub about: About,
    pub drafts: Vec<Draft>,
}

/// When a group is to be looked at again: the next time it ripens or expires.
pub(crate) type Timer = (Timestamp, Key);

/// The groups of one correlation, whatever its kind.
pub(crate) trait AnyGroups: Send {
    fn len(&self) -> usize;
    /// Takes an event's part. Returns what the group tells.
    fn add(&mut self, key: &[u8], part: &Keyed, timers: &mut Vec<Timer>) -> Option<Told>;
    /// A timer has come: the group ripens or goes. Timers that are out of date are ignored.
    fn look(&mut self, timer: Timer, timers: &mut Vec<Timer>) -> Option<Told>;
    /// No more input comes.
    fn finish(&mut self, newest: Timestamp, timers: &mut Vec<Timer>, told: &mut Vec<Told>);
    /// What changed since the last call, with keys that begin with the group's.
    fn changes(&mut self, prefix: &[u8], delta: &mut Delta);
    /// Takes back an entry of `changes`: the group's key, and what followed it.
    fn restore(&mut self, key: &[u8], entry: &[u8], bytes: &[u8]) -> bool;
    /// All entries are taken back: bounds hold again, and every group's timer is set.
    fn restored(&mut self, timers: &mut Vec<Timer>);
    /// All groups' timers, for a caller that numbers correlations anew.
    fn timers(&self, timers: &mut Vec<Timer>);
    /// Deletes all state.
    fn clear(&mut self, prefix: &[u8], delta: &mut Delta);
}

struct Slot<G> {
    key: Key,
    state: G,
    about: Option<About>,
    rank: usize,
    /// Tells a queue's entry for this group from one for an earlier group of the same key or rank.
    ticket: u64,
    /// The one timer that counts.
    timer: Option<Timestamp>,
    is_touched: bool,
    about_changed: bool,
}

/// Boxed: a table that grows moves pointers.
type Slots<G> = HashMap<Key, Box<Slot<G>>, ahash::RandomState>;

pub(crate) struct Groups<G: GroupState> {
    rule: Arc<G::Rule>,
    slots: Slots<G>,
    /// Per rank, oldest first. Entries whose ticket is no longer the slot's are stale.
    ranks: [VecDeque<(Key, u64)>; RANKS],
    tickets: u64,
    /// Groups that changed since the state was last written.
    touched: Vec<Key>,
    /// Groups that went since then, with the entries they had.
    gone: Vec<(Key, Vec<Vec<u8>>)>,
    drafts: Vec<Draft>,
}

impl<G: GroupState> Groups<G> {
    pub(crate) fn new(rule: Arc<G::Rule>) -> Self {
        Self {
            rule,
            slots: HashMap::default(),
            ranks: Default::default(),
            tickets: 0,
            touched: Vec::new(),
            gone: Vec::new(),
            drafts: Vec::new(),
        }
    }

    fn insert(&mut self, key: Key) {
        self.evict(GROUPS_PER_RULE_MAX - 1);
        self.tickets += 1;
        let (state, ticket) = (G::new(), self.tickets);
        let slot = Slot { key: key.clone(), state, about: None, rank: 0, ticket, timer: None, is_touched: false, about_changed: false };
        self.ranks[0].push_back((key.clone(), ticket));
        self.slots.insert(key, Box::new(slot));
        self.compact(0);
    }

    fn move_to(&mut self, key: Key, rank: usize) {
        self.tickets += 1;
        if let Some(slot) = self.slots.get_mut(&key) {
            (slot.rank, slot.ticket) = (rank, self.tickets);
            self.ranks[rank].push_back((key, self.tickets));
            self.compact(rank);
        }
    }

    /// Stale entries stay behind when groups move or go; they may not outnumber the live.
    fn compact(&mut self, rank: usize) {
        if self.ranks[rank].len() > 1_024 + 2 * self.slots.len() {
            let slots = &self.slots;
            self.ranks[rank].retain(|(key, ticket)| slots.get(key).is_some_and(|slot| slot.ticket == *ticket));
        }
    }

    /// Removes groups with the least evidence, oldest first, until at most `keep` are left.
    fn evict(&mut self, keep: usize) {
        while self.slots.len() > keep {
            let Some(key) = self.ranks.iter_mut().find_map(|queue| next_live(queue, &self.slots)) else { return };
            self.remove(&key);
        }
    }

    fn remove(&mut self, key: &[u8]) {
        if let Some((key, slot)) = self.slots.remove_entry(key) {
            self.gone.push((key, stored(&slot)));
        }
    }

    /// Tells what a slot's change brought, and sets its rank and timer anew.
    fn settle(&mut self, key: &[u8], timers: &mut Vec<Timer>, not_before: Timestamp, change: impl FnOnce(&G::Rule, &mut Slot<G>, &mut Vec<Draft>)) -> Option<Told> {
        let slot = self.slots.get_mut(key)?;
        change(&self.rule, slot, &mut self.drafts);
        if !slot.is_touched {
            slot.is_touched = true;
            self.touched.push(slot.key.clone());
        }
        let told = match (&slot.about, self.drafts.is_empty()) {
            (Some(about), false) => {
                Some(Told { key: slot.key.clone(), about: about.clone(), drafts: std::mem::take(&mut self.drafts) })
            }
            _ => None,
        };
        set_timer::<G>(&self.rule, slot, not_before, timers);
        let rank = rank_of(&slot.state);
        if rank != slot.rank {
            let key = slot.key.clone();
            self.move_to(key, rank);
        }
        told
    }
}

impl<G: GroupState> AnyGroups for Groups<G> {
    fn len(&self) -> usize {
        self.slots.len()
    }

    fn add(&mut self, key: &[u8], part: &Keyed, timers: &mut Vec<Timer>) -> Option<Told> {
        if !self.slots.contains_key(key) {
            // What is taken back from a group that has gone is gone already.
            if part.is_taken_back {
                return None;
            }
            self.insert(key.into());
        }
        self.settle(key, timers, Timestamp(i64::MIN), |rule, slot, drafts| {
            slot.note(part);
            slot.state.add(rule, part, drafts);
        })
    }

    fn look(&mut self, (time, key): Timer, timers: &mut Vec<Timer>) -> Option<Told> {
        let slot = self.slots.get_mut(&key).filter(|slot| slot.timer == Some(time))?;
        slot.timer = None;
        if slot.state.due(&self.rule).is_some_and(|due| due <= time) {
            // A state that asks for the same moment again would never let the clock go on.
            let not_before = Timestamp(time.0.saturating_add(1));
            return self.settle(&key, timers, not_before, |rule, slot, drafts| slot.state.ripen(rule, time, drafts));
        }
        if slot.state.expires(&self.rule) < time {
            self.remove(&key);
        } else {
            set_timer::<G>(&self.rule, slot, time, timers);
        }
        None
    }

    fn finish(&mut self, newest: Timestamp, timers: &mut Vec<Timer>, told: &mut Vec<Told>) {
        let mut keys: Vec<Key> = self.slots.keys().cloned().collect();
        keys.sort();
        for key in keys {
            let finish = |rule: &G::Rule, slot: &mut Slot<G>, drafts: &mut Vec<Draft>| slot.state.finish(rule, newest, drafts);
            told.extend(self.settle(&key, timers, Timestamp(i64::MIN), finish));
        }
    }

    fn changes(&mut self, prefix: &[u8], delta: &mut Delta) {
        let from = delta.len();
        for (key, entries) in self.gone.drain(..) {
            delta.extend(entries.into_iter().map(|entry| ([prefix, &key, &entry].concat(), None)));
        }
        let deleted = delta.len();
        for key in self.touched.drain(..) {
            let Some(slot) = self.slots.get_mut(&key).filter(|slot| slot.is_touched) else { continue };
            slot.is_touched = false;
            let own = |kind: u8, entry: &[u8]| [prefix, &key, &[kind], entry].concat();
            if std::mem::take(&mut slot.about_changed)
                && let Some(about) = &slot.about
            {
                delta.push((own(ENTRY_ABOUT, &[]), Some(write_about(about))));
            }
            slot.state.changes(&mut |entry, bytes| delta.push((own(ENTRY_STATE, entry), bytes)));
        }
        only_last(delta, from, deleted);
    }

    fn restore(&mut self, key: &[u8], entry: &[u8], bytes: &[u8]) -> bool {
        let Some((kind, entry)) = entry.split_first() else { return false };
        let is_new = !self.slots.contains_key(key);
        if is_new {
            self.insert(key.into());
        }
        let Some(slot) = self.slots.get_mut(key) else { return false };
        let taken = match *kind {
            ENTRY_ABOUT => {
                let about = read_about(bytes);
                slot.about = about.or(slot.about.take());
                slot.about.is_some()
            }
            ENTRY_STATE => slot.state.take(entry, bytes),
            _ => false,
        };
        if !taken && is_new {
            self.slots.remove(key);
        }
        taken
    }

    fn restored(&mut self, timers: &mut Vec<Timer>) {
        // A state without its `about` could tell nothing: the entry was unreadable.
        self.slots.retain(|_, slot| slot.about.is_some());
        let mut keys: Vec<Key> = self.slots.keys().cloned().collect();
        keys.sort();
        for key in keys {
            let Some(slot) = self.slots.get_mut(&key) else { continue };
            slot.timer = None;
            set_timer::<G>(&self.rule, slot, Timestamp(i64::MIN), timers);
            let rank = rank_of(&slot.state);
            self.move_to(key, rank);
        }
    }

    fn timers(&self, timers: &mut Vec<Timer>) {
        timers.extend(self.slots.iter().filter_map(|(key, slot)| Some((slot.timer?, key.clone()))));
    }

    fn clear(&mut self, prefix: &[u8], delta: &mut Delta) {
        let keys: Vec<Key> = self.slots.keys().cloned().collect();
        keys.iter().for_each(|key| self.remove(key));
        self.touched.clear();
        self.changes(prefix, delta);
    }
}

impl<G> Slot<G> {
    /// Keeps what the newest event says of whom the group is about.
    fn note(&mut self, part: &Keyed) {
        let about = match &mut self.about {
            Some(about) => about,
            None => {
                self.about_changed = true;
                self.about = Some(About {
                    entity: part.entity.clone(),
                    summary: part.summary.clone(),
                    lateness_secs: part.lateness_secs,
                });
                return;
            }
        };
        if part.lateness_secs > about.lateness_secs {
            (about.lateness_secs, self.about_changed) = (part.lateness_secs, true);
        }
        if part.summary != about.summary {
            (about.summary, self.about_changed) = (part.summary.clone(), true);
        }
        // The first kind that is known: which event comes first must not decide what a value is.
        if about.entity.kind == EntityKind::Group && part.entity.kind != EntityKind::Group {
            (about.entity, self.about_changed) = (part.entity.clone(), true);
        }
    }
}

fn set_timer<G: GroupState>(rule: &G::Rule, slot: &mut Slot<G>, not_before: Timestamp, timers: &mut Vec<Timer>) {
    let expires = Timestamp(slot.state.expires(rule).0.saturating_add(1));
    let next = slot.state.due(rule).map_or(expires, |due| due.min(expires)).max(not_before);
    if slot.timer.is_none_or(|timer| next < timer) {
        slot.timer = Some(next);
        timers.push((next, slot.key.clone()));
    }
}

fn stored<G: GroupState>(slot: &Slot<G>) -> Vec<Vec<u8>> {
    let states = slot.state.stored().into_iter().map(|mut entry| {
        entry.insert(0, ENTRY_STATE);
        entry
    });
    std::iter::once(vec![ENTRY_ABOUT]).chain(states).collect()
}

/// A group that went and came again in one step has its entries deleted and written: only the write counts.
fn only_last(delta: &mut Delta, from: usize, deleted: usize) {
    if deleted == from || deleted == delta.len() {
        return;
    }
    let written: std::collections::HashSet<&[u8]> = delta[deleted..].iter().map(|(key, _)| &key[..]).collect();
    let is_stale: Vec<bool> = delta[from..deleted].iter().map(|(key, _)| written.contains(&key[..])).collect();
    let mut at = 0;
    delta.retain(|_| {
        at += 1;
        at <= from || !is_stale.get(at - 1 - from).copied().unwrap_or_default()
    });
}

fn rank_of<G: GroupState>(state: &G) -> usize {
    (state.evidence().max(1).ilog2() as usize).min(RANKS - 1)
}

/// The oldest live group of a rank.
fn next_live<G>(queue: &mut VecDeque<(Key, u64)>, slots: &Slots<G>) -> Option<Key> {
    while let Some((key, ticket)) = queue.pop_front() {
        if slots.get(&key).is_some_and(|slot| slot.ticket == ticket) {
            return Some(key);
        }
    }
    None
}

#[derive(Serialize, Deserialize)]
struct Written {
    layout: u8,
    entity: Entity,
    user: Option<compact_str::CompactString>,
    source_ip: Option<compact_str::CompactString>,
    event_name: Option<compact_str::CompactString>,
    place: Option<(f64, f64, compact_str::CompactString)>,
    lateness_secs: u32,
}

fn write_about(about: &About) -> Vec<u8> {
    let About { entity, summary, lateness_secs } = about.clone();
    let EventSummary { user, source_ip, event_name, place, .. } = summary;
    let written = Written { layout: LAYOUT, entity, user, source_ip, event_name, place, lateness_secs };
    postcard::to_allocvec(&written).expect("a struct of numbers and text has a binary form")
}

fn read_about(bytes: &[u8]) -> Option<About> {
    let Written { layout, entity, user, source_ip, event_name, place, lateness_secs } = postcard::from_bytes(bytes).ok()?;
    let summary = EventSummary { user, source_ip, event_name, place, ..EventSummary::default() };
    (layout == LAYOUT).then_some(About { entity, summary, lateness_secs })
}
