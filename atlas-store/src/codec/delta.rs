//! Differences between neighbouring cells, which compress better where cells change slowly: counters, times, and the
//! bits of floats on a smooth field, whose order is that of the floats of one sign.
//!
//! The bits of a cell are taken as an unsigned integer. Differences wrap around, the first is to 0, and each is in zigzag
//! form (0, −1, 1, −2 … become 0, 1, 2, 3 …), so that small ones of either sign have the same high bytes.

use crate::cells::Element;

trait Bits: bytemuck::Pod {
    const ZERO: Self;
    /// The zigzag form of `self - before`.
    fn difference(self, before: Self) -> Self;
    /// The cell whose difference to `before` this is.
    fn after(self, before: Self) -> Self;
}

macro_rules! bits {
    ($($unsigned:ty, $signed:ty;)*) => {$(
        impl Bits for $unsigned {
            const ZERO: Self = 0;

            fn difference(self, before: Self) -> Self {
                let step = self.wrapping_sub(before).cast_signed();
                ((step << 1) ^ (step >> (<$signed>::BITS - 1))).cast_unsigned()
            }

            fn after(self, before: Self) -> Self {
                before.wrapping_add((self >> 1) ^ (self & 1).wrapping_neg())
            }
        }
    )*};
}

bits! { u8, i8; u16, i16; u32, i32; u64, i64; }

fn differences<B: Bits>(cells: &[B], out: &mut [B]) {
    let mut before = B::ZERO;
    for (step, cell) in out.iter_mut().zip(cells) {
        *step = cell.difference(before);
        before = *cell;
    }
}

fn sums<B: Bits>(cells: &mut [B]) {
    let mut sum = B::ZERO;
    for cell in cells {
        sum = cell.after(sum);
        *cell = sum;
    }
}

/// The differences of one page.
pub(super) fn encode<T: Element>(cells: &[T]) -> Vec<T> {
    let mut out = vec![T::default(); cells.len()];
    let (from, to) = (cells, &mut out[..]);
    match size_of::<T>() {
        1 => differences::<u8>(bytemuck::cast_slice(from), bytemuck::cast_slice_mut(to)),
        2 => differences::<u16>(bytemuck::cast_slice(from), bytemuck::cast_slice_mut(to)),
        4 => differences::<u32>(bytemuck::cast_slice(from), bytemuck::cast_slice_mut(to)),
        _ => differences::<u64>(bytemuck::cast_slice(from), bytemuck::cast_slice_mut(to)),
    }
    out
}

/// Turns the differences of one page into its cells.
pub(super) fn decode<T: Element>(cells: &mut [T]) {
    match size_of::<T>() {
        1 => sums::<u8>(bytemuck::cast_slice_mut(cells)),
        2 => sums::<u16>(bytemuck::cast_slice_mut(cells)),
        4 => sums::<u32>(bytemuck::cast_slice_mut(cells)),
        _ => sums::<u64>(bytemuck::cast_slice_mut(cells)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_steps_of_either_sign_are_small_numbers() {
        let steps = encode(&[0i16, -1, 0, 300, 299, i16::MIN, i16::MAX]);
        assert_eq!(steps[..3], [0, 1, 2]);
        assert_eq!(steps[3..5], [600, 1]);
        assert_eq!(steps[6], 1, "from the smallest to the largest is one step down");
    }

    #[test]
    fn extremes_wrap_around_and_come_back() {
        let cells = [i64::MIN, i64::MAX, 0, -1, i64::MIN, i64::MIN, 1, i64::MAX];
        let mut decoded = encode(&cells);
        decode(&mut decoded);
        assert_eq!(decoded, cells);
    }
}
