//! Which region of its array each dataset gives, where that is not the same for all: by its declaration and, for labels,
//! by its coordinates.

use super::read::Touched;
use crate::columns::View;
use crate::cut::{Labels, Step, axis, outside, with_axis};
use crate::error::from_store;
use crate::labels::{Bounds, Found, Limits};
use crate::options::OutOfBounds;
use crate::tensor::{cells_array, null_cells, read_cells};
use arrow::array::{Array, ArrayRef};
use atlas_store::{ArraySchema, CancelToken, DType, Error, Family, ReadPlan, Region};
use datafusion::error::{DataFusionError, Result};
use std::cell::Cell;
use std::collections::HashMap;
use std::ops::Range;

/// Labels that are in memory at once, unless one dataset has more.
const LABELS: u64 = 1 << 20;

/// The region of each of some datasets: few distinct ones.
#[derive(Debug, Default)]
pub(crate) struct Regions {
    distinct: Vec<Region>,
    /// Of each dataset, the position of its region; `None` is NULL.
    of: Vec<Option<u32>>,
}

impl Regions {
    /// The region of dataset number `at`; `None` where its value is NULL.
    pub(crate) fn get(&self, at: usize) -> Option<&Region> {
        self.distinct.get((*self.of.get(at)?)? as usize)
    }

    /// How many datasets there are.
    pub(crate) fn len(&self) -> usize {
        self.of.len()
    }

    /// The regions, each with the numbers within `range` of the datasets that have it, counted from its start.
    pub(crate) fn groups(&self, range: Range<usize>) -> Vec<(Region, Vec<usize>)> {
        let mut positions: Vec<Vec<usize>> = vec![Vec::new(); self.distinct.len()];
        let mut order = Vec::new();
        for (at, region) in self.of[range].iter().enumerate() {
            let Some(region) = *region else { continue };
            let own = &mut positions[region as usize];
            if own.is_empty() {
                order.push(region as usize);
            }
            own.push(at);
        }
        order
            .into_iter()
            .map(|region| (self.distinct[region].clone(), std::mem::take(&mut positions[region])))
            .collect()
    }
}

/// Finds the regions that these calls take of an array in each of the datasets of `rows`.
///
/// # Cost
/// Reads the coordinates that labels are compared with, of the datasets that have them, in a few large reads. Without
/// labels it is a look at the declarations.
///
/// # Errors
/// That an array does not contain what is asked for, unless that is NULL; that labels within the bounds are not
/// neighbours.
pub(crate) fn find(
    view: &View,
    family: usize,
    steps: &[Step],
    rows: &[u32],
    cancel: &CancelToken,
) -> Result<(Regions, Touched)> {
    let finder = Finder::try_new(view, family, steps, cancel)?;
    let mut regions = Regions { distinct: Vec::new(), of: Vec::with_capacity(rows.len()) };
    let mut numbers: HashMap<Region, u32> = HashMap::new();
    // Without labels, one declaration has one region.
    let mut of_schema: HashMap<*const ArraySchema, Option<u32>> = HashMap::new();
    let mut start = 0;
    while start < rows.len() {
        let end = finder.window(rows, start);
        let labels = finder.labels(&rows[start..end])?;
        for row in &rows[start..end] {
            let Some(schema) = finder.schema(*row) else {
                regions.of.push(None);
                continue;
            };
            let key = std::ptr::from_ref(schema);
            if let (true, Some(known)) = (finder.dims.is_empty(), of_schema.get(&key)) {
                regions.of.push(*known);
                continue;
            }
            let number = finder.region(*row, schema, steps, &labels)?.map(|region| {
                *numbers.entry(region).or_insert_with_key(|region| {
                    regions.distinct.push(region.clone());
                    u32::try_from(regions.distinct.len() - 1).unwrap_or(u32::MAX)
                })
            });
            of_schema.insert(key, number);
            regions.of.push(number);
        }
        start = end;
    }
    Ok((regions, finder.touched.get()))
}

/// The labels of the datasets that are looked at: by dimension and dataset.
type Read = HashMap<(usize, u32), Axis>;

/// The labels of a dimension of one dataset.
enum Axis {
    Labels(ArrayRef),
    /// So many that they are read part by part.
    Long(u64),
}

/// A dimension whose labels are compared.
struct Dim<'a> {
    name: &'a str,
    /// The coordinate, where some dataset has one.
    coordinate: Option<(&'a Family, DType)>,
}

