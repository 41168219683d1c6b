//! Numbers and lists of rows as bytes.

use crate::{Bitmap, IndexError};

const SHORT: IndexError = IndexError::Damaged("it ends in the middle of a value");

pub(crate) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 128 {
        out.push(number as u8 | 128);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_len(number: u32) -> usize {
    (38 - (number | 1).leading_zeros() as usize) / 7
}

/// Bytes being read.
pub(crate) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn number(&mut self) -> Result<u64, IndexError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(SHORT)?;
            self.0 = rest;
            number |= u64::from(byte & 127) << shift;
            if *byte < 128 {
                return Ok(number);
            }
        }
        Err(IndexError::Damaged("a number has no end"))
    }

    pub fn small(&mut self) -> Result<u32, IndexError> {
        u32::try_from(self.number()?).map_err(|_| IndexError::Damaged("a number is too great"))
    }

    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], IndexError> {
        let (bytes, rest) = self.0.split_at_checked(len).ok_or(SHORT)?;
        self.0 = rest;
        Ok(bytes)
    }
}

/// How a list of rows is written: whichever is the shortest for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// The first row, then distances less one.
    Gaps = 0,
    /// Rows left out and rows taken, in turn.
    Runs = 1,
    /// The number of the first word of 64 rows, then words.
    Bits = 2,
}

impl Layout {
    pub fn from_number(number: u64) -> Result<Self, IndexError> {
        [Self::Gaps, Self::Runs, Self::Bits].into_iter().find(|l| *l as u64 == number).ok_or(IndexError::Damaged("an unknown layout of rows"))
    }
}

/// Writes ascending rows, of which there is at least one.
pub(crate) fn put_rows(out: &mut Vec<u8>, rows: &[u32]) -> Layout {
    let (mut gaps, mut runs) = (0, 0);
    let (mut next, mut begun, mut ended) = (0, 0, 0);
    for (i, row) in rows.iter().enumerate() {
        gaps += put_len(row - next);
        if i > 0 && *row == next {
            next += 1;
            continue;
        }
        if i > 0 {
            runs += put_len(next - begun);
            ended = next;
        }
        runs += put_len(row - ended);
        begun = *row;
        next = row + 1;
    }
    runs += put_len(next - begun);
    let (first, last) = (rows.first().map_or(0, |r| r / 64), rows.last().map_or(0, |r| r / 64));
    let bits = put_len(first) + (last - first + 1) as usize * 8;
    if gaps <= runs && gaps <= bits {
        put_gaps(out, rows);
        Layout::Gaps
    } else if runs <= bits {
        put_runs(out, rows);
        Layout::Runs
    } else {
        put_bits(out, rows, first);
        Layout::Bits
    }
}

fn put_gaps(out: &mut Vec<u8>, rows: &[u32]) {
    let mut next = 0;
    for row in rows {
        put(out, u64::from(row - next));
        next = row + 1;
    }
}

fn put_runs(out: &mut Vec<u8>, rows: &[u32]) {
    let mut ended = 0;
    for run in rows.chunk_by(|a, b| a + 1 == *b) {
        put(out, u64::from(run[0] - ended));
        put(out, run.len() as u64);
        ended = run[0] + run.len() as u32;
    }
}

fn put_bits(out: &mut Vec<u8>, rows: &[u32], first: u32) {
    put(out, u64::from(first));
    let (mut word, mut bits) = (first, 0u64);
    for row in rows {
        while word < row / 64 {
            out.extend_from_slice(&bits.to_le_bytes());
            (word, bits) = (word + 1, 0);
        }
        bits |= 1 << (row % 64);
    }
    out.extend_from_slice(&bits.to_le_bytes());
}

/// Where rows that are read go to.
pub(crate) trait Sink {
    fn row(&mut self, row: u32);
    fn run(&mut self, from: u32, to: u32);
    fn word(&mut self, word: u32, bits: u64);
}

