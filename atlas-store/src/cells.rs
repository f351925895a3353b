//! Cells in memory: what is written, and what a read gives.

mod var;

pub use var::VarCells;

use crate::dtype::{DType, Physical};
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use std::borrow::Cow;

/// An N-dimensional array in memory, in row-major (C) order.
///
/// # Shape
/// `shape` has one entry per dimension; rank 0 is one cell.
#[derive(Debug, Clone, PartialEq)]
pub struct ArrayData {
    dtype: DType,
    shape: Vec<u64>,
    cells: Cells,
}

/// The cells of an [`ArrayData`], by physical type.
///
/// `bool` cells are `U8` (0 or 1); timestamps are `I64` (nanoseconds since the epoch).
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the variants are their own description")]
pub enum Cells {
    I8(Vec<i8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    U64(Vec<u64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Var(VarCells),
}

/// A number that cells can be made of. Sealed: the ten physical number types.
pub trait Element:
    bytemuck::Pod + PartialEq + PartialOrd + Send + Sync + std::fmt::Debug + Default + private::Sealed + 'static
{
    /// The physical type.
    const PHYSICAL: Physical;
    /// Wraps cells of this type.
    fn wrap(cells: Vec<Self>) -> Cells;
    /// The cells, if they are of this type.
    fn unwrap(cells: &Cells) -> Option<&[Self]>;
    /// The cells, if they are of this type.
    fn unwrap_owned(cells: Cells) -> Option<Vec<Self>>;
    /// The cells, if they are of this type.
    fn unwrap_mut(cells: &mut Cells) -> Option<&mut Vec<Self>>;
    /// The scalar's value as this type, if it is of a dtype stored as this type.
    fn from_scalar(scalar: &Scalar) -> Option<Self>;
    /// This value as a scalar of a dtype that is stored as this type.
    fn into_scalar(self, dtype: DType) -> Scalar;
    /// Whether this is not-a-number.
    fn is_nan(self) -> bool;
    /// As a float, for sums and means.
    fn to_f64(self) -> f64;
    /// As a 128-bit integer (floats: 0), for exact sums.
    fn to_i128(self) -> i128;
}

mod private {
    pub trait Sealed {}
}

macro_rules! element {
    ($type:ty, $variant:ident, $is_nan:expr, $to_i128:expr, $from:expr, $into:expr) => {
        impl private::Sealed for $type {}
        impl Element for $type {
            const PHYSICAL: Physical = Physical::$variant;
            fn wrap(cells: Vec<Self>) -> Cells {
                Cells::$variant(cells)
            }
            fn unwrap(cells: &Cells) -> Option<&[Self]> {
                match cells {
                    Cells::$variant(cells) => Some(cells),
                    _ => None,
                }
            }
            fn unwrap_owned(cells: Cells) -> Option<Vec<Self>> {
                match cells {
                    Cells::$variant(cells) => Some(cells),
                    _ => None,
                }
            }
            fn unwrap_mut(cells: &mut Cells) -> Option<&mut Vec<Self>> {
                match cells {
                    Cells::$variant(cells) => Some(cells),
                    _ => None,
                }
            }
            fn from_scalar(scalar: &Scalar) -> Option<Self> {
                let from: fn(&Scalar) -> Option<$type> = $from;
                from(scalar)
            }
            fn into_scalar(self, dtype: DType) -> Scalar {
                let into: fn($type, DType) -> Scalar = $into;
                into(self, dtype)
            }
            #[inline]
            fn is_nan(self) -> bool {
                let is_nan: fn($type) -> bool = $is_nan;
                is_nan(self)
            }
            #[inline]
            fn to_f64(self) -> f64 {
                self as f64
            }
            fn to_i128(self) -> i128 {
                let to_i128: fn($type) -> i128 = $to_i128;
                to_i128(self)
            }
        }
    };
}

fn signed<T: TryFrom<i64>>(scalar: &Scalar) -> Option<T> {
    match scalar {
        Scalar::Int(value) | Scalar::Timestamp(value) => T::try_from(*value).ok(),
        _ => None,
    }
}

fn unsigned<T: TryFrom<u64>>(scalar: &Scalar) -> Option<T> {
    match scalar {
        Scalar::UInt(value) => T::try_from(*value).ok(),
        Scalar::Bool(value) => T::try_from(u64::from(*value)).ok(),
        _ => None,
    }
}

element!(i8, I8, |_| false, i128::from, signed, |value, _| Scalar::Int(value.into()));
element!(i16, I16, |_| false, i128::from, signed, |value, _| Scalar::Int(value.into()));
element!(i32, I32, |_| false, i128::from, signed, |value, _| Scalar::Int(value.into()));
element!(i64, I64, |_| false, i128::from, signed, |value, dtype| match dtype {
    DType::TimestampNanoseconds => Scalar::Timestamp(value),
    _ => Scalar::Int(value),
});
element!(u8, U8, |_| false, i128::from, unsigned, |value, dtype| match dtype {
    DType::Bool => Scalar::Bool(value != 0),
    _ => Scalar::UInt(value.into()),
});
element!(u16, U16, |_| false, i128::from, unsigned, |value, _| Scalar::UInt(value.into()));
element!(u32, U32, |_| false, i128::from, unsigned, |value, _| Scalar::UInt(value.into()));
element!(u64, U64, |_| false, i128::from, unsigned, |value, _| Scalar::UInt(value));
element!(
    f32,
    F32,
    f32::is_nan,
    |_| 0,
    |scalar| match scalar {
        Scalar::Float32(value) => Some(*value),
        _ => None,
    },
    |value, _| Scalar::Float32(value)
);
element!(
    f64,
    F64,
    f64::is_nan,
    |_| 0,
    |scalar| match scalar {
        Scalar::Float64(value) => Some(*value),
        _ => None,
    },
    |value, _| Scalar::Float64(value)
);

/// Runs `$body` with `$cell` as the machine type of `$physical`, or `$var` for byte strings.
#[macro_export]
macro_rules! with_physical {
    ($physical:expr, $cell:ident => $body:expr, var => $var:expr) => {
        match $physical {
            $crate::Physical::I8 => {
                type $cell = i8;
                $body
            }
            $crate::Physical::I16 => {
                type $cell = i16;
                $body
            }
            $crate::Physical::I32 => {
                type $cell = i32;
                $body
            }
            $crate::Physical::I64 => {
                type $cell = i64;
                $body
            }
            $crate::Physical::U8 => {
                type $cell = u8;
                $body
            }
            $crate::Physical::U16 => {
                type $cell = u16;
                $body
            }
            $crate::Physical::U32 => {
                type $cell = u32;
                $body
            }
            $crate::Physical::U64 => {
                type $cell = u64;
                $body
            }
            $crate::Physical::F32 => {
                type $cell = f32;
                $body
            }
            $crate::Physical::F64 => {
                type $cell = f64;
                $body
            }
            $crate::Physical::Var => $var,
        }
    };
}

impl Cells {
    /// How many cells there are.
    pub fn len(&self) -> usize {
        match self {
            Cells::I8(cells) => cells.len(),
            Cells::I16(cells) => cells.len(),
            Cells::I32(cells) => cells.len(),
            Cells::I64(cells) => cells.len(),
            Cells::U8(cells) => cells.len(),
            Cells::U16(cells) => cells.len(),
            Cells::U32(cells) => cells.len(),
            Cells::U64(cells) => cells.len(),
            Cells::F32(cells) => cells.len(),
            Cells::F64(cells) => cells.len(),
            Cells::Var(cells) => cells.len(),
        }
    }

    /// Whether there are no cells.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The physical type.
    pub fn physical(&self) -> Physical {
        match self {
            Cells::I8(_) => Physical::I8,
            Cells::I16(_) => Physical::I16,
            Cells::I32(_) => Physical::I32,
            Cells::I64(_) => Physical::I64,
            Cells::U8(_) => Physical::U8,
            Cells::U16(_) => Physical::U16,
            Cells::U32(_) => Physical::U32,
            Cells::U64(_) => Physical::U64,
            Cells::F32(_) => Physical::F32,
            Cells::F64(_) => Physical::F64,
            Cells::Var(_) => Physical::Var,
        }
    }

    /// The bytes of numbers, as they lie in memory; none of byte strings.
    pub fn as_bytes(&self) -> &[u8] {
        with_physical!(self.physical(), T => {
            T::unwrap(self).map(bytemuck::cast_slice).unwrap_or_default()
        }, var => &[])
    }

    /// Bytes in memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        match self {
            Cells::Var(cells) => cells.byte_len() + (cells.len() + 1) * size_of::<i64>(),
            other => other.byte_len(),
        }
    }

