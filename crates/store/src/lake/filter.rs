//! One meaning of a filter for the tail, for Parquet rows, for row-group statistics and bloom filters.

use super::schema::{Key, LAYOUT, Rows};
use super::{Filter, LakeError, Op, Query};
use arrow_array::{Array, Float64Array, Int64Array, ListArray, StringArray, TimestampMicrosecondArray};
use event::{Kind, Timestamp};
use ipnet::IpNet;
use std::net::IpAddr;

/// Most filters of one query, and values of one `In`.
const FILTERS_MAX: usize = 64;
const VALUES_MAX: usize = 1_024;

/// A query made ready: what is wrong with it is said before anything is read.
pub(super) struct Compiled {
    pub from: i64,
    pub to: i64,
    pub filters: Vec<Test>,
    pub text: Option<Needle>,
}

pub(super) struct Test {
    pub leaf: usize,
    pub kind: Kind,
    negated: bool,
    pub matcher: Matcher,
}

pub(super) enum Matcher {
    Exists,
    /// Any of these, as text.
    Texts(Vec<String>),
    Ints(Vec<i64>),
    Floats(Vec<f64>),
    Contains(Needle),
    /// `low <= value <= high`.
    Between(f64, f64),
    Cidr(IpNet),
}

impl Compiled {
    pub fn new(query: &Query) -> Result<Self, LakeError> {
        if query.filters.len() > FILTERS_MAX {
            return Err(LakeError::BadQuery(format!("more than {FILTERS_MAX} filters")));
        }
        Ok(Self {
            from: query.from.map_or(i64::MIN, |t| t.0),
            to: query.to.map_or(i64::MAX, |t| t.0),
            filters: query.filters.iter().map(Test::new).collect::<Result<_, _>>()?,
            text: query.text.as_deref().filter(|t| !t.is_empty()).map(Needle::new),
        })
    }

    /// The leaves that filters read, beside the key; `raw_data` only if a filter names it.
    pub fn leaves(&self) -> Vec<usize> {
        let mut leaves: Vec<usize> = self.filters.iter().map(|f| f.leaf).collect();
        leaves.sort_unstable();
        leaves.dedup();
        leaves
    }

    /// Whether every row between `from` and `to` matches.
    pub fn is_time_only(&self) -> bool {
        self.filters.is_empty() && self.text.is_none()
    }

    /// The rows that match all but `text`, ascending.
    pub fn select(&self, rows: &Rows) -> Vec<u32> {
        let times = rows.times();
        let mut selected: Vec<u32> =
            (0..rows.len as u32).filter(|r| (self.from..self.to).contains(&times[*r as usize])).collect();
        for test in &self.filters {
            if selected.is_empty() {
                break;
            }
            test.retain(rows, &mut selected);
        }
        selected
    }

    /// Keeps the rows whose `raw_data` holds the text.
    pub fn select_text(&self, rows: &Rows, selected: &mut Vec<u32>) {
        let Some(needle) = &self.text else { return };
        match rows.typed::<StringArray>(LAYOUT.raw) {
            None => selected.clear(),
            Some(raw) => selected.retain(|r| needle.is_in(raw.value(*r as usize).as_bytes())),
        }
    }
}

impl Test {
    fn new(filter: &Filter) -> Result<Self, LakeError> {
        let leaf = LAYOUT.leaf(filter.column.path).expect("every column is a leaf");
        let kind = filter.column.kind;
        let bad = |what: String| LakeError::BadQuery(format!("{}: {what}", filter.column.path));
        let (negated, matcher) = match &filter.op {
            Op::Eq(value) => (false, equal(kind, std::slice::from_ref(value)).map_err(bad)?),
            Op::Ne(value) => (true, equal(kind, std::slice::from_ref(value)).map_err(bad)?),
            Op::In(values) if values.len() > VALUES_MAX => return Err(bad(format!("more than {VALUES_MAX} values"))),
            Op::In(values) => (false, equal(kind, values).map_err(bad)?),
            Op::Contains(text) => (false, Matcher::Contains(Needle::new(text))),
            Op::Gte(number) => (false, Matcher::Between(bound(kind, *number), f64::INFINITY)),
            Op::Lte(number) => (false, Matcher::Between(f64::NEG_INFINITY, bound(kind, *number))),
            Op::Exists => (false, Matcher::Exists),
            Op::Cidr(text) => (false, Matcher::Cidr(net(text).ok_or_else(|| bad(format!("{text} is not a CIDR block")))?)),
        };
        Ok(Self { leaf, kind, negated, matcher })
    }

