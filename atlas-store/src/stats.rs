//! Statistics of cells: of a chunk (a zone map) and of an array.

mod numbers;

use crate::cells::{ArrayData, Cells, Element, VarCells};
use crate::dtype::DType;
use crate::scalar::Scalar;
use crate::with_physical;
use numbers::{Reduced, reduce};

/// The longest string or binary minimum or maximum that is kept whole; longer ones are cut and marked inexact.
pub const MAX_BOUND_BYTES: usize = 64;

/// What is known about the cells of an array or a chunk without reading them.
///
/// # Missing
/// A cell is null where it equals the array's fill value: the same bits for NaN, `==` for other numbers. `min`, `max`
/// and `sum` leave out nulls and NaN; timestamps leave out not-a-time too. They are `None` where no cell is left.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// Cells in all.
    pub row_count: u64,
    /// Cells equal to the fill value; 0 without one.
    pub null_count: u64,
    /// NaN cells (timestamps: not-a-time) that are not null.
    pub nan_count: u64,
    /// The smallest cell; strings and binary in byte order.
    pub min: Option<Scalar>,
    /// The largest cell.
    pub max: Option<Scalar>,
    /// Whether `min` is a cell; if not it is a lower bound (the prefix of a long string).
    pub min_exact: bool,
    /// Whether `max` is a cell; if not it is an upper bound.
    pub max_exact: bool,
    /// The sum of numbers (bool: of ones). `None` for times, text, binary, and integer sums that pass an `i64`.
    pub sum: Option<Sum>,
}

/// A sum of cells.
#[derive(Debug, Clone, Copy)]
pub enum Sum {
    /// Of integers: exact.
    Int(i64),
    /// Of floats: added as `f64`.
    Float(f64),
}

/// Equal means the same kind and the same bits. The sum of +∞ and -∞ is NaN, of a sign that depends on the processor: it
/// equals any other NaN.
impl PartialEq for Sum {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Sum::Int(a), Sum::Int(b)) => a == b,
            (Sum::Float(a), Sum::Float(b)) => a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(),
            _ => false,
        }
    }
}

impl Sum {
    /// As a float.
    pub fn as_f64(self) -> f64 {
        match self {
            Sum::Int(sum) => sum as f64,
            Sum::Float(sum) => sum,
        }
    }
}

impl Statistics {
    /// The mean of the cells that are neither null nor NaN; `None` where there are none, or no sum.
    pub fn mean(&self) -> Option<f64> {
        let count = self.valid_count();
        (count > 0).then(|| self.sum.map(|sum| sum.as_f64() / count as f64)).flatten()
    }

    /// Cells that are neither null nor NaN.
    pub fn valid_count(&self) -> u64 {
        self.row_count - self.null_count.min(self.row_count) - self.nan_count.min(self.row_count)
    }

    /// The statistics of no cells.
    pub fn empty(dtype: DType) -> Self {
        let sum = match dtype {
            DType::TimestampNanoseconds | DType::String | DType::Binary => None,
            DType::Float32 | DType::Float64 => Some(Sum::Float(0.0)),
            _ => Some(Sum::Int(0)),
        };
        Statistics {
            row_count: 0,
            null_count: 0,
            nan_count: 0,
            min: None,
            max: None,
            min_exact: true,
            max_exact: true,
            sum,
        }
    }

    /// The statistics of `cells`, against this fill value.
    ///
    /// # Cost
    /// One pass over the cells.
    pub fn of(data: &ArrayData, fill: Option<&Scalar>) -> Self {
        Self::of_cells(data.dtype(), data.cells(), fill)
    }

    pub(crate) fn of_cells(dtype: DType, cells: &Cells, fill: Option<&Scalar>) -> Self {
        with_physical!(dtype.physical(), T => match T::unwrap(cells) {
            Some(cells) => of_numbers::<T>(dtype, cells, fill),
            None => Self::empty(dtype),
        }, var => match cells {
            Cells::Var(cells) => of_bytes(dtype, cells, fill),
            _ => Self::empty(dtype),
        })
    }

