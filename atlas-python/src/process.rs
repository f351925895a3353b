//! Running the store's work in a process that was forked from another one.
//!
//! A fork copies the memory and only one thread: the threads on which the store decodes and encodes are gone in the
//! child, where whoever waits for them would wait for ever. The child gets threads of its own.

use pyo3::PyResult;
use pyo3::exceptions::PyRuntimeError;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::process;
use std::sync::{Mutex, OnceLock, PoisonError};

/// The process that loaded the module, whose threads the store starts itself.
static HOME: OnceLock<u32> = OnceLock::new();
/// The threads of the last forked process that needed some.
static FORKED: Mutex<Option<(u32, &'static ThreadPool)>> = Mutex::new(None);

/// Remembers this process as the one that is no fork.
pub(crate) fn note_home() {
    HOME.get_or_init(process::id);
}

/// Runs `work`, in a forked process on threads of its own.
pub(crate) fn run<T: Send>(work: impl FnOnce() -> T + Send) -> PyResult<T> {
    let here = process::id();
    if HOME.get().is_none_or(|home| *home == here) {
        return Ok(work());
    }
    Ok(threads_of(here)?.install(work))
}

fn threads_of(process: u32) -> PyResult<&'static ThreadPool> {
    let mut forked = FORKED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((owner, threads)) = *forked
        && owner == process
    {
        return Ok(threads);
    }
    let threads = ThreadPoolBuilder::new().build().map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
    // Never given back: the threads of a parent cannot be joined here.
    let threads: &'static ThreadPool = Box::leak(Box::new(threads));
    *forked = Some((process, threads));
    Ok(threads)
}
