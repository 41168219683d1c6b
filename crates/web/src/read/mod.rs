//! Requests from files: JSON lines, raw HTTP, HAR. The caller reads the bytes; nothing here opens anything.

mod har;
mod jsonl;
mod raw;

use crate::Transaction;

/// A request from a file, with its label if it has one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Item {
    pub id: String,
    /// The corpus: the file's `src`, else empty.
    pub source: String,
    /// Whether it is an attack.
    pub label: Option<bool>,
    pub kind: String,
    pub transaction: Transaction,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ReadError {
    #[error("line {line}: {why}")]
    Line { line: usize, why: String },
    #[error("no request in it: it is neither JSON lines, nor HAR, nor raw HTTP")]
    Unknown,
    #[error("not a HAR file: {0}")]
    Har(String),
}

/// Reads whichever format it is. `visit` gets requests in order, and what of single lines could not be read.
pub fn items(bytes: &[u8], visit: &mut dyn FnMut(Result<Item, ReadError>)) -> Result<(), ReadError> {
    let start = bytes.trim_ascii_start();
    if start.first() == Some(&b'{') {
        let line = &start[..memchr::memchr(b'\n', start).unwrap_or(start.len())];
        if serde_json::from_slice::<serde_json::Value>(line).is_ok_and(|v| v.get("log").is_none()) {
            jsonl::items(bytes, visit);
            return Ok(());
        }
        return har::items(bytes, visit);
    }
    if raw::is_request(start) {
        raw::items(start, visit);
        return Ok(());
    }
    Err(ReadError::Unknown)
}

/// Reads one line of JSON lines.
pub fn line(text: &[u8]) -> Result<Item, String> {
    jsonl::item(text)
}
