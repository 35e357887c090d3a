//! A registry that does as a test says, in paused time.

use super::*;
use crate::telemetry::kept::Kept;
use futures_util::future::FutureExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

const SECOND: Duration = Duration::from_secs(1);

/// Holds for so long each time; the first `refusals` times not at all.
#[derive(Debug)]
struct Scripted {
    refusals: usize,
    holds: Duration,
    begun: AtomicUsize,
    left: AtomicUsize,
    /// So many times it can't be taken away.
    stays: AtomicUsize,
}

impl Registry for Scripted {
    fn hold<'a>(&'a self, stands: &'a (dyn Fn() + Send + Sync)) -> BoxFuture<'a, String> {
        async move {
            if self.begun.fetch_add(1, Relaxed) < self.refusals {
                return "connection refused".to_owned();
            }
            stands();
            tokio::time::sleep(self.holds).await;
            "its lease was lost".to_owned()
        }
        .boxed()
    }

    fn leave(&self) -> BoxFuture<'_, Result<(), String>> {
        self.left.fetch_add(1, Relaxed);
        let stays = self.stays.fetch_update(Relaxed, Relaxed, |times| times.checked_sub(1)).is_ok();
        async move { if stays { Err("connection refused".to_owned()) } else { Ok(()) } }.boxed()
    }
}

struct Kit {
    registry: Arc<Scripted>,
    ready: Arc<AtomicBool>,
    metrics: Metrics,
    registration: Registration,
}

fn begin(refusals: usize, holds: Duration) -> Kit {
    let [begun, left, stays] = [0; 3].map(AtomicUsize::new);
    let registry = Arc::new(Scripted { refusals, holds, begun, left, stays });
    let (ready, metrics) = (Arc::new(AtomicBool::new(false)), Metrics::default());
    let keeper = Keeper {
        registry: registry.clone(),
        url: "etcd://e:1/web".into(),
        metrics: metrics.clone(),
        trouble: Mutex::default(),
    };
    let (stop, stopped) = watch::channel(false);
    let is_ready = ready.clone();
    let task = tokio::spawn(keeper.keep(move || is_ready.load(Relaxed), stopped));
    Kit { registry, ready, metrics, registration: Registration { stop, task } }
}

#[tokio::test(start_paused = true)]
async fn it_is_there_while_the_host_is_ready_and_gone_at_once_when_it_stops() {
    let kit = begin(0, SECOND * 1_000_000);
    tokio::time::sleep(SECOND * 10).await;
    assert_eq!((kit.registry.begun.load(Relaxed), kit.metrics.registered.get()), (0, 0), "not ready yet");
    kit.ready.store(true, Relaxed);
    tokio::time::sleep(SECOND).await;
    assert_eq!((kit.registry.begun.load(Relaxed), kit.metrics.registered.get()), (1, 1));
    kit.ready.store(false, Relaxed);
    tokio::time::sleep(SECOND).await;
    assert_eq!((kit.registry.left.load(Relaxed), kit.metrics.registered.get()), (1, 0));
    kit.ready.store(true, Relaxed);
    tokio::time::sleep(SECOND).await;
    let since = Instant::now();
    kit.registration.leave().await;
    assert_eq!((kit.registry.left.load(Relaxed), since.elapsed()), (2, Duration::ZERO));
    assert_eq!(kit.metrics.registered.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_is_begun_again_for_as_long_as_it_takes_and_told_once() {
    let (kept, _guard) = Kept::begin();
    let kit = begin(300, SECOND * 3600);
    kit.ready.store(true, Relaxed);
    tokio::time::sleep(SECOND * 4000).await;
    assert_eq!(kit.metrics.registered.get(), 1, "after an hour of refusals");
    assert_eq!(kept.count("can't be registered at etcd://e:1/web: connection refused"), 1, "{:#?}", kept.lines());
    assert_eq!(kept.count("registered again at etcd://e:1/web, after"), 1, "{:#?}", kept.lines());
    tokio::time::sleep(SECOND * 3600).await;
    assert_eq!(kept.count("its lease was lost"), 1, "{:#?}", kept.lines());
    assert_eq!((kit.metrics.registered.get(), kit.metrics.registration_failures.get()), (1, 301));
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_taken_away_is_taken_away_later_and_at_the_latest_when_the_host_stops() {
    let kit = begin(0, SECOND * 3600);
    let left = || kit.registry.left.load(Relaxed);
    kit.ready.store(true, Relaxed);
    tokio::time::sleep(SECOND).await;
    kit.registry.stays.store(2, Relaxed);
    kit.ready.store(false, Relaxed);
    tokio::time::sleep(SECOND * 600).await;
    assert_eq!((left(), kit.registry.begun.load(Relaxed)), (3, 1), "twice in vain, and then no more");
    kit.ready.store(true, Relaxed);
    tokio::time::sleep(SECOND).await;
    kit.registry.stays.store(usize::MAX, Relaxed);
    kit.ready.store(false, Relaxed);
    tokio::time::sleep(SECOND).await;
    kit.registry.stays.store(0, Relaxed);
    let before = left();
    kit.registration.leave().await;
    assert_eq!(kit.registry.left.load(Relaxed), before + 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_was_lost_may_be_there_still_when_the_host_is_ready_no_more() {
    let kit = begin(0, SECOND);
    kit.ready.store(true, Relaxed);
    tokio::time::sleep(SECOND + SECOND / 2).await;
    assert_eq!(kit.metrics.registration_failures.get(), 1);
    kit.ready.store(false, Relaxed);
    tokio::time::sleep(SECOND * 60).await;
    assert_eq!(kit.registry.left.load(Relaxed), 1, "and is taken away");
}
