//! The batches of one partition.

use super::exec::AtlasScanExec;
use super::filter::Predicate;
use super::read::{self, BATCH_BYTES, Touched};
use super::regions::{self, Regions};
use crate::columns::Source;
use crate::cut::Cut;
use crate::table::Table;
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::datatypes::SchemaRef;
use atlas_store::CancelToken;
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::metrics::{BaselineMetrics, Count, MetricBuilder, RecordOutput};
use datafusion::physical_plan::stream::{RecordBatchReceiverStreamBuilder, RecordBatchStreamAdapter};
use futures::StreamExt;
use std::ops::Range;
use std::sync::Arc;

/// Rows that a scan with a limit tries first; then twice as many, and so on.
const FIRST_ROWS: usize = 16;

/// Makes the batches of one partition.
struct Batches {
    table: Arc<Table>,
    projection: Vec<usize>,
    schema: SchemaRef,
    predicate: Option<Predicate>,
    rows: Arc<[u32]>,
    /// The rows that are still to come.
    left: Range<usize>,
    limit: usize,
    batch_rows: usize,
    /// Rows to try next: a scan with a limit begins with few.
    next_rows: usize,
    /// The columns that are read for all rows and whose regions labels decide, with the regions of the rows to come.
    ahead: Vec<Ahead>,
    cancel: CancelToken,
    output: BaselineMetrics,
    chunks_read: Count,
    bytes_read: Count,
}

/// The regions of a column, found ahead of its values, so that batches are cut by what they hold.
struct Ahead {
    column: usize,
    rows: Range<usize>,
    regions: Regions,
}

impl Ahead {
    /// One for each column whose regions are found in coordinates, of those that are read whatever a predicate says.
    fn of(table: &Table, predicate: Option<&Predicate>, projection: &[usize]) -> Vec<Ahead> {
        let mut columns = predicate.map_or(projection, |predicate| &predicate.columns).to_vec();
        columns.sort_unstable();
        columns.dedup();
        columns.retain(|column| table.sources[*column].cut().is_some_and(|cut| !cut.labelled().is_empty()));
        columns.into_iter().map(|column| Ahead { column, rows: 0..0, regions: Regions::default() }).collect()
    }
}

/// Opens the stream of a partition. Reads run on a blocking thread, at most two batches ahead; dropping the stream
/// ends them.
pub(crate) fn open(
    scan: &AtlasScanExec,
    partition: usize,
    rows: Range<usize>,
    batch_rows: usize,
) -> SendableRecordBatchStream {
    let metrics = scan.metrics_set();
    let cancel = CancelToken::new();
    let batches = Batches {
        table: Arc::clone(scan.table()),
        projection: scan.projection().to_vec(),
        schema: datafusion::physical_plan::ExecutionPlan::schema(scan),
        predicate: scan.cell_predicate().cloned(),
        rows: Arc::clone(scan.rows()),
        left: rows,
        limit: scan.limit().unwrap_or(usize::MAX),
        batch_rows: batch_rows.max(1),
        next_rows: scan.limit().map_or(batch_rows, |limit| limit.max(FIRST_ROWS)).clamp(1, batch_rows.max(1)),
        ahead: Ahead::of(scan.table(), scan.cell_predicate(), scan.projection()),
        cancel: cancel.clone(),
        output: BaselineMetrics::new(metrics, partition),
        chunks_read: MetricBuilder::new(metrics).counter("chunks_read", partition),
        bytes_read: MetricBuilder::new(metrics).counter("bytes_read", partition),
    };
    let schema = Arc::clone(&batches.schema);
    let reads = scan.columns_touched().iter().any(|column| !scan.table().sources[*column].is_catalog());
    if !reads {
        return Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter(batches)));
    }
    read_ahead(schema, batches, 1, &cancel)
}

/// Makes batches on a blocking thread, so many ahead of who takes them. Dropping the stream cancels what is being read.
pub(crate) fn read_ahead(
    schema: SchemaRef,
    batches: impl Iterator<Item = Result<RecordBatch>> + Send + 'static,
    ahead: usize,
    cancel: &CancelToken,
) -> SendableRecordBatchStream {
    let mut builder = RecordBatchReceiverStreamBuilder::new(Arc::clone(&schema), ahead);
    let sender = builder.tx();
    builder.spawn_blocking(move || {
        for batch in batches {
            let failed = batch.is_err();
            // Nobody listens any more: the query is over.
            if sender.blocking_send(batch).is_err() || failed {
                break;
            }
        }
        Ok(())
    });
    let guard = cancel.guard();
    let batches = builder.build().inspect(move |_| {
        let _held_by_the_stream = &guard;
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, batches))
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let compute = self.output.elapsed_compute().clone();
        let _timer = compute.timer();
        while !self.left.is_empty() && self.limit > 0 {
            let rows = match self.next_rows() {
                Ok(rows) => rows,
                Err(error) => return Some(Err(error)),
            };
            match self.batch(rows) {
                Ok(batch) if batch.num_rows() == 0 => {}
                Ok(batch) => {
                    self.limit -= batch.num_rows();
                    return Some(Ok(batch.record_output(&self.output)));
                }
                Err(error) => return Some(Err(error)),
            }
        }
        self.output.done();
        None
    }
}

