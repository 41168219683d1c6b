//! What a search means: one expression, whichever language it was asked in.
//!
//! The query bar's Lucene dialect ([`parse`]) and the Elasticsearch body both become an [`Expr`]. The lake
//! evaluates it over Arrow arrays and text indexes, [`Expr::matches`] over one event; all agree, which the
//! conformance suite in `store` shows. This crate reads no data and knows no storage.

use event::{Column, Timestamp};
use ipnet::IpNet;
use regex::Regex;

/// A condition on one event. A row without a value in a column matches no [`Test`] on it.
#[derive(Clone, Debug)]
pub enum Expr {
    All,
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Field(&'static Column, Test),
    /// Words anywhere in the entry as received (`raw_data`).
    Text(Words),
}

/// A condition on the value of one column; for a list, on any of its elements.
#[derive(Clone, Debug)]
pub enum Test {
    Exists,
    /// Equal to one of these. Text is compared exactly, case counts: bloom filters and dictionaries answer it.
    OneOf(Vec<Value>),
    Range(Bound, Bound),
    /// `*` any characters, `?` one; the whole value, case counts.
    Wildcard(String),
    /// Matched as in Lucene: against the whole value, so already anchored.
    Regex(Regex),
    /// Part of the value's text, in any case.
    Contains(String),
    Cidr(Vec<IpNet>),
    /// Words of a column of prose (see [`is_prose`]).
    Words(Words),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(String),
    Int(i64),
    Float(f64),
    Time(Timestamp),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Bound {
    Open,
    Including(Value),
    Excluding(Value),
}

/// What is looked for in text cut into words by [`words`]; everything here is in lower case.
#[derive(Clone, Debug, PartialEq)]
pub enum Words {
    /// These words one after the other; a single word is a phrase of one.
    Phrase(Vec<String>),
    /// One word that fits a pattern of `*` and `?`.
    Wildcard(String),
    /// One word whose beginning this is.
    Prefix(String),
}

/// A longer word counts as its beginning, when indexed and when asked for.
pub const WORD_BYTES_MAX: usize = 128;

/// Columns whose values are sentences: asked for by word, like free text, and not by equality.
pub const PROSE: [&str; 3] = ["message", "status_detail", "raw_data"];

pub fn is_prose(column: &Column) -> bool {
    PROSE.contains(&column.path)
}

/// The words of a text: runs of letters, digits and `_`, in lower case, cut at [`WORD_BYTES_MAX`].
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|w| !w.is_empty()).map(word)
}

fn word(text: &str) -> String {
    let lower = text.to_lowercase();
    let end = (0..=WORD_BYTES_MAX.min(lower.len())).rev().find(|i| lower.is_char_boundary(*i)).unwrap_or(0);
    lower[..end].to_owned()
}
