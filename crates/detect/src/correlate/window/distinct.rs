//! How many different values: exactly as long as they are few, then estimated (HyperLogLog; Flajolet et al. 2007, with
//! linear counting for small numbers). Both depend on the set of values only, not on their order.

use super::super::VALUES_PER_GROUP_MAX;
use std::collections::{BTreeSet, HashSet};

/// 2^12 registers: a standard error of 1.04 / 64 = 1.6 %.
const BITS: u32 = 12;
const REGISTERS: usize = 1 << BITS;
/// Values or registers in one stored entry.
const VALUES_PER_CHUNK: usize = 32;
const REGISTERS_PER_CHUNK: usize = 128;
/// What stored entries begin with.
const EXACT: u8 = 0;
const ESTIMATE: u8 = 1;

#[derive(Clone, Debug)]
enum Form {
    /// The values, also in the order in which they came, which is how they are stored.
    Exact { set: HashSet<i128, ahash::RandomState>, list: Vec<i128> },
    Estimate(Box<[u8; REGISTERS]>),
}

#[derive(Clone, Debug)]
pub(crate) struct Distinct {
    form: Form,
    /// Stored entries that are out of date.
    dirty: BTreeSet<u16>,
    /// Stored entries of the exact form that are to be deleted.
    stale: Vec<Vec<u8>>,
    stored: BTreeSet<u16>,
}

impl Default for Distinct {
    fn default() -> Self {
        let form = Form::Exact { set: HashSet::default(), list: Vec::new() };
        Self { form, dirty: BTreeSet::new(), stale: Vec::new(), stored: BTreeSet::new() }
    }
}

impl Distinct {
    pub(crate) fn insert(&mut self, value: i128) {
        match &mut self.form {
            Form::Exact { set, list } => {
                if !set.insert(value) {
                    return;
                }
                self.dirty.insert((list.len() / VALUES_PER_CHUNK) as u16);
                list.push(value);
                if list.len() > VALUES_PER_GROUP_MAX {
                    self.estimate();
                }
            }
            Form::Estimate(registers) => {
                let (at, rank) = register(value);
                if registers[at] < rank {
                    registers[at] = rank;
                    self.dirty.insert((at / REGISTERS_PER_CHUNK) as u16);
                }
            }
        }
    }

    fn estimate(&mut self) {
        let Form::Exact { list, .. } = &self.form else { return };
        let mut registers = Box::new([0u8; REGISTERS]);
        for (at, rank) in list.iter().map(|value| register(*value)) {
            registers[at] = registers[at].max(rank);
        }
        self.stale.extend(std::mem::take(&mut self.stored).into_iter().map(|chunk| key(EXACT, chunk)));
        self.dirty = (0..(REGISTERS / REGISTERS_PER_CHUNK) as u16).collect();
        self.form = Form::Estimate(registers);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        match &other.form {
            Form::Exact { list, .. } => list.iter().for_each(|value| self.insert(*value)),
            Form::Estimate(theirs) => {
                self.estimate();
                let Form::Estimate(ours) = &mut self.form else { return };
                for (our, their) in ours.iter_mut().zip(theirs.iter()) {
                    *our = (*our).max(*their);
                }
                self.dirty = (0..(REGISTERS / REGISTERS_PER_CHUNK) as u16).collect();
            }
        }
    }

    /// How many values there are with some more, and whether that is an estimate.
    pub(crate) fn count_with(&self, more: impl Iterator<Item = i128>) -> (u64, bool) {
        match &self.form {
            Form::Exact { set, .. } => {
                let new: HashSet<i128, ahash::RandomState> = more.filter(|value| !set.contains(value)).collect();
                ((set.len() + new.len()) as u64, false)
            }
            Form::Estimate(registers) => {
                let mut registers = registers.clone();
                for (at, rank) in more.map(register) {
                    registers[at] = registers[at].max(rank);
                }
                (estimate(&registers), true)
            }
        }
    }

    /// Hands out what changed since the last call.
    pub(crate) fn changes(&mut self, put: &mut dyn FnMut(&[u8], Option<Vec<u8>>)) {
        for key in self.stale.drain(..) {
            put(&key, None);
        }
        let kind = match self.form {
            Form::Exact { .. } => EXACT,
            Form::Estimate(_) => ESTIMATE,
        };
        for chunk in std::mem::take(&mut self.dirty) {
            let bytes = match &self.form {
                Form::Exact { list, .. } => {
                    let values = list.chunks(VALUES_PER_CHUNK).nth(usize::from(chunk)).unwrap_or_default();
                    values.iter().flat_map(|value| value.to_le_bytes()).collect()
                }
                Form::Estimate(registers) => {
                    registers.chunks(REGISTERS_PER_CHUNK).nth(usize::from(chunk)).unwrap_or_default().to_vec()
                }
            };
            put(&key(kind, chunk), Some(bytes));
            self.stored.insert(chunk);
        }
    }

    pub(crate) fn take(&mut self, entry: &[u8], bytes: &[u8]) -> bool {
        let &[kind, high, low] = entry else { return false };
        let chunk = u16::from_be_bytes([high, low]);
        match kind {
            EXACT => {
                let Form::Exact { set, list } = &mut self.form else { return false };
                for value in bytes.as_chunks::<16>().0 {
                    let value = i128::from_le_bytes(*value);
                    if set.insert(value) {
                        list.push(value);
                    }
                }
            }
            ESTIMATE => {
                let from = usize::from(chunk) * REGISTERS_PER_CHUNK;
                if from + bytes.len() > REGISTERS {
                    return false;
                }
                if let Form::Exact { .. } = self.form {
                    self.form = Form::Estimate(Box::new([0; REGISTERS]));
                }
                let Form::Estimate(registers) = &mut self.form else { return false };
                registers[from..from + bytes.len()].copy_from_slice(bytes);
            }
            _ => return false,
        }
        self.stored.insert(chunk);
        true
    }

    /// The keys of what is stored.
    pub(crate) fn stored(&self) -> Vec<Vec<u8>> {
        let kind = match self.form {
            Form::Exact { .. } => EXACT,
            Form::Estimate(_) => ESTIMATE,
        };
        let current = self.stored.iter().map(|chunk| key(kind, *chunk));
        current.chain(self.stale.iter().cloned()).collect()
    }
}

fn key(kind: u8, chunk: u16) -> Vec<u8> {
    let [high, low] = chunk.to_be_bytes();
    vec![kind, high, low]
}

/// A value's register and what it shows there. The value is a hash already.
fn register(value: i128) -> (usize, u8) {
    let bits = (value as u128 >> 64) as u64 ^ value as u64;
    let at = (bits >> (64 - BITS)) as usize;
    let rest = bits << BITS;
    (at, (rest.leading_zeros() as u8).min(64 - BITS as u8) + 1)
}

fn estimate(registers: &[u8; REGISTERS]) -> u64 {
    let count = REGISTERS as f64;
    let sum: f64 = registers.iter().map(|rank| 0.5f64.powi(i32::from(*rank))).sum();
    let raw = 0.7213 / (1.0 + 1.079 / count) * count * count / sum;
    let empty = registers.iter().filter(|rank| **rank == 0).count();
    if raw <= 2.5 * count && empty > 0 {
        return (count * (count / empty as f64).ln()).round() as u64;
    }
    raw.round() as u64
}
