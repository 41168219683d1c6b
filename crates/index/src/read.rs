//! Looking words up.

use crate::build::{MAIN, name};
use crate::codec::{Layout, Reader, Sink, put, read_rows};
use crate::write::{FAR, LAYOUT_BITS, LIST, MAGIC, MAGIC_END, ONE, TAG_BITS, TRAILER_BYTES, VERSION};
use crate::{Bitmap, IndexError, ROWS_MAX};
use query::{Pattern, Words};
use std::borrow::Cow;
use std::fs::File;
use std::io;

/// A pattern that more different words of a file fit is not answered: the caller reads the column.
pub const EXPANSION_TERMS_MAX: usize = 1 << 20;
/// The longest block that is believed.
const BLOCK_BYTES_MAX: u64 = 1 << 20;
const DIRECTORY_BYTES_MAX: u64 = 1 << 30;

/// Where an index lies: a file, memory, an object store.
pub trait Source: Send + Sync {
    fn len(&self) -> io::Result<u64>;
    fn read(&self, at: u64, len: usize) -> io::Result<Cow<'_, [u8]>>;
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

impl Source for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
    fn read(&self, at: u64, len: usize) -> io::Result<Cow<'_, [u8]>> {
        let mut bytes = vec![0; len];
        std::os::unix::fs::FileExt::read_exact_at(self, &mut bytes, at)?;
        Ok(bytes.into())
    }
}

impl Source for Vec<u8> {
    fn len(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
    fn read(&self, at: u64, len: usize) -> io::Result<Cow<'_, [u8]>> {
        let end = (at as usize).checked_add(len);
        end.and_then(|end| self.get(at as usize..end)).map(Cow::Borrowed).ok_or(io::ErrorKind::UnexpectedEof.into())
    }
}

/// The rows that hold what was asked for.
#[derive(Clone, Debug)]
pub struct Rows {
    pub bitmap: Bitmap,
    /// Whether these are the rows; otherwise they are among these, and the column decides.
    pub exact: bool,
}

/// An index that was written by [`Builder`](crate::Builder) or [`merge`](crate::merge()).
pub struct Index {
    source: Box<dyn Source>,
    rows: u32,
    terms: u64,
    fields: Vec<String>,
    blocks: Vec<Place>,
    /// First words of the blocks, one after the other.
    firsts: Vec<u8>,
}

/// Where a block lies.
struct Place {
    first: (u32, u8),
    at: u64,
    len: u32,
    sum: u32,
}

impl Index {
    pub(crate) fn nothing() -> Self {
        Self { source: Box::new(Vec::new()), rows: 0, terms: 0, fields: Vec::new(), blocks: Vec::new(), firsts: Vec::new() }
    }

    /// Reads and checks the directory; blocks and lists are checked when they are read.
    pub fn open(source: Box<dyn Source>) -> Result<Self, IndexError> {
        const SHORT: IndexError = IndexError::Damaged("it is too short");
        let len = source.len()?;
        let head = len.checked_sub((MAGIC.len() + 1 + TRAILER_BYTES) as u64).ok_or(SHORT).and_then(|_| Ok(source.read(0, 8)?))?;
        let (magic, version) = (&head[..7], head[7]);
        if magic != MAGIC {
            return Err(IndexError::Damaged("it is no text index"));
        }
        if version != VERSION {
            return Err(IndexError::OtherVersion { found: version });
        }
        let trailer = source.read(len - TRAILER_BYTES as u64, TRAILER_BYTES)?;
        let (at, size, sum) = (u64_at(&trailer, 0), u64_at(&trailer, 8), u32_at(&trailer, 16));
        let end = at.checked_add(size).and_then(|e| e.checked_add(TRAILER_BYTES as u64));
        if trailer[20..23] != *MAGIC_END || trailer[23] != VERSION || end != Some(len) || size > DIRECTORY_BYTES_MAX {
            return Err(IndexError::Damaged("its end is missing"));
        }
        let bytes = source.read(at, size as usize)?.into_owned();
        if crc32c::crc32c(&bytes) != sum {
            return Err(IndexError::Damaged("its directory fails its checksum"));
        }
        Self::read_directory(source, &bytes, at)
    }

    fn read_directory(source: Box<dyn Source>, bytes: &[u8], end: u64) -> Result<Self, IndexError> {
        const BAD: IndexError = IndexError::Damaged("its directory makes no sense");
        let mut reader = Reader(bytes);
        let mut index = Self { source, ..Self::nothing() };
        index.rows = Some(reader.small()?).filter(|r| *r <= ROWS_MAX).ok_or(BAD)?;
        index.terms = reader.number()?;
        for _ in 0..reader.number()? {
            let len = reader.small()? as usize;
            index.fields.push(String::from_utf8(reader.bytes(len)?.to_vec()).map_err(|_| BAD)?);
        }
        for _ in 0..reader.number()? {
            let len = reader.small()?;
            let first = (index.firsts.len() as u32, u8::try_from(len).map_err(|_| BAD)?);
            index.firsts.extend_from_slice(reader.bytes(len as usize)?);
            let (at, len) = (reader.number()?, reader.number()?);
            if len > BLOCK_BYTES_MAX || at.checked_add(len).is_none_or(|e| e > end) {
                return Err(BAD);
            }
            index.blocks.push(Place { first, at, len: len as u32, sum: u32_at(reader.bytes(4)?, 0) });
        }
        Ok(index)
    }

