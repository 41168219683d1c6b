//! Sets of rows, one bit each.

/// Rows `0..len` of one unit of work.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mask {
    len: usize,
    words: Vec<u64>,
}

impl Mask {
    pub fn none(len: usize) -> Self {
        Self { len, words: vec![0; len.div_ceil(64)] }
    }

    pub fn full(len: usize) -> Self {
        Self::range(len, 0..len)
    }

    pub fn range(len: usize, rows: std::ops::Range<usize>) -> Self {
        let mut mask = Self::none(len);
        for (w, word) in mask.words.iter_mut().enumerate() {
            let (low, high) = (rows.start.max(w * 64), rows.end.min(w * 64 + 64));
            if low < high {
                *word = (u64::MAX >> (64 - (high - low))) << (low - w * 64);
            }
        }
        mask
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn count(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|w| *w == 0)
    }

    pub fn set(&mut self, row: usize) {
        self.words[row / 64] |= 1 << (row % 64);
    }

    pub fn add(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a |= b);
    }

    pub fn remove(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a &= !b);
    }

    pub fn meet(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a &= b);
    }

    /// The rows, ascending.
    pub fn rows(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(w, word)| Bits(*word).map(move |bit| w as u32 * 64 + bit))
    }

    /// Adds to `out` those rows of this mask for which `test` holds.
    pub fn keep(&self, out: &mut Self, test: impl Fn(usize) -> bool) {
        for (w, word) in self.words.iter().enumerate() {
            let first = w * 64;
            out.words[w] |= match *word {
                0 => 0,
                u64::MAX => (0..64).fold(0, |bits, bit| bits | u64::from(test(first + bit)) << bit),
                word => Bits(word).fold(0, |bits, bit| bits | u64::from(test(first + bit as usize)) << bit),
            };
        }
    }
}

struct Bits(u64);

impl Iterator for Bits {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let bit = self.0.trailing_zeros();
        (self.0 != 0).then(|| {
            self.0 &= self.0 - 1;
            bit
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_rows_and_sets_agree() {
        for (len, from, to) in [(0, 0, 0), (1, 0, 1), (64, 0, 64), (130, 3, 129), (200, 64, 128), (70, 69, 70), (70, 5, 5)] {
            let mask = Mask::range(len, from..to);
            assert_eq!(mask.rows().collect::<Vec<_>>(), (from as u32..to as u32).collect::<Vec<_>>());
            assert_eq!(mask.count(), to - from);
            let mut odd = Mask::none(len);
            mask.keep(&mut odd, |row| row % 2 == 1);
            assert!(odd.rows().all(|row| row % 2 == 1));
            let mut even = mask.clone();
            even.remove(&odd);
            assert_eq!(even.count() + odd.count(), mask.count());
            let mut both = even.clone();
            both.meet(&odd);
            assert!(both.is_empty());
            even.add(&odd);
            assert_eq!(even, mask);
        }
    }
}
