//! Depth: how long the chain is that a call has waited for.

use weft_sdk::futures::{join, join_all};
use weft_sdk::spawn;

use crate::support::{deliver, executor, next, run, step};

fn depths(exchanges: &[crate::support::Seen]) -> Vec<Vec<u32>> {
    exchanges.iter().map(|seen| seen.depths.clone()).collect()
}

#[test]
fn a_join_adds_nothing_a_chain_adds_one_for_each() {
    let (_, exchanges) = run(executor(async {
        let all = join_all((0..3).map(next)).await;
        join!(next(all[0]), next(all[1]));
        next(0).await
    }));
    assert_eq!(depths(&exchanges), [vec![1, 1, 1], vec![2, 2], vec![3]]);
}

#[test]
fn chains_of_one_task_count_for_themselves() {
    let chain = |length| async move {
        for value in 0..length {
            next(value).await;
        }
    };
    let mut executor = executor(async move { join!(chain(3), chain(2)) });
    assert_eq!(step(&mut executor).exchange().depths, [1, 1]);
    deliver(&mut executor, &[(0, 0)]);
    assert_eq!(step(&mut executor).exchange().depths, [2]);
    deliver(&mut executor, &[(2, 0)]);
    assert_eq!(step(&mut executor).exchange().depths, [3]);
    // The other chain has only waited for its first call.
    deliver(&mut executor, &[(1, 0)]);
    assert_eq!(step(&mut executor).exchange().depths, [2]);
}

#[test]
fn what_observes_nothing_in_its_poll_goes_by_the_deepest() {
    let (_, exchanges) = run(executor(async {
        next(0).await;
        next(0).await;
        weft_sdk::sleep(std::time::Duration::from_millis(1)).await;
        next(0).await
    }));
    assert_eq!(depths(&exchanges), [vec![1], vec![2], vec![], vec![3]]);
}

#[test]
fn a_spawned_task_starts_at_its_spawners_depth_and_passes_its_own_on() {
    let (_, exchanges) = run(executor(async {
        next(0).await;
        let spawned = spawn(async {
            next(0).await;
            next(0).await
        });
        spawned.await;
        next(0).await
    }));
    assert_eq!(depths(&exchanges), [vec![1], vec![2], vec![3], vec![4]]);
}

#[test]
fn a_handle_passes_depth_on_even_if_the_task_ended_long_ago() {
    let (_, exchanges) = run(executor(async {
        let spawned = spawn(async {
            next(0).await;
            next(0).await
        });
        next(0).await;
        weft_sdk::sleep(std::time::Duration::from_millis(1)).await;
        spawned.await;
        next(0).await
    }));
    assert_eq!(depths(&exchanges).last().unwrap(), &[3]);
}

#[test]
fn depth_saturates() {
    let (_, exchanges) = run(executor(async {
        for _ in 0..65_537 {
            next(0).await;
        }
    }));
    assert_eq!(depths(&exchanges).last().unwrap(), &[65_535]);
}
