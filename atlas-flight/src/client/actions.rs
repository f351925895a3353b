//! Actions: session options, cancellation, and any other by its name.

use super::{Client, ClientError};
use crate::sql::session_options::{
    GetSessionOptionsResult, OptionErrorKind, OptionValue, SetSessionOptionsRequest, SetSessionOptionsResult,
    option_value,
};
use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, Criteria, Empty, FlightInfo,
};
use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::{BoxStream, StreamExt};
use prost::Message;
use std::collections::BTreeMap;
use tonic::Code;

/// The value of a session's option.
#[derive(Debug, Clone, PartialEq)]
pub enum SessionValue {
    /// Text.
    Text(String),
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// Several texts.
    Texts(Vec<String>),
    /// No value: what the server takes without one.
    Unset,
}

impl From<&str> for SessionValue {
    fn from(text: &str) -> Self {
        SessionValue::Text(text.to_string())
    }
}

impl Client {
    /// Runs an action; gives the bodies of its results.
    ///
    /// # Errors
    /// What the server says is wrong with it (`UNIMPLEMENTED` for an action that it does not have), or a lost connection.
    pub async fn action(&self, name: &str, body: impl Into<Bytes>) -> Result<Vec<Bytes>, ClientError> {
        let action = Action { r#type: name.to_string(), body: body.into() };
        let response = self.connection.flight().do_action(action).await?;
        self.connection.remember(response.metadata());
        Ok(response.into_inner().map_ok(|result| result.body).try_collect().await?)
    }

    /// Runs an action that has one result; gives its body.
    pub(super) async fn action_once(&self, name: &str, body: Vec<u8>) -> Result<Bytes, ClientError> {
        let results = self.action(name, body).await?;
        results.into_iter().next().ok_or_else(|| ClientError::protocol(format!("{name} gave no result")))
    }

    /// The actions that the server has.
    ///
    /// # Errors
    /// A lost connection.
    pub async fn list_actions(&self) -> Result<Vec<ActionType>, ClientError> {
        Ok(self.connection.flight().list_actions(Empty {}).await?.into_inner().try_collect().await?)
    }

    /// What can be read, one FlightInfo for each array family, as it comes. What `criteria` may be is the server's to say;
    /// empty ones choose everything.
    ///
    /// # Errors
    /// What the server says is wrong with the criteria, or a lost connection.
    pub async fn list_flights(
        &self,
        criteria: impl Into<Bytes>,
    ) -> Result<BoxStream<'static, Result<FlightInfo, ClientError>>, ClientError> {
        let criteria = Criteria { expression: criteria.into() };
        let flights = self.connection.flight().list_flights(criteria).await?.into_inner();
        Ok(flights.map_err(ClientError::from).boxed())
    }

    /// Asks the server to end what a FlightInfo has started; dropping its stream does so, too.
    ///
    /// # Errors
    /// What the server says is wrong with it, or a lost connection.
    pub async fn cancel_flight_info(&self, info: FlightInfo) -> Result<CancelStatus, ClientError> {
        let body = CancelFlightInfoRequest { info: Some(info) }.encode_to_vec();
        let result: CancelFlightInfoResult = decoded(self.action_once("CancelFlightInfo", body).await?)?;
        Ok(result.status())
    }

    /// The options of the session, by name.
    ///
    /// # Errors
    /// A lost connection.
    pub async fn session_options(&self) -> Result<BTreeMap<String, SessionValue>, ClientError> {
        let body = self.action_once("GetSessionOptions", Vec::new()).await?;
        let result: GetSessionOptionsResult = decoded(body)?;
        Ok(result.session_options.into_iter().map(|(name, value)| (name, from_wire(value))).collect())
    }

