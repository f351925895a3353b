//! The batches of a listing.

use super::{Listing, Pair, Rows};
use crate::columns::text;
use crate::scan::Predicate;
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, RecordOutput,
};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use std::ops::Range;
use std::sync::Arc;

/// What is to be listed.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) listing: Arc<dyn Listing>,
    pub(super) projection: Vec<usize>,
    pub(super) schema: SchemaRef,
    /// The datasets that are left, ascending; `None` is all.
    pub(super) datasets: Option<Vec<u32>>,
    /// What parts decide, over all parts.
    pub(super) part_columns: Vec<ArrayRef>,
    /// The parts that are left.
    pub(super) parts: Vec<u32>,
    pub(super) of_pairs: Option<Predicate>,
    pub(super) of_rows: Option<Predicate>,
    /// Rows to give at most.
    pub(super) limit: usize,
}

/// Opens the stream of one partition of a walk, which is these of the pairs that are left. Rows are made on a blocking
/// thread, a batch ahead; dropping the stream ends it.
pub(super) fn open(
    walk: &Arc<Walk>,
    partition: usize,
    pairs: Range<usize>,
    metrics: &ExecutionPlanMetricsSet,
    most: usize,
) -> SendableRecordBatchStream {
    let output = BaselineMetrics::new(metrics, partition);
    let looked_up = MetricBuilder::new(metrics).counter(format!("{}_listed", walk.listing.unit()), partition);
    let mut builder = RecordBatchReceiverStreamBuilder::new(Arc::clone(&walk.schema), 1);
    let sender = builder.tx();
    let walk = Arc::clone(walk);
    builder.spawn_blocking(move || {
        let mut emit = |batch: RecordBatch| sender.blocking_send(Ok(batch.record_output(&output))).is_ok();
        let ended = walk.run(pairs, most.max(1), &looked_up, &mut emit);
        output.done();
        ended
    });
    builder.build()
}

impl Walk {
    /// How many pairs are left.
    pub(super) fn pair_count(&self) -> Result<usize> {
        self.parts.iter().map(|part| self.count_of(*part)).sum()
    }

    fn count_of(&self, part: u32) -> Result<usize> {
        let own = self.listing.datasets(part)?;
        Ok(self.datasets.as_ref().map_or(own.len(), |wanted| common(own, wanted).count()))
    }

