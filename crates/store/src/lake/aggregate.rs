//! Counts and sums by time and columns.
//!
//! Within a unit each group's values get small numbers, so that rows are counted in arrays; only the groups that
//! occur are then looked up in the table of all.

use super::LakeError;
use super::histogram::runs;
use super::mask::Mask;
use super::pass::Collect;
use super::request::{Aggregation, GROUPS_BY_MAX, Group, METRICS_MAX, Metric};
use super::schema::LAYOUT;
use super::tally::number;
use super::unit::{Unit, whole_numbers};
use ahash::RandomState;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type};
use arrow_array::{Array, StringArray};
use arrow_schema::DataType;
use event::{Column, Kind};
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::HashMap;

/// Most groups that one aggregation holds, and bytes of their texts.
const GROUPS_MAX: usize = 200_000;
const GROUP_BYTES_MAX: usize = 64 << 20;
/// Combinations of values that are counted in an array; beyond it the ones that occur are numbered anew.
const DENSE_MAX: usize = 1 << 16;

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Part {
    Null,
    /// A number, microseconds, or the bits of a float.
    Number(i64),
    Text(Box<str>),
}

#[derive(Clone, Debug)]
struct Sums {
    count: u64,
    metrics: Vec<Sum>,
}

/// What all metrics of one column are made of.
#[derive(Clone, Copy, Debug)]
struct Sum {
    count: u64,
    /// Of whole numbers, exact.
    whole: i128,
    float: f64,
    /// In `f64` for floats, else whole.
    min: (i64, f64),
    max: (i64, f64),
}

impl Sum {
    const NONE: Self = Self { count: 0, whole: 0, float: 0.0, min: (i64::MAX, f64::INFINITY), max: (i64::MIN, f64::NEG_INFINITY) };

    fn add_whole(&mut self, n: i64) {
        self.count += 1;
        self.whole += i128::from(n);
        self.min.0 = self.min.0.min(n);
        self.max.0 = self.max.0.max(n);
    }

    fn add_float(&mut self, n: f64) {
        self.count += 1;
        self.float += n;
        self.min.1 = self.min.1.min(n);
        self.max.1 = self.max.1.max(n);
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.whole += other.whole;
        self.float += other.float;
        self.min = (self.min.0.min(other.min.0), self.min.1.min(other.min.1));
        self.max = (self.max.0.max(other.max.0), self.max.1.max(other.max.1));
    }
}

pub(super) struct Table {
    by: Vec<Group>,
    metrics: Vec<Metric>,
    /// The columns that metrics read, each once, and for each metric its column's place here.
    columns: Vec<&'static Column>,
    reads: Vec<Option<usize>>,
    groups: HashMap<Box<[Part]>, Sums, RandomState>,
    bytes: usize,
}

fn column_of(metric: &Metric) -> Option<&'static Column> {
    match metric {
        Metric::Count => None,
        Metric::Sum(c) | Metric::Min(c) | Metric::Max(c) | Metric::Avg(c) => Some(c),
    }
}

impl Table {
    pub fn new(asked: &Aggregation) -> Result<Self, LakeError> {
        let bad = |what: String| Err(LakeError::BadQuery(what));
        if asked.by.len() > GROUPS_BY_MAX || asked.metrics.len() > METRICS_MAX {
            return bad(format!("at most {GROUPS_BY_MAX} groups and {METRICS_MAX} metrics"));
        }
        if asked.by.iter().any(|g| matches!(g, Group::Time { secs: 0 })) {
            return bad("a bucket has at least one second".into());
        }
        let mut columns: Vec<&'static Column> = Vec::new();
        let mut reads = Vec::new();
        for metric in &asked.metrics {
            let Some(column) = column_of(metric) else {
                reads.push(None);
                continue;
            };
            let orders = matches!(metric, Metric::Min(_) | Metric::Max(_));
            if !(matches!(column.kind, Kind::Int | Kind::Float) || orders && column.kind == Kind::Time) {
                return bad(format!("{} is no number", column.path));
            }
            let at = columns.iter().position(|c| std::ptr::eq(*c, column)).unwrap_or_else(|| {
                columns.push(column);
                columns.len() - 1
            });
            reads.push(Some(at));
        }
        Ok(Self { by: asked.by.clone(), metrics: asked.metrics.clone(), columns, reads, groups: HashMap::default(), bytes: 0 })
    }

    fn add(&mut self, key: Box<[Part]>, sums: Sums) -> Result<(), LakeError> {
        if let Some(known) = self.groups.get_mut(&key) {
            known.count += sums.count;
            known.metrics.iter_mut().zip(&sums.metrics).for_each(|(a, b)| a.merge(b));
            return Ok(());
        }
        self.bytes += key.iter().map(|part| if let Part::Text(text) = part { text.len() } else { 0 }).sum::<usize>();
        self.groups.insert(key, sums);
        if self.groups.len() > GROUPS_MAX || self.bytes > GROUP_BYTES_MAX {
            return Err(LakeError::BadQuery(format!(
                "more than {GROUPS_MAX} groups; ask for fewer columns, a wider time or a narrower query"
            )));
        }
        Ok(())
    }

