//! Counts by time and level.

use super::LakeError;
use super::mask::Mask;
use super::pass::Collect;
use super::request::{BySeverity, Histogram};
use super::schema::{DAY_MICROS, LAYOUT};
use super::unit::Unit;
use event::{Severity, Timestamp};
use std::collections::BTreeMap;

/// Most buckets of a histogram.
pub(super) const BUCKETS_MAX: usize = 10_000;
/// An automatic histogram has at most so many, if all times lie within the range.
const BUCKETS_AUTO: i64 = 120;
/// Widths that people read easily, in seconds.
const WIDTHS: [u32; 20] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 604_800, 2_592_000];

/// The width of an automatic histogram from the first microsecond to the last.
pub(super) fn auto_width(from: i64, last: i64) -> u32 {
    let secs = last.saturating_sub(from).max(0) / 1_000_000;
    WIDTHS.into_iter().find(|w| secs / i64::from(*w) < BUCKETS_AUTO).unwrap_or(WIDTHS[WIDTHS.len() - 1])
}

/// First microsecond and last of these days, which are counted from 1970.
pub(super) fn days(first: i64, last: i64) -> (i64, i64) {
    (first.saturating_mul(DAY_MICROS), (last.saturating_add(1)).saturating_mul(DAY_MICROS) - 1)
}

pub(super) struct Counter {
    width_micros: i64,
    secs: u32,
    buckets: BTreeMap<i64, [u64; 5]>,
}

impl Counter {
    pub fn new(secs: u32) -> Result<Self, LakeError> {
        if secs == 0 {
            return Err(LakeError::BadQuery("a bucket has at least one second".into()));
        }
        Ok(Self { width_micros: i64::from(secs) * 1_000_000, secs, buckets: BTreeMap::new() })
    }

    fn check(&self) -> Result<(), LakeError> {
        if self.buckets.len() <= BUCKETS_MAX {
            return Ok(());
        }
        Err(LakeError::BadQuery(format!("more than {BUCKETS_MAX} buckets; make them wider")))
    }

    pub fn finish(self) -> Histogram {
        let named = |counts: [u64; 5]| Severity::ALL.into_iter().zip(counts).filter(|(_, n)| *n > 0).collect::<BySeverity>();
        let start = |bucket: i64| Timestamp(bucket.saturating_mul(self.width_micros));
        Histogram { bucket_secs: self.secs, buckets: self.buckets.into_iter().map(|(b, counts)| (start(b), named(counts))).collect() }
    }
}

impl Collect for Counter {
    fn take(&mut self, unit: &mut Unit<'_>, hits: &Mask) -> Result<(), LakeError> {
        let runs = runs(unit, hits, self.width_micros)?;
        let mut at = 0;
        let mut left = runs.first().map_or(0, |run| run.1);
        let mut counts = [0; 5];
        let mut count = |level: i64| {
            counts[level.clamp(1, 5) as usize - 1] += 1;
            left -= 1;
            if left == 0 {
                let bucket = self.buckets.entry(runs[at].0).or_default();
                bucket.iter_mut().zip(counts).for_each(|(sum, n)| *sum += n);
                counts = [0; 5];
                at += 1;
                left = runs.get(at).map_or(0, |run| run.1);
            }
        };
        match unit.constant(LAYOUT.severity) {
            Some(level) => {
                for (bucket, rows) in &runs {
                    self.buckets.entry(*bucket).or_default()[level.clamp(1, 5) as usize - 1] += rows;
                }
            }
            None => unit.numbers(LAYOUT.severity, hits, &mut |_, level| count(level))?,
        }
        self.check()
    }

    fn merge(&mut self, other: Self) -> Result<(), LakeError> {
        for (start, counts) in other.buckets {
            self.buckets.entry(start).or_default().iter_mut().zip(counts).for_each(|(sum, n)| *sum += n);
        }
        self.check()
    }

    fn is_thorough(&self) -> bool {
        true
    }
}

/// The buckets of the rows, in order, each with how many rows in a row are in it. Files are sorted by time, so
/// these are few, and the division is needed once for each.
pub(super) fn runs(unit: &mut Unit<'_>, hits: &Mask, width: i64) -> Result<Vec<(i64, u64)>, LakeError> {
    let mut runs: Vec<(i64, u64)> = Vec::new();
    // The bucket's first microsecond and its last.
    let (mut bucket, mut first, mut last, mut rows) = (0, 1, 0, 0);
    unit.numbers(LAYOUT.time, hits, &mut |_, time| {
        if time < first || time > last {
            if rows > 0 {
                runs.push((bucket, rows));
            }
            bucket = time.div_euclid(width);
            first = bucket.saturating_mul(width);
            last = first.saturating_add(width - 1);
            rows = 0;
        }
        rows += 1;
    })?;
    if rows > 0 {
        runs.push((bucket, rows));
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn automatic_widths_are_round_and_give_few_buckets() {
        for (secs, width) in [(0, 1), (60, 1), (600, 10), (3_600, 60), (86_400, 900), (7 * 86_400, 7_200), (3_650 * 86_400, 2_592_000)] {
            assert_eq!(auto_width(0, secs * 1_000_000), width, "{secs}");
        }
        assert_eq!(auto_width(i64::MIN, i64::MAX), 2_592_000);
    }
}
