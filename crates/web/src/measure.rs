//! Rates and times of one corpus. The caller holds the clock.

use serde::Serialize;

/// What inspecting labelled requests gave.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    attacks: u64,
    found: u64,
    benign: u64,
    raised: u64,
    unlabelled: u64,
    truncated: u64,
    nanos: Vec<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    pub corpus: String,
    pub attacks: u64,
    pub benign: u64,
    pub unlabelled: u64,
    /// Share of the attacks found; absent without attacks.
    pub tpr: Option<f64>,
    /// Share of the benign requests called attacks.
    pub fpr: Option<f64>,
    pub truncated: u64,
    /// For one core.
    pub requests_per_sec: f64,
    pub p50_micros: f64,
    pub p99_micros: f64,
    pub max_micros: f64,
}

impl Tally {
    /// `nanos` is the time that inspecting took.
    pub fn add(&mut self, label: Option<bool>, verdict: &crate::Verdict, nanos: u64) {
        let attack = verdict.verdict == crate::Decision::Attack;
        match label {
            Some(true) => {
                self.attacks += 1;
                self.found += u64::from(attack);
            }
            Some(false) => {
                self.benign += 1;
                self.raised += u64::from(attack);
            }
            None => self.unlabelled += 1,
        }
        self.truncated += u64::from(!verdict.truncated.is_empty());
        self.nanos.push(nanos);
    }

    pub fn row(mut self, corpus: &str) -> Row {
        self.nanos.sort_unstable();
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        let sum: u64 = self.nanos.iter().sum();
        let at = |q: f64| {
            let last = self.nanos.len().saturating_sub(1);
            self.nanos.get((last as f64 * q).round() as usize).map_or(0.0, |n| *n as f64 / 1e3)
        };
        Row {
            corpus: corpus.to_owned(),
            attacks: self.attacks,
            benign: self.benign,
            unlabelled: self.unlabelled,
            tpr: share(self.found, self.attacks),
            fpr: share(self.raised, self.benign),
            truncated: self.truncated,
            requests_per_sec: if sum == 0 { 0.0 } else { self.nanos.len() as f64 * 1e9 / sum as f64 },
            p50_micros: at(0.5),
            p99_micros: at(0.99),
            max_micros: at(1.0),
        }
    }
}

/// The heading of [`line`]'s columns.
pub const HEADING: &str = "corpus                 attacks  benign      TPR      FPR   requests/s   p50 µs   p99 µs   max µs";

pub fn line(row: &Row) -> String {
    let percent = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |s| format!("{:.2} %", s * 100.0));
    format!(
        "{:<22} {:>7} {:>7} {:>8} {:>8} {:>12.0} {:>8.1} {:>8.1} {:>8.1}",
        row.corpus, row.attacks, row.benign, percent(row.tpr), percent(row.fpr), row.requests_per_sec, row.p50_micros, row.p99_micros, row.max_micros
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decision, Verdict};

    #[test]
    fn rates_and_quantiles_are_counted() {
        let mut tally = Tally::default();
        for i in 0..100 {
            let verdict = if i % 4 == 0 { Decision::Attack } else { Decision::Allow };
            tally.add(Some(i < 50), &Verdict { verdict, ..Verdict::default() }, 1_000 * (i + 1));
        }
        let row = tally.row("x");
        assert_eq!((row.attacks, row.benign, row.tpr, row.fpr), (50, 50, Some(0.26), Some(0.24)));
        assert_eq!((row.p50_micros, row.max_micros), (51.0, 100.0));
        assert_eq!(Tally::default().row("empty").tpr, None);
    }
}
