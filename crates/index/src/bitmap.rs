//! A set of row numbers, one bit a row.

/// Rows of a file that has `len` of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bitmap {
    bits: Vec<u64>,
    len: u32,
}

impl Bitmap {
    pub fn empty(len: u32) -> Self {
        Self { bits: vec![0; (len as usize).div_ceil(64)], len }
    }

    /// Rows of the file, in the set or not.
    pub fn len(&self) -> u32 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.bits.iter().all(|b| *b == 0)
    }

    pub fn count(&self) -> u64 {
        self.bits.iter().map(|b| u64::from(b.count_ones())).sum()
    }

    /// A row beyond the file is no row.
    pub fn insert(&mut self, row: u32) {
        if row < self.len {
            self.bits[row as usize / 64] |= 1 << (row % 64);
        }
    }

    pub fn contains(&self, row: u32) -> bool {
        row < self.len && self.bits[row as usize / 64] >> (row % 64) & 1 == 1
    }

    /// Adds `from..to`.
    pub fn insert_range(&mut self, from: u32, to: u32) {
        let to = to.min(self.len);
        for word in from / 64..to.div_ceil(64) {
            let low = from.max(word * 64) - word * 64;
            let high = to.saturating_sub(word * 64).min(64);
            if low < high {
                self.bits[word as usize] |= (u64::MAX >> (64 - (high - low))) << low;
            }
        }
    }

    /// Adds the rows of a word of 64, of which the first is `word * 64`.
    pub(crate) fn insert_word(&mut self, word: usize, bits: u64) {
        let beyond = (self.len as usize).saturating_sub(word * 64);
        let mask = if beyond >= 64 { u64::MAX } else { (1 << beyond) - 1 };
        if let Some(slot) = self.bits.get_mut(word) {
            *slot |= bits & mask;
        }
    }

    pub fn intersect(&mut self, other: &Self) {
        for (i, word) in self.bits.iter_mut().enumerate() {
            *word &= other.bits.get(i).copied().unwrap_or(0);
        }
    }

    pub fn clear(&mut self) {
        self.bits.fill(0);
    }

    /// The rows, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.range(0, self.len)
    }

    /// The rows of `from..to`, ascending.
    pub fn range(&self, from: u32, to: u32) -> impl Iterator<Item = u32> + '_ {
        let to = to.min(self.len);
        let first = from as usize / 64;
        let last = (to as usize).div_ceil(64).max(first);
        (first..last).flat_map(move |i| {
            let mut bits = self.bits[i];
            if i == first {
                bits &= u64::MAX << (from % 64);
            }
            if i == to as usize / 64 {
                bits &= (1 << (to % 64)) - 1;
            }
            std::iter::from_fn(move || {
                let low = bits.trailing_zeros();
                (low < 64).then(|| {
                    bits &= bits - 1;
                    i as u32 * 64 + low
                })
            })
        })
    }

    /// Whether any row of `from..to` is in the set.
    pub fn meets(&self, from: u32, to: u32) -> bool {
        self.range(from, to).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn is_a_set(len in 0u32..300, rows in prop::collection::vec(0u32..320, 0..40), ranges in prop::collection::vec((0u32..320, 0u32..320), 0..4), cut in (0u32..320, 0u32..320)) {
            let mut bitmap = Bitmap::empty(len);
            let mut set = BTreeSet::new();
            for row in rows {
                bitmap.insert(row);
                set.insert(row);
            }
            for (from, to) in ranges {
                bitmap.insert_range(from, to);
                set.extend(from..to);
            }
            set.retain(|r| *r < len);
            prop_assert_eq!(bitmap.iter().collect::<Vec<_>>(), set.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(bitmap.count(), set.len() as u64);
            let inside: Vec<u32> = set.iter().copied().filter(|r| (cut.0..cut.1).contains(r)).collect();
            prop_assert_eq!(bitmap.meets(cut.0, cut.1), !inside.is_empty());
            prop_assert_eq!(bitmap.range(cut.0, cut.1).collect::<Vec<_>>(), inside);
        }
    }
}
