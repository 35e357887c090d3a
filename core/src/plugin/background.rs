//! Guests that compute for long go on in the background, on threads that the operating system prefers less than all others.
//!
//! A guest is interrupted every few milliseconds and goes to the back of its thread's queue. But a light request is polled some ten
//! times on its way, and would each time wait behind as many of these slices as there are guests that compute. Threads of low
//! priority give way at once, and have what nobody else wants.

use futures_util::future::BoxFuture;
use std::{
    future::{pending, poll_fn},
    panic::resume_unwind,
    task::Poll,
    thread::available_parallelism,
    time::Duration,
};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::JoinHandle,
};

/// CPU time of one request after which its guest is heavy. A page of a hundred items takes a tenth of it.
pub(super) const LIGHT: Duration = Duration::from_millis(5);
/// As `nice` has it: from 0, what all others have, to 19.
const NICE: i32 = 10;

/// The threads of heavy guests: one for each core but one, and one at least. With as many as there are cores one heavy guest holds up
/// another that is just inside of a lock which everybody needs.
#[derive(Debug)]
pub(super) struct BackgroundRuntime(Option<Runtime>);

/// A task that ends with its request.
struct Bound<T>(JoinHandle<T>);

impl<T> Drop for Bound<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl BackgroundRuntime {
    pub(super) fn new() -> std::io::Result<Self> {
        let cores = available_parallelism().map_or(1, usize::from);
        let mut threads = Builder::new_multi_thread();
        threads.worker_threads(cores.saturating_sub(1).max(1)).thread_name("weft-background").on_thread_start(|| {
            // On Linux this is the priority of the thread that calls.
            if let Err(error) = rustix::process::setpriority_process(None, NICE) {
                tracing::warn!(%error, "guests that compute for long run with the priority of all others");
            }
        });
        threads.build().map(|runtime| Self(Some(runtime)))
    }

    /// Runs a guest here until it is heavy, and from then on in the background. Dropping the future ends it, in the background at its next interruption.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        mut guest: BoxFuture<'static, T>,
        is_heavy: impl Fn() -> bool,
    ) -> T {
        let here = poll_fn(|context| match guest.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if is_heavy() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        match here.await {
            Some(output) => output,
            None => self.go_on(guest).await,
        }
    }

    async fn go_on<T: Send + 'static>(&self, mut guest: BoxFuture<'static, T>) -> T {
        // What it spawns and waits for belongs to all: a batch that it fills may carry calls of others, and must not run there.
        let home = Handle::current();
        let guest = poll_fn(move |context| {
            let _home = home.enter();
            guest.as_mut().poll(context)
        });
        let Some(runtime) = &self.0 else { return pending().await };
        let mut task = Bound(runtime.spawn(guest));
        match (&mut task.0).await {
            Ok(output) => output,
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            // The host stops.
            Err(_) => pending().await,
        }
    }
}

impl Drop for BackgroundRuntime {
    fn drop(&mut self) {
        // Waiting for guests is not allowed where this may be dropped, and they end at their next interruption.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    };
    use tokio::{sync::oneshot, task::yield_now};

    fn is_in_background() -> bool {
        std::thread::current().name() == Some("weft-background")
    }

    #[tokio::test]
    async fn a_heavy_guest_goes_on_in_the_background_with_low_priority_and_spawns_at_home() {
        let background = BackgroundRuntime::new().unwrap();
        let heavy = Arc::new(AtomicBool::new(false));
        let will_be = heavy.clone();
        let guest = async move {
            for _ in 0..3 {
                assert!(!is_in_background());
                yield_now().await;
            }
            will_be.store(true, SeqCst);
            yield_now().await;
            assert!(is_in_background());
            let spawned_at_home = tokio::spawn(async { !is_in_background() }).await.unwrap();
            (rustix::process::getpriority_process(None).unwrap(), spawned_at_home)
        };
        assert_eq!(background.run(Box::pin(guest), || heavy.load(SeqCst)).await, (NICE, true));
    }

    #[tokio::test]
    async fn a_guest_that_nobody_waits_for_ends() {
        struct Ends(Option<oneshot::Sender<()>>);
        impl Drop for Ends {
            fn drop(&mut self) {
                let _ = self.0.take().map(|ended| ended.send(()));
            }
        }
        let background = BackgroundRuntime::new().unwrap();
        let (ended, has_ended) = oneshot::channel();
        let (begun, has_begun) = oneshot::channel();
        let guest = async move {
            let _ends = Ends(Some(ended));
            yield_now().await;
            let _ = begun.send(());
            loop {
                yield_now().await;
            }
        };
        let request = background.run(Box::pin(guest), || true);
        tokio::select! {
            () = request => {}
            begun = has_begun => begun.unwrap(),
        }
        has_ended.await.unwrap();
    }
}
