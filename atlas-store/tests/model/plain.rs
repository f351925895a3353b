//! A store as plain values: what the real one is compared with.

use crate::values;
use atlas_store::{ArraySchema, Attribute, DType, ErrorKind, Scalar, Statistics, Sum};
use std::collections::BTreeMap;

/// One state of a store.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    /// In insertion order.
    pub(crate) datasets: Vec<(String, Dataset)>,
    /// The last dtypes of array names, also where no dataset has the array any more: those bind nobody.
    pub(crate) families: BTreeMap<String, DType>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Dataset {
    pub(crate) attributes: BTreeMap<String, Attribute>,
    pub(crate) arrays: BTreeMap<String, Array>,
}

#[derive(Debug, Clone)]
pub(crate) struct Array {
    pub(crate) schema: ArraySchema,
    pub(crate) cells: Vec<Scalar>,
}

type Outcome<T = ()> = Result<T, ErrorKind>;

impl Model {
    pub(crate) fn dataset(&mut self, name: &str) -> Outcome<&mut Dataset> {
        let found = self.datasets.iter_mut().find(|(other, _)| other == name);
        found.map(|(_, dataset)| dataset).ok_or(ErrorKind::NotFound)
    }

    pub(crate) fn array(&mut self, dataset: &str, array: &str) -> Outcome<&mut Array> {
        self.dataset(dataset)?.arrays.get_mut(array).ok_or(ErrorKind::NotFound)
    }

    pub(crate) fn create_dataset(&mut self, name: &str) -> Outcome {
        if self.dataset(name).is_ok() {
            return Err(ErrorKind::AlreadyExists);
        }
        self.datasets.push((name.into(), Dataset::default()));
        Ok(())
    }

    pub(crate) fn delete_dataset(&mut self, name: &str) -> Outcome {
        self.dataset(name)?;
        self.datasets.retain(|(other, _)| other != name);
        Ok(())
    }

    pub(crate) fn define_array(&mut self, dataset: &str, array: &str, schema: &ArraySchema) -> Outcome {
        self.dataset(dataset)?;
        if self.array(dataset, array).is_ok() {
            return Err(ErrorKind::AlreadyExists);
        }
        let bound = self.families.get(array).filter(|_| self.is_held(array));
        if bound.is_some_and(|dtype| *dtype != schema.dtype) {
            return Err(ErrorKind::DtypeMismatch);
        }
        let cell = schema.fill_value.clone().unwrap_or_else(|| values::zero(schema.dtype));
        let cells = vec![cell; schema.cell_count() as usize];
        self.families.insert(array.into(), schema.dtype);
        self.dataset(dataset)?.arrays.insert(array.into(), Array { schema: schema.clone(), cells });
        Ok(())
    }

    pub(crate) fn delete_array(&mut self, dataset: &str, array: &str) -> Outcome {
        self.dataset(dataset)?.arrays.remove(array).map(drop).ok_or(ErrorKind::NotFound)
    }

    /// What a compaction forgets: array names that no dataset has.
    pub(crate) fn compact(&mut self) {
        let held: Vec<String> = self.families.keys().filter(|array| self.is_held(array)).cloned().collect();
        self.families.retain(|array, _| held.contains(array));
    }

    /// Whether any dataset has this array.
    pub(crate) fn is_held(&self, array: &str) -> bool {
        self.datasets.iter().any(|(_, dataset)| dataset.arrays.contains_key(array))
    }
}

/// The cells of a box in an array of this shape, as row-major positions.
pub(crate) fn positions(shape: &[u64], start: &[u64], extent: &[u64]) -> Vec<usize> {
    let mut found = vec![0u64];
    for dim in 0..shape.len() {
        let steps = start[dim]..start[dim] + extent[dim];
        found = found.iter().flat_map(|at| steps.clone().map(move |step| at * shape[dim] + step)).collect();
    }
    found.into_iter().map(|at| at as usize).collect()
}

impl Array {
    pub(crate) fn write(&mut self, start: &[u64], extent: &[u64], cells: &[Scalar]) {
        for (at, cell) in positions(&self.schema.shape, start, extent).into_iter().zip(cells) {
            self.cells[at] = cell.clone();
        }
    }

    pub(crate) fn read(&self, start: &[u64], extent: &[u64]) -> Vec<Scalar> {
        positions(&self.schema.shape, start, extent).into_iter().map(|at| self.cells[at].clone()).collect()
    }

