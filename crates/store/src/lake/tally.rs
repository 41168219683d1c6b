//! Which values columns hold among the matching rows, and how often.
//!
//! Counts are exact up to [`VALUES_MAX`] different values (or their bytes) of a column. Beyond it the rarer half is
//! forgotten, and the greatest forgotten count is added to the error: a value's count is too small by at most that
//! (Misra and Gries, *Finding repeated elements*, 1982, in batches). The number of different values is then
//! estimated (Flajolet et al., *HyperLogLog*, 2007), within about 2 %.

use super::LakeError;
use super::mask::Mask;
use super::pass::Collect;
use super::request::{FieldValues, ValueCount};
use super::schema::LAYOUT;
use super::unit::{Unit, whole_numbers};
use ahash::RandomState;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type};
use arrow_array::{Array, StringArray};
use arrow_schema::DataType;
use event::{Column, Kind, Timestamp};
use serde_json::Value;
use std::borrow::Borrow;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::Hash;

/// Different values of a column that are counted, and their bytes.
const VALUES_MAX: usize = 100_000;
const VALUES_BYTES_MAX: usize = 32 << 20;
/// Registers of the estimate: a power of two.
const REGISTERS: usize = 4_096;
const REGISTER_BITS: u32 = REGISTERS.trailing_zeros();

/// Counts of one kind of value.
struct Tally<K> {
    counts: HashMap<K, u64, RandomState>,
    bytes: usize,
    error: u64,
    registers: Option<Box<[u8; REGISTERS]>>,
}

/// A value that is counted, and how it is asked for without making one.
trait Key: Hash + Eq + Ord + Borrow<Self::Asked> {
    type Asked: Hash + Eq + ?Sized;
    fn of(asked: &Self::Asked) -> Self;
    fn heap_bytes(&self) -> usize;
}

impl Key for Box<str> {
    type Asked = str;
    fn of(asked: &str) -> Self {
        asked.into()
    }
    fn heap_bytes(&self) -> usize {
        self.len()
    }
}

impl Key for i64 {
    type Asked = i64;
    fn of(asked: &i64) -> Self {
        *asked
    }
    fn heap_bytes(&self) -> usize {
        0
    }
}

impl<K: Key> Tally<K> {
    /// All threads of one search share the hasher, so that their estimates can be joined.
    fn new(hasher: RandomState) -> Self {
        Self { counts: HashMap::with_hasher(hasher), bytes: 0, error: 0, registers: None }
    }

    fn add(&mut self, value: &K::Asked, count: u64) {
        if let Some(known) = self.counts.get_mut(value) {
            *known += count;
            return;
        }
        self.insert(K::of(value), count);
    }

    fn insert(&mut self, key: K, count: u64) {
        if let Some(registers) = &mut self.registers {
            register(registers, self.counts.hasher().hash_one(&key));
        }
        self.bytes += key.heap_bytes();
        *self.counts.entry(key).or_default() += count;
        if self.counts.len() > VALUES_MAX || self.bytes > VALUES_BYTES_MAX {
            self.forget();
        }
    }

    fn forget(&mut self) {
        let hasher = self.counts.hasher().clone();
        let registers = self.registers.get_or_insert_with(|| Box::new([0; REGISTERS]));
        self.counts.keys().for_each(|key| register(registers, hasher.hash_one(key)));
        let mut counts: Vec<u64> = self.counts.values().copied().collect();
        let half = counts.len() / 2;
        let (_, cut, _) = counts.select_nth_unstable_by_key(half, |n| Reverse(*n));
        let cut = *cut;
        self.counts.retain(|_, n| *n > cut);
        self.error += cut;
        self.bytes = self.counts.keys().map(Key::heap_bytes).sum();
    }

    fn merge(&mut self, other: Self) {
        self.error += other.error;
        if let Some(theirs) = other.registers {
            let hasher = self.counts.hasher().clone();
            let keys = &self.counts;
            let ours = self.registers.get_or_insert_with(|| {
                let mut ours = Box::new([0; REGISTERS]);
                keys.keys().for_each(|key| register(&mut ours, hasher.hash_one(key)));
                ours
            });
            ours.iter_mut().zip(theirs.iter()).for_each(|(a, b)| *a = (*a).max(*b));
        }
        for (key, count) in other.counts {
            match self.counts.get_mut(key.borrow()) {
                Some(known) => *known += count,
                None => self.insert(key, count),
            }
        }
    }

