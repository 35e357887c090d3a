//! Tasks: what the executor polls, and how it is woken.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

use crate::lock::lock;

type TaskFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

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
    /// Of the deepest completion that the task has observed.
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
