//! Searches over one snapshot of tail and table: pages, counts, histograms, scans.

use super::file::DataFile;
use super::filter::{Compiled, below};
use super::read::{Files, Opened, key_leaves, selection};
use super::rows::to_json;
use super::schema::{Key, LAYOUT, Rows};
use super::tail::Batch;
use super::{BySeverity, LakeError, Page, Query};
use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{Field, Schema};
use event::{Severity, Timestamp};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::Instant;

/// Most events of a page.
pub const LIMIT_MAX: usize = 10_000;
/// Matches are counted up to here …
pub const TOTAL_MAX: u64 = 100_000;
/// … and by reading at most this many rows beyond what the page needed; a row with text counts eight times.
const COUNT_ROWS_MAX: usize = 2_000_000;
const TEXT_ROW_WEIGHT: usize = 8;
/// Most buckets of a histogram.
const BUCKETS_MAX: usize = 10_000;
/// Rows whose raw text is held at once while searching it.
const TEXT_BATCH_ROWS: usize = 8_192;
const SCAN_BATCH_ROWS: usize = 8_192;

/// What a search sees: taken at once, so that a flush in between neither loses nor doubles a row.
#[derive(Clone)]
pub(super) struct Snapshot {
    pub tail: Vec<Arc<Batch>>,
    pub table: Arc<Vec<Arc<DataFile>>>,
}

/// Where a found row lies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Tail(usize, u32),
    File(usize, usize, u32),
}

pub(super) struct Search<'a> {
    pub snapshot: &'a Snapshot,
    pub files: &'a Files,
    pub deadline: Instant,
    pub secs_max: u64,
}

/// The newest `limit + 1` matches, and how many there are in all.
struct Found {
    limit: usize,
    before: Option<Key>,
    newest: BinaryHeap<Reverse<(Key, Place)>>,
    total: Option<u64>,
    rows_left: usize,
}

impl Found {
    fn full(&self) -> bool {
        self.newest.len() > self.limit
    }

    /// Whether a row as new as `time` could still enter the page.
    fn wants(&self, time: i64) -> bool {
        !self.full() || self.newest.peek().is_some_and(|Reverse((key, _))| key.time <= time)
    }

    fn add(&mut self, key: Key, place: Place) {
        if self.before.is_some_and(|b| key >= b) {
            return;
        }
        if self.full() {
            if self.newest.peek().is_some_and(|Reverse((least, _))| *least >= key) {
                return;
            }
            self.newest.pop();
        }
        self.newest.push(Reverse((key, place)));
    }

    fn count(&mut self, matches: u64) {
        self.total = self.total.map(|t| t + matches);
    }

    /// Pays for rows that only the count needs; gives the count up when it gets too dear.
    /// Without filters most of the count is file metadata, so large totals stay cheap.
    fn pay(&mut self, rows: usize, query: &Compiled) {
        let price = if query.text.is_some() { rows * TEXT_ROW_WEIGHT } else { rows };
        let many = !query.is_time_only() && self.total.is_some_and(|t| t > TOTAL_MAX);
        if price > self.rows_left || many {
            self.total = None;
        }
        self.rows_left = self.rows_left.saturating_sub(price);
    }
}

