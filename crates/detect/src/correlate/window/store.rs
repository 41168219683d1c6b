//! A group's state as entries of a store: one small main entry, the entries that are kept one by one in chunks of a few, and
//! the chunks of a burst's values. A step writes the chunks that changed, not the group.

use super::Group;
use super::bursts::Live;
use super::entry::Entry;
use super::tell::Told;
use super::uid::Uid;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The layout of what is written here.
const LAYOUT: u8 = 1;
/// Entries that share a stored one.
const PER_CHUNK: u32 = 4;
/// What a chunk and a main entry mostly take.
const CHUNK_BYTES: usize = 192;
const MAIN_BYTES: usize = 96;
/// What the keys of stored entries begin with; the main entry's is empty, so it comes back first.
const CHUNK: u8 = 1;
const VALUES: u8 = 2;

/// Which stored entries are out of date.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    /// The chunk that is being filled, and how far. Chunks are numbered from one.
    chunk: u32,
    fill: u32,
    dirty: Vec<u32>,
    stored: Vec<u32>,
    is_main_dirty: bool,
    is_main_stored: bool,
    gone: Vec<Vec<u8>>,
}

impl Store {
    pub(crate) fn main_changed(&mut self) {
        self.is_main_dirty = true;
    }

    /// Gives a new entry its chunk.
    pub(crate) fn place(&mut self, entry: &mut Entry) {
        if self.chunk == 0 || self.fill == PER_CHUNK {
            (self.chunk, self.fill) = (self.chunk + 1, 0);
        }
        self.fill += 1;
        entry.chunk = self.chunk;
        self.touch(entry);
    }

    /// An entry changed or moved.
    pub(crate) fn touch(&mut self, entry: &Entry) {
        if entry.chunk != 0 && !self.dirty.contains(&entry.chunk) {
            self.dirty.push(entry.chunk);
        }
    }

    /// An entry is no longer kept.
    pub(crate) fn free(&mut self, entry: &Entry) {
        self.touch(entry);
    }

    /// A burst is no more; what was stored of its values goes.
    pub(crate) fn forget_values(&mut self, live: &Live) {
        self.gone.extend(live.distinct.stored().iter().map(|entry| values_key(live.id, entry)));
    }
}

/// The binary form, in a buffer that is mostly large enough from the start.
fn encode(value: &impl Serialize, bytes: usize) -> Vec<u8> {
    postcard::to_extend(value, Vec::with_capacity(bytes)).expect("numbers and text have a binary form")
}

fn chunk_key(chunk: u32) -> [u8; 5] {
    let [a, b, c, d] = chunk.to_be_bytes();
    [CHUNK, a, b, c, d]
}

fn values_key(id: u32, entry: &[u8]) -> Vec<u8> {
    [&[VALUES][..], &id.to_be_bytes(), entry].concat()
}

/// The main entry.
#[derive(Serialize, Deserialize)]
struct Main {
    layout: u8,
    lateness: i64,
    heard: i64,
    newest: i64,
    last: (u64, u32),
    is_about: bool,
    due: Option<i64>,
    forget_from: i64,
    chunk: u32,
    fill: u32,
    told: Vec<Told>,
    past: Vec<(i64, i64)>,
    live: Vec<WrittenLive>,
}

#[derive(Serialize, Deserialize)]
struct WrittenLive {
    id: u32,
    trigger: (i64, Uid, u16),
    from: i64,
    to: i64,
    heard: i64,
    head: u64,
    count: u64,
    sum: i128,
    parts: BTreeMap<u16, i64>,
}

pub(crate) fn write_main(group: &Group) -> Vec<u8> {
    let live = group.live.iter().map(|live| WrittenLive {
        id: live.id,
        trigger: live.trigger.clone(),
        from: live.from,
        to: live.to,
        heard: live.heard,
        head: live.head,
        count: live.count,
        sum: live.sum,
        parts: live.parts.clone(),
    });
    let main = Main {
        layout: LAYOUT,
        lateness: group.lateness,
        heard: group.heard,
        newest: group.newest,
        last: group.last,
        is_about: group.is_about,
        due: group.due,
        forget_from: group.forget_from,
        chunk: group.store.chunk,
        fill: group.store.fill,
        told: group.told.clone(),
        past: group.past.clone(),
        live: live.collect(),
    };
    encode(&main, MAIN_BYTES)
}

