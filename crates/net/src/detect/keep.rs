//! A map that holds at most so many groups; those silent longest give way.

use event::Timestamp;
use std::collections::HashMap;
use std::hash::Hash;

pub struct Keep<K, V> {
    map: HashMap<K, (Timestamp, V), ahash::RandomState>,
    max: usize,
    /// Groups that gave way.
    pub dropped: u64,
}

impl<K: Hash + Eq + Clone + Ord, V> Keep<K, V> {
    pub fn new(max: usize) -> Self {
        Self { map: HashMap::default(), max, dropped: 0 }
    }

    /// The group, begun if need be, and marked as heard from.
    pub fn get_or(&mut self, key: K, time: Timestamp, begin: impl FnOnce() -> V) -> Option<&mut V> {
        if self.map.len() >= self.max && !self.map.contains_key(&key) {
            self.make_room();
        }
        let entry = self.map.entry(key).or_insert_with(|| (time, begin()));
        entry.0 = entry.0.max(time);
        Some(&mut entry.1)
    }

    /// An eighth gives way at once, so that a flood of groups does not make every further one search.
    fn make_room(&mut self) {
        let mut by_age: Vec<(Timestamp, K)> = self.map.iter().map(|(key, (time, _))| (*time, key.clone())).collect();
        by_age.sort();
        for (_, key) in by_age.into_iter().take(self.max.div_ceil(8)) {
            self.map.remove(&key);
            self.dropped += 1;
        }
    }

    /// The groups that have something to tell, in the order of their keys, so that results do not depend on hashes. Few of
    /// many do: only they are sorted.
    pub fn telling(&self, tells: impl Fn(&V) -> bool) -> Vec<(&K, &V)> {
        let mut all: Vec<_> = self.map.iter().filter(|(_, (_, value))| tells(value)).map(|(key, (_, value))| (key, value)).collect();
        all.sort_by(|a, b| a.0.cmp(b.0));
        all
    }

    pub fn contains(&self, key: &K) -> bool {
        self.map.contains_key(key)
    }
}
