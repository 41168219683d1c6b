//! Record batches → the rows of the answer, within bounds.

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Float32Array, Float64Array, RecordBatch, StructArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray,
};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use event::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnType {
    pub name: String,
    /// text, integer, number, boolean, timestamp, date, interval, list, struct, null or other.
    pub r#type: &'static str,
}

/// What a query answers.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Answer {
    pub columns: Vec<ColumnType>,
    pub rows: Vec<Vec<Value>>,
    /// There are more rows than the limit, or their bytes were too many.
    pub truncated: bool,
    pub took_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
}

pub(crate) fn type_name(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text",
        t if t.is_integer() => "integer",
        t if t.is_floating() || t.is_decimal() => "number",
        DataType::Boolean => "boolean",
        DataType::Timestamp(..) => "timestamp",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Interval(_) | DataType::Duration(_) => "interval",
        DataType::List(_) | DataType::LargeList(_) | DataType::ListView(_) | DataType::FixedSizeList(..) => "list",
        DataType::Struct(_) => "struct",
        DataType::Null => "null",
        _ => "other",
    }
}

/// Adds the batch's rows until there are `rows_max` or `bytes` left are used up. Answers whether all fitted.
pub(crate) fn add(batch: &RecordBatch, rows: &mut Vec<Vec<Value>>, rows_max: usize, bytes_left: &mut usize) -> bool {
    for row in 0..batch.num_rows() {
        if rows.len() >= rows_max {
            return false;
        }
        let cells: Vec<Value> = batch.columns().iter().map(|array| cell(array, row)).collect();
        let bytes: usize = cells.iter().map(size).sum();
        if bytes > *bytes_left {
            return false;
        }
        *bytes_left -= bytes;
        rows.push(cells);
    }
    true
}

/// About the bytes of the JSON text.
fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 3,
        Value::Array(list) => list.iter().map(size).sum::<usize>() + 2,
        Value::Object(map) => map.iter().map(|(k, v)| k.len() + 4 + size(v)).sum::<usize>() + 2,
        _ => 8,
    }
}

fn cell(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    let any = array.as_any();
    match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).into(),
        DataType::Utf8View => array.as_string_view().value(row).into(),
        DataType::Boolean => any.downcast_ref::<BooleanArray>().map_or(Value::Null, |a| a.value(row).into()),
        DataType::Float64 => any.downcast_ref::<Float64Array>().map_or(Value::Null, |a| a.value(row).into()),
        DataType::Float32 => any.downcast_ref::<Float32Array>().map_or(Value::Null, |a| f64::from(a.value(row)).into()),
        DataType::Date32 => any.downcast_ref::<Date32Array>().map_or(Value::Null, |a| date(a.value(row)).into()),
        DataType::Timestamp(unit, _) => micros(array, unit, row).map_or(Value::Null, |t| Timestamp(t).to_string().into()),
        t if t.is_integer() => integer(array, row),
        DataType::List(_) => list(&array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(row)),
        DataType::Struct(_) => any.downcast_ref::<StructArray>().map_or(Value::Null, |a| object(a, row)),
        _ => other(array, row),
    }
}

fn integer(array: &ArrayRef, row: usize) -> Value {
    use datafusion::arrow::datatypes::{Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type};
    match array.data_type() {
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(row).into(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(row).into(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).into(),
        _ => array.as_primitive::<UInt64Type>().value(row).into(),
    }
}

fn micros(array: &ArrayRef, unit: &TimeUnit, row: usize) -> Option<i64> {
    let any = array.as_any();
    match unit {
        TimeUnit::Second => Some(any.downcast_ref::<TimestampSecondArray>()?.value(row).saturating_mul(1_000_000)),
        TimeUnit::Millisecond => Some(any.downcast_ref::<TimestampMillisecondArray>()?.value(row).saturating_mul(1_000)),
        TimeUnit::Microsecond => Some(any.downcast_ref::<TimestampMicrosecondArray>()?.value(row)),
        TimeUnit::Nanosecond => Some(any.downcast_ref::<TimestampNanosecondArray>()?.value(row).div_euclid(1_000)),
    }
}

fn date(days: i32) -> String {
    Timestamp(i64::from(days).saturating_mul(86_400_000_000)).day()
}

fn list(values: &ArrayRef) -> Value {
    (0..values.len()).map(|i| cell(values, i)).collect::<Vec<_>>().into()
}

fn object(array: &StructArray, row: usize) -> Value {
    let cells = array.fields().iter().zip(array.columns()).map(|(f, column)| (f.name().clone(), cell(column, row)));
    cells.collect::<Map<_, _>>().into()
}

/// Types that no column of ours has, as text.
fn other(array: &ArrayRef, row: usize) -> Value {
    let options = FormatOptions::default();
    match ArrayFormatter::try_new(array.as_ref(), &options) {
        Ok(formatter) => formatter.value(row).to_string().into(),
        Err(_) => Value::Null,
    }
}
