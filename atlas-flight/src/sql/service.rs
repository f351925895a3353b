//! Which function answers which Flight SQL call.

use super::parameters::{Parameters, parameter_schema};
use super::prepared::{Prepared, PreparedStatements};
use super::session::{Planned, Queries};
use super::session_options::SessionOptions;
use super::{boundary, browse, info, placeholders, types};
use crate::limits::Limits;
use crate::service::encode::{DataStream, one_batch};
use crate::service::handshake::{self, HandshakeStream};
use crate::service::info::{flight_info, schema_bytes};
use crate::ticket::{self, StatementTicket};
use crate::{server::ServeError, status};
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::metadata::{GetCatalogsBuilder, GetDbSchemasBuilder, SqlInfoData, XdbcTypeInfoData};
use arrow_flight::sql::server::{DoPutError, FlightSqlService, PeekableFlightDataStream};
use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionCancelQueryResult, ActionClosePreparedStatementRequest,
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, Any, Command, CommandGetCatalogs,
    CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables, CommandGetXdbcTypeInfo,
    CommandPreparedStatementQuery, CommandPreparedStatementUpdate, CommandStatementIngest, CommandStatementQuery,
    CommandStatementSubstraitPlan, CommandStatementUpdate, DoPutPreparedStatementResult, ProstMessageExt, SqlInfo,
    TicketStatementQuery,
};
use arrow_flight::{CancelStatus, FlightDescriptor, FlightInfo, HandshakeRequest, Ticket};
use atlas_store::Store;
use bytes::Bytes;
use datafusion::logical_expr::LogicalPlan;
use futures::TryStreamExt;
use prost::Message;
use tonic::{Request, Response, Status, Streaming};

/// What a DoPut call answers with.
type PutResponse = Response<<SqlService as FlightService>::DoPutStream>;

/// The Flight SQL half of the server.
pub(crate) struct SqlService {
    queries: Queries,
    prepared: PreparedStatements,
    info: SqlInfoData,
    types: XdbcTypeInfoData,
}

impl SqlService {
    /// A service over these stores.
    ///
    /// # Errors
    /// What mounting a store fails with.
    pub(crate) fn new(stores: &[(String, Store)], limits: Limits) -> Result<Self, ServeError> {
        let failed = |error: FlightError| ServeError::new(error.to_string());
        Ok(SqlService {
            queries: Queries::new(stores, limits).map_err(|error| ServeError::new(error.to_string()))?,
            prepared: PreparedStatements::default(),
            info: info::sql_info().map_err(failed)?,
            types: types::type_info().map_err(failed)?,
        })
    }

    /// The schema of a prepared statement's result, whether or not values are bound.
    pub(crate) async fn prepared_schema(&self, handle: &Bytes) -> Result<Bytes, Status> {
        let statement = self.prepared.get(handle)?;
        let plan = self.queries.plan_open(&statement.sql).await?;
        schema_bytes(&self.open_schema(&plan))
    }

    /// The schema of a query whose parameters may lack the values that settle its types.
    fn open_schema(&self, plan: &LogicalPlan) -> SchemaRef {
        self.queries.result_schema(plan).unwrap_or_else(|_| boundary::client_schema(plan.schema().as_arrow()))
    }

    /// The session's options.
    pub(crate) fn session_options(&self) -> SessionOptions {
        let state = self.queries.session().state();
        let catalog = &state.config_options().catalog;
        SessionOptions { catalog: catalog.default_catalog.clone(), schema: catalog.default_schema.clone() }
    }

    async fn query_info(
        &self,
        sql: &str,
        parameters: &Parameters,
        descriptor: FlightDescriptor,
    ) -> Result<Response<FlightInfo>, Status> {
        let planned = self.queries.plan(sql, parameters).await?;
        let handle = StatementTicket { sql: sql.to_string(), parameters: parameters.to_bytes()? };
        let ticket = TicketStatementQuery { statement_handle: ticket::seal(&handle) };
        answer(planned.schema(), &ticket, descriptor)
    }

    async fn run(&self, planned: Planned) -> Result<Response<DataStream>, Status> {
        Ok(Response::new(self.queries.run(planned).await?))
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
    Ok(Response::new(one_batch(batch?)))
}

fn only_reads(what: &str) -> Status {
    status::status(tonic::Code::PermissionDenied, &format!("this server only reads: {what} is not allowed"))
}

fn no_transactions(transaction: Option<&Bytes>) -> Result<(), Status> {
    match transaction {
        Some(id) if !id.is_empty() => Err(Status::unimplemented("transactions are not supported")),
        _ => Ok(()),
    }
}

#[tonic::async_trait]
impl FlightSqlService for SqlService {
    type FlightService = SqlService;

    async fn do_handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<HandshakeStream>, Status> {
        handshake::answer(request.metadata())
    }

