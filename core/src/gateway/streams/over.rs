//! When somebody else than its guest and its client ends a stream.

use super::{config::Config, ending::Ending};
use crate::release::{Endpoint, Releases};
use std::{
    future::pending,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::sync::watch;

/// Its time is over, its caller's token has ended, another release serves its endpoint, or the host says so.
pub(super) async fn over(
    config: &Config,
    until: Option<SystemTime>,
    (releases, endpoint): (&Releases, &Endpoint),
    mut endings: watch::Receiver<Option<Ending>>,
) -> Ending {
    let (time, ending) = last(config.longest, until, SystemTime::now());
    let mut swaps = releases.swaps();
    let replaced = async {
        while releases.current().releases().iter().any(|release| Arc::ptr_eq(release, &endpoint.release)) {
            if swaps.changed().await.is_err() {
                pending::<()>().await;
            }
        }
    };
    let told = async { endings.wait_for(Option::is_some).await.ok().and_then(|ending| *ending) };
    tokio::select! {
        biased;
        // The gateway that would say so is gone: so is the host.
        ending = told => ending.unwrap_or(Ending::Stop),
        () = replaced => Ending::Release,
        () = tokio::time::sleep(time) => ending,
    }
}

/// How long it lasts at the longest, and what that is the end of.
fn last(longest: Duration, until: Option<SystemTime>, now: SystemTime) -> (Duration, Ending) {
    match until.map(|until| until.duration_since(now).unwrap_or(Duration::ZERO)) {
        Some(left) if left < longest => (left, Ending::Token),
        _ => (longest, Ending::Time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_lasts_no_longer_than_its_callers_token() {
        let (now, second) = (SystemTime::now(), Duration::from_secs(1));
        assert_eq!(last(60 * second, None, now), (60 * second, Ending::Time));
        assert_eq!(last(60 * second, Some(now + 90 * second), now), (60 * second, Ending::Time));
        assert_eq!(last(60 * second, Some(now + 5 * second), now), (5 * second, Ending::Token));
        assert_eq!(last(60 * second, Some(now - second), now), (Duration::ZERO, Ending::Token));
    }
}
