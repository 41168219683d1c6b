//! What a search means: one expression, whichever language it was asked in.
//!
//! The query bar's Lucene dialect ([`parse`]) and the Elasticsearch body ([`elastic`]) both become an [`Expr`].
//! The lake evaluates it over Arrow arrays and text indexes, [`Expr::matches`] over one event; all agree, which
//! the conformance suite in `store` shows. This crate reads no data, knows no storage and reads no clock: what
//! `now` means is an argument.
//!
//! ```
//! use event::Timestamp;
//! let expr = query::parse(r#"user.name:alice AND NOT source.ip:10.0.0.0/8 "access denied""#, Timestamp(0)).unwrap();
//! assert_eq!(expr.to_string(), r#"actor.user.name:alice AND NOT src_endpoint.ip:10.0.0.0/8 AND "access denied""#);
//! let error = query::parse("user.nmae:alice", Timestamp(0)).unwrap_err();
//! assert_eq!((error.column, error.hint.as_deref()), (0, Some("did you mean user.name?")));
//! ```

mod display;
pub mod elastic;
mod error;
mod fields;
mod matcher;
mod matches;
mod parse;
mod reads;
mod simplify;
mod text;
mod values;
mod when;

pub use error::{QueryError, did_you_mean};
pub use fields::{field, is_address};
pub use matcher::{Matcher, Needle, Pattern, each_word};
pub use parse::{CLAUSES_MAX, DEPTH_MAX, QUERY_BYTES_MAX, parse};
pub use reads::TimeBounds;
pub use text::{WILDCARD_BYTES_MAX, WORD_BYTES_MAX, escape_wildcard, wildcard_matches, words, words_match};

use event::{Column, Timestamp};
use ipnet::IpNet;
use regex::Regex;

/// A condition on one event. A row without a value in a column matches no [`Test`] on it.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    All,
    /// All of these; of none, every event.
    And(Vec<Expr>),
    /// Any of these; of none, no event.
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
    /// Numbers and times; a bound of another kind than the column's matches nothing.
    Range(Bound, Bound),
    /// `*` any characters, `?` one, `\` before a character that means itself; the whole value, case counts. See
    /// [`wildcard_matches`].
    Wildcard(String),
    /// Matched as in Lucene: against the whole value, so already anchored. See [`Test::regex`].
    Regex(Regex),
    /// Part of the value's text, in any case: both in lower case as `str::to_lowercase` makes it.
    Contains(String),
    Cidr(Vec<IpNet>),
    /// Words of a column of prose (see [`is_prose`]).
    Words(Words),
}

/// Bytes a compiled regular expression may take, and its lazily built automaton again.
pub const REGEX_BYTES_MAX: usize = 1 << 20;

const REGEX_HEAD: &str = r"\A(?s:";
const REGEX_TAIL: &str = r")\z";

impl Test {
    /// A regular expression on the whole value, in linear time; `.` is any character, as in Lucene. `(?i)` may
    /// stand in front.
    pub fn regex(pattern: &str) -> Result<Self, regex::Error> {
        let build = |text: &str| {
            regex::RegexBuilder::new(text).size_limit(REGEX_BYTES_MAX).dfa_size_limit(REGEX_BYTES_MAX).build()
        };
        // Alone first: `a)|(b` is no expression, though it would be one within the group.
        build(pattern)?;
        let pattern = pattern.replace(r"\/", "/");
        build(&format!("{REGEX_HEAD}{pattern}{REGEX_TAIL}")).map(Self::Regex)
    }

    /// What was written between the slashes.
    pub fn regex_pattern(regex: &Regex) -> &str {
        let text = regex.as_str();
        text.strip_prefix(REGEX_HEAD).and_then(|t| t.strip_suffix(REGEX_TAIL)).unwrap_or(text)
    }
}

/// Regular expressions are equal if they are written alike.
impl PartialEq for Test {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exists, Self::Exists) => true,
            (Self::OneOf(a), Self::OneOf(b)) => a == b,
            (Self::Range(a, b), Self::Range(c, d)) => a == c && b == d,
            (Self::Wildcard(a), Self::Wildcard(b)) | (Self::Contains(a), Self::Contains(b)) => a == b,
            (Self::Regex(a), Self::Regex(b)) => a.as_str() == b.as_str(),
            (Self::Cidr(a), Self::Cidr(b)) => a == b,
            (Self::Words(a), Self::Words(b)) => a == b,
            _ => false,
        }
    }
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

/// Columns whose values are sentences: asked for by word, like free text, and not by equality.
pub const PROSE: [&str; 3] = ["message", "status_detail", "raw_data"];

pub fn is_prose(column: &Column) -> bool {
    PROSE.contains(&column.path)
}
