//! The small tables: alerts, incidents and findings of the control plane, newest first, as Arrow columns.

use datafusion::arrow::array::{ArrayRef, Int64Array, ListBuilder, RecordBatch, StringBuilder, StringViewArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::common::Result;
use event::{Alert, Finding, Incident, Timestamp};
use std::sync::Arc;

/// Rows of a small table: the newest ones.
pub const RECORDS_MAX: usize = 10_000;

enum Kind {
    Text,
    Int,
    Time,
    Texts,
}
use Kind::{Int, Text, Texts, Time};

const ALERTS: &[(&str, Kind)] = &[
    ("id", Text), ("rule_id", Text), ("rule_name", Text), ("severity", Text), ("severity_id", Int), ("state", Text), ("signal", Text),
    ("entity_kind", Text), ("entity", Text), ("first_seen", Time), ("last_seen", Time), ("finding_count", Int), ("event_count", Int),
    ("summary", Text), ("user_name", Text), ("source_ip", Text), ("event_name", Text), ("country", Text), ("techniques", Texts),
    ("tactics", Texts), ("incident_id", Text),
];

const INCIDENTS: &[(&str, Kind)] = &[
    ("id", Text), ("title", Text), ("severity", Text), ("severity_id", Int), ("state", Text), ("risk", Int), ("entity_kind", Text),
    ("entity", Text), ("first_seen", Time), ("last_seen", Time), ("alert_count", Int), ("signal_count", Int), ("event_count", Int),
    ("techniques", Texts), ("tactics", Texts), ("assignee", Text),
];

const FINDINGS: &[(&str, Kind)] = &[
    ("id", Text), ("time", Time), ("rule_id", Text), ("rule_name", Text), ("severity", Text), ("severity_id", Int), ("entity_kind", Text),
    ("entity", Text), ("event_count", Int), ("event_ids", Texts), ("summary", Text), ("user_name", Text), ("source_ip", Text),
    ("event_name", Text), ("techniques", Texts),
];

pub(crate) const TABLES: [&str; 3] = ["alerts", "incidents", "findings"];

/// The columns of a small table.
pub(crate) fn schema(table: &str) -> SchemaRef {
    let columns = match table {
        "alerts" => ALERTS,
        "incidents" => INCIDENTS,
        _ => FINDINGS,
    };
    let field = |(name, kind): &(&str, Kind)| {
        let data_type = match kind {
            Text => DataType::Utf8View,
            Int => DataType::Int64,
            Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Texts => DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
        };
        Field::new(*name, data_type, true)
    };
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

fn text<'a, T>(rows: &'a [T], get: impl Fn(&'a T) -> Option<&'a str>) -> ArrayRef {
    Arc::new(rows.iter().map(get).collect::<StringViewArray>())
}

fn owned<T>(rows: &[T], get: impl Fn(&T) -> Option<String>) -> ArrayRef {
    Arc::new(rows.iter().map(get).collect::<StringViewArray>())
}

fn int<T>(rows: &[T], get: impl Fn(&T) -> i64) -> ArrayRef {
    Arc::new(rows.iter().map(|r| Some(get(r))).collect::<Int64Array>())
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn time<T>(rows: &[T], get: impl Fn(&T) -> Timestamp) -> ArrayRef {
    let times = rows.iter().map(|r| Some(get(r).0)).collect::<TimestampMicrosecondArray>();
    Arc::new(times.with_timezone("UTC"))
}

fn texts<'a, T: 'a, S: AsRef<str> + 'a>(rows: &'a [T], get: impl Fn(&'a T) -> &'a [S]) -> ArrayRef {
    let mut builder = ListBuilder::new(StringBuilder::new());
    for row in rows {
        for value in get(row) {
            builder.values().append_value(value);
        }
        builder.append(true);
    }
    Arc::new(builder.finish())
}

pub(crate) fn alerts(rows: &[Alert]) -> Result<RecordBatch> {
    let columns = vec![
        owned(rows, |a| Some(a.id.to_string())),
        text(rows, |a| Some(&a.rule.id)),
        text(rows, |a| Some(&a.rule.name)),
        text(rows, |a| Some(a.severity.as_str())),
        int(rows, |a| a.severity.ocsf_id()),
        text(rows, |a| Some(a.state.as_str())),
        text(rows, |a| Some(if a.rule.handling.signal { "true" } else { "false" })),
        text(rows, |a| Some(a.entity.kind.as_str())),
        text(rows, |a| Some(&a.entity.value)),
        time(rows, |a| a.first_seen),
        time(rows, |a| a.last_seen),
        int(rows, |a| count(a.finding_count)),
        int(rows, |a| count(a.event_count)),
        text(rows, |a| Some(&a.summary)),
        text(rows, |a| a.user.as_deref()),
        text(rows, |a| a.source_ip.as_deref()),
        text(rows, |a| a.event_name.as_deref()),
        text(rows, |a| a.place.as_ref().map(|p| &*p.2)),
        texts(rows, |a| &a.rule.techniques),
        texts(rows, |a| &a.rule.tactics),
        owned(rows, |a| a.incident.map(|i| i.to_string())),
    ];
    Ok(RecordBatch::try_new(schema("alerts"), columns)?)
}

pub(crate) fn incidents(rows: &[Incident]) -> Result<RecordBatch> {
    let columns = vec![
        owned(rows, |i| Some(i.id.to_string())),
        text(rows, |i| Some(&i.title)),
        text(rows, |i| Some(i.severity.as_str())),
        int(rows, |i| i.severity.ocsf_id()),
        text(rows, |i| Some(i.state.as_str())),
        int(rows, |i| i64::from(i.risk)),
        text(rows, |i| Some(i.entity.kind.as_str())),
        text(rows, |i| Some(&i.entity.value)),
        time(rows, |i| i.first_seen),
        time(rows, |i| i.last_seen),
        int(rows, |i| count(i.alert_count)),
        int(rows, |i| count(i.signal_count)),
        int(rows, |i| count(i.event_count)),
        texts(rows, |i| &i.techniques),
        texts(rows, |i| &i.tactics),
        text(rows, |i| i.assignee.as_deref()),
    ];
    Ok(RecordBatch::try_new(schema("incidents"), columns)?)
}

pub(crate) fn findings(rows: &[Finding]) -> Result<RecordBatch> {
    let columns = vec![
        owned(rows, |f| Some(f.id.to_string())),
        time(rows, |f| f.time),
        text(rows, |f| Some(&f.rule.id)),
        text(rows, |f| Some(&f.rule.name)),
        text(rows, |f| Some(f.level.as_str())),
        int(rows, |f| f.level.ocsf_id()),
        text(rows, |f| Some(f.entity.kind.as_str())),
        text(rows, |f| Some(&f.entity.value)),
        int(rows, |f| count(f.event_count)),
        texts(rows, |f| &f.event_ids),
        text(rows, |f| Some(&f.explanation.summary)),
        text(rows, |f| f.user.as_deref()),
        text(rows, |f| f.source_ip.as_deref()),
        text(rows, |f| f.event_name.as_deref()),
        texts(rows, |f| &f.rule.techniques),
    ];
    Ok(RecordBatch::try_new(schema("findings"), columns)?)
}
