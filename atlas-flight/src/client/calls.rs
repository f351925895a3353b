//! The client, and the calls that read.

use super::connection::Connection;
use super::redeem::redeem;
use super::{Address, BatchStream, ClientError, ConnectOptions, ReadOptions};
use crate::bulk::request::StackedRequest;
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt};
use arrow_flight::{FlightDescriptor, FlightInfo};
use prost::Message;
use std::sync::Arc;

/// A connection to a server. Clones share it, and its session.
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) connection: Connection,
    address: Address,
}

impl Client {
    /// Connects to a server named by `grpc://host:port` (or `grpc+tcp://`, `http://`) that asks for no login.
    ///
    /// # Errors
    /// As [`Client::connect_with`].
    pub async fn connect(uri: &str) -> Result<Self, ClientError> {
        Self::connect_with(uri, ConnectOptions::default()).await
    }

    /// Connects to a server named by `grpc://host:port`, or with TLS by `grpc+tls://host:port` (or `grpcs://`, `https://`).
    ///
    /// # Errors
    /// Where the URI is not one of these, nothing listens there, the server is not to be trusted, or the login is refused.
    pub async fn connect_with(uri: &str, options: ConnectOptions) -> Result<Self, ClientError> {
        Self::connect_to(&Address::parse(uri)?, &options).await
    }

    /// Connects to a server. The store that the address may name is not looked at: [`Client::use_store`] makes it the one
    /// whose tables need no prefix.
    ///
    /// # Errors
    /// As [`Client::connect_with`].
    pub async fn connect_to(address: &Address, options: &ConnectOptions) -> Result<Self, ClientError> {
        let connection = Connection::open(address, options).await?;
        Ok(Client { connection, address: address.clone() })
    }

    /// The server, and the store that was named with it.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Runs a query and collects its result: at least one batch, which is empty where the result is.
    ///
    /// # Errors
    /// What the server says is wrong with the query, or a lost connection.
    pub async fn query(&self, sql: &str) -> Result<Vec<RecordBatch>, ClientError> {
        self.query_stream(sql).await?.into_batches().await
    }

    /// Plans a query, and gives its result as it comes: the query runs while the stream is polled.
    ///
    /// A query that is cut is not tried again: its rows might come in another order.
    ///
    /// # Errors
    /// What the server says is wrong with the query, or a lost connection.
    pub async fn query_stream(&self, sql: &str) -> Result<BatchStream, ClientError> {
        let info = self.flight_info(sql_descriptor(sql)).await?;
        self.read_query(info)
    }

    /// The schema of a query's result; the query does not run.
    ///
    /// # Errors
    /// What the server says is wrong with the query, or a lost connection.
    pub async fn query_schema(&self, sql: &str) -> Result<SchemaRef, ClientError> {
        self.schema(sql_descriptor(sql)).await
    }

    /// Makes a stacked read and collects its batches, in the order of the request: at least one, which is empty where no
    /// dataset was selected.
    ///
    /// # Errors
    /// What the server says is wrong with the request, or a connection that stays lost.
    pub async fn stacked(&self, request: &StackedRequest) -> Result<Vec<RecordBatch>, ClientError> {
        self.stacked_stream(request).await?.into_batches().await
    }

    /// Plans a stacked read, and gives its batches as they come, in the order of the request.
    ///
    /// # Errors
    /// What the server says is wrong with the request, or a connection that stays lost.
    pub async fn stacked_stream(&self, request: &StackedRequest) -> Result<BatchStream, ClientError> {
        self.stacked_stream_with(request, &ReadOptions::default()).await
    }

    /// The same, in as many parts at a time and with as much patience as `options` say. A part is one of the request's
    /// `partitions`: the more there are, the less is read again when one is cut.
    ///
    /// # Errors
    /// As [`Client::stacked_stream`].
    pub async fn stacked_stream_with(
        &self,
        request: &StackedRequest,
        options: &ReadOptions,
    ) -> Result<BatchStream, ClientError> {
        let descriptor = FlightDescriptor::new_cmd(request.to_command());
        let info = options.retry(|| self.flight_info(descriptor.clone())).await?;
        self.read(info, options)
    }

    /// What a descriptor stands for: schema, totals and tickets.
    ///
    /// # Errors
    /// What the server says is wrong with it, or a lost connection.
    pub async fn flight_info(&self, descriptor: FlightDescriptor) -> Result<FlightInfo, ClientError> {
        Ok(self.connection.flight().get_flight_info(descriptor).await?.into_inner())
    }

    /// The schema of what a descriptor stands for.
    ///
    /// # Errors
    /// What the server says is wrong with it, or a lost connection.
    pub async fn schema(&self, descriptor: FlightDescriptor) -> Result<SchemaRef, ClientError> {
        let result = self.connection.flight().get_schema(descriptor).await?.into_inner();
        let schema = Schema::try_from(&result).map_err(|error| ClientError::protocol(error.to_string()))?;
        Ok(Arc::new(schema))
    }

    /// What a query's FlightInfo gives.
    ///
    /// # Errors
    /// As [`Client::read`].
    pub(super) fn read_query(&self, info: FlightInfo) -> Result<BatchStream, ClientError> {
        // Its total may be how much was changed, and not the number of rows that come.
        self.read(FlightInfo { total_records: -1, ..info }, &ReadOptions::once())
    }

    /// What a FlightInfo's tickets give. Parts that are cut are asked for again: their batches have to be the same then, as
    /// those of a stacked read are.
    ///
    /// # Errors
    /// `INTERNAL` where the FlightInfo cannot be read.
    pub fn read(&self, info: FlightInfo, options: &ReadOptions) -> Result<BatchStream, ClientError> {
        redeem(&self.connection, info, options)
    }
}

fn sql_descriptor(sql: &str) -> FlightDescriptor {
    let command = CommandStatementQuery { query: sql.to_string(), transaction_id: None };
    FlightDescriptor::new_cmd(command.as_any().encode_to_vec())
}
