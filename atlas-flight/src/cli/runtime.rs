//! The asynchronous runtime of the commands that need one.

use crate::cli::Failure;
use std::io;

/// Planning and executing SQL recurses deeply; the default stack of 2 MiB is tight for unoptimised builds.
const STACK_BYTES: usize = 8 * 1024 * 1024;

/// A runtime with one thread a core.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start threads: {error}")))
}

/// Resolves when the process is asked to stop: Ctrl-C, or SIGTERM.
///
/// The handlers stand when this returns, so that a signal that comes before the future is polled is not lost.
pub(crate) fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    {
        Ok(async {
            // Without a handler there is nothing to wait for: the system ends the process itself.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}
