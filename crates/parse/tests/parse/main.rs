//! The tests of `parse`: what each format gives, what hostile bytes give, and how much of real logs is read.

#![allow(clippy::unwrap_used)]

mod cases;
mod docs;
mod enrich;
mod formats;
mod hostile;
mod produces;
mod samples;

use event::{Event, Format, Record, Timestamp};
use std::fmt::Write;
use std::path::PathBuf;

/// The time of receipt in all tests.
const RECEIVED: &str = "2026-11-21T00:00:00Z";

fn record(body: &[u8], format: Option<Format>, source: &str) -> Record {
    let received = Timestamp::parse(RECEIVED).unwrap();
    Record { source: source.into(), format, received, peer: None, body: body.to_vec().into() }
}

fn parse_as(body: &[u8], format: Option<Format>) -> Vec<Event> {
    let mut events = Vec::new();
    parse::parse(&record(body, format, "test"), 7, &mut events);
    events
}

fn parse_text(body: &str) -> Vec<Event> {
    parse_as(body.as_bytes(), None)
}

/// An event as people review it: the columns (without the ones every event has alike), then the native
/// fields, then Sigma's log source.
fn show(event: &Event) -> serde_json::Value {
    let mut json = event.to_json();
    json["metadata"].as_object_mut().unwrap().remove("version");
    for name in ["logged_time", "log_name"] {
        json["metadata"].as_object_mut().unwrap().remove(name);
    }
    for name in ["severity", "severity_id"] {
        json.as_object_mut().unwrap().remove(name);
    }
    json["native"] = serde_json::to_value(&event.native).unwrap();
    let source = event.log_source;
    json["log_source"] = [source.product, source.category, source.service].join("/").into();
    json
}

/// The columns as `path=value` lines, with `raw_data` and the uid left out.
fn columns(event: &Event) -> String {
    let mut text = String::new();
    let source = event.log_source;
    writeln!(text, "sigma={}/{}/{}", source.product, source.category, source.service).unwrap();
    for column in event::COLUMNS {
        let skip = ["raw_data", "metadata.uid", "metadata.logged_time", "metadata.log_name", "severity", "severity_id"];
        if skip.contains(&column.path) {
            continue;
        }
        match (column.get)(event) {
            event::Cell::Null => {}
            event::Cell::Text(value) => writeln!(text, "{}={value}", column.path).unwrap(),
            event::Cell::Int(value) => writeln!(text, "{}={value}", column.path).unwrap(),
            event::Cell::Float(value) => writeln!(text, "{}={value}", column.path).unwrap(),
            event::Cell::Time(value) => writeln!(text, "{}={value}", column.path).unwrap(),
            event::Cell::Texts(values) => writeln!(text, "{}={}", column.path, values.join("; ")).unwrap(),
        }
    }
    text
}

fn project(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// A file of the shared test data, unpacked; `None`, and said so, where the data is not on this machine.
fn shared(path: &str) -> Option<Vec<u8>> {
    let root = shared_root()?;
    let bytes = std::fs::read(root.join(path)).unwrap_or_else(|error| panic!("{}: {error}", root.join(path).display()));
    Some(if path.ends_with(".zst") { zstd::decode_all(&bytes[..]).unwrap() } else { bytes })
}

fn shared_root() -> Option<PathBuf> {
    let root = std::env::var_os("ERNE_SHARED").map_or_else(
        || [project("../shared"), project("../../shared")].into_iter().find(|p| p.join("data").is_dir()),
        |path| Some(PathBuf::from(path)),
    );
    match root {
        Some(root) => Some(root.join("data")),
        None => {
            println!("skipped: the shared test data is not here (../shared, or set ERNE_SHARED)");
            None
        }
    }
}