    /// The statistics of `count` cells that were never written: they hold the fill value, or zero without one.
    pub(crate) fn of_unwritten(dtype: DType, fill: Option<&Scalar>, count: u64) -> Self {
        let one = with_physical!(dtype.physical(), T => {
            of_numbers::<T>(dtype, &[fill.and_then(T::from_scalar).unwrap_or_default()], fill)
        }, var => of_bytes(dtype, &VarCells::from_iter([fill.and_then(Scalar::as_bytes).unwrap_or_default()]), fill));
        if count == 0 {
            return Self::empty(dtype);
        }
        Statistics {
            row_count: count,
            null_count: one.null_count * count,
            nan_count: one.nan_count * count,
            sum: one.sum.and_then(|sum| match sum {
                Sum::Int(sum) => i64::try_from(count).ok().and_then(|count| sum.checked_mul(count)).map(Sum::Int),
                Sum::Float(sum) => Some(Sum::Float(sum * count as f64)),
            }),
            ..one
        }
    }

    /// Adds the cells that `other` describes.
    pub(crate) fn merge(&mut self, other: &Statistics) {
        self.row_count += other.row_count;
        self.null_count += other.null_count;
        self.nan_count += other.nan_count;
        self.sum = match (self.sum, other.sum) {
            (Some(Sum::Int(a)), Some(Sum::Int(b))) => a.checked_add(b).map(Sum::Int),
            (Some(Sum::Float(a)), Some(Sum::Float(b))) => Some(Sum::Float(a + b)),
            _ => None,
        };
        // A maximum that is neither known nor exact has no upper bound: that is catching.
        let unbounded = |stats: &Statistics| stats.max.is_none() && !stats.max_exact;
        let is_unbounded = unbounded(self) || unbounded(other);
        if let Some(min) = &other.min
            && self.min.as_ref().is_none_or(|own| less(min, own) || (min == own && !self.min_exact))
        {
            self.min = Some(min.clone());
            self.min_exact = other.min_exact;
        }
        if let Some(max) = &other.max
            && self.max.as_ref().is_none_or(|own| less(own, max) || (max == own && !self.max_exact))
        {
            self.max = Some(max.clone());
            self.max_exact = other.max_exact;
        }
        if is_unbounded {
            (self.max, self.max_exact) = (None, false);
        }
    }
}

/// Order of two scalars of one dtype, NaN never among them.
fn less(a: &Scalar, b: &Scalar) -> bool {
    match (a, b) {
        (Scalar::Bool(a), Scalar::Bool(b)) => a < b,
        (Scalar::Int(a), Scalar::Int(b)) | (Scalar::Timestamp(a), Scalar::Timestamp(b)) => a < b,
        (Scalar::UInt(a), Scalar::UInt(b)) => a < b,
        (Scalar::Float32(a), Scalar::Float32(b)) => a < b,
        (Scalar::Float64(a), Scalar::Float64(b)) => a < b,
        _ => a.as_bytes() < b.as_bytes(),
    }
}

fn of_numbers<T: Element>(dtype: DType, cells: &[T], fill: Option<&Scalar>) -> Statistics {
    let fill = fill.and_then(T::from_scalar);
    let not_a_time =
        (dtype == DType::TimestampNanoseconds).then(|| T::from_scalar(&Scalar::Timestamp(i64::MIN))).flatten();
    let is_nan = |cell: T| cell.is_nan();
    let Reduced { nulls, nans, bounds, float_sum, int_sum } = match (fill, not_a_time) {
        (None, None) => reduce(cells, |_| false, is_nan),
        (Some(fill), None) if fill.is_nan() => {
            reduce(cells, |cell| bytemuck::bytes_of(&cell) == bytemuck::bytes_of(&fill), is_nan)
        }
        (Some(fill), None) => reduce(cells, |cell| cell == fill, is_nan),
        (None, Some(not_a_time)) => reduce(cells, |_| false, |cell| cell == not_a_time),
        (Some(fill), Some(not_a_time)) => reduce(cells, |cell| cell == fill, |cell| cell == not_a_time),
    };
    let sum = match dtype {
        DType::TimestampNanoseconds => None,
        _ if dtype.is_float() => Some(Sum::Float(float_sum)),
        _ => i64::try_from(int_sum).ok().map(Sum::Int),
    };
    Statistics {
        row_count: cells.len() as u64,
        null_count: nulls,
        nan_count: nans,
        min: bounds.map(|(low, _)| low.into_scalar(dtype)),
        max: bounds.map(|(_, high)| high.into_scalar(dtype)),
        min_exact: true,
        max_exact: true,
        sum,
    }
}

