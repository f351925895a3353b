//! The routing of calls between the two halves.

use super::{actions, deliver::deliver, direct::respond, encode::DataStream, handshake, put};
use crate::auth::Caller;
use crate::bulk::{self, criteria::ListRequest, request::StackedRequest};
use crate::limits::ResultCount;
use crate::running::Run;
use crate::server::ServeError;
use crate::service::info::schema_bytes;
use crate::sql::sessions::Sessions;
use crate::sql::{SqlService, rows_affected};
use crate::status;
use crate::ticket::Tickets;
use crate::view::Views;
use crate::write::{self, Writers};
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::{Any, Command};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, PollInfo,
    PutResult, SchemaResult, Ticket,
};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use prost::Message;
use std::sync::Arc;
use tonic::{Code, Request, Response, Status, Streaming};

/// The whole Flight service.
pub(crate) struct AtlasService {
    pub(super) sql: SqlService,
    pub(super) writers: Arc<Writers>,
    views: Arc<Views>,
    tickets: Tickets,
    sessions: Arc<Sessions>,
}

/// What a descriptor asks for.
enum Wanted {
    Stacked(StackedRequest),
    Sql(Box<Command>),
}

impl AtlasService {
    /// A service over what callers see, which changes the stores by `writers` and gives these tickets. Each call has to come with
    /// its caller.
    ///
    /// # Errors
    /// As [`SqlService::new`].
    pub(crate) fn new(views: Arc<Views>, writers: Writers, tickets: Tickets) -> Result<Self, ServeError> {
        let writers = Arc::new(writers);
        let sessions: Arc<Sessions> = Arc::default();
        let sql = SqlService::new(Arc::clone(&views), tickets.clone(), Arc::clone(&sessions), Arc::clone(&writers))?;
        Ok(AtlasService { sql, writers, views, tickets, sessions })
    }

    async fn info(&self, request: Request<FlightDescriptor>) -> Result<FlightInfo, Status> {
        match wanted(request.get_ref())? {
            Wanted::Stacked(stacked) => {
                let caller = Caller::of(&request)?;
                let view = self.views.of(&caller)?;
                bulk::plan(&view.stores, &self.tickets.sealer(&caller), stacked, request.into_inner()).await
            }
            Wanted::Sql(_) => Ok(self.sql.get_flight_info(request).await?.into_inner()),
        }
    }

    async fn schema(&self, request: Request<FlightDescriptor>) -> Result<Bytes, Status> {
        // Without values for its parameters, a prepared statement has a schema but no FlightInfo.
        if let Wanted::Sql(command) = wanted(request.get_ref())? {
            match *command {
                Command::CommandPreparedStatementQuery(query) => {
                    return self.sql.prepared_schema(&Caller::of(&request)?, &query.prepared_statement_handle).await;
                }
                // To ask what a statement answers is not to run it.
                Command::CommandStatementQuery(query) if self.sql.is_update(&query.query).await? => {
                    return schema_bytes(&rows_affected());
                }
                _ => {}
            }
        }
        Ok(self.info(request).await?.schema)
    }

    async fn get(&self, request: Request<Ticket>) -> Result<Response<DataStream>, Status> {
        let caller = Caller::of(&request)?;
        if let Some(stacked) = self.tickets.open_stacked(&caller, request.get_ref())? {
            let mut run = self.tickets.redeem(stacked.life.as_ref())?;
            let view = self.views.of(&caller)?;
            let messages = run.unless_cancelled(bulk::read(&view.stores, stacked)).await?;
            let limits = &self.views.gate().limits;
            let mut count = ResultCount::new(limits);
            let messages = messages.map(move |message| {
                let message = message?;
                count.add(0, message.bytes())?;
                Ok(message)
            });
            return Ok(respond(Box::pin(deliver(messages, run, limits.idle_timeout))));
        }
        sql_command(&request.get_ref().ticket, "ticket")
            .map_err(|_| Status::invalid_argument("the ticket is not one that this server gave"))?;
        self.sql.do_get(request).await
    }

