//! Running statements within budgets, on threads of their own.

use crate::answer::{self, Answer, ColumnType};
use crate::error::{SqlError, explain};
use crate::events::Events;
use crate::{functions, records, statement};
use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::catalog::{CatalogProvider, MemTable, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider, TableProvider};
use datafusion::common::DataFusionError;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::execution::SessionState;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::{ExecutionPlan, displayable, execute_stream};
use datafusion::prelude::{SQLOptions, SessionConfig};
use futures::StreamExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use event::{Alert, Finding, Incident};
use store::lake::Frozen;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const CATALOG: &str = "erne";
const SCHEMA: &str = "main";
/// The stack of a query's threads: trees of expressions are walked recursively, here and in DataFusion. Memory
/// is taken only as far as it is used.
const STACK_BYTES: usize = 64 << 20;

/// What queries may use.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Of all queries together.
    pub memory_bytes: usize,
    /// The most seconds that a request may ask for, waiting included, and those it gets if it does not ask.
    pub secs_max: u64,
    pub secs: u64,
    pub rows_max: usize,
    pub bytes_max: usize,
    pub running_max: usize,
    pub waiting_max: usize,
    pub threads: usize,
    /// How far the threads stand behind others (`nice`), 0 to 19.
    pub nice: i32,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            memory_bytes: 512 << 20,
            secs_max: 300,
            secs: 30,
            rows_max: 10_000,
            bytes_max: 16 << 20,
            running_max: 2,
            waiting_max: 8,
            threads: 2,
            nice: 5,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Request {
    pub sql: String,
    /// Rows of the answer; at most the budget's.
    pub limit: Option<usize>,
    pub timeout_secs: Option<u64>,
    /// Answers the plan without running it.
    pub explain: bool,
}

/// Where rows come from. The small tables are asked for only if a statement names them, and are the newest
/// [`crate::RECORDS_MAX`] rows.
#[async_trait]
pub trait Source: Send + Sync {
    fn events(&self) -> Frozen;
    async fn alerts(&self) -> Result<Vec<Alert>, SqlError>;
    async fn incidents(&self) -> Result<Vec<Incident>, SqlError>;
    async fn findings(&self) -> Result<Vec<Finding>, SqlError>;
}

/// How busy it is, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    pub running: usize,
    pub waiting: usize,
    /// Since the start.
    pub done: u64,
    pub failed: u64,
    pub refused: u64,
    pub memory_bytes: usize,
}

/// Runs SQL.
pub struct Sql {
    runtime: Option<tokio::runtime::Runtime>,
    environment: Arc<RuntimeEnv>,
    budget: Budget,
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    done: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
}

