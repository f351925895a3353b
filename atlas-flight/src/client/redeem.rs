//! Tickets: redeemed one after the other or some ahead, and again where a read was cut.

use super::connection::Connection;
use super::{BatchStream, ClientError};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::{FlightInfo, Ticket};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt, TryStreamExt};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tonic::Code;

/// Batches of one part that wait to be taken, where parts are read ahead.
const BATCHES_AHEAD: usize = 2;

/// The longest wait before a part is tried again.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How the parts of a read are fetched, and what becomes of one that is cut.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// How many parts are read at a time, each over a connection of its own where there are several. Batches come in the
    /// order of the request whatever this is; each part holds a few batches in memory.
    pub parts_at_a_time: usize,
    /// How many times in a row a part that was cut is asked for again, without a batch in between. Rows that came before
    /// are read again by the server, and not given again.
    pub attempts: u32,
    /// The wait before the first of these attempts; each further one waits twice as long, up to five seconds.
    pub first_wait: Duration,
}

impl Default for ReadOptions {
    /// One part at a time; eight attempts within a quarter of a minute.
    fn default() -> Self {
        ReadOptions { parts_at_a_time: 1, attempts: 8, first_wait: Duration::from_millis(100) }
    }
}

impl ReadOptions {
    /// One attempt for everything: for results that may come in another order the second time.
    pub(super) fn once() -> Self {
        ReadOptions { attempts: 0, ..ReadOptions::default() }
    }

    /// Does something that is the same when it is done again, until the server is there or the attempts are used up.
    pub(super) async fn retry<T, F: Future<Output = Result<T, ClientError>>>(
        &self,
        mut call: impl FnMut() -> F,
    ) -> Result<T, ClientError> {
        let mut patience = Patience::new(self);
        loop {
            match call().await {
                Err(error) => patience.wait(error).await?,
                done => return done,
            }
        }
    }
}

/// The attempts that are left.
struct Patience {
    attempts: u32,
    wait: Duration,
}

impl Patience {
    fn new(options: &ReadOptions) -> Self {
        Patience { attempts: options.attempts, wait: options.first_wait }
    }

    /// Waits until the next attempt.
    ///
    /// # Errors
    /// The error itself, where it is the server's own answer, or no attempt is left.
    async fn wait(&mut self, error: ClientError) -> Result<(), ClientError> {
        if !error.is_lost() || self.attempts == 0 {
            return Err(error);
        }
        tokio::time::sleep(self.wait).await;
        self.attempts -= 1;
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        Ok(())
    }
}

/// What a FlightInfo's tickets give, in their order.
///
/// # Errors
/// `INTERNAL` for an endpoint without ticket, or a schema that cannot be read.
pub(super) fn redeem(
    connection: &Connection,
    info: FlightInfo,
    options: &ReadOptions,
) -> Result<BatchStream, ClientError> {
    let tickets: Option<Vec<Ticket>> = info.endpoint.iter().map(|endpoint| endpoint.ticket.clone()).collect();
    let tickets = tickets.ok_or_else(|| ClientError::protocol("an endpoint came without ticket"))?;
    let totals = (info.total_records, info.total_bytes);
    let schema = info.try_decode_schema().map_err(|error| ClientError::protocol(error.to_string()))?;
    let schema = Arc::new(schema);
    let lanes = options.parts_at_a_time.clamp(1, tickets.len().max(1));
    let batches = if lanes == 1 {
        let parts: Vec<Part> =
            tickets.into_iter().map(|ticket| Part::new(connection.clone(), ticket, &schema, options)).collect();
        stream::iter(parts).flat_map(Part::batches).boxed()
    } else {
        // Unread streams of one connection share its window: one that nobody reads would hold up the others.
        let connections: Vec<Connection> = (0..lanes).map(|_| connection.another()).collect();
        let part =
            |(index, ticket): (usize, Ticket)| Part::new(connections[index % lanes].clone(), ticket, &schema, options);
        let parts: Vec<Part> = tickets.into_iter().enumerate().map(part).collect();
        let running = stream::iter(parts).map(|part| async { part.ahead() }).buffered(lanes - 1);
        running.flatten().boxed()
    };
    Ok(BatchStream::new(schema, totals, whole(totals.0, batches).boxed()))
}