    /// A row without a value matches only `Ne`.
    fn retain(&self, rows: &Rows, selected: &mut Vec<u32>) {
        let Some(array) = rows.columns[self.leaf].as_deref() else {
            if !self.negated {
                selected.clear();
            }
            return;
        };
        let keep = |row: u32, test: &dyn Fn(usize) -> bool| {
            let row = row as usize;
            (!array.is_null(row) && test(row)) != self.negated
        };
        if matches!(self.matcher, Matcher::Exists) {
            return selected.retain(|r| keep(*r, &|_| true));
        }
        let any = array.as_any();
        if let Some(array) = any.downcast_ref::<StringArray>() {
            selected.retain(|r| keep(*r, &|row| self.text(array.value(row))));
        } else if let Some(array) = any.downcast_ref::<Int64Array>() {
            selected.retain(|r| keep(*r, &|row| self.int(array.value(row))));
        } else if let Some(array) = any.downcast_ref::<TimestampMicrosecondArray>() {
            selected.retain(|r| keep(*r, &|row| self.time(array.value(row))));
        } else if let Some(array) = any.downcast_ref::<Float64Array>() {
            selected.retain(|r| keep(*r, &|row| self.float(array.value(row))));
        } else if let Some(array) = any.downcast_ref::<ListArray>() {
            selected.retain(|r| keep(*r, &|row| self.list(array, row)));
        }
    }

    fn text(&self, value: &str) -> bool {
        match &self.matcher {
            Matcher::Exists => true,
            Matcher::Texts(wanted) => wanted.iter().any(|w| w == value),
            Matcher::Contains(needle) => needle.is_in(value.as_bytes()),
            Matcher::Cidr(net) => value.parse::<IpAddr>().is_ok_and(|ip| net.contains(&ip)),
            Matcher::Between(low, high) => value.parse::<f64>().is_ok_and(|v| (*low..=*high).contains(&v)),
            Matcher::Ints(_) | Matcher::Floats(_) => false,
        }
    }

    fn int(&self, value: i64) -> bool {
        match &self.matcher {
            Matcher::Ints(wanted) => wanted.contains(&value),
            Matcher::Between(low, high) => (*low..=*high).contains(&(value as f64)),
            Matcher::Contains(needle) => needle.is_in(value.to_string().as_bytes()),
            _ => false,
        }
    }

    fn time(&self, micros: i64) -> bool {
        match &self.matcher {
            Matcher::Contains(needle) => needle.is_in(Timestamp(micros).to_string().as_bytes()),
            _ => self.int(micros),
        }
    }

    fn float(&self, value: f64) -> bool {
        match &self.matcher {
            Matcher::Floats(wanted) => wanted.contains(&value),
            Matcher::Between(low, high) => (*low..=*high).contains(&value),
            Matcher::Contains(needle) => needle.is_in(value.to_string().as_bytes()),
            _ => false,
        }
    }

    fn list(&self, array: &ListArray, row: usize) -> bool {
        let Some(values) = array.values().as_any().downcast_ref::<StringArray>() else { return false };
        let offsets = array.value_offsets();
        (offsets[row] as usize..offsets[row + 1] as usize).any(|i| !values.is_null(i) && self.text(values.value(i)))
    }

    /// The texts that a matching row must hold one of: what a bloom filter can be asked.
    pub fn texts(&self) -> Option<&[String]> {
        match &self.matcher {
            Matcher::Texts(texts) if !self.negated => Some(texts),
            _ => None,
        }
    }

