//! DoPut of datasets.

use super::Upload;
use super::arrays::{Columns, ROW};
use super::request::{Mode, PutRequest};
use super::rows::{Changes, Rows, Target};
use super::spool::Spool;
use super::writers::Writers;
use crate::auth::Caller;
use crate::status;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::PutResult;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use atlas_store::{FlushReport, Store};
use futures::{Stream, StreamExt, TryStreamExt};
use serde_json::json;
use tonic::{Code, Status};

/// Takes an upload and commits it; the answer says what was done, as JSON: `snapshot`, `rows`, `datasets`, `arrays`,
/// `attributes`.
///
/// # Errors
/// `PERMISSION_DENIED`, `NOT_FOUND`, `ALREADY_EXISTS` and `INVALID_ARGUMENT` that name what is wrong, and those of the stream:
/// nothing is written then.
pub(crate) async fn put(
    writers: &Writers,
    caller: &Caller,
    request: PutRequest,
    upload: Upload,
) -> Result<PutResult, Status> {
    writers.check_store(caller, &request.store, "writing")?;
    let (schema, batches) = batches(upload).await?;
    // What is wrong with the schema is said before the data is sent.
    let what = What::of(&schema, &request)?;
    let spool = Spool::of(schema, batches, writers.limits()).await?;
    if let Some(rows) = request.rows.filter(|rows| *rows != spool.rows()) {
        let message = format!("the stream has {} rows, the command says {rows}: nothing was written", spool.rows());
        return Err(status::status(Code::InvalidArgument, &message));
    }
    let turn = writers.turn(caller, &request.store, "writing").await?;
    let (changes, report) = turn.commit(move |store| what.write(store, spool, request.mode)).await?;
    Ok(PutResult { app_metadata: answer(changes, &report).into() })
}

/// What an upload is.
enum What {
    Datasets(Rows),
    Dataset { name: String, columns: Columns, dim: String },
}

impl What {
    fn of(schema: &SchemaRef, request: &PutRequest) -> Result<Self, Status> {
        match &request.dataset {
            None => {
                let target = request.start.clone().map_or(Target::Datasets(request.mode), Target::Region);
                Rows::new(schema, target).map(What::Datasets)
            }
            Some(name) => {
                let dim = request.dim.clone().unwrap_or_else(|| ROW.into());
                Ok(What::Dataset { name: name.clone(), columns: Columns::new(schema)?, dim })
            }
        }
    }

    fn write(&self, store: &Store, spool: Spool, mode: Mode) -> Result<Changes, Status> {
        match self {
            What::Datasets(rows) => rows.write_all(store, spool),
            What::Dataset { name, columns, dim } => columns.write(store, name, spool, mode, dim),
        }
    }
}

fn answer(changes: Changes, report: &FlushReport) -> Vec<u8> {
    let Changes { rows, datasets, arrays, attributes } = changes;
    let snapshot = report.snapshot;
    json!({ "snapshot": snapshot, "rows": rows, "datasets": datasets, "arrays": arrays, "attributes": attributes })
        .to_string()
        .into_bytes()
}

/// The schema of an upload, and its batches.
///
/// # Errors
/// `INVALID_ARGUMENT` where the stream ends before its schema, or is no Arrow data.
pub(crate) async fn batches(
    upload: Upload,
) -> Result<(SchemaRef, impl Stream<Item = Result<RecordBatch, Status>> + Unpin), Status> {
    let messages = upload.map_err(|status| FlightError::Tonic(Box::new(status)));
    let mut decoded = FlightRecordBatchStream::new_from_flight_data(messages);
    // The schema is known once the first batch is there, or the end.
    let first = decoded.next().await.transpose().map_err(status::from_flight)?;
    let schema = decoded.schema().cloned();
    let schema = schema.ok_or_else(|| status::status(Code::InvalidArgument, "the stream ended before its schema"))?;
    let rest = decoded.map_err(status::from_flight);
    Ok((schema, futures::stream::iter(first.map(Ok)).chain(rest)))
}
