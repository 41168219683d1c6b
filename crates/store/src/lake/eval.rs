//! An expression on the rows of one unit: a batch of the tail or a row group. Columns are read when they are first
//! needed, and only for rows that nothing has decided yet.

use super::LakeError;
use super::compiled::{Leaf, Matcher, Tree, cell};
use super::mask::Mask;
use super::unit::Unit;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, DictionaryArray, ListArray, StringArray};
use arrow_schema::{DataType, TimeUnit};
use event::Cell;

/// Which rows an array's elements belong to.
#[derive(Clone, Copy)]
pub(super) enum Rows<'a> {
    /// Element `i` is row `i`; those of the mask are asked for.
    All(&'a Mask),
    /// Element `i` is row `these[i]`; all are asked for.
    These(&'a [u32]),
}

impl Rows<'_> {
    /// Adds the rows for whose element `test` holds.
    fn keep(self, out: &mut Mask, test: impl Fn(usize) -> bool) {
        match self {
            Self::All(mask) => mask.keep(out, test),
            Self::These(rows) => rows.iter().enumerate().filter(|(i, _)| test(*i)).for_each(|(_, row)| out.set(*row as usize)),
        }
    }

    pub fn count(self) -> usize {
        match self {
            Self::All(mask) => mask.count(),
            Self::These(rows) => rows.len(),
        }
    }

    /// Calls `visit` with the element and the row of all that are asked for, by ascending row.
    pub fn each(self, mut visit: impl FnMut(usize, u32)) {
        match self {
            Self::All(mask) => mask.rows().for_each(|row| visit(row as usize, row)),
            Self::These(rows) => rows.iter().enumerate().for_each(|(i, row)| visit(i, *row)),
        }
    }
}

/// The rows out of `within` for which the expression holds.
pub(super) fn eval(tree: &Tree, unit: &mut Unit<'_>, within: Mask) -> Result<Mask, LakeError> {
    match tree {
        _ if within.is_empty() => Ok(within),
        Tree::All => Ok(within),
        Tree::None => Ok(Mask::none(within.len())),
        Tree::And(all) => {
            let mut left = within;
            for part in all {
                left = eval(part, unit, left)?;
            }
            Ok(left)
        }
        Tree::Or(any) => {
            let (mut left, mut hits) = (within.clone(), Mask::none(within.len()));
            for part in any {
                let found = eval(part, unit, left.clone())?;
                left.remove(&found);
                hits.add(&found);
            }
            Ok(hits)
        }
        Tree::Leaf(leaf) => condition(leaf, unit, &within),
        Tree::Not(leaf) => {
            let mut left = within;
            let found = condition(leaf, unit, &left)?;
            left.remove(&found);
            Ok(left)
        }
    }
}

fn condition(leaf: &Leaf, unit: &mut Unit<'_>, within: &Mask) -> Result<Mask, LakeError> {
    let mut hits = Mask::none(within.len());
    if let Matcher::Words(words) = &leaf.matcher
        && let Some(found) = unit.lookup(leaf.leaf, &words.words)
    {
        hits = found.rows;
        hits.meet(within);
        if found.exact || hits.is_empty() {
            return Ok(hits);
        }
        let candidates = std::mem::replace(&mut hits, Mask::none(within.len()));
        unit.visit(leaf.leaf, &candidates, &mut |array, rows| leaf.on_array(array, rows, &mut hits))?;
        return Ok(hits);
    }
    unit.visit(leaf.leaf, within, &mut |array, rows| leaf.on_array(array, rows, &mut hits))?;
    Ok(hits)
}

impl Leaf {
    /// Adds the rows whose element matches.
    fn on_array(&self, array: &dyn Array, rows: Rows<'_>, out: &mut Mask) {
        let nulls = array.nulls().filter(|n| n.null_count() > 0);
        let valid = |i: usize| nulls.is_none_or(|n| n.is_valid(i));
        if matches!(self.matcher, Matcher::Exists) {
            return rows.keep(out, valid);
        }
        match array.data_type() {
            DataType::Utf8 => {
                let array = array.as_string::<i32>();
                rows.keep(out, |i| valid(i) && self.text(array.value(i)));
            }
            DataType::Dictionary(..) => self.on_dictionary(array.as_dictionary(), rows, out),
            DataType::Int64 => {
                let values = array.as_primitive::<Int64Type>().values();
                self.on_numbers(values, &valid, rows, out);
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                let values = array.as_primitive::<TimestampMicrosecondType>().values();
                self.on_numbers(values, &valid, rows, out);
            }
            DataType::Float64 => {
                let array = array.as_primitive::<Float64Type>();
                if let Matcher::Plain(test) = &self.matcher {
                    rows.keep(out, |i| valid(i) && test.matches(&Cell::Float(array.value(i))));
                }
            }
            DataType::List(_) => self.on_list(array.as_list::<i32>(), &valid, rows, out),
            _ => {}
        }
    }

    fn on_numbers(&self, values: &[i64], valid: &impl Fn(usize) -> bool, rows: Rows<'_>, out: &mut Mask) {
        match &self.matcher {
            Matcher::Between(low, high) => rows.keep(out, |i| (*low <= values[i]) & (values[i] <= *high) & valid(i)),
            Matcher::Ints(wanted) => match wanted.as_slice() {
                [one] => rows.keep(out, |i| (values[i] == *one) & valid(i)),
                many => rows.keep(out, |i| valid(i) && many.binary_search(&values[i]).is_ok()),
            },
            Matcher::Plain(test) => rows.keep(out, |i| valid(i) && test.matches(&cell(self.kind, values[i]))),
            _ => {}
        }
    }

    /// Each different value is looked at once, unless fewer rows than values are asked for.
    fn on_dictionary(&self, array: &DictionaryArray<Int32Type>, rows: Rows<'_>, out: &mut Mask) {
        let keys = array.keys();
        let values: &StringArray = array.values().as_string();
        if rows.count() < values.len() {
            return rows.keep(out, |i| keys.is_valid(i) && self.text(values.value(keys.value(i) as usize)));
        }
        let fits: Vec<bool> = (0..values.len()).map(|v| values.is_valid(v) && self.text(values.value(v))).collect();
        if fits.iter().any(|f| *f) {
            rows.keep(out, |i| keys.is_valid(i) && fits[keys.value(i) as usize]);
        }
    }

    fn on_list(&self, array: &ListArray, valid: &impl Fn(usize) -> bool, rows: Rows<'_>, out: &mut Mask) {
        let Some(values) = array.values().as_string_opt::<i32>() else { return };
        let offsets = array.value_offsets();
        let any = |i: usize| (offsets[i] as usize..offsets[i + 1] as usize).any(|v| values.is_valid(v) && self.text(values.value(v)));
        rows.keep(out, |i| valid(i) && any(i));
    }
}
