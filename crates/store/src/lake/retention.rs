//! Retention: what is too old or too much goes, by source.
//!
//! Whole files go where all of their rows do; otherwise a file is written anew without the rows of a source.
//! Each step is one commit, so a kill costs the work of one file. Sizes are of Parquet on disk; a source's
//! part of a file is taken by its part of the rows.

use super::delta::Changes;
use super::file::{DataFile, FileWriter};
use super::schema::{DAY_MICROS, LAYOUT, Rows, day_text};
use super::tail::gather;
use super::{LakeError, Shared, Step};
use arrow_array::{Array, StringArray};
use event::Timestamp;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Rows copied at once.
const PIECE_ROWS: usize = 8_192;

/// What is kept beyond the number of days that holds for everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Above this size of the table the oldest files go.
    pub bytes_max: Option<u64>,
    /// By the source's name.
    pub sources: BTreeMap<String, SourceRetention>,
}

/// What holds for one source instead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceRetention {
    pub days: Option<u32>,
    /// Above this the source's oldest events go.
    pub bytes_max: Option<u64>,
}

impl Retention {
    pub(super) fn by_source(&self) -> bool {
        self.sources.values().any(|s| s.days.is_some())
    }

    /// The days that a source's events are kept.
    pub(super) fn days(&self, source: &str, days: u32) -> u32 {
        self.sources.get(source).and_then(|s| s.days).unwrap_or(days)
    }
}

/// Why events were deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeletedFor {
    Age,
    Size,
}

/// Events that retention has deleted, since it was asked last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// `None` is whole files of any source.
    pub source: Option<String>,
    pub why: DeletedFor,
    pub rows: u64,
    /// Of Parquet; by their part of the rows where files were written anew.
    pub bytes: u64,
    /// The youngest day that lost events, as `2026-11-20`.
    pub until_day: String,
}

#[derive(Default)]
pub(super) struct Ledger {
    deleted: BTreeMap<(Option<String>, DeletedFor), Deleted>,
    pub rows_for_age: u64,
    pub rows_for_size: u64,
}

impl Ledger {
    fn add(&mut self, source: Option<&str>, why: DeletedFor, day: i64, rows: u64, bytes: u64) {
        match why {
            DeletedFor::Age => self.rows_for_age += rows,
            DeletedFor::Size => self.rows_for_size += rows,
        }
        let source = source.map(str::to_owned);
        let day = day_text(day);
        let entry = self.deleted.entry((source.clone(), why)).or_insert_with(|| Deleted { source, why, rows: 0, bytes: 0, until_day: day.clone() });
        entry.rows += rows;
        entry.bytes += bytes;
        entry.until_day = entry.until_day.clone().max(day);
    }

    pub fn take(&mut self) -> Vec<Deleted> {
        std::mem::take(&mut self.deleted).into_values().collect()
    }
}

/// Rows of a file by source: of the sources that are configured, and of all others together.
pub(super) struct Shares {
    sources: BTreeMap<String, u64>,
    others: u64,
}

/// Counted once a file, while the table has it.
pub(super) type KnownShares = HashMap<String, Arc<Shares>>;

/// What is to be deleted of a file.
struct Cut {
    file: Arc<DataFile>,
    sources: BTreeSet<String>,
    /// The rows of sources that are not configured.
    others: bool,
    why: DeletedFor,
}

impl Shared {
    /// Deletes what is beyond its retention. Answers the files taken out whole and those written anew.
    pub(super) fn expire(&self, now: Timestamp) -> Result<(usize, usize), LakeError> {
        let today = now.0.div_euclid(DAY_MICROS);
        let mut whole = self.drop_old_days(today)?;
        let mut rewritten = 0;
        if !self.config.retention.sources.is_empty() {
            self.forget_shares();
            let mut cuts = self.too_old(today)?;
            let named: BTreeSet<String> = cuts.iter().map(|c| c.file.path.clone()).collect();
            cuts.extend(self.too_large()?.into_iter().filter(|c| !named.contains(&c.file.path)));
            for cut in cuts {
                if self.stopping() {
                    break;
                }
                match self.cut(&cut)? {
                    true => whole += 1,
                    false => rewritten += 1,
                }
            }
        }
        whole += self.drop_oldest_files()?;
        Ok((whole, rewritten))
    }