struct Finder<'a> {
    view: &'a View,
    name: &'a str,
    arrays: &'a Family,
    /// The calls before the first that compares labels.
    before: &'a [Step],
    dims: Vec<Dim<'a>>,
    cancel: &'a CancelToken,
    touched: Cell<Touched>,
}

impl<'a> Finder<'a> {
    fn try_new(view: &'a View, family: usize, steps: &'a [Step], cancel: &'a CancelToken) -> Result<Self> {
        let mut dims: Vec<Dim<'a>> = Vec::new();
        for step in steps {
            let Step::Labels(Labels(labels), _) = step else { continue };
            for (name, _) in labels {
                if dims.iter().any(|dim| dim.name == name) {
                    continue;
                }
                let coordinate = match view.coordinate(family, name)? {
                    Some(position) => Some((view.family(position)?, view.families[position].dtype)),
                    None => None,
                };
                dims.push(Dim { name, coordinate });
            }
        }
        let first = steps.iter().position(|step| matches!(step, Step::Labels(..))).unwrap_or(steps.len());
        Ok(Finder {
            view,
            name: &view.families[family].name,
            arrays: view.family(family)?,
            before: &steps[..first],
            dims,
            cancel,
            touched: Cell::default(),
        })
    }

    /// The declaration of the array in a dataset.
    fn schema(&self, row: u32) -> Option<&'a ArraySchema> {
        self.arrays.entry(row).map(|entry| self.view.snapshot.schema(entry))
    }

    /// The declaration of a dimension's coordinate in a dataset: the array that is named like it, with that one
    /// dimension.
    fn coordinate(&self, dim: usize, row: u32) -> Option<&'a ArraySchema> {
        let dim = &self.dims[dim];
        let schema = self.view.snapshot.schema(dim.coordinate?.0.entry(row)?);
        (schema.dims.as_slice() == [dim.name]).then_some(schema)
    }

    /// The end of the datasets from `start` on whose labels are read together.
    fn window(&self, rows: &[u32], start: usize) -> usize {
        let mut count = 0u64;
        for (at, row) in rows.iter().enumerate().skip(start) {
            for dim in 0..self.dims.len() {
                count = count.saturating_add(self.coordinate(dim, *row).map_or(0, ArraySchema::cell_count));
            }
            if count > LABELS && at > start {
                return at;
            }
        }
        rows.len()
    }

    /// Reads the labels of some datasets.
    fn labels(&self, rows: &[u32]) -> Result<Read> {
        let mut read = Read::new();
        for dim in 0..self.dims.len() {
            let Some((family, dtype)) = self.dims[dim].coordinate else { continue };
            let mut datasets = Vec::new();
            let mut fills = Vec::new();
            for row in rows {
                let (Some(schema), Some(coordinate)) = (self.schema(*row), self.coordinate(dim, *row)) else {
                    continue;
                };
                let is_asked = schema.dims.iter().any(|own| own == self.dims[dim].name)
                    && self.region(*row, schema, self.before, &read)?.is_some();
                if !is_asked {
                    continue;
                }
                if coordinate.cell_count() > LABELS {
                    read.insert((dim, *row), Axis::Long(coordinate.cell_count()));
                } else {
                    datasets.push(*row);
                    fills.push(coordinate.fill_value.as_ref());
                }
            }
            if datasets.is_empty() {
                continue;
            }
            let plan = self.view.snapshot.plan_across(&[family.name()], &datasets, None).map_err(from_store)?;
            self.count(&plan);
            let counts: Vec<usize> = plan.outputs().map(|output| output.cell_count()).collect();
            let cells = read_cells(&plan, self.cancel)?;
            let nulls = null_cells(dtype, &cells, &counts.iter().copied().zip(fills).collect::<Vec<_>>());
            let cells = cells_array(dtype, cells, nulls)?;
            let mut end = 0;
            for (row, count) in datasets.into_iter().zip(counts) {
                read.insert((dim, row), Axis::Labels(cells.slice(end, count)));
                end += count;
            }
        }
        Ok(read)
    }

    /// What the calls take of the array of one dataset; `None` where that is NULL.
    fn region(&self, row: u32, schema: &ArraySchema, steps: &[Step], labels: &Read) -> Result<Option<Region>> {
        let array = format!("{} of dataset {}", self.name, self.view.snapshot.dataset_name(row));
        let mut region = Region::full(&schema.shape);
        for step in steps {
            let (taken, if_outside) = match step {
                Step::Place(place, if_outside) => {
                    let inner = place.within(&array, Some(&schema.dims), region.shape());
                    (inner.and_then(|inner| offset(&region, &inner)), if_outside)
                }
                Step::Labels(Labels(wanted), if_outside) => {
                    let mut taken = Ok(region.clone());
                    for (dim, bounds) in wanted {
                        let Ok(own) = &taken else { break };
                        taken = match axis(Some(&schema.dims), dim) {
                            Ok(axis) => {
                                let range = own.start()[axis]..own.end(axis);
                                let range = self.range(row, dim, bounds, range, labels)?;
                                Ok(with_axis(own, axis, range.start, range.end))
                            }
                            Err(message) => Err(outside(&array, message)),
                        };
                    }
                    (taken, if_outside)
                }
            };
            region = match taken {
                Ok(taken) => taken,
                Err(Error::OutOfBounds { .. }) if *if_outside == OutOfBounds::Null => return Ok(None),
                Err(error) => return Err(from_store(error)),
            };
        }
        Ok(Some(region))
    }

    /// The indices of `range`, along a dimension of one dataset, whose labels are within bounds.
    fn range(&self, row: u32, dim: &str, bounds: &Bounds, range: Range<u64>, labels: &Read) -> Result<Range<u64>> {
        let nothing = range.start..range.start;
        if range.is_empty() {
            return Ok(nothing);
        }
        let failed = |reason: String| {
            from_store(Error::InvalidArgument {
                message: format!(
                    "sel: array {} of dataset {}: labels of {dim} between {bounds}: {reason}",
                    self.name,
                    self.view.snapshot.dataset_name(row)
                ),
            })
        };
        let position = self.dims.iter().position(|own| own.name == dim);
        let known = position.and_then(|position| Some((position, labels.get(&(position, row))?)));
        let Some((position, axis)) = known else {
            let limits = bounds.limits(None);
            let limits =
                limits.map_err(|reason| failed(format!("it has no coordinate, only indices, and {reason}")))?;
            let own = limits.indices(range.end - range.start);
            return Ok(range.start + own.start..range.start + own.end);
        };
        let dtype = self.dims[position].coordinate.map(|(_, dtype)| dtype);
        let limits = bounds.limits(dtype).map_err(failed)?;
        let found = match axis {
            Axis::Labels(labels) => {
                // A coordinate that ends before the array has no labels from there on.
                let length = labels.len() as u64;
                let own = range.start.min(length)..range.end.min(length);
                let (start, length) = (in_memory(own.start)?, in_memory(own.end.saturating_sub(own.start))?);
                limits.find(&labels.slice(start, length), own.start, None)?
            }
            Axis::Long(length) => {
                let own = range.start.min(*length)..range.end.min(*length);
                self.find_long(position, row, &limits, own)?
            }
        };
        found.map_or(Ok(nothing), |found| found.range().map_err(failed))
    }

    /// The same of a coordinate that is read part by part.
    fn find_long(&self, dim: usize, row: u32, limits: &Limits, range: Range<u64>) -> Result<Option<Found>> {
        let (Some((family, dtype)), Some(schema)) = (self.dims[dim].coordinate, self.coordinate(dim, row)) else {
            return Ok(None);
        };
        let mut found = None;
        let mut start = range.start;
        while start < range.end {
            let count = LABELS.min(range.end - start);
            let region = Region::try_new(vec![start], vec![count]).map_err(from_store)?;
            let plan = self.view.snapshot.plan_across(&[family.name()], &[row], Some(&region)).map_err(from_store)?;
            self.count(&plan);
            let cells = read_cells(&plan, self.cancel)?;
            let nulls = null_cells(dtype, &cells, &[(cells.len(), schema.fill_value.as_ref())]);
            found = limits.find(&cells_array(dtype, cells, nulls)?, start, found)?;
            start += count;
        }
        Ok(found)
    }

    fn count(&self, plan: &ReadPlan) {
        let mut touched = self.touched.get();
        touched += Touched::of(plan);
        self.touched.set(touched);
    }
}

/// A position within labels that are in memory.
fn in_memory(position: u64) -> Result<usize> {
    usize::try_from(position).map_err(|_| DataFusionError::Execution(format!("{position} labels do not fit in memory")))
}

/// A region within a region.
fn offset(outer: &Region, inner: &Region) -> Result<Region, Error> {
    let start = outer.start().iter().zip(inner.start()).map(|(outer, inner)| outer.saturating_add(*inner)).collect();
    Region::try_new(start, inner.shape().to_vec())
}
