//! Which files and row groups a query can pass over.

use datafusion::arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use datafusion::physical_expr::utils::conjunction;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr_common::physical_expr::snapshot_generation;
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use datafusion::physical_plan::metrics::Count;
use std::collections::HashSet;
use std::sync::Arc;
use store::lake::{Bounds, Frozen, Prune};

pub(crate) struct Pruner {
    filters: Option<Arc<PruningPredicate>>,
    moving: Option<Moving>,
    read: Count,
    skipped: Count,
}

/// Bounds that get narrower while the query runs.
struct Moving {
    expr: Arc<dyn PhysicalExpr>,
    schema: SchemaRef,
    /// Of the bounds that `built` was made from.
    generation: Option<u64>,
    built: Option<Arc<PruningPredicate>>,
}

impl Pruner {
    /// `filters` are over all columns, `moving` over those of `schema`.
    pub fn new(filters: &[Arc<dyn PhysicalExpr>], moving: Vec<Arc<dyn PhysicalExpr>>, schema: SchemaRef, read: Count, skipped: Count) -> Self {
        let filters = (!filters.is_empty()).then(|| conjunction(filters.to_vec()));
        let moving = (!moving.is_empty()).then(|| Moving { expr: conjunction(moving), schema, generation: None, built: None });
        Self { filters: filters.and_then(|f| build(f, Frozen::schema())), moving, read, skipped }
    }
}

/// What cannot be turned into a test of bounds prunes nothing.
fn build(expr: Arc<dyn PhysicalExpr>, schema: SchemaRef) -> Option<Arc<PruningPredicate>> {
    PruningPredicateBuilder::new().with_file_schema(schema).build(expr)
}

impl Moving {
    fn current(&mut self) -> Option<&Arc<PruningPredicate>> {
        let generation = snapshot_generation(&self.expr);
        if self.generation != Some(generation) {
            self.generation = Some(generation);
            self.built = build(self.expr.clone(), self.schema.clone());
        }
        self.built.as_ref()
    }
}

impl Prune for Pruner {
    fn wants(&mut self, bounds: &dyn Bounds) -> bool {
        let statistics = One(bounds);
        let may = |predicate: &Arc<PruningPredicate>| predicate.prune(&statistics).map_or(true, |kept| kept.first() != Some(&false));
        let wanted = self.filters.as_ref().is_none_or(may) && self.moving.as_mut().is_none_or(|m| m.current().is_none_or(may));
        if wanted { self.read.add(1) } else { self.skipped.add(1) }
        wanted
    }
}

/// The bounds of one file or row group, as DataFusion asks for them.
struct One<'a>(&'a dyn Bounds);

impl One<'_> {
    fn column(&self, column: &Column) -> Option<usize> {
        Frozen::schema().index_of(column.name()).ok()
    }
}

impl PruningStatistics for One<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.0.range(self.column(column)?).map(|range| range.0)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.0.range(self.column(column)?).map(|range| range.1)
    }

    fn num_containers(&self) -> usize {
        1
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let nulls = self.0.nulls(self.column(column)?)?;
        Some(Arc::new(UInt64Array::from(vec![nulls])))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(UInt64Array::from(vec![self.0.rows()])))
    }

    /// Asks the bloom filter: false is certain, and nothing is ever certain the other way.
    fn contained(&self, column: &Column, values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        let index = self.column(column)?;
        if *Frozen::schema().field(index).data_type() != DataType::Utf8View {
            return None;
        }
        let mut texts = values.iter().map(|v| v.try_as_str().flatten());
        let possible = texts.any(|text| text.is_none_or(|text| self.0.may_hold(index, text)));
        Some(BooleanArray::from(vec![if possible { None } else { Some(false) }]))
    }
}
