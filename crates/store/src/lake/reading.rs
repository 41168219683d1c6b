//! Questions about one moment: tail and table are taken together, so that a flush in between neither loses nor
//! doubles a row, and all answers of one [`Reading`] are about the same events.

use super::aggregate::Table;
use super::compiled::Compiled;
use super::file::DataFile;
use super::histogram::{self, Counter};
use super::mask::Mask;
use super::page::{Cursor, Found, Order, fetch};
use super::pass::{Clock, Collect, Done, Helpers, Nothing, Pass};
use super::read::Opened;
use super::request::{
    AROUND_MAX, Aggregated, Aggregation, Answer, BySeverity, Cancel, Extras, FIELDS_MAX, FieldValues, Histogram, LIMIT_MAX, Page, Query, Width,
};
use super::schema::Key;
use super::tail::Batch;
use super::tally::Field;
use super::unit::Unit;
use super::{LakeError, Shared};
use ahash::RandomState;
use event::{Column, Timestamp};
use query::{Expr, Test, Value};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Events that `export` holds at once.
const EXPORT_PAGE: usize = 5_000;

/// What a search sees.
#[derive(Clone)]
pub(super) struct Snapshot {
    pub tail: Vec<Arc<Batch>>,
    pub table: Arc<Vec<Arc<DataFile>>>,
}

/// A snapshot, and when the questions about it must be answered. Files taken out of the table meanwhile stay readable.
pub struct Reading {
    pub(super) snapshot: Snapshot,
    pub(super) clock: Clock,
    shared: Arc<Shared>,
}

/// Histogram and fields of one pass.
struct Both {
    histogram: Option<Counter>,
    fields: Vec<Field>,
}

impl Collect for Both {
    fn take(&mut self, unit: &mut Unit<'_>, hits: &Mask) -> Result<(), LakeError> {
        if let Some(histogram) = &mut self.histogram {
            histogram.take(unit, hits)?;
        }
        self.fields.iter_mut().try_for_each(|field| field.take(unit, hits))
    }

    fn merge(&mut self, other: Self) -> Result<(), LakeError> {
        if let (Some(ours), Some(theirs)) = (&mut self.histogram, other.histogram) {
            ours.merge(theirs)?;
        }
        self.fields.iter_mut().zip(other.fields).try_for_each(|(ours, theirs)| ours.merge(theirs))
    }

    fn is_thorough(&self) -> bool {
        self.histogram.is_some() || !self.fields.is_empty()
    }
}

impl Reading {
    pub(super) fn new(shared: Arc<Shared>, snapshot: Snapshot, secs_max: u64) -> Self {
        let clock = Clock { deadline: Instant::now() + Duration::from_secs(secs_max), secs_max, cancel: Cancel::default() };
        Self { snapshot, clock, shared }
    }

    /// Ends with an error once this is cancelled.
    pub fn cancelled_by(mut self, cancel: Cancel) -> Self {
        self.clock.cancel = cancel;
        self
    }

    /// Has so many seconds from now on.
    pub fn within(mut self, secs: u64) -> Self {
        self.clock.secs_max = secs;
        self.clock.deadline = Instant::now() + Duration::from_secs(secs);
        self
    }

    pub(super) fn open(&self, file: &DataFile) -> Result<Arc<Opened>, LakeError> {
        self.shared.files.get(file)
    }

    pub(super) fn helpers(&self) -> &Helpers {
        &self.shared.helpers
    }

    /// A page of matching events, newest first. Matches beyond it are counted while that is cheap.
    pub fn query(&self, query: &Query) -> Result<Page, LakeError> {
        let compiled = Compiled::new(query)?;
        Ok(self.page(&compiled, query, || Nothing)?.0)
    }

    /// A page, the histogram and the values of columns, in one pass over the data; the total is exact if one of the
    /// latter is asked for.
    pub fn search(&self, query: &Query, extras: &Extras) -> Result<Answer, LakeError> {
        if extras.fields.len() > FIELDS_MAX {
            return Err(LakeError::BadQuery(format!("more than {FIELDS_MAX} fields")));
        }
        let compiled = Compiled::new(query)?;
        let width = match extras.histogram {
            Some(Width::Secs(secs)) => Some(secs),
            Some(Width::Auto) => Some(self.width(query, &compiled)),
            None => None,
        };
        width.map(Counter::new).transpose()?;
        let hasher = RandomState::new();
        let fields = |column: &&'static Column| Field::new(column, &hasher).ok();
        for column in &extras.fields {
            Field::new(column, &hasher)?;
        }
        let collector = || Both { histogram: width.and_then(|w| Counter::new(w).ok()), fields: extras.fields.iter().filter_map(fields).collect() };
        let (page, both) = self.page(&compiled, query, collector)?;
        Ok(Answer {
            page,
            histogram: both.histogram.map(Counter::finish),
            fields: both.fields.into_iter().map(|field| field.finish(extras.top)).collect(),
        })
    }

    fn page<C: Collect>(&self, compiled: &Compiled, query: &Query, collector: impl Fn() -> C) -> Result<(Page, C), LakeError> {
        let limit = query.limit.min(LIMIT_MAX);
        let cursor = query.cursor.as_deref().map(Cursor::parse).transpose()?;
        let found = Found::new(Order::Newest, limit, cursor.as_ref().map(|c| c.before));
        let (done, collected) = Pass::new(self, compiled, found, cursor.is_none()).run(collector)?;
        let Done { found, total, scanned } = done;
        // A later page repeats what the first one counted, unless it had to count anyway.
        let total = cursor.map(|c| c.total).filter(|_| !collected.is_thorough()).unwrap_or(total);
        let (rows, more) = fetch(self, found)?;
        let last = rows.last().map(|(key, _)| *key).filter(|_| more);
        let next_cursor = last.map(|before| Cursor { before, total }.to_string());
        Ok((Page { events: rows.into_iter().map(|(_, event)| event).collect(), next_cursor, total, scanned }, collected))
    }

