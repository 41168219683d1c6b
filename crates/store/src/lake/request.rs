//! What is asked of the lake, and what it answers.

use event::{Column, Timestamp};
use query::Expr;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Most events of a page.
pub const LIMIT_MAX: usize = 10_000;
/// Without a histogram or counted fields, matches are counted up to here; beyond it the total is a lower bound.
pub const TOTAL_MAX: u64 = 100_000;
/// Most columns whose values one search counts.
pub const FIELDS_MAX: usize = 64;
/// Most columns and times that an aggregation groups by, and metrics it answers.
pub const GROUPS_BY_MAX: usize = 8;
pub const METRICS_MAX: usize = 16;
/// Most events before and after one.
pub const AROUND_MAX: usize = 1_000;

/// Events by level.
pub type BySeverity = BTreeMap<event::Severity, u64>;

/// A search: `expr` holds, `from <= time < to`, newest first.
#[derive(Clone, Debug)]
pub struct Query {
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub expr: Expr,
    /// At most [`LIMIT_MAX`]; 0 only counts.
    pub limit: usize,
    /// From an earlier page.
    pub cursor: Option<String>,
}

impl Default for Query {
    fn default() -> Self {
        Self { from: None, to: None, expr: Expr::All, limit: 0, cursor: None }
    }
}

/// How many events match. What is not exact is a lower bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Total {
    pub value: u64,
    pub exact: bool,
}

/// What a search looked at: files opened, and rows of which at least one column was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scanned {
    pub files: u64,
    pub rows: u64,
}

#[derive(Clone, Debug)]
pub struct Page {
    /// Events as `Event::to_json` writes them.
    pub events: Vec<serde_json::Value>,
    /// Present if more match.
    pub next_cursor: Option<String>,
    pub total: Total,
    pub scanned: Scanned,
}

/// The width of a histogram's buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// About a hundred buckets over the range asked for, or over what is stored.
    Auto,
    Secs(u32),
}

/// What a search answers beside its page, in the same pass.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    pub histogram: Option<Width>,
    /// Count the values of these, at most [`FIELDS_MAX`].
    pub fields: Vec<&'static Column>,
    /// Values shown of each.
    pub top: usize,
}

/// Counts of all matching events per bucket and level, oldest first, without empty buckets.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    pub bucket_secs: u32,
    pub buckets: Vec<(Timestamp, BySeverity)>,
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub page: Page,
    pub histogram: Option<Histogram>,
    pub fields: Vec<FieldValues>,
}

/// The values of one column among all matching events.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldValues {
    pub field: &'static str,
    /// Events that have a value.
    pub present: u64,
    /// Different values; an estimate when `error` is not 0.
    pub distinct: u64,
    /// Most frequent first.
    pub values: Vec<ValueCount>,
    /// No count is too small by more than this, and no value left out is more frequent. 0: all counts are exact.
    pub error: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ValueCount {
    pub value: serde_json::Value,
    pub count: u64,
}

/// What rows are counted by. A row without a value is counted under null; one with a list, once by element.
#[derive(Clone, Copy, Debug)]
pub enum Group {
    Time { secs: u32 },
    Column(&'static Column),
}

/// `Sum` and `Avg` take numbers, `Min` and `Max` numbers and times. Without any value: null.
#[derive(Clone, Copy, Debug)]
pub enum Metric {
    Count,
    Sum(&'static Column),
    Min(&'static Column),
    Max(&'static Column),
    Avg(&'static Column),
}

#[derive(Clone, Debug, Default)]
pub struct Aggregation {
    pub by: Vec<Group>,
    pub metrics: Vec<Metric>,
    /// The groups with the most events are answered.
    pub limit: usize,
}

#[derive(Clone, Debug)]
pub struct Aggregated {
    /// Names of the groups, then of the metrics: `time`, a column's path, `count`, `sum(http_response.length)`.
    pub columns: Vec<String>,
    /// By time if the first group is one, else most events first. Times as RFC 3339.
    pub rows: Vec<Vec<serde_json::Value>>,
    /// Groups in all, with those beyond the limit.
    pub groups: u64,
    pub scanned: Scanned,
}

/// Ends a search from another thread: it answers [`super::LakeError::Cancelled`].
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
