//! Reading the values of one column for some rows; and what that costs, without doing it.

use crate::call::cell;
use crate::columns::{EntryField, Source, View};
use crate::error::from_store;
use crate::table::Table;
use crate::tensor::{
    Form, Reduction, Tensor, cells_array, data_type, fixed_size_list, null_cells, reduce, variable, without_cells,
};
use arrow::array::{ArrayRef, Int64Array, StringArray, UInt32Array, new_empty_array};
use atlas_store::{CancelToken, Cells, Output, ReadHooks, ReadPlan, Region};
use datafusion::error::Result;
use std::ops::AddAssign;
use std::sync::Arc;

/// The bytes of arrays that a batch holds, unless one row is larger.
pub(crate) const BATCH_BYTES: u64 = 8 << 20;
/// What a read of one array counts for at least.
const LEAST_BYTES: u64 = 4 << 10;

/// What reads touch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Touched {
    pub(crate) chunks: u64,
    /// Stored bytes.
    pub(crate) bytes: u64,
}

impl Touched {
    pub(crate) fn of(plan: &ReadPlan) -> Self {
        Touched { chunks: plan.chunks(), bytes: plan.bytes() }
    }
}

impl AddAssign for Touched {
    fn add_assign(&mut self, other: Self) {
        self.chunks += other.chunks;
        self.bytes += other.bytes;
    }
}

/// The rows of `rows` that have the array, as dataset rows and as positions in `rows`.
fn present(view: &View, family: usize, rows: &[u32]) -> Result<(Vec<u32>, Vec<usize>)> {
    let family = view.family(family)?;
    let (mut datasets, mut positions) = (Vec::new(), Vec::new());
    for (position, row) in rows.iter().enumerate() {
        if family.entry(*row).is_some() {
            datasets.push(*row);
            positions.push(position);
        }
    }
    Ok((datasets, positions))
}

/// The region of a source that is one region for every dataset; `None` is all of an array.
fn region(source: &Source) -> Result<Option<Region>> {
    match source {
        Source::Slice(_, region) => Ok(Some(region.clone())),
        Source::Element(_, index) => Ok(Some(cell(index)?)),
        _ => Ok(None),
    }
}

/// Whether values of this source are read one by one, since their shapes differ.
fn is_ragged(view: &View, source: &Source) -> bool {
    matches!(source, Source::Array(family)
        if matches!(view.families[*family].tensor.form, Form::List | Form::Variable(_)))
}

/// What reading a column for these rows would touch.
pub(crate) fn plan(view: &View, source: &Source, rows: &[u32]) -> Result<Touched> {
    let source = source.cells();
    let (Source::Array(family) | Source::Slice(family, _) | Source::Element(family, _)) = source.as_ref() else {
        return Ok(Touched::default());
    };
    let (datasets, _) = present(view, *family, rows)?;
    if datasets.is_empty() {
        return Ok(Touched::default());
    }
    Ok(Touched::of(&read_plan(view, &source, *family, &datasets)?))
}

/// The read of a source that is an array or a part of one, for datasets that have it.
fn read_plan(view: &View, source: &Source, family: usize, datasets: &[u32]) -> Result<ReadPlan> {
    let name = &view.families[family].name;
    let plan = match is_ragged(view, source) {
        true => view.snapshot.plan_across(name, datasets, None),
        false => view.snapshot.plan_stacked(name, datasets, region(source)?.as_ref()),
    };
    plan.map_err(from_store)
}

/// Bytes in memory of one row of a column.
pub(crate) fn row_bytes(view: &View, source: &Source, row: u32) -> Result<u64> {
    let (cells, family) = match source.cells().as_ref() {
        Source::Array(family) => {
            let Some(entry) = view.family(*family)?.entry(row) else { return Ok(0) };
            (view.snapshot.schema(entry).cell_count(), *family)
        }
        Source::Slice(family, region) => (region.shape().iter().product(), *family),
        Source::Element(family, _) => (1, *family),
        _ => return Ok(0),
    };
    // Text has no fixed size: two words a cell are its offset and a short text.
    Ok(cells.saturating_mul(view.families[family].dtype.cell_bytes().unwrap_or(16) as u64))
}

