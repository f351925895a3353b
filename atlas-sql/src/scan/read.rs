//! Reading the values of one column for some rows; and what that costs, without doing it.

use super::regions::{self, Regions};
use crate::columns::{EntryField, Source, View};
use crate::cut::Cut;
use crate::error::from_store;
use crate::table::Table;
use crate::tensor::{
    Form, Reduction, Tensor, cells_array, data_type, fixed_size_list, null_cells, read_cells, reduce, variable,
};
use arrow::array::{ArrayRef, Int64Array, StringArray, UInt32Array, new_empty_array, new_null_array};
use arrow::compute::{concat, take};
use atlas_store::{ArraySchema, CancelToken, ReadPlan, Region};
use datafusion::error::{DataFusionError, Result};
use std::ops::{AddAssign, Range};
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

/// A read of the same region from some datasets.
struct Request {
    /// `None` is all of an array, whatever its shape.
    region: Option<Region>,
    /// The datasets, which have the array.
    datasets: Vec<u32>,
    /// Where their values go, among all rows.
    positions: Vec<usize>,
}

/// What is read for a source that is an array or a part of one. Rows without a request are NULL. `known` is the region of
/// each row, where that was found before.
fn requests(
    view: &View,
    source: &Source,
    family: usize,
    rows: &[u32],
    known: Option<(&Regions, Range<usize>)>,
    cancel: &CancelToken,
) -> Result<(Vec<Request>, Touched)> {
    let region = match source.cut() {
        Some(Cut::Each(steps)) => {
            let (groups, touched) = match known {
                Some((regions, range)) => (regions.groups(range), Touched::default()),
                None => {
                    let (regions, touched) = regions::find(view, family, steps, rows, cancel)?;
                    (regions.groups(0..regions.len()), touched)
                }
            };
            let request = |(region, positions): (Region, Vec<usize>)| {
                let datasets = positions.iter().map(|position| rows[*position]).collect();
                Request { region: Some(region), datasets, positions }
            };
            return Ok((groups.into_iter().map(request).collect(), touched));
        }
        Some(Cut::Region(region)) => Some(region.clone()),
        None => None,
    };
    let (datasets, positions) = present(view, family, rows)?;
    let requests = if datasets.is_empty() { Vec::new() } else { vec![Request { region, datasets, positions }] };
    Ok((requests, Touched::default()))
}

impl Request {
    fn plan(&self, view: &View, family: usize) -> Result<ReadPlan> {
        let name = &view.families[family].name;
        view.snapshot.plan_across(&[name], &self.datasets, self.region.as_ref()).map_err(from_store)
    }
}

/// What reading a column for these rows would touch. Where labels decide it, their coordinates are read.
pub(crate) fn plan(view: &View, source: &Source, rows: &[u32]) -> Result<Touched> {
    let source = source.cells();
    let (Source::Array(family) | Source::Slice(family, _) | Source::Element(family, _)) = source.as_ref() else {
        return Ok(Touched::default());
    };
    let (requests, mut touched) = requests(view, &source, *family, rows, None, &CancelToken::new())?;
    for request in requests {
        touched += Touched::of(&request.plan(view, *family)?);
    }
    Ok(touched)
}

/// Bytes in memory of one row of a column; the most that it can be, where labels decide.
pub(crate) fn row_bytes(view: &View, source: &Source, row: u32) -> Result<u64> {
    let Some(family) = source.family().filter(|_| !source.is_catalog()) else { return Ok(0) };
    let declared =
        || Ok::<_, DataFusionError>(view.family(family)?.entry(row).map(|entry| view.snapshot.schema(entry)));
    let cells = match source.cut() {
        Some(Cut::Region(region)) => region.shape().iter().product(),
        Some(cut) => match cut.same_cells() {
            Some(cells) => cells,
            None => declared()?.map_or(0, |schema| cut.most_cells(&schema.dims, &schema.shape)),
        },
        None => declared()?.map_or(0, ArraySchema::cell_count),
    };
    Ok(cells_bytes(view, family, cells))
}

/// Bytes in memory of so many cells of an array.
pub(crate) fn cells_bytes(view: &View, family: usize, cells: u64) -> u64 {
    // Text has no fixed size: two words a cell are its offset and a short text.
    cells.saturating_mul(view.families[family].dtype.cell_bytes().unwrap_or(16) as u64)
}

/// Whether a column reads cells that have no fixed size.
pub(crate) fn is_text(view: &View, source: &Source) -> bool {
    !source.is_catalog() && source.family().is_some_and(|family| view.families[family].dtype.cell_bytes().is_none())
}

