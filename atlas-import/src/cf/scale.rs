//! `_Unsigned`, `scale_factor` and `add_offset`: stored integers as numbers.

use super::mask::Mask;
use crate::source::{Attributes, Number};
use atlas_store::{Cells, DType, Element, Scalar};

/// What `_Unsigned` says of stored integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    AsStored,
    Unsigned,
    Signed,
}

impl Sign {
    /// The sign, and the type of the cells once it is applied.
    pub(crate) fn of(attributes: Attributes<'_>, stored: DType) -> (Self, DType) {
        match (attributes.text("_Unsigned"), stored) {
            (Some("true"), DType::Int8) => (Sign::Unsigned, DType::UInt8),
            (Some("true"), DType::Int16) => (Sign::Unsigned, DType::UInt16),
            (Some("true"), DType::Int32) => (Sign::Unsigned, DType::UInt32),
            (Some("true"), DType::Int64) => (Sign::Unsigned, DType::UInt64),
            (Some("false"), DType::UInt8) => (Sign::Signed, DType::Int8),
            (Some("false"), DType::UInt16) => (Sign::Signed, DType::Int16),
            (Some("false"), DType::UInt32) => (Sign::Signed, DType::Int32),
            (Some("false"), DType::UInt64) => (Sign::Signed, DType::Int64),
            _ => (Sign::AsStored, stored),
        }
    }

    /// The cells with this sign: the same bits.
    pub(crate) fn apply(self, cells: Cells) -> Cells {
        match (self, cells) {
            (Sign::Unsigned, Cells::I8(cells)) => Cells::U8(cells.into_iter().map(i8::cast_unsigned).collect()),
            (Sign::Unsigned, Cells::I16(cells)) => Cells::U16(cells.into_iter().map(i16::cast_unsigned).collect()),
            (Sign::Unsigned, Cells::I32(cells)) => Cells::U32(cells.into_iter().map(i32::cast_unsigned).collect()),
            (Sign::Unsigned, Cells::I64(cells)) => Cells::U64(cells.into_iter().map(i64::cast_unsigned).collect()),
            (Sign::Signed, Cells::U8(cells)) => Cells::I8(cells.into_iter().map(u8::cast_signed).collect()),
            (Sign::Signed, Cells::U16(cells)) => Cells::I16(cells.into_iter().map(u16::cast_signed).collect()),
            (Sign::Signed, Cells::U32(cells)) => Cells::I32(cells.into_iter().map(u32::cast_signed).collect()),
            (Sign::Signed, Cells::U64(cells)) => Cells::I64(cells.into_iter().map(u64::cast_signed).collect()),
            (_, cells) => cells,
        }
    }
}

/// The precision of decoded floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    F32,
    F64,
}

impl Width {
    pub(crate) fn dtype(self) -> DType {
        match self {
            Width::F32 => DType::Float32,
            Width::F64 => DType::Float64,
        }
    }

    pub(crate) fn nan(self) -> Scalar {
        match self {
            Width::F32 => Scalar::Float32(f32::NAN),
            Width::F64 => Scalar::Float64(f64::NAN),
        }
    }
}

/// A factor or offset: one number, a reason why it cannot be applied, or nothing.
pub(super) fn factor(attributes: Attributes<'_>, name: &str) -> Result<Option<Number>, String> {
    if !attributes.has(name) {
        return Ok(None);
    }
    match attributes.numbers(name).as_slice() {
        [number] => Ok(Some(*number)),
        _ => Err(format!("{name} is {}, not one number, and is not applied", attributes.kind(name))),
    }
}

/// The precision of a variable's floats; `None` where it stays integer.
///
/// # Source
/// `_choose_float_dtype` of xarray's `coding/variables.py`: the precision that factor and offset agree on, except for
/// 4-byte integers; double precision with an offset that does not agree; else that of the factor. A factor that is
/// an integer makes double precision here (xarray would keep integers). Floats whose fill values are all NaN keep
/// their precision, unless they are times.
pub(super) fn width(
    dtype: DType,
    scale: Option<Number>,
    offset: Option<Number>,
    is_time: bool,
    only_nan: bool,
) -> Option<Width> {
    let of_factor = |number: Number| match number {
        Number::F32(_) => Width::F32,
        Number::F64(_) | Number::Int(_) => Width::F64,
    };
    let own = match dtype {
        DType::Float32 => Some(Width::F32),
        DType::Float64 => Some(Width::F64),
        _ => None,
    };
    if own.is_some() && only_nan && !is_time {
        return own;
    }
    match (scale, offset) {
        (None, None) => own,
        (Some(Number::F32(_)), Some(Number::F32(_))) if !matches!(dtype, DType::Int32 | DType::UInt32) => {
            Some(Width::F32)
        }
        (_, Some(_)) => Some(Width::F64),
        (Some(scale), None) => Some(of_factor(scale)),
    }
}

/// How stored numbers become floats.
#[derive(Debug, Clone)]
pub(crate) struct Floats {
    pub(crate) sign: Sign,
    pub(crate) mask: Mask,
    pub(crate) scale: Option<Number>,
    pub(crate) offset: Option<Number>,
    pub(crate) width: Width,
}

impl Floats {
    /// The floats, of this width.
    pub(crate) fn decode(&self, cells: Cells) -> Result<Cells, String> {
        each_number!(
            self.sign.apply(cells),
            cells => Ok(self.of(&cells)),
            var => Err("strings cannot be scaled".into())
        )
    }

    fn of<T: Element>(&self, cells: &[T]) -> Cells {
        let mask = self.mask.cells::<T>();
        let (scale, offset) = (self.scale.map(Number::to_f64), self.offset.map(Number::to_f64));
        let is_nothing = |cell: T| cell.is_nan() || mask.contains(&cell);
        match self.width {
            Width::F64 => Cells::F64(
                cells
                    .iter()
                    .map(|&cell| {
                        if is_nothing(cell) {
                            return f64::NAN;
                        }
                        let mut value = cell.to_f64();
                        value = scale.map_or(value, |scale| value * scale);
                        value = offset.map_or(value, |offset| value + offset);
                        if value.is_nan() { f64::NAN } else { value }
                    })
                    .collect(),
            ),
            // Each step is computed in double precision and rounded: for factors in single precision that is the same as
            // computing in single precision, for others it is what numpy does.
            #[allow(clippy::cast_possible_truncation, reason = "rounding to single precision is what is asked for")]
            Width::F32 => Cells::F32(
                cells
                    .iter()
                    .map(|&cell| {
                        if is_nothing(cell) {
                            return f32::NAN;
                        }
                        let mut value = cell.to_f64() as f32;
                        value = scale.map_or(value, |scale| (f64::from(value) * scale) as f32);
                        value = offset.map_or(value, |offset| (f64::from(value) + offset) as f32);
                        if value.is_nan() { f32::NAN } else { value }
                    })
                    .collect(),
            ),
        }
    }
}
