//! The table `events`: a frozen state of the lake as a DataFusion table.
//!
//! Files are not read by DataFusion's Parquet source but by the lake's own reader: it verifies checksums, keeps
//! parsed footers, and sees the tail in memory as well. Filters are evaluated exactly while reading, column by
//! column, so that only kept rows of the other columns are decoded; statistics, bloom filters and the moving
//! bound of a `ORDER BY … LIMIT` skip files and row groups.

use crate::prune::Pruner;
use async_trait::async_trait;
use datafusion::arrow::array::{BooleanArray, RecordBatch};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, DataFusionError, Result, Statistics};
use datafusion::config::ConfigOptions;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions, apply_expression_roots};
use datafusion::physical_plan::filter_pushdown::{ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation, PushedDown};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, SortOrderPushdownResult,
};
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use store::lake::{Frozen, Keep, FrozenRead, RowTest};

/// The column that files are sorted by.
const TIME: &str = "time";

#[derive(Debug)]
pub(crate) struct Events {
    frozen: Frozen,
    /// For filters: unqualified names.
    schema: DFSchema,
}

impl Events {
    pub fn new(frozen: Frozen) -> Result<Self> {
        let schema = DFSchema::try_from(Frozen::schema())?;
        Ok(Self { frozen, schema })
    }
}

#[async_trait]
impl TableProvider for Events {
    fn schema(&self) -> SchemaRef {
        Frozen::schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // Whatever the planner hands down is evaluated on every row that is read.
        let exact = |filter: &&Expr| {
            if filter.is_volatile() { TableProviderFilterPushDown::Unsupported } else { TableProviderFilterPushDown::Exact }
        };
        Ok(filters.iter().map(exact).collect())
    }

    async fn scan(&self, state: &dyn Session, projection: Option<&Vec<usize>>, filters: &[Expr], _: Option<usize>) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = projection.cloned().unwrap_or_else(|| (0..Frozen::schema().fields().len()).collect());
        let mut filters = filters
            .iter()
            .map(|filter| state.create_physical_expr(filter.clone(), &self.schema))
            .collect::<Result<Vec<_>>>()?;
        filters.sort_by_key(price);
        let partitions = state.config().target_partitions().max(1);
        Ok(Arc::new(EventsScan::new(self.frozen.clone(), columns, filters, partitions)?))
    }
}

/// Tests that read long text come last: they then see only what the others kept.
fn price(filter: &Arc<dyn PhysicalExpr>) -> usize {
    let columns = collect_columns(filter);
    columns.iter().map(|c| match c.name() {
        "raw_data" => 100,
        "message" => 20,
        "http_request.user_agent" | "http_request.url.query_string" | "metadata.uid" => 10,
        _ => 1,
    }).max().unwrap_or(0)
}

#[derive(Debug, Clone)]
pub(crate) struct EventsScan {
    frozen: Frozen,
    columns: Vec<usize>,
    /// Over all of the table's columns; a row is read only if all hold.
    filters: Vec<Arc<dyn PhysicalExpr>>,
    /// Bounds that move while the query runs, over the scan's own columns: they only skip.
    moving: Vec<Arc<dyn PhysicalExpr>>,
    newest_first: bool,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl EventsScan {
    fn new(frozen: Frozen, columns: Vec<usize>, filters: Vec<Arc<dyn PhysicalExpr>>, partitions: usize) -> Result<Self> {
        let schema = Arc::new(Frozen::schema().project(&columns)?);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Self {
            frozen,
            columns,
            filters,
            moving: Vec::new(),
            newest_first: true,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }

    fn partitions(&self) -> usize {
        self.properties.output_partitioning().partition_count()
    }
}

impl DisplayAs for EventsScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schema = self.schema();
        let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let (files, tail) = (self.frozen.files().len(), self.frozen.tail_rows());
        write!(f, "EventsScan: columns=[{}], files={files}, tail_rows={tail}", names.join(", "))?;
        if !self.filters.is_empty() {
            let filters: Vec<String> = self.filters.iter().map(|p| p.to_string()).collect();
            write!(f, ", filters=[{}]", filters.join(" AND "))?;
        }
        if !self.moving.is_empty() {
            let moving: Vec<String> = self.moving.iter().map(|p| p.to_string()).collect();
            write!(f, ", skips_by=[{}]", moving.join(" AND "))?;
        }
        write!(f, ", order={}", if self.newest_first { "newest first" } else { "oldest first" })
    }
}