    fn is_null(&self, cell: &Scalar) -> bool {
        match (cell, &self.schema.fill_value) {
            // Zeros of both signs are equal; NaN equals the same bits.
            (Scalar::Float32(cell), Some(Scalar::Float32(fill))) if !fill.is_nan() => cell == fill,
            (Scalar::Float64(cell), Some(Scalar::Float64(fill))) if !fill.is_nan() => cell == fill,
            (cell, fill) => Some(cell) == fill.as_ref(),
        }
    }

    /// Compares statistics with the cells, counted one by one.
    pub(crate) fn check_statistics(&self, found: &Statistics) {
        let is_nan = |cell: &&Scalar| match cell {
            Scalar::Float32(value) => value.is_nan(),
            Scalar::Float64(value) => value.is_nan(),
            Scalar::Timestamp(value) => *value == i64::MIN,
            _ => false,
        };
        let present: Vec<&Scalar> = self.cells.iter().filter(|cell| !self.is_null(cell)).collect();
        let (nan, mut valid): (Vec<&Scalar>, Vec<&Scalar>) = present.iter().partition(|cell| is_nan(cell));
        assert_eq!(found.row_count, self.cells.len() as u64, "row_count");
        assert_eq!(found.null_count, (self.cells.len() - present.len()) as u64, "null_count");
        assert_eq!(found.nan_count, nan.len() as u64, "nan_count");
        valid.sort_by(|a, b| order(a, b));
        let is_long = valid.iter().any(|cell| cell.as_bytes().is_some_and(|bytes| bytes.len() > 64));
        assert!(is_long || (found.min_exact && found.max_exact), "inexact without a reason: {found:?}");
        match (&found.min, valid.first()) {
            (Some(min), Some(expected)) if found.min_exact => assert!(order(min, expected).is_eq(), "{min} {expected}"),
            (Some(min), Some(expected)) => assert!(order(min, expected).is_lt(), "{min} {expected}"),
            (min, expected) => assert_eq!(min.as_ref(), expected.copied(), "min"),
        }
        match (&found.max, valid.last()) {
            (Some(max), Some(expected)) if found.max_exact => assert!(order(max, expected).is_eq(), "{max} {expected}"),
            (Some(max), Some(expected)) => assert!(order(max, expected).is_gt(), "{max} {expected}"),
            (None, Some(_)) => assert!(!found.max_exact, "max"),
            (max, expected) => assert_eq!(max.as_ref(), expected.copied(), "max"),
        }
        self.check_sum(found.sum, &valid);
    }

    fn check_sum(&self, found: Option<Sum>, valid: &[&Scalar]) {
        match self.schema.dtype {
            DType::TimestampNanoseconds | DType::String | DType::Binary => assert_eq!(found, None, "sum"),
            dtype if dtype.is_float() => {
                let floats: Vec<f64> = valid.iter().filter_map(|cell| cell.as_f64()).collect();
                let (sum, size) = (floats.iter().sum::<f64>(), floats.iter().map(|value| value.abs()).sum::<f64>());
                let Some(Sum::Float(found)) = found else { panic!("{found:?}") };
                let is_close = if sum.is_finite() {
                    (found - sum).abs() <= size * 1e-12
                } else {
                    found == sum || (found.is_nan() && sum.is_nan())
                };
                assert!(is_close, "sum {found}, expected {sum}");
            }
            _ => {
                let int = |cell: &&Scalar| match cell {
                    Scalar::Bool(value) => i128::from(*value),
                    Scalar::Int(value) => i128::from(*value),
                    Scalar::UInt(value) => i128::from(*value),
                    _ => panic!("{cell:?}"),
                };
                let sum: i128 = valid.iter().map(int).sum();
                match found {
                    Some(Sum::Int(found)) => assert_eq!(i128::from(found), sum, "sum"),
                    // A part of the cells passed an i64.
                    None => assert!(valid.iter().map(|cell| int(cell).abs()).sum::<i128>() > i128::from(i64::MAX)),
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}

/// The order that minima and maxima are in. Zeros of both signs are equal.
fn order(a: &Scalar, b: &Scalar) -> std::cmp::Ordering {
    match (a, b) {
        (Scalar::Bool(a), Scalar::Bool(b)) => a.cmp(b),
        (Scalar::Int(a), Scalar::Int(b)) | (Scalar::Timestamp(a), Scalar::Timestamp(b)) => a.cmp(b),
        (Scalar::UInt(a), Scalar::UInt(b)) => a.cmp(b),
        (Scalar::Float32(a), Scalar::Float32(b)) => a.partial_cmp(b).unwrap(),
        (Scalar::Float64(a), Scalar::Float64(b)) => a.partial_cmp(b).unwrap(),
        (a, b) => a.as_bytes().unwrap().cmp(b.as_bytes().unwrap()),
    }
}
