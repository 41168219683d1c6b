//! The page of a search: which rows are first in its order, where the next page begins, and the full rows.

use super::LakeError;
use super::mask::Mask;
use super::read::selection;
use super::reading::Reading;
use super::request::Total;
use super::rows::to_json;
use super::schema::{Key, LAYOUT};
use super::unit::Unit;
use parking_lot::Mutex;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Bytes of full rows of one page. A page of larger rows ends earlier.
const PAGE_BYTES_MAX: usize = 256 << 20;
/// Full rows, and bytes of raw text, that are decoded at once.
const FETCH_ROWS: usize = 2_048;
const FETCH_BYTES: u64 = 64 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Newest,
    Oldest,
}

impl Order {
    /// A key that is greater the earlier its row comes; the same again leads back.
    fn rank(self, key: Key) -> Key {
        match self {
            Self::Newest => key,
            // The complement turns the order around without an overflow.
            Self::Oldest => Key { time: !key.time, offset: !key.offset, index: !key.index },
        }
    }
}

/// Where a found row lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// Batch, row.
    Tail(usize, u32),
    /// File, row group, row.
    File(usize, usize, u32),
}

/// The first `limit` rows beyond a key, and one more that tells whether there are more.
pub(super) struct Found {
    order: Order,
    limit: usize,
    /// A rank: rows of it and above are on earlier pages.
    beyond: Option<Key>,
    /// Ranks, the least on top.
    first: BinaryHeap<Reverse<(Key, Place)>>,
}

impl Found {
    pub fn new(order: Order, limit: usize, beyond: Option<Key>) -> Self {
        Self { order, limit, beyond: beyond.map(|key| order.rank(key)), first: BinaryHeap::new() }
    }

    /// For searches without a page.
    pub fn nothing() -> Self {
        Self::new(Order::Newest, 0, None)
    }

    /// How early rows between these times may come: files and row groups are read by it, greatest first.
    pub fn best(&self, time_min: i64, time_max: i64) -> i64 {
        if self.order == Order::Newest { time_max } else { !time_min }
    }

    /// Whether a row between these times could still enter the page.
    pub fn wants(&self, time_min: i64, time_max: i64) -> bool {
        let (best, worst) = if self.order == Order::Newest { (time_max, time_min) } else { (!time_min, !time_max) };
        self.limit > 0 && self.beyond.is_none_or(|b| worst <= b.time) && self.least().is_none_or(|least| best >= least)
    }

    /// What the time's rank must reach; `None` while there is room.
    fn least(&self) -> Option<i64> {
        if self.first.len() <= self.limit { None } else { self.first.peek().map(|Reverse((rank, _))| rank.time) }
    }

    fn add(&mut self, rank: Key, place: Place) {
        if self.beyond.is_some_and(|b| rank >= b) {
            return;
        }
        self.first.push(Reverse((rank, place)));
        if self.first.len() > self.limit + 1 {
            self.first.pop();
        }
    }

    /// Takes those of a unit's matching rows that come first.
    pub fn offer(found: &Mutex<Self>, unit: &mut Unit<'_>, hits: &Mask, place: impl Fn(u32) -> Place) -> Result<(), LakeError> {
        let (order, limit, least, most) = {
            let found = found.lock();
            (found.order, found.limit, found.least().unwrap_or(i64::MIN), found.beyond.map_or(i64::MAX, |b| b.time))
        };
        if limit == 0 {
            return Ok(());
        }
        let mut times: Vec<(i64, u32)> = Vec::new();
        unit.numbers(LAYOUT.time, hits, &mut |row, time| {
            let rank = if order == Order::Newest { time } else { !time };
            if (least..=most).contains(&rank) {
                times.push((rank, row));
            }
        })?;
        // Rows that share the last time of the page before may be on it, and are all looked at.
        let shared = shared_first(&mut times, most);
        if times.len() - shared > limit + 1 {
            let rest = &mut times[shared..];
            rest.select_nth_unstable_by_key(limit, |(rank, _)| Reverse(*rank));
            let cut = rest[limit].0;
            times.retain(|(rank, _)| *rank >= cut);
        }
        if times.is_empty() {
            return Ok(());
        }
        times.sort_unstable_by_key(|(_, row)| *row);
        let mut mask = Mask::none(hits.len());
        times.iter().for_each(|(_, row)| mask.set(*row as usize));
        let (mut offsets, mut indices) = (Vec::with_capacity(times.len()), Vec::with_capacity(times.len()));
        unit.numbers(LAYOUT.offset, &mask, &mut |_, offset| offsets.push(offset))?;
        unit.numbers(LAYOUT.index, &mask, &mut |_, index| indices.push(index as i32))?;
        if offsets.len() != times.len() || indices.len() != times.len() {
            return Err(LakeError::Failed("rows without a position in the log".into()));
        }
        let rows: Vec<u32> = times.iter().map(|(_, row)| *row).collect();
        let places = unit.places(&rows);
        let mut found = found.lock();
        for (i, at) in places.into_iter().enumerate() {
            let time = if order == Order::Newest { times[i].0 } else { !times[i].0 };
            let key = Key { time, offset: offsets[i], index: indices[i] };
            found.add(order.rank(key), place(at));
        }
        Ok(())
    }