    /// Gives all batches of these of the pairs that are left to `emit`, until it wants no more.
    fn run(
        &self,
        range: Range<usize>,
        most: usize,
        looked_up: &Count,
        emit: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<()> {
        let mut left = self.limit;
        let mut pairs: Vec<Pair> = Vec::new();
        let mut first = 0;
        for part in &self.parts {
            let own = self.listing.datasets(*part)?;
            let before = first;
            first += self.count_of(*part)?;
            let (start, end) = (range.start.max(before), range.end.min(first));
            if start >= end {
                continue;
            }
            let rows: Box<dyn Iterator<Item = u32>> = match &self.datasets {
                Some(wanted) => Box::new(common(own, wanted)),
                None => Box::new(own.iter().copied()),
            };
            for row in rows.skip(start - before).take(end - start) {
                pairs.push((*part, row));
                if pairs.len() == most {
                    if !self.give(&pairs, most, &mut left, looked_up, emit)? {
                        return Ok(());
                    }
                    pairs.clear();
                }
            }
        }
        self.give(&pairs, most, &mut left, looked_up, emit).map(|_| ())
    }

    /// Gives the rows of some pairs; whether more are wanted.
    fn give(
        &self,
        pairs: &[Pair],
        most: usize,
        left: &mut usize,
        looked_up: &Count,
        emit: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<bool> {
        let kept: Vec<Pair> = match &self.of_pairs {
            Some(predicate) => {
                let columns = predicate.columns.iter().map(|column| self.decided(*column, pairs));
                let satisfied = predicate.evaluate(columns.collect::<Result<_>>()?, pairs.len())?;
                let satisfied = pairs.iter().zip(&satisfied);
                satisfied.filter_map(|(pair, satisfied)| (satisfied == Some(true)).then_some(*pair)).collect()
            }
            None => pairs.to_vec(),
        };
        let first_made = 1 + self.listing.part_columns();
        let mut made: Vec<usize> = self.of_rows.iter().flat_map(|predicate| &predicate.columns).copied().collect();
        made.extend(&self.projection);
        made.retain(|column| *column >= first_made);
        made.sort_unstable();
        made.dedup();
        // With a limit pairs are looked up in groups that grow, as one may have rows enough.
        let mut group = if *left < most { (*left).max(1) } else { most };
        let mut start = 0;
        while start < kept.len() && *left > 0 {
            let pairs = &kept[start..kept.len().min(start.saturating_add(group))];
            start += pairs.len();
            group = group.saturating_mul(2).min(most);
            looked_up.add(pairs.len());
            let goes_on = self.listing.list(pairs, &made, most, &mut |rows| {
                let batch = self.batch(pairs, &made, rows, *left)?;
                *left -= batch.num_rows();
                Ok((batch.num_rows() == 0 || emit(batch)) && *left > 0)
            })?;
            if !goes_on {
                return Ok(false);
            }
        }
        Ok(*left > 0)
    }

    /// The batch of some rows: those that satisfy the predicate, at most `limit`.
    fn batch(&self, pairs: &[Pair], made: &[usize], rows: Rows, limit: usize) -> Result<RecordBatch> {
        let own: Vec<Pair> = rows.pairs.iter().map(|pair| pairs[*pair as usize]).collect();
        let column = |column: usize| match made.binary_search(&column) {
            Ok(position) => Ok(Arc::clone(&rows.columns[position])),
            Err(_) => self.decided(column, &own),
        };
        let columns = |columns: &[usize]| columns.iter().map(|at| column(*at)).collect::<Result<Vec<_>>>();
        let kept = match &self.of_rows {
            Some(predicate) => {
                let satisfied = predicate.evaluate(columns(&predicate.columns)?, own.len())?;
                let kept =
                    (0u32..).zip(&satisfied).filter_map(|(at, satisfied)| (satisfied == Some(true)).then_some(at));
                UInt32Array::from_iter_values(kept.take(limit))
            }
            None => UInt32Array::from_iter_values((0u32..).take(own.len().min(limit))),
        };
        let count = kept.len();
        let mut projected = columns(&self.projection)?;
        if count < own.len() {
            for column in &mut projected {
                *column = arrow::compute::take(column, &kept, None)?;
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), projected, &options)?)
    }

    /// A column that the dataset or the part decides.
    fn decided(&self, column: usize, pairs: &[Pair]) -> Result<ArrayRef> {
        if column == 0 {
            let snapshot = &self.listing.view().snapshot;
            return text(pairs.iter().map(|(_, row)| Some(snapshot.dataset_name(*row))));
        }
        let parts = UInt32Array::from_iter_values(pairs.iter().map(|(part, _)| *part));
        Ok(arrow::compute::take(&self.part_columns[column - 1], &parts, None)?)
    }
}

/// What two ascending lists have in common: looks the shorter one up in what is left of the longer.
fn common<'a>(one: &'a [u32], other: &'a [u32]) -> impl Iterator<Item = u32> + 'a {
    let (short, mut long) = if one.len() < other.len() { (one, other) } else { (other, one) };
    short.iter().copied().filter(move |row| {
        // Steps that double find the place in time proportional to how near it is.
        let mut step = 1;
        while step < long.len() && long[step] < *row {
            step *= 2;
        }
        let end = long.len().min(step + 1);
        long = &long[long[..end].partition_point(|other| other < row)..];
        long.first() == Some(row)
    })
}

#[cfg(test)]
mod tests {
    use super::common;

    #[test]
    fn what_two_lists_have_in_common() {
        let all: Vec<u32> = (0..200).collect();
        for (one, other) in [(3, 5), (7, 2), (1, 1), (50, 1), (1, 199)] {
            let multiples = |of: u32| all.iter().copied().filter(|row| row % of == 0).collect::<Vec<_>>();
            let expected: Vec<u32> = all.iter().copied().filter(|row| row % one == 0 && row % other == 0).collect();
            assert_eq!(common(&multiples(one), &multiples(other)).collect::<Vec<_>>(), expected, "{one} {other}");
        }
        assert_eq!(common(&[], &all).count(), 0);
    }
}