    /// Rows of the file.
    pub fn row_count(&self) -> u32 {
        self.rows
    }

    /// Different words.
    pub fn term_count(&self) -> u64 {
        self.terms
    }

    /// Memory that the open index holds.
    pub fn memory_bytes(&self) -> usize {
        self.firsts.capacity() + self.blocks.capacity() * size_of::<Place>() + size_of::<Self>()
    }

    pub(crate) fn fields(&self) -> &[String] {
        &self.fields
    }

    /// The rows with these words in a column; `None` where the column is not indexed, or too many words fit
    /// ([`EXPANSION_TERMS_MAX`]): read the column.
    pub fn rows(&self, words: &Words, field: &str) -> Result<Option<Rows>, IndexError> {
        let Some(number) = self.fields.iter().position(|f| f == field) else { return Ok(None) };
        let number = (field != MAIN).then_some(number);
        let mut bitmap = Bitmap::empty(self.rows);
        let mut exact = number.is_none();
        match words {
            Words::Phrase(phrase) => {
                exact &= phrase.len() < 2;
                self.phrase(phrase, number, &mut bitmap)?;
            }
            Words::Prefix(prefix) => {
                if !self.expand(prefix.as_bytes(), number, |_| true, &mut bitmap)? {
                    return Ok(None);
                }
            }
            Words::Wildcard(pattern) => {
                let pattern = Pattern::new(pattern);
                if !self.expand(pattern.prefix().as_bytes(), number, |word| pattern.fits(word), &mut bitmap)? {
                    return Ok(None);
                }
            }
        }
        exact |= bitmap.is_empty();
        Ok(Some(Rows { bitmap, exact }))
    }

    /// The rows with all words, in any order; long words first, since they are rare.
    fn phrase(&self, phrase: &[String], field: Option<usize>, all: &mut Bitmap) -> Result<(), IndexError> {
        let mut words: Vec<&String> = phrase.iter().collect();
        words.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
        words.dedup();
        let Some((first, others)) = words.split_first() else { return Ok(()) };
        self.word(first.as_bytes(), field, all)?;
        let mut one = Bitmap::empty(self.rows);
        for word in others {
            if all.is_empty() {
                return Ok(());
            }
            one.clear();
            self.word(word.as_bytes(), field, &mut one)?;
            all.intersect(&one);
        }
        Ok(())
    }

    /// Adds the rows with a word.
    fn word(&self, word: &[u8], field: Option<usize>, bitmap: &mut Bitmap) -> Result<(), IndexError> {
        let mut key = word.to_vec();
        let mut find = |key: &[u8]| {
            let mut cursor = self.cursor(key);
            if cursor.next()? && cursor.term() == key {
                cursor.rows(bitmap)?;
            }
            Ok(())
        };
        find(&key)?;
        let Some(field) = field else { return Ok(()) };
        name(&mut key, field, word);
        find(&key)
    }

    /// Adds the rows with words that begin so and fit; false if there are too many words.
    fn expand(&self, prefix: &[u8], field: Option<usize>, fits: impl Fn(&[u8]) -> bool, bitmap: &mut Bitmap) -> Result<bool, IndexError> {
        let mut left = EXPANSION_TERMS_MAX;
        let mut key = Vec::new();
        for field in [None, field].into_iter().take(1 + usize::from(field.is_some())) {
            key.clear();
            if let Some(field) = field {
                name(&mut key, field, &[]);
            }
            let names = key.len();
            key.extend_from_slice(prefix);
            // Names of other columns' words come before all words.
            let from: &[u8] = if key.is_empty() { b"0" } else { &key };
            let mut cursor = self.cursor(from);
            while cursor.next()? && cursor.term().starts_with(&key) {
                if fits(&cursor.term()[names..]) {
                    let Some(fewer) = left.checked_sub(1) else { return Ok(false) };
                    left = fewer;
                    cursor.rows(bitmap)?;
                }
            }
        }
        Ok(true)
    }

    /// Before the first word that is not less than `from`.
    pub(crate) fn cursor(&self, from: &[u8]) -> Cursor<'_> {
        let after = self.blocks.partition_point(|b| self.first(b) <= from);
        Cursor { index: self, next_block: after.saturating_sub(1), block: Block::default(), from: from.to_vec() }
    }

    fn first(&self, place: &Place) -> &[u8] {
        let (start, len) = place.first;
        &self.firsts[start as usize..start as usize + len as usize]
    }

    fn checked(&self, at: u64, len: usize, sum: u32) -> Result<Cow<'_, [u8]>, IndexError> {
        let bytes = self.source.read(at, len)?;
        if crc32c::crc32c(&bytes) == sum { Ok(bytes) } else { Err(IndexError::Damaged("a block fails its checksum")) }
    }
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// Walks over the words, ascending.
pub(crate) struct Cursor<'a> {
    index: &'a Index,
    next_block: usize,
    block: Block,
    /// Words before this one are passed over.
    from: Vec<u8>,
}

