//! DoPut: what the first message says that the rest is.

use super::ended::Ended;
use super::received;
use super::router::AtlasService;
use crate::auth::Caller;
use crate::status;
use crate::write::{self, Upload, request::PutRequest};
use arrow_flight::sql::{Any, Command, DoPutPreparedStatementResult, DoPutUpdateResult};
use arrow_flight::{FlightData, FlightDescriptor, PutResult};
use futures::{FutureExt, Stream, StreamExt, TryStreamExt, stream};
use prost::Message;
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Status, Streaming};

/// Takes what a client streams, to its end, and gives the one answer to it.
///
/// # Errors
/// `INVALID_ARGUMENT` where the first message has no descriptor, or one that says nothing; else those of what it asks for.
pub(super) async fn put(service: &AtlasService, request: Request<Streaming<FlightData>>) -> Result<PutResult, Status> {
    let caller = Caller::of(&request)?;
    let ended = request.extensions().get::<Ended>().cloned().unwrap_or_default();
    let headers = request.metadata().clone();
    let messages = patient(request.into_inner().map_err(unreadable), service.writers.limits().idle_timeout);
    let messages = messages.and_then(|message| futures::future::ready(received::check(message)));
    // A client that cancels has not sent all that it meant to.
    let end = stream::once(async move {
        let cut = || Status::cancelled("the stream was cut: nothing of it is kept");
        if ended.as_a_whole() { Ok(None) } else { Err(cut()) }
    });
    let messages = messages.map_ok(Some).chain(end);
    let mut messages = messages.try_filter_map(|message| futures::future::ready(Ok(message))).boxed();
    let Some(first) = messages.try_next().await? else {
        // Clients that ingest a table without a row send nothing at all.
        return Ok(PutResult { app_metadata: counted(0).into() });
    };
    let descriptor = first.flight_descriptor.clone();
    let descriptor = descriptor.ok_or_else(|| Status::invalid_argument("the first message has no descriptor"))?;
    let upload = stream::once(async { Ok(first) }).chain(messages).boxed();
    // Decoding is the Arrow crate's: bytes that it did not expect must not take the connection down.
    let answered = AssertUnwindSafe(route(service, &caller, &headers, descriptor, upload)).catch_unwind().await;
    answered.unwrap_or_else(|_| Err(Status::invalid_argument("the stream is not readable as Arrow data")))
}

async fn route(
    service: &AtlasService,
    caller: &Caller,
    headers: &MetadataMap,
    descriptor: FlightDescriptor,
    upload: Upload,
) -> Result<PutResult, Status> {
    if !descriptor.path.is_empty() {
        let request = PutRequest::from_path(&descriptor.path)?;
        return write::put(&service.writers, caller, request, upload).await;
    }
    if descriptor.cmd.trim_ascii_start().starts_with(b"{") {
        let request = PutRequest::from_command(&descriptor.cmd)?;
        return write::put(&service.writers, caller, request, upload).await;
    }
    let command = Any::decode(descriptor.cmd).ok().and_then(|any| Command::try_from(any).ok());
    let message = match command {
        Some(Command::CommandPreparedStatementQuery(query)) => {
            let prepared_statement_handle = Some(service.sql.bind(caller, &query, upload).await?);
            DoPutPreparedStatementResult { prepared_statement_handle }.encode_to_vec()
        }
        Some(Command::CommandStatementUpdate(update)) => {
            counted(service.sql.put_update(caller, update, headers).await?)
        }
        Some(Command::CommandPreparedStatementUpdate(update)) => {
            counted(service.sql.put_prepared_update(caller, &update, upload).await?)
        }
        Some(Command::CommandStatementIngest(ingest)) => {
            counted(service.sql.ingest(caller, ingest, upload, headers).await?)
        }
        Some(other) => {
            let message = format!("nothing can be put with the command {}", other.type_url());
            return Err(status::status(Code::InvalidArgument, &message));
        }
        None => {
            let message = "the descriptor is neither a path, nor a put command (JSON), nor a Flight SQL message";
            return Err(Status::invalid_argument(message));
        }
    };
    Ok(PutResult { app_metadata: message.into() })
}

/// The same messages, for as long as the next one comes within `idle`.
fn patient(
    messages: impl Stream<Item = Result<FlightData, Status>> + Send + 'static,
    idle: Option<Duration>,
) -> impl Stream<Item = Result<FlightData, Status>> + Send + 'static {
    stream::unfold(Some(Box::pin(messages)), move |messages| async move {
        let mut messages = messages?;
        let Some(idle) = idle else { return messages.next().await.map(|message| (message, Some(messages))) };
        match tokio::time::timeout(idle, messages.next()).await {
            Ok(next) => next.map(|message| (message, Some(messages))),
            Err(_) => {
                let message = format!("the client sent nothing for {idle:?}, the limit of this server");
                Some((Err(status::status(Code::ResourceExhausted, &message)), None))
            }
        }
    })
}

fn counted(record_count: i64) -> Vec<u8> {
    DoPutUpdateResult { record_count }.encode_to_vec()
}

/// What a message that cannot be read is called: the transport takes it for an error of its own.
fn unreadable(error: Status) -> Status {
    match error.code() {
        Code::Internal => Status::invalid_argument("a message of the stream is not readable"),
        _ => error,
    }
}
