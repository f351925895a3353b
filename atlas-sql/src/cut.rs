//! What calls take out of an array: a region that is written down, that follows from the names of dimensions, or from
//! coordinate labels.

use crate::labels::{self, Bounds};
use crate::options::OutOfBounds;
use crate::tensor::Tensor;
use atlas_store::{Error, Region};
use std::fmt::Write;

/// A part of an array, of each dataset that has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Cut {
    /// The same region in every dataset; one that does not contain it is an error.
    Region(Region),
    /// What these calls take, each of what the one before took: found in each dataset by itself.
    Each(Vec<Step>),
}

/// A call that takes a part of an array.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// `slice` or `element`.
    Place(Place, OutOfBounds),
    /// `sel`.
    Labels(Labels, OutOfBounds),
}

/// Where in an array.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Region(Region),
    Named(Named),
}

/// Indices of dimensions by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Named {
    pub(crate) ranges: Vec<Along>,
    /// Whether it is one cell, for which every dimension is named. Else those that are not are whole.
    pub(crate) is_cell: bool,
}

/// A range of indices along a dimension.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Along {
    pub(crate) dim: String,
    pub(crate) start: u64,
    pub(crate) size: u64,
}

/// Bounds of the labels of some dimensions; the others are whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Labels(pub(crate) Vec<(String, Bounds)>);

impl Cut {
    /// The calls, of which there is at least one.
    pub(crate) fn into_steps(self) -> Vec<Step> {
        match self {
            Cut::Region(region) => vec![Step::Place(Place::Region(region), OutOfBounds::Error)],
            Cut::Each(steps) => steps,
        }
    }

    /// The type of the part of arrays of this type.
    pub(crate) fn tensor(&self, of: &Tensor) -> Tensor {
        match self {
            Cut::Region(region) => of.sliced(region.shape()),
            Cut::Each(steps) => steps.iter().fold(of.clone(), |of, step| step.tensor(&of)),
        }
    }

    /// The dimensions whose labels are compared, each once.
    pub(crate) fn labelled(&self) -> Vec<&str> {
        let Cut::Each(steps) = self else { return Vec::new() };
        let labels = steps.iter().flat_map(|step| match step {
            Step::Labels(Labels(labels), _) => labels.as_slice(),
            Step::Place(..) => &[],
        });
        let mut dims: Vec<&str> = labels.map(|(dim, _)| dim.as_str()).collect();
        dims.sort_unstable();
        dims.dedup();
        dims
    }

    /// How many cells it has, where that is the same for all arrays.
    pub(crate) fn same_cells(&self) -> Option<u64> {
        let region = match self {
            Cut::Region(region) => region,
            Cut::Each(steps) => match steps.last() {
                Some(Step::Place(Place::Region(region), _)) => region,
                Some(Step::Place(Place::Named(named), _)) if named.is_cell => return Some(1),
                _ => return None,
            },
        };
        Some(region.shape().iter().fold(1, |cells: u64, extent| cells.saturating_mul(*extent)))
    }

    /// The most cells that it has of an array with these dimensions.
    pub(crate) fn most_cells(&self, dims: &[String], shape: &[u64]) -> u64 {
        if let Some(cells) = self.same_cells() {
            return cells;
        }
        let mut shape = shape.to_vec();
        let Cut::Each(steps) = self else { return 0 };
        for step in steps {
            // Labels take all at most.
            if let Step::Place(place, _) = step
                && let Ok(region) = place.within("", Some(dims), &shape)
            {
                shape = region.shape().to_vec();
            }
        }
        shape.iter().fold(1, |cells: u64, extent| cells.saturating_mul(*extent))
    }

    /// The calls on an array, as EXPLAIN shows them; `is_cell` where the last is `element`.
    pub(crate) fn text(&self, array: &str, is_cell: bool) -> String {
        match self {
            Cut::Region(region) => region_text(array, region, is_cell),
            Cut::Each(steps) => {
                let last = steps.len().saturating_sub(1);
                let steps = steps.iter().enumerate();
                steps.fold(array.to_string(), |inner, (at, step)| step.text(&inner, is_cell && at == last))
            }
        }
    }
}

fn region_text(array: &str, region: &Region, is_cell: bool) -> String {
    if !is_cell {
        return format!("slice({array}, {:?}, {:?})", region.start(), region.shape());
    }
    let index: String = region.start().iter().map(|index| format!(", {index}")).collect();
    format!("element({array}{index})")
}

impl Step {
    /// The type of what it takes of arrays of this type.
    pub(crate) fn tensor(&self, of: &Tensor) -> Tensor {
        match self {
            Step::Place(place, _) => place.tensor(of),
            Step::Labels(..) => of.ragged(),
        }
    }

