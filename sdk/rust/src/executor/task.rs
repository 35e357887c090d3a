//! Tasks: what the executor polls, how it is woken, and `spawn`.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::future::FusedFuture;

use super::current;

type TaskFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A mutex that nobody can poison for others: a panic ends the request as a whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tasks that were woken, in that order.
#[derive(Debug, Default)]
pub(crate) struct Ready(Mutex<Vec<u32>>);

impl Ready {
    /// Swaps the woken tasks with `batch`, which is empty.
    pub(crate) fn take(&self, batch: &mut Vec<u32>) {
        std::mem::swap(&mut *lock(&self.0), batch);
    }
}

#[derive(Debug)]
struct TaskWaker {
    task: u32,
    /// Whether the task is in `ready` already: a task that is woken many times is polled once.
    queued: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            lock(&self.ready.0).push(self.task);
        }
    }
}

/// The executor's end of a task.
#[derive(Debug)]
pub(crate) struct Handle {
    flag: Arc<TaskWaker>,
    waker: Waker,
    /// See [`current::Depth`].
    pub(crate) depth: u16,
}

impl Handle {
    /// A new task, which is ready to run.
    pub(crate) fn new(task: u32, ready: &Arc<Ready>, depth: u16) -> Self {
        let flag = Arc::new(TaskWaker { task, queued: AtomicBool::new(false), ready: Arc::clone(ready) });
        let waker = Waker::from(Arc::clone(&flag));
        waker.wake_by_ref();
        Self { flag, waker, depth }
    }

    /// The waker for a poll that starts now: from here on the task can be woken again.
    pub(crate) fn begin_poll(&self) -> &Waker {
        self.flag.queued.store(false, Ordering::Release);
        &self.waker
    }
}

/// A future on its way to the executor.
pub(crate) struct Spawned {
    pub(crate) future: TaskFuture,
    pub(crate) depth: u16,
}

impl std::fmt::Debug for Spawned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spawned").field("depth", &self.depth).finish_non_exhaustive()
    }
}

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
