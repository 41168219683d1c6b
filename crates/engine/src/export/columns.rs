//! Parquet: a column for each of those asked for, under its dotted path.

use super::{Encoder, at};
use arrow_array::builder::{Float64Builder, Int64Builder, ListBuilder, StringBuilder, TimestampMicrosecondBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use event::{Column, Kind, Timestamp};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde_json::Value;
use std::sync::Arc;

/// Events turned into columns at once …
const BATCH_ROWS: usize = 1_024;
/// … and in a row group, which is held until it is complete.
const GROUP_ROWS: usize = 16_384;

pub(super) struct Columns {
    columns: Vec<&'static Column>,
    schema: SchemaRef,
    events: Vec<Value>,
    writer: Option<ArrowWriter<Vec<u8>>>,
    /// The last bytes, once the writer is closed.
    out: Vec<u8>,
}

impl Columns {
    pub fn new(columns: Vec<&'static Column>) -> Self {
        let fields: Vec<Field> = columns.iter().map(|c| Field::new(c.path, data_type(c.kind), true)).collect();
        Self { columns, schema: Arc::new(Schema::new(fields)), events: Vec::new(), writer: None, out: Vec::new() }
    }

    fn write(&mut self) -> Result<(), String> {
        let events = std::mem::take(&mut self.events);
        let arrays = self.columns.iter().map(|c| array(c, &events)).collect();
        let batch = RecordBatch::try_new(self.schema.clone(), arrays).map_err(|e| e.to_string())?;
        let writer = self.writer.as_mut().ok_or("it is closed")?;
        writer.write(&batch).map_err(|e| e.to_string())
    }
}

impl Encoder for Columns {
    fn begin(&mut self) -> Result<(), String> {
        let level = ZstdLevel::try_new(1).map_err(|e| e.to_string())?;
        let properties = WriterProperties::builder()
            .set_created_by(concat!("erne ", env!("CARGO_PKG_VERSION")).into())
            .set_compression(Compression::ZSTD(level))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .build();
        let writer = ArrowWriter::try_new(Vec::new(), self.schema.clone(), Some(properties)).map_err(|e| e.to_string())?;
        self.writer = Some(writer);
        Ok(())
    }

    fn add(&mut self, event: &Value) -> Result<(), String> {
        self.events.push(event.clone());
        if self.events.len() >= BATCH_ROWS { self.write() } else { Ok(()) }
    }

    fn end(&mut self) -> Result<(), String> {
        self.write()?;
        let writer = self.writer.take().ok_or("it is closed")?;
        self.out = writer.into_inner().map_err(|e| e.to_string())?;
        Ok(())
    }

    fn bytes(&mut self) -> &mut Vec<u8> {
        match &mut self.writer {
            Some(writer) => writer.inner_mut(),
            None => &mut self.out,
        }
    }
}

fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Text => DataType::Utf8,
        Kind::Int => DataType::Int64,
        Kind::Float => DataType::Float64,
        Kind::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Kind::TextList => DataType::List(Arc::new(Field::new("element", DataType::Utf8, true))),
    }
}

fn array(column: &Column, events: &[Value]) -> ArrayRef {
    let values = events.iter().map(|e| at(e, column.path));
    match column.kind {
        Kind::Text => {
            let mut builder = StringBuilder::new();
            values.for_each(|v| builder.append_option(v.and_then(Value::as_str)));
            Arc::new(builder.finish())
        }
        Kind::Int => {
            let mut builder = Int64Builder::new();
            values.for_each(|v| builder.append_option(v.and_then(Value::as_i64)));
            Arc::new(builder.finish())
        }
        Kind::Float => {
            let mut builder = Float64Builder::new();
            values.for_each(|v| builder.append_option(v.and_then(Value::as_f64)));
            Arc::new(builder.finish())
        }
        Kind::Time => {
            let mut builder = TimestampMicrosecondBuilder::new();
            values.for_each(|v| builder.append_option(v.and_then(Value::as_str).and_then(Timestamp::parse).map(|t| t.0)));
            Arc::new(builder.finish().with_timezone("UTC"))
        }
        Kind::TextList => {
            let field = Field::new("element", DataType::Utf8, true);
            let mut builder = ListBuilder::new(StringBuilder::new()).with_field(field);
            for value in values {
                let list = value.and_then(Value::as_array);
                for text in list.into_iter().flatten().filter_map(Value::as_str) {
                    builder.values().append_value(text);
                }
                builder.append(list.is_some());
            }
            Arc::new(builder.finish())
        }
    }
}
