//! The last step of every stream: handing messages to the client, unless it takes none or the query is cancelled.

use crate::running::Run;
use crate::status;
use futures::{Stream, StreamExt, stream};
use std::pin::pin;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::{Code, Status};

/// Messages that wait for the client.
const WAITING: usize = 1;

/// The same messages, in a task of their own: what makes them is dropped as soon as the query is cancelled, the client is
/// gone, or took nothing for as long as `idle`, whether or not anybody polls for the next.
///
/// # Errors
/// In the stream: `CANCELLED`, and `RESOURCE_EXHAUSTED` where the client was idle.
pub(crate) fn deliver<T: Send + 'static>(
    messages: impl Stream<Item = Result<T, Status>> + Send + 'static,
    run: Run,
    idle: Option<Duration>,
) -> impl Stream<Item = Result<T, Status>> + Send + 'static {
    let (sender, receiver) = mpsc::channel(WAITING);
    let task = Task(tokio::spawn(forward(messages, run, idle, sender)));
    stream::unfold(Some((receiver, task)), |state| async move {
        let (mut receiver, mut task) = state?;
        if let Some(message) = receiver.recv().await {
            return Some((message, Some((receiver, task))));
        }
        let ended = (&mut task.0).await.unwrap_or_else(|error| Err(status::from_join(&error)));
        ended.err().map(|status| (Err(status), None))
    })
}

/// A task that is of no use once nobody listens.
struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn forward<T>(
    messages: impl Stream<Item = Result<T, Status>>,
    mut run: Run,
    idle: Option<Duration>,
    sender: mpsc::Sender<Result<T, Status>>,
) -> Result<(), Status> {
    let mut messages = pin!(messages);
    loop {
        // A place first: what has been made waits there, and not here, too.
        let taken = async {
            match idle {
                Some(idle) => tokio::time::timeout(idle, sender.reserve()).await.map_err(|_| idle_for(idle)),
                None => Ok(sender.reserve().await),
            }
        };
        // A client that is gone takes nothing: that is no error of anybody's.
        let Ok(place) = run.unless_cancelled(taken).await? else { return Ok(()) };
        let next = run.unless_cancelled(async { Ok(messages.next().await) }).await?;
        let Some(message) = next else {
            run.delivered();
            return Ok(());
        };
        let failed = message.is_err();
        place.send(message);
        if failed {
            return Ok(());
        }
    }
}

fn idle_for(idle: Duration) -> Status {
    let message = format!("the client took nothing for {idle:?}, the limit of this server");
    status::status(Code::ResourceExhausted, &message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
    use super::*;
    use crate::running::Running;
    use std::sync::Arc;
    use tokio::sync::oneshot;

    /// Numbers without end, and what tells that their stream was dropped.
    fn numbers() -> (impl Stream<Item = Result<u64, Status>> + Send, oneshot::Receiver<()>) {
        let (alive, gone) = oneshot::channel::<()>();
        let numbers = stream::iter(0..).map(move |number| {
            let _alive = &alive;
            Ok(number)
        });
        (numbers, gone)
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_cut_off() {
        let idle = Duration::from_millis(20);
        let (numbers, gone) = numbers();
        let stream = deliver(numbers, Run::untracked(), Some(idle));
        // Nobody polls, and still the source is dropped.
        gone.await.unwrap_err();
        let rest: Vec<_> = stream.collect().await;
        let status = rest.last().unwrap().as_ref().unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(status.message().contains("took nothing for 20ms"), "{status}");
        assert_eq!(rest.len(), WAITING + 1);
    }

    #[tokio::test]
    async fn a_cancelled_stream_drops_its_source_and_says_so() {
        let running = Arc::new(Running::default());
        let part = (bytes::Bytes::from_static(b"q"), 0);
        let (numbers, gone) = numbers();
        let mut stream = Box::pin(deliver(numbers, running.start(part.clone()).unwrap(), None));
        assert_eq!(stream.next().await.unwrap().unwrap(), 0);
        assert!(running.cancel(&[part]));
        gone.await.unwrap_err();
        let rest: Vec<_> = stream.collect().await;
        assert_eq!(rest.last().unwrap().as_ref().unwrap_err().code(), Code::Cancelled);
    }

    #[tokio::test]
    async fn a_stream_ends_as_its_source_does() {
        let running = Arc::new(Running::default());
        let part = (bytes::Bytes::from_static(b"q"), 0);
        let two = stream::iter([Ok(1), Ok(2)]);
        let delivered: Vec<_> = deliver(two, running.start(part.clone()).unwrap(), None).collect().await;
        assert_eq!(delivered.len(), 2);
        assert!(!running.cancel(&[part]), "nothing is left to cancel");
        let failing = stream::iter([Ok(1), Err(Status::not_found("x")), Ok(2)]);
        let delivered: Vec<_> = deliver(failing, Run::untracked(), None).collect().await;
        assert_eq!((delivered.len(), delivered[1].as_ref().unwrap_err().code()), (2, Code::NotFound));
        let (numbers, gone) = numbers();
        drop(deliver(numbers, Run::untracked(), None));
        gone.await.unwrap_err();
    }
}
