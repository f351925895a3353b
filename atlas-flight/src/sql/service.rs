//! Which function answers which Flight SQL call.

use super::parameters::{Parameters, parameter_schema};
use super::prepared::{self, BoundValues};
use super::put::Rows;
use super::sessions::Sessions;
use super::settings::Settings;
use super::{browse, guard, info, placeholders, types};
use crate::auth::{self, Caller, Purpose};
use crate::life::expiring;
use crate::running::Run;
use crate::service::deliver::deliver;
use crate::service::direct::respond;
use crate::service::encode::{DataStream, one_batch};
use crate::service::info::{flight_info, schema_bytes};
use crate::ticket::{PreparedTicket, StatementTicket, Tickets};
use crate::view::{View, Views};
use crate::write::Writers;
use crate::{server::ServeError, status};
use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow_flight::error::FlightError;
use arrow_flight::sql::metadata::{GetCatalogsBuilder, GetDbSchemasBuilder, SqlInfoData, XdbcTypeInfoData};
use arrow_flight::sql::server::FlightSqlService;
use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionCancelQueryResult, ActionClosePreparedStatementRequest,
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, Any, Command, CommandGetCatalogs,
    CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables, CommandGetXdbcTypeInfo,
    CommandPreparedStatementQuery, CommandStatementQuery, CommandStatementSubstraitPlan, ProstMessageExt, SqlInfo,
    TicketStatementQuery,
};
use arrow_flight::{CancelStatus, FlightDescriptor, FlightInfo, Ticket};
use bytes::Bytes;
use prost::Message;
use std::sync::Arc;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

/// The Flight SQL half of the server.
pub(crate) struct SqlService {
    pub(super) views: Arc<Views>,
    pub(super) tickets: Tickets,
    sessions: Arc<Sessions>,
    pub(super) bound: BoundValues,
    pub(super) writers: Arc<Writers>,
    info: SqlInfoData,
    types: XdbcTypeInfoData,
}

impl SqlService {
    /// A service over what callers see, with these tickets and sessions.
    ///
    /// # Errors
    /// An Arrow error, which the server's fixed answers do not cause.
    pub(crate) fn new(
        views: Arc<Views>,
        tickets: Tickets,
        sessions: Arc<Sessions>,
        writers: Arc<Writers>,
    ) -> Result<Self, ServeError> {
        let failed = |error: FlightError| ServeError::new(error.to_string());
        let info = info::sql_info(&views.gate().limits, writers.is_writable()).map_err(failed)?;
        Ok(SqlService {
            views,
            tickets,
            sessions,
            bound: BoundValues::default(),
            info,
            types: types::type_info().map_err(failed)?,
            writers,
        })
    }

    /// The schema of a prepared statement's result, whether or not values are bound.
    pub(crate) async fn prepared_schema(&self, caller: &Caller, handle: &Bytes) -> Result<Bytes, Status> {
        let statement = self.prepared(caller, handle)?;
        if self.update(&statement.sql).await?.is_some() {
            return schema_bytes(&Schema::empty());
        }
        let settings = Settings::of_ticket(statement.settings.as_ref());
        let view = self.views.of(caller)?;
        // With values, types are those of the answer.
        match self.parameters(&statement) {
            Ok(parameters) => schema_bytes(view.queries.plan(&statement.sql, &parameters, &settings).await?.schema()),
            Err(_) => schema_bytes(&view.queries.plan_open(&statement.sql, &settings).await?.schema),
        }
    }

    /// What the caller of a request sees.
    fn view<T>(&self, request: &Request<T>) -> Result<Arc<View>, Status> {
        self.views.of(&Caller::of(request)?)
    }

    /// What is in force for a query that comes with this request.
    fn settings<T>(&self, request: &Request<T>) -> Result<Settings, Status> {
        self.settings_of(&Caller::of(request)?, request.metadata())
    }

    /// What is in force for a query of this caller that comes with these headers.
    pub(super) fn settings_of(&self, caller: &Caller, headers: &MetadataMap) -> Result<Settings, Status> {
        self.sessions.settings(caller, headers, self.views.of(caller)?.as_ref())
    }

    /// The statement that a handle says, unless it is closed.
    pub(super) fn prepared(&self, caller: &Caller, handle: &Bytes) -> Result<PreparedTicket, Status> {
        let statement: PreparedTicket = self.tickets.open(Purpose::Prepared, caller, handle)?;
        self.bound.check_open(&statement.id)?;
        Ok(statement)
    }

