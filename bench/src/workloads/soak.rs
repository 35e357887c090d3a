//! Load for a long time: what leaks shows.

use super::{Bench, pages::hundred, swap::Swapper};
use crate::{
    arms::{Arm, Server, Setting},
    load::{Load, Pace},
    measure::{self, Job},
    report::Series,
    roles::Cache,
    say,
};
use std::time::{Duration, Instant};

/// The page of 100 at half of what the host takes, its plugin replaced every second; memory looked at every few seconds.
pub(super) async fn run(bench: &mut Bench, minutes: f64) -> anyhow::Result<()> {
    let mut server = Server::start(&bench.scene, Arm::Isolated, Setting::of(Cache::Public)).await?;
    let plan = hundred(bench);
    let job = Job::closed("soak", plan.clone());
    let capacity = measure::once(&bench.scene, bench.effort, &mut server, &job).await?;
    let rate = capacity.tally.done as f64 / capacity.tally.took.as_secs_f64() / 2.0;
    let time = Duration::from_secs_f64(minutes * 60.0);
    let load = Load { address: server.address, connections: 256, pace: Pace::Open(rate), plan, connected: false };
    let swapper = Swapper::start(bench, &server)?;
    let running = tokio::spawn(async move { load.run(time).await });
    let started = Instant::now();
    let mut points = Vec::new();
    while !running.is_finished() {
        tokio::time::sleep((time / 30).clamp(Duration::from_secs(1), Duration::from_secs(60))).await;
        let memory = server.process.memory().now as f64 / f64::from(1 << 20);
        say(format_args!("    after {:>5.0} s: {memory:.0} MiB", started.elapsed().as_secs_f64()));
        points.push((started.elapsed().as_secs_f64().round(), vec![memory]));
    }
    let tally = running.await?;
    let swaps = swapper.stop().await?;
    bench.report.note(&format!(
        "soak: {} requests at {rate:.0} a second, {swaps} swaps, {} failed {:?}, p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms",
        tally.done,
        tally.failures(),
        tally.failed,
        tally.quantile(0.5),
        tally.quantile(0.99),
        tally.quantile(0.999),
    ));
    let columns = vec!["MiB resident".to_owned()];
    bench.report.series(Series {
        name: "soak: memory over time".to_owned(),
        along: "seconds".to_owned(),
        columns,
        points,
    });
    Ok(())
}
