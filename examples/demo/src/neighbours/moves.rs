//! What happens under load: a service moves to another port, and a host is replaced.

use super::{
    load::Load,
    patience::until,
    site::Site,
    start::{self, host_name, known, service_name},
};
use crate::{crew::Crew, layout::Layout, say};
use anyhow::Context;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// The service that moves: the one that writes go to.
pub(crate) const MOVED: &str = "reviews";

/// The method that writes.
pub(crate) const RATE: &str = "reviews.v1.Reviews/RateFilm";

/// A service that has moved.
#[derive(Debug)]
pub(crate) struct Moved {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    /// Writes that the old one has had.
    pub(crate) writes: u64,
    /// Until both hosts knew of the new one, and of the old one's leaving.
    pub(crate) found: Duration,
    pub(crate) left: Duration,
}

/// A host that was replaced by one at the same place.
#[derive(Debug)]
pub(crate) struct Replaced {
    pub(crate) name: String,
    /// From SIGTERM to its end, and from then to the new one's place in the gateway.
    pub(crate) ended: Duration,
    pub(crate) back: Duration,
}

pub(crate) async fn service(layout: &Layout, crew: &mut Crew, site: &mut Site, load: &Load) -> anyhow::Result<Moved> {
    let (from, to) = (*site.service(MOVED)?, site.port()?);
    let since = Instant::now();
    start::service(layout, crew, site, MOVED, to).await?;
    hosts_know(layout, crew, (site, load), &[from, to]).await?;
    let found = since.elapsed();
    say::detail(&format!("{MOVED} also at {to}"));
    let since = Instant::now();
    let end = async {
        let tail = crew.end(&service_name(MOVED, from)).await?;
        rated(&tail.line("was called:").unwrap_or_default())
            .context("the old service has not said what it was called for")
    };
    let writes = end.await?;
    hosts_know(layout, crew, (site, load), &[to]).await?;
    *site.service(MOVED)? = to;
    say::detail(&format!("{MOVED} at {from} is gone"));
    Ok(Moved { from, to, writes, found, left: since.elapsed() })
}

/// Until both hosts have found the service there, and nowhere else.
async fn hosts_know(
    layout: &Layout,
    crew: &mut Crew,
    (site, load): (&Site, &Load),
    addresses: &[SocketAddr],
) -> anyhow::Result<()> {
    let mut wanted: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    wanted.sort();
    let hosts = site.hosts;
    until(
        crew,
        || load.told(&format!("{MOVED} moves")),
        async || {
            for (_, admin) in hosts {
                let mut found = known(layout, admin, Some(MOVED)).await;
                found.sort();
                if found != wanted {
                    return None;
                }
            }
            Some(())
        },
    )
    .await
}

pub(crate) async fn host(layout: &Layout, crew: &mut Crew, site: &Site) -> anyhow::Result<Replaced> {
    let place = 1;
    let (name, configuration) = (host_name(place), start::configuration(layout, crew, site, place)?);
    let since = Instant::now();
    say::detail(&format!("{name} is told to end (SIGTERM), and leaves within its drain-delay of 3 s"));
    crew.end(&name).await?;
    let ended = since.elapsed();
    let since = Instant::now();
    start::host(layout, crew, site, place, &configuration).await?;
    start::healthy(crew, site).await?;
    Ok(Replaced { name, ended, back: since.elapsed() })
}

/// How many writes a service was called for, by its last words.
fn rated(line: &str) -> Option<u64> {
    let (_, calls) = line.split_once("was called: ")?;
    let count = calls.split(", ").find_map(|call| call.strip_prefix(RATE)?.trim().parse().ok());
    Some(count.unwrap_or(0))
}