    /// The values to run a statement with: those in its handle, else those bound to it last.
    fn parameters(&self, statement: &PreparedTicket) -> Result<Parameters, Status> {
        let told = &statement.parameters;
        let bytes = if told.is_empty() { self.bound.of(&statement.id) } else { told.clone() };
        let parameters = Parameters::from_bytes(&bytes)?;
        prepared::check_count(&parameters, statement.parameter_count)?;
        Ok(parameters)
    }

    async fn query_info(
        &self,
        sql: &str,
        parameters: &Parameters,
        settings: &Settings,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let caller = Caller::of(&request)?;
        if let Some(update) = self.update(sql).await? {
            // Here and once: some clients ask for no result of a statement that changes something.
            let changed = self.change(&caller, &update, Rows::One(parameters.clone()), settings).await?;
            let sql = format!("SELECT CAST({changed} AS BIGINT) AS rows_affected");
            let info = Box::pin(self.query_info(&sql, &Parameters::default(), settings, request)).await?.into_inner();
            return Ok(Response::new(FlightInfo { total_records: changed, ..info }));
        }
        let planned = self.views.of(&caller)?.queries.plan(sql, parameters, settings).await?;
        let sealer = self.tickets.sealer(&caller);
        let life = sealer.begin()?;
        let handle = StatementTicket {
            sql: sql.to_string(),
            parameters: parameters.to_bytes()?,
            settings: Some(settings.to_ticket()),
            life: Some(life.clone()),
        };
        let statement_handle = sealer.seal(Purpose::Statement, &handle);
        let answer = answer(planned.schema(), &TicketStatementQuery { statement_handle }, request.into_inner())?;
        Ok(answer.map(|info| expiring(info, &life)))
    }

    async fn run(
        &self,
        caller: &Caller,
        sql: &str,
        parameters: &Parameters,
        settings: &Settings,
        mut run: Run,
    ) -> Result<Response<DataStream>, Status> {
        let view = self.views.of(caller)?;
        let batches = async {
            let planned = view.queries.plan(sql, parameters, settings).await?;
            view.queries.run(planned).await
        };
        let batches = run.unless_cancelled(batches).await?;
        Ok(respond(Box::pin(deliver(batches, run, self.views.gate().limits.idle_timeout))))
    }
}

/// A FlightInfo whose one endpoint is redeemed with `ticket`.
fn answer(
    schema: &Schema,
    ticket: &impl ProstMessageExt,
    descriptor: FlightDescriptor,
) -> Result<Response<FlightInfo>, Status> {
    let ticket = Ticket::new(ticket.as_any().encode_to_vec());
    Ok(Response::new(flight_info(schema, vec![ticket], descriptor)?))
}

fn whole(batch: Result<RecordBatch, Status>) -> Result<Response<DataStream>, Status> {
    Ok(respond(one_batch(batch?)?))
}

pub(super) fn no_transactions(transaction: Option<&Bytes>) -> Result<(), Status> {
    match transaction {
        Some(id) if !id.is_empty() => Err(Status::unimplemented("transactions are not supported")),
        _ => Ok(()),
    }
}

#[tonic::async_trait]
impl FlightSqlService for SqlService {
    type FlightService = SqlService;

    async fn get_flight_info_statement(
        &self,
        query: CommandStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        no_transactions(query.transaction_id.as_ref())?;
        let settings = self.settings(&request)?;
        self.query_info(&query.query, &Parameters::default(), &settings, request).await
    }

    async fn do_get_statement(
        &self,
        ticket: TicketStatementQuery,
        request: Request<Ticket>,
    ) -> Result<Response<DataStream>, Status> {
        let caller = Caller::of(&request)?;
        let statement: StatementTicket = self.tickets.open(Purpose::Statement, &caller, &ticket.statement_handle)?;
        let run = self.tickets.redeem(statement.life.as_ref())?;
        let parameters = Parameters::from_bytes(&statement.parameters)?;
        let settings = Settings::of_ticket(statement.settings.as_ref());
        self.run(&caller, &statement.sql, &parameters, &settings, run).await
    }

