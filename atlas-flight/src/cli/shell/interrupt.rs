//! Ctrl-C while a statement runs.

use crate::cli::Failure;
use std::future::Future;
use std::process;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Runtime;

/// The exit code of a process that Ctrl-C has ended, as shells have it.
const ENDED_BY_INTERRUPT: i32 = 130;

/// What is heard while a statement runs.
enum Heard {
    Done(Result<(), Failure>),
    Interrupt,
}

/// Hears Ctrl-C on a thread of its own: those of the runtime may all be busy with a query.
pub(super) struct Interrupt {
    /// Who is told; where nobody is, Ctrl-C ends the process.
    listener: Arc<Mutex<Option<Sender<Heard>>>>,
}

impl Interrupt {
    /// # Errors
    /// `Failed` where the system does not let signals be heard.
    pub(super) fn new() -> Result<Self, Failure> {
        let listener: Arc<Mutex<Option<Sender<Heard>>>> = Arc::default();
        let own = Arc::clone(&listener);
        ctrlc::set_handler(move || {
            let is_told = lock(&own).take().is_some_and(|sender| sender.send(Heard::Interrupt).is_ok());
            if !is_told {
                process::exit(ENDED_BY_INTERRUPT);
            }
        })
        .map_err(|error| Failure::failed(format!("cannot hear Ctrl-C: {error}")))?;
        Ok(Interrupt { listener })
    }

    /// Runs some work. Ctrl-C drops it where it next yields; a second one, before that, ends the process.
    pub(super) fn run(
        &self,
        runtime: &Runtime,
        work: impl Future<Output = Result<(), Failure>> + Send + 'static,
    ) -> Result<(), Failure> {
        let (sender, receiver) = mpsc::channel();
        *lock(&self.listener) = Some(sender.clone());
        let task = runtime.spawn(async move {
            // The receiver is gone only where the work was interrupted.
            let _ = sender.send(Heard::Done(work.await));
        });
        let heard = receiver.recv();
        lock(&self.listener).take();
        match heard {
            Ok(Heard::Done(result)) => result,
            Ok(Heard::Interrupt) => {
                task.abort();
                // What was done in between is done.
                let _ = runtime.block_on(task);
                Err(Failure::failed("interrupted"))
            }
            Err(_) => Err(Failure::failed("the statement has ended without an answer")),
        }
    }
}

fn lock(listener: &Mutex<Option<Sender<Heard>>>) -> MutexGuard<'_, Option<Sender<Heard>>> {
    listener.lock().unwrap_or_else(PoisonError::into_inner)
}