fn of_bytes(dtype: DType, cells: &VarCells, fill: Option<&Scalar>) -> Statistics {
    let fill = fill.and_then(Scalar::as_bytes);
    let mut nulls = 0u64;
    let mut bounds: Option<(&[u8], &[u8])> = None;
    for cell in cells.iter() {
        if fill == Some(cell) {
            nulls += 1;
        } else {
            bounds = Some(match bounds {
                None => (cell, cell),
                Some((low, high)) => (low.min(cell), high.max(cell)),
            });
        }
    }
    let mut stats = Statistics { row_count: cells.len() as u64, null_count: nulls, ..Statistics::empty(dtype) };
    if let Some((low, high)) = bounds {
        (stats.min, stats.min_exact) = lower_bound(dtype, low);
        (stats.max, stats.max_exact) = upper_bound(dtype, high);
    }
    stats
}

/// The largest place to cut at that is not past `MAX_BOUND_BYTES` and not inside a character.
fn cut(dtype: DType, bytes: &[u8]) -> usize {
    let mut end = MAX_BOUND_BYTES.min(bytes.len());
    while dtype == DType::String && end > 0 && end < bytes.len() && bytes[end] & 0xC0 == 0x80 {
        end -= 1;
    }
    end
}

fn lower_bound(dtype: DType, bytes: &[u8]) -> (Option<Scalar>, bool) {
    let end = cut(dtype, bytes);
    (Some(Scalar::from_bytes(dtype, &bytes[..end])), end == bytes.len())
}

/// A long maximum is cut and its last unit raised by one, so that it stays an upper bound.
fn upper_bound(dtype: DType, bytes: &[u8]) -> (Option<Scalar>, bool) {
    if bytes.len() <= MAX_BOUND_BYTES {
        return (Some(Scalar::from_bytes(dtype, bytes)), true);
    }
    let prefix = &bytes[..cut(dtype, bytes)];
    let raised = match dtype {
        DType::String => std::str::from_utf8(prefix).ok().and_then(|text| {
            let mut characters: Vec<char> = text.chars().collect();
            while let Some(last) = characters.pop() {
                let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
                if let Some(next) = next {
                    characters.push(next);
                    return Some(Scalar::String(characters.into_iter().collect::<String>().into()));
                }
            }
            None
        }),
        _ => {
            let mut bytes = prefix.to_vec();
            while bytes.last() == Some(&u8::MAX) {
                bytes.pop();
            }
            if let Some(last) = bytes.last_mut() {
                *last += 1;
            }
            (!bytes.is_empty()).then(|| Scalar::Binary(bytes.into()))
        }
    };
    (raised, false)
}

#[cfg(test)]
mod tests {
    use super::numbers::BLOCK_CELLS;
    use super::*;

    #[test]
    fn nan_fill_counts_as_null_and_other_nan_as_nan() {
        let odd = f32::from_bits(f32::NAN.to_bits() | 1);
        let data = ArrayData::from_numbers(vec![5], vec![1.5f32, f32::NAN, odd, -2.0, f32::INFINITY]).unwrap();
        let stats = Statistics::of(&data, Some(&Scalar::Float32(f32::NAN)));
        assert_eq!((stats.row_count, stats.null_count, stats.nan_count), (5, 1, 1));
        assert_eq!(stats.min, Some(Scalar::Float32(-2.0)));
        assert_eq!(stats.max, Some(Scalar::Float32(f32::INFINITY)));
    }

    #[test]
    fn long_strings_give_bounds() {
        let long = "ÿ".repeat(80);
        let data = ArrayData::from_strings(vec![2], [long.as_str(), &"b".repeat(100)]).unwrap();
        let stats = Statistics::of(&data, None);
        assert!(!stats.min_exact && !stats.max_exact);
        let (Some(Scalar::String(min)), Some(Scalar::String(max))) = (&stats.min, &stats.max) else { panic!() };
        assert!(**min <= *"b".repeat(100) && min.len() <= 64);
        assert!(**max >= *long && max.len() <= 66);
    }