    async fn do_action_create_prepared_statement(
        &self,
        query: ActionCreatePreparedStatementRequest,
        request: Request<arrow_flight::Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        no_transactions(query.transaction_id.as_ref())?;
        guard::check(&query.query)?;
        let caller = Caller::of(&request)?;
        let settings = self.settings(&request)?;
        let numbered = placeholders::number(&query.query)?;
        let view = self.views.of(&caller)?;
        let (dataset_schema, parameter_schema) = match self.update(&numbered.sql).await? {
            // A statement without a result changes something: drivers go by that.
            Some(update) => {
                let parameters = self.update_parameters(&caller, &update, numbered.count, &settings).await?;
                (Schema::empty(), parameters)
            }
            None => {
                let open = view.queries.plan_open(&numbered.sql, &settings).await?;
                let parameters = parameter_schema(&open.plan, numbered.count)?;
                (open.schema.as_ref().clone(), parameters)
            }
        };
        let (dataset_schema, parameter_schema) = (schema_bytes(&dataset_schema)?, schema_bytes(&parameter_schema)?);
        let statement = PreparedTicket {
            sql: numbered.sql,
            parameter_count: numbered.count as u64,
            id: auth::random_id()?,
            parameters: Bytes::new(),
            settings: Some(settings.to_ticket()),
        };
        let prepared_statement_handle = self.tickets.sealer(&caller).seal(Purpose::Prepared, &statement);
        Ok(ActionCreatePreparedStatementResult { prepared_statement_handle, dataset_schema, parameter_schema })
    }

    async fn do_action_close_prepared_statement(
        &self,
        query: ActionClosePreparedStatementRequest,
        request: Request<arrow_flight::Action>,
    ) -> Result<(), Status> {
        let caller = Caller::of(&request)?;
        let statement: PreparedTicket =
            self.tickets.open(Purpose::Prepared, &caller, &query.prepared_statement_handle)?;
        self.bound.close(&statement.id);
        Ok(())
    }

