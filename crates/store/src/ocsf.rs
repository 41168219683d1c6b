//! Events as Parquet that others read as OCSF: nested columns under its names, times as milliseconds with a `_dt` beside
//! them, the numbers that it requires, and under `unmapped` what it has no place for.
//!
//! Every file has every column, whatever its events lack: tables over many files, as a crawler makes them, stay one. The
//! lake's own files (`lake::file`) differ in what their queries need: microseconds, bloom filters, checksums, positions.

use crate::lake::array;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, StructArray, TimestampMillisecondArray};
use arrow_schema::{ArrowError, Field, FieldRef, Fields, Schema};
use event::{COLUMNS, Event, Kind, Status};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use std::sync::Arc;

/// The service asks for pages of at most 1 MB before compression and row groups of at most 256 MB after it.
const PAGE_BYTES: usize = 1 << 20;
const GROUP_ROWS: usize = 131_072;
const ZSTD_LEVEL: i32 = 3;
/// Raw bytes that one Arrow batch may hold: its text columns address 2 GB.
const BATCH_RAW_BYTES: usize = 64 << 20;
/// OCSF's numbers for an activity that it has no number for, and for none at all.
const ACTIVITY_OTHER: i32 = 99;
const ACTIVITY_UNKNOWN: i32 = 0;

/// Columns of ours that OCSF has no place for, or another one.
const MOVED: [(&str, &str); 8] = [
    ("metadata.issues", "unmapped.issues"),
    ("metadata.log_format", "unmapped.log_format"),
    ("enrichments.threat_lists", "unmapped.threat_lists"),
    ("finding_info.rules", "unmapped.rules"),
    ("resource.uid", "unmapped.resource_uid"),
    ("user_agent.name", "unmapped.user_agent.name"),
    ("user_agent.os", "unmapped.user_agent.os"),
    ("user_agent.device", "unmapped.user_agent.device"),
];

/// One file, its rows in the order of the events.
pub fn parquet(events: &[&Event]) -> Result<Vec<u8>, ParquetError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_data_page_size_limit(PAGE_BYTES)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_created_by(format!("erne {}", env!("CARGO_PKG_VERSION")))
        .build();
    let schema = batch(&[])?.schema();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties))?;
    let (mut from, mut bytes) = (0, 0);
    for (i, event) in events.iter().enumerate() {
        if i > from && bytes + event.raw.len() > BATCH_RAW_BYTES {
            writer.write(&batch(&events[from..i])?)?;
            (from, bytes) = (i, 0);
        }
        bytes += event.raw.len();
    }
    writer.write(&batch(&events[from..])?)?;
    writer.into_inner()
}

fn batch(events: &[&Event]) -> Result<RecordBatch, ArrowError> {
    let mut leaves: Vec<(String, ArrayRef)> = Vec::new();
    for column in COLUMNS {
        let path = MOVED.iter().find_map(|(ours, theirs)| (*ours == column.path).then_some(*theirs)).unwrap_or(column.path);
        let values = array(column, events, column.path == "raw_data");
        if column.kind == Kind::Time {
            let micros = values.as_primitive::<TimestampMicrosecondType>();
            let millis = || micros.iter().map(|time| time.map(|time| time.div_euclid(1_000)));
            leaves.push((path.to_owned(), Arc::new(millis().collect::<Int64Array>())));
            let moments: TimestampMillisecondArray = millis().collect();
            leaves.push((format!("{path}_dt"), Arc::new(moments.with_timezone("UTC"))));
        } else {
            leaves.push((path.to_owned(), values));
        }
    }
    let mut number = |path: &str, of: fn(&Event) -> i32| {
        leaves.push((path.to_owned(), Arc::new(Int32Array::from_iter_values(events.iter().map(|event| of(event))))));
    };
    number("class_uid", class);
    number("category_uid", |event| class(event) / 1_000);
    number("activity_id", activity);
    number("type_uid", |event| class(event) * 100 + activity(event));
    number("status_id", |event| match event.ocsf.status {
        Status::Unknown => 0,
        Status::Success => 1,
        Status::Failure => 2,
    });
    leaves.push(("metadata.version".into(), Arc::new(StringArray::from_iter_values(events.iter().map(|_| event::OCSF_VERSION)))));
    let (fields, arrays): (Vec<FieldRef>, Vec<ArrayRef>) = nested(&leaves.iter().map(|(path, array)| (path.as_str(), array)).collect::<Vec<_>>())?;
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}

