//! The plugin is replaced every second under load.

use super::{Bench, pages, pages::hundred};
use crate::{
    arms::{self, Arm, Host, Isolation, Server, Setting},
    artifacts::{self, set},
    load::{Load, Pace, Tally},
    measure::{self, Job},
    report::Wanted,
    roles::Cache,
};
use anyhow::Context;
use bytes::Bytes;
use std::{sync::Arc, time::Duration};
use tokio::{sync::oneshot, task::JoinHandle, time::interval};

/// What the target speaks of, and how long it may take.
const MILLION: u64 = 1_000_000;
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// Replaces the pages of a host with another version of themselves, and back, every second.
pub(super) struct Swapper {
    stop: oneshot::Sender<()>,
    task: JoinHandle<anyhow::Result<u64>>,
}

impl Swapper {
    pub(super) fn start(bench: &Bench, server: &Server) -> anyhow::Result<Self> {
        let host = server.host.clone().context("only hosts have plugins to swap")?;
        let one = arms::pages(&bench.artifacts.pages, Isolation::Request)?;
        let two = artifacts::stamped(&one, |manifest| set(manifest, "plugin", "version", "1.0.1"))?;
        let (stop, stopped) = oneshot::channel();
        Ok(Self { stop, task: tokio::spawn(swap(host, [two, one], stopped)) })
    }

    /// How often it has swapped.
    pub(super) async fn stop(self) -> anyhow::Result<u64> {
        // If it failed it has stopped already, and says so now.
        let _ = self.stop.send(());
        self.task.await?
    }
}

async fn swap(host: Arc<Host>, versions: [Bytes; 2], mut stopped: oneshot::Receiver<()>) -> anyhow::Result<u64> {
    let mut clock = interval(Duration::from_secs(1));
    clock.tick().await;
    let mut swaps = 0;
    for version in versions.iter().cycle() {
        tokio::select! {
            _ = clock.tick() => {}
            _ = &mut stopped => break,
        }
        host.install("pages.wasm", version)?;
        swaps += 1;
    }
    Ok(swaps)
}

pub(super) async fn run(bench: &mut Bench, name: &str) -> anyhow::Result<()> {
    let mut server = Server::start(&bench.fixture, Arm::Isolated, Setting::of(Cache::Off)).await?;
    let plan = hundred(bench);
    let capacity = measure::once(&bench.fixture, bench.effort, &mut server, &Job::closed(name, plan.clone())).await?;
    let rate = capacity.tally.done as f64 / capacity.tally.took.as_secs_f64() * 0.4;
    let load = Load { address: server.address, connections: 256, pace: Pace::Open(rate), plan, connected: false };

    // Both versions have been compiled before: what is measured is the swap.
    let swapper = Swapper::start(bench, &server)?;
    load.run(Duration::from_millis(2_500)).await;
    swapper.stop().await?;

    let time = Duration::from_secs(if bench.effort.quick { 3 } else { 60 });
    let quiet = load.run(time).await;
    let swapper = Swapper::start(bench, &server)?;
    let swapped = load.run(time).await;
    let swaps = swapper.stop().await?;
    let say = |what: &str, tally: &Tally| format!("{name}: {what}: {}", tally.told(rate));
    bench.report.note(&say("quiet", &quiet));
    bench.report.note(&say(&format!("{swaps} swaps"), &swapped));
    bench.report.target(&format!("{name}: failed requests"), Wanted::AtMost(0.0), swapped.failures() as f64);
    let ratio = swapped.quantile(0.99) / quiet.quantile(0.99);
    bench.report.target(&format!("{name}: p99 against quiet"), Wanted::AtMost(1.5), ratio);
    if bench.effort.quick {
        bench
            .report
            .note(&format!("{name}: {} requests in this short run; the full one sends a million", swapped.done));
        return Ok(());
    }
    million(bench, name, &mut server, swapped).await
}

/// Goes on with small requests until a million were sent under swaps.
async fn million(bench: &mut Bench, name: &str, server: &mut Server, before: Tally) -> anyhow::Result<()> {
    let plan = pages::spread(pages::people(bench, 1_000), |number, count| (number % count as u64) as usize);
    let capacity = measure::once(&bench.fixture, bench.effort, server, &Job::closed(name, plan.clone())).await?;
    let rate = capacity.tally.done as f64 / capacity.tally.took.as_secs_f64() * 0.5;
    let load = Load { address: server.address, connections: 256, pace: Pace::Open(rate), plan, connected: false };
    let swapper = Swapper::start(bench, server)?;
    let mut all = load.run_within(LONGEST, MILLION.saturating_sub(before.done)).await;
    let swaps = swapper.stop().await?;
    bench.report.note(&format!("{name}: then lookups, {swaps} swaps: {}", all.told(rate)));
    all.add(&before);
    let what = format!("{name}: failed requests of {} in all", all.done);
    bench.report.target(&what, Wanted::AtMost(0.0), all.failures() as f64);
    let what = format!("{name}: requests sent under swaps");
    bench.report.target(&what, Wanted::AtLeast(MILLION as f64), all.done as f64);
    Ok(())
}
