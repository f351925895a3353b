//! Reads that Ctrl-C ends.

use crate::error::checked;
use crate::process;
use atlas_store::{CancelToken, ReadHooks, Result};
use pyo3::prelude::*;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

/// Shorter reads are over before anybody could press a key.
const LONG_BYTES: u64 = 64 << 20;
/// How often a long read looks whether somebody did.
const LOOK: Duration = Duration::from_millis(50);

/// What `read` gives, which results in about so many bytes; other threads of Python go on meanwhile.
///
/// # Errors
/// That of the read; `KeyboardInterrupt`, or what else the handler of a signal raised.
pub(crate) fn run<T: Send>(
    py: Python<'_>,
    bytes: u64,
    read: impl FnOnce(ReadHooks<'_>) -> Result<T> + Send,
) -> PyResult<T> {
    if bytes < LONG_BYTES {
        let result = py.detach(|| process::run(|| read(ReadHooks::new())))?;
        return checked(py, result);
    }
    let token = CancelToken::new();
    let (result, interrupted) = py.detach(|| {
        thread::scope(|scope| {
            let (sender, receiver) = sync_channel(1);
            let token = &token;
            scope.spawn(move || {
                let result = process::run(|| read(ReadHooks::new().cancelled_by(token)));
                // The other end waits until this is sent.
                let _ = sender.send(result);
            });
            let mut interrupted = None;
            loop {
                match receiver.recv_timeout(LOOK) {
                    Ok(result) => return (Some(result), interrupted),
                    Err(RecvTimeoutError::Disconnected) => return (None, interrupted),
                    Err(RecvTimeoutError::Timeout) => {
                        if let Err(signal) = Python::attach(|py| py.check_signals()) {
                            token.cancel();
                            interrupted.get_or_insert(signal);
                        }
                    }
                }
            }
        })
    });
    match (interrupted, result) {
        (Some(signal), _) => Err(signal),
        (None, Some(result)) => checked(py, result?),
        (None, None) => checked(py, Err(atlas_store::Error::Cancelled)),
    }
}