    /// Sets options of the session: all of this client's later calls.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` that names the options that the server does not have, or whose values it does not take, or a lost
    /// connection.
    pub async fn set_session_options(&self, options: &[(&str, SessionValue)]) -> Result<(), ClientError> {
        let refused = self.try_set_session_options(options).await?;
        let Some((name, kind)) = refused.first_key_value() else { return Ok(()) };
        let problem = match kind {
            OptionErrorKind::InvalidName => "the server has no such session option",
            OptionErrorKind::InvalidValue => "the server does not take this value",
            OptionErrorKind::Unspecified | OptionErrorKind::Error => "the server could not set it",
        };
        Err(ClientError::invalid(format!("session option {name}: {problem}")))
    }

    /// Sets options; gives those that were not, and why.
    async fn try_set_session_options(
        &self,
        options: &[(&str, SessionValue)],
    ) -> Result<BTreeMap<String, OptionErrorKind>, ClientError> {
        let wire = |(name, value): &(&str, SessionValue)| (name.to_string(), to_wire(value.clone()));
        let request = SetSessionOptionsRequest { session_options: options.iter().map(wire).collect() };
        let body = self.action_once("SetSessionOptions", request.encode_to_vec()).await?;
        let result: SetSessionOptionsResult = decoded(body)?;
        let kind = |error: i32| OptionErrorKind::try_from(error).unwrap_or(OptionErrorKind::Error);
        Ok(result.errors.into_iter().map(|(name, error)| (name, kind(error.value))).collect())
    }

    /// The store whose tables need no prefix.
    ///
    /// # Errors
    /// A lost connection, or `NOT_FOUND` where there is none.
    pub async fn default_store(&self) -> Result<String, ClientError> {
        match self.session_options().await?.remove("schema") {
            Some(SessionValue::Text(store)) => Ok(store),
            _ => Err(ClientError::new(Code::NotFound, "the server has no default store: name one")),
        }
    }

    /// Makes `store` the one whose tables need no prefix, for all of this client's later statements.
    ///
    /// # Errors
    /// `NOT_FOUND` that names the stores there are, `FAILED_PRECONDITION` where the server has another default store and
    /// keeps it, or a lost connection.
    pub async fn use_store(&self, store: &str) -> Result<(), ClientError> {
        let options = [("schema", SessionValue::from(store))];
        if self.try_set_session_options(&options).await?.is_empty() {
            return Ok(());
        }
        let stores = self.stores().await?;
        if !stores.iter().any(|other| other == store) {
            let served = if stores.is_empty() { "none".to_string() } else { stores.join(", ") };
            return Err(ClientError::new(Code::NotFound, format!("no such store: {store}; served are {served}")));
        }
        let default = self.default_store().await?;
        let message = format!("the server keeps {default} as its default store: name tables as {store}.datasets");
        Err(ClientError::new(Code::FailedPrecondition, message))
    }

    /// Ends the session: its options are those of a new one again.
    ///
    /// # Errors
    /// A lost connection.
    pub async fn close_session(&self) -> Result<(), ClientError> {
        self.action("CloseSession", Bytes::new()).await.map(drop)
    }
}

fn decoded<M: Message + Default>(body: Bytes) -> Result<M, ClientError> {
    M::decode(body).map_err(|_| ClientError::protocol("the answer to an action cannot be read"))
}

fn to_wire(value: SessionValue) -> OptionValue {
    use option_value::{TextList, Value};
    let value = match value {
        SessionValue::Text(text) => Value::Text(text),
        SessionValue::Bool(value) => Value::Bool(value),
        SessionValue::Int(value) => Value::Int(value),
        SessionValue::Float(value) => Value::Float(value),
        SessionValue::Texts(values) => Value::Texts(TextList { values }),
        SessionValue::Unset => return OptionValue { value: None },
    };
    OptionValue { value: Some(value) }
}

fn from_wire(value: OptionValue) -> SessionValue {
    use option_value::Value;
    match value.value {
        Some(Value::Text(text)) => SessionValue::Text(text),
        Some(Value::Bool(value)) => SessionValue::Bool(value),
        Some(Value::Int(value)) => SessionValue::Int(value),
        Some(Value::Float(value)) => SessionValue::Float(value),
        Some(Value::Texts(list)) => SessionValue::Texts(list.values),
        None => SessionValue::Unset,
    }
}