    async fn get_flight_info_statement(
        &self,
        query: CommandStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        no_transactions(query.transaction_id.as_ref())?;
        self.query_info(&query.query, &Parameters::default(), request.into_inner()).await
    }

    async fn do_get_statement(
        &self,
        ticket: TicketStatementQuery,
        _request: Request<Ticket>,
    ) -> Result<Response<DataStream>, Status> {
        let statement: StatementTicket = ticket::open(&ticket.statement_handle)?;
        let parameters = Parameters::from_bytes(&statement.parameters)?;
        tracing::debug!(sql = statement.sql, "run a query");
        self.run(self.queries.plan(&statement.sql, &parameters).await?).await
    }

    async fn do_action_create_prepared_statement(
        &self,
        query: ActionCreatePreparedStatementRequest,
        _request: Request<arrow_flight::Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        no_transactions(query.transaction_id.as_ref())?;
        let numbered = placeholders::number(&query.query)?;
        let plan = self.queries.plan_open(&numbered.sql).await?;
        let dataset_schema = if numbered.count == 0 {
            schema_bytes(self.queries.result_schema(&plan)?.as_ref())?
        } else {
            schema_bytes(&self.open_schema(&plan))?
        };
        let parameter_schema = schema_bytes(&parameter_schema(&plan, numbered.count)?)?;
        let statement = Prepared { sql: numbered.sql, parameter_count: numbered.count, bound: None };
        let prepared_statement_handle = self.prepared.create(statement);
        Ok(ActionCreatePreparedStatementResult { prepared_statement_handle, dataset_schema, parameter_schema })
    }

    async fn do_action_close_prepared_statement(
        &self,
        query: ActionClosePreparedStatementRequest,
        _request: Request<arrow_flight::Action>,
    ) -> Result<(), Status> {
        self.prepared.close(&query.prepared_statement_handle);
        Ok(())
    }

    async fn do_put_prepared_statement_query(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<DoPutPreparedStatementResult, Status> {
        let handle = query.prepared_statement_handle;
        self.prepared.get(&handle)?;
        let messages = request.into_inner().map_err(|status| FlightError::Tonic(Box::new(status)));
        let parameters = Parameters::receive(FlightRecordBatchStream::new_from_flight_data(messages)).await?;
        self.prepared.bind(&handle, parameters)?;
        Ok(DoPutPreparedStatementResult { prepared_statement_handle: Some(handle) })
    }

    async fn get_flight_info_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let statement = self.prepared.get(&query.prepared_statement_handle)?;
        // The ticket holds the values: binding others, or closing the statement, leaves this read as it is.
        self.query_info(&statement.sql, &statement.parameters()?, request.into_inner()).await
    }

    async fn do_get_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        _request: Request<Ticket>,
    ) -> Result<Response<DataStream>, Status> {
        let statement = self.prepared.get(&query.prepared_statement_handle)?;
        self.run(self.queries.plan(&statement.sql, &statement.parameters()?).await?).await
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
        _request: Request<Ticket>,
    ) -> Result<Response<DataStream>, Status> {
        whole(browse::catalogs(&self.queries, query))
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
        _request: Request<Ticket>,
    ) -> Result<Response<DataStream>, Status> {
        whole(browse::db_schemas(&self.queries, query))
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
        _request: Request<Ticket>,
    ) -> Result<Response<DataStream>, Status> {
        whole(browse::tables(&self.queries, query).await)
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
        _request: Request<Ticket>,
    ) -> Result<Response<DataStream>, Status> {
        whole(browse::primary_keys(&self.queries, &query))
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
        _query: ActionCancelQueryRequest,
        _request: Request<arrow_flight::Action>,
    ) -> Result<ActionCancelQueryResult, Status> {
        // A query runs only while its stream is read, and ends when that is dropped.
        Ok(ActionCancelQueryResult { result: CancelStatus::NotCancellable.into() })
    }

    async fn do_put_statement_update(
        &self,
        _query: CommandStatementUpdate,
        _request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(only_reads("an update"))
    }

    async fn do_put_prepared_statement_update(
        &self,
        _query: CommandPreparedStatementUpdate,
        _request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(only_reads("an update"))
    }

    async fn do_put_statement_ingest(
        &self,
        _query: CommandStatementIngest,
        _request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        Err(only_reads("ingestion"))
    }

    async fn do_put_fallback(
        &self,
        _request: Request<PeekableFlightDataStream>,
        _message: Any,
    ) -> Result<PutResponse, Status> {
        Err(only_reads("writing"))
    }

    async fn do_put_error_callback(
        &self,
        _request: Request<PeekableFlightDataStream>,
        error: DoPutError,
    ) -> Result<PutResponse, Status> {
        Err(status::status(tonic::Code::InvalidArgument, &error.to_string()))
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
