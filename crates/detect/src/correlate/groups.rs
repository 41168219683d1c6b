//! All groups of one correlation, and which of them goes when there are too many.

use super::compile::Correlation;
use super::group::Group;
use super::{ALLOWED_LATENESS_SECS, GROUPS_PER_RULE_MAX, Keyed};
use event::{Finding, Timestamp};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Most expired groups that one event's step removes: the work is spread, not bunched.
const EXPIRIES_PER_EVENT_MAX: usize = 8;
/// Evidence is ranked by its binary logarithm, so that a group moves between ranks a dozen times at most.
const RANKS: usize = 16;

type Key = Arc<[u8]>;

struct Slot {
    group: Group,
    rank: usize,
    /// Tells a queue's entry for this group from one for an earlier group of the same key or rank.
    ticket: u64,
}

#[derive(Default)]
pub(crate) struct Groups {
    slots: HashMap<Key, Slot>,
    /// Per rank, oldest first. Entries whose ticket is no longer the slot's are stale.
    ranks: [VecDeque<(Key, u64)>; RANKS],
    /// By time of receipt when queued; every live group is in it exactly once.
    expiry: VecDeque<(Timestamp, Key)>,
    tickets: u64,
    removed: Vec<Key>,
}

impl Groups {
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&Group> {
        self.slots.get(key).map(|slot| &slot.group)
    }

    /// The groups that were evicted or expired since the last call.
    pub(crate) fn take_removed(&mut self) -> impl Iterator<Item = Box<[u8]>> {
        self.removed.drain(..).map(|key| Box::from(&*key))
    }

    pub(crate) fn restore(&mut self, key: &[u8], group: Group) {
        self.remove(key);
        self.insert(key.into(), group);
        self.evict(GROUPS_PER_RULE_MAX);
        self.removed.clear();
    }

    pub(crate) fn add(&mut self, correlation: &Correlation, key: &[u8], part: &Keyed, now: Timestamp) -> Option<Finding> {
        self.expire(correlation, now);
        // Expiry lags behind by design; a group that is due must not count depending on that.
        if self.slots.get(key).is_some_and(|slot| slot.group.received < cutoff(correlation, now)) {
            self.remove(key);
        }
        if !self.slots.contains_key(key) {
            self.evict(GROUPS_PER_RULE_MAX - 1);
            self.insert(key.into(), Group::new());
        }
        let slot = self.slots.get_mut(key).expect("inserted above if absent");
        let finding = slot.group.add(correlation, part, now);
        let (rank, is_empty) = (rank_of(&slot.group), slot.group.is_empty());
        if is_empty {
            self.remove(key);
        } else if rank != slot.rank {
            self.move_to(key, rank);
        }
        finding
    }

    fn insert(&mut self, key: Key, group: Group) {
        self.expiry.push_back((group.received, key.clone()));
        let rank = rank_of(&group);
        self.slots.insert(key.clone(), Slot { group, rank, ticket: 0 });
        self.move_to(&key, rank);
    }

    fn move_to(&mut self, key: &[u8], rank: usize) {
        self.tickets += 1;
        let Some((key, _)) = self.slots.get_key_value(key) else { return };
        let key = key.clone();
        if let Some(slot) = self.slots.get_mut(&key) {
            (slot.rank, slot.ticket) = (rank, self.tickets);
        }
        self.ranks[rank].push_back((key, self.tickets));
        self.compact(rank);
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

    /// Removes groups that the log's clock has left behind.
    fn expire(&mut self, correlation: &Correlation, now: Timestamp) {
        let cutoff = cutoff(correlation, now);
        for _ in 0..EXPIRIES_PER_EVENT_MAX {
            let Some((queued, _)) = self.expiry.front() else { return };
            if *queued >= cutoff {
                return;
            }
            let Some((_, key)) = self.expiry.pop_front() else { return };
            match self.slots.get(&key).map(|slot| slot.group.received) {
                None => {}
                Some(received) if received < cutoff => self.remove(&key),
                Some(received) => self.expiry.push_back((received, key)),
            }
        }
    }

    fn remove(&mut self, key: &[u8]) {
        if let Some((key, _)) = self.slots.remove_entry(key) {
            self.removed.push(key);
        }
    }
}

/// The time of receipt before which a group's last event can't matter any more.
fn cutoff(correlation: &Correlation, now: Timestamp) -> Timestamp {
    now.plus_secs(-(correlation.timespan_secs + ALLOWED_LATENESS_SECS))
}

fn rank_of(group: &Group) -> usize {
    (group.evidence().max(1).ilog2() as usize).min(RANKS - 1)
}

/// The oldest live group of a rank.
fn next_live(queue: &mut VecDeque<(Key, u64)>, slots: &HashMap<Key, Slot>) -> Option<Key> {
    while let Some((key, ticket)) = queue.pop_front() {
        if slots.get(&key).is_some_and(|slot| slot.ticket == ticket) {
            return Some(key);
        }
    }
    None
}
