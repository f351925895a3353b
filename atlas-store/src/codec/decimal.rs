//! Decimal numbers: floats that are an integer divided by a power of ten (what was rounded or read from text) or multiplied
//! by one (what was unpacked). The integers pack better than the floats, and faster.
//!
//! A block's header is the scale (a byte: the power's exponent, the top bit set where it multiplies), then what pco has for
//! the integers. A page is the `u32` number of its exceptions, those, and pco's page. An exception is a run of equal cells
//! that are no such number (NaN, infinite, −0, others): the `u32` number of the first in the page, a `u32` of how many they
//! are, and the cell. The integers there mean nothing; they are those of the cell before.

use crate::cells::Element;
use crate::dtype::Physical;

/// The largest exponent: up to here powers of ten are exact in both float types.
const MAX_EXPONENT: u8 = 10;
/// Says in a header that the integers are multiplied.
const MULTIPLIES: u8 = 1 << 7;
/// So many cells are looked at to find the scale of a block.
const SAMPLE_CELLS: usize = 512;
/// Of the sampled cells that could be decimal, so many percent have to be.
const MIN_FIT: usize = 95;
/// Adding it to a `f64` below 2⁵¹ rounds that to an integer, which the low bits then hold.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// How floats are made of integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scale {
    exponent: u8,
    multiplies: bool,
}

impl Scale {
    pub(super) fn code(self) -> u8 {
        self.exponent | if self.multiplies { MULTIPLIES } else { 0 }
    }

    pub(super) fn from_code(code: u8) -> Result<Self, String> {
        let scale = Scale { exponent: code & !MULTIPLIES, multiplies: code & MULTIPLIES != 0 };
        if scale.exponent <= MAX_EXPONENT { Ok(scale) } else { Err(format!("decimal: unknown scale {code}")) }
    }

    /// All of them; those that need fewer digits first, and those that divide before those that multiply.
    fn all() -> impl Iterator<Item = Scale> {
        let scale = |exponent| [false, true].map(|multiplies| Scale { exponent, multiplies });
        (0..=MAX_EXPONENT).flat_map(scale).filter(|scale| scale.exponent > 0 || !scale.multiplies)
    }
}

/// A float type, and the integer that is as wide.
pub(super) trait Decimal: Element {
    type Int: Element;
    /// Of integers up to this, few are those of a float by chance.
    const MAX_LIKELY: f64;
    /// 10^`exponent`.
    fn power(exponent: u8) -> Self;
    /// The number nearest to 10^−`exponent`.
    fn inverse(exponent: u8) -> Self;
    /// The nearest integer, where the product is below 2⁵¹ and the integer fits; any elsewhere.
    fn nearest(self, power: f64) -> Self::Int;
    fn divided(int: Self::Int, power: Self) -> Self;
    fn multiplied(int: Self::Int, factor: Self) -> Self;
    fn is_same(self, other: Self) -> bool;
    /// Whether it tells something of the scale: larger ones have every scale.
    fn is_likely(self, power: f64) -> bool {
        (self.to_f64() * power).abs() < Self::MAX_LIKELY
    }
}

macro_rules! decimal {
    ($float:ident, $int:ident, $max:literal, |$bits:ident| $nearest:expr) => {
        impl Decimal for $float {
            type Int = $int;
            const MAX_LIKELY: f64 = $max;
            fn power(exponent: u8) -> Self {
                const POWERS: [$float; 11] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10];
                POWERS[usize::from(exponent.min(MAX_EXPONENT))]
            }
            fn inverse(exponent: u8) -> Self {
                const INVERSES: [$float; 11] = [1e0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10];
                INVERSES[usize::from(exponent.min(MAX_EXPONENT))]
            }
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_possible_wrap,
                reason = "what does not fit is checked"
            )]
            fn nearest(self, power: f64) -> $int {
                let $bits = (f64::from(self) * power + ROUNDER).to_bits();
                $nearest
            }
            #[allow(clippy::cast_precision_loss, reason = "that is how the number is defined")]
            fn divided(int: $int, power: Self) -> Self {
                int as $float / power
            }
            #[allow(clippy::cast_precision_loss, reason = "that is how the number is defined")]
            fn multiplied(int: $int, factor: Self) -> Self {
                int as $float * factor
            }
            fn is_same(self, other: Self) -> bool {
                self.to_bits() == other.to_bits()
            }
        }
    };
}

// The low half of the rounder's bits is zero.
decimal!(f32, i32, 4_194_304.0, |bits| bits as u32 as i32);
decimal!(f64, i64, 1_125_899_906_842_624.0, |bits| bits.wrapping_sub(ROUNDER.to_bits()) as i64);

/// The scale that makes nearly all of these cells of integers; `None` where there is none.
///
/// Zeros have every scale, and tell nothing. A scale of more digits is taken where it leaves out a quarter of the cells that
/// one of fewer does, or less.
pub(super) fn find<F: Decimal>(cells: &[F]) -> Option<Scale> {
    let sample = cells.iter().step_by(cells.len().div_ceil(SAMPLE_CELLS).max(1));
    let sample: Vec<F> = sample.copied().filter(|cell| cell.to_f64() != 0.0).collect();
    let mut best: Option<(usize, Scale)> = None;
    for scale in Scale::all() {
        let power = F::power(scale.exponent).to_f64();
        let likely = || sample.iter().filter(|cell| cell.is_likely(power));
        let (count, fitting) = (likely().count(), likely().filter(|cell| fits(**cell, scale)).count());
        if count * 8 < sample.len() || fitting == 0 || fitting * 100 < count * MIN_FIT {
            continue;
        }
        let left_out = sample.len() - fitting;
        if best.is_none_or(|(least, _)| left_out * 4 <= least && left_out < least) {
            best = Some((left_out, scale));
        }
        if left_out == 0 {
            break;
        }
    }
    best.map(|(_, scale)| scale)
}

