//! Reads what the counters need out of the lake's record batches.

use crate::analytics::Counted;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use event::{Severity, Timestamp};

/// Calls `visit` with every row below log offset `covered`: later ones are counted by the pipeline.
pub(crate) fn count(batch: &RecordBatch, covered: u64, visit: &mut dyn FnMut(&Counted<'_>)) {
    let columns = Columns::of(batch);
    for row in 0..batch.num_rows() {
        let offset = columns.int(&columns.offset, row).unwrap_or(0);
        if (offset as u64) < covered
            && let Some(event) = columns.event(row)
        {
            visit(&event);
        }
    }
}

struct Columns {
    time: Option<ArrayRef>,
    offset: Option<ArrayRef>,
    severity: Option<ArrayRef>,
    lists: Option<ArrayRef>,
    status: Option<ArrayRef>,
    user: Option<ArrayRef>,
    ip: Option<ArrayRef>,
    country: Option<ArrayRef>,
    city: Option<ArrayRef>,
    lat: Option<ArrayRef>,
    long: Option<ArrayRef>,
}

impl Columns {
    fn of(batch: &RecordBatch) -> Self {
        Self {
            time: leaf(batch, "time"),
            offset: leaf(batch, "erne_offset"),
            severity: leaf(batch, "severity_id"),
            lists: leaf(batch, "enrichments.threat_lists"),
            status: leaf(batch, "http_response.code"),
            user: leaf(batch, "actor.user.name"),
            ip: leaf(batch, "src_endpoint.ip"),
            country: leaf(batch, "src_endpoint.location.country"),
            city: leaf(batch, "src_endpoint.location.city"),
            lat: leaf(batch, "src_endpoint.location.lat"),
            long: leaf(batch, "src_endpoint.location.long"),
        }
    }

    fn event(&self, row: usize) -> Option<Counted<'_>> {
        let time = self.time.as_ref()?.as_primitive_opt::<TimestampMicrosecondType>()?.value(row);
        let severity = self.int(&self.severity, row).unwrap_or(1);
        let listed = |array: &Option<ArrayRef>| array.as_ref().is_some_and(|a| a.is_valid(row));
        Some(Counted {
            time: Timestamp(time),
            severity: Severity::ALL.get((severity - 1) as usize).copied().unwrap_or_default(),
            threat: severity > 1 || listed(&self.lists),
            status: self.int(&self.status, row),
            user: text(&self.user, row),
            ip: text(&self.ip, row),
            country: text(&self.country, row),
            city: text(&self.city, row),
            place: self.float(&self.lat, row).zip(self.float(&self.long, row)),
        })
    }

    fn int(&self, array: &Option<ArrayRef>, row: usize) -> Option<i64> {
        let array = array.as_ref()?.as_primitive_opt::<Int64Type>()?;
        array.is_valid(row).then(|| array.value(row))
    }

    fn float(&self, array: &Option<ArrayRef>, row: usize) -> Option<f64> {
        let array = array.as_ref()?.as_primitive_opt::<Float64Type>()?;
        array.is_valid(row).then(|| array.value(row))
    }
}

fn text(array: &Option<ArrayRef>, row: usize) -> Option<&str> {
    let array = array.as_ref()?.as_string_opt::<i32>()?;
    array.is_valid(row).then(|| array.value(row))
}

/// The array at a dotted path through structs.
fn leaf(batch: &RecordBatch, path: &str) -> Option<ArrayRef> {
    if let Some(array) = batch.column_by_name(path) {
        return Some(array.clone());
    }
    let mut parts = path.split('.');
    let mut array = batch.column_by_name(parts.next()?)?.clone();
    for part in parts {
        let child = array.as_struct_opt()?.column_by_name(part)?.clone();
        array = child;
    }
    Some(array)
}