    /// Days that no source keeps: no file need be read.
    fn drop_old_days(&self, today: i64) -> Result<usize, LakeError> {
        let days = self.config.retention_days;
        let longest = self.config.retention.sources.values().filter_map(|s| s.days).max().unwrap_or(0).max(days);
        let table = self.state.lock().table.clone();
        let gone = table.iter().filter(|f| f.day < today - i64::from(longest)).cloned().collect();
        self.drop_files(gone, DeletedFor::Age)
    }

    fn drop_oldest_files(&self) -> Result<usize, LakeError> {
        let Some(bytes_max) = self.config.retention.bytes_max else { return Ok(0) };
        let table = self.state.lock().table.clone();
        let mut bytes: u64 = table.iter().map(|f| f.bytes).sum();
        let mut oldest: Vec<_> = table.iter().cloned().collect();
        oldest.sort_by_key(|f| (f.day, f.time_max));
        let mut gone = Vec::new();
        for file in oldest {
            if bytes <= bytes_max {
                break;
            }
            bytes -= file.bytes;
            gone.push(file);
        }
        self.drop_files(gone, DeletedFor::Size)
    }

    fn drop_files(&self, gone: Vec<Arc<DataFile>>, why: DeletedFor) -> Result<usize, LakeError> {
        if gone.is_empty() {
            return Ok(0);
        }
        let removes = gone.iter().map(|f| (**f).clone()).collect();
        self.commit(Changes { removes, data_change: true, operation: "DELETE", ..Changes::default() }, None)?;
        let mut ledger = self.ledger.lock();
        gone.iter().for_each(|f| ledger.add(None, why, f.day, f.rows, f.bytes));
        Ok(gone.len())
    }

    /// Files with rows of sources whose days are over.
    fn too_old(&self, today: i64) -> Result<Vec<Cut>, LakeError> {
        let (retention, days) = (&self.config.retention, self.config.retention_days);
        if !retention.by_source() {
            return Ok(Vec::new());
        }
        let shortest = retention.sources.values().filter_map(|s| s.days).min().unwrap_or(days).min(days);
        let over = |file: &DataFile, days: u32| file.day < today - i64::from(days);
        let table = self.state.lock().table.clone();
        let mut cuts = Vec::new();
        for file in table.iter().filter(|f| over(f, shortest)) {
            let shares = self.shares(file)?;
            let sources = shares.sources.keys().filter(|s| over(file, retention.days(s, days))).cloned().collect();
            cuts.push(Cut { file: file.clone(), sources, others: shares.others > 0 && over(file, days), why: DeletedFor::Age });
        }
        cuts.retain(|c| c.others || !c.sources.is_empty());
        Ok(cuts)
    }

    /// Files with rows of sources that have more than their size in newer ones.
    fn too_large(&self) -> Result<Vec<Cut>, LakeError> {
        let limits: BTreeMap<&String, u64> =
            self.config.retention.sources.iter().filter_map(|(name, s)| Some((name, s.bytes_max?))).collect();
        if limits.is_empty() {
            return Ok(Vec::new());
        }
        let table = self.state.lock().table.clone();
        let mut newest: Vec<_> = table.iter().cloned().collect();
        newest.sort_by_key(|f| Reverse((f.day, f.time_max)));
        let mut seen: BTreeMap<&String, u64> = BTreeMap::new();
        let mut cuts = Vec::new();
        for file in newest {
            let shares = self.shares(&file)?;
            let mut sources = BTreeSet::new();
            for (name, bytes_max) in &limits {
                let Some(rows) = shares.sources.get(*name) else { continue };
                let newer = seen.entry(name).or_default();
                if *newer >= *bytes_max {
                    sources.insert((*name).clone());
                }
                *newer += part(file.bytes, *rows, file.rows);
            }
            if !sources.is_empty() {
                cuts.push(Cut { file, sources, others: false, why: DeletedFor::Size });
            }
        }
        Ok(cuts)
    }

