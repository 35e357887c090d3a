//! The streams of HTTP/2 as tasks, each of which can be ended alone.
//!
//! A stream whose client opens no window waits inside the HTTP library, where nobody looks after its body. Dropping its task resets it
//! (RST_STREAM) and gives up what it holds, and its connection goes on for the others.

use hyper::rt::Executor;
use std::sync::Arc;
use tokio::sync::Notify;

tokio::task_local! {
    static END: Arc<Notify>;
}

/// Runs each stream as a task.
#[derive(Debug, Clone, Copy)]
pub(super) struct Streams;

impl<F> Executor<F> for Streams
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let end = Arc::new(Notify::new());
        tokio::spawn(END.scope(end.clone(), async move {
            tokio::select! {
                biased;
                () = end.notified() => {}
                _ = stream => {}
            }
        }));
    }
}

/// What ends the stream that is being run; `None` on HTTP/1, where requests are no tasks of their own.
pub(super) fn end_of_stream() -> Option<Arc<Notify>> {
    END.try_with(Arc::clone).ok()
}