    async fn list(
        &self,
        request: &Request<Criteria>,
    ) -> Result<BoxStream<'static, Result<FlightInfo, Status>>, Status> {
        let criteria = ListRequest::from_expression(&request.get_ref().expression)?;
        let caller = Caller::of(request)?;
        let flights = bulk::list(&self.views.of(&caller)?.stores, &self.tickets.sealer(&caller), criteria).await?;
        Ok(deliver(flights, Run::untracked(), self.views.gate().limits.idle_timeout).boxed())
    }

    fn act(&self, request: &Request<Action>) -> Result<Response<<Self as FlightService>::DoActionStream>, Status> {
        let caller = Caller::of(request)?;
        let view = self.views.of(&caller)?;
        let (tickets, sessions) = (&self.tickets, &self.sessions);
        let actions = actions::Actions { caller: &caller, view: &view, tickets, sessions };
        let answer = actions.run(request.get_ref(), request.metadata())?;
        let result = arrow_flight::Result { body: answer.body };
        let mut response = Response::new(stream::iter([Ok(result)]).boxed());
        if let Some(cookie) = answer.cookie {
            let cookie = cookie.parse().map_err(|_| Status::internal("the cookie is not fit for a header"))?;
            response.metadata_mut().insert("set-cookie", cookie);
        }
        Ok(response)
    }
}

/// Reads a descriptor: a path, a JSON command, or a Flight SQL command.
fn wanted(descriptor: &FlightDescriptor) -> Result<Wanted, Status> {
    if !descriptor.path.is_empty() {
        return StackedRequest::from_path(&descriptor.path).map(Wanted::Stacked);
    }
    if descriptor.cmd.trim_ascii_start().starts_with(b"{") {
        return StackedRequest::from_command(&descriptor.cmd).map(Wanted::Stacked);
    }
    if descriptor.cmd.is_empty() {
        return Err(Status::invalid_argument("the descriptor has neither a path nor a command"));
    }
    Ok(Wanted::Sql(Box::new(sql_command(&descriptor.cmd, "command")?)))
}

/// Reads a Flight SQL command, which the blanket implementation reads again: it calls malformed ones internal errors.
fn sql_command(bytes: &[u8], what: &str) -> Result<Command, Status> {
    let command = Any::decode(bytes).ok().and_then(|any| Command::try_from(any).ok());
    command.ok_or_else(|| {
        let message = format!("the {what} is neither a stacked read (JSON) nor a Flight SQL message");
        status::status(Code::InvalidArgument, &message)
    })
}

#[tonic::async_trait]
impl FlightService for AtlasService {
    type HandshakeStream = handshake::HandshakeStream;
    type ListFlightsStream = BoxStream<'static, Result<FlightInfo, Status>>;
    type DoGetStream = DataStream;
    type DoPutStream = BoxStream<'static, Result<PutResult, Status>>;
    type DoActionStream = BoxStream<'static, Result<arrow_flight::Result, Status>>;
    type ListActionsStream = BoxStream<'static, Result<ActionType, Status>>;
    type DoExchangeStream = BoxStream<'static, Result<FlightData, Status>>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        handshake::answer(request.extensions())
    }

    async fn list_flights(&self, request: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        self.list(&request).await.map(Response::new)
    }

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        self.info(request).await.map(Response::new)
    }

    async fn poll_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        // Planning does not take long enough to be polled: the first answer is complete.
        let info = self.info(request).await?;
        let poll = PollInfo::new().with_info(info).try_with_progress(1.0);
        Ok(Response::new(poll.map_err(|error| status::internal(&error))?))
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        Ok(Response::new(SchemaResult { schema: self.schema(request).await? }))
    }

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        self.get(request).await
    }

    async fn do_put(&self, request: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        Ok(Response::new(stream::iter([Ok(put::put(self, request).await?)]).boxed()))
    }

    async fn do_exchange(
        &self,
        _request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(Status::unimplemented("DoExchange is not supported"))
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        if actions::is_sql(request.get_ref()) {
            sql_command(&request.get_ref().body, "action's body")?;
            return self.sql.do_action(request).await;
        }
        let written = write::act(&self.writers, &Caller::of(&request)?, request.get_ref()).await?;
        match written {
            Some(body) => Ok(Response::new(stream::iter([Ok(arrow_flight::Result { body })]).boxed())),
            None => self.act(&request),
        }
    }

    async fn list_actions(&self, _request: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        Ok(Response::new(stream::iter(actions::list().into_iter().map(Ok)).boxed()))
    }
}