    /// Bytes of cells (byte strings: without their offsets).
    pub fn byte_len(&self) -> usize {
        match self {
            Cells::Var(cells) => cells.byte_len(),
            other => other.len() * other.physical().cell_bytes().unwrap_or(0),
        }
    }
}

impl<'data> From<&'data ArrayData> for Cow<'data, ArrayData> {
    fn from(data: &'data ArrayData) -> Self {
        Cow::Borrowed(data)
    }
}

impl From<ArrayData> for Cow<'_, ArrayData> {
    fn from(data: ArrayData) -> Self {
        Cow::Owned(data)
    }
}

impl ArrayData {
    /// Checks that `cells` are of `dtype` and as many as `shape` says.
    ///
    /// # Errors
    /// `InvalidArgument` where they are not, where a string is not UTF-8, or a bool is neither 0 nor 1.
    pub fn try_new(dtype: DType, shape: Vec<u64>, cells: Cells) -> Result<Self> {
        let expected = crate::region::cell_count(&shape)
            .ok_or_else(|| Error::invalid(format!("shape {shape:?} has more cells than fit in memory")))?;
        if cells.physical() != dtype.physical() {
            return Err(Error::invalid(format!("cells of type {:?} cannot be {dtype}", cells.physical())));
        }
        if cells.len() as u64 != expected {
            return Err(Error::invalid(format!("shape {shape:?} needs {expected} cells, got {}", cells.len())));
        }
        match (&cells, dtype) {
            (Cells::Var(texts), DType::String) => {
                if let Some(index) = texts.iter().position(|cell| std::str::from_utf8(cell).is_err()) {
                    return Err(Error::invalid(format!("string cell {index} is not valid UTF-8")));
                }
            }
            (Cells::U8(bools), DType::Bool) if bools.iter().any(|cell| *cell > 1) => {
                return Err(Error::invalid("a bool cell is neither 0 nor 1"));
            }
            _ => {}
        }
        Ok(ArrayData { dtype, shape, cells })
    }

