//! Actions apart from those of Flight SQL's prepared statements.

use crate::auth::Caller;
use crate::life::Living;
use crate::sql::session_options::{CloseSessionResult, SetSessionOptionsRequest};
use crate::sql::sessions::Sessions;
use crate::ticket::Tickets;
use crate::view::View;
use crate::{status, write};
use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightEndpoint,
    RenewFlightEndpointRequest,
};
use bytes::Bytes;
use prost::Message;
use std::time::SystemTime;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

/// Every action that is answered, and what it does.
const ACTIONS: [(&str, &str); 8] = [
    ("CreatePreparedStatement", "prepare a query; body: ActionCreatePreparedStatementRequest"),
    ("ClosePreparedStatement", "close a prepared query; body: ActionClosePreparedStatementRequest"),
    ("CancelQuery", "stop what runs of a FlightInfo; body: ActionCancelQueryRequest"),
    ("CancelFlightInfo", "stop what runs of a FlightInfo, and refuse its tickets; body: CancelFlightInfoRequest"),
    ("RenewFlightEndpoint", "the endpoint with a ticket that expires later; body: RenewFlightEndpointRequest"),
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

/// What an action that is not of the Flight SQL half needs.
pub(super) struct Actions<'a> {
    /// Who asks for it.
    pub(super) caller: &'a Caller,
    /// What the caller sees.
    pub(super) view: &'a View,
    /// The tickets to cancel and renew.
    pub(super) tickets: &'a Tickets,
    /// The sessions.
    pub(super) sessions: &'a Sessions,
}

/// What an action answers with.
pub(super) struct Answer {
    /// The body of the one result.
    pub(super) body: Bytes,
    /// The value of a `Set-Cookie` header.
    pub(super) cookie: Option<String>,
}

impl Actions<'_> {
    /// Runs an action that came with these headers.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` for an action that does not exist, `INVALID_ARGUMENT` for a body that is not its own, and what is
    /// wrong with the ticket or the session.
    pub(super) fn run(&self, action: &Action, headers: &MetadataMap) -> Result<Answer, Status> {
        let Actions { caller, view, tickets, sessions } = self;
        let mut cookie = None;
        let encoded = match action.r#type.as_str() {
            "CancelFlightInfo" => {
                let info = body::<CancelFlightInfoRequest>(action)?.info;
                let info = info.ok_or_else(|| Status::invalid_argument("CancelFlightInfo needs a FlightInfo"))?;
                let cancelled = tickets.cancel(caller, &info)?;
                let status = if cancelled { CancelStatus::Cancelled } else { CancelStatus::NotCancellable };
                CancelFlightInfoResult { status: status.into() }.encode_to_vec()
            }
            "RenewFlightEndpoint" => self.renew(action)?.encode_to_vec(),
            "SetSessionOptions" => {
                let (result, set) = sessions.set(caller, headers, view, &body::<SetSessionOptionsRequest>(action)?)?;
                cookie = set;
                result.encode_to_vec()
            }
            "GetSessionOptions" => sessions.get(caller, headers, view)?.encode_to_vec(),
            "CloseSession" => {
                cookie = sessions.close(caller, headers);
                CloseSessionResult { status: SESSION_CLOSED }.encode_to_vec()
            }
            other => {
                let names: Vec<_> = ACTIONS.iter().chain(&write::ACTIONS).map(|(name, _)| *name).collect();
                let message = format!("no action {other:?}; there are {}", names.join(", "));
                return Err(status::status(Code::Unimplemented, &message));
            }
        };
        Ok(Answer { body: encoded.into(), cookie })
    }

    /// The endpoint with a new ticket, where there is still what it reads.
    fn renew(&self, action: &Action) -> Result<FlightEndpoint, Status> {
        let endpoint = body::<RenewFlightEndpointRequest>(action)?.endpoint;
        let endpoint = endpoint.ok_or_else(|| Status::invalid_argument("RenewFlightEndpoint needs an endpoint"))?;
        let (endpoint, living) = self.tickets.renew(self.caller, endpoint, SystemTime::now())?;
        if let Some(Living::Stacked(read)) = living {
            self.view.stores.snapshot_at(&read.store, read.snapshot)?;
        }
        Ok(endpoint)
    }
}

fn body<M: Message + Default>(action: &Action) -> Result<M, Status> {
    M::decode(action.body.clone()).map_err(|_| {
        status::status(Code::InvalidArgument, &format!("the body of {} is not the message it takes", action.r#type))
    })
}
