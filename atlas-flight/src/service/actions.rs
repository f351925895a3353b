//! Actions apart from those of Flight SQL's prepared statements.

use crate::sql::session_options::{CloseSessionResult, SessionOptions, SetSessionOptionsRequest};
use crate::{status, write};
use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, RenewFlightEndpointRequest,
};
use bytes::Bytes;
use prost::Message;
use tonic::{Code, Status};

/// Every action that is answered, and what it does.
const ACTIONS: [(&str, &str); 8] = [
    ("CreatePreparedStatement", "prepare a query; body: ActionCreatePreparedStatementRequest"),
    ("ClosePreparedStatement", "close a prepared query; body: ActionClosePreparedStatementRequest"),
    ("CancelQuery", "always answers that dropping the stream cancels; body: ActionCancelQueryRequest"),
    ("CancelFlightInfo", "always answers that dropping the stream cancels; body: CancelFlightInfoRequest"),
    ("RenewFlightEndpoint", "give an endpoint back: endpoints do not expire; body: RenewFlightEndpointRequest"),
    ("SetSessionOptions", "set session options; body: SetSessionOptionsRequest"),
    ("GetSessionOptions", "the session's options; body: GetSessionOptionsRequest"),
    ("CloseSession", "end the session; body: CloseSessionRequest"),
];

/// The actions of the Flight SQL half.
const SQL_ACTIONS: [&str; 3] = ["CreatePreparedStatement", "ClosePreparedStatement", "CancelQuery"];

/// `CloseSessionResult.Status.CLOSED`.
const SESSION_CLOSED: i32 = 1;

/// The answer to ListActions.
pub(super) fn list() -> Vec<ActionType> {
    let action =
        |(name, description): (&str, &str)| ActionType { r#type: name.into(), description: description.into() };
    ACTIONS.into_iter().chain(write::ACTIONS).map(action).collect()
}

/// Whether the Flight SQL half answers an action.
pub(super) fn is_sql(action: &Action) -> bool {
    SQL_ACTIONS.contains(&action.r#type.as_str())
}

/// Runs an action that is not of the Flight SQL half; gives the body of its one result.
///
/// # Errors
/// `UNIMPLEMENTED` for an action that does not exist, `INVALID_ARGUMENT` for a body that is not its own.
pub(super) fn run(action: &Action, options: &SessionOptions) -> Result<Bytes, Status> {
    let encoded = match action.r#type.as_str() {
        "CancelFlightInfo" => {
            body::<CancelFlightInfoRequest>(action)?;
            CancelFlightInfoResult { status: CancelStatus::NotCancellable.into() }.encode_to_vec()
        }
        "RenewFlightEndpoint" => {
            let endpoint = body::<RenewFlightEndpointRequest>(action)?.endpoint;
            endpoint.ok_or_else(|| Status::invalid_argument("RenewFlightEndpoint needs an endpoint"))?.encode_to_vec()
        }
        "SetSessionOptions" => options.set(&body::<SetSessionOptionsRequest>(action)?).encode_to_vec(),
        "GetSessionOptions" => options.get().encode_to_vec(),
        "CloseSession" => CloseSessionResult { status: SESSION_CLOSED }.encode_to_vec(),
        other => {
            let names: Vec<_> = ACTIONS.iter().chain(&write::ACTIONS).map(|(name, _)| *name).collect();
            let message = format!("no action {other:?}; there are {}", names.join(", "));
            return Err(status::status(Code::Unimplemented, &message));
        }
    };
    Ok(encoded.into())
}

fn body<M: Message + Default>(action: &Action) -> Result<M, Status> {
    M::decode(action.body.clone()).map_err(|_| {
        status::status(Code::InvalidArgument, &format!("the body of {} is not the message it takes", action.r#type))
    })
}