fn class(event: &Event) -> i32 {
    event.class.uid() as i32
}

fn activity(event: &Event) -> i32 {
    if event.ocsf.activity.is_some() { ACTIVITY_OTHER } else { ACTIVITY_UNKNOWN }
}

/// Leaves by dotted paths as structs, each name at the place where it is met first.
fn nested(leaves: &[(&str, &ArrayRef)]) -> Result<(Vec<FieldRef>, Vec<ArrayRef>), ArrowError> {
    let head = |path: &str| path.split_once('.').map_or(path, |(head, _)| head).to_owned();
    let mut heads: Vec<String> = Vec::new();
    for (path, _) in leaves {
        if !heads.contains(&head(path)) {
            heads.push(head(path));
        }
    }
    let mut fields = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for name in heads {
        let inner: Vec<(&str, &ArrayRef)> =
            leaves.iter().filter_map(|(path, array)| Some((path.strip_prefix(name.as_str())?.strip_prefix('.')?, *array))).collect();
        let array: ArrayRef = if inner.is_empty() {
            leaves.iter().find(|(path, _)| *path == name).map(|(_, array)| (*array).clone()).expect("the name is a leaf's")
        } else {
            let (fields, arrays) = nested(&inner)?;
            Arc::new(StructArray::try_new(Fields::from(fields), arrays, None)?)
        };
        fields.push(Arc::new(Field::new(name, array.data_type().clone(), true)));
        arrays.push(array);
    }
    Ok((fields, arrays))
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::{Class, Format, Position, Timestamp};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    #[test]
    fn a_file_has_the_columns_of_ocsf_and_the_rows_in_their_order() {
        let events: Vec<Event> = (0..3_u64)
            .map(|i| {
                let at = Timestamp(1_790_000_000_123_456 + i as i64);
                let mut event = Event::new(format!("e{i}").into(), Position { offset: i, index: 0 }, at, "app".into(), Format::Json, "{}".into());
                event.class = Class::ApiActivity;
                event.ocsf.activity = Some("Create".into());
                event.ocsf.status = Status::Failure;
                event
            })
            .collect();
        let bytes = parquet(&events.iter().collect::<Vec<_>>()).unwrap();
        let mut reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap().build().unwrap();
        let rows = reader.next().unwrap().unwrap();
        let number = |path: &str| rows.column_by_name(path).unwrap().as_primitive::<arrow_array::types::Int32Type>().value(2);
        assert_eq!((number("class_uid"), number("category_uid"), number("type_uid"), number("status_id")), (6_003, 6, 600_399, 2));
        let times = rows.column_by_name("time").unwrap().as_primitive::<arrow_array::types::Int64Type>();
        assert_eq!((rows.num_rows(), times.value(0)), (3, 1_790_000_000_123));
        let metadata = rows.column_by_name("metadata").unwrap().as_struct();
        assert_eq!(metadata.column_by_name("uid").unwrap().as_string::<i32>().value(2), "e2");
        assert_eq!(metadata.column_by_name("version").unwrap().as_string::<i32>().value(2), event::OCSF_VERSION);
        assert!(rows.column_by_name("unmapped").unwrap().as_struct().column_by_name("rules").is_some());
        assert!(reader.next().is_none());
        for (ours, _) in MOVED {
            assert!(COLUMNS.iter().any(|column| column.path == ours), "{ours} is no column");
        }
    }
}
