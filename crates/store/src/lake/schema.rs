//! The table's columns: `event::COLUMNS` as leaves of nested Arrow structs, and the log position.

use arrow_array::{Array, ArrayRef, RecordBatch, StructArray, new_null_array};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use event::{COLUMNS, Column, Kind};
use serde_json::json;
use std::sync::{Arc, LazyLock};

/// The log offset of the record an event came from.
pub(super) const OFFSET: &str = "erne_offset";
/// Which event of the record it is.
pub(super) const INDEX: &str = "erne_index";
/// The partition column.
pub(super) const DAY: &str = "day";

/// One leaf column. The first leaves are `COLUMNS`, in their order; the position follows.
pub(super) struct Leaf {
    pub path: &'static str,
    pub data_type: DataType,
    pub bloom: bool,
    pub list: bool,
}

enum Node {
    Leaf(usize),
    Struct(Fields, Vec<Node>),
}

pub(super) struct Layout {
    pub leaves: Vec<Leaf>,
    /// The schema of the Parquet files: nested structs, without the partition column.
    pub schema: SchemaRef,
    nodes: Vec<Node>,
    pub time: usize,
    pub received: usize,
    pub severity: usize,
    pub raw: usize,
    pub source: usize,
    pub offset: usize,
    pub index: usize,
}

pub(super) static LAYOUT: LazyLock<Layout> = LazyLock::new(Layout::new);

impl Layout {
    fn new() -> Self {
        let mut leaves: Vec<Leaf> = COLUMNS.iter().map(leaf_of).collect();
        leaves.push(Leaf { path: OFFSET, data_type: DataType::Int64, bloom: false, list: false });
        leaves.push(Leaf { path: INDEX, data_type: DataType::Int32, bloom: false, list: false });
        let mut drafts = Vec::new();
        for (i, leaf) in leaves.iter().enumerate() {
            insert(&mut drafts, leaf.path, i);
        }
        let (fields, nodes) = drafts.into_iter().map(|(name, draft)| draft.finish(name, &leaves)).unzip();
        let find = |path: &str| leaves.iter().position(|l| l.path == path).expect("COLUMNS holds the path");
        Self {
            schema: Arc::new(Schema::new(Fields::from_iter::<Vec<FieldRef>>(fields))),
            nodes,
            time: find("time"),
            received: find("metadata.logged_time"),
            severity: find("severity_id"),
            raw: find("raw_data"),
            source: find("metadata.log_name"),
            offset: find(OFFSET),
            index: find(INDEX),
            leaves,
        }
    }

    pub fn leaf(&self, path: &str) -> Option<usize> {
        self.leaves.iter().position(|l| l.path == path)
    }

    /// Rows as one nested batch, without copying a value.
    pub fn nest(&self, rows: &Rows) -> Result<RecordBatch, ArrowError> {
        let arrays = self.nodes.iter().map(|node| self.nest_node(node, rows)).collect::<Result<_, _>>()?;
        RecordBatch::try_new(self.schema.clone(), arrays)
    }

    fn nest_node(&self, node: &Node, rows: &Rows) -> Result<ArrayRef, ArrowError> {
        match node {
            Node::Leaf(i) => Ok(rows.array(*i)),
            Node::Struct(fields, nodes) => {
                let children = nodes.iter().map(|n| self.nest_node(n, rows)).collect::<Result<_, _>>()?;
                Ok(Arc::new(StructArray::try_new(fields.clone(), children, None)?))
            }
        }
    }

    /// The leaves of a nested batch: the inverse of [`Self::nest`]; a leaf the batch lacks stays `None`.
    pub fn flatten(&self, batch: &RecordBatch, wanted: &[usize]) -> Rows {
        let mut rows = Rows::new(batch.num_rows(), self.leaves.len());
        for &i in wanted {
            rows.columns[i] = leaf_array(batch, self.leaves[i].path);
        }
        rows
    }

    /// The Delta schema, `day` included, as the log stores it.
    pub fn delta_schema(&self) -> serde_json::Value {
        let mut fields: Vec<_> = self.schema.fields().iter().map(|f| delta_field(f)).collect();
        fields.push(json!({"name": DAY, "type": "date", "nullable": true, "metadata": {}}));
        json!({"type": "struct", "fields": fields})
    }
}

fn leaf_of(column: &Column) -> Leaf {
    let data_type = match column.kind {
        Kind::Text => DataType::Utf8,
        Kind::Int => DataType::Int64,
        Kind::Float => DataType::Float64,
        Kind::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Kind::TextList => DataType::List(Arc::new(Field::new("element", DataType::Utf8, true))),
    };
    Leaf { path: column.path, data_type, bloom: column.bloom, list: column.kind == Kind::TextList }
}