/// How many batches the arrays of these rows fill, at least 1 and at most `most`. Arrays of few cells count as more,
/// for the chunks that they are in.
pub(crate) fn batches(table: &Table, columns: &[usize], rows: &[u32], most: usize) -> Result<usize> {
    let sources = columns.iter().map(|column| &table.sources[*column]).filter(|source| !source.is_catalog());
    let sources: Vec<&Source> = sources.collect();
    let enough = BATCH_BYTES.saturating_mul(most as u64);
    let mut bytes = 0u64;
    for row in rows {
        for source in &sources {
            bytes = bytes.saturating_add(row_bytes(&table.view, source, *row)?.max(LEAST_BYTES));
        }
        if bytes >= enough {
            return Ok(most);
        }
    }
    Ok(usize::try_from(bytes.div_ceil(BATCH_BYTES)).unwrap_or(most).clamp(1, most))
}

/// The values of a column for these rows; `cancel` ends the read.
pub(crate) fn read(view: &View, source: &Source, rows: &[u32], cancel: &CancelToken) -> Result<(ArrayRef, Touched)> {
    let hooks = ReadHooks::new().cancelled_by(cancel);
    let family = match source {
        Source::Array(family) | Source::Slice(family, _) | Source::Element(family, _) => *family,
        Source::Reduction(family, _, reduction) => {
            return read_reduced(view, &source.cells(), *family, *reduction, rows, hooks);
        }
        Source::Entry(field) => return Ok((read_entries(view, *field, rows)?, Touched::default())),
        _ => return Ok((view.column_at(source, rows)?, Touched::default())),
    };
    let tensor = match source {
        Source::Slice(_, region) => view.families[family].tensor.sliced(region.shape()),
        Source::Element(..) => view.families[family].tensor.sliced(&[]),
        _ => view.families[family].tensor.clone(),
    };
    let (datasets, positions) = present(view, family, rows)?;
    if datasets.is_empty() {
        let data_type = tensor.field("")?.data_type().clone();
        return Ok((arrow::array::new_null_array(&data_type, rows.len()), Touched::default()));
    }
    if is_ragged(view, source) {
        return read_ragged(view, family, &tensor, rows, hooks);
    }
    let name = &view.families[family].name;
    let plan = view.snapshot.plan_stacked(name, &datasets, region(source)?.as_ref()).map_err(from_store)?;
    let touched = Touched::of(&plan);
    if let Source::Slice(_, region) = source
        && region.is_empty()
    {
        let family = view.family(family)?;
        let present = rows.iter().map(|row| family.entry(*row).is_some());
        return Ok((without_cells(&tensor, region.shape(), present)?, touched));
    }
    let cells = plan.execute_joined(hooks).map_err(from_store)?;
    let values = stacked(view, family, &tensor, &datasets, cells)?;
    Ok((spread(values, &positions, rows.len())?, touched))
}

/// The column of an array that stacks the values of these datasets.
fn stacked(view: &View, family: usize, tensor: &Tensor, datasets: &[u32], cells: Cells) -> Result<ArrayRef> {
    let count = cells.len() / datasets.len().max(1);
    let values = values(view, family, tensor, datasets.iter().map(|row| (*row, count)), cells)?;
    match &tensor.form {
        Form::Fixed(shape) => fixed_size_list(values, shape, datasets.len(), None),
        _ => Ok(values),
    }
}

/// The cells of the values of these datasets, which have so many each; NULL where they are the fill value and the column
/// is no tensor.
fn values(
    view: &View,
    family: usize,
    tensor: &Tensor,
    datasets: impl Iterator<Item = (u32, usize)>,
    cells: Cells,
) -> Result<ArrayRef> {
    if tensor.is_tensor() {
        return cells_array(view.families[family].dtype, cells, None);
    }
    without_missing(view, family, datasets, cells)
}

/// The same; NULL where they are the fill value of their own dataset.
fn without_missing(
    view: &View,
    family: usize,
    datasets: impl Iterator<Item = (u32, usize)>,
    cells: Cells,
) -> Result<ArrayRef> {
    let dtype = view.families[family].dtype;
    let family = view.family(family)?;
    let fill = |row| family.entry(row).and_then(|entry| view.snapshot.schema(entry).fill_value.as_ref());
    let fills: Vec<_> = datasets.map(|(row, count)| (count, fill(row))).collect();
    let nulls = null_cells(dtype, &cells, &fills);
    cells_array(dtype, cells, nulls)
}

