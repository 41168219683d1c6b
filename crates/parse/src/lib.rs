//! Bytes to events: splits a [`Record`] into entries, recognises the format of each and reads it into
//! OCSF columns plus the native fields that Sigma rules name.
//!
//! The crate is pure: it opens nothing, reads no clock, and gives the same events for the same record and
//! offset. It never fails and never drops: what cannot be read is an event with its raw bytes and an
//! [`Issue`](event::Issue) that says why. It detects nothing; that is `detect`.
//!
//! Two steps, each a type to know. [`split`](mod@split) finds where entries begin and end (lines, JSON
//! documents, elements of an array, octet-counted syslog frames), so that no sender can hide one entry
//! inside another. [`FORMATS`] is the list of formats, in the order in which an entry is offered to them;
//! `docs/formats.md` is derived from it. [`enrich::Enricher`] then adds what the log did not say: where an
//! address is, and which browser or tool a user agent names.
//!
//! ```
//! use event::{Record, Timestamp};
//! let record = Record {
//!     source: "web".into(), format: None, received: Timestamp::from_secs(1_795_000_000), peer: None,
//!     body: "198.51.100.7 - - [20/Nov/2026:10:00:00 +0000] \"GET /?q=1 HTTP/1.1\" 200 5 \"-\" \"curl/8.5.0\"\n".into(),
//! };
//! let mut events = Vec::new();
//! parse::parse(&record, 42, &mut events);
//! assert_eq!(events[0].format.as_str(), "access_log");
//! assert_eq!(events[0].ocsf.src.ip.as_deref(), Some("198.51.100.7"));
//! assert_eq!(events[0].ocsf.http.query.as_deref(), Some("q=1"));
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod address;
pub mod enrich;
pub mod formats;
mod issue;
mod members;
pub mod split;
mod text;
mod time;
mod web;

pub use formats::{FORMATS, PRODUCED, Produced, Reader, Spec};
pub use issue::CODES as ISSUE_CODES;

use bytes::Bytes;
use compact_str::ToCompactString;
use formats::auditd::Joiner;
use event::{Event, Format, Id, Position, Record};
use split::{Content, Entry, Splitter};

/// Longest entry that is read; a longer one is kept raw. An element of CloudTrail's `Records` is an entry,
/// the file around it is not.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// Splits a record into entries and reads each as an event. Never fails: what can't be read is an event
/// with `issues`. Event uids that the source does not give are `Id::of(["event", source, offset, index])`.
pub fn parse(record: &Record, offset: u64, out: &mut Vec<Event>) {
    out.extend(events(record, offset));
}

/// As [`parse`], one event at a time. A megabyte of two-byte lines is half a million events of about a
/// kilobyte each; whoever takes records from strangers does better not to hold all of one at once.
pub fn events(record: &Record, offset: u64) -> impl Iterator<Item = Event> {
    let (body, converted) = text::decode(&record.body);
    let mut joiner = Joiner::default();
    Splitter::new(body.clone(), record.format).enumerate().map(move |(index, entry)| {
        let position = Position { offset, index: u32::try_from(index).unwrap_or(u32::MAX) };
        let mut event = blank(record, position, body.slice(entry.range.clone()));
        event.issues.extend(converted.clone());
        read(record.format, entry, &mut event);
        joiner.join(&mut event);
        finish(&mut event);
        event
    })
}

fn blank(record: &Record, position: Position, raw: Bytes) -> Event {
    Event::new("".into(), position, record.received, record.source.clone(), Format::Raw, raw)
}

fn read(stated: Option<Format>, entry: Entry, event: &mut Event) {
    event.issues.extend(entry.issue);
    match entry.content {
        Content::Json(value, issues) => {
            event.issues.extend(issues);
            formats::read_json(stated, value, event);
        }
        Content::BadJson(error) => {
            event.issues.push(issue::of_json_error(&error));
            formats::raw::read(event);
        }
        Content::TooLong => {
            event.issues.push(issue::line_too_long(event.raw.len()));
            formats::raw::read_head(event);
        }
        Content::Text => formats::read_text(stated, event),
    }
}

/// What holds for events of every format.
fn finish(event: &mut Event) {
    if event.uid.is_empty() {
        let (offset, index) = (event.position.offset.to_le_bytes(), event.position.index.to_le_bytes());
        event.uid = Id::of(&[b"event", event.source.as_bytes(), &offset, &index]).to_compact_string();
    }
    if event.time > event.received.plus_secs(time::FUTURE_SECS_MAX) {
        event.issues.push(issue::future_time(event.time));
    }
}