/// Bytes of the text that a column reads for these rows, about; 0 where labels decide which that is.
pub(crate) fn text_bytes(view: &View, source: &Source, rows: &[u32]) -> Result<u64> {
    let source = source.cells();
    let (Some(family), None | Some(Cut::Region(_))) = (source.family(), source.cut()) else { return Ok(0) };
    let (requests, _) = requests(view, &source, family, rows, None, &CancelToken::new())?;
    let mut bytes = 0u64;
    for request in requests {
        bytes = bytes.saturating_add(request.plan(view, family)?.decoded_bytes());
    }
    Ok(bytes)
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

/// The values of a column for these rows; `cancel` ends the read. `known` is the region of each row, within a range of
/// those that were found before.
pub(crate) fn read(
    view: &View,
    source: &Source,
    rows: &[u32],
    known: Option<(&Regions, Range<usize>)>,
    cancel: &CancelToken,
) -> Result<(ArrayRef, Touched)> {
    let family = match source {
        Source::Array(family) | Source::Slice(family, _) | Source::Element(family, _) => *family,
        Source::Reduction(family, ..) => *family,
        Source::Entry(field) => return Ok((read_entries(view, *field, rows)?, Touched::default())),
        _ => return Ok((view.column_at(source, rows)?, Touched::default())),
    };
    let array = &view.families[family].tensor;
    let (requests, touched) = requests(view, source, family, rows, known, cancel)?;
    if let Source::Reduction(_, _, reduction) = source {
        let cells = Cells::read(view, family, requests, false, touched, cancel)?;
        return Ok((cells.reduced(*reduction, rows.len())?, cells.touched));
    }
    let tensor = match source {
        Source::Slice(_, cut) => cut.tensor(array),
        Source::Element(..) => array.sliced(&[]),
        _ => array.clone(),
    };
    if requests.is_empty() {
        let data_type = tensor.field("")?.data_type().clone();
        return Ok((new_null_array(&data_type, rows.len()), touched));
    }
    let cells = Cells::read(view, family, requests, tensor.is_tensor(), touched, cancel)?;
    let touched = cells.touched;
    Ok((cells.column(&tensor, rows.len())?, touched))
}

/// The cells of some values, one value after another.
struct Cells {
    cells: ArrayRef,
    /// Of each value, its row, how many cells it has, and its shape.
    values: Vec<(usize, usize, Vec<u64>)>,
    touched: Touched,
}

impl Cells {
    /// Reads them, request by request. Those that equal their dataset's fill value are NULL, unless they are `as_stored`.
    fn read(
        view: &View,
        family: usize,
        requests: Vec<Request>,
        as_stored: bool,
        mut touched: Touched,
        cancel: &CancelToken,
    ) -> Result<Self> {
        let dtype = view.families[family].dtype;
        let arrays = view.family(family)?;
        let fill = |row: &u32| arrays.entry(*row).and_then(|entry| view.snapshot.schema(entry).fill_value.as_ref());
        let mut parts: Vec<ArrayRef> = Vec::with_capacity(requests.len());
        let mut values = Vec::new();
        for request in requests {
            let plan = request.plan(view, family)?;
            touched += Touched::of(&plan);
            let counts: Vec<usize> = plan.outputs().map(|output| output.cell_count()).collect();
            if counts.iter().any(|count| *count > 0) {
                let cells = read_cells(&plan, cancel)?;
                let fills = counts.iter().copied().zip(request.datasets.iter().map(fill));
                let nulls = if as_stored { None } else { null_cells(dtype, &cells, &fills.collect::<Vec<_>>()) };
                parts.push(cells_array(dtype, cells, nulls)?);
            }
            let shapes = plan.outputs().map(|output| output.shape.to_vec());
            values.extend(
                request.positions.into_iter().zip(counts).zip(shapes).map(|((at, count), shape)| (at, count, shape)),
            );
        }
        let cells = match parts.as_slice() {
            [] => new_empty_array(&data_type(dtype)),
            [one] => Arc::clone(one),
            _ => concat(&parts.iter().map(AsRef::as_ref).collect::<Vec<_>>())?,
        };
        Ok(Cells { cells, values, touched })
    }

    /// A number of the cells of each value.
    fn reduced(&self, reduction: Reduction, rows: usize) -> Result<ArrayRef> {
        let mut end = 0;
        let mut ranges = vec![None; rows];
        for (position, count, _) in &self.values {
            ranges[*position] = Some(end..end + count);
            end += count;
        }
        reduce(reduction, &self.cells, &ranges)
    }

    /// The values as a column of this type; rows without one are NULL.
    fn column(self, tensor: &Tensor, rows: usize) -> Result<ArrayRef> {
        let Cells { cells, values, .. } = self;
        let positions: Vec<usize> = values.iter().map(|(position, ..)| *position).collect();
        match &tensor.form {
            Form::Scalar => spread(cells, &positions, rows),
            Form::Fixed(shape) => spread(fixed_size_list(cells, shape, values.len(), None)?, &positions, rows),
            Form::List | Form::Variable(_) if positions.is_sorted() => {
                let mut shapes = vec![None; rows];
                for (position, _, shape) in values {
                    shapes[position] = Some(shape);
                }
                variable(tensor, cells, &shapes)
            }
            Form::List | Form::Variable(_) => {
                let shapes: Vec<Option<Vec<u64>>> = values.into_iter().map(|(.., shape)| Some(shape)).collect();
                spread(variable(tensor, cells, &shapes)?, &positions, rows)
            }
        }
    }
}

/// Puts values at their positions; the other positions are NULL.
fn spread(values: ArrayRef, positions: &[usize], rows: usize) -> Result<ArrayRef> {
    if values.len() == rows && positions.is_sorted() {
        return Ok(values);
    }
    let mut indices: Vec<Option<u32>> = vec![None; rows];
    for (index, position) in (0u32..).zip(positions) {
        indices[*position] = Some(index);
    }
    Ok(take(&values, &UInt32Array::from(indices), None)?)
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
