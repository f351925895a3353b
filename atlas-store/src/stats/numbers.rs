//! One pass over numbers that the compiler can make vector instructions of: nothing branches on a cell, and neighbouring
//! cells go to accumulators of their own.

use crate::cells::Element;
use crate::dtype::Physical;

const LANES: usize = 16;
/// Cells after which the counts of the lanes, and sums of short integers, are added up: none can overflow until then.
pub(super) const BLOCK_CELLS: usize = 1 << 16;

/// What a pass found.
pub(super) struct Reduced<T> {
    pub(super) nulls: u64,
    pub(super) nans: u64,
    /// The smallest and the largest of the cells that are neither.
    pub(super) bounds: Option<(T, T)>,
    /// Their sums: one of them, by the type.
    pub(super) float_sum: f64,
    pub(super) int_sum: i128,
}

/// Of `cells`, where a cell that is both null and NaN is null.
#[inline(always)]
pub(super) fn reduce<T: Element>(
    cells: &[T],
    is_null: impl Fn(T) -> bool + Copy,
    is_nan: impl Fn(T) -> bool + Copy,
) -> Reduced<T> {
    let count = |is: &dyn Fn(T) -> bool| cells.iter().filter(|cell| is(**cell)).count() as u64;
    let is_valid = move |cell| !(is_null(cell) | is_nan(cell));
    // Lanes begin with it, and it stands in for cells that do not count.
    let Some(valid) = cells.iter().copied().find(|cell| is_valid(*cell)) else {
        let nulls = count(&is_null);
        let nans = cells.len() as u64 - nulls;
        return Reduced { nulls, nans, bounds: None, float_sum: 0.0, int_sum: 0 };
    };
    let is_float = matches!(T::PHYSICAL, Physical::F32 | Physical::F64);
    let is_wide = !is_float && size_of::<T>() == 8;
    let (mut low, mut high) = ([valid; LANES], [valid; LANES]);
    let mut float_sums = [0f64; LANES];
    let (mut nulls, mut nans, mut int_sum) = (0u64, 0u64, 0i128);
    for block in cells.chunks(BLOCK_CELLS) {
        let (mut block_nulls, mut block_nans, mut block_sums) = ([0u32; LANES], [0u32; LANES], [0i64; LANES]);
        let mut add = |lane: usize, cell: T| {
            let is_null = is_null(cell);
            let is_nan = is_nan(cell) & !is_null;
            let is_valid = !(is_null | is_nan);
            block_nulls[lane] += u32::from(is_null);
            block_nans[lane] += u32::from(is_nan);
            let bound = if is_valid { cell } else { valid };
            low[lane] = if bound < low[lane] { bound } else { low[lane] };
            high[lane] = if bound > high[lane] { bound } else { high[lane] };
            if is_float {
                float_sums[lane] += if is_valid { cell.to_f64() } else { 0.0 };
            } else if is_wide {
                int_sum += if is_valid { cell.to_i128() } else { 0 };
            } else {
                #[allow(clippy::cast_possible_truncation, reason = "an integer of at most 32 bits")]
                let cell = cell.to_i128() as i64;
                block_sums[lane] += if is_valid { cell } else { 0 };
            }
        };
        let (groups, rest) = block.as_chunks::<LANES>();
        for group in groups {
            for (lane, cell) in group.iter().enumerate() {
                add(lane, *cell);
            }
        }
        for (lane, cell) in rest.iter().enumerate() {
            add(lane, *cell);
        }
        nulls += block_nulls.iter().map(|count| u64::from(*count)).sum::<u64>();
        nans += block_nans.iter().map(|count| u64::from(*count)).sum::<u64>();
        int_sum += block_sums.iter().map(|sum| i128::from(*sum)).sum::<i128>();
    }
    let low = low.into_iter().fold(valid, |low, cell| if cell < low { cell } else { low });
    let high = high.into_iter().fold(valid, |high, cell| if cell > high { cell } else { high });
    Reduced { nulls, nans, bounds: Some((low, high)), float_sum: float_sums.iter().sum(), int_sum }
}