    /// For cells that the store itself has checked.
    pub(crate) fn new_unchecked(dtype: DType, shape: Vec<u64>, cells: Cells) -> Self {
        ArrayData { dtype, shape, cells }
    }

    /// Strings of this shape.
    ///
    /// # Errors
    /// `InvalidArgument` where their number does not fit the shape.
    pub fn from_strings<T: AsRef<str>>(shape: Vec<u64>, cells: impl IntoIterator<Item = T>) -> Result<Self> {
        let packed = cells.into_iter().map(|cell| cell.as_ref().as_bytes().to_vec()).collect();
        Self::try_new(DType::String, shape, Cells::Var(packed))
    }

    /// Numbers of this shape, of the dtype that has the same name as `T`.
    ///
    /// # Errors
    /// `InvalidArgument` where their number does not fit the shape.
    pub fn from_numbers<T: Element>(shape: Vec<u64>, cells: Vec<T>) -> Result<Self> {
        let dtype = match T::PHYSICAL {
            Physical::I8 => DType::Int8,
            Physical::I16 => DType::Int16,
            Physical::I32 => DType::Int32,
            Physical::I64 => DType::Int64,
            Physical::U8 => DType::UInt8,
            Physical::U16 => DType::UInt16,
            Physical::U32 => DType::UInt32,
            Physical::U64 => DType::UInt64,
            Physical::F32 => DType::Float32,
            Physical::F64 | Physical::Var => DType::Float64,
        };
        Self::try_new(dtype, shape, T::wrap(cells))
    }

    /// The dtype.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// One extent per dimension.
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// The cells in row-major order.
    pub fn cells(&self) -> &Cells {
        &self.cells
    }

    /// The cells, without a copy.
    pub fn into_cells(self) -> Cells {
        self.cells
    }

    /// The cells as `T`, if that is their physical type.
    pub fn as_numbers<T: Element>(&self) -> Option<&[T]> {
        T::unwrap(&self.cells)
    }

    /// Cell `index` (row-major) as a scalar.
    pub fn scalar(&self, index: usize) -> Option<Scalar> {
        if index >= self.cells.len() {
            return None;
        }
        Some(with_physical!(self.dtype.physical(), T => {
            T::unwrap(&self.cells)?[index].into_scalar(self.dtype)
        }, var => match &self.cells {
            Cells::Var(cells) => Scalar::from_bytes(self.dtype, cells.get(index)),
            _ => return None,
        }))
    }
}
