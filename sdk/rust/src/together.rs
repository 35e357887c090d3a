//! Many futures at once.

use std::future::Future;

use futures_util::future::{self, FutureExt, Map, MapOk, TryFuture, TryFutureExt};

/// Up to so many futures, the combinators of futures-util poll them one after the other. For more they give each an allocation and a
/// waker of its own, so that one that was woken can be polled alone: that pays where futures are woken one by one. Here an exchange
/// wakes most of them together. So many groups in turn are 900 futures; above that, each group has a waker.
const GROUP: usize = 30;

type Flatten<T> = fn(Vec<Vec<T>>) -> Vec<T>;

/// What [`join_all`] returns.
pub type JoinAll<F> = Map<future::JoinAll<future::JoinAll<F>>, Flatten<<F as Future>::Output>>;

/// What [`try_join_all`] returns.
pub type TryJoinAll<F> = MapOk<future::TryJoinAll<future::TryJoinAll<F>>, Flatten<<F as TryFuture>::Ok>>;

/// Waits for all, and returns their outputs in the same order.
pub fn join_all<I>(futures: I) -> JoinAll<I::Item>
where
    I: IntoIterator,
    I::Item: Future,
{
    future::join_all(groups(futures).into_iter().map(future::join_all)).map(flat)
}

/// Waits for all, and returns what they bring in the same order; or an error, as soon as there is one (of more than 900 futures,
/// as soon as those before it are done). The others are dropped then, which cancels their calls.
pub fn try_join_all<I>(futures: I) -> TryJoinAll<I::Item>
where
    I: IntoIterator,
    I::Item: TryFuture,
{
    future::try_join_all(groups(futures).into_iter().map(future::try_join_all)).map_ok(flat)
}

fn flat<T>(groups: Vec<Vec<T>>) -> Vec<T> {
    groups.into_iter().flatten().collect()
}

/// Collected, since the combinators go by how many there are.
fn groups<I: IntoIterator>(items: I) -> Vec<Vec<I::Item>> {
    let mut items = items.into_iter();
    let next = || Some(items.by_ref().take(GROUP).collect::<Vec<_>>()).filter(|group| !group.is_empty());
    std::iter::from_fn(next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::ready;

    #[test]
    fn outputs_keep_their_order() {
        for count in [0, 1, GROUP, GROUP + 1, GROUP * GROUP + 1] {
            let expected: Vec<_> = (0..count).collect();
            assert_eq!(output(join_all((0..count).map(ready))), Some(expected.clone()));
            assert_eq!(output(try_join_all((0..count).map(|n| ready(Ok::<_, ()>(n))))), Some(Ok(expected)));
        }
    }

    /// Many groups may take a second poll.
    fn output<F: Future>(future: F) -> Option<F::Output> {
        let mut future = Box::pin(future);
        (0..2).find_map(|_| future.as_mut().now_or_never())
    }

    #[test]
    fn one_error_is_enough() {
        let first = try_join_all((0..100).map(|n| async move {
            if n == 70 {
                return Err(n);
            }
            future::pending::<Result<(), i32>>().await
        }));
        assert_eq!(first.now_or_never(), Some(Err(70)));
    }
}