    /// One commit. Whether the whole file went.
    fn cut(&self, cut: &Cut) -> Result<bool, LakeError> {
        let file = &cut.file;
        let shares = self.shares(file)?;
        let gone: Vec<(Option<&str>, u64)> = shares
            .sources
            .iter()
            .filter(|(name, _)| cut.sources.contains(*name))
            .map(|(name, rows)| (Some(name.as_str()), *rows))
            .chain(cut.others.then_some((None, shares.others)))
            .collect();
        let rows: u64 = gone.iter().map(|(_, rows)| rows).sum();
        let removes = vec![(**file).clone()];
        let adds = if rows >= file.rows { Vec::new() } else { vec![self.rewrite(cut, file.rows - rows)?] };
        let whole = adds.is_empty();
        self.commit(Changes { adds, removes, data_change: true, operation: "DELETE", ..Changes::default() }, None)?;
        let mut ledger = self.ledger.lock();
        for (source, rows) in gone {
            ledger.add(source, cut.why, file.day, rows, part(file.bytes, rows, file.rows));
        }
        Ok(whole)
    }

    /// The file without what is cut, uploaded or synced.
    fn rewrite(&self, cut: &Cut, rows: u64) -> Result<DataFile, LakeError> {
        let all: Vec<usize> = (0..LAYOUT.leaves.len()).collect();
        let opened = self.files.open_new(&cut.file)?;
        let mut writer = FileWriter::create(self.home.scratch(), cut.file.day, rows as usize)?;
        for batch in opened.batches(None, &all, None, PIECE_ROWS)? {
            let batch = batch?;
            let kept: Vec<(usize, usize)> = (0..batch.len).filter(|row| !self.is_cut(cut, source(&batch, *row))).map(|row| (0, row)).collect();
            writer.write(&gather(&[&batch], &kept)?)?;
        }
        let written = writer.finish()?;
        if written.rows != rows {
            self.discard(std::slice::from_ref(&written));
            return Err(opened.damaged(format!("{} rows are left of it where {rows} were counted", written.rows)));
        }
        self.publish(std::slice::from_ref(&written), Step::Merged)?;
        Ok(written)
    }

    fn is_cut(&self, cut: &Cut, source: &str) -> bool {
        if self.config.retention.sources.contains_key(source) { cut.sources.contains(source) } else { cut.others }
    }

    fn shares(&self, file: &DataFile) -> Result<Arc<Shares>, LakeError> {
        if let Some(known) = self.shares.lock().get(&file.path) {
            return Ok(known.clone());
        }
        let mut shares = Shares { sources: BTreeMap::new(), others: 0 };
        for batch in self.files.open_new(file)?.batches(None, &[LAYOUT.source], None, PIECE_ROWS)? {
            let batch = batch?;
            for row in 0..batch.len {
                match self.config.retention.sources.get_key_value(source(&batch, row)) {
                    Some((name, _)) => *shares.sources.entry(name.clone()).or_default() += 1,
                    None => shares.others += 1,
                }
            }
        }
        let shares = Arc::new(shares);
        self.shares.lock().insert(file.path.clone(), shares.clone());
        Ok(shares)
    }

    fn forget_shares(&self) {
        let table = self.state.lock().table.clone();
        let here: std::collections::HashSet<&str> = table.iter().map(|f| f.path.as_str()).collect();
        self.shares.lock().retain(|path, _| here.contains(path.as_str()));
    }
}

/// The source of a row; a row without one has the empty name.
pub(super) fn source(rows: &Rows, row: usize) -> &str {
    rows.typed::<StringArray>(LAYOUT.source).filter(|a| a.is_valid(row)).map_or("", |a| a.value(row))
}

fn part(bytes: u64, rows: u64, of: u64) -> u64 {
    (u128::from(bytes) * u128::from(rows) / u128::from(of.max(1))) as u64
}