/// Puts values at their positions; the other positions are NULL.
fn spread(values: ArrayRef, positions: &[usize], rows: usize) -> Result<ArrayRef> {
    if values.len() == rows {
        return Ok(values);
    }
    let mut indices: Vec<Option<u32>> = vec![None; rows];
    for (index, position) in (0u32..).zip(positions) {
        indices[*position] = Some(index);
    }
    Ok(arrow::compute::take(&values, &UInt32Array::from(indices), None)?)
}

/// Arrays that each have their own shape.
fn read_ragged(
    view: &View,
    family: usize,
    tensor: &Tensor,
    rows: &[u32],
    hooks: ReadHooks<'_>,
) -> Result<(ArrayRef, Touched)> {
    let plan = view.snapshot.plan_across(&view.families[family].name, rows, None).map_err(from_store)?;
    let (datasets, positions) = present(view, family, rows)?;
    let cells = plan.execute_joined(hooks).map_err(from_store)?;
    let counts = plan.outputs().iter().map(Output::cell_count);
    let values = values(view, family, tensor, datasets.iter().copied().zip(counts), cells)?;
    let mut shapes = vec![None; rows.len()];
    for (position, output) in positions.into_iter().zip(plan.outputs()) {
        shapes[position] = Some(output.shape.clone());
    }
    Ok((variable(tensor, values, &shapes)?, Touched::of(&plan)))
}

/// A number of the cells that `source` reads in each dataset, against the dataset's own fill value.
fn read_reduced(
    view: &View,
    source: &Source,
    family: usize,
    reduction: Reduction,
    rows: &[u32],
    hooks: ReadHooks<'_>,
) -> Result<(ArrayRef, Touched)> {
    let cell = data_type(view.families[family].dtype);
    let (datasets, positions) = present(view, family, rows)?;
    if datasets.is_empty() {
        let none = reduce(reduction, &new_empty_array(&cell), &vec![None; rows.len()])?;
        return Ok((none, Touched::default()));
    }
    let plan = read_plan(view, source, family, &datasets)?;
    let counts: Vec<usize> = match is_ragged(view, source) {
        true => plan.outputs().iter().map(Output::cell_count).collect(),
        false => {
            let all: usize = plan.outputs().iter().map(Output::cell_count).sum();
            vec![all / datasets.len(); datasets.len()]
        }
    };
    let cells = if counts.iter().all(|count| *count == 0) {
        new_empty_array(&cell)
    } else {
        let cells = plan.execute_joined(hooks).map_err(from_store)?;
        without_missing(view, family, datasets.iter().copied().zip(counts.iter().copied()), cells)?
    };
    let mut end = 0;
    let mut ranges = vec![None; rows.len()];
    for (position, count) in positions.into_iter().zip(counts) {
        ranges[position] = Some(end..end + count);
        end += count;
    }
    Ok((reduce(reduction, &cells, &ranges)?, Touched::of(&plan)))
}

/// The columns of the `arrays` table that are in segments and not in the catalog.
fn read_entries(view: &View, field: EntryField, rows: &[u32]) -> Result<ArrayRef> {
    let entries = rows.iter().map(|row| view.entries()[*row as usize]);
    let name = |family: u32| view.families[family as usize].name.as_str();
    Ok(match field {
        EntryField::Codec => {
            let codecs: Vec<String> = entries
                .map(|(row, family)| view.snapshot.array_codec(row, name(family)).map_err(from_store))
                .collect::<Result<_>>()?;
            Arc::new(StringArray::from(codecs))
        }
        EntryField::StoredBytes => {
            let bytes: Vec<i64> = entries
                .map(|(row, family)| {
                    let (_, bytes) = view.snapshot.chunk_totals(name(family), &[row]).map_err(from_store)?;
                    Ok(i64::try_from(bytes).unwrap_or(i64::MAX))
                })
                .collect::<Result<_>>()?;
            Arc::new(Int64Array::from(bytes))
        }
        field => view.column_at(&Source::Entry(field), rows)?,
    })
}