    pub fn columns(&self) -> Vec<String> {
        let group = |group: &Group| match group {
            Group::Time { .. } => "time".to_owned(),
            Group::Column(column) => column.path.to_owned(),
        };
        let metric = |metric: &Metric| match metric {
            Metric::Count => "count".to_owned(),
            Metric::Sum(c) => format!("sum({})", c.path),
            Metric::Min(c) => format!("min({})", c.path),
            Metric::Max(c) => format!("max({})", c.path),
            Metric::Avg(c) => format!("avg({})", c.path),
        };
        self.by.iter().map(group).chain(self.metrics.iter().map(metric)).collect()
    }

    /// The rows with the most events, and how many groups there are in all.
    pub fn finish(mut self, limit: usize) -> (Vec<Vec<Value>>, u64) {
        // Counting nothing by nothing is one group with nothing in it.
        if self.by.is_empty() && self.groups.is_empty() {
            self.groups.insert(Box::default(), Sums { count: 0, metrics: vec![Sum::NONE; self.columns.len()] });
        }
        let all = self.groups.len() as u64;
        let mut groups: Vec<(Box<[Part]>, Sums)> = std::mem::take(&mut self.groups).into_iter().collect();
        groups.sort_unstable_by(|(a, x), (b, y)| (Reverse(x.count), a).cmp(&(Reverse(y.count), b)));
        groups.truncate(limit);
        if matches!(self.by.first(), Some(Group::Time { .. })) {
            groups.sort_by(|(a, _), (b, _)| a.first().cmp(&b.first()));
        }
        (groups.into_iter().map(|(key, sums)| self.row(&key, &sums)).collect(), all)
    }

    fn row(&self, key: &[Part], sums: &Sums) -> Vec<Value> {
        let part = |(group, part): (&Group, &Part)| match (part, group) {
            (Part::Null, _) => Value::Null,
            (Part::Text(text), _) => Value::from(&**text),
            (Part::Number(bucket), Group::Time { secs }) => {
                number(Kind::Time, bucket.saturating_mul(i64::from(*secs) * 1_000_000))
            }
            (Part::Number(n), Group::Column(column)) => number(column.kind, *n),
        };
        let metric = |(metric, read): (&Metric, &Option<usize>)| match read {
            None => sums.count.into(),
            Some(at) => self.metric(metric, self.columns[*at].kind, &sums.metrics[*at]),
        };
        let parts = self.by.iter().zip(key).map(part);
        parts.chain(self.metrics.iter().zip(&self.reads).map(metric)).collect()
    }

    fn metric(&self, metric: &Metric, kind: Kind, sum: &Sum) -> Value {
        let pick = |(whole, float): (i64, f64)| if kind == Kind::Float { Value::from(float) } else { number(kind, whole) };
        match metric {
            _ if sum.count == 0 => Value::Null,
            Metric::Count => sum.count.into(),
            Metric::Sum(_) if kind == Kind::Float => sum.float.into(),
            Metric::Sum(_) => i64::try_from(sum.whole).map_or_else(|_| Value::from(sum.whole as f64), Value::from),
            Metric::Avg(_) if kind == Kind::Float => (sum.float / sum.count as f64).into(),
            Metric::Avg(_) => (sum.whole as f64 / sum.count as f64).into(),
            Metric::Min(_) => pick(sum.min),
            Metric::Max(_) => pick(sum.max),
        }
    }
}

/// The entries of one unit with the number of each one's group: its matching rows in order, and a row several times
/// if a list of it has several elements.
struct Numbered {
    groups: Vec<u32>,
    /// Which matching row each entry is; `None`: each row is one entry.
    hits: Option<Vec<u32>>,
    /// Keys of the numbers that were given anew, and the columns since: a number is one of the former and a value of
    /// each of the latter, in mixed radix.
    base: Vec<Vec<Part>>,
    since: Vec<Vec<Part>>,
}

/// One column's values of the matching rows, numbered; 0 is none.
struct Codes {
    parts: Vec<Part>,
    /// By matching row, or with `starts` by element.
    codes: Vec<u32>,
    /// Of lists: where each matching row's elements begin.
    starts: Option<Vec<u32>>,
}

impl Numbered {
    fn all(rows: usize) -> Self {
        Self { groups: vec![0; rows], hits: None, base: vec![Vec::new()], since: Vec::new() }
    }

    /// How many numbers there are.
    fn card(&self) -> usize {
        self.since.iter().fold(self.base.len(), |card, parts| card * parts.len())
    }

