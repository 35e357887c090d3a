//! `spawn`: work beside the handler.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use futures_util::future::FusedFuture;

use super::current;
use super::task::Spawned;
use crate::lock::lock;

/// Runs `future` beside the handler.
///
/// It goes on by itself, also when the handle is dropped, but **not longer than the handler**: when the handler returns, what is
/// left of the request is dropped. Await the handle if the work must be done.
///
/// `join!`, `join_all` and `FuturesUnordered` need no `spawn`: they run side by side anyway.
///
/// Outside of a request there is nobody to run the future, and the handle never becomes ready.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let join = Arc::new(Mutex::new(Join { output: None, waker: None }));
    let end = Arc::clone(&join);
    let future = Box::pin(async move {
        let output = future.await;
        let depth = current::with(|core| core.depth.deepest).unwrap_or_default();
        let waker = {
            let mut join = lock(&end);
            join.output = Some((output, depth));
            join.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    });
    current::with(|core| {
        let depth = core.depth.now();
        core.spawned.push(Spawned { future, depth });
    });
    JoinHandle { join: Some(join) }
}

#[derive(Debug)]
struct Join<T> {
    /// With the depth that the task had come to.
    output: Option<(T, u16)>,
    waker: Option<Waker>,
}

/// What a spawned task returns. Dropping it detaches the task. See [`spawn`].
#[must_use = "await it if the work must be done: the task ends with the handler"]
#[derive(Debug)]
pub struct JoinHandle<T> {
    join: Option<Arc<Mutex<Join<T>>>>,
}

impl<T> Future for JoinHandle<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(join) = &self.join else { return Poll::Pending };
        let mut state = lock(join);
        let Some((output, depth)) = state.output.take() else {
            state.waker = Some(context.waker().clone());
            return Poll::Pending;
        };
        drop(state);
        self.join = None;
        current::with(|core| core.depth.observe(depth));
        Poll::Ready(output)
    }
}

impl<T> FusedFuture for JoinHandle<T> {
    fn is_terminated(&self) -> bool {
        self.join.is_none()
    }
}
