//! Where a key's flow is: open addressing over the hash's upper half and the slot, 8 bytes an entry.
//!
//! A map that holds keys itself would hold them twice, since the flow needs its key too.

/// An entry: the hash's upper 32 bits and the slot plus one; 0 is empty.
pub struct Index {
    entries: Vec<u64>,
    mask: usize,
    len: usize,
}

const SMALLEST: usize = 1 << 10;

impl Default for Index {
    fn default() -> Self {
        Self { entries: vec![0; SMALLEST], mask: SMALLEST - 1, len: 0 }
    }
}

fn entry(hash: u64, slot: u32) -> u64 {
    (hash & 0xffff_ffff_0000_0000) | u64::from(slot) + 1
}

fn slot_of(entry: u64) -> u32 {
    (entry as u32).wrapping_sub(1)
}

impl Index {
    /// Where a hash's search begins: from its upper half only, because that is all an entry keeps of it.
    fn home(&self, hash: u64) -> usize {
        (hash >> 32) as usize & self.mask
    }

    pub fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut at = self.home(hash);
        loop {
            let entry = self.entries[at];
            if entry == 0 {
                return None;
            }
            if (entry ^ hash) >> 32 == 0 && is(slot_of(entry)) {
                return Some(slot_of(entry));
            }
            at = (at + 1) & self.mask;
        }
    }

    pub fn insert(&mut self, hash: u64, slot: u32) {
        // At most half full: searches stay short, and an empty entry always ends them.
        if (self.len + 1) * 2 > self.entries.len() {
            self.grow();
        }
        self.put(entry(hash, slot));
        self.len += 1;
    }

    fn put(&mut self, entry: u64) {
        let mut at = self.home(entry);
        while self.entries[at] != 0 {
            at = (at + 1) & self.mask;
        }
        self.entries[at] = entry;
    }

    fn grow(&mut self) {
        let larger = vec![0; self.entries.len() * 2];
        let old = std::mem::replace(&mut self.entries, larger);
        self.mask = self.entries.len() - 1;
        old.into_iter().filter(|entry| *entry != 0).for_each(|entry| self.put(entry));
    }

    /// Removes the entry and moves those behind it up, so that no mark of a deleted one is needed.
    pub fn remove(&mut self, hash: u64, slot: u32) {
        let wanted = entry(hash, slot);
        let mut hole = self.home(hash);
        while self.entries[hole] != wanted {
            if self.entries[hole] == 0 {
                return;
            }
            hole = (hole + 1) & self.mask;
        }
        self.len -= 1;
        let mut at = hole;
        loop {
            at = (at + 1) & self.mask;
            let entry = self.entries[at];
            if entry == 0 {
                break;
            }
            // It may fill the hole if its home is not between the hole and its place.
            let from_home = at.wrapping_sub(self.home(entry)) & self.mask;
            let from_hole = at.wrapping_sub(hole) & self.mask;
            if from_home >= from_hole {
                self.entries[hole] = entry;
                hole = at;
            }
        }
        self.entries[hole] = 0;
    }

    pub fn bytes(&self) -> usize {
        self.entries.capacity() * 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        /// Hashes from a small range collide often: searches and removals must go through runs.
        #[test]
        fn behaves_like_a_map(steps in proptest::collection::vec((0u32..600, any::<bool>()), 1..3000)) {
            let hash = |key: u32| u64::from(key % 97) << 32;
            let (mut index, mut model) = (Index::default(), HashMap::new());
            for (key, insert) in steps {
                if insert && model.insert(key, ()).is_none() {
                    index.insert(hash(key), key);
                } else if !insert && model.remove(&key).is_some() {
                    index.remove(hash(key), key);
                }
                prop_assert_eq!(index.len, model.len());
            }
            for key in 0..600 {
                prop_assert_eq!(index.find(hash(key), |slot| slot == key).is_some(), model.contains_key(&key));
            }
        }
    }
}