    /// The range that a matching row's number lies in.
    pub fn range(&self) -> Option<(f64, f64)> {
        if self.negated {
            return None;
        }
        match &self.matcher {
            Matcher::Between(low, high) => Some((*low, *high)),
            Matcher::Ints(ints) => {
                Some((ints.iter().copied().min()? as f64, ints.iter().copied().max()? as f64))
            }
            _ => None,
        }
    }
}

fn equal(kind: Kind, values: &[String]) -> Result<Matcher, String> {
    Ok(match kind {
        Kind::Text | Kind::TextList => Matcher::Texts(values.to_vec()),
        Kind::Int => Matcher::Ints(parse_all(values, |v| v.parse().ok())?),
        Kind::Float => Matcher::Floats(parse_all(values, |v| v.parse().ok())?),
        Kind::Time => Matcher::Ints(parse_all(values, |v| Timestamp::parse(v).map(|t| t.0))?),
    })
}

fn parse_all<T>(values: &[String], parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    values.iter().map(|v| parse(v).ok_or_else(|| format!("{v} is not a value of this column"))).collect()
}

/// A number against a time is an epoch in seconds, milliseconds or microseconds, told apart by size.
fn bound(kind: Kind, number: f64) -> f64 {
    match (kind, Timestamp::from_epoch_number(number)) {
        (Kind::Time, Some(time)) => time.0 as f64,
        _ => number,
    }
}

fn net(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// A case-insensitive substring. Without letters beyond ASCII, ASCII case is what is folded; with them,
/// Unicode lower case.
pub(super) struct Needle {
    lower: String,
    ascii: bool,
    /// The needle's byte that is rarest in logs, in both cases, and where it stands.
    rare: (u8, u8, usize),
}

impl Needle {
    pub fn new(text: &str) -> Self {
        let lower = text.to_lowercase();
        let at = (0..lower.len()).min_by_key(|i| commonness(lower.as_bytes()[*i])).unwrap_or(0);
        let byte = lower.as_bytes().get(at).copied().unwrap_or(0);
        Self { ascii: text.is_ascii(), rare: (byte, byte.to_ascii_uppercase(), at), lower }
    }

    pub fn is_in(&self, hay: &[u8]) -> bool {
        if self.lower.is_empty() {
            return true;
        }
        if !self.ascii {
            return String::from_utf8_lossy(hay).to_lowercase().contains(&self.lower);
        }
        let (low, up, at) = self.rare;
        let len = self.lower.len();
        if hay.len() < len {
            return false;
        }
        // Only places where the whole needle fits around the rare byte.
        let window = &hay[at..hay.len() - (len - 1 - at)];
        memchr::memchr2_iter(low, up, window).any(|i| hay[i..i + len].eq_ignore_ascii_case(self.lower.as_bytes()))
    }
}

/// How common a byte is in log text, roughly: letters of JSON keys and digits are everywhere.
fn commonness(byte: u8) -> u8 {
    match byte {
        b'e' | b't' | b'a' | b'i' | b's' | b'"' | b' ' => 9,
        b'o' | b'n' | b'r' | b'c' | b'd' | b'u' | b'm' | b'l' | b':' | b',' => 8,
        b'0'..=b'9' | b'.' | b'/' | b'-' => 7,
        b'p' | b'h' | b'g' | b'v' | b'y' | b'b' | b'f' | b'w' => 5,
        b'k' | b'x' | b'_' | b'=' => 4,
        _ => 1,
    }
}

/// Where a page begins: all rows below this key.
pub(super) fn below(rows: &Rows, before: Option<Key>, selected: &mut Vec<u32>) {
    if let Some(before) = before {
        selected.retain(|r| rows.key(*r as usize) < before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needles_fold_case() {
        for (needle, hay, want) in [
            ("select", "UNION SELECT 1", true),
            ("SELECT", "union select", true),
            ("zq", "a zq", true),
            ("zq", "a qz", false),
            ("größe", "GRÖSSE GRÖßE", true),
            ("", "", true),
            ("long needle", "short", false),
            ("aab", "aaab", true),
        ] {
            assert_eq!(Needle::new(needle).is_in(hay.as_bytes()), want, "{needle} in {hay}");
        }
    }
}
