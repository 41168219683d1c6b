//! What nothing recognises, and what is stated to be of no format: the line is the message.

use super::{Reader, Spec};
use crate::text;
use compact_str::CompactString;
use event::{Event, Format, Map, Value};

pub const SPEC: Spec = Spec {
    format: Format::Raw,
    about: "What no other format recognises: one event per line, the line is the message. Flagged \
            `unrecognised` unless the source stated `raw`. Keyword rules and searches still see it.",
    log_source: "none",
    reader: Reader::Rest,
    example: "*** a line of no known format ***",
};

/// Bytes of an unread entry that stand in its message.
const HEAD_BYTES_MAX: usize = 4096;

/// The whole entry as message.
pub(crate) fn read(event: &mut Event) {
    let bytes = event.raw.clone();
    set_message(event, &text::lossy(&bytes).0);
}

/// The beginning of an entry that is too long to read.
pub(crate) fn read_head(event: &mut Event) {
    let bytes = event.raw.slice(..event.raw.len().min(HEAD_BYTES_MAX));
    set_message(event, &text::lossy(&bytes).0);
}

fn set_message(event: &mut Event, text: &str) {
    let message = CompactString::from(text);
    let mut native = Map::default();
    native.push("message", message.clone());
    event.format = Format::Raw;
    event.native = Value::Map(native);
    event.ocsf.message = Some(message);
}