fn fits<F: Decimal>(cell: F, scale: Scale) -> bool {
    let int = cell.nearest(F::power(scale.exponent).to_f64());
    let made = match scale.multiplies {
        true => F::multiplied(int, F::inverse(scale.exponent)),
        false => F::divided(int, F::power(scale.exponent)),
    };
    made.is_same(cell)
}

/// The integers of a page, and the bytes of its exceptions. There are fewer than 2³² of these, as of a page's cells.
#[allow(clippy::cast_possible_truncation, reason = "a page holds at most MAX_PAGE_CELLS cells")]
pub(super) fn split<F: Decimal>(page: &[F], scale: Scale, ints: &mut [F::Int]) -> Vec<u8> {
    let power = F::power(scale.exponent).to_f64();
    let (divisor, factor) = (F::power(scale.exponent), F::inverse(scale.exponent));
    let mut is_whole = true;
    // Two loops without a branch each.
    if scale.multiplies {
        for (int, cell) in ints.iter_mut().zip(page) {
            *int = cell.nearest(power);
            is_whole &= F::multiplied(*int, factor).is_same(*cell);
        }
    } else {
        for (int, cell) in ints.iter_mut().zip(page) {
            *int = cell.nearest(power);
            is_whole &= F::divided(*int, divisor).is_same(*cell);
        }
    }
    let mut count = 0u32;
    let mut out = count.to_le_bytes().to_vec();
    if is_whole {
        return out;
    }
    let mut last =
        page.iter().zip(&*ints).find(|(cell, _)| fits(**cell, scale)).map_or_else(F::Int::default, |(_, int)| *int);
    let mut at = 0;
    while at < page.len() {
        let cell = page[at];
        if fits(cell, scale) {
            last = ints[at];
            at += 1;
            continue;
        }
        let run = page[at..].iter().take_while(|other| other.is_same(cell)).count();
        ints[at..at + run].fill(last);
        count += 1;
        out.extend_from_slice(&(at as u32).to_le_bytes());
        out.extend_from_slice(&(run as u32).to_le_bytes());
        out.extend_from_slice(bytemuck::bytes_of(&cell));
        at += run;
    }
    out[..4].copy_from_slice(&count.to_le_bytes());
    out
}

/// The exceptions of a page, and what is left of its bytes.
pub(super) fn exceptions<T: Element>(stored: &[u8]) -> Result<(&[u8], &[u8]), String> {
    let (count, rest) = stored.split_first_chunk::<4>().ok_or("decimal: page is too short")?;
    let bytes = u64::from(u32::from_le_bytes(*count)) * (8 + size_of::<T>() as u64);
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    rest.split_at_checked(bytes).ok_or_else(|| "decimal: the exceptions pass the end of their page".to_string())
}

/// Makes the integers in `cells` floats, in their place.
fn join_all<F: Decimal>(cells: &mut [F], scale: Scale) {
    let (divisor, factor) = (F::power(scale.exponent), F::inverse(scale.exponent));
    let int = |cell: F| bytemuck::cast::<F, F::Int>(cell);
    if scale.multiplies {
        cells.iter_mut().for_each(|cell| *cell = F::multiplied(int(*cell), factor));
    } else if scale.exponent > 0 {
        cells.iter_mut().for_each(|cell| *cell = F::divided(int(*cell), divisor));
    } else {
        // A divisor that is known: there is no division.
        cells.iter_mut().for_each(|cell| *cell = F::divided(int(*cell), F::power(0)));
    }
}

/// Makes a page of the integers that are in `out`, with the exceptions that [`exceptions`] found.
pub(super) fn join<T: Element>(out: &mut [T], scale: Scale, exceptions: &[u8]) -> Result<(), String> {
    match T::PHYSICAL {
        Physical::F32 => join_all::<f32>(bytemuck::cast_slice_mut(out), scale),
        Physical::F64 => join_all::<f64>(bytemuck::cast_slice_mut(out), scale),
        _ => return Err("decimal: the cells are no floats".into()),
    }
    let mut end = 0;
    for exception in exceptions.chunks_exact(8 + size_of::<T>()) {
        let (place, cell) = exception.split_at(8);
        let [first, count]: [u32; 2] = bytemuck::pod_read_unaligned::<[u32; 2]>(place).map(u32::from_le);
        let (first, count) = (first as usize, count as usize);
        let run = out.get_mut(first..first.saturating_add(count)).filter(|run| first >= end && !run.is_empty());
        let run =
            run.ok_or_else(|| format!("decimal: no place for an exception of {count} cells from cell {first}"))?;
        run.fill(bytemuck::pod_read_unaligned(cell));
        end = first + count;
    }
    Ok(())
}