/// A block being walked over.
#[derive(Default)]
struct Block {
    bytes: Vec<u8>,
    endings: Vec<u8>,
    /// Where in `bytes` or `endings` the next word's parts begin.
    heads: usize,
    ending: usize,
    rows: usize,
    terms_left: u32,
    /// Where in the file the long lists begin.
    lists: u64,
    term: Vec<u8>,
    tag: u64,
    /// Where in `bytes` what follows the tag begins.
    body: usize,
}

impl Cursor<'_> {
    /// The word it stands on.
    pub fn term(&self) -> &[u8] {
        &self.block.term
    }

    pub fn row_count(&self) -> u32 {
        self.index.rows
    }

    /// Goes to the next word; false at the end.
    pub fn next(&mut self) -> Result<bool, IndexError> {
        loop {
            while self.block.terms_left == 0 {
                let Some(place) = self.index.blocks.get(self.next_block) else { return Ok(false) };
                let bytes = self.index.checked(place.at, place.len as usize, place.sum)?;
                self.block.load(&bytes, place.at)?;
                self.next_block += 1;
            }
            self.block.step()?;
            if self.from.is_empty() {
                return Ok(true);
            }
            if self.block.term >= self.from {
                self.from.clear();
                return Ok(true);
            }
        }
    }

    /// Adds the word's rows.
    pub fn rows(&self, sink: &mut Bitmap) -> Result<(), IndexError> {
        if self.block.tag & (1 << TAG_BITS) - 1 == ONE {
            sink.row((self.block.tag >> TAG_BITS) as u32);
            return Ok(());
        }
        let (layout, bytes) = self.list()?;
        read_rows(layout, &bytes, self.index.rows, sink)
    }

    /// The word's rows as they are written.
    pub fn list(&self) -> Result<(Layout, Cow<'_, [u8]>), IndexError> {
        let block = &self.block;
        let kind = block.tag & (1 << TAG_BITS) - 1;
        if kind == ONE {
            let mut bytes = Vec::with_capacity(5);
            put(&mut bytes, block.tag >> TAG_BITS);
            return Ok((Layout::Gaps, bytes.into()));
        }
        let layout = Layout::from_number(block.tag >> TAG_BITS & (1 << LAYOUT_BITS) - 1)?;
        let len = (block.tag >> (TAG_BITS + LAYOUT_BITS)) as usize;
        let mut reader = Reader(block.bytes.get(block.body..).unwrap_or_default());
        if kind == LIST {
            return Ok((layout, reader.bytes(len)?.into()));
        }
        let at = block.lists.saturating_add(reader.number()?);
        Ok((layout, self.index.checked(at, len, u32_at(reader.bytes(4)?, 0))?))
    }
}

impl Block {
    fn load(&mut self, bytes: &[u8], at: u64) -> Result<(), IndexError> {
        const BAD: IndexError = IndexError::Damaged("a block makes no sense");
        let mut reader = Reader(bytes);
        let terms = reader.small()?;
        let lists = at.checked_sub(reader.number()?).ok_or(BAD)?;
        let (len, squeezed) = (reader.number()?, reader.number()? as usize);
        if len > BLOCK_BYTES_MAX || terms == 0 {
            return Err(BAD);
        }
        let heads = bytes.len() - reader.0.len();
        for _ in 0..u64::from(terms) * 2 {
            reader.number()?;
        }
        let endings = reader.bytes(if squeezed == 0 { len as usize } else { squeezed })?;
        self.endings = if squeezed == 0 { endings.to_vec() } else { zstd::bulk::decompress(endings, len as usize)? };
        self.rows = bytes.len() - reader.0.len();
        (self.heads, self.ending, self.terms_left, self.lists) = (heads, 0, terms, lists);
        self.term.clear();
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn step(&mut self) -> Result<(), IndexError> {
        const BAD: IndexError = IndexError::Damaged("a word makes no sense");
        let mut heads = Reader(self.bytes.get(self.heads..).ok_or(BAD)?);
        let (shared, len) = (heads.small()? as usize, heads.small()? as usize);
        self.heads = self.bytes.len() - heads.0.len();
        let ending = self.endings.get(self.ending..).and_then(|e| e.get(..len)).ok_or(BAD)?;
        if shared > self.term.len() {
            return Err(BAD);
        }
        self.term.truncate(shared);
        self.term.extend_from_slice(ending);
        self.ending += len;
        let mut rows = Reader(self.bytes.get(self.rows..).ok_or(BAD)?);
        self.tag = rows.number()?;
        self.body = self.bytes.len() - rows.0.len();
        match self.tag & (1 << TAG_BITS) - 1 {
            ONE => {}
            LIST => {
                rows.bytes((self.tag >> (TAG_BITS + LAYOUT_BITS)) as usize)?;
            }
            FAR => {
                rows.number()?;
                rows.bytes(4)?;
            }
            _ => return Err(BAD),
        }
        self.rows = self.bytes.len() - rows.0.len();
        self.terms_left -= 1;
        Ok(())
    }
}
