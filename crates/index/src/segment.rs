//! Words and their rows in memory, until they are written in order.

use crate::IndexError;
use crate::write::Writer;
use ahash::RandomState;
use std::io::Write;

const NONE: u32 = u32::MAX;
/// Slots of an empty table; a power of two, as all its sizes.
const SLOTS_MIN: usize = 1 << 12;

/// The words of some rows. Rows are numbered from 0.
pub(crate) struct Segment {
    keys: RandomState,
    /// Term numbers by hash, with 32 other bits of the hash: open addressing, at most three quarters full.
    slots: Vec<(u32, u32)>,
    terms: Vec<Term>,
    /// The terms' characters, one after the other.
    text: Vec<u8>,
    /// The distinct terms of each row, one row after the other.
    log: Vec<u32>,
    row_ends: Vec<u32>,
    /// The term found last in this row.
    last: u32,
}

struct Term {
    start: u32,
    len: u8,
    /// One more than the last row that has it.
    row: u32,
    rows: u32,
    /// The term that came after it last time: entries of one kind repeat their keys, and comparing with a guess
    /// costs a third of hashing.
    next: u32,
}

impl Segment {
    pub fn new() -> Self {
        let (terms, text, log, row_ends) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { keys: RandomState::new(), slots: vec![(0, NONE); SLOTS_MIN], terms, text, log, row_ends, last: NONE }
    }

    pub fn rows(&self) -> u32 {
        self.row_ends.len() as u32
    }

    /// What writing it will take at most: the log is sorted into a copy.
    pub fn bytes(&self) -> usize {
        let term = size_of::<Term>() + size_of::<(u64, u32)>();
        self.text.len() + self.terms.len() * term + self.slots.len() * 8 + self.log.len() * 8 + self.row_ends.len() * 4
    }

    /// Takes a word of the row that is open.
    pub fn add(&mut self, word: &[u8]) {
        let term = self.term(word);
        self.mark(term);
        self.last = term;
    }

    fn mark(&mut self, term: u32) {
        let row = self.row_ends.len() as u32 + 1;
        let entry = &mut self.terms[term as usize];
        if entry.row != row {
            entry.row = row;
            entry.rows += 1;
            self.log.push(term);
        }
    }

    /// Takes a word unless the row has it already, under another name.
    pub fn add_unless_known(&mut self, word: &[u8], name: &[u8]) {
        let row = self.row_ends.len() as u32 + 1;
        if self.find(word).is_some_and(|term| self.terms[term as usize].row == row) {
            return;
        }
        self.last = NONE;
        let term = self.term(name);
        self.mark(term);
    }

    pub fn end_row(&mut self) {
        self.row_ends.push(self.log.len() as u32);
        self.last = NONE;
    }

    fn word(&self, term: u32) -> &[u8] {
        let term = &self.terms[term as usize];
        &self.text[term.start as usize..term.start as usize + term.len as usize]
    }

    fn term(&mut self, word: &[u8]) -> u32 {
        let before = self.last;
        if before != NONE {
            let next = self.terms[before as usize].next;
            if next != NONE && self.word(next) == word {
                return next;
            }
        }
        let hash = self.keys.hash_one(word);
        let term = match self.probe(hash, word) {
            Ok(term) => term,
            Err(slot) => self.insert(hash, slot, word),
        };
        if before != NONE {
            self.terms[before as usize].next = term;
        }
        term
    }

    fn find(&self, word: &[u8]) -> Option<u32> {
        self.probe(self.keys.hash_one(word), word).ok()
    }

    /// The term, or the free slot where it belongs.
    fn probe(&self, hash: u64, word: &[u8]) -> Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let (tag, term) = self.slots[slot];
            if term == NONE {
                return Err(slot);
            }
            if tag == (hash >> 32) as u32 && self.word(term) == word {
                return Ok(term);
            }
            slot = (slot + 1) & mask;
        }
    }

    fn insert(&mut self, hash: u64, slot: usize, word: &[u8]) -> u32 {
        let term = self.terms.len() as u32;
        self.terms.push(Term { start: self.text.len() as u32, len: word.len() as u8, row: 0, rows: 0, next: NONE });
        self.text.extend_from_slice(word);
        self.slots[slot] = ((hash >> 32) as u32, term);
        if self.terms.len() * 4 > self.slots.len() * 3 {
            self.grow();
        }
        term
    }

    fn grow(&mut self) {
        let mask = self.slots.len() * 2 - 1;
        self.slots = vec![(0, NONE); mask + 1];
        for term in 0..self.terms.len() as u32 {
            let hash = self.keys.hash_one(self.word(term));
            let mut slot = hash as usize & mask;
            while self.slots[slot].1 != NONE {
                slot = (slot + 1) & mask;
            }
            self.slots[slot] = ((hash >> 32) as u32, term);
        }
    }

    /// Hands all words over in ascending order.
    pub fn write<W: Write>(&self, out: &mut Writer<W>) -> Result<(), IndexError> {
        let mut order: Vec<(u64, u32)> = (0..self.terms.len() as u32).map(|t| (head(self.word(t)), t)).collect();
        order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| self.word(a.1).cmp(self.word(b.1))));
        let mut ends = vec![0u32; self.terms.len()];
        let mut at = 0;
        for (_, term) in &order {
            ends[*term as usize] = at;
            at += self.terms[*term as usize].rows;
        }
        let mut lists = vec![0u32; self.log.len()];
        let mut from = 0;
        for (row, end) in self.row_ends.iter().enumerate() {
            for term in &self.log[from as usize..*end as usize] {
                let slot = &mut ends[*term as usize];
                lists[*slot as usize] = row as u32;
                *slot += 1;
            }
            from = *end;
        }
        for (_, term) in &order {
            let end = ends[*term as usize] as usize;
            let count = self.terms[*term as usize].rows as usize;
            out.add(self.word(*term), &lists[end - count..end])?;
        }
        Ok(())
    }
}

/// The first eight bytes as a number that sorts as they do.
fn head(word: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let len = word.len().min(8);
    bytes[..len].copy_from_slice(&word[..len]);
    u64::from_be_bytes(bytes)
}
