//! A text index for one immutable file of the lake: which rows hold which words.
//!
//! [`Builder`] is fed the prose of a file row by row and writes one file of sorted words, each with its rows;
//! [`merge`] makes the index of a merged file out of the indexes of its parts without reading a text again.
//! [`Index`] answers [`Words`](query::Words) with a bitmap of row numbers, which a scan of the columns would
//! answer too: words are those of [`query::words`], and no word is left out.
//!
//! `raw_data` is indexed. Another prose column is usually a part of it, so only those of its words are stored that
//! its row's raw text lacks; the answer for such a column holds all rows that match and some that do not
//! ([`Rows::exact`] is false), and the caller looks at the column of these rows. The same goes for phrases: no
//! positions are stored.
//!
//! What it is not: a search engine. It ranks nothing, keeps no text, changes nothing. The reasons and the figures
//! against tantivy are in docs/adr/0005-text-index.md.
//!
//! ```
//! use index::{Builder, Index};
//! use query::Words;
//! let mut builder = Builder::new(&std::env::temp_dir());
//! builder.add(&[None, None, Some("login failed for bob")])?;
//! builder.add(&[None, None, Some("login of alice")])?;
//! let mut file = Vec::new();
//! builder.finish(&mut file)?;
//! let index = Index::open(Box::new(file))?;
//! let rows = index.rows(&Words::Prefix("fail".into()), "raw_data")?.expect("few words begin so");
//! assert_eq!(rows.bitmap.iter().collect::<Vec<_>>(), [0]);
//! # Ok::<(), index::IndexError>(())
//! ```

mod bitmap;
mod build;
mod codec;
mod merge;
mod read;
mod segment;
mod write;

pub use bitmap::Bitmap;
pub use build::{Builder, MEMORY_BYTES_MAX};
pub use merge::merge;
pub use read::{EXPANSION_TERMS_MAX, Index, Rows, Source};

/// What to do about it: rebuild the index from its file's columns, whatever the error.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    #[error("the text index cannot be read or written: {0}")]
    Io(#[from] std::io::Error),
    #[error("the text index is damaged: {0}; it is to be built again")]
    Damaged(&'static str),
    #[error("the text index is of another version ({found}, this one reads {reads}); it is to be built again", reads = write::VERSION)]
    OtherVersion { found: u8 },
    #[error("a file of more than {} rows has no text index", ROWS_MAX)]
    TooManyRows,
}

/// Most rows of a file: a bitmap of them takes 32 MB.
pub const ROWS_MAX: u32 = 1 << 28;
