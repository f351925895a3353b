//! The batches of one partition.

use super::boxes::{Piece, split};
use super::exec::CellsScanExec;
use super::read;
use super::table::{CellsTable, Column};
use crate::scan::{BATCH_BYTES, Touched, read_ahead};
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use atlas_store::CancelToken;
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::metrics::{BaselineMetrics, Count, MetricBuilder, RecordOutput};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, stream};
use std::ops::Range;
use std::sync::Arc;

/// The most cells that are made at once, where few bytes are made of each.
const MOST_CELLS: u64 = 1 << 18;

/// Makes the cells of one partition: reads a part of a dataset, or several small ones at once.
struct Batches {
    table: Arc<CellsTable>,
    columns: Vec<Column>,
    schema: SchemaRef,
    pieces: Arc<[Piece]>,
    /// The pieces that are still to come.
    left: Range<usize>,
    /// Parts of the last piece that are still to come, the next one last.
    parts: Vec<Piece>,
    limit: usize,
    /// A dataset, and the bytes of one of its rows.
    row_bytes: Option<(u32, u64)>,
    cancel: CancelToken,
    output: BaselineMetrics,
    chunks_read: Count,
    bytes_read: Count,
}

/// Opens the stream of a partition. Reads run on a blocking thread, one ahead of what is taken; dropping the stream ends
/// them. What is read at once is cut into batches of so many rows on the way out: handing over each of them would cost
/// more than making it.
pub(crate) fn open(
    scan: &CellsScanExec,
    partition: usize,
    left: Range<usize>,
    rows: usize,
) -> SendableRecordBatchStream {
    let metrics = scan.metrics_set();
    let cancel = CancelToken::new();
    let table = Arc::clone(scan.table());
    let batches = Batches {
        columns: scan.projection().iter().map(|column| table.columns[*column]).collect(),
        table,
        schema: datafusion::physical_plan::ExecutionPlan::schema(scan),
        pieces: Arc::clone(scan.pieces()),
        left,
        parts: Vec::new(),
        limit: scan.limit().unwrap_or(usize::MAX),
        row_bytes: None,
        cancel: cancel.clone(),
        output: BaselineMetrics::new(metrics, partition),
        chunks_read: MetricBuilder::new(metrics).counter("chunks_read", partition),
        bytes_read: MetricBuilder::new(metrics).counter("bytes_read", partition),
    };
    let schema = Arc::clone(&batches.schema);
    let read = read_ahead(Arc::clone(&schema), batches, 1, &cancel);
    let cut = read.flat_map(move |read| stream::iter(cut(read, rows.max(1))));
    Box::pin(RecordBatchStreamAdapter::new(schema, cut))
}

/// The rows in batches of so many.
fn cut(read: Result<RecordBatch>, rows: usize) -> Vec<Result<RecordBatch>> {
    match read {
        Ok(read) => {
            let starts = (0..read.num_rows()).step_by(rows);
            starts.map(|start| Ok(read.slice(start, rows.min(read.num_rows() - start)))).collect()
        }
        Err(error) => vec![Err(error)],
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let compute = self.output.elapsed_compute().clone();
        let _timer = compute.timer();
        while self.limit > 0 {
            let made = match self.next_pieces() {
                Ok(pieces) if pieces.is_empty() => break,
                Ok(pieces) => self.make(&pieces),
                Err(error) => Err(error),
            };
            match made {
                Ok(made) if made.num_rows() == 0 => {}
                Ok(made) => {
                    let rows = made.num_rows().min(self.limit);
                    self.limit -= rows;
                    return Some(Ok(made.slice(0, rows).record_output(&self.output)));
                }
                Err(error) => return Some(Err(error)),
            }
        }
        self.output.done();
        None
    }
}

impl Batches {
    /// Takes the pieces that are made at once.
    fn next_pieces(&mut self) -> Result<Vec<Piece>> {
        let mut taken = Vec::new();
        let (mut bytes, mut cells) = (0u64, 0u64);
        while bytes < BATCH_BYTES && cells < MOST_CELLS {
            let Some(next) = self.parts.pop().or_else(|| self.left.next().map(|at| self.pieces[at].clone())) else {
                break;
            };
            let width = self.row_bytes(next.row)?;
            let most = (BATCH_BYTES / width).clamp(1, MOST_CELLS);
            let room = ((BATCH_BYTES - bytes) / width).min(MOST_CELLS - cells);
            if !taken.is_empty() && next.cells() > room {
                self.parts.push(next);
                break;
            }
            let tile = self.tile(next.row)?;
            let (head, rest) = match &tile {
                Some(tile) => split(&next.region, tile, most),
                None => split(&next.region, next.region.shape(), most),
            };
            let head = match rest {
                None => next,
                Some(rest) => {
                    self.parts.push(Piece { row: next.row, region: Arc::new(rest) });
                    Piece { row: next.row, region: Arc::new(head) }
                }
            };
            // The part that was cut off can still be too much, and is cut again.
            if head.cells() > most {
                self.parts.push(head);
                continue;
            }
            cells = cells.saturating_add(head.cells());
            bytes = bytes.saturating_add(head.cells().saturating_mul(width));
            taken.push(head);
        }
        Ok(taken)
    }

    /// The chunk shape of the first array that is read.
    fn tile(&self, row: u32) -> Result<Option<Vec<u64>>> {
        for column in &self.columns {
            if let Column::Array(_) = column
                && let Some(tile) = self.table.tile(*column, row)?
            {
                return Ok(Some(tile.to_vec()));
            }
        }
        Ok(None)
    }

    /// Bytes in memory of one row of a dataset; at least 1. Those of the last dataset are remembered.
    fn row_bytes(&mut self, row: u32) -> Result<u64> {
        if let Some((_, bytes)) = self.row_bytes.filter(|(last, _)| *last == row) {
            return Ok(bytes);
        }
        let mut bytes = 1u64;
        for column in &self.columns {
            let own = match column.source() {
                Some(source) => 8 + read::text_bytes(&self.table.view.column(&source)?, row as usize),
                None => read::cell_bytes(&self.table, *column, row)?,
            };
            bytes = bytes.saturating_add(own);
        }
        self.row_bytes = Some((row, bytes));
        Ok(bytes)
    }

    fn make(&self, pieces: &[Piece]) -> Result<RecordBatch> {
        let rows = pieces.iter().map(Piece::cells).fold(0u64, u64::saturating_add);
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        let columns = self.columns.iter().map(|column| self.column(*column, pieces)).collect::<Result<_>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }

    fn column(&self, column: Column, pieces: &[Piece]) -> Result<ArrayRef> {
        let (values, Touched { chunks, bytes }) = read::column(&self.table, column, pieces, &self.cancel)?;
        self.chunks_read.add(usize::try_from(chunks).unwrap_or(usize::MAX));
        self.bytes_read.add(usize::try_from(bytes).unwrap_or(usize::MAX));
        Ok(values)
    }
}
