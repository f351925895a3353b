//! Planning and running queries, read-only.

use super::parameters::Parameters;
use super::settings::Settings;
use super::workers::Workers;
use super::{boundary, guard};
use crate::arrays::{ArrayFormat, Shaped};
use crate::limits::{self, Deadline, Gate, ResultCount};
use crate::observe::Call;
use crate::service::encode::{FrameStream, batch_bytes, query_stream};
use crate::status;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement as AnyStatement;
use datafusion::sql::sqlparser::ast::Statement;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use std::sync::Arc;
use tonic::{Code, Status};

/// What queries run in: some mounted stores, and no way to change anything.
pub(crate) struct Queries {
    context: SessionContext,
    workers: Arc<Workers>,
    gate: Arc<Gate>,
}

/// A query whose parameters may be open.
pub(crate) struct Open {
    /// The query.
    pub(crate) plan: LogicalPlan,
    /// The schema that its result has for a client; values for parameters may change its types.
    pub(crate) schema: SchemaRef,
}

/// A query that has been planned, and the schema that its result has for a client.
pub(crate) struct Planned {
    plan: LogicalPlan,
    columns: Shaped,
    settings: Settings,
    /// Planning is a part of what a query does.
    deadline: Deadline,
}

impl Queries {
    /// Queries of the stores that are mounted in `context`, on these threads; `gate` counts those of all users.
    pub(crate) fn new(context: SessionContext, workers: Arc<Workers>, gate: Arc<Gate>) -> Self {
        Queries { context, workers, gate }
    }

    /// A session of its own for one request: it shares the mounted stores and nothing that a query could set.
    pub(crate) fn session(&self) -> SessionContext {
        SessionContext::new_with_state(self.context.state())
    }

    /// The state of a request's session with these settings.
    fn state(&self, settings: &Settings) -> SessionState {
        settings.apply(self.session().state())
    }

    /// The one catalog, and the schema of tables that are named without one unless a session has another.
    pub(crate) fn defaults(&self) -> (String, String) {
        let state = self.context.state();
        let catalog = &state.config_options().catalog;
        (catalog.default_catalog.clone(), catalog.default_schema.clone())
    }

    /// Does `planning` within the limits of time and of plans at a time.
    async fn within<T: Send + 'static>(
        &self,
        deadline: Deadline,
        planning: impl Future<Output = Result<T, Status>> + Send + 'static,
    ) -> Result<T, Status> {
        let permit = deadline.within(self.gate.plans.admit()).await??;
        // The place goes along: a plan that is given up frees it no earlier than its thread is free.
        let planning = async move {
            let _held_while_it_is_planned = permit;
            planning.await
        };
        deadline.within(self.workers.plan(planning)).await?
    }

    /// Plans `sql` with its parameters, if any, left open.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` and `NOT_FOUND` for what the query gets wrong, `PERMISSION_DENIED` where it would change
    /// something, `RESOURCE_EXHAUSTED` where it is too much to plan, or planning takes too long.
    pub(crate) async fn plan_open(&self, sql: &str, settings: &Settings) -> Result<Open, Status> {
        guard::check(sql)?;
        if let Some(call) = Call::current() {
            call.states(sql, false);
        }
        let (state, sql, format) = (self.state(settings), sql.to_string(), settings.format);
        let planning = async move {
            let plan = parse(&state, &sql).await?;
            let analyzed = result_schema(&state, &plan);
            let schema = match analyzed {
                Err(_) if !plan.get_parameter_names().map_err(|error| status::from_datafusion(&error))?.is_empty() => {
                    boundary::client_schema(plan.schema().as_arrow())
                }
                analyzed => analyzed?,
            };
            let schema = Arc::clone(shaped(format, &schema)?.schema());
            Ok(Open { plan, schema })
        };
        self.within(Deadline::of(&self.gate.limits), planning).await
    }

    /// Plans `sql` with values for all of its parameters.
    ///
    /// # Errors
    /// As [`Queries::plan_open`]; `INVALID_ARGUMENT` where values are missing.
    pub(crate) async fn plan(
        &self,
        sql: &str,
        parameters: &Parameters,
        settings: &Settings,
    ) -> Result<Planned, Status> {
        guard::check(sql)?;
        if let Some(call) = Call::current() {
            call.states(sql, !parameters.is_empty());
        }
        let deadline = Deadline::of(&self.gate.limits);
        let (state, sql, parameters) = (self.state(settings), sql.to_string(), parameters.clone());
        let settings = settings.clone();
        let planning = async move {
            let mut plan = parse(&state, &sql).await?;
            if !parameters.is_empty() {
                plan = plan.with_param_values(parameters.values()).map_err(|error| status::from_datafusion(&error))?;
            } else if let Some(name) = plan.get_parameter_names().ok().and_then(|names| names.into_iter().min()) {
                return Err(status::status(Code::InvalidArgument, &format!("parameter {name} has no value")));
            }
            let columns = shaped(settings.format, &result_schema(&state, &plan)?)?;
            Ok(Planned { plan, columns, settings, deadline })
        };
        self.within(deadline, planning).await
    }

    /// Runs a query within the limits, batch by batch as the stream is polled; dropping the stream stops it.
    ///
    /// # Errors
    /// What planning the execution fails with, and `RESOURCE_EXHAUSTED` where the plan passes a limit, or too many queries
    /// wait; later errors are in the stream.
    pub(crate) async fn run(&self, query: Planned) -> Result<FrameStream, Status> {
        let schema = Arc::clone(query.schema());
        let call = Call::current();
        let batches = self.batches(query).await?.inspect_ok(move |batch| {
            if let Some(call) = &call {
                call.sends_batch(batch.num_rows());
            }
        });
        query_stream(&schema, batches)
    }

    /// The batches of a query's result, as [`Queries::run`] sends them.
    ///
    /// # Errors
    /// As [`Queries::run`].
    pub(crate) async fn batches(
        &self,
        query: Planned,
    ) -> Result<BoxStream<'static, Result<RecordBatch, Status>>, Status> {
        let limits = &self.gate.limits;
        let Planned { plan, columns, settings, deadline } = query;
        let permit = deadline.within(self.gate.queries.admit()).await??;
        let query = DataFrame::new(self.state_of_query(&settings)?, plan);
        let read_limit = limits.read_bytes;
        let check = move |plan: &dyn ExecutionPlan| match read_limit {
            Some(_) => {
                let reads = atlas_sql::planned_reads(plan)?;
                limits::check_reads(reads, read_limit).map_err(|status| DataFusionError::External(Box::new(status)))
            }
            None => Ok(()),
        };
        let memory_bytes = limits.memory_bytes;
        let failed = move |error: DataFusionError| limits::failed(&error, memory_bytes);
        let (plan, batches) = deadline.within(self.workers.run(query, check)).await?.map_err(failed)?;
        let reads = ReadsAtEnd { plan, call: Call::current() };
        let mut count = ResultCount::new(limits);
        let batches = deadline.limit(batches).map(move |batch| {
            let _held_while_the_query_runs = (&permit, &reads);
            let batch = boundary::client_batch(&batch?.map_err(failed)?, columns.given())?;
            let batch = columns.batch(batch).map_err(|error| status::from_arrow(&error))?;
            count.add(batch.num_rows(), batch_bytes(&batch))?;
            Ok(batch)
        });
        Ok(batches.boxed())
    }

    /// The state that one query runs in: it has memory of its own.
    fn state_of_query(&self, settings: &Settings) -> Result<SessionState, Status> {
        let state = self.state(settings);
        let Some(bytes) = self.gate.limits.memory_bytes else { return Ok(state) };
        let runtime = RuntimeEnvBuilder::from_runtime_env(state.runtime_env())
            .with_memory_pool(Arc::new(FairSpillPool::new(bytes)))
            .build_arc()
            .map_err(|error| status::from_datafusion(&error))?;
        Ok(SessionStateBuilder::new_from_existing(state).with_runtime_env(runtime).build())
    }
}