    fn distinct(&self) -> u64 {
        match &self.registers {
            None => self.counts.len() as u64,
            Some(registers) => estimate(registers).max(self.counts.len() as u64),
        }
    }

    fn top(&self, top: usize) -> Vec<(&K, u64)> {
        let mut values: Vec<(&K, u64)> = self.counts.iter().map(|(k, n)| (k, *n)).collect();
        let order = |a: &(&K, u64), b: &(&K, u64)| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0));
        if top > 0 && values.len() > top {
            values.select_nth_unstable_by(top - 1, order);
        }
        values.truncate(top);
        values.sort_unstable_by(order);
        values
    }
}

fn register(registers: &mut [u8; REGISTERS], hash: u64) {
    let zeros = (hash >> REGISTER_BITS | 1 << (64 - REGISTER_BITS)).trailing_zeros() as u8 + 1;
    let register = &mut registers[hash as usize % REGISTERS];
    *register = (*register).max(zeros);
}

fn estimate(registers: &[u8; REGISTERS]) -> u64 {
    let m = REGISTERS as f64;
    let sum: f64 = registers.iter().map(|r| f64::from(*r).exp2().recip()).sum();
    let raw = 0.7213 / (1.0 + 1.079 / m) * m * m / sum;
    let empty = registers.iter().filter(|r| **r == 0).count();
    if raw <= 2.5 * m && empty > 0 { (m * (m / empty as f64).ln()).round() as u64 } else { raw.round() as u64 }
}

enum Values {
    Texts(Tally<Box<str>>),
    /// Numbers, microseconds, or the bits of floats.
    Numbers(Tally<i64>),
}

/// The values of one column.
pub(super) struct Field {
    column: &'static Column,
    leaf: usize,
    present: u64,
    values: Values,
}

impl Field {
    pub fn new(column: &'static Column, hasher: &RandomState) -> Result<Self, LakeError> {
        let leaf = LAYOUT.leaf(column.path).ok_or_else(|| LakeError::BadQuery(format!("there is no column {}", column.path)))?;
        let values = match column.kind {
            Kind::Text | Kind::TextList => Values::Texts(Tally::new(hasher.clone())),
            Kind::Int | Kind::Float | Kind::Time => Values::Numbers(Tally::new(hasher.clone())),
        };
        Ok(Self { column, leaf, present: 0, values })
    }

    pub fn finish(self, top: usize) -> FieldValues {
        let (distinct, error, values) = match &self.values {
            Values::Texts(tally) => {
                let values = tally.top(top).into_iter().map(|(text, count)| ValueCount { value: Value::from(&**text), count });
                (tally.distinct(), tally.error, values.collect())
            }
            Values::Numbers(tally) => {
                let values = tally.top(top).into_iter().map(|(n, count)| ValueCount { value: number(self.column.kind, *n), count });
                (tally.distinct(), tally.error, values.collect())
            }
        };
        FieldValues { field: self.column.path, present: self.present, distinct, values, error }
    }
}

/// A counted number as JSON.
pub(super) fn number(kind: Kind, number: i64) -> Value {
    match kind {
        Kind::Time => Timestamp(number).to_string().into(),
        Kind::Float => f64::from_bits(number as u64).into(),
        _ => number.into(),
    }
}

