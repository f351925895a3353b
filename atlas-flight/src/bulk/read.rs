//! From a ticket to batches.

use super::column::{self, DATASET};
use super::coordinates;
use super::memory;
use super::stores::Stores;
use crate::observe::Call;
use crate::service::encode::{FrameStream, conform, frame_stream};
use crate::status;
use crate::ticket::{ColumnTicket, StackedTicket, rows_of};
use arrow::array::{
    Array, ArrayRef, FixedSizeListArray, Int32Array, ListArray, RecordBatch, StringArray, StructArray, UInt32Array,
    new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, SchemaRef};
use atlas_sql::tensor;
use atlas_store::{CancelToken, DType, Output, ReadHooks, ReadPlan, Region, Snapshot, SpareMemory};
use futures::{StreamExt, stream};
use std::ops::Range;
use std::sync::Arc;
use tonic::Status;

/// How large a batch is made, where it is not one dataset that is larger: with what surrounds it less than 4 MiB, which is
/// what gRPC clients take unless they are told otherwise. The memory of a few stays in the processor's caches, too.
const BATCH_BYTES: u64 = (4 << 20) - (64 << 10);

/// The most datasets in a batch: names and offsets cost something even where cells do not.
const MAX_BATCH_ROWS: usize = 1 << 17;

/// How many batches of one stream are read at a time: beside it one waits, and one is being sent.
const BATCHES_AHEAD: usize = 1;

/// One part of a stacked read, ready to be read batch by batch.
struct Part {
    snapshot: Snapshot,
    schema: SchemaRef,
    columns: Vec<ColumnTicket>,
    region: Option<Region>,
    rows: Vec<u32>,
    /// The bytes of all values.
    bytes: u64,
    cancel: CancelToken,
    /// Of batches that were sent, of this stream or others.
    spare: SpareMemory,
    call: Option<Call>,
}

/// Streams what a ticket names. Each batch is read when the stream is polled for it; dropping the stream ends the read.
///
/// # Errors
/// `NOT_FOUND` where the store or its snapshot is gone, `INVALID_ARGUMENT` for a ticket that does not fit the store,
/// `RESOURCE_EXHAUSTED` where too many reads wait.
pub(crate) async fn read(stores: &Stores, ticket: StackedTicket) -> Result<FrameStream, Status> {
    let snapshot = stores.snapshot_at(&ticket.store, ticket.snapshot)?;
    let permit = stores.gate().bulk_reads.admit().await?;
    let call = Call::current();
    let spare = stores.spare().clone();
    let opened = tokio::task::spawn_blocking(move || Part::open(snapshot, ticket, spare, call)).await;
    let part = Arc::new(opened.map_err(|error| status::from_join(&error))??);
    let schema = Arc::clone(&part.schema);
    let guard = part.cancel.guard();
    let batches = batches(&part.snapshot, &part.columns, &part.rows);
    let batches = stream::iter(batches).map(move |rows| {
        let _held_by_the_stream = (&guard, &permit);
        let part = Arc::clone(&part);
        async move {
            let batch = tokio::task::spawn_blocking(move || part.batch(rows)).await;
            batch.map_err(|error| status::from_join(&error))?
        }
    });
    frame_stream(&schema, batches.buffered(BATCHES_AHEAD))
}

/// The bytes of all batches' values, as pyarrow's `nbytes` counts them; -1 where only reading would tell.
pub(super) fn total_bytes(snapshot: &Snapshot, read: &StackedTicket, parts: &[&[u32]]) -> i64 {
    let of_unknown_size = |column: &ColumnTicket| column::dtype(column).is_ok_and(|dtype| dtype.cell_bytes().is_none());
    if read.columns.iter().any(of_unknown_size) {
        return -1;
    }
    let mut total = 0u64;
    for part in parts {
        for batch in batches(snapshot, &read.columns, part) {
            let rows = &part[batch];
            let names: u64 = rows.iter().map(|row| snapshot.dataset_name(*row).len() as u64).sum();
            total += names + 4 * rows.len() as u64;
            for column in &read.columns {
                total += column_bytes(snapshot, column, rows);
            }
        }
    }
    i64::try_from(total).unwrap_or(-1)
}

