//! A neighbour that spins, allocates and floods backends with calls.

use super::{Bench, pages::hundred};
use crate::{
    arms::{Arm, Server, Setting},
    expected::Body,
    load::{Ask, Load, Pace, Plan},
    measure::{self, Job},
    report::Wanted,
    roles::Cache,
};
use std::{sync::Arc, time::Duration};

/// Those that cost something.
const DEEDS: [&str; 3] = ["spin", "grow", "flood"];
pub(super) const ALL: [&str; 5] = ["spin", "grow", "flood", "trap", "giant"];

/// What becomes of it is not the point.
pub(super) fn ask(deed: &str) -> Ask {
    Ask { path: format!("/hostile/{deed}").into(), body: Body::Exactly("".into()), signed: false }
}

pub(super) async fn run(bench: &mut Bench, name: &str) -> anyhow::Result<()> {
    let mut server = Server::start(&bench.fixture, Arm::Isolated, Setting::of(Cache::Off)).await?;
    let plan = hundred(bench);
    let capacity = measure::once(&bench.fixture, bench.effort, &mut server, &Job::closed(name, plan.clone())).await?;
    let rate = capacity.tally.done as f64 / capacity.tally.took.as_secs_f64() * 0.3;
    let load = Load { address: server.address, connections: 256, pace: Pace::Open(rate), plan, connected: false };
    let time = bench.effort.measured * 2;

    load.run(bench.effort.warm).await;
    let quiet = load.run(time).await;
    if let Some(host) = &server.host {
        host.install("hostile.wasm", &bench.artifacts.hostile)?;
    }
    until_there(&server).await?;
    // One of each at any time.
    let neighbours = DEEDS.map(|deed| {
        let ask = ask(deed);
        let plan: Plan = Arc::new(move |_| ask.clone());
        let load = Load { address: server.address, connections: 1, pace: Pace::Closed, plan, connected: false };
        tokio::spawn(async move { load.run(time).await })
    });
    let beside = load.run(time).await;
    for (deed, neighbour) in DEEDS.into_iter().zip(neighbours) {
        let tally = neighbour.await?;
        bench.report.note(&format!("{name}: {deed}: asked {} times, ended as {:?}", tally.done, tally.failed));
    }
    for (what, tally) in [("quiet", &quiet), ("beside the neighbour", &beside)] {
        bench.report.note(&format!("{name}: {what}: {}", tally.told(rate)));
    }
    let ratio = beside.quantile(0.99) / quiet.quantile(0.99);
    bench.report.target(&format!("{name}: p99 of the others"), Wanted::AtMost(2.0), ratio);
    bench.report.target(
        &format!("{name}: failed requests of the others"),
        Wanted::AtMost(0.0),
        beside.failures() as f64,
    );
    Ok(())
}

/// Until the plugin answers in its own way: anything but 404.
async fn until_there(server: &Server) -> anyhow::Result<()> {
    let ask = ask("spin");
    let plan: Plan = Arc::new(move |_| ask.clone());
    let load = Load { address: server.address, connections: 1, pace: Pace::Closed, plan, connected: false };
    for _ in 0..600 {
        let tally = load.run(Duration::from_millis(100)).await;
        if !tally.failed.keys().any(|reason| reason.starts_with("status 404")) {
            return Ok(());
        }
    }
    anyhow::bail!("the neighbour never came")
}
