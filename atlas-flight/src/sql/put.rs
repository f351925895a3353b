//! What DoPut does in Flight SQL: binding values, statements that change something, ingestion.

use super::guard;
use super::parameters::{self, Parameters};
use super::prepared;
use super::service::{SqlService, no_transactions};
use super::settings::Settings;
use super::update::{Action, Update};
use crate::arrays::ArrayFormat;
use crate::auth::{Caller, Purpose};
use crate::observe::Call;
use crate::status;
use crate::ticket::PreparedTicket;
use crate::write::{self, Results, Rows as Written, Spool, Target, Upload, batches, request::Mode};
use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::sql::{
    CommandPreparedStatementQuery, CommandPreparedStatementUpdate, CommandStatementIngest, CommandStatementUpdate,
};
use atlas_store::{AttributeType, Snapshot, Store};
use bytes::Bytes;
use futures::TryStreamExt;
use std::collections::HashSet;
use std::sync::Arc;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

/// What a statement that changes datasets answers: one row, their number.
pub(crate) fn rows_affected() -> Schema {
    Schema::new(vec![Field::new("rows_affected", DataType::Int64, false)])
}

/// What begins statements that change datasets.
const CHANGING: [&str; 3] = ["INSERT", "UPDATE", "DELETE"];

/// What begins statements that would change something else than datasets.
const DEFINING: [&str; 5] = ["ALTER", "CREATE", "DROP", "MERGE", "TRUNCATE"];

/// The values that a statement is run with, a row each time.
pub(super) enum Rows {
    /// One run, with these values.
    One(Parameters),
    /// As they were bound.
    Bound(Spool),
}

impl SqlService {
    /// Binds values to a prepared statement; gives the handle that says them.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for values that are not one row of as many as the statement has parameters.
    pub(crate) async fn bind(
        &self,
        caller: &Caller,
        query: &CommandPreparedStatementQuery,
        upload: Upload,
    ) -> Result<Bytes, Status> {
        let statement = self.prepared(caller, &query.prepared_statement_handle)?;
        let messages = upload.map_err(|status| FlightError::Tonic(Box::new(status)));
        let parameters = Parameters::receive(FlightRecordBatchStream::new_from_flight_data(messages)).await?;
        prepared::check_count(&parameters, statement.parameter_count)?;
        let parameters = parameters.to_bytes()?;
        self.bound.bind(&statement.id, parameters.clone());
        let bound = PreparedTicket { parameters, ..statement };
        Ok(self.tickets.sealer(caller).seal(Purpose::Prepared, &bound))
    }

    /// Runs a statement that changes datasets; gives their number.
    ///
    /// # Errors
    /// As [`SqlService::change`]; `INVALID_ARGUMENT` for a query.
    pub(crate) async fn put_update(
        &self,
        caller: &Caller,
        command: CommandStatementUpdate,
        headers: &MetadataMap,
    ) -> Result<i64, Status> {
        no_transactions(command.transaction_id.as_ref())?;
        let settings = self.settings_of(caller, headers)?;
        let update = self.update(&command.query).await?.ok_or_else(not_an_update)?;
        self.change(caller, &update, Rows::One(Parameters::default()), &settings).await
    }

    /// Runs a prepared statement that changes datasets, once for each row of values, in one commit.
    ///
    /// # Errors
    /// As [`SqlService::change`]; `INVALID_ARGUMENT` for a query, and for rows of another length than the statement takes.
    pub(crate) async fn put_prepared_update(
        &self,
        caller: &Caller,
        command: &CommandPreparedStatementUpdate,
        upload: Upload,
    ) -> Result<i64, Status> {
        let statement = self.prepared(caller, &command.prepared_statement_handle)?;
        let update = self.update(&statement.sql).await?.ok_or_else(not_an_update)?;
        let settings = Settings::of_ticket(statement.settings.as_ref());
        if statement.parameter_count == 0 {
            // Some drivers send no batch then, others one without columns.
            return self.change(caller, &update, Rows::One(Parameters::default()), &settings).await;
        }
        let (schema, rows) = batches(upload).await?;
        let count = schema.fields().len();
        if count as u64 != statement.parameter_count {
            let message = format!("the statement has {} parameters, {count} are bound", statement.parameter_count);
            return Err(status::status(Code::InvalidArgument, &message));
        }
        let spool = Spool::of(schema, rows, self.writers.limits()).await?;
        self.change(caller, &update, Rows::Bound(spool), &settings).await
    }