/// The bytes of one column of one batch.
fn column_bytes(snapshot: &Snapshot, column: &ColumnTicket, rows: &[u32]) -> u64 {
    let values: u64 = rows.iter().map(|row| column::value_bytes(snapshot, column, *row)).sum();
    // Taken as bytes, bools are bits: those of a batch are packed together.
    let values = match column::dtype(column) {
        Ok(DType::Bool) => {
            let cells: u64 = rows.iter().map(|row| column::cell_count(snapshot, column, *row)).sum();
            values - cells + cells.div_ceil(8)
        }
        _ => values,
    };
    let lacking = |row: &&u32| snapshot.find_family(&column.array).is_none_or(|family| family.entry(**row).is_none());
    let any_null = column.nullable && rows.iter().any(|row| lacking(&row));
    let bitmap = if any_null { (rows.len() as u64).div_ceil(8) } else { 0 };
    values + bitmap
}

/// The bytes of all values of a row.
fn row_bytes(snapshot: &Snapshot, columns: &[ColumnTicket], row: u32) -> u64 {
    columns.iter().map(|column| column::value_bytes(snapshot, column, row)).fold(0, u64::saturating_add)
}

/// The runs of `rows` that make one batch each.
fn batches(snapshot: &Snapshot, columns: &[ColumnTicket], rows: &[u32]) -> Vec<Range<usize>> {
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0u64);
    for (index, row) in rows.iter().enumerate() {
        let name_bytes = snapshot.dataset_name(*row).len() as u64 + 4;
        let row_bytes = row_bytes(snapshot, columns, *row).saturating_add(name_bytes);
        let full = bytes.saturating_add(row_bytes) > BATCH_BYTES || index - start == MAX_BATCH_ROWS;
        if full && index > start {
            batches.push(start..index);
            (start, bytes) = (index, 0);
        }
        bytes = bytes.saturating_add(row_bytes);
    }
    if start < rows.len() {
        batches.push(start..rows.len());
    }
    batches
}

impl Part {
    fn open(snapshot: Snapshot, ticket: StackedTicket, spare: SpareMemory, call: Option<Call>) -> Result<Self, Status> {
        if let Some(call) = &call {
            call.stacks();
        }
        let rows = rows_of(&ticket.runs, snapshot.dataset_count())?;
        let region = match ticket.region {
            Some(region) => {
                Some(Region::try_new(region.start, region.shape).map_err(|error| status::from_store(&error))?)
            }
            None => None,
        };
        for column in &ticket.columns {
            column::check(&snapshot, column, &rows, region.as_ref())?;
        }
        let schema = column::schema(&ticket.columns, coordinates::to_json(&snapshot, &ticket.coordinates)?)?;
        let (mut bytes, mut largest) = (0u64, 0);
        for row in &rows {
            let row_bytes = row_bytes(&snapshot, &ticket.columns, *row);
            bytes = bytes.saturating_add(row_bytes);
            largest = largest.max(row_bytes);
        }
        // Batches of one large dataset each are not kept beyond their stream, which keeps one of them.
        let spare = if largest <= BATCH_BYTES { spare } else { SpareMemory::new(largest.try_into().unwrap_or(0)) };
        let (columns, cancel) = (ticket.columns, CancelToken::new());
        Ok(Part { snapshot, schema, columns, region, rows, bytes, cancel, spare, call })
    }

    /// The batch of these of the part's rows.
    fn batch(&self, rows: Range<usize>) -> Result<RecordBatch, Status> {
        let rows = &self.rows[rows];
        let names = StringArray::from_iter_values(rows.iter().map(|row| self.snapshot.dataset_name(*row)));
        let mut columns: Vec<(&str, ArrayRef)> = vec![(DATASET, Arc::new(names))];
        for (column, field) in self.columns.iter().zip(self.schema.fields().iter().skip(1)) {
            let values = if column.ragged { self.ragged(column, rows) } else { self.fixed(column, field, rows) }?;
            columns.push((&column.array, values));
        }
        let batch = RecordBatch::try_from_iter(columns).map_err(|error| status::internal(&error))?;
        let batch = conform(batch, &self.schema)?;
        if let Some(call) = &self.call {
            call.sends_batch(rows.len());
        }
        Ok(batch)
    }