impl Batches {
    /// Takes the rows of the next batch.
    fn next_rows(&mut self) -> Result<Range<usize>> {
        let start = self.left.start;
        let most = self.left.end.min(start + self.next_rows);
        self.next_rows = self.next_rows.saturating_mul(2).min(self.batch_rows);
        let most = self.look_ahead(start, most)?;
        let columns = self.predicate.iter().flat_map(|predicate| &predicate.columns).chain(&self.projection);
        let columns: Vec<usize> = columns.copied().filter(|column| !self.table.sources[*column].is_catalog()).collect();
        let mut end = most;
        if !columns.is_empty() {
            let mut bytes = 0u64;
            end = start;
            while end < most {
                for column in &columns {
                    bytes = bytes.saturating_add(self.row_bytes(*column, end)?);
                }
                if bytes > BATCH_BYTES && end > start {
                    break;
                }
                end += 1;
            }
            end = self.cut_text(&columns, start, end)?;
        }
        self.left.start = end;
        Ok(start..end)
    }

    /// Leaves rows whose text fits into a batch, at least one: how long it is the segments know. Later batches begin with
    /// twice as many.
    fn cut_text(&mut self, columns: &[usize], start: usize, end: usize) -> Result<usize> {
        let view = &self.table.view;
        let mut sources: Vec<&Source> = columns.iter().map(|column| &self.table.sources[*column]).collect();
        sources.retain(|source| read::is_text(view, source));
        if sources.is_empty() {
            return Ok(end);
        }
        let mut count = end - start;
        while count > 1 {
            let mut bytes = 0u64;
            for source in &sources {
                bytes = bytes.saturating_add(read::text_bytes(view, source, &self.rows[start..start + count])?);
            }
            if bytes <= BATCH_BYTES {
                break;
            }
            count = count.div_ceil(2);
            self.next_rows = count.saturating_mul(2).min(self.batch_rows);
        }
        Ok(start + count)
    }

    /// Finds the regions of the rows from `start` on, where that was not done; the end of those that are known, at most
    /// `most`.
    fn look_ahead(&mut self, start: usize, most: usize) -> Result<usize> {
        let known = self.ahead.iter().filter(|ahead| ahead.rows.contains(&start));
        let end = known.fold(most, |end, ahead| end.min(ahead.rows.end));
        for ahead in self.ahead.iter_mut().filter(|ahead| !ahead.rows.contains(&start)) {
            let (Source::Slice(family, Cut::Each(steps))
            | Source::Element(family, Cut::Each(steps))
            | Source::Reduction(family, Some(Cut::Each(steps)), _)) = &self.table.sources[ahead.column]
            else {
                continue;
            };
            let rows = &self.rows[start..end];
            let (regions, touched) = regions::find(&self.table.view, *family, steps, rows, &self.cancel)?;
            (ahead.rows, ahead.regions) = (start..end, regions);
            self.chunks_read.add(usize::try_from(touched.chunks).unwrap_or(usize::MAX));
            self.bytes_read.add(usize::try_from(touched.bytes).unwrap_or(usize::MAX));
        }
        Ok(end)
    }

    /// Bytes of a column's value in row number `at`.
    fn row_bytes(&self, column: usize, at: usize) -> Result<u64> {
        let source = &self.table.sources[column];
        let ahead = self.ahead.iter().find(|ahead| ahead.column == column && ahead.rows.contains(&at));
        match (ahead, source.family()) {
            (Some(ahead), Some(family)) => {
                let region = ahead.regions.get(at - ahead.rows.start);
                let cells = region.map_or(0, |region| region.shape().iter().product());
                Ok(read::cells_bytes(&self.table.view, family, cells))
            }
            _ => read::row_bytes(&self.table.view, source, self.rows[at]),
        }
    }

    fn batch(&self, range: Range<usize>) -> Result<RecordBatch> {
        let rows = &self.rows[range.clone()];
        let all = |column: &usize| self.column(*column, rows, Some(range.clone()));
        let Some(predicate) = &self.predicate else {
            let columns = self.projection.iter().map(all).collect::<Result<_>>()?;
            return self.record_batch(columns, rows.len());
        };
        let decisive = predicate.columns.iter().map(all).collect::<Result<Vec<_>>>()?;
        let satisfied = predicate.evaluate(decisive.clone(), rows.len())?;
        let kept: Vec<usize> = (0..rows.len())
            .zip(&satisfied)
            .filter_map(|(index, satisfied)| (satisfied == Some(true)).then_some(index))
            .take(self.limit)
            .collect();
        let kept_rows: Vec<u32> = kept.iter().map(|index| rows[*index]).collect();
        let indices = UInt32Array::from_iter_values(kept.iter().filter_map(|index| u32::try_from(*index).ok()));
        let columns = self
            .projection
            .iter()
            .map(|column| match predicate.columns.iter().position(|own| own == column) {
                // It was read for the predicate already.
                Some(position) => Ok(arrow::compute::take(&decisive[position], &indices, None)?),
                None => self.column(*column, &kept_rows, None),
            })
            .collect::<Result<_>>()?;
        self.record_batch(columns, kept.len())
    }

    /// The values of a column for these rows, which are those of `range`, if it is one.
    fn column(&self, column: usize, rows: &[u32], range: Option<Range<usize>>) -> Result<ArrayRef> {
        let ahead = self.ahead.iter().find(|ahead| ahead.column == column);
        let known =
            ahead.zip(range).filter(|(ahead, range)| ahead.rows.start <= range.start && range.end <= ahead.rows.end);
        let known =
            known.map(|(ahead, range)| (&ahead.regions, range.start - ahead.rows.start..range.end - ahead.rows.start));
        let (values, Touched { chunks, bytes }) =
            read::read(&self.table.view, &self.table.sources[column], rows, known, &self.cancel)?;
        self.chunks_read.add(usize::try_from(chunks).unwrap_or(usize::MAX));
        self.bytes_read.add(usize::try_from(bytes).unwrap_or(usize::MAX));
        Ok(values)
    }

    fn record_batch(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}
