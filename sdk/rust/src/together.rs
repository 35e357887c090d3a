//! Many futures at once.
//!
//! Those of futures-util give each of many futures a waker of its own, so that one that was woken can be polled alone. Here an exchange
//! wakes most of them together, and each kind of future that a plugin joins is code that a thousand plugins have in memory: so these
//! poll all that have not ended.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::{FusedFuture, TryFuture};

/// What [`join_all`] returns.
#[must_use = "futures do nothing unless they are awaited"]
#[derive(Debug)]
pub struct JoinAll<F: Future>(Many<F, F::Output>);

/// What [`try_join_all`] returns.
#[must_use = "futures do nothing unless they are awaited"]
#[derive(Debug)]
pub struct TryJoinAll<F: TryFuture>(Many<F, F::Ok>);

/// Waits for all, and returns their outputs in the same order.
pub fn join_all<I>(futures: I) -> JoinAll<I::Item>
where
    I: IntoIterator,
    I::Item: Future,
{
    JoinAll(Many::of(futures))
}

/// Waits for all, and returns what they bring in the same order; or an error, as soon as there is one. The others are dropped then,
/// which cancels their calls.
pub fn try_join_all<I>(futures: I) -> TryJoinAll<I::Item>
where
    I: IntoIterator,
    I::Item: TryFuture,
{
    TryJoinAll(Many::of(futures))
}

/// Futures that have not ended, each with the place of its output; and the outputs so far. After the end there are neither.
#[derive(Debug)]
struct Many<F, T> {
    running: Vec<(usize, Pin<Box<F>>)>,
    outputs: Vec<Option<T>>,
    has_ended: bool,
}

impl<F, T> Unpin for Many<F, T> {}

impl<F, T> Many<F, T> {
    fn of(futures: impl IntoIterator<Item = F>) -> Self {
        let running: Vec<_> = futures.into_iter().map(Box::pin).enumerate().collect();
        Self { outputs: running.iter().map(|_| None).collect(), running, has_ended: false }
    }

    /// Polls those that run, until there is an error.
    fn poll<E>(&mut self, mut one: impl FnMut(Pin<&mut F>) -> Poll<Result<T, E>>) -> Poll<Result<Vec<T>, E>> {
        if self.has_ended {
            return Poll::Pending;
        }
        let Self { running, outputs, .. } = self;
        let mut failed = None;
        running.retain_mut(|(place, future)| {
            if failed.is_some() {
                return true;
            }
            match one(future.as_mut()) {
                Poll::Pending => return true,
                Poll::Ready(Ok(output)) => {
                    if let Some(place) = outputs.get_mut(*place) {
                        *place = Some(output);
                    }
                }
                Poll::Ready(Err(error)) => failed = Some(error),
            }
            false
        });
        if failed.is_none() && !running.is_empty() {
            return Poll::Pending;
        }
        self.has_ended = true;
        running.clear();
        let outputs = std::mem::take(outputs);
        Poll::Ready(failed.map_or_else(|| Ok(outputs.into_iter().flatten().collect()), Err))
    }
}

impl<F: Future> Future for JoinAll<F> {
    type Output = Vec<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = self.0.poll(|future| future.poll(context).map(Ok::<_, std::convert::Infallible>));
        polled.map(|Ok(outputs)| outputs)
    }
}

impl<F: TryFuture> Future for TryJoinAll<F> {
    type Output = Result<Vec<F::Ok>, F::Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(|future| future.try_poll(context))
    }
}

impl<F: Future> FusedFuture for JoinAll<F> {
    fn is_terminated(&self) -> bool {
        self.0.has_ended
    }
}

impl<F: TryFuture> FusedFuture for TryJoinAll<F> {
    fn is_terminated(&self) -> bool {
        self.0.has_ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use futures_util::future::{pending, ready};
    use std::sync::Arc;

    #[test]
    fn outputs_keep_their_order_whichever_ends_first() {
        let yields = |n: usize| async move {
            for _ in 0..n % 3 {
                let mut polled = false;
                std::future::poll_fn(|_| {
                    if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
            }
            n
        };
        for count in [0, 1, 100] {
            let mut all = join_all((0..count).map(yields));
            let outputs = (0..3).find_map(|_| (&mut all).now_or_never());
            assert_eq!(outputs, Some((0..count).collect()));
            assert!(all.is_terminated() && all.now_or_never().is_none());
            assert_eq!(
                try_join_all((0..count).map(|n| ready(Ok::<_, ()>(n)))).now_or_never(),
                Some(Ok((0..count).collect()))
            );
        }
    }

    #[test]
    fn one_error_is_enough_and_ends_the_others() {
        let held = Arc::new(());
        let mut all = try_join_all((0..100).map(|n| {
            let held = held.clone();
            async move {
                if n == 70 {
                    return Err(n);
                }
                let _held = held;
                pending::<Result<(), i32>>().await
            }
        }));
        assert_eq!((&mut all).now_or_never(), Some(Err(70)));
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
