//! One pass over a snapshot: the tail and the row groups that may match, newest first, on a few threads.
//!
//! A pass finds a page, counts, and feeds a [`Collect`] all at once, so that a search with histogram and counted
//! fields reads each column once. Where only a page is asked for, it ends as soon as nothing older can enter it.

use super::LakeError;
use super::compiled::{Compiled, Tree};
use super::eval::eval;
use super::mask::Mask;
use super::page::{Found, Place};
use super::prune::{GroupFacts, bloom, pages, reduce};
use super::read::Opened;
use super::reading::Reading;
use super::request::{Cancel, Scanned, TOTAL_MAX, Total};
use super::schema::LAYOUT;
use super::unit::Unit;
use parking_lot::Mutex;
use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

/// Rows that are read only to count them, if nothing else needs them; a row whose prose is read counts eightfold.
const COUNT_ROWS_MAX: i64 = 2_000_000;
const PROSE_ROW_WEIGHT: i64 = 8;
/// Rows of a row group whose prose is read before asking whether the page is full.
const SEGMENT_ROWS: usize = 16_384;

/// When a search has to end.
pub(super) struct Clock {
    pub deadline: Instant,
    pub secs_max: u64,
    pub cancel: Cancel,
}

impl Clock {
    pub fn check(&self) -> Result<(), LakeError> {
        if self.cancel.is_cancelled() {
            return Err(LakeError::Cancelled);
        }
        if Instant::now() > self.deadline { Err(LakeError::Timeout { secs: self.secs_max }) } else { Ok(()) }
    }
}

/// Threads beyond the callers' own that all searches of a lake may use together.
pub(super) struct Helpers {
    free: AtomicUsize,
    processors: usize,
}

impl Helpers {
    /// As many as there are processors: a search uses all of them if it is alone, and a crowd of searches at most
    /// one thread each and these.
    pub fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self { free: AtomicUsize::new(processors), processors }
    }

    /// Takes one helper less than there are processors, as far as others left some.
    fn take(&self) -> usize {
        let taken = |free: usize| free.min(self.processors - 1);
        self.free.fetch_update(Relaxed, Relaxed, |free| Some(free - taken(free))).map_or(0, taken)
    }

    fn give_back(&self, helpers: usize) {
        self.free.fetch_add(helpers, Relaxed);
    }
}

/// What is made of the matching rows, beside a page of them.
pub(super) trait Collect: Send {
    /// Takes the matching rows of one unit.
    fn take(&mut self, unit: &mut Unit<'_>, hits: &Mask) -> Result<(), LakeError>;
    /// Adds what another thread took.
    fn merge(&mut self, other: Self) -> Result<(), LakeError>;
    /// Whether it wants any row at all.
    fn is_thorough(&self) -> bool;
}

/// For searches that want only a page.
pub(super) struct Nothing;

impl Collect for Nothing {
    fn take(&mut self, _: &mut Unit<'_>, _: &Mask) -> Result<(), LakeError> {
        Ok(())
    }

    fn merge(&mut self, _: Self) -> Result<(), LakeError> {
        Ok(())
    }

    fn is_thorough(&self) -> bool {
        false
    }
}

pub(super) struct Pass<'a> {
    reading: &'a Reading,
    compiled: &'a Compiled,
    found: Mutex<Found>,
    /// Every matching row is wanted, not only those of the page.
    thorough: bool,
    /// Whether the total is still exact.
    counting: AtomicBool,
    total: AtomicU64,
    rows_left: AtomicI64,
    plan: Mutex<Plan>,
    failed: Mutex<Option<LakeError>>,
    files_read: AtomicU64,
    rows_read: AtomicU64,
}

/// What is still to be looked at.
struct Plan {
    tail: VecDeque<usize>,
    files: VecDeque<usize>,
    /// Row groups of an opened file.
    groups: VecDeque<(usize, Arc<Opened>, usize)>,
}

enum Task {
    Tail(usize),
    Group(usize, Arc<Opened>, usize),
}

pub(super) struct Done {
    pub found: Found,
    pub total: Total,
    pub scanned: Scanned,
}