impl Search<'_> {
    pub fn page(&self, query: &Query, limit: usize) -> Result<(Page, Option<Key>), LakeError> {
        let compiled = Compiled::new(query)?;
        let cursor = query.cursor.as_deref().map(Cursor::parse).transpose()?;
        let mut found = Found {
            limit,
            before: cursor.as_ref().map(|c| c.before),
            newest: BinaryHeap::with_capacity(limit + 2),
            total: if cursor.is_none() { Some(0) } else { None },
            rows_left: COUNT_ROWS_MAX,
        };
        self.search_tail(&compiled, &mut found);
        self.search_files(&compiled, &mut found)?;
        let total = cursor.map_or(found.total, |c| c.total);
        let mut places: Vec<(Key, Place)> = found.newest.into_iter().map(|Reverse(p)| p).collect();
        places.sort_unstable_by(|a, b| b.cmp(a));
        let more = places.len() > limit;
        places.truncate(limit);
        let last = places.last().map(|(key, _)| *key).filter(|_| more);
        let next_cursor = last.map(|before| Cursor { before, total }.to_string());
        Ok((Page { events: self.fetch(&places)?, next_cursor, total }, last))
    }

    fn search_tail(&self, query: &Compiled, found: &mut Found) {
        for (b, batch) in self.snapshot.tail.iter().enumerate() {
            if batch.time_max < query.from || batch.time_min >= query.to {
                continue;
            }
            let mut selected = query.select(&batch.rows);
            query.select_text(&batch.rows, &mut selected);
            found.count(selected.len() as u64);
            for row in selected {
                found.add(batch.rows.key(row as usize), Place::Tail(b, row));
            }
        }
    }

    fn search_files(&self, query: &Compiled, found: &mut Found) -> Result<(), LakeError> {
        let table = &self.snapshot.table;
        let mut order: Vec<usize> = (0..table.len()).collect();
        order.sort_unstable_by_key(|f| Reverse(table[*f].time_max));
        for f in order {
            let file = &table[f];
            if file.time_max < query.from || file.time_min >= query.to {
                continue;
            }
            let newer = found.before.is_some_and(|b| file.time_min > b.time);
            let wanted = !newer && found.wants(file.time_max);
            if !wanted && found.total.is_none() {
                // With a cursor, files newer than it come first in this order; older ones may still follow.
                if newer { continue } else { break }
            }
            if !wanted && query.is_time_only() && file.time_min >= query.from && file.time_max < query.to {
                found.count(file.rows);
                continue;
            }
            self.search_file(query, f, found)?;
        }
        Ok(())
    }

    fn search_file(&self, query: &Compiled, f: usize, found: &mut Found) -> Result<(), LakeError> {
        let opened = self.files.get(&self.snapshot.table[f])?;
        let mut groups: Vec<usize> = (0..opened.groups()).collect();
        groups.sort_unstable_by_key(|g| Reverse(opened.times(*g).1));
        for group in groups {
            self.check_time()?;
            if !opened.may_match(group, query)? {
                continue;
            }
            let (low, high) = opened.times(group);
            let wanted = !found.before.is_some_and(|b| low > b.time) && found.wants(high);
            if !wanted {
                if found.total.is_none() {
                    continue;
                }
                if query.is_time_only() && low >= query.from && high < query.to {
                    found.count(opened.group_rows(group) as u64);
                    continue;
                }
                found.pay(opened.group_rows(group), query);
                if found.total.is_none() {
                    continue;
                }
            }
            self.search_group(query, &opened, (f, group), found)?;
        }
        Ok(())
    }

    fn search_group(&self, query: &Compiled, opened: &Opened, at: (usize, usize), found: &mut Found) -> Result<(), LakeError> {
        let (f, group) = at;
        let mut leaves = query.leaves();
        leaves.extend(key_leaves());
        let rows = opened.rows(group, &leaves, None)?;
        let mut selected = query.select(&rows);
        if query.text.is_none() {
            found.count(selected.len() as u64);
            below(&rows, found.before, &mut selected);
            for row in selected {
                found.add(rows.key(row as usize), Place::File(f, group, row));
            }
            return Ok(());
        }
        if found.total.is_none() {
            below(&rows, found.before, &mut selected);
        }
        // Newest rows first: the page may be full before the older half's text is decoded.
        for part in selected.rchunks(TEXT_BATCH_ROWS) {
            self.check_time()?;
            let newest = part.iter().map(|r| rows.times()[*r as usize]).max().unwrap_or(i64::MIN);
            if found.total.is_none() && !found.wants(newest) {
                break;
            }
            let mut hits: Vec<u32> = Vec::new();
            let texts = opened.rows(group, &[LAYOUT.raw], Some(selection(part, rows.len)))?;
            let mut inside: Vec<u32> = (0..texts.len as u32).collect();
            query.select_text(&texts, &mut inside);
            hits.extend(inside.into_iter().map(|i| part[i as usize]));
            found.count(hits.len() as u64);
            for row in hits {
                found.add(rows.key(row as usize), Place::File(f, group, row));
            }
        }
        Ok(())
    }

    fn check_time(&self) -> Result<(), LakeError> {
        if Instant::now() > self.deadline { Err(LakeError::Timeout { secs: self.secs_max }) } else { Ok(()) }
    }

    /// The full rows, in the order of `places`; each row group is read once.
    fn fetch(&self, places: &[(Key, Place)]) -> Result<Vec<serde_json::Value>, LakeError> {
        let mut events = vec![serde_json::Value::Null; places.len()];
        let mut by_group: BTreeMap<(usize, usize), Vec<(u32, usize)>> = BTreeMap::new();
        for (i, (_, place)) in places.iter().enumerate() {
            match place {
                Place::Tail(b, row) => events[i] = to_json(&self.snapshot.tail[*b].rows, *row as usize),
                Place::File(f, group, row) => by_group.entry((*f, *group)).or_default().push((*row, i)),
            }
        }
        let all: Vec<usize> = (0..LAYOUT.leaves.len()).collect();
        for ((f, group), mut wanted) in by_group {
            let opened = self.files.get(&self.snapshot.table[f])?;
            wanted.sort_unstable();
            let rows: Vec<u32> = wanted.iter().map(|(row, _)| *row).collect();
            let read = opened.rows(group, &all, Some(selection(&rows, opened.group_rows(group))))?;
            if read.len != wanted.len() {
                return Err(opened.damaged("rows are missing"));
            }
            for (at, (_, i)) in wanted.iter().enumerate() {
                events[*i] = to_json(&read, at);
            }
        }
        Ok(events)
    }

    /// Calls `visit` with matching rows of tail and table that have `leaves` filled in, in no order,
    /// until it answers false.
    fn visit(&self, query: &Compiled, leaves: &[usize], visit: &mut dyn FnMut(&Rows, &[u32]) -> bool) -> Result<(), LakeError> {
        for batch in &self.snapshot.tail {
            let mut selected = query.select(&batch.rows);
            query.select_text(&batch.rows, &mut selected);
            if !selected.is_empty() && !visit(&batch.rows, &selected) {
                return Ok(());
            }
        }
        let mut wanted = query.leaves();
        wanted.extend(leaves);
        wanted.push(LAYOUT.time);
        if query.text.is_some() {
            wanted.push(LAYOUT.raw);
        }
        let mut files: Vec<&Arc<DataFile>> =
            self.snapshot.table.iter().filter(|f| f.time_max >= query.from && f.time_min < query.to).collect();
        files.sort_unstable_by_key(|f| f.time_min);
        for file in files {
            let opened = self.files.get(file)?;
            for group in 0..opened.groups() {
                if !opened.may_match(group, query)? {
                    continue;
                }
                for rows in opened.batches(Some(group), &wanted, None, SCAN_BATCH_ROWS)? {
                    self.check_time()?;
                    let rows = rows?;
                    let mut selected = query.select(&rows);
                    query.select_text(&rows, &mut selected);
                    if !selected.is_empty() && !visit(&rows, &selected) {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    pub fn histogram(&self, query: &Query, bucket_secs: i64) -> Result<Vec<(Timestamp, BySeverity)>, LakeError> {
        if bucket_secs < 1 {
            return Err(LakeError::BadQuery("a bucket has at least one second".into()));
        }
        let compiled = Compiled::new(query)?;
        let mut buckets: BTreeMap<i64, [u64; 5]> = BTreeMap::new();
        let width = bucket_secs.saturating_mul(1_000_000);
        self.visit(&compiled, &[LAYOUT.severity], &mut |rows, selected| {
            let severities = rows.typed::<Int64Array>(LAYOUT.severity);
            let times = rows.times();
            let mut last: Option<(i64, [u64; 5])> = None;
            for row in selected {
                let row = *row as usize;
                let start = times[row].div_euclid(width);
                let level = severities.map_or(1, |s| s.value(row)).clamp(1, 5) as usize - 1;
                match &mut last {
                    Some((at, counts)) if *at == start => counts[level] += 1,
                    _ => {
                        merge(&mut buckets, last.take());
                        let mut counts = [0; 5];
                        counts[level] = 1;
                        last = Some((start, counts));
                    }
                }
            }
            merge(&mut buckets, last);
            buckets.len() <= BUCKETS_MAX
        })?;
        if buckets.len() > BUCKETS_MAX {
            return Err(LakeError::BadQuery(format!("more than {BUCKETS_MAX} buckets; make them wider")));
        }
        let named = |counts: [u64; 5]| Severity::ALL.into_iter().zip(counts).filter(|(_, n)| *n > 0).collect();
        Ok(buckets.into_iter().map(|(start, counts)| (Timestamp(start.saturating_mul(width)), named(counts))).collect())
    }

    pub fn scan(&self, columns: &[&str], from: Timestamp, to: Timestamp, visit: &mut dyn FnMut(&RecordBatch) -> bool) -> Result<(), LakeError> {
        let leaves: Vec<usize> = columns
            .iter()
            .map(|c| LAYOUT.leaf(c).ok_or_else(|| LakeError::BadQuery(format!("there is no column {c}"))))
            .collect::<Result<_, _>>()?;
        let fields: Vec<Field> =
            leaves.iter().map(|l| Field::new(LAYOUT.leaves[*l].path, LAYOUT.leaves[*l].data_type.clone(), true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let query = Compiled::new(&Query { from: Some(from), to: Some(to), ..Query::default() })?;
        let mut failed = None;
        self.visit(&query, &leaves, &mut |rows, selected| {
            let picked = arrow_array::UInt32Array::from(selected.to_vec());
            let arrays = leaves.iter().map(|l| {
                let array = rows.array(*l);
                if selected.len() == rows.len { Ok(array) } else { arrow_select::take::take(&array, &picked, None) }
            });
            match arrays.collect::<Result<Vec<_>, _>>().and_then(|a| RecordBatch::try_new(schema.clone(), a)) {
                Ok(batch) => visit(&batch),
                Err(error) => {
                    failed = Some(error);
                    false
                }
            }
        })?;
        failed.map_or(Ok(()), |e| Err(e.into()))
    }
}

fn merge(buckets: &mut BTreeMap<i64, [u64; 5]>, counted: Option<(i64, [u64; 5])>) {
    if let Some((start, counts)) = counted {
        let bucket = buckets.entry(start).or_default();
        for (sum, count) in bucket.iter_mut().zip(counts) {
            *sum += count;
        }
    }
}

/// Where the next page begins, and the total that the first page counted.
struct Cursor {
    before: Key,
    total: Option<u64>,
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.before.time, self.before.offset, self.before.index)?;
        self.total.map_or(Ok(()), |t| write!(f, ".{t}"))
    }
}

impl Cursor {
    fn parse(text: &str) -> Result<Self, LakeError> {
        let mut parts = text.split('.');
        let mut number = || parts.next()?.parse::<i64>().ok();
        let key = (|| Some(Key { time: number()?, offset: number()?, index: i32::try_from(number()?).ok()? }))();
        let before = key.ok_or(LakeError::BadCursor)?;
        let total = parts.next().map(|t| t.parse().map_err(|_| LakeError::BadCursor)).transpose()?;
        if parts.next().is_some() { Err(LakeError::BadCursor) } else { Ok(Self { before, total }) }
    }
}