    /// Values of one shape: read together, and spread out where datasets lack the array.
    fn fixed(&self, column: &ColumnTicket, field: &Field, rows: &[u32]) -> Result<ArrayRef, Status> {
        let family = self.snapshot.family(&column.array).map_err(|error| status::from_store(&error))?;
        let present: Vec<u32> = rows.iter().copied().filter(|row| family.entry(*row).is_some()).collect();
        if present.is_empty() {
            return Ok(new_null_array(field.data_type(), rows.len()));
        }
        let plan = self.snapshot.plan_stacked(&column.array, &present, self.region.as_ref());
        let plan = plan.inspect(|plan| self.count(plan));
        let read = plan.and_then(|plan| plan.execute(self.hooks())).map_err(|error| status::from_store(&error))?;
        let Some(cells) = read.into_iter().next() else { return Err(status::internal(&"a read gave nothing")) };
        let cells = (present.len(), cells.into_cells());
        let values = memory::stacked(column, field.data_type(), cells, &self.spare)?;
        if present.len() == rows.len() {
            return Ok(values);
        }
        let mut next = 0u32;
        let places = rows.iter().map(|row| {
            family.entry(*row)?;
            next += 1;
            Some(next - 1)
        });
        take(&values, &UInt32Array::from_iter(places), None).map_err(|error| status::from_arrow(&error))
    }

    fn count(&self, plan: &ReadPlan) {
        if let Some(call) = &self.call {
            call.reads(plan.chunks(), plan.bytes());
        }
    }

    fn hooks(&self) -> ReadHooks<'_> {
        ReadHooks::new().cancelled_by(&self.cancel).reusing(&self.spare).part_of(self.bytes)
    }

    /// Values that each have their own shape: a struct of `data` and `shape`.
    fn ragged(&self, column: &ColumnTicket, rows: &[u32]) -> Result<ArrayRef, Status> {
        let family = self.snapshot.family(&column.array).map_err(|error| status::from_store(&error))?;
        let plan = self.snapshot.plan_across(&column.array, rows, self.region.as_ref());
        let plan = plan.map_err(|error| status::from_store(&error))?;
        self.count(&plan);
        let cells = plan.execute_joined(self.hooks()).map_err(|error| status::from_store(&error))?;
        let failed = |error| status::from_arrow(&error);
        let mut outputs = plan.outputs().iter();
        let (mut lengths, mut extents, mut valid) = (Vec::new(), Vec::new(), Vec::new());
        for row in rows {
            let output = if family.entry(*row).is_some() { outputs.next() } else { None };
            valid.push(output.is_some());
            lengths.push(output.map_or(0, Output::cell_count));
            match output {
                None => extents.extend(column.dims.iter().map(|_| 0)),
                Some(output) => {
                    for extent in &output.shape {
                        extents.push(i32::try_from(*extent).map_err(|_| too_long(&column.array, *extent))?);
                    }
                }
            }
        }
        let nulls = NullBuffer::from(valid);
        let nulls = (nulls.null_count() > 0).then_some(nulls);
        let item = Arc::new(Field::new_list_field(tensor::data_type(column::dtype(column)?), true));
        if i32::try_from(cells.len()).is_err() {
            return Err(too_long(&column.array, cells.len() as u64));
        }
        let cells = memory::flat(column::dtype(column)?, cells, &self.spare)?;
        let offsets = OffsetBuffer::<i32>::from_lengths(lengths);
        let data = ListArray::try_new(item, offsets, cells, nulls.clone()).map_err(failed)?;
        let rank = i32::try_from(column.dims.len()).map_err(|error| status::internal(&error))?;
        let extent = Arc::new(Field::new_list_field(DataType::Int32, true));
        let extents: ArrayRef = Arc::new(Int32Array::from(extents));
        let shape = FixedSizeListArray::try_new_with_length(extent, rank, extents, nulls.clone(), rows.len());
        let shape = shape.map_err(failed)?;
        let fields = vec![
            Field::new("data", data.data_type().clone(), true),
            Field::new("shape", shape.data_type().clone(), true),
        ];
        let values = StructArray::try_new(fields.into(), vec![Arc::new(data), Arc::new(shape)], nulls);
        Ok(Arc::new(values.map_err(failed)?))
    }
}

fn too_long(array: &str, extent: u64) -> Status {
    let message = format!("array {array}: extent {extent} does not fit a tensor's shape: read a region");
    status::status(tonic::Code::InvalidArgument, &message)
}