    async fn get_flight_info_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let statement = self.prepared(&Caller::of(&request)?, &query.prepared_statement_handle)?;
        // The ticket holds the values: binding others, or closing the statement, leaves this read as it is.
        let settings = Settings::of_ticket(statement.settings.as_ref());
        self.query_info(&statement.sql, &self.parameters(&statement)?, &settings, request).await
    }

    async fn do_get_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<Ticket>,
    ) -> Result<Response<DataStream>, Status> {
        let caller = Caller::of(&request)?;
        let statement = self.prepared(&caller, &query.prepared_statement_handle)?;
        let settings = Settings::of_ticket(statement.settings.as_ref());
        // It comes without a FlightInfo, by which it could be cancelled.
        self.run(&caller, &statement.sql, &self.parameters(&statement)?, &settings, Run::untracked()).await
    }

    async fn get_flight_info_catalogs(
        &self,
        query: CommandGetCatalogs,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        answer(&GetCatalogsBuilder::new().schema(), &query, request.into_inner())
    }

    async fn do_get_catalogs(
        &self,
        query: CommandGetCatalogs,
        request: Request<Ticket>,
    ) -> Result<Response<DataStream>, Status> {
        whole(browse::catalogs(&self.view(&request)?.queries, query))
    }

    async fn get_flight_info_schemas(
        &self,
        query: CommandGetDbSchemas,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        answer(&GetDbSchemasBuilder::new(None::<String>, None::<String>).schema(), &query, request.into_inner())
    }

    async fn do_get_schemas(
        &self,
        query: CommandGetDbSchemas,
        request: Request<Ticket>,
    ) -> Result<Response<DataStream>, Status> {
        whole(browse::db_schemas(&self.view(&request)?.queries, query))
    }

    async fn get_flight_info_tables(
        &self,
        query: CommandGetTables,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        answer(&query.clone().into_builder().schema(), &query, request.into_inner())
    }

    async fn do_get_tables(
        &self,
        query: CommandGetTables,
        request: Request<Ticket>,
    ) -> Result<Response<DataStream>, Status> {
        let format = self.settings(&request)?.format;
        whole(browse::tables(&self.view(&request)?.queries, query, format).await)
    }

    async fn get_flight_info_table_types(
        &self,
        query: CommandGetTableTypes,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        answer(&query.into_builder().schema(), &query, request.into_inner())
    }

    async fn do_get_table_types(
        &self,
        query: CommandGetTableTypes,
        _request: Request<Ticket>,
    ) -> Result<Response<DataStream>, Status> {
        let mut builder = query.into_builder();
        builder.append(browse::TABLE);
        whole(builder.build().map_err(status::from_flight))
    }

    async fn get_flight_info_sql_info(
        &self,
        query: CommandGetSqlInfo,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        answer(&self.info.schema(), &query, request.into_inner())
    }

    async fn do_get_sql_info(
        &self,
        query: CommandGetSqlInfo,
        _request: Request<Ticket>,
    ) -> Result<Response<DataStream>, Status> {
        whole(query.into_builder(&self.info).build().map_err(status::from_flight))
    }

    async fn get_flight_info_xdbc_type_info(
        &self,
        query: CommandGetXdbcTypeInfo,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        answer(&self.types.schema(), &query, request.into_inner())
    }

    async fn do_get_xdbc_type_info(
        &self,
        query: CommandGetXdbcTypeInfo,
        _request: Request<Ticket>,
    ) -> Result<Response<DataStream>, Status> {
        whole(query.into_builder(&self.types).build().map_err(status::from_flight))
    }

    async fn get_flight_info_primary_keys(
        &self,
        query: CommandGetPrimaryKeys,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        answer(&browse::PRIMARY_KEYS, &query, request.into_inner())
    }

    async fn do_get_primary_keys(
        &self,
        query: CommandGetPrimaryKeys,
        request: Request<Ticket>,
    ) -> Result<Response<DataStream>, Status> {
        whole(browse::primary_keys(&self.view(&request)?.queries, &query))
    }

    async fn get_flight_info_exported_keys(
        &self,
        query: CommandGetExportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        answer(&browse::FOREIGN_KEYS, &query, request.into_inner())
    }

    async fn do_get_exported_keys(
        &self,
        _query: CommandGetExportedKeys,
        _request: Request<Ticket>,
    ) -> Result<Response<DataStream>, Status> {
        whole(Ok(browse::foreign_keys()))
    }

    async fn get_flight_info_imported_keys(
        &self,
        query: CommandGetImportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        answer(&browse::FOREIGN_KEYS, &query, request.into_inner())
    }

    async fn do_get_imported_keys(
        &self,
        _query: CommandGetImportedKeys,
        _request: Request<Ticket>,
    ) -> Result<Response<DataStream>, Status> {
        whole(Ok(browse::foreign_keys()))
    }

    async fn get_flight_info_cross_reference(
        &self,
        query: CommandGetCrossReference,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        answer(&browse::FOREIGN_KEYS, &query, request.into_inner())
    }

    async fn do_get_cross_reference(
        &self,
        _query: CommandGetCrossReference,
        _request: Request<Ticket>,
    ) -> Result<Response<DataStream>, Status> {
        whole(Ok(browse::foreign_keys()))
    }

    async fn do_action_cancel_query(
        &self,
        query: ActionCancelQueryRequest,
        request: Request<arrow_flight::Action>,
    ) -> Result<ActionCancelQueryResult, Status> {
        let info = FlightInfo::decode(query.info)
            .map_err(|_| Status::invalid_argument("CancelQuery takes a FlightInfo, which this is not"))?;
        let cancelled = self.tickets.cancel(&Caller::of(&request)?, &info)?;
        let result = if cancelled { CancelStatus::Cancelled } else { CancelStatus::NotCancellable };
        // The numbers of both kinds of answer are the same.
        Ok(ActionCancelQueryResult { result: result.into() })
    }

    async fn get_flight_info_substrait_plan(
        &self,
        _query: CommandStatementSubstraitPlan,
        _request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        Err(Status::unimplemented("substrait plans are not supported"))
    }

    async fn get_flight_info_fallback(
        &self,
        command: Command,
        _request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let message = format!("the command {} cannot be read", command.type_url());
        Err(status::status(tonic::Code::InvalidArgument, &message))
    }

    async fn do_get_fallback(&self, _request: Request<Ticket>, message: Any) -> Result<Response<DataStream>, Status> {
        let message = format!("the ticket {} cannot be redeemed", message.type_url);
        Err(status::status(tonic::Code::InvalidArgument, &message))
    }

    async fn register_sql_info(&self, _id: i32, _result: &SqlInfo) {}
}
