//! From a ticket to batches.

use super::column;
use super::coordinates;
use super::memory;
use super::stores::Stores;
use crate::observe::Call;
use crate::service::encode::{FrameStream, frame_stream};
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
use atlas_store::{CancelToken, Cells, DType, Output, ReadHooks, Region, Snapshot, SpareMemory};
use futures::{StreamExt, stream};
use std::ops::Range;
use std::sync::Arc;
use tonic::Status;

/// How large a batch is made, where it is not one dataset that is larger: with what surrounds it less than 4 MiB, which is
/// what gRPC clients take unless they are told otherwise. The memory of a few stays in the processor's caches, too.
const BATCH_BYTES: u64 = (4 << 20) - (64 << 10);

/// The most values in a batch, rows by columns: names, offsets and the plan of the read cost something even where cells do not.
const MAX_BATCH_VALUES: usize = 1 << 16;

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
    /// Whether no batch is larger than `BATCH_BYTES`.
    is_small: bool,
    shared: Shared,
}

/// What all reads of a part share.
struct Shared {
    cancel: CancelToken,
    /// Of batches that were sent, of this stream or others.
    spare: SpareMemory,
    call: Option<Call>,
}

/// Streams what a ticket names. The first batch is read before this returns, if it is not a large one, each other one when the
/// stream is polled for it; dropping the future or the stream ends the read.
///
/// # Errors
/// `NOT_FOUND` where the store or its snapshot is gone, `INVALID_ARGUMENT` for a ticket that does not fit the store,
/// `RESOURCE_EXHAUSTED` where too many reads wait.
pub(crate) async fn read(stores: &Stores, ticket: StackedTicket) -> Result<FrameStream, Status> {
    let snapshot = stores.snapshot_at(&ticket.store, ticket.snapshot)?;
    let permit = stores.gate().bulk_reads.admit().await?;
    let cancel = CancelToken::new();
    let guard = cancel.guard();
    let shared = Shared { cancel, spare: stores.spare().clone(), call: Call::current() };
    // The first batch is read at once: a small answer has no other, and waits for one change of threads less.
    let opened = tokio::task::spawn_blocking(move || {
        let part = Part::open(snapshot, ticket, shared)?;
        let mut batches = batches(&part.snapshot, &part.columns, &part.rows).into_iter();
        let first = if part.is_small { batches.next() } else { None };
        let first = first.map(|rows| part.batch(rows));
        Ok::<_, Status>((part, first, batches))
    });
    let (part, first, batches) = opened.await.map_err(|error| status::from_join(&error))??;
    let (schema, part) = (Arc::clone(&part.schema), Arc::new(part));
    let batches = stream::iter(batches).map(move |rows| {
        let _held_by_the_stream = (&guard, &permit);
        let part = Arc::clone(&part);
        async move {
            let batch = tokio::task::spawn_blocking(move || part.batch(rows)).await;
            batch.map_err(|error| status::from_join(&error))?
        }
    });
    frame_stream(&schema, stream::iter(first).chain(batches.buffered(BATCHES_AHEAD)))
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
    let max_rows = (MAX_BATCH_VALUES / columns.len().max(1)).max(1);
    let (mut start, mut bytes) = (0, 0u64);
    for (index, row) in rows.iter().enumerate() {
        let name_bytes = snapshot.dataset_name(*row).len() as u64 + 4;
        let row_bytes = row_bytes(snapshot, columns, *row).saturating_add(name_bytes);
        let full = bytes.saturating_add(row_bytes) > BATCH_BYTES || index - start == max_rows;
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
    fn open(snapshot: Snapshot, ticket: StackedTicket, mut shared: Shared) -> Result<Self, Status> {
        if let Some(call) = &shared.call {
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
        let is_small = largest <= BATCH_BYTES;
        if !is_small {
            shared.spare = SpareMemory::new(largest.try_into().unwrap_or(0));
        }
        Ok(Part { snapshot, schema, columns: ticket.columns, region, rows, bytes, is_small, shared })
    }

    /// The batch of these of the part's rows: one read of all columns.
    fn batch(&self, rows: Range<usize>) -> Result<RecordBatch, Status> {
        let rows = &self.rows[rows];
        let arrays: Vec<&str> = self.columns.iter().map(|column| &*column.array).collect();
        let plan = self.snapshot.plan_across(&arrays, rows, self.region.as_ref());
        let plan = plan.map_err(|error| status::from_store(&error))?;
        let Shared { cancel, spare, call } = &self.shared;
        if let Some(call) = call {
            call.reads(plan.chunks(), plan.bytes());
        }
        let hooks = ReadHooks::new().cancelled_by(cancel).reusing(spare).part_of(self.bytes);
        let cells = plan.execute_joined(hooks).map_err(|error| status::from_store(&error))?;
        let names = StringArray::from_iter_values(rows.iter().map(|row| self.snapshot.dataset_name(*row)));
        let mut columns: Vec<ArrayRef> = vec![Arc::new(names)];
        let mut outputs = plan.outputs();
        let fields = self.schema.fields().iter().skip(1);
        for ((column, field), cells) in self.columns.iter().zip(fields).zip(cells) {
            let family = self.snapshot.family(&column.array).map_err(|error| status::from_store(&error))?;
            let present: Vec<bool> = rows.iter().map(|row| family.entry(*row).is_some()).collect();
            let own: Vec<Output<'_>> = outputs.by_ref().take(present.iter().filter(|is| **is).count()).collect();
            columns.push(match column.ragged {
                true => self.ragged(column, &present, &own, cells)?,
                false => self.fixed(column, field, &present, (own.len(), cells))?,
            });
        }
        let batch =
            RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(|error| status::internal(&error))?;
        if let Some(call) = call {
            call.sends_batch(rows.len());
        }
        Ok(batch)
    }

    /// Values of one shape, spread out where datasets lack the array; `cells` are those of so many datasets.
    fn fixed(
        &self,
        column: &ColumnTicket,
        field: &Field,
        present: &[bool],
        (count, cells): (usize, Cells),
    ) -> Result<ArrayRef, Status> {
        if count == 0 {
            return Ok(new_null_array(field.data_type(), present.len()));
        }
        let values = memory::stacked(column, field.data_type(), (count, cells), &self.shared.spare)?;
        if count == present.len() {
            return Ok(values);
        }
        let mut next = 0u32;
        let places = present.iter().map(|is_present| {
            let place = next;
            next += u32::from(*is_present);
            is_present.then_some(place)
        });
        take(&values, &UInt32Array::from_iter(places), None).map_err(|error| status::from_arrow(&error))
    }

    /// Values that each have their own shape: a struct of `data` and `shape`. `outputs` are those of the datasets that have one.
    fn ragged(
        &self,
        column: &ColumnTicket,
        present: &[bool],
        outputs: &[Output<'_>],
        cells: Cells,
    ) -> Result<ArrayRef, Status> {
        let failed = |error| status::from_arrow(&error);
        let mut outputs = outputs.iter();
        let (mut lengths, mut extents) = (Vec::new(), Vec::new());
        for is_present in present {
            let output = if *is_present { outputs.next() } else { None };
            lengths.push(output.map_or(0, Output::cell_count));
            match output {
                None => extents.extend(column.dims.iter().map(|_| 0)),
                Some(output) => {
                    for extent in output.shape {
                        extents.push(i32::try_from(*extent).map_err(|_| too_long(&column.array, *extent))?);
                    }
                }
            }
        }
        let nulls = NullBuffer::from(present);
        let nulls = (nulls.null_count() > 0).then_some(nulls);
        let item = Arc::new(Field::new_list_field(tensor::data_type(column::dtype(column)?), true));
        if i32::try_from(cells.len()).is_err() {
            return Err(too_long(&column.array, cells.len() as u64));
        }
        let cells = memory::flat(column::dtype(column)?, cells, &self.shared.spare)?;
        let offsets = OffsetBuffer::<i32>::from_lengths(lengths);
        let data = ListArray::try_new(item, offsets, cells, nulls.clone()).map_err(failed)?;
        let rank = i32::try_from(column.dims.len()).map_err(|error| status::internal(&error))?;
        let extent = Arc::new(Field::new_list_field(DataType::Int32, true));
        let extents: ArrayRef = Arc::new(Int32Array::from(extents));
        let shape = FixedSizeListArray::try_new_with_length(extent, rank, extents, nulls.clone(), present.len());
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
