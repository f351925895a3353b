//! Large pages of memory for large results.
//!
//! A page of memory is mapped and cleared when it is first written to. For a result that nothing has to be decoded for, that is
//! half of the time of a read; in pages of 2 MiB it is a tenth. Linux gives them to those who ask (`madvise`), where it
//! is set up to.

use crate::cells::Element;

/// Smaller ones have few such pages, or none.
const MIN_BYTES: usize = 4 << 20;

/// Asks for large pages for these cells; of use where nobody has written to them yet.
#[cfg(target_os = "linux")]
pub(super) fn ask_for<T: Element>(cells: &mut [T]) {
    let bytes = size_of_val(cells);
    if bytes < MIN_BYTES {
        return;
    }
    // Advice is for whole pages, of any size: those of 4 KiB are not the largest there are.
    const ALIGNMENT: usize = 64 << 10;
    let start = cells.as_mut_ptr().cast::<u8>();
    let skip = start.align_offset(ALIGNMENT);
    let length = bytes.saturating_sub(skip) / ALIGNMENT * ALIGNMENT;
    #[allow(unsafe_code, reason = "the standard library has no such call")]
    // SAFETY: the range lies within the cells, which are borrowed, and the advice changes neither what memory holds nor
    // whether it is mapped. That it may fail is of no consequence: pages are then of the usual size.
    unsafe {
        libc::madvise(start.wrapping_add(skip).cast(), length, libc::MADV_HUGEPAGE);
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn ask_for<T: Element>(_cells: &mut [T]) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stay_as_they_are() {
        for count in [0, 1, MIN_BYTES / 4 - 1, MIN_BYTES / 4, MIN_BYTES + 12_345] {
            let mut cells: Vec<u32> = (0..).take(count).collect();
            ask_for(&mut cells);
            let skipped = count.min(3);
            ask_for(&mut cells[skipped..]);
            assert!(cells.iter().copied().eq(0..u32::try_from(count).unwrap()));
        }
    }
}
