//! `_FillValue` and `missing_value`: which stored cells stand for nothing.

use super::integer;
use super::scale::Sign;
use crate::source::{Attributes, Number};
use atlas_store::{DType, Element, Scalar};

/// The stored values that stand for nothing, the `_FillValue` first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mask {
    values: Vec<Scalar>,
    only_nan: bool,
}

impl Mask {
    /// The mask of a variable whose cells, once their sign is settled, are of `dtype`.
    pub(crate) fn of(attributes: Attributes<'_>, dtype: DType, sign: Sign) -> Self {
        let mut stated = attributes.numbers("_FillValue");
        stated.extend(attributes.numbers("missing_value"));
        let only_nan = !stated.is_empty() && stated.iter().all(|number| number.is_nan());
        let mut values = Vec::new();
        for number in stated {
            if let Some(value) = cell(number, dtype, sign)
                && !values.contains(&value)
            {
                values.push(value);
            }
        }
        Mask { values, only_nan }
    }

    /// Whether no cell of any value stands for nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Whether the file names fill values, and all of them are NaN.
    pub(crate) fn only_nan(&self) -> bool {
        self.only_nan
    }

    /// The one that an array of this type can have as its fill value.
    pub(crate) fn fill(&self, dtype: DType) -> Option<Scalar> {
        self.values.first().filter(|value| value.fits(dtype)).cloned()
    }

    /// The values as cells.
    pub(crate) fn cells<T: Element>(&self) -> Vec<T> {
        self.values.iter().filter_map(T::from_scalar).collect()
    }
}

/// The number as a cell of `dtype`: `None` where no cell can be equal to it.
fn cell(number: Number, dtype: DType, sign: Sign) -> Option<Scalar> {
    #[allow(clippy::cast_possible_truncation, reason = "a fill value is compared in the variable's own precision")]
    match dtype {
        DType::Float32 => Some(Scalar::Float32(match number {
            Number::F32(value) => value,
            number => number.to_f64() as f32,
        })),
        DType::Float64 => Some(Scalar::Float64(number.to_f64())),
        _ => {
            let value = integer(number)?;
            let bits = dtype.physical().cell_bytes()? as u32 * 8;
            // With `_Unsigned`, the attribute may be written with the sign that the cells are stored with.
            let value = match sign {
                Sign::Unsigned if value < 0 => value + (1i128 << bits),
                Sign::Signed if value >= 1i128 << (bits - 1) => value - (1i128 << bits),
                _ => value,
            };
            let scalar = match dtype {
                DType::UInt8 | DType::UInt16 | DType::UInt32 | DType::UInt64 => {
                    Scalar::UInt(u64::try_from(value).ok()?)
                }
                _ => Scalar::Int(i64::try_from(value).ok()?),
            };
            scalar.fits(dtype).then_some(scalar)
        }
    }
}
