//! The runtime that remote requests run on, and waiting for them.

use crate::error::{Error, Result};
use std::process;
use std::sync::{Mutex, PoisonError, mpsc};
use tokio::runtime::{Builder, Runtime};

/// Requests wait for the network nearly all of their time.
const WORKERS: usize = 2;

/// The runtime of this process. A forked process has the memory of its parent's, not the threads: it starts its own.
fn runtime(object: &str) -> Result<&'static Runtime> {
    static RUNTIME: Mutex<Option<(u32, &'static Runtime)>> = Mutex::new(None);
    let here = process::id();
    let mut started = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((owner, runtime)) = *started
        && owner == here
    {
        return Ok(runtime);
    }
    let runtime = Builder::new_multi_thread().worker_threads(WORKERS).thread_name("atlas-io").enable_all().build();
    // Never given back: it serves as long as the process does, and that of a parent cannot be ended here.
    let runtime: &'static Runtime = Box::leak(Box::new(runtime.map_err(|error| Error::storage(object, error))?));
    *started = Some((here, runtime));
    Ok(runtime)
}

/// A task that is under way.
pub(super) struct Pending<T> {
    object: String,
    receiver: mpsc::Receiver<T>,
}

impl<T> Pending<T> {
    /// Waits for what the task gives.
    pub(super) fn wait(self) -> Result<T> {
        self.receiver.recv().map_err(|_| Error::storage(&self.object, "the request was dropped"))
    }
}

/// Begins a task, on threads of our own.
pub(super) fn begin<T: Send + 'static>(
    object: &str,
    task: impl Future<Output = T> + Send + 'static,
) -> Result<Pending<T>> {
    let (sender, receiver) = mpsc::sync_channel(1);
    runtime(object)?.spawn(async move {
        // Nobody may be waiting any more.
        let _ = sender.send(task.await);
    });
    Ok(Pending { object: object.into(), receiver })
}

/// Runs a task to its end, on threads of our own, while the calling thread waits: which may be any, a worker of the
/// caller's own runtime included.
pub(super) fn wait<T: Send + 'static>(object: &str, task: impl Future<Output = T> + Send + 'static) -> Result<T> {
    begin(object, task)?.wait()
}