    /// Takes rows of the table `datasets`; gives their number.
    ///
    /// # Errors
    /// Those of [`write::ingest`].
    pub(crate) async fn ingest(
        &self,
        caller: &Caller,
        command: CommandStatementIngest,
        upload: Upload,
        headers: &MetadataMap,
    ) -> Result<i64, Status> {
        let (catalog, _) = self.views.of(caller)?.queries.defaults();
        let schema = self.settings_of(caller, headers)?.schema;
        write::ingest(&self.writers, caller, (&catalog, &schema), command, upload).await
    }

    /// The change that a text asks for, if it asks for one.
    ///
    /// # Errors
    /// Those of [`Update::parse`]; `PERMISSION_DENIED` on a server that only reads.
    pub(super) async fn update(&self, sql: &str) -> Result<Option<Update>, Status> {
        guard::check(sql)?;
        let first = sql.trim_start().get(..6).unwrap_or_default().to_ascii_uppercase();
        if CHANGING.contains(&first.as_str()) {
            self.writers.check(&first)?;
        }
        let word = sql.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        if self.writers.is_writable() && DEFINING.contains(&word.as_str()) {
            let message = format!("{word} is not supported: SQL changes datasets, by INSERT, UPDATE and DELETE");
            return Err(status::status(Code::Unimplemented, &message));
        }
        // Most texts have none of the words, and are parsed by the planner alone.
        let words = sql.to_ascii_uppercase();
        if !CHANGING.iter().any(|word| words.contains(word)) {
            return Ok(None);
        }
        // It nests as deep as a query, and takes as much of a stack.
        let text = sql.to_string();
        let update = self.views.workers().plan(async move { Update::parse(&text) }).await?;
        if let (Some(_), Some(call)) = (&update, Call::current()) {
            call.states(sql, false);
        }
        Ok(update)
    }

    /// Whether a text asks for a change.
    ///
    /// # Errors
    /// As [`SqlService::update`].
    pub(crate) async fn is_update(&self, sql: &str) -> Result<bool, Status> {
        Ok(self.update(sql).await?.is_some())
    }

    /// The parameters that a change takes: of the types that its columns have, else as a query's.
    ///
    /// # Errors
    /// Those of planning its query.
    pub(super) async fn update_parameters(
        &self,
        caller: &Caller,
        update: &Update,
        count: usize,
        settings: &Settings,
    ) -> Result<Schema, Status> {
        let view = self.views.of(caller)?;
        let store = update.store.clone().unwrap_or_else(|| settings.schema.clone());
        self.writers.check_store(caller, &store, "an update")?;
        let Some(columns) = &update.bound else {
            let open = view.queries.plan_open(&update.query, &as_tensors(settings)).await?;
            return parameters::parameter_schema(&open.plan, count);
        };
        let snapshot = view.stores.current(&store)?;
        let field = |(at, column): (usize, &String)| {
            Field::new(format!("${}", at + 1), parameters::declared(&attribute_type(&snapshot, column)), true)
        };
        Ok(Schema::new(columns.iter().enumerate().map(field).collect::<Vec<_>>()))
    }

    /// Makes a change, once for each row of values, in one commit; gives the number of datasets.
    ///
    /// What is written is asked for before anything is changed, while nobody else changes the store through this server.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`, those of a query, and those of writing its rows; nothing is changed then.
    pub(super) async fn change(
        &self,
        caller: &Caller,
        update: &Update,
        rows: Rows,
        settings: &Settings,
    ) -> Result<i64, Status> {
        let view = self.views.of(caller)?;
        let store = update.store.clone().unwrap_or_else(|| settings.schema.clone());
        let turn = self.writers.turn(caller, &store, "an update").await?;
        let snapshot = view.stores.current(&store)?;
        let mut results = Results::default();
        let has_asked = !matches!((&rows, &update.bound), (Rows::Bound(_), Some(_)));
        match (rows, &update.bound) {
            (Rows::Bound(spool), Some(columns)) => results.push(named(spool, columns)?),
            (Rows::Bound(spool), None) => {
                for batch in spool.batches()? {
                    let batch = batch?;
                    for row in 0..batch.num_rows() {
                        let parameters = Parameters::from_row(&batch.slice(row, 1))?;
                        self.ask(caller, update, &parameters, settings, &mut results).await?;
                    }
                }
            }
            (Rows::One(parameters), _) => self.ask(caller, update, &parameters, settings, &mut results).await?,
        }
        let (action, results) = (update.action, results.finish()?);
        let apply = move |store: &Store| {
            let mut changed = 0;
            let mut deleted = HashSet::new();
            for result in results {
                changed += apply(store, &snapshot, action, result, &mut deleted)?;
            }
            // The first change went to the newest snapshot: the queries have to have seen that one.
            if has_asked && store.snapshot().number() != snapshot.number() {
                let message = "another process committed to the store in the meantime: try again";
                return Err(status::status(Code::Aborted, message));
            }
            Ok(changed)
        };
        let (changed, _) = if has_asked { turn.commit_as_seen(apply).await? } else { turn.commit(apply).await? };
        Ok(i64::try_from(changed).unwrap_or(i64::MAX))
    }

