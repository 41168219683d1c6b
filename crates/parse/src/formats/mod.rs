//! The formats, one file each, and [`FORMATS`], their list.
//!
//! To add one: a file here with a `SPEC`, its line in [`FORMATS`], its variant of `event::Format`, and a
//! folder under `cases/parse/`.

pub mod access_json;
pub mod access_log;
pub mod app_log;
pub mod auditd;
pub mod auth_log;
pub mod cloudtrail;
pub mod json;
mod network;
mod produces;
pub mod raw;
mod refused;
mod sshd;
mod syslog;
pub mod web_inspection;
mod windows;

pub use produces::{PRODUCED, Produced};

use crate::{issue, text};
use event::{Event, Format, Issue, Map, Value};

/// A format: what it is, how an entry is recognised and read.
pub struct Spec {
    pub format: Format,
    /// What it is, for people; markdown.
    pub about: &'static str,
    /// The Sigma log source its events get, for people; markdown.
    pub log_source: &'static str,
    pub reader: Reader,
    /// One entry of it.
    pub example: &'static str,
}

/// How a format reads an entry. `split` has already found it, and parsed it if it is JSON.
pub enum Reader {
    /// A JSON object.
    Json { detect: fn(&Map) -> bool, read: fn(&mut Event, Map) },
    /// A line. `detect` is a cheap look at its beginning; `read` may still refuse, and then has changed nothing.
    Line { detect: fn(&str) -> bool, read: fn(&mut Event, &str) -> Result<(), Issue> },
    /// Whatever the others do not read.
    Rest,
}

/// Every format, in the order in which an entry is offered to them when its format is not stated.
pub static FORMATS: &[Spec] = &[
    cloudtrail::SPEC,
    web_inspection::SPEC,
    app_log::SPEC,
    access_json::SPEC,
    auth_log::SPEC,
    auditd::SPEC,
    access_log::SPEC,
    json::SPEC,
    raw::SPEC,
];

fn spec(format: Format) -> &'static Spec {
    FORMATS.iter().find(|spec| spec.format == format).expect("a test sees to it that FORMATS holds every format")
}

pub(crate) fn read_json(stated: Option<Format>, value: Value, event: &mut Event) {
    let Value::Map(map) = value else {
        event.issues.push(issue::issue("not_an_object", "JSON, but not an object"));
        return raw::read(event);
    };
    let map = unwrapped(map);
    let fits = |spec: &&Spec| matches!(spec.reader, Reader::Json { detect, .. } if detect(&map));
    let found = match stated {
        None => FORMATS.iter().find(fits),
        Some(format) => Some(spec(format)).filter(fits),
    };
    let found = found.unwrap_or_else(|| {
        let name = stated.map_or("json", Format::as_str);
        let detail = compact_str::format_compact!("not an object of format {name}");
        event.issues.push(issue::issue("format_mismatch", detail));
        &json::SPEC
    });
    event.format = found.format;
    if let Reader::Json { read, .. } = found.reader {
        read(event, map);
    }
}

/// Members in which shippers, indexes and test sets put the event itself.
const ENVELOPES: [&str; 4] = ["event", "_source", "record", "log"];

/// The event inside an envelope, if what is inside is a CloudTrail or Windows event and what is outside is not.
/// `raw` keeps the envelope.
fn unwrapped(map: Map) -> Map {
    let known = |map: &Map| cloudtrail::is_event(map) || windows::is_event(map);
    if known(&map) {
        return map;
    }
    let inside = ENVELOPES.iter().find_map(|name| map.get(name)?.as_map().filter(|inner| known(inner)).cloned());
    inside.unwrap_or(map)
}

pub(crate) fn read_text(stated: Option<Format>, event: &mut Event) {
    let bytes = event.raw.clone();
    let (text, replaced) = text::lossy(&bytes);
    if replaced {
        event.issues.push(issue::invalid_utf8());
    }
    let line = text.trim_start();
    let problem = match stated {
        None => detect_line(event, line).err().map(|()| issue::issue("unrecognised", "no format recognises it")),
        Some(format) => read_line(spec(format), event, line).err(),
    };
    if let Some(problem) = problem {
        if stated != Some(Format::Raw) {
            event.issues.push(problem);
        }
        raw::read(event);
    }
}

fn detect_line(event: &mut Event, text: &str) -> Result<(), ()> {
    let found = FORMATS.iter().any(
        |spec| matches!(spec.reader, Reader::Line { detect, .. } if detect(text) && read_line(spec, event, text).is_ok()),
    );
    if found { Ok(()) } else { Err(()) }
}

fn read_line(spec: &Spec, event: &mut Event, text: &str) -> Result<(), Issue> {
    match spec.reader {
        Reader::Line { read, .. } => {
            read(event, text)?;
            if event.format == Format::Raw {
                event.format = spec.format;
            }
            Ok(())
        }
        Reader::Json { .. } => Err(issue::issue("invalid_json", "not a JSON object")),
        Reader::Rest => Err(issue::issue("unrecognised", "the source said raw")),
    }
}