impl<'a> Pass<'a> {
    /// `counts`: whether to count beyond the page.
    pub fn new(reading: &'a Reading, compiled: &'a Compiled, found: Found, counts: bool) -> Self {
        let (tail, table) = (&reading.snapshot.tail, &reading.snapshot.table);
        let mut files: Vec<usize> = (0..table.len()).filter(|f| compiled.meets(table[*f].time_min, table[*f].time_max)).collect();
        files.sort_by_key(|f| Reverse(found.best(table[*f].time_min, table[*f].time_max)));
        let mut batches: Vec<usize> = (0..tail.len()).filter(|b| compiled.meets(tail[*b].time_min, tail[*b].time_max)).collect();
        batches.sort_by_key(|b| Reverse(found.best(tail[*b].time_min, tail[*b].time_max)));
        Self {
            reading,
            compiled,
            found: Mutex::new(found),
            thorough: false,
            counting: AtomicBool::new(counts),
            total: AtomicU64::new(0),
            rows_left: AtomicI64::new(COUNT_ROWS_MAX),
            plan: Mutex::new(Plan { tail: batches.into(), files: files.into(), groups: VecDeque::new() }),
            failed: Mutex::new(None),
            files_read: AtomicU64::new(0),
            rows_read: AtomicU64::new(0),
        }
    }

