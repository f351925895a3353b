//! An allocator that counts, so that a case that takes more memory than its bytes justify is a failure.
#![allow(unsafe_code, reason = "an allocator cannot be written without; this one only counts and hands on")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The most bytes that a case may hold at once.
pub(crate) const CAP: usize = 256 << 20;
/// An allocation beyond this is refused, which aborts: it would take the machine down.
const REFUSED: usize = 4 << 30;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
/// The seed of the case that runs, for the message before an abort.
pub(crate) static SEED: AtomicU64 = AtomicU64::new(0);

pub(crate) struct Counting;

fn taken(bytes: usize) -> bool {
    if bytes > REFUSED {
        let seed = SEED.load(Ordering::Relaxed);
        let _ = writeln!(std::io::stderr(), "\nseed {seed}: an allocation of {bytes} bytes is refused");
        return false;
    }
    let live = LIVE.fetch_add(bytes, Ordering::Relaxed).wrapping_add(bytes);
    PEAK.fetch_max(live, Ordering::Relaxed);
    true
}

// SAFETY: every call is handed on to the system's allocator with the same arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if taken(layout.size()) { unsafe { System.alloc(layout) } } else { std::ptr::null_mut() }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if taken(layout.size()) { unsafe { System.alloc_zeroed(layout) } } else { std::ptr::null_mut() }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !taken(size) {
            return std::ptr::null_mut();
        }
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// The bytes that are held now.
#[allow(dead_code, reason = "not every test that counts asks for it")]
pub(crate) fn held() -> usize {
    LIVE.load(Ordering::Relaxed)
}

/// Runs `work`; gives its result and the most bytes that it held at once.
pub(crate) fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let result = work();
    (result, PEAK.load(Ordering::Relaxed).saturating_sub(before))
}