impl Collect for Field {
    fn take(&mut self, unit: &mut Unit<'_>, hits: &Mask) -> Result<(), LakeError> {
        let (present, values) = (&mut self.present, &mut self.values);
        unit.visit(self.leaf, hits, &mut |array, rows| {
            let nulls = array.logical_nulls().filter(|n| n.null_count() > 0);
            let valid = |i: usize| nulls.as_ref().is_none_or(|n| n.is_valid(i));
            match values {
                Values::Numbers(tally) => {
                    let numbers: Vec<i64>;
                    let whole;
                    let read: &[i64] = if let Some(floats) = array.as_primitive_opt::<Float64Type>() {
                        numbers = floats.values().iter().map(|f| f.to_bits() as i64).collect();
                        &numbers
                    } else {
                        whole = whole_numbers(array);
                        &whole
                    };
                    // Equal values often follow each other: they are added together.
                    let (mut last, mut count) = (0, 0);
                    rows.each(|i, _| {
                        if valid(i) {
                            *present += 1;
                            if read[i] != last && count > 0 {
                                tally.add(&last, count);
                                count = 0;
                            }
                            last = read[i];
                            count += 1;
                        }
                    });
                    if count > 0 {
                        tally.add(&last, count);
                    }
                }
                Values::Texts(tally) => match array.data_type() {
                    DataType::Dictionary(..) => {
                        let array = array.as_dictionary::<Int32Type>();
                        let (keys, texts): (_, &StringArray) = (array.keys().values(), array.values().as_string());
                        let mut counts = vec![0u64; texts.len()];
                        rows.each(|i, _| if valid(i) { counts[keys[i] as usize] += 1 });
                        for (v, count) in counts.into_iter().enumerate().filter(|(_, n)| *n > 0) {
                            *present += count;
                            tally.add(texts.value(v), count);
                        }
                    }
                    DataType::List(_) => {
                        let list = array.as_list::<i32>();
                        let Some(texts) = list.values().as_string_opt::<i32>() else { return };
                        let offsets = list.value_offsets();
                        rows.each(|i, _| {
                            if valid(i) {
                                *present += 1;
                                let elements = offsets[i] as usize..offsets[i + 1] as usize;
                                elements.filter(|v| texts.is_valid(*v)).for_each(|v| tally.add(texts.value(v), 1));
                            }
                        });
                    }
                    _ => {
                        let Some(texts) = array.as_string_opt::<i32>() else { return };
                        rows.each(|i, _| {
                            if valid(i) {
                                *present += 1;
                                tally.add(texts.value(i), 1);
                            }
                        });
                    }
                },
            }
        })
    }

    fn merge(&mut self, other: Self) -> Result<(), LakeError> {
        self.present += other.present;
        match (&mut self.values, other.values) {
            (Values::Texts(ours), Values::Texts(theirs)) => ours.merge(theirs),
            (Values::Numbers(ours), Values::Numbers(theirs)) => ours.merge(theirs),
            _ => {}
        }
        Ok(())
    }

    fn is_thorough(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_bound_frequent_values_stay_and_the_error_is_told() {
        let hasher = RandomState::with_seeds(1, 2, 3, 4);
        let mut parts: Vec<Tally<i64>> = (0..2).map(|_| Tally::new(hasher.clone())).collect();
        let rare = 4 * VALUES_MAX as i64;
        for n in 0..rare {
            parts[(n % 2) as usize].add(&n, 1);
            parts[(n / 2 % 2) as usize].add(&-(1 + n % 10), 3);
        }
        let theirs = parts.pop().unwrap();
        let mut tally = parts.pop().unwrap();
        tally.merge(theirs);
        let truth = 3 * rare as u64 / 10;
        let top = tally.top(10);
        assert!(top.iter().all(|(n, count)| **n < 0 && *count <= truth && count + tally.error >= truth), "{top:?} ±{}", tally.error);
        assert!(tally.error > 0 && tally.error < truth / 100);
        let distinct = tally.distinct() as f64 / (rare as f64 + 10.0);
        assert!((0.93..1.07).contains(&distinct), "{distinct}");
    }

    #[test]
    fn below_the_bound_all_is_exact() {
        let mut tally: Tally<Box<str>> = Tally::new(RandomState::with_seeds(1, 2, 3, 4));
        for n in 0..1_000 {
            tally.add(format!("v{}", n % 30).as_str(), 1);
        }
        assert_eq!((tally.distinct(), tally.error), (30, 0));
        let top: Vec<(&str, u64)> = tally.top(2).into_iter().map(|(text, n)| (&**text, n)).collect();
        assert_eq!(top, [("v0", 34), ("v1", 34)]);
    }
}