    /// Runs to the end. Each thread has a collector of its own, made by `collector`.
    pub fn run<C: Collect>(mut self, collector: impl Fn() -> C) -> Result<(Done, C), LakeError> {
        let mut collected = collector();
        self.thorough = collected.is_thorough();
        if self.thorough {
            self.counting = AtomicBool::new(true);
        }
        let helpers = self.reading.helpers().take();
        let others: Vec<C> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..helpers)
                .map(|_| {
                    let mut own = collector();
                    scope.spawn(|| {
                        self.work(&mut own);
                        own
                    })
                })
                .collect();
            self.work(&mut collected);
            let joined = threads.into_iter().map(|t| t.join().inspect_err(|_| self.fail(LakeError::Failed("a search thread panicked".into()))));
            joined.filter_map(Result::ok).collect()
        });
        self.reading.helpers().give_back(helpers);
        if let Some(error) = self.failed.into_inner() {
            return Err(error);
        }
        for other in others {
            collected.merge(other)?;
        }
        let done = Done {
            found: self.found.into_inner(),
            total: Total { value: self.total.into_inner(), exact: self.counting.into_inner() },
            scanned: Scanned { files: self.files_read.into_inner(), rows: self.rows_read.into_inner() },
        };
        Ok((done, collected))
    }

    fn fail(&self, error: LakeError) {
        self.failed.lock().get_or_insert(error);
    }

    fn work(&self, collector: &mut impl Collect) {
        loop {
            let task = match self.next() {
                Ok(Some(task)) => task,
                Ok(None) => return,
                Err(error) => return self.fail(error),
            };
            let done = match task {
                Task::Tail(batch) => self.tail(batch, collector),
                Task::Group(file, opened, group) => self.group(file, &opened, group, collector),
            };
            if let Err(error) = done {
                return self.fail(error);
            }
        }
    }

    fn next(&self) -> Result<Option<Task>, LakeError> {
        self.reading.clock.check()?;
        if self.failed.lock().is_some() {
            return Ok(None);
        }
        let mut plan = self.plan.lock();
        if let Some(batch) = plan.tail.pop_front() {
            return Ok(Some(Task::Tail(batch)));
        }
        loop {
            if let Some((file, opened, group)) = plan.groups.pop_front() {
                return Ok(Some(Task::Group(file, opened, group)));
            }
            let Some(f) = plan.files.pop_front() else { return Ok(None) };
            let file = &self.reading.snapshot.table[f];
            let tree = reduce(&self.compiled.tree, &**file);
            if !self.is_wanted(&tree, file.time_min, file.time_max, file.rows) {
                continue;
            }
            let opened = self.reading.open(file)?;
            self.files_read.fetch_add(1, Relaxed);
            let mut groups: Vec<usize> = (0..opened.groups()).collect();
            groups.sort_by_key(|g| {
                let (low, high) = opened.times(*g);
                Reverse(self.found.lock().best(low, high))
            });
            plan.groups.extend(groups.into_iter().map(|g| (f, opened.clone(), g)));
        }
    }

    /// Whether rows have to be looked at, given what is left of the expression. If not, they are counted here.
    fn is_wanted(&self, tree: &Tree, time_min: i64, time_max: i64, rows: u64) -> bool {
        if matches!(tree, Tree::None) {
            return false;
        }
        if self.thorough || self.found.lock().wants(time_min, time_max) {
            return true;
        }
        if matches!(tree, Tree::All) && self.counting.load(Relaxed) {
            self.total.fetch_add(rows, Relaxed);
            return false;
        }
        self.counting.load(Relaxed)
    }

    fn tail(&self, b: usize, collector: &mut impl Collect) -> Result<(), LakeError> {
        let batch = &self.reading.snapshot.tail[b];
        if !self.is_wanted(&self.compiled.tree, batch.time_min, batch.time_max, batch.rows.len as u64) {
            return Ok(());
        }
        let mut unit = Unit::tail(batch, &self.reading.clock);
        let all = Mask::full(unit.len);
        self.rows_read.fetch_add(unit.len as u64, Relaxed);
        let hits = eval(&self.compiled.tree, &mut unit, all)?;
        self.take(&mut unit, &hits, |row| Place::Tail(b, row), collector)
    }

    fn group(&self, f: usize, opened: &Opened, group: usize, collector: &mut impl Collect) -> Result<(), LakeError> {
        let facts = GroupFacts { opened, group };
        let tree = reduce(&self.compiled.tree, &facts);
        let (low, high) = opened.times(group);
        let rows = opened.group_rows(group);
        if !self.is_wanted(&tree, low, high, rows as u64) {
            return Ok(());
        }
        let tree = bloom(tree, &facts)?;
        let ranges = pages(&tree, &facts);
        if matches!(tree, Tree::None) || ranges.as_ref().is_some_and(Vec::is_empty) {
            return Ok(());
        }
        let for_page = self.thorough || self.found.lock().wants(low, high);
        let mut unit = Unit::group(opened, group, ranges, &self.reading.clock);
        if !for_page && !self.pay(unit.len, &tree) {
            return Ok(());
        }
        self.rows_read.fetch_add(unit.len as u64, Relaxed);
        let place = |row| Place::File(f, group, row);
        if self.thorough || self.counting.load(Relaxed) || !tree.reads_prose() {
            let all = Mask::full(unit.len);
            let hits = eval(&tree, &mut unit, all)?;
            return self.take(&mut unit, &hits, place, collector);
        }
        for segment in self.segments(&mut unit)? {
            let (low, high, rows) = segment;
            if self.found.lock().wants(low, high) {
                let hits = eval(&tree, &mut unit, rows)?;
                self.take(&mut unit, &hits, place, collector)?;
            }
        }
        Ok(())
    }

    /// The unit's rows in pieces with their least and greatest time, those first that may come first in the page.
    fn segments(&self, unit: &mut Unit<'_>) -> Result<Vec<(i64, i64, Mask)>, LakeError> {
        let mut segments = Vec::new();
        for start in (0..unit.len).step_by(SEGMENT_ROWS) {
            let rows = Mask::range(unit.len, start..(start + SEGMENT_ROWS).min(unit.len));
            let (mut low, mut high) = (i64::MAX, i64::MIN);
            unit.numbers(LAYOUT.time, &rows, &mut |_, time| (low, high) = (low.min(time), high.max(time)))?;
            segments.push((low, high, rows));
        }
        let found = self.found.lock();
        segments.sort_by_key(|(low, high, _)| Reverse(found.best(*low, *high)));
        Ok(segments)
    }

    /// Pays for rows that only the count needs; gives the count up, for good, when it gets too dear.
    fn pay(&self, rows: usize, tree: &Tree) -> bool {
        let price = rows as i64 * if tree.reads_prose() { PROSE_ROW_WEIGHT } else { 1 };
        let affordable = self.rows_left.fetch_sub(price, Relaxed) >= price && self.total.load(Relaxed) <= TOTAL_MAX;
        if !affordable {
            self.counting.store(false, Relaxed);
        }
        self.counting.load(Relaxed)
    }

    fn take(&self, unit: &mut Unit<'_>, hits: &Mask, place: impl Fn(u32) -> Place, collector: &mut impl Collect) -> Result<(), LakeError> {
        let count = hits.count();
        if count == 0 {
            return Ok(());
        }
        self.total.fetch_add(count as u64, Relaxed);
        Found::offer(&self.found, unit, hits, place)?;
        collector.take(unit, hits)
    }
}