impl Sink for Bitmap {
    fn row(&mut self, row: u32) {
        self.insert(row);
    }
    fn run(&mut self, from: u32, to: u32) {
        self.insert_range(from, to);
    }
    fn word(&mut self, word: u32, bits: u64) {
        self.insert_word(word as usize, bits);
    }
}

/// Calls a function with every row.
pub(crate) struct Each<F>(pub F);

impl<F: FnMut(u32)> Sink for Each<F> {
    fn row(&mut self, row: u32) {
        (self.0)(row);
    }
    fn run(&mut self, from: u32, to: u32) {
        (from..to).for_each(&mut self.0);
    }
    fn word(&mut self, word: u32, mut bits: u64) {
        while bits != 0 {
            (self.0)(word * 64 + bits.trailing_zeros());
            bits &= bits - 1;
        }
    }
}

/// Reads what [`put_rows`] wrote for a file of `rows` rows.
pub(crate) fn read_rows(layout: Layout, bytes: &[u8], rows: u32, sink: &mut impl Sink) -> Result<(), IndexError> {
    const BEYOND: IndexError = IndexError::Damaged("a word is in a row beyond the file");
    let mut reader = Reader(bytes);
    let mut next = 0u32;
    if layout == Layout::Bits {
        let first = reader.small()?;
        for (i, word) in reader.0.chunks(8).enumerate() {
            let word: [u8; 8] = word.try_into().map_err(|_| SHORT)?;
            let at = first.checked_add(i as u32).filter(|w| *w < rows.div_ceil(64)).ok_or(BEYOND)?;
            sink.word(at, u64::from_le_bytes(word));
        }
        return Ok(());
    }
    while !reader.0.is_empty() {
        let from = next.checked_add(reader.small()?).filter(|r| *r < rows).ok_or(BEYOND)?;
        if layout == Layout::Gaps {
            sink.row(from);
            next = from + 1;
        } else {
            next = from.checked_add(reader.small()?).filter(|r| *r <= rows).ok_or(BEYOND)?;
            sink.run(from, next);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn check(rows: &[u32], all: u32) -> Layout {
        let mut bytes = Vec::new();
        let layout = put_rows(&mut bytes, rows);
        for other in [layout] {
            let mut bitmap = Bitmap::empty(all);
            read_rows(other, &bytes, all, &mut bitmap).unwrap();
            assert_eq!(bitmap.iter().collect::<Vec<_>>(), rows);
            let mut list = Vec::new();
            read_rows(other, &bytes, all, &mut Each(|r| list.push(r))).unwrap();
            assert_eq!(list, rows);
        }
        layout
    }

    #[test]
    fn each_list_gets_its_shortest_layout() {
        assert_eq!(check(&[7], 1_000), Layout::Gaps);
        assert_eq!(check(&(0..1_000).collect::<Vec<_>>(), 1_000), Layout::Runs);
        assert_eq!(check(&(0..1_000).filter(|r| r % 3 == 0).collect::<Vec<_>>(), 1_000), Layout::Bits);
    }

    proptest! {
        #[test]
        fn rows_come_back(rows in prop::collection::btree_set(0u32..100_000, 1..200), runs in prop::collection::vec((0u32..100_000, 0u32..300), 0..5)) {
            let mut rows: BTreeSet<u32> = rows;
            for (from, len) in runs {
                rows.extend(from..from + len);
            }
            check(&rows.into_iter().collect::<Vec<_>>(), 100_300);
        }

        #[test]
        fn damage_is_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), layout in 0u64..3) {
            let mut seen = 0;
            let _ = read_rows(Layout::from_number(layout).unwrap(), &bytes, 1_000, &mut Bitmap::empty(1_000));
            let _ = read_rows(Layout::from_number(layout).unwrap(), &bytes, 1_000, &mut Each(|_| seen += 1));
        }
    }
}