/// Adds what a query has read to its call, once it is over.
struct ReadsAtEnd {
    plan: Arc<dyn ExecutionPlan>,
    call: Option<Call>,
}

impl Drop for ReadsAtEnd {
    fn drop(&mut self) {
        if let Some(call) = &self.call {
            let done = atlas_sql::done_reads(self.plan.as_ref());
            call.reads(done.chunks, done.bytes);
            call.prunes(done.datasets_pruned);
        }
    }
}

impl Planned {
    /// The schema that the result has for a client.
    pub(crate) fn schema(&self) -> &SchemaRef {
        self.columns.schema()
    }
}

/// The columns of a client's schema, with arrays in this format.
pub(super) fn shaped(format: ArrayFormat, schema: &SchemaRef) -> Result<Shaped, Status> {
    Shaped::try_new(format, schema).map_err(|error| status::from_arrow(&error))
}

/// The plan of a query that only reads.
async fn parse(state: &SessionState, sql: &str) -> Result<LogicalPlan, Status> {
    let dialect = state.config_options().sql_parser.dialect;
    let failed = |error| status::from_datafusion(&error);
    let statement = state.sql_to_statement(sql, &dialect).map_err(failed)?;
    if !only_reads(&statement) {
        return Err(read_only(sql));
    }
    let plan = state.statement_to_plan(statement).await.map_err(failed)?;
    let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    options.verify_plan(&plan).map_err(|_| read_only(sql))?;
    Ok(plan)
}

/// The schema that a plan's result has for a client: the one after analysis, which settles what functions return.
///
/// # Errors
/// `INVALID_ARGUMENT` for what the analysis finds wrong, such as a bad argument of a function.
fn result_schema(state: &SessionState, plan: &LogicalPlan) -> Result<SchemaRef, Status> {
    if matches!(plan, LogicalPlan::Explain(_) | LogicalPlan::Analyze(_)) {
        return Ok(boundary::client_schema(plan.schema().as_arrow()));
    }
    let analyzed = state
        .analyzer()
        .execute_and_check(plan.clone(), state.config_options(), |_, _| {})
        .map_err(|error| status::from_datafusion(&error))?;
    Ok(boundary::client_schema(analyzed.schema().as_arrow()))
}

/// Whether a statement is of a kind that reads; what is inside is checked on its plan.
fn only_reads(statement: &AnyStatement) -> bool {
    match statement {
        AnyStatement::Explain(explain) => only_reads(&explain.statement),
        AnyStatement::Statement(statement) => matches!(
            statement.as_ref(),
            Statement::Query(_)
                | Statement::Explain { .. }
                | Statement::ExplainTable { .. }
                | Statement::ShowTables { .. }
                | Statement::ShowColumns { .. }
                | Statement::ShowVariable { .. }
                | Statement::ShowFunctions { .. }
                | Statement::ShowCreate { .. }
        ),
        AnyStatement::CreateExternalTable(_) | AnyStatement::CopyTo(_) | AnyStatement::Reset(_) => false,
    }
}

fn read_only(sql: &str) -> Status {
    let kind: String = sql.split_whitespace().next().unwrap_or_default().chars().take(20).collect();
    let message = format!("this server only reads: {} is not allowed", kind.to_uppercase());
    status::status(Code::PermissionDenied, &message)
}