    #[test]
    fn unwritten_cells_count_like_written_zeros() {
        let data = ArrayData::from_numbers(vec![3], vec![0i16; 3]).unwrap();
        assert_eq!(Statistics::of(&data, None), Statistics::of_unwritten(DType::Int16, None, 3));
    }

    #[test]
    fn integer_sums_are_exact_or_absent() {
        let data = ArrayData::from_numbers(vec![2], vec![i64::MAX, 1]).unwrap();
        assert_eq!(Statistics::of(&data, None).sum, None);
        let data = ArrayData::from_numbers(vec![2], vec![u64::from(u32::MAX); 2]).unwrap();
        assert_eq!(Statistics::of(&data, None).sum, Some(Sum::Int(2 * i64::from(u32::MAX))));
    }

    /// Cell by cell, as the documentation of [`Statistics`] says it.
    fn one_by_one(dtype: DType, cells: &[f32], fill: Option<f32>) -> Statistics {
        let mut stats = Statistics { row_count: cells.len() as u64, ..Statistics::empty(dtype) };
        let mut sum = 0f64;
        for &cell in cells {
            if fill.is_some_and(|fill| cell == fill || fill.is_nan() && cell.to_bits() == fill.to_bits()) {
                stats.null_count += 1;
            } else if cell.is_nan() {
                stats.nan_count += 1;
            } else {
                let lower = |min: &Scalar| less(&Scalar::Float32(cell), min);
                let higher = |max: &Scalar| less(max, &Scalar::Float32(cell));
                stats.min = stats.min.filter(|min| !lower(min)).or(Some(Scalar::Float32(cell)));
                stats.max = stats.max.filter(|max| !higher(max)).or(Some(Scalar::Float32(cell)));
                sum += f64::from(cell);
            }
        }
        Statistics { sum: Some(Sum::Float(sum)), ..stats }
    }

    #[test]
    fn a_pass_in_lanes_finds_what_a_pass_cell_by_cell_does() {
        let odd = f32::from_bits(f32::NAN.to_bits() | 5);
        let cell = |seed: usize| match seed.wrapping_mul(2_654_435_761) >> 7 & 15 {
            0 => f32::NAN,
            1 => odd,
            2 => 3.0,
            // Sums of these are exact in any order.
            other => (other as f32 - 8.0) * (seed % 1000) as f32,
        };
        for count in [0, 1, 15, 16, 17, 31, 33, 1000, BLOCK_CELLS - 1, BLOCK_CELLS + 18] {
            for skip in 0..20 {
                let cells: Vec<f32> = (skip..skip + count).map(cell).collect();
                for fill in [None, Some(3.0), Some(f32::NAN), Some(odd)] {
                    let found = of_numbers(DType::Float32, &cells, fill.map(Scalar::Float32).as_ref());
                    assert_eq!(found, one_by_one(DType::Float32, &cells, fill), "{count} cells from {skip}, {fill:?}");
                }
                if count > 1000 {
                    break;
                }
            }
        }
        // Where the bounds are, and what stands before and behind them, makes no difference.
        for at in 0..40 {
            let mut cells = vec![i64::MIN; 40];
            cells[at] = 7;
            let data = ArrayData::try_new(DType::TimestampNanoseconds, vec![40], Cells::I64(cells)).unwrap();
            let stats = Statistics::of(&data, None);
            assert_eq!((stats.nan_count, stats.min, stats.sum), (39, Some(Scalar::Timestamp(7)), None));
            assert_eq!(stats.max, Some(Scalar::Timestamp(7)));
        }
        let most = vec![i32::MAX; 3 * BLOCK_CELLS];
        let stats = Statistics::of(&ArrayData::from_numbers(vec![most.len() as u64], most).unwrap(), None);
        assert_eq!(stats.sum, Some(Sum::Int(3 * BLOCK_CELLS as i64 * i64::from(i32::MAX))));
    }
}