/// The batches, and an error where they end before the announced number of rows.
fn whole(
    announced: i64,
    batches: BoxStream<'static, Result<RecordBatch, ClientError>>,
) -> impl Stream<Item = Result<RecordBatch, ClientError>> + Send + 'static {
    stream::try_unfold((batches, 0u64), move |(mut batches, rows)| async move {
        match batches.try_next().await? {
            Some(batch) => {
                let rows = rows + batch.num_rows() as u64;
                Ok(Some((batch, (batches, rows))))
            }
            None => match u64::try_from(announced) {
                Ok(announced) if announced != rows => {
                    let message = format!("the read ended after {rows} rows, {announced} were announced");
                    Err(ClientError::new(Code::DataLoss, message))
                }
                _ => Ok(None),
            },
        }
    })
}

/// One ticket, and how far it has been read.
struct Part {
    connection: Connection,
    ticket: Ticket,
    schema: SchemaRef,
    options: ReadOptions,
    patience: Patience,
    messages: Option<FlightRecordBatchStream>,
    /// Rows that were given.
    given: u64,
    /// Of these, how many the present stream has yet to pass.
    to_pass: u64,
}

impl Part {
    fn new(connection: Connection, ticket: Ticket, schema: &SchemaRef, options: &ReadOptions) -> Self {
        Part {
            connection,
            ticket,
            schema: Arc::clone(schema),
            options: options.clone(),
            patience: Patience::new(options),
            messages: None,
            given: 0,
            to_pass: 0,
        }
    }

    /// The batches, each fetched when it is asked for.
    fn batches(self) -> BoxStream<'static, Result<RecordBatch, ClientError>> {
        let next = |mut part: Part| async move { Ok(part.next().await?.map(|batch| (batch, part))) };
        stream::try_unfold(self, next).boxed()
    }

    /// The batches, fetched from now on as far as there is room for them. Dropping the stream ends that.
    fn ahead(self) -> BoxStream<'static, Result<RecordBatch, ClientError>> {
        let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
        let mut batches = self.batches();
        tokio::spawn(async move {
            loop {
                let batch = tokio::select! {
                    () = sender.closed() => return,
                    batch = batches.next() => batch,
                };
                let Some(batch) = batch else { return };
                if sender.send(batch).await.is_err() {
                    return;
                }
            }
        });
        let next = |mut receiver: mpsc::Receiver<_>| async move { Some((receiver.recv().await?, receiver)) };
        stream::unfold(receiver, next).boxed()
    }

    async fn next(&mut self) -> Result<Option<RecordBatch>, ClientError> {
        loop {
            match self.attempt().await {
                Err(error) => {
                    self.messages = None;
                    self.patience.wait(error).await?;
                }
                done => return done,
            }
        }
    }

    /// The next batch of the stream that is open, or of a new one from where the last ended.
    async fn attempt(&mut self) -> Result<Option<RecordBatch>, ClientError> {
        let messages = match &mut self.messages {
            Some(messages) => messages,
            None => {
                let messages = self.connection.flight().do_get(self.ticket.clone()).await?.into_inner();
                let messages = messages.map_err(|status| FlightError::Tonic(Box::new(status)));
                self.to_pass = self.given;
                self.messages.insert(FlightRecordBatchStream::new_from_flight_data(messages))
            }
        };
        while let Some(batch) = messages.try_next().await? {
            let rows = batch.num_rows() as u64;
            if self.to_pass > 0 && rows <= self.to_pass {
                self.to_pass -= rows;
                continue;
            }
            if batch.schema() != self.schema {
                return Err(ClientError::protocol("a batch has another schema than was announced"));
            }
            let passed = usize::try_from(self.to_pass).unwrap_or(usize::MAX);
            let batch = batch.slice(passed, batch.num_rows() - passed);
            self.to_pass = 0;
            self.given += batch.num_rows() as u64;
            self.patience = Patience::new(&self.options);
            return Ok(Some(batch));
        }
        if self.to_pass > 0 {
            let message = format!("a read that was cut has {} rows less than before", self.to_pass);
            return Err(ClientError::new(Code::DataLoss, message));
        }
        Ok(None)
    }
}