impl ExecutionPlan for EventsScan {
    fn name(&self) -> &str {
        "EventsScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(&self, f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        apply_expression_roots(self.filters.iter().chain(&self.moving), f)
    }

    fn replace_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>, _: ReplaceChildrenOptions) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let failed: Failed = Arc::default();
        let tests = self.filters.iter().map(|f| test(f, &failed)).collect::<Result<_>>()?;
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let pruner = Pruner::new(
            &self.filters,
            self.moving.clone(),
            self.schema(),
            MetricBuilder::new(&self.metrics).counter("parts_read", partition),
            MetricBuilder::new(&self.metrics).counter("parts_skipped", partition),
        );
        let mut batches = self.frozen.read(FrozenRead {
            columns: self.columns.clone(),
            share: (partition, self.partitions()),
            newest_first: self.newest_first,
            batch_rows: context.session_config().batch_size(),
            prune: Box::new(pruner),
            tests,
        });
        // One batch a poll: the wrapper that DataFusion puts around this leaf lets other tasks run in between.
        let next = move || {
            let _timer = baseline.elapsed_compute().timer();
            let batch = batches.next()?;
            Some(batch.inspect(|b| baseline.record_output(b.num_rows())).map_err(|error| match failed.lock().take() {
                Some(own) => own,
                None => DataFusionError::External(Box::new(error)),
            }))
        };
        let stream = futures::stream::iter(std::iter::from_fn(next));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        let rows = self.frozen.rows() as usize;
        let mut statistics = Statistics::new_unknown(&self.schema());
        statistics.num_rows = match (partition, self.filters.is_empty()) {
            (None, true) => Precision::Exact(rows),
            (None, false) => Precision::Inexact(rows),
            (Some(_), _) => Precision::Inexact(rows / self.partitions()),
        };
        Ok(Arc::new(statistics))
    }

    /// Filters of parents are kept by them; here they only skip files and row groups.
    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let filters: Vec<_> = result.parent_filters.into_iter().map(|f| f.filter).collect();
        let answer = FilterPushdownPropagation::with_parent_pushdown_result(vec![PushedDown::No; filters.len()]);
        if filters.is_empty() {
            return Ok(answer);
        }
        let mut scan = self.clone();
        scan.moving.extend(filters);
        Ok(answer.with_updated_node(Arc::new(scan)))
    }

    /// Files and row groups can be read from either end; within one the rows are oldest first.
    fn try_pushdown_sort(&self, order: &[PhysicalSortExpr]) -> Result<SortOrderPushdownResult<Arc<dyn ExecutionPlan>>> {
        let Some(first) = order.first() else { return Ok(SortOrderPushdownResult::Unsupported) };
        if first.expr.downcast_ref::<Column>().is_none_or(|c| c.name() != TIME) {
            return Ok(SortOrderPushdownResult::Unsupported);
        }
        let scan = Self { newest_first: first.options.descending, ..self.clone() };
        Ok(SortOrderPushdownResult::Inexact { inner: Arc::new(scan) })
    }
}

/// What a filter said when it failed: on its way through the Parquet reader it would lose its kind.
type Failed = Arc<Mutex<Option<DataFusionError>>>;

fn test(filter: &Arc<dyn PhysicalExpr>, failed: &Failed) -> Result<RowTest> {
    let all = Frozen::schema();
    let mut columns: Vec<usize> = collect_columns(filter).iter().map(Column::index).collect();
    columns.sort_unstable();
    columns.dedup();
    let schema: Schema = all.project(&columns)?;
    let filter = reassign_expr_columns(filter.clone(), &schema)?;
    let failed = failed.clone();
    let keep: Keep = Arc::new(move |batch| {
        evaluate(&filter, batch).map_err(|error| {
            let text = error.to_string();
            failed.lock().get_or_insert(error);
            ArrowError::ComputeError(text)
        })
    });
    Ok(RowTest { columns, keep })
}

fn evaluate(filter: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<BooleanArray> {
    let array = filter.evaluate(batch)?.into_array(batch.num_rows())?;
    let kept = array.as_any().downcast_ref::<BooleanArray>().cloned();
    kept.ok_or_else(|| DataFusionError::Plan("a filter is neither true nor false".into()))
}
