//! Rows → the JSON that `Event::to_json` writes of the same event.

use super::schema::Rows;
use arrow_array::{Array, Float64Array, Int64Array, ListArray, StringArray, TimestampMicrosecondArray};
use event::{COLUMNS, Timestamp};
use serde_json::{Map, Value};

pub(super) fn to_json(rows: &Rows, row: usize) -> Value {
    let mut root = Map::new();
    for (leaf, column) in COLUMNS.iter().enumerate() {
        if let Some(value) = rows.columns[leaf].as_deref().and_then(|array| cell(array, row)) {
            event::insert(&mut root, column.path, value);
        }
    }
    event::insert(&mut root, "metadata.version", event::OCSF_VERSION.into());
    root.into()
}

fn cell(array: &dyn Array, row: usize) -> Option<Value> {
    if array.is_null(row) {
        return None;
    }
    let any = array.as_any();
    if let Some(texts) = any.downcast_ref::<StringArray>() {
        Some(texts.value(row).into())
    } else if let Some(ints) = any.downcast_ref::<Int64Array>() {
        Some(ints.value(row).into())
    } else if let Some(times) = any.downcast_ref::<TimestampMicrosecondArray>() {
        Some(Timestamp(times.value(row)).to_string().into())
    } else if let Some(floats) = any.downcast_ref::<Float64Array>() {
        Some(floats.value(row).into())
    } else {
        list(any.downcast_ref::<ListArray>()?, row)
    }
}

fn list(array: &ListArray, row: usize) -> Option<Value> {
    let values = array.value(row);
    let texts = values.as_any().downcast_ref::<StringArray>()?;
    Some(texts.iter().flatten().map(Value::from).collect::<Vec<_>>().into())
}
