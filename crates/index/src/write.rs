//! The file: blocks of sorted words, each beside its long lists of rows, then a directory of the blocks.
//!
//! ```text
//! "ERNEIDX" version │ lists of block 0 │ block 0 │ lists of block 1 │ block 1 │ … │ directory │ trailer
//! trailer (24 bytes): place and length of the directory (u64, u64), its CRC-32C (u32), "IDX" version
//! block: words (n), bytes of lists in front, of endings, of endings compressed (0: they are not); per word how much
//!        of the word before it shares and the length of its ending; the endings; per word its rows
//! rows of a word: one number whose low two bits say what follows. 0: nothing, `number >> 2` is the only row.
//!        1: a list of `number >> 4` bytes, laid out as bits 2 and 3 say. 2: a long list of that many bytes lies in
//!        front of the block; its place among them (a number) and its CRC-32C (4 bytes)
//! directory: rows, words, names of the indexed columns, blocks: first word, place, length, CRC-32C
//! ```
//! Numbers are LEB128 unless a size is given, which is little-endian. Endings are together so that entropy coding
//! meets nothing but the characters of words.

use crate::IndexError;
use crate::codec::{put, put_rows};
use std::io::Write;

/// Changed whenever the bytes mean something else; a file of another version is built again.
pub(crate) const VERSION: u8 = 1;
pub(crate) const MAGIC: &[u8; 7] = b"ERNEIDX";
pub(crate) const MAGIC_END: &[u8; 3] = b"IDX";
pub(crate) const TRAILER_BYTES: usize = 24;
/// Words of a block: what a look-up decodes.
const BLOCK_TERMS_MAX: usize = 512;
/// A block is closed when its short lists take this much.
const BLOCK_ROWS_BYTES_MAX: usize = 16 << 10;
/// A longer list lies in front of the block, so that looking up a neighbour does not read it.
const INLINE_BYTES_MAX: usize = 48;
const ZSTD_LEVEL: i32 = 1;

/// Bits that say how the rows of a word are written.
pub(crate) const ONE: u64 = 0;
pub(crate) const LIST: u64 = 1;
pub(crate) const FAR: u64 = 2;
pub(crate) const TAG_BITS: u32 = 2;
pub(crate) const LAYOUT_BITS: u32 = 2;

/// Takes words in ascending order and writes the file.
pub(crate) struct Writer<W> {
    out: W,
    at: u64,
    block: Block,
    zstd: zstd::bulk::Compressor<'static>,
    blocks: Vec<u8>,
    block_count: u64,
    terms: u64,
    list: Vec<u8>,
}

#[derive(Default)]
struct Block {
    first: Vec<u8>,
    last: Vec<u8>,
    terms: usize,
    heads: Vec<u8>,
    endings: Vec<u8>,
    rows: Vec<u8>,
    /// Where the block's lists begin in the file.
    lists: u64,
}

impl<W: Write> Writer<W> {
    pub fn new(mut out: W) -> Result<Self, IndexError> {
        out.write_all(MAGIC)?;
        out.write_all(&[VERSION])?;
        let zstd = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
        let block = Block { lists: 8, ..Block::default() };
        Ok(Self { out, at: 8, block, zstd, blocks: Vec::new(), block_count: 0, terms: 0, list: Vec::new() })
    }

    /// A word greater than all before, and its ascending rows, at least one.
    pub fn add(&mut self, term: &[u8], rows: &[u32]) -> Result<(), IndexError> {
        let block = &mut self.block;
        if block.terms == 0 {
            block.first = term.to_vec();
            block.last.clear();
        }
        let shared = block.last.iter().zip(term).take_while(|(a, b)| a == b).count();
        put(&mut block.heads, shared as u64);
        put(&mut block.heads, (term.len() - shared) as u64);
        block.endings.extend_from_slice(&term[shared..]);
        block.last.truncate(shared);
        block.last.extend_from_slice(&term[shared..]);
        block.terms += 1;
        self.terms += 1;
        if let [row] = rows {
            put(&mut block.rows, u64::from(*row) << TAG_BITS | ONE);
        } else {
            self.add_list(rows)?;
        }
        if self.block.terms >= BLOCK_TERMS_MAX || self.block.rows.len() >= BLOCK_ROWS_BYTES_MAX {
            self.close_block()?;
        }
        Ok(())
    }

    fn add_list(&mut self, rows: &[u32]) -> Result<(), IndexError> {
        self.list.clear();
        let layout = put_rows(&mut self.list, rows) as u64;
        let tag = (self.list.len() as u64) << (TAG_BITS + LAYOUT_BITS) | layout << TAG_BITS;
        if self.list.len() <= INLINE_BYTES_MAX {
            put(&mut self.block.rows, tag | LIST);
            self.block.rows.extend_from_slice(&self.list);
            return Ok(());
        }
        put(&mut self.block.rows, tag | FAR);
        put(&mut self.block.rows, self.at - self.block.lists);
        self.block.rows.extend_from_slice(&crc32c::crc32c(&self.list).to_le_bytes());
        self.out.write_all(&self.list)?;
        self.at += self.list.len() as u64;
        Ok(())
    }

    fn close_block(&mut self) -> Result<(), IndexError> {
        let block = &mut self.block;
        let squeezed = self.zstd.compress(&block.endings)?;
        let smaller = squeezed.len() + 8 < block.endings.len();
        let mut bytes = Vec::with_capacity(block.heads.len() + block.endings.len() + block.rows.len() + 16);
        put(&mut bytes, block.terms as u64);
        put(&mut bytes, self.at - block.lists);
        put(&mut bytes, block.endings.len() as u64);
        put(&mut bytes, if smaller { squeezed.len() as u64 } else { 0 });
        bytes.extend_from_slice(&block.heads);
        bytes.extend_from_slice(if smaller { &squeezed } else { &block.endings });
        bytes.extend_from_slice(&block.rows);
        put(&mut self.blocks, block.first.len() as u64);
        self.blocks.extend_from_slice(&block.first);
        put(&mut self.blocks, self.at);
        put(&mut self.blocks, bytes.len() as u64);
        self.blocks.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        self.block_count += 1;
        self.out.write_all(&bytes)?;
        self.at += bytes.len() as u64;
        *block = Block { lists: self.at, ..Block::default() };
        Ok(())
    }

    /// Ends the file of `rows` rows; answers its bytes.
    pub fn finish(mut self, rows: u32, fields: &[String]) -> Result<u64, IndexError> {
        if self.block.terms > 0 {
            self.close_block()?;
        }
        let mut bytes = Vec::with_capacity(self.blocks.len() + 64);
        put(&mut bytes, u64::from(rows));
        put(&mut bytes, self.terms);
        put(&mut bytes, fields.len() as u64);
        for field in fields {
            put(&mut bytes, field.len() as u64);
            bytes.extend_from_slice(field.as_bytes());
        }
        put(&mut bytes, self.block_count);
        bytes.extend_from_slice(&self.blocks);
        self.out.write_all(&bytes)?;
        self.out.write_all(&self.at.to_le_bytes())?;
        self.out.write_all(&(bytes.len() as u64).to_le_bytes())?;
        self.out.write_all(&crc32c::crc32c(&bytes).to_le_bytes())?;
        self.out.write_all(MAGIC_END)?;
        self.out.write_all(&[VERSION])?;
        self.out.flush()?;
        Ok(self.at + (bytes.len() + TRAILER_BYTES) as u64)
    }
}