    /// Splits the groups by a further column.
    fn split(&mut self, codes: Codes) {
        let Codes { parts, codes, starts } = codes;
        if self.card().saturating_mul(parts.len()) > DENSE_MAX {
            self.renumber();
        }
        let card = parts.len() as u64;
        let dense = self.card() as u64 * card <= u64::from(u32::MAX);
        let mut wide: Vec<u64> = Vec::new();
        let mut put = |groups: &mut Vec<u32>, group: u32, code: u32| {
            let number = u64::from(group) * card + u64::from(code);
            if dense { groups.push(number as u32) } else { wide.push(number) }
        };
        let mut groups = Vec::with_capacity(self.groups.len());
        match (&starts, &mut self.hits) {
            (None, None) => self.groups.iter().zip(&codes).for_each(|(group, code)| put(&mut groups, *group, *code)),
            (None, Some(hits)) => self.groups.iter().zip(hits).for_each(|(group, hit)| put(&mut groups, *group, codes[*hit as usize])),
            (Some(starts), hits) => {
                let mut entries = Vec::with_capacity(codes.len());
                for (entry, group) in self.groups.iter().enumerate() {
                    let hit = hits.as_ref().map_or(entry as u32, |hits| hits[entry]);
                    for code in &codes[starts[hit as usize] as usize..starts[hit as usize + 1] as usize] {
                        entries.push(hit);
                        put(&mut groups, *group, *code);
                    }
                }
                *hits = Some(entries);
            }
        }
        self.groups = groups;
        self.since.push(parts);
        if !dense {
            self.compact(&wide);
        }
    }

    fn key(&self, number: u64) -> Vec<Part> {
        let mut left = number;
        let mut tail: Vec<Part> = Vec::with_capacity(self.since.len());
        for parts in self.since.iter().rev() {
            tail.push(parts[(left % parts.len() as u64) as usize].clone());
            left /= parts.len() as u64;
        }
        let mut key = self.base[left as usize].clone();
        key.extend(tail.into_iter().rev());
        key
    }

    /// Gives the groups that occur small numbers.
    fn renumber(&mut self) {
        let numbers: Vec<u64> = self.groups.iter().map(|group| u64::from(*group)).collect();
        self.compact(&numbers);
    }

    fn compact(&mut self, numbers: &[u64]) {
        let mut known: HashMap<u64, u32, RandomState> = HashMap::default();
        let mut base = Vec::new();
        self.groups = numbers
            .iter()
            .map(|number| {
                *known.entry(*number).or_insert_with(|| {
                    base.push(self.key(*number));
                    base.len() as u32 - 1
                })
            })
            .collect();
        self.base = base;
        self.since.clear();
    }
}

/// Gives values numbers in the order in which they come; 0 is none.
struct Numbers {
    parts: Vec<Part>,
    known: HashMap<i64, u32, RandomState>,
    texts: HashMap<Box<str>, u32, RandomState>,
    last: (i64, u32),
}

impl Numbers {
    fn new() -> Self {
        Self { parts: vec![Part::Null], known: HashMap::default(), texts: HashMap::default(), last: (0, 0) }
    }

    fn of(&mut self, n: i64) -> u32 {
        if self.last.1 == 0 || self.last.0 != n {
            let parts = &mut self.parts;
            let code = *self.known.entry(n).or_insert_with(|| {
                parts.push(Part::Number(n));
                parts.len() as u32 - 1
            });
            self.last = (n, code);
        }
        self.last.1
    }

    fn of_text(&mut self, text: &str) -> u32 {
        if let Some(code) = self.texts.get(text) {
            return *code;
        }
        self.parts.push(Part::Text(text.into()));
        let code = self.parts.len() as u32 - 1;
        self.texts.insert(text.into(), code);
        code
    }
}

impl Codes {
    fn times(unit: &mut Unit<'_>, hits: &Mask, count: usize, secs: u32) -> Result<Self, LakeError> {
        let mut numbers = Numbers::new();
        let mut codes = Vec::with_capacity(count);
        for (bucket, rows) in runs(unit, hits, i64::from(secs) * 1_000_000)? {
            let code = numbers.of(bucket);
            codes.extend(std::iter::repeat_n(code, rows as usize));
        }
        Ok(Self { parts: numbers.parts, codes, starts: None })
    }