enum Draft {
    Leaf(usize),
    Struct(Vec<(&'static str, Draft)>),
}

fn insert(drafts: &mut Vec<(&'static str, Draft)>, path: &'static str, leaf: usize) {
    let Some((head, rest)) = path.split_once('.') else {
        drafts.push((path, Draft::Leaf(leaf)));
        return;
    };
    if !drafts.iter().any(|(name, _)| *name == head) {
        drafts.push((head, Draft::Struct(Vec::new())));
    }
    for (name, draft) in drafts {
        if let Draft::Struct(children) = draft
            && *name == head
        {
            return insert(children, rest, leaf);
        }
    }
}

impl Draft {
    fn finish(self, name: &str, leaves: &[Leaf]) -> (FieldRef, Node) {
        match self {
            // Everything is nullable: a later version may add columns, and old files lack them.
            Self::Leaf(i) => (Arc::new(Field::new(name, leaves[i].data_type.clone(), true)), Node::Leaf(i)),
            Self::Struct(children) => {
                let (fields, nodes): (Vec<FieldRef>, _) =
                    children.into_iter().map(|(name, draft)| draft.finish(name, leaves)).unzip();
                let fields = Fields::from(fields);
                (Arc::new(Field::new(name, DataType::Struct(fields.clone()), true)), Node::Struct(fields, nodes))
            }
        }
    }
}

pub(super) fn leaf_array(batch: &RecordBatch, path: &str) -> Option<ArrayRef> {
    let (head, mut rest) = path.split_once('.').map_or((path, None), |(h, r)| (h, Some(r)));
    let mut array = batch.column_by_name(head)?.clone();
    while let Some(path) = rest {
        let (head, next) = path.split_once('.').map_or((path, None), |(h, r)| (h, Some(r)));
        array = array.as_any().downcast_ref::<StructArray>()?.column_by_name(head)?.clone();
        rest = next;
    }
    Some(array)
}

fn delta_field(field: &Field) -> serde_json::Value {
    json!({"name": field.name(), "type": delta_type(field.data_type()), "nullable": true, "metadata": {}})
}

fn delta_type(data_type: &DataType) -> serde_json::Value {
    match data_type {
        DataType::Struct(fields) => {
            json!({"type": "struct", "fields": fields.iter().map(|f| delta_field(f)).collect::<Vec<_>>()})
        }
        DataType::List(item) => {
            json!({"type": "array", "elementType": delta_type(item.data_type()), "containsNull": true})
        }
        DataType::Int64 => json!("long"),
        DataType::Int32 => json!("integer"),
        DataType::Float64 => json!("double"),
        DataType::Timestamp(..) => json!("timestamp"),
        _ => json!("string"),
    }
}

/// Rows as flat leaf arrays. `None` is a column without a value in any row, or one that was not asked for.
#[derive(Clone)]
pub(super) struct Rows {
    pub len: usize,
    pub columns: Vec<Option<ArrayRef>>,
}

impl Rows {
    pub fn new(len: usize, leaves: usize) -> Self {
        Self { len, columns: vec![None; leaves] }
    }

    pub fn array(&self, leaf: usize) -> ArrayRef {
        self.columns[leaf].clone().unwrap_or_else(|| new_null_array(&LAYOUT.leaves[leaf].data_type, self.len))
    }

    /// Microseconds of a time column without nulls; empty if the column is absent.
    pub fn micros(&self, leaf: usize) -> &[i64] {
        self.typed::<arrow_array::TimestampMicrosecondArray>(leaf).map_or(&[], |a| a.values())
    }

    pub fn typed<A: Array + 'static>(&self, leaf: usize) -> Option<&A> {
        self.columns[leaf].as_deref()?.as_any().downcast_ref::<A>()
    }

    pub fn times(&self) -> &[i64] {
        self.micros(LAYOUT.time)
    }

    pub fn offsets(&self) -> &[i64] {
        self.typed::<arrow_array::Int64Array>(LAYOUT.offset).map_or(&[], |a| a.values())
    }

    pub fn indices(&self) -> &[i32] {
        self.typed::<arrow_array::Int32Array>(LAYOUT.index).map_or(&[], |a| a.values())
    }

    pub fn key(&self, row: usize) -> Key {
        Key { time: self.times()[row], offset: self.offsets()[row], index: self.indices()[row] }
    }

    pub fn bytes(&self) -> usize {
        self.columns.iter().flatten().map(|a| a.get_array_memory_size()).sum()
    }
}

/// The order of events: by time, then by log position. Unique, so that a page can end at any event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub time: i64,
    pub offset: i64,
    pub index: i32,
}

/// Microseconds of a day.
pub(super) const DAY_MICROS: i64 = 86_400_000_000;
/// 9999-12-31, the last day that the partition's text form can name.
const DAY_MAX: i64 = 2_932_896;

/// The partition of an event, in days since 1970-01-01: its own day, or the day of receipt when its time is
/// absurd or beyond retention. Otherwise one sender with a broken clock makes a partition per event, and an
/// import of old logs would be acknowledged and deleted in the same minute.
pub(super) fn partition(time: i64, received: i64, retention_days: u32) -> i64 {
    const PAST_DAYS_MAX: i64 = 400;
    const FUTURE_MAX: i64 = 2 * DAY_MICROS;
    let past_max = i64::from(retention_days).saturating_sub(1).clamp(0, PAST_DAYS_MAX) * DAY_MICROS;
    let age = received.saturating_sub(time);
    let chosen = if (-FUTURE_MAX..=past_max).contains(&age) { time } else { received };
    chosen.div_euclid(DAY_MICROS).clamp(0, DAY_MAX)
}

/// `2026-11-20`.
pub(super) fn day_text(day: i64) -> String {
    event::Timestamp(day * DAY_MICROS).day()
}

pub(super) fn parse_day(text: &str) -> Option<i64> {
    Some(event::Timestamp::parse(&format!("{text}T00:00:00Z"))?.0.div_euclid(DAY_MICROS))
}