    /// Puts aside what one run of a change writes.
    async fn ask(
        &self,
        caller: &Caller,
        update: &Update,
        parameters: &Parameters,
        settings: &Settings,
        results: &mut Results,
    ) -> Result<(), Status> {
        let view = self.views.of(caller)?;
        let planned = view.queries.plan(&update.query, parameters, &as_tensors(settings)).await?;
        let schema = Arc::clone(planned.schema());
        let batches = view.queries.batches(planned).await?;
        results.add(schema, batches, self.writers.limits()).await
    }
}

/// The same, with arrays as they are stored.
fn as_tensors(settings: &Settings) -> Settings {
    Settings { format: ArrayFormat::Tensor, ..settings.clone() }
}

/// Writes what one run gave; gives how many datasets it was.
fn apply(
    store: &Store,
    snapshot: &Snapshot,
    action: Action,
    rows: Spool,
    deleted: &mut HashSet<String>,
) -> Result<u64, Status> {
    let target = match action {
        Action::Insert => Target::Datasets(Mode::Create),
        Action::Update => Target::Attributes,
        Action::Delete => return delete(store, rows, deleted),
    };
    let written = Written::new(rows.schema(), target)?.typed_as(snapshot)?;
    Ok(written.write_all(store, rows)?.rows)
}

/// Deletes the datasets that are not deleted yet: several rows of values may mean the same one.
fn delete(store: &Store, rows: Spool, deleted: &mut HashSet<String>) -> Result<u64, Status> {
    let before = deleted.len();
    for batch in rows.batches()? {
        let names = cast(batch?.column(0), &DataType::Utf8).map_err(|error| status::from_arrow(&error))?;
        for name in names.as_string::<i32>().iter().flatten() {
            if deleted.insert(name.to_string()) {
                store.delete_dataset(name).map_err(|error| status::from_store(&error))?;
            }
        }
    }
    Ok((deleted.len() - before) as u64)
}

/// Bound values under the names of the columns that they are.
fn named(spool: Spool, columns: &[String]) -> Result<Spool, Status> {
    let fields = spool.schema().fields().iter().zip(columns);
    let fields: Vec<Field> = fields.map(|(field, name)| field.as_ref().clone().with_name(name)).collect();
    if fields.iter().any(|field| matches!(field.data_type(), DataType::Union(_, _))) {
        return unwrapped(spool, columns);
    }
    Ok(spool.with_schema(Arc::new(Schema::new(fields))))
}

/// The same where values come as unions of all types, as some clients send them: each column is of its first value's type.
fn unwrapped(spool: Spool, columns: &[String]) -> Result<Spool, Status> {
    let mut rows = Vec::new();
    for batch in spool.batches()? {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            rows.push(Parameters::from_row(&batch.slice(row, 1))?.values());
        }
    }
    let mut arrays = Vec::with_capacity(columns.len());
    for (at, name) in columns.iter().enumerate() {
        let values: Vec<_> = rows.iter().filter_map(|row| row.get(at).cloned()).collect();
        let kind = values.iter().find(|value| !value.is_null()).map_or(DataType::Null, |value| value.data_type());
        let typed = values.iter().map(|value| value.cast_to(&kind)).collect::<Result<Vec<_>, _>>();
        let array = typed.and_then(datafusion::common::ScalarValue::iter_to_array);
        arrays.push((name.as_str(), array.map_err(|error| status::from_datafusion(&error))?));
    }
    let batch = RecordBatch::try_from_iter(arrays).map_err(|error| status::from_arrow(&error))?;
    Spool::of_batch(&batch)
}

/// The type of an attribute in the table, where all datasets have the same; text else.
fn attribute_type(snapshot: &Snapshot, name: &str) -> DataType {
    match write::known_kind(snapshot, name) {
        Some(AttributeType::Bool) => DataType::Boolean,
        Some(AttributeType::Int64) => DataType::Int64,
        Some(AttributeType::Float64) => DataType::Float64,
        Some(AttributeType::TimestampNanoseconds) => DataType::Timestamp(arrow::datatypes::TimeUnit::Nanosecond, None),
        Some(AttributeType::String) | None => DataType::Utf8,
    }
}

fn not_an_update() -> Status {
    Status::invalid_argument("the statement is a query: it changes nothing")
}
