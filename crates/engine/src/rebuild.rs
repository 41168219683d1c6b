//! Events as the processor saw them, out of the lake: the stored entry is read again in its stored format, with
//! its stored source and time of receipt, which is all that parsing depends on.
//!
//! What does not come back: bytes that were no UTF-8 (the lake holds text), and, if the parser has changed
//! since, what it read then. An entry whose time differs from the stored one is told apart.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use event::{Bytes, CompactString, Event, Format, Position, Record, Timestamp};
use parse::enrich::Enricher;

/// The columns that a rebuilt event needs.
pub(crate) const COLUMNS: &[&str] = &[
    "time", "metadata.uid", "metadata.logged_time", "metadata.log_name", "metadata.log_format", "raw_data",
    "erne_offset", "erne_index",
];

/// An event as it is stored.
pub(crate) struct Stored<'a> {
    pub time: Timestamp,
    pub uid: &'a str,
    pub received: Timestamp,
    pub source: &'a str,
    pub format: Format,
    pub raw: &'a str,
    pub position: Position,
}

/// A rebuilt event, and whether it has the time that is stored.
pub(crate) struct Rebuilt {
    pub event: Event,
    pub same_time: bool,
}

impl Stored<'_> {
    /// Reads the entry again; `None` when it does not come to exactly one event.
    pub fn rebuild(&self, enricher: &Enricher) -> Option<Rebuilt> {
        let record = Record {
            source: self.source.into(),
            format: Some(self.format),
            received: self.received,
            peer: None,
            body: Bytes::copy_from_slice(self.raw.as_bytes()),
        };
        let mut events = parse::events(&record, self.position.offset);
        let (Some(mut event), None) = (events.next(), events.next()) else { return None };
        event.uid = CompactString::from(self.uid);
        event.position = self.position;
        enricher.enrich(&mut event);
        let same_time = event.time == self.time;
        Some(Rebuilt { event, same_time })
    }
}

/// One event as a search answers it.
pub(crate) fn of_json(event: &serde_json::Value, enricher: &Enricher) -> Option<Rebuilt> {
    let metadata = &event["metadata"];
    let stored = Stored {
        time: Timestamp::parse(event["time"].as_str()?)?,
        uid: metadata["uid"].as_str()?,
        received: Timestamp::parse(metadata["logged_time"].as_str()?)?,
        source: metadata["log_name"].as_str()?,
        format: Format::parse(metadata["log_format"].as_str()?)?,
        raw: event["raw_data"].as_str()?,
        position: Position::default(),
    };
    stored.rebuild(enricher)
}

/// Calls `visit` with every row of a batch of [`COLUMNS`]; `None` for one that lacks something.
pub(crate) fn rows(batch: &RecordBatch, visit: &mut dyn FnMut(Option<Stored<'_>>)) {
    let columns: Vec<Option<&ArrayRef>> = COLUMNS.iter().map(|name| batch.column_by_name(name)).collect();
    for row in 0..batch.num_rows() {
        visit(stored(&columns, row));
    }
}

fn stored<'a>(columns: &[Option<&'a ArrayRef>], row: usize) -> Option<Stored<'a>> {
    let [time, uid, received, source, format, raw, offset, index] = columns else { return None };
    let text = |array: &Option<&'a ArrayRef>| {
        let array = (*array)?.as_string_opt::<i32>()?;
        array.is_valid(row).then(|| array.value(row))
    };
    let moment = |array: &Option<&ArrayRef>| Some(Timestamp((*array)?.as_primitive_opt::<TimestampMicrosecondType>()?.value(row)));
    let offset = (*offset)?.as_primitive_opt::<Int64Type>()?.value(row);
    let index = (*index)?.as_primitive_opt::<Int32Type>()?.value(row);
    Some(Stored {
        time: moment(time)?,
        uid: text(uid)?,
        received: moment(received)?,
        source: text(source)?,
        format: Format::parse(text(format)?)?,
        raw: text(raw)?,
        position: Position { offset: offset as u64, index: index as u32 },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_comes_back_from_what_is_stored_of_it() {
        let (enricher, _) = Enricher::new(Default::default());
        for spec in parse::FORMATS {
            let record = Record {
                source: "nginx-1".into(),
                format: None,
                received: Timestamp::parse("2026-11-21T00:00:00Z").expect("a time"),
                peer: None,
                body: Bytes::from_static(spec.example.as_bytes()),
            };
            let mut events: Vec<Event> = parse::events(&record, 9).collect();
            for event in &mut events {
                enricher.enrich(event);
                let back = of_json(&event.to_json(), &enricher).unwrap_or_else(|| panic!("{} comes back", spec.format));
                assert!(back.same_time, "{}", spec.format);
                assert_eq!((&back.event.uid, &back.event.ocsf, back.event.log_source), (&event.uid, &event.ocsf, event.log_source));
                let json = |event: &Event| serde_json::to_value(&event.native).expect("values are JSON");
                assert_eq!(json(&back.event), json(event), "{}", spec.format);
            }
        }
    }
}