    /// The rows in order, and whether there are more.
    fn finish(self) -> (Vec<(Key, Place)>, bool) {
        let (order, limit) = (self.order, self.limit);
        let mut rows: Vec<(Key, Place)> = self.first.into_iter().map(|Reverse(row)| row).collect();
        rows.sort_unstable_by(|a, b| b.cmp(a));
        let more = rows.len() > limit;
        rows.truncate(limit);
        (rows.into_iter().map(|(rank, place)| (order.rank(rank), place)).collect(), more)
    }
}

/// Puts the rows of this rank in front; answers how many there are.
fn shared_first(times: &mut [(i64, u32)], rank: i64) -> usize {
    let mut shared = 0;
    for i in 0..times.len() {
        if times[i].0 == rank {
            times.swap(i, shared);
            shared += 1;
        }
    }
    shared
}

/// The events of a page with their keys, in order, and whether there are more.
pub(super) fn fetch(reading: &Reading, found: Found) -> Result<(Vec<(Key, serde_json::Value)>, bool), LakeError> {
    let (rows, mut more) = found.finish();
    let mut events: Vec<Option<serde_json::Value>> = vec![None; rows.len()];
    let mut by_group: BTreeMap<(usize, usize), Vec<(u32, usize)>> = BTreeMap::new();
    for (i, (_, place)) in rows.iter().enumerate() {
        match place {
            Place::Tail(b, row) => events[i] = Some(to_json(&reading.snapshot.tail[*b].rows, *row as usize)),
            Place::File(f, group, row) => by_group.entry((*f, *group)).or_default().push((*row, i)),
        }
    }
    // The group with the first row first, so that what a budget leaves out is at the end.
    let mut groups: Vec<_> = by_group.into_iter().collect();
    groups.sort_unstable_by_key(|(_, wanted)| wanted.iter().map(|(_, i)| *i).min());
    let all: Vec<usize> = (0..LAYOUT.leaves.len()).collect();
    let mut bytes = 0;
    for ((f, group), wanted) in groups {
        let opened = reading.open(&reading.snapshot.table[f])?;
        let at_once = (FETCH_BYTES / opened.bytes_a_row(group, LAYOUT.raw).max(1)).clamp(1, FETCH_ROWS as u64) as usize;
        // `wanted` is in the order of the page.
        for part in wanted.chunks(at_once) {
            reading.clock.check()?;
            if bytes > PAGE_BYTES_MAX {
                break;
            }
            let mut part = part.to_vec();
            part.sort_unstable();
            let places: Vec<u32> = part.iter().map(|(row, _)| *row).collect();
            let read = opened.rows(group, &all, Some(selection(&places, opened.group_rows(group))))?;
            if read.len != part.len() {
                return Err(opened.damaged("rows are missing"));
            }
            bytes += read.bytes();
            for (at, (_, i)) in part.iter().enumerate() {
                events[*i] = Some(to_json(&read, at));
            }
        }
    }
    let whole = events.iter().take_while(|e| e.is_some()).count();
    more |= whole < rows.len();
    Ok((rows.into_iter().map(|(key, _)| key).zip(events.into_iter().flatten().take(whole)).collect(), more))
}

/// Where the next page begins, and the total that the first page counted.
pub(super) struct Cursor {
    pub before: Key,
    pub total: Total,
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Key { time, offset, index } = self.before;
        write!(f, "{time}.{offset}.{index}.{}.{}", self.total.value, u8::from(self.total.exact))
    }
}

impl Cursor {
    pub fn parse(text: &str) -> Result<Self, LakeError> {
        let mut parts = text.split('.');
        let mut number = || parts.next()?.parse::<i64>().ok();
        let read = (|| {
            let before = Key { time: number()?, offset: number()?, index: i32::try_from(number()?).ok()? };
            let value = u64::try_from(number()?).ok()?;
            let exact = match number()? {
                0 => false,
                1 => true,
                _ => return None,
            };
            Some(Self { before, total: Total { value, exact } })
        })();
        read.filter(|_| parts.next().is_none()).ok_or(LakeError::BadCursor)
    }
}
