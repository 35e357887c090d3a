//! What a request costs when something grows: items, plugins, keys, clients.

use super::{Bench, cold::Crowd, pages};
use crate::{
    arms::{Arm, Server, Setting},
    load::{Ask, Load, Pace, Plan, always},
    measure::{self, Effort, Job, Sample},
    report::Series,
    roles::Cache,
    scene::Scene,
    truth::{self, Body},
};
use demo_services::Sizes;
use std::{sync::Arc, time::Duration};

const ARMS: [Arm; 4] = [Arm::Isolated, Arm::Reuse, Arm::Unsandboxed, Arm::HandWritten];

fn short(effort: Effort) -> Effort {
    Effort { rounds: effort.rounds.div_ceil(3), ..effort }
}

fn micros(sample: &Sample) -> f64 {
    sample.cpu.as_secs_f64() * 1e6 / (sample.tally.done.max(1)) as f64
}

fn check(sample: &Sample) -> anyhow::Result<()> {
    if sample.tally.done == 0 || sample.tally.failures() > 0 {
        anyhow::bail!(
            "{} of {} requests failed: {:?}",
            sample.tally.failures(),
            sample.tally.done,
            sample.tally.failed
        );
    }
    Ok(())
}

pub(super) async fn items(bench: &mut Bench, name: &str) -> anyhow::Result<()> {
    let mut servers = bench.servers(&ARMS, Setting::of(Cache::Off)).await?;
    let mut points = Vec::new();
    let most = if bench.effort.quick { 1_000 } else { 10_000 };
    for items in [10, 100, 1_000, 10_000].into_iter().filter(|items| *items <= most) {
        let plan = always(&format!("/web/page/{items}"), truth::page(&bench.scene.data, items));
        let job = Job { connections: if items > 1_000 { 4 } else { 32 }, ..Job::closed(name, plan) };
        let rows = measure::measure(&bench.scene, short(bench.effort), &mut servers, &job).await?;
        if let Some(row) = rows.iter().find(|row| row.failures() > 0) {
            anyhow::bail!("{items} items: {} failed: {:?}", row.arm.name(), row.failed);
        }
        points.push((items as f64, rows.iter().map(measure::Row::cpu_micros).collect()));
    }
    let columns = ARMS.iter().map(|arm| format!("{}, µs CPU", arm.name())).collect();
    let name = format!("{name}: CPU per request against items per page");
    bench.report.series(Series { name, along: "items".to_owned(), columns, points });
    Ok(())
}

pub(super) async fn plugins(bench: &mut Bench, name: &str) -> anyhow::Result<()> {
    let mut points = Vec::new();
    for count in [1, 10, 100, 1_000] {
        let mut crowd = Crowd::start(bench.scene.backends, &bench.artifacts.pages, count).await?;
        let job = Job::closed(name, Crowd::plan(bench, count));
        let sample = measure::once(&bench.scene, bench.effort, &mut crowd.server, &job).await?;
        check(&sample)?;
        let memory = sample.memory as f64 / f64::from(1 << 20);
        points.push((count as f64, vec![micros(&sample), memory, crowd.ready_after.as_secs_f64() * 1e3]));
    }
    let columns = ["µs CPU per request", "MiB resident", "ms to ready"].map(str::to_owned).to_vec();
    let name = format!("{name}: a small lookup, spread over all plugins");
    bench.report.series(Series { name, along: "plugins".to_owned(), columns, points });
    Ok(())
}

pub(super) async fn keys(bench: &mut Bench, name: &str) -> anyhow::Result<()> {
    let counts: &[u32] =
        if bench.effort.quick { &[1_000, 10_000, 100_000] } else { &[1_000, 10_000, 100_000, 1_000_000] };
    let mut points = Vec::new();
    for &count in counts {
        let sizes = Sizes { films: 10, people: count + 10, reviews: 10 };
        let scene = Scene::start(bench.artifacts.clone(), sizes).await?;
        let setting = Setting { cache: Cache::Public, entries: u64::from(count) * 2 };
        let mut server = Server::start(&scene, Arm::Reuse, setting).await?;
        fill(&server, count).await?;
        let (data, people) = (scene.data.clone(), scene.data.people().len() as u64);
        // Neighbours in time are far apart in the data.
        let plan: Plan = Arc::new(move |number| {
            let place = (number * 7_919) % people;
            let id = data.people().get(place as usize).map_or(0, |person| person.id);
            Ask { path: format!("/web/people/{id}").into(), body: truth::person(&data, id), signed: true }
        });
        let sample = measure::once(&scene, bench.effort, &mut server, &Job::closed(name, plan)).await?;
        check(&sample)?;
        let missed = sample.upstream as f64 / sample.tally.done as f64 * 100.0;
        let memory = server.process.memory().now as f64 / f64::from(1 << 20);
        points.push((f64::from(count), vec![micros(&sample), memory, missed]));
    }
    let columns = ["µs CPU per request", "MiB resident", "% not in the cache"].map(str::to_owned).to_vec();
    let name = format!("{name}: a small lookup, answered from the cache");
    bench.report.series(Series { name, along: "keys".to_owned(), columns, points });
    Ok(())
}

/// Lets the host load every person once, a thousand in a request.
async fn fill(server: &Server, count: u32) -> anyhow::Result<()> {
    const AT_ONCE: u64 = 1_000;
    let requests = u64::from(count).div_ceil(AT_ONCE);
    let plan: Plan = Arc::new(move |number| {
        let first = number % requests * AT_ONCE + 1;
        let body = Body::OfCaller(format!("\"people\":{AT_ONCE}}}").into());
        Ask { path: format!("/web/crowd/{first}/{AT_ONCE}").into(), body, signed: true }
    });
    let load = Load { address: server.address, connections: 4, pace: Pace::Closed, plan, connected: false };
    let mut done = 0;
    while done < requests {
        let tally = load.run_for(requests).await;
        if tally.failures() > requests / 10 + 1 {
            anyhow::bail!("the cache can't be filled: {:?}", tally.failed);
        }
        done += tally.done;
    }
    Ok(())
}

pub(super) async fn clients(bench: &mut Bench, name: &str) -> anyhow::Result<()> {
    let mut server = Server::start(&bench.scene, Arm::Isolated, Setting::of(Cache::Off)).await?;
    let asks = pages::people(bench, 1_000);
    let plan = pages::spread(asks, |number, count| (number % count as u64) as usize);
    let mut points = Vec::new();
    let most = if bench.effort.quick { 1_000 } else { 10_000 };
    for connections in [10, 100, 1_000, 10_000].into_iter().filter(|connections| *connections <= most) {
        let load =
            Load { address: server.address, connections, pace: Pace::Open(300.0), plan: plan.clone(), connected: true };
        load.run(bench.effort.warm).await;
        let before = server.process.cpu();
        let tally = load.run(bench.effort.measured + Duration::from_secs(1)).await;
        let cpu = server.process.cpu().since(&before);
        let memory = server.process.memory().now;
        let p99 = tally.quantile(0.99);
        let failed = tally.failures() as f64;
        let sample = Sample { tally, cpu, upstream: 0, memory };
        let mib = memory as f64 / f64::from(1 << 20);
        points.push((connections as f64, vec![micros(&sample), mib, p99, failed]));
        if server.process.has_ended() {
            anyhow::bail!("the host has ended");
        }
    }
    let columns = ["µs CPU per request", "MiB resident", "p99 ms", "failed"].map(str::to_owned).to_vec();
    let name = format!("{name}: a small lookup at 300 requests a second over all connections");
    bench.report.series(Series { name, along: "connections".to_owned(), columns, points });
    Ok(())
}
