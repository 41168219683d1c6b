//! What nothing recognises, and what is stated to be of no format: the line is the message.

use super::{Reader, Spec, refused};
use crate::text;
use compact_str::CompactString;
use event::{Class, Event, Format, Map, Value};

pub const SPEC: Spec = Spec {
    format: Format::Raw,
    about: "What no other format recognises: one event per line, the line is the message. Flagged \
            `unrecognised` unless the source stated `raw`. Keyword rules and searches still see it. A line that tells of a refused logon in words that \
            servers commonly use is an Authentication event, with the address and user that it names.",
    log_source: "none; category `authentication` for a refused logon",
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
    let refused = |event: &mut Event, native: &mut Map| {
        refused::note(event, native, text);
        if event.class == Class::Authentication
            && let Some(time) = refused::leading_time(text)
        {
            event.time = time;
        }
    };
    let message = CompactString::from(text);
    let mut native = Map::default();
    native.push("message", message.clone());
    event.format = Format::Raw;
    refused(event, &mut native);
    event.native = Value::Map(native);
    event.ocsf.message = Some(message);
}
