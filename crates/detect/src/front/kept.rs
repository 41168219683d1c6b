//! A bounded map that forgets by the log's clock and writes down what changed.

use event::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeSet, HashMap, VecDeque};

pub(super) type Delta = Vec<(Vec<u8>, Option<Vec<u8>>)>;

struct Slot<V> {
    value: V,
    /// The log time of the last change.
    received: Timestamp,
}

/// Values under keys, the oldest of which go first.
pub(super) struct Kept<V> {
    /// Begins every stored key.
    prefix: &'static [u8],
    max: usize,
    /// What was last changed before this is forgotten, whether it was removed yet or not: so that nothing depends on
    /// when it is.
    cutoff: Timestamp,
    slots: HashMap<Vec<u8>, Slot<V>>,
    /// Every live key at least once, by time of receipt when queued.
    queue: VecDeque<(Timestamp, Vec<u8>)>,
    touched: BTreeSet<Vec<u8>>,
}

impl<V: Serialize + DeserializeOwned> Kept<V> {
    pub(super) fn new(prefix: &'static [u8], max: usize) -> Self {
        Self { prefix, max, cutoff: Timestamp(i64::MIN), slots: HashMap::new(), queue: VecDeque::new(), touched: BTreeSet::new() }
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&V> {
        self.slots.get(key).filter(|slot| slot.received >= self.cutoff).map(|slot| &slot.value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Vec<u8>, &V)> {
        self.slots.iter().map(|(key, slot)| (key, &slot.value))
    }

    /// Changes the value of a key, which is made if it is new.
    pub(super) fn change(&mut self, key: &[u8], received: Timestamp, new: impl FnOnce() -> V, change: impl FnOnce(&mut V)) {
        if self.get(key).is_none() {
            self.slots.remove(key);
            self.make_room();
            self.slots.insert(key.to_vec(), Slot { value: new(), received });
            self.queue.push_back((received, key.to_vec()));
        }
        if let Some(slot) = self.slots.get_mut(key) {
            slot.received = slot.received.max(received);
            change(&mut slot.value);
            self.touched.insert(key.to_vec());
        }
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Option<V> {
        let slot = self.slots.remove(key)?;
        self.touched.insert(key.to_vec());
        (slot.received >= self.cutoff).then_some(slot.value)
    }

    /// The one that was changed longest ago goes, as far as the queue knows.
    fn make_room(&mut self) {
        while self.slots.len() >= self.max {
            let Some((queued, key)) = self.queue.pop_front() else { return };
            match self.slots.get(&key).map(|slot| slot.received) {
                None => {}
                Some(received) if received > queued => self.queue.push_back((received, key)),
                Some(_) => drop(self.remove(&key)),
            }
        }
    }

    /// Forgets what was last changed before `cutoff`.
    pub(super) fn expire(&mut self, cutoff: Timestamp) {
        self.cutoff = cutoff;
        while self.queue.front().is_some_and(|(queued, _)| *queued < cutoff) {
            let Some((_, key)) = self.queue.pop_front() else { return };
            match self.slots.get(&key).map(|slot| slot.received) {
                None => {}
                Some(received) if received >= cutoff => self.queue.push_back((received, key)),
                Some(_) => drop(self.remove(&key)),
            }
        }
    }

    /// Writes what changed since the last call.
    pub(super) fn write(&mut self, delta: &mut Delta) {
        for key in std::mem::take(&mut self.touched) {
            let value = self.slots.get(&key).map(|slot| {
                postcard::to_allocvec(&(slot.received, &slot.value)).expect("structs of numbers and text have a binary form")
            });
            delta.push(([self.prefix, &key].concat(), value));
        }
    }

    /// Takes back an entry; false if it is not of this map.
    pub(super) fn restore(&mut self, key: &[u8], value: &[u8]) -> bool {
        let Some(key) = key.strip_prefix(self.prefix) else { return false };
        if let Ok((received, value)) = postcard::from_bytes::<(Timestamp, V)>(value)
            && self.slots.len() < self.max
        {
            self.slots.insert(key.to_vec(), Slot { value, received });
            self.queue.push_back((received, key.to_vec()));
        }
        true
    }

    /// To be called when all entries are back: they came in the order of their keys.
    pub(super) fn restored(&mut self) {
        self.queue.make_contiguous().sort();
    }
}
