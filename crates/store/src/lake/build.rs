//! Events → Arrow: one pass over the events per column.

use super::schema::{LAYOUT, Rows};
use arrow_array::builder::{Float64Builder, Int64Builder, ListBuilder, StringBuilder, TimestampMicrosecondBuilder};
use arrow_array::{Array, ArrayRef, Int32Array, Int64Array};
use arrow_schema::{DataType, Field};
use event::{COLUMNS, Cell, Column, Event, Kind};
use std::sync::Arc;

/// A batch is closed at this many rows …
const BATCH_ROWS_MAX: usize = 65_536;
/// … or raw bytes: Arrow's text columns address 2 GB, and other columns may repeat the raw text.
const BATCH_BYTES_MAX: usize = 32 << 20;

/// The events as batches of bounded size.
pub(super) fn build(events: &[&Event]) -> Vec<Rows> {
    let mut batches = Vec::new();
    let mut from = 0;
    let mut bytes = 0;
    for (i, event) in events.iter().enumerate() {
        if i > from && (i - from >= BATCH_ROWS_MAX || bytes + event.raw.len() > BATCH_BYTES_MAX) {
            batches.push(batch(&events[from..i]));
            (from, bytes) = (i, 0);
        }
        bytes += event.raw.len();
    }
    if from < events.len() {
        batches.push(batch(&events[from..]));
    }
    batches
}

fn batch(events: &[&Event]) -> Rows {
    let mut rows = Rows::new(events.len(), LAYOUT.leaves.len());
    for (i, column) in COLUMNS.iter().enumerate() {
        let mut array = array(column, events, i == LAYOUT.raw);
        rows.columns[i] = (array.null_count() < array.len()).then(|| {
            if let Some(array) = Arc::get_mut(&mut array) {
                array.shrink_to_fit();
            }
            array
        });
    }
    let offsets = events.iter().map(|e| e.position.offset as i64);
    rows.columns[LAYOUT.offset] = Some(Arc::new(Int64Array::from_iter_values(offsets)));
    let indices = events.iter().map(|e| e.position.index as i32);
    rows.columns[LAYOUT.index] = Some(Arc::new(Int32Array::from_iter_values(indices)));
    rows
}

/// One column of the events; `raw` is the one whose text is as long as the entries.
pub(crate) fn array(column: &Column, events: &[&Event], raw: bool) -> ArrayRef {
    match column.kind {
        Kind::Text => text(column, events, raw),
        Kind::Int => {
            let mut builder = Int64Builder::with_capacity(events.len());
            for event in events {
                builder.append_option(if let Cell::Int(v) = (column.get)(event) { Some(v) } else { None });
            }
            Arc::new(builder.finish())
        }
        Kind::Float => {
            let mut builder = Float64Builder::with_capacity(events.len());
            for event in events {
                builder.append_option(if let Cell::Float(v) = (column.get)(event) { Some(v) } else { None });
            }
            Arc::new(builder.finish())
        }
        Kind::Time => {
            let mut builder = TimestampMicrosecondBuilder::with_capacity(events.len());
            for event in events {
                builder.append_option(if let Cell::Time(v) = (column.get)(event) { Some(v.0) } else { None });
            }
            Arc::new(builder.finish().with_timezone("UTC"))
        }
        Kind::TextList => texts(column, events),
    }
}

fn text(column: &Column, events: &[&Event], raw: bool) -> ArrayRef {
    let guess = if raw { events.iter().map(|e| e.raw.len()).sum() } else { events.len() * 8 };
    let mut builder = StringBuilder::with_capacity(events.len(), guess);
    for event in events {
        match (column.get)(event) {
            Cell::Text(text) => builder.append_value(text),
            _ => builder.append_null(),
        }
    }
    Arc::new(builder.finish())
}

fn texts(column: &Column, events: &[&Event]) -> ArrayRef {
    let field = Field::new("element", DataType::Utf8, true);
    let mut builder = ListBuilder::with_capacity(StringBuilder::new(), events.len()).with_field(field);
    for event in events {
        match (column.get)(event) {
            Cell::Texts(list) => {
                for text in list {
                    builder.values().append_value(text);
                }
                builder.append(true);
            }
            _ => builder.append(false),
        }
    }
    Arc::new(builder.finish())
}