    fn column(unit: &mut Unit<'_>, hits: &Mask, count: usize, column: &'static Column) -> Result<Self, LakeError> {
        let leaf = LAYOUT.leaf(column.path).ok_or_else(|| LakeError::BadQuery(format!("there is no column {}", column.path)))?;
        if let Some(only) = unit.constant(leaf) {
            return Ok(Self { parts: vec![Part::Null, Part::Number(only)], codes: vec![1; count], starts: None });
        }
        let mut numbers = Numbers::new();
        let mut codes = Vec::with_capacity(count);
        let mut starts = (column.kind == Kind::TextList).then(|| Vec::with_capacity(count + 1));
        unit.visit(leaf, hits, &mut |array, rows| match array.data_type() {
            DataType::Dictionary(..) => {
                let array = array.as_dictionary::<Int32Type>();
                let (keys, texts): (_, &StringArray) = (array.keys(), array.values().as_string());
                let mut known = vec![0u32; texts.len()];
                rows.each(|i, _| {
                    codes.push(if keys.is_valid(i) {
                        let slot = &mut known[keys.value(i) as usize];
                        if *slot == 0 {
                            *slot = numbers.of_text(texts.value(keys.value(i) as usize));
                        }
                        *slot
                    } else {
                        0
                    });
                });
            }
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                let (Some(texts), Some(starts)) = (list.values().as_string_opt::<i32>(), &mut starts) else { return };
                let offsets = list.value_offsets();
                rows.each(|i, _| {
                    starts.push(codes.len() as u32);
                    if list.is_valid(i) {
                        let elements = offsets[i] as usize..offsets[i + 1] as usize;
                        codes.extend(elements.filter(|v| texts.is_valid(*v)).map(|v| numbers.of_text(texts.value(v))));
                    }
                    if starts.last() == Some(&(codes.len() as u32)) {
                        codes.push(0);
                    }
                });
            }
            DataType::Utf8 => {
                let texts = array.as_string::<i32>();
                rows.each(|i, _| codes.push(if texts.is_valid(i) { numbers.of_text(texts.value(i)) } else { 0 }));
            }
            DataType::Float64 => {
                let floats = array.as_primitive::<Float64Type>();
                rows.each(|i, _| codes.push(if floats.is_valid(i) { numbers.of(floats.value(i).to_bits() as i64) } else { 0 }));
            }
            _ => {
                let values = whole_numbers(array);
                rows.each(|i, _| codes.push(if array.is_valid(i) { numbers.of(values[i]) } else { 0 }));
            }
        })?;
        if codes.is_empty() {
            // No row has a value.
            codes = vec![0; count];
            starts = None;
        }
        if let Some(starts) = &mut starts {
            starts.push(codes.len() as u32);
        }
        Ok(Self { parts: numbers.parts, codes, starts })
    }
}

impl Collect for Table {
    fn take(&mut self, unit: &mut Unit<'_>, hits: &Mask) -> Result<(), LakeError> {
        let count = hits.count();
        let mut numbered = Numbered::all(count);
        for group in &self.by {
            let codes = match group {
                Group::Time { secs } => Codes::times(unit, hits, count, *secs)?,
                Group::Column(column) => Codes::column(unit, hits, count, column)?,
            };
            numbered.split(codes);
        }
        if numbered.card() > DENSE_MAX {
            numbered.renumber();
        }
        let mut counts = vec![0u64; numbered.card()];
        numbered.groups.iter().for_each(|group| counts[*group as usize] += 1);
        let mut metrics = vec![vec![Sum::NONE; counts.len()]; self.columns.len()];
        for (column, sums) in self.columns.iter().zip(&mut metrics) {
            let leaf = LAYOUT.leaf(column.path).ok_or_else(|| LakeError::BadQuery(format!("there is no column {}", column.path)))?;
            let (mut hit, mut entry) = (0, 0);
            let mut each = |add: Option<&dyn Fn(&mut Sum)>| {
                let is_of = |entry: usize| match &numbered.hits {
                    None => entry == hit,
                    Some(hits) => hits.get(entry) == Some(&(hit as u32)),
                };
                while entry < numbered.groups.len() && is_of(entry) {
                    if let Some(add) = add {
                        add(&mut sums[numbered.groups[entry] as usize]);
                    }
                    entry += 1;
                }
                hit += 1;
            };
            unit.visit(leaf, hits, &mut |array, rows| {
                if let Some(floats) = array.as_primitive_opt::<Float64Type>() {
                    rows.each(|i, _| each(floats.is_valid(i).then_some(&|sum: &mut Sum| sum.add_float(floats.value(i)))));
                } else {
                    let numbers = whole_numbers(array);
                    rows.each(|i, _| each(array.is_valid(i).then_some(&|sum: &mut Sum| sum.add_whole(numbers[i]))));
                }
            })?;
        }
        for (number, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            let sums = Sums { count, metrics: metrics.iter().map(|sums| sums[number]).collect() };
            self.add(numbered.key(number as u64).into(), sums)?;
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) -> Result<(), LakeError> {
        other.groups.into_iter().try_for_each(|(key, sums)| self.add(key, sums))
    }

    fn is_thorough(&self) -> bool {
        true
    }
}