pub(crate) fn read_main(bytes: &[u8]) -> Option<Group> {
    let main: Main = postcard::from_bytes(bytes).ok().filter(|main: &Main| main.layout == LAYOUT)?;
    let live = main.live.into_iter().map(|live| Live {
        id: live.id,
        trigger: live.trigger,
        from: live.from,
        to: live.to,
        heard: live.heard,
        head: live.head,
        count: live.count,
        sum: live.sum,
        parts: live.parts,
        ..Live::default()
    });
    Some(Group {
        entries: Vec::new(),
        live: live.collect(),
        told: main.told,
        past: main.past,
        lateness: main.lateness,
        heard: main.heard,
        newest: main.newest,
        last: main.last,
        is_about: main.is_about,
        due: main.due,
        forget_from: main.forget_from,
        store: Store { chunk: main.chunk, fill: main.fill, is_main_stored: true, ..Store::default() },
    })
}

/// A chunk: entries that are kept, and the first events of bursts.
#[derive(Deserialize)]
struct Chunk {
    layout: u8,
    entries: Vec<Entry>,
    refs: Vec<Entry>,
}

/// The same, as it is written.
#[derive(Serialize)]
struct WrittenChunk<'a> {
    layout: u8,
    entries: Vec<&'a Entry>,
    refs: Vec<&'a Entry>,
}

impl Group {
    pub(super) fn write_changes(&mut self, put: &mut dyn FnMut(&[u8], Option<Vec<u8>>)) {
        for key in std::mem::take(&mut self.store.gone) {
            put(&key, None);
        }
        for place in 0..self.store.dirty.len() {
            let number = self.store.dirty[place];
            let own = |entry: &&Entry| entry.chunk == number;
            let entries: Vec<&Entry> = self.entries.iter().filter(own).collect();
            let refs: Vec<&Entry> = self.live.iter().flat_map(|live| &live.refs).filter(own).collect();
            let place = self.store.stored.binary_search(&number);
            if !entries.is_empty() || !refs.is_empty() {
                let chunk = WrittenChunk { layout: LAYOUT, entries, refs };
                put(&chunk_key(number), Some(encode(&chunk, CHUNK_BYTES)));
                if let Err(place) = place {
                    self.store.stored.insert(place, number);
                }
            } else if let Ok(place) = place {
                self.store.stored.remove(place);
                put(&chunk_key(number), None);
            }
        }
        self.store.dirty.clear();
        for live in &mut self.live {
            let id = live.id;
            live.distinct.changes(&mut |entry, bytes| put(&values_key(id, entry), bytes));
        }
        if std::mem::take(&mut self.store.is_main_dirty) {
            self.store.is_main_stored = true;
            put(&[], Some(write_main(self)));
        }
    }

    pub(super) fn take_entry(&mut self, entry: &[u8], bytes: &[u8]) -> bool {
        match entry {
            [] => match read_main(bytes) {
                Some(group) => *self = group,
                None => return false,
            },
            [CHUNK, number @ ..] => {
                let Ok(number) = <[u8; 4]>::try_from(number).map(u32::from_be_bytes) else { return false };
                return postcard::from_bytes(bytes).is_ok_and(|chunk| self.take_chunk(number, chunk));
            }
            [VALUES, rest @ ..] => {
                let Some((id, entry)) = rest.split_first_chunk::<4>() else { return false };
                let id = u32::from_be_bytes(*id);
                return self.live.iter_mut().find(|live| live.id == id).is_some_and(|live| live.distinct.take(entry, bytes));
            }
            _ => return false,
        }
        true
    }

    fn take_chunk(&mut self, number: u32, chunk: Chunk) -> bool {
        if chunk.layout != LAYOUT || !self.store.is_main_stored {
            return false;
        }
        for mut entry in chunk.entries {
            entry.chunk = number;
            let at = self.entries.partition_point(|other| other.order() < entry.order());
            self.entries.insert(at, entry);
        }
        for mut entry in chunk.refs {
            entry.chunk = number;
            let holds = |live: &&mut Live| live.trigger.0 <= entry.time && entry.time <= live.to;
            if let Some(live) = self.live.iter_mut().find(holds) {
                let at = live.refs.partition_point(|other| other.order() < entry.order());
                live.refs.insert(at, entry);
            }
        }
        if let Err(place) = self.store.stored.binary_search(&number) {
            self.store.stored.insert(place, number);
        }
        true
    }

    pub(super) fn stored_entries(&self) -> Vec<Vec<u8>> {
        let main = self.store.is_main_stored.then(Vec::new);
        let chunks = self.store.stored.iter().map(|number| chunk_key(*number).to_vec());
        let values = self.live.iter().flat_map(|live| live.distinct.stored().into_iter().map(|entry| values_key(live.id, &entry)));
        main.into_iter().chain(chunks).chain(values).chain(self.store.gone.iter().cloned()).collect()
    }
}