impl Sql {
    pub fn new(budget: Budget) -> Result<Self, SqlError> {
        let nice = budget.nice.clamp(0, 19);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(budget.threads.max(1))
            .thread_name("erne-sql")
            .thread_stack_size(STACK_BYTES)
            .on_thread_start(move || {
                // On Linux this is the thread's own; where it is refused, queries are merely as quick as others.
                let _ = rustix::process::setpriority_process(None, nice);
            })
            .enable_all()
            .build()
            .map_err(|e| SqlError::Failed(format!("no threads for SQL: {e}")))?;
        // Nothing is spilled: a query that needs more than its memory is told so.
        let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
        let environment = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(GreedyMemoryPool::new(budget.memory_bytes)))
            .with_disk_manager_builder(disk)
            .build_arc()
            .map_err(|e| SqlError::Failed(e.to_string()))?;
        Ok(Self {
            runtime: Some(runtime),
            environment,
            permits: Arc::new(Semaphore::new(budget.running_max.max(1))),
            budget,
            waiting: AtomicUsize::new(0),
            done: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        })
    }

    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    pub fn load(&self) -> Load {
        Load {
            running: self.budget.running_max.max(1) - self.permits.available_permits(),
            waiting: self.waiting.load(Ordering::Relaxed),
            done: self.done.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            memory_bytes: self.environment.memory_pool.reserved(),
        }
    }

    /// Runs one statement. Dropping the future ends the query at its next batch.
    pub async fn run(&self, request: Request, source: Arc<dyn Source>) -> Result<Answer, SqlError> {
        let began = Instant::now();
        let secs = request.timeout_secs.unwrap_or(self.budget.secs).clamp(1, self.budget.secs_max);
        let answer = tokio::time::timeout(Duration::from_secs(secs), self.run_in_turn(request, source)).await;
        let answer = answer.unwrap_or(Err(SqlError::Timeout { secs }));
        match &answer {
            Ok(_) => self.done.fetch_add(1, Ordering::Relaxed),
            Err(SqlError::Busy { .. }) => self.refused.fetch_add(1, Ordering::Relaxed),
            Err(_) => self.failed.fetch_add(1, Ordering::Relaxed),
        };
        answer.map(|mut answer| {
            answer.took_ms = began.elapsed().as_millis() as u64;
            answer
        })
    }

    async fn run_in_turn(&self, request: Request, source: Arc<dyn Source>) -> Result<Answer, SqlError> {
        let permit = self.turn().await?;
        let runtime = self.runtime.as_ref().ok_or(SqlError::Stopping)?;
        let job = Job { environment: self.environment.clone(), budget: self.budget.clone(), request, source };
        // The permit goes with the task: planning cannot be interrupted, and counts until it has really ended.
        let task = runtime.spawn(async move {
            let _permit: OwnedSemaphorePermit = permit;
            job.run().await
        });
        let mut task = AbortOnDrop(task);
        match (&mut task.0).await {
            Ok(answer) => answer,
            Err(error) if error.is_panic() => {
                tracing::error!(%error, "a query panicked");
                Err(SqlError::Failed("the planner or the execution broke off; the server's log says where".into()))
            }
            Err(_) => Err(SqlError::Stopping),
        }
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, SqlError> {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let _waiting = Waiting::new(&self.waiting, self.budget.waiting_max)
            .ok_or_else(|| SqlError::Busy { running: self.budget.running_max, waiting: self.budget.waiting_max })?;
        self.permits.clone().acquire_owned().await.map_err(|_| SqlError::Stopping)
    }
}

impl Drop for Sql {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Not to be waited for: this may run on another runtime's thread.
            runtime.shutdown_background();
        }
    }
}

struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A place in the queue, counted while it is held.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize, most: usize) -> Option<Self> {
        let place = Self(count);
        (count.fetch_add(1, Ordering::Relaxed) < most).then_some(place)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Job {
    environment: Arc<RuntimeEnv>,
    budget: Budget,
    request: Request,
    source: Arc<dyn Source>,
}

impl Job {
    async fn run(self) -> Result<Answer, SqlError> {
        let sql = self.request.sql.clone();
        let checked = statement::read(&sql)?;
        let state = self.state(&checked).await?;
        self.answer(checked, state).await.map_err(|e| match e {
            Trouble::Own(error) => error,
            Trouble::Theirs(error) => explain(error, &sql, self.budget.memory_bytes),
        })
    }

    /// A session with the tables that the statement may name; those in memory are filled if it does.
    async fn state(&self, checked: &statement::Checked) -> Result<SessionState, SqlError> {
        let failed = |e: DataFusionError| SqlError::Failed(e.to_string());
        let schema = MemorySchemaProvider::new();
        let events: Arc<dyn TableProvider> = Arc::new(Events::new(self.source.events()).map_err(failed)?);
        schema.register_table("events".into(), events).map_err(failed)?;
        for name in records::TABLES {
            let mut rows = Vec::new();
            if checked.tables.contains(name) {
                rows.push(self.records(name).await?);
            }
            let table = MemTable::try_new(records::schema(name), vec![rows]).map_err(failed)?;
            schema.register_table(name.into(), Arc::new(table)).map_err(failed)?;
        }
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema(SCHEMA, Arc::new(schema)).map_err(failed)?;
        let mut config = SessionConfig::new()
            .with_target_partitions(self.budget.threads.max(1))
            .with_information_schema(true)
            .with_create_default_catalog_and_schema(false)
            .with_default_catalog_and_schema(CATALOG, SCHEMA);
        config.options_mut().sql_parser.collect_spans = true;
        config.options_mut().execution.time_zone = Some("UTC".into());
        let mut state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(self.environment.clone())
            .with_default_features()
            .with_file_formats(Vec::new())
            .with_table_factories(Default::default())
            .build();
        state.catalog_list().register_catalog(CATALOG.into(), Arc::new(catalog));
        functions::arrange(&mut state).map_err(failed)?;
        Ok(state)
    }

    async fn records(&self, table: &str) -> Result<RecordBatch, SqlError> {
        let batch = match table {
            "alerts" => records::alerts(&self.source.alerts().await?),
            "incidents" => records::incidents(&self.source.incidents().await?),
            _ => records::findings(&self.source.findings().await?),
        };
        batch.map_err(|e| SqlError::Failed(e.to_string()))
    }

    async fn answer(&self, checked: statement::Checked, state: SessionState) -> Result<Answer, Trouble> {
        let rows_max = self.request.limit.unwrap_or(1_000).clamp(1, self.budget.rows_max);
        let plan = state.statement_to_plan(checked.statement).await?;
        let only_reads = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        only_reads.verify_plan(&plan)?;
        let plan = if checked.query { limited(plan, rows_max)? } else { plan };
        let physical = interruptible(state.create_physical_plan(&plan).await?)?;
        if self.request.explain {
            return Ok(Answer { plan: Some(displayable(physical.as_ref()).indent(false).to_string()), ..Answer::default() });
        }
        self.collect(physical, &state, rows_max, checked.renames).await
    }

    async fn collect(&self, plan: Arc<dyn ExecutionPlan>, state: &SessionState, rows_max: usize, renames: Vec<(usize, String)>) -> Result<Answer, Trouble> {
        let column = |f: &Arc<datafusion::arrow::datatypes::Field>| ColumnType { name: f.name().clone(), r#type: answer::type_name(f.data_type()) };
        let mut answer = Answer { columns: plan.schema().fields().iter().map(column).collect(), ..Answer::default() };
        for (i, name) in renames {
            if let Some(column) = answer.columns.get_mut(i) {
                column.name = name;
            }
        }
        let mut bytes_left = self.budget.bytes_max;
        let mut batches = execute_stream(plan, state.task_ctx())?;
        while let Some(batch) = batches.next().await {
            if !answer::add(&batch?, &mut answer.rows, rows_max, &mut bytes_left) {
                answer.truncated = true;
                break;
            }
        }
        Ok(answer)
    }
}

/// Joins make many batches of one that they have read, so that the pauses that reading makes are too far apart:
/// here each of their batches can be the last.
fn interruptible(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    let pause = |node: Arc<dyn ExecutionPlan>| {
        let multiplies = node.name().contains("Join") || node.name().contains("Unnest");
        Ok(if multiplies { Transformed::yes(Arc::new(CooperativeExec::new(node)) as Arc<dyn ExecutionPlan>) } else { Transformed::no(node) })
    };
    Ok(plan.transform_up(pause)?.data)
}

/// One row more than wanted, so that it is known whether there are more.
fn limited(plan: LogicalPlan, rows_max: usize) -> Result<LogicalPlan, DataFusionError> {
    LogicalPlanBuilder::from(plan).limit(0, Some(rows_max + 1))?.build()
}

enum Trouble {
    Own(SqlError),
    Theirs(DataFusionError),
}

impl From<DataFusionError> for Trouble {
    fn from(error: DataFusionError) -> Self {
        Self::Theirs(error)
    }
}

impl From<SqlError> for Trouble {
    fn from(error: SqlError) -> Self {
        Self::Own(error)
    }
}
