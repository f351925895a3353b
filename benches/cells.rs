//! Cells that look like measurements.

use atlas_store::{Cells, DType};
use std::ops::Range;

/// A number without a pattern.
pub fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ number >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    number ^ number >> 31
}

/// The dtypes that the benches of codecs go through.
pub const DTYPES: [DType; 7] =
    [DType::Int16, DType::Int32, DType::Int64, DType::Float32, DType::Float64, DType::Bool, DType::String];

/// The cells of arrays of this shape, one array after another: those with these numbers, of which none is like another.
///
/// Temperatures with three decimals, smooth along rows and columns, with noise of a degree; `Bool` is where it is warm.
///
/// # Panics
/// For a dtype that is not one of [`DTYPES`].
pub fn measured(dtype: DType, [rows, columns]: [u64; 2], numbers: Range<u64>) -> Cells {
    let cells = numbers.start * rows * columns..numbers.end * rows * columns;
    let degrees = cells.map(|at| {
        let (row, column) = ((at / columns % rows) as f64, (at % columns) as f64);
        let noise = (mixed(at) >> 54) as f64 / 1024.0;
        20.0 - row * 0.3 + (column / 24.0).sin() + noise
    });
    let thousandths = degrees.map(|degrees| (degrees * 1000.0).round());
    match dtype {
        DType::Int16 => Cells::I16(thousandths.map(|value| value as i16).collect()),
        DType::Int32 => Cells::I32(thousandths.map(|value| value as i32).collect()),
        DType::Int64 => Cells::I64(thousandths.map(|value| value as i64).collect()),
        DType::Float32 => Cells::F32(thousandths.map(|value| value as f32 / 1000.0).collect()),
        DType::Float64 => Cells::F64(thousandths.map(|value| value / 1000.0).collect()),
        DType::Bool => Cells::U8(thousandths.map(|value| u8::from(value > 15_000.0)).collect()),
        DType::String => Cells::Var(thousandths.map(|value| format!("{:.1} degrees", value / 1000.0)).collect()),
        other => panic!("no bench measures cells of {other:?}"),
    }
}
