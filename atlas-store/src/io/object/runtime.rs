//! The runtime that remote requests run on, and waiting for them.

use crate::error::{Error, Result};
use std::sync::{OnceLock, mpsc};
use tokio::runtime::{Builder, Runtime};

/// Requests wait for the network nearly all of their time.
const WORKERS: usize = 2;

fn runtime(object: &str) -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();
    let started = RUNTIME.get_or_init(|| {
        Builder::new_multi_thread().worker_threads(WORKERS).thread_name("atlas-io").enable_all().build()
    });
    started.as_ref().map_err(|error| Error::storage(object, error))
}

/// Runs a task to its end, on threads of our own, while the calling thread waits: which may be any, a worker of the
/// caller's own runtime included.
pub(super) fn wait<T: Send + 'static>(object: &str, task: impl Future<Output = T> + Send + 'static) -> Result<T> {
    let (sender, receiver) = mpsc::sync_channel(1);
    runtime(object)?.spawn(async move {
        // The receiver waits until this has been sent.
        let _ = sender.send(task.await);
    });
    receiver.recv().map_err(|_| Error::storage(object, "the request was dropped"))
}