    /// The width of an automatic histogram: of the range asked for, as far as there are days with events in it.
    fn width(&self, query: &Query, compiled: &Compiled) -> u32 {
        let table = self.snapshot.table.iter().map(|f| f.day);
        let now = super::now();
        let (from, to) = (query.from.map_or(compiled.from, |t| t.0.max(compiled.from)), compiled.last);
        let first_day = table.clone().min().unwrap_or(now.0.div_euclid(super::schema::DAY_MICROS));
        let last_day = table.max().unwrap_or(first_day).max(now.0.div_euclid(super::schema::DAY_MICROS));
        let (first, last) = histogram::days(first_day, last_day);
        histogram::auto_width(from.max(first), to.min(last))
    }

    /// True counts of all matching events per bucket and level, whatever the limit; empty buckets are left out,
    /// oldest first.
    pub fn histogram(&self, query: &Query, bucket_secs: u32) -> Result<Vec<(Timestamp, BySeverity)>, LakeError> {
        let extras = Extras { histogram: Some(Width::Secs(bucket_secs)), ..Extras::default() };
        let answer = self.search(&Query { limit: 0, cursor: None, ..query.clone() }, &extras)?;
        Ok(answer.histogram.map(|h: Histogram| h.buckets).unwrap_or_default())
    }

    /// The values of columns among all matching events, the most frequent first.
    pub fn top_values(&self, query: &Query, columns: &[&'static Column], top: usize) -> Result<Vec<FieldValues>, LakeError> {
        let extras = Extras { histogram: None, fields: columns.to_vec(), top };
        Ok(self.search(&Query { limit: 0, cursor: None, ..query.clone() }, &extras)?.fields)
    }

    /// Counts and sums of all matching events.
    pub fn aggregate(&self, query: &Query, asked: &Aggregation) -> Result<Aggregated, LakeError> {
        let compiled = Compiled::new(query)?;
        Table::new(asked)?;
        let table = || Table::new(asked).expect("it was made above");
        let (done, table) = Pass::new(self, &compiled, Found::nothing(), true).run(table)?;
        let columns = table.columns();
        let (rows, groups) = table.finish(asked.limit);
        Ok(Aggregated { columns, rows, groups, scanned: done.scanned })
    }

    /// The event with this id, if there is one.
    pub fn event(&self, uid: &str) -> Result<Option<serde_json::Value>, LakeError> {
        Ok(self.keyed(uid)?.map(|(_, event)| event))
    }

    fn keyed(&self, uid: &str) -> Result<Option<(Key, serde_json::Value)>, LakeError> {
        Ok(self.first(equals("metadata.uid", uid)?, Order::Newest, 1, None)?.pop())
    }

    /// The first events in an order, beyond a key.
    fn first(&self, expr: Expr, order: Order, limit: usize, beyond: Option<Key>) -> Result<Vec<(Key, serde_json::Value)>, LakeError> {
        let compiled = Compiled::new(&Query { expr, ..Query::default() })?;
        let (done, _) = Pass::new(self, &compiled, Found::new(order, limit, beyond), false).run(|| Nothing)?;
        Ok(fetch(self, done.found)?.0)
    }

    /// The events of the same source around one, by time and place in the log, oldest first, itself among them.
    /// Empty if there is no such event.
    pub fn around(&self, uid: &str, before: usize, after: usize) -> Result<Vec<serde_json::Value>, LakeError> {
        let Some((key, event)) = self.keyed(uid)? else { return Ok(Vec::new()) };
        let source = event["metadata"]["log_name"].as_str().unwrap_or_default();
        let mut events = self.first(equals("metadata.log_name", source)?, Order::Newest, before.min(AROUND_MAX), Some(key))?;
        events.reverse();
        let later = self.first(equals("metadata.log_name", source)?, Order::Oldest, after.min(AROUND_MAX), Some(key))?;
        let all = events.into_iter().map(|(_, event)| event);
        Ok(all.chain(std::iter::once(event)).chain(later.into_iter().map(|(_, event)| event)).collect())
    }

    /// All matching events, newest first, until `visit` answers false. Limit and cursor do not count. Each
    /// 5,000 events have the deadline for themselves.
    pub fn export(mut self, query: &Query, visit: &mut dyn FnMut(serde_json::Value) -> bool) -> Result<(), LakeError> {
        let mut query = Query { cursor: None, limit: EXPORT_PAGE, ..query.clone() };
        let secs = self.clock.secs_max;
        loop {
            self = self.within(secs);
            let compiled = Compiled::new(&query)?;
            let page = self.page(&compiled, &query, || Nothing)?.0;
            for event in page.events {
                if !visit(event) {
                    return Ok(());
                }
            }
            query.cursor = page.next_cursor;
            if query.cursor.is_none() {
                return Ok(());
            }
        }
    }
}

fn equals(path: &str, value: &str) -> Result<Expr, LakeError> {
    let column = event::column(path).ok_or_else(|| LakeError::BadQuery(format!("there is no column {path}")))?;
    Ok(Expr::Field(column, Test::OneOf(vec![Value::Text(value.to_owned())])))
}