    fn text(&self, array: &str, is_cell: bool) -> String {
        let mut text = String::new();
        match self {
            Step::Place(Place::Region(region), _) => region_text(array, region, is_cell),
            Step::Place(Place::Named(named), _) => {
                for Along { dim, start, size } in &named.ranges {
                    // Writing to a string cannot fail.
                    let _ = match named.is_cell {
                        true => write!(text, ", '{dim}', {start}"),
                        false => write!(text, ", '{dim}', {start}, {size}"),
                    };
                }
                format!("{}({array}{text})", if named.is_cell { "element" } else { "slice" })
            }
            Step::Labels(Labels(labels), _) => {
                for (dim, Bounds { low, high }) in labels {
                    let _ = write!(text, ", '{dim}', {}, {}", labels::text(low), labels::text(high));
                }
                format!("sel({array}{text})")
            }
        }
    }
}

impl Place {
    /// The region of an array of this shape. `dims` are its dimensions, if they are known.
    ///
    /// # Errors
    /// `OutOfBounds` where the array does not contain it, or has other dimensions.
    pub(crate) fn within(&self, array: &str, dims: Option<&[String]>, shape: &[u64]) -> Result<Region, Error> {
        match self {
            Place::Region(region) => {
                region.check(array, shape)?;
                Ok(region.clone())
            }
            Place::Named(named) => {
                let (mut start, mut size) = (vec![0; shape.len()], shape.to_vec());
                for Along { dim, start: from, size: cells } in &named.ranges {
                    let axis = axis(dims, dim).map_err(|message| outside(array, message))?;
                    if let (Some(start), Some(size)) = (start.get_mut(axis), size.get_mut(axis)) {
                        (*start, *size) = (*from, *cells);
                    }
                }
                if named.is_cell && named.ranges.len() != shape.len() {
                    return Err(outside(array, named.unnamed(dims)));
                }
                let region = Region::try_new(start, size)?;
                region.check(array, shape)?;
                Ok(region)
            }
        }
    }

    /// The type of what it takes of arrays of this type.
    pub(crate) fn tensor(&self, of: &Tensor) -> Tensor {
        match self {
            Place::Region(region) => of.sliced(region.shape()),
            Place::Named(named) if named.is_cell => of.sliced(&[]),
            Place::Named(named) => named.region(of).map_or_else(|| of.ragged(), |region| of.sliced(region.shape())),
        }
    }
}

/// The position of a dimension among those of an array, if they are known.
///
/// # Errors
/// What is wrong with the name.
pub(crate) fn axis(dims: Option<&[String]>, dim: &str) -> Result<usize, String> {
    dims.unwrap_or_default().iter().position(|own| own == dim).ok_or_else(|| match dims {
        Some(dims) => format!("its dimensions are {dims:?}, not {dim:?}"),
        None => format!("its dimensions are not known here, so neither is {dim:?}"),
    })
}

/// The region with other bounds along one axis.
pub(crate) fn with_axis(region: &Region, axis: usize, start: u64, end: u64) -> Region {
    let (mut starts, mut shape) = (region.start().to_vec(), region.shape().to_vec());
    starts[axis] = start;
    shape[axis] = end.saturating_sub(start);
    // The bounds lie within those of a region, so that this is one.
    Region::try_new(starts, shape).unwrap_or_else(|_| region.clone())
}

/// That an array does not contain what is asked for.
pub(crate) fn outside(array: &str, message: String) -> Error {
    Error::OutOfBounds { array: array.into(), message }
}

impl Named {
    /// The region that it takes of arrays of this type; `None` where it is not the same for all of them.
    pub(crate) fn region(&self, of: &Tensor) -> Option<Region> {
        let dims = of.dims.as_ref()?;
        let along = |(axis, dim): (usize, &String)| match self.ranges.iter().find(|range| range.dim == *dim) {
            Some(range) => Some((range.start, range.size)),
            None => of.shape()?.get(axis).map(|extent| (0, *extent)),
        };
        let (start, shape) = dims.iter().enumerate().map(along).collect::<Option<Vec<_>>>()?.into_iter().unzip();
        Region::try_new(start, shape).ok()
    }

    /// What is wrong where not all dimensions are named.
    pub(crate) fn unnamed(&self, dims: Option<&[String]>) -> String {
        let named: Vec<&str> = self.ranges.iter().map(|range| range.dim.as_str()).collect();
        format!("one cell takes an index of each of the dimensions {:?}, got {named:?}", dims.unwrap_or_default())
    }
}
