//! What a request costs when something grows: items, plugins, keys, clients. Beside each row stands what grows, and why.

use super::{Bench, cold::Crowd, pages};
use crate::{
    arms::{Arm, Server, Setting},
    expected::{self, Body},
    fixture::Fixture,
    load::{Ask, Load, Pace, Plan, always},
    measure::{self, Effort, Job, Sample},
    report::{Series, machine_memory},
    roles::Cache,
};
use demo_services::{Data, Sizes};
use std::{sync::Arc, time::Duration};

const ARMS: [Arm; 4] = [Arm::Isolated, Arm::Reuse, Arm::Unsandboxed, Arm::HandWritten];
/// As many as the demo's services can have people.
const MOST_KEYS: u32 = 10_000_000;
const MIB: f64 = 1024.0 * 1024.0;

fn short(effort: Effort) -> Effort {
    Effort { rounds: effort.rounds.div_ceil(3), ..effort }
}

fn micros(sample: &Sample) -> f64 {
    sample.cpu.as_secs_f64() * 1e6 / (sample.tally.done.max(1)) as f64
}

/// A few that a busy machine makes the host refuse change no figure, but they are told.
fn check(bench: &mut Bench, what: &str, done: u64, failed: u64, reasons: &impl std::fmt::Debug) -> anyhow::Result<()> {
    if done == 0 || failed > done / 100 {
        anyhow::bail!("{what}: {failed} of {done} requests failed: {reasons:?}");
    }
    if failed > 0 {
        bench.report.note(&format!("{what}: {failed} of {done} requests failed: {reasons:?}"));
    }
    Ok(())
}

/// How much a figure grows from the first point to the last: as a factor, and for each further one of what grows.
fn growth(points: &[(f64, Vec<f64>)], column: usize) -> (f64, f64) {
    let at = |point: Option<&(f64, Vec<f64>)>| {
        point.and_then(|(x, figures)| Some((*x, *figures.get(column)?))).unwrap_or_default()
    };
    let ((from, low), (to, high)) = (at(points.first()), at(points.last()));
    (high / low.max(1e-9), (high - low) / (to - from).max(1e-9))
}

/// What became of the CPU that a request costs.
fn told(factor: f64, because: &str) -> String {
    if (0.9..=1.1).contains(&factor) {
        "What a request costs stays the same.".to_owned()
    } else {
        format!("In the last row a request costs {factor:.2} times what it costs in the first: {because}.")
    }
}

pub(super) async fn items(bench: &mut Bench, name: &str) -> anyhow::Result<()> {
    let mut servers = bench.servers(&ARMS, Setting::of(Cache::Off)).await?;
    let mut points = Vec::new();
    let most = if bench.effort.quick { 1_000 } else { 10_000 };
    for items in [10, 100, 1_000, 10_000].into_iter().filter(|items| *items <= most) {
        let plan = always(&format!("/web/page/{items}"), expected::page(&bench.fixture.data, items));
        let job = Job { connections: if items > 1_000 { 4 } else { 16 }, ..Job::closed(name, plan) };
        let rows = measure::measure(&bench.fixture, short(bench.effort), &mut servers, &job).await?;
        for row in &rows {
            let what = format!("{name}: {items} items: {}", row.arm.name());
            check(bench, &what, row.requests, row.failures(), &row.failed)?;
        }
        points.push((items as f64, rows.iter().map(measure::Row::cpu_micros).collect()));
    }
    let each = |column| growth(&points, column).1;
    let why = format!(
        "CPU grows with the items, {:.1} µs for each with a fresh instance and {:.1} µs by hand: each is decoded, put together with its \
         author and written as JSON. What a request costs whatever it holds (HTTP, token, instance) is the same in every row, so it counts \
         most on the smallest page.",
        each(0),
        each(3)
    );
    let columns = ARMS.iter().map(|arm| format!("{}, µs CPU", arm.name())).collect();
    let name = format!("{name}: CPU per request against items per page");
    bench.report.series(Series { name, along: "items".to_owned(), columns, points, why });
    Ok(())
}

pub(super) async fn plugins(bench: &mut Bench, name: &str) -> anyhow::Result<()> {
    let mut points = Vec::new();
    let most = if bench.effort.quick { 100 } else { 1_000 };
    for count in [1, 10, 100, 1_000].into_iter().filter(|count| *count <= most) {
        let mut crowd = Crowd::start(bench.fixture.backends, &bench.artifacts.pages, count).await?;
        let job = Job::closed(name, Crowd::plan(bench, count));
        let sample = measure::once(&bench.fixture, bench.effort, &mut crowd.server, &job).await?;
        let tally = &sample.tally;
        check(bench, &format!("{name}: {count} plugins"), tally.done, tally.failures(), &tally.failed)?;
        let memory = sample.memory as f64 / MIB;
        points.push((count as f64, vec![micros(&sample), memory, crowd.ready_after.as_secs_f64() * 1e3]));
    }
    let ((factor, _), (_, memory)) = (growth(&points, 0), growth(&points, 1));
    let why = format!(
        "A request finds its plugin in one table by client and path, whatever their number. {} Each further plugin takes {:.0} KiB: code \
         that is mapped from its file, its image, tables and metrics, and, up to their bound, slots that it has used.",
        told(factor, "requests that go round all plugins find neither warm slots of the sandbox nor warm caches"),
        memory * 1024.0
    );
    let columns = ["µs CPU per request", "MiB resident", "ms to ready"].map(str::to_owned).to_vec();
    let name = format!("{name}: a small lookup, spread over all plugins");
    bench.report.series(Series { name, along: "plugins".to_owned(), columns, points, why });
    Ok(())
}

pub(super) async fn keys(bench: &mut Bench, name: &str) -> anyhow::Result<()> {
    let room = room();
    let counts: &[u32] =
        if bench.effort.quick { &[1_000, 100_000, 1_000_000] } else { &[1_000, 10_000, 100_000, 1_000_000, room] };
    let mut points = Vec::new();
    for &count in counts {
        // A few more, as those who write reviews may have ids above the others; ten million are the most that there can be.
        let sizes = Sizes { films: 10, people: (count + 10).min(MOST_KEYS), reviews: 10 };
        let mut fixture = Fixture::start(bench.artifacts.clone(), None, sizes).await?;
        let plan = some_of(&fixture.data);
        // The services have the same; ten million of them are too many to hold twice.
        fixture.data = Arc::default();
        let setting = Setting { cache: Cache::Public, entries: u64::from(count) * 2 };
        let mut server = Server::start(&fixture, Arm::Reuse, setting).await?;
        fill(&server, count).await?;
        let sample = measure::once(&fixture, bench.effort, &mut server, &Job::closed(name, plan)).await?;
        let tally = &sample.tally;
        check(bench, &format!("{name}: {count} keys"), tally.done, tally.failures(), &tally.failed)?;
        let missed = sample.upstream as f64 / sample.tally.done as f64 * 100.0;
        let memory = server.process.memory().now as f64 / MIB;
        points.push((f64::from(count), vec![micros(&sample), memory, missed]));
    }
    let ((factor, _), (_, memory)) = (growth(&points, 0), growth(&points, 1));
    let mut why = format!(
        "A look-up hashes its key and touches one entry, however many there are. {} Memory grows with the keys: {:.0} bytes for each, its \
         reply included.",
        told(factor, "the processor's caches hold less of them"),
        memory * MIB
    );
    if room < MOST_KEYS {
        why.push_str(
            " Ten million, with the services that know them, would take more than a third of this machine's memory.",
        );
    }
    let columns = ["µs CPU per request", "MiB resident", "% not in the cache"].map(str::to_owned).to_vec();
    let name = format!("{name}: a small lookup, answered from the cache");
    bench.report.series(Series { name, along: "keys".to_owned(), columns, points, why });
    Ok(())
}

/// So many keys as a third of the machine's memory has room for, in whole millions; services and host hold one together with this.
fn room() -> u32 {
    const BYTES: u64 = 1_100;
    let millions = machine_memory() / 3 / BYTES / 1_000_000;
    u32::try_from(millions.max(1) * 1_000_000).unwrap_or(MOST_KEYS).min(MOST_KEYS)
}

/// Lookups of people from all over the data, more than a run asks for. Neighbours in time are far apart.
fn some_of(data: &Data) -> Plan {
    const MOST: usize = 200_000;
    let people = data.people();
    let step = people.len().div_ceil(MOST);
    let asks: Vec<Ask> = people.iter().step_by(step).map(|person| pages::person_of(data, person.id)).collect();
    pages::spread(asks, |number, count| (number.wrapping_mul(7_919) % count as u64) as usize)
}

/// Lets the host load every person once, a thousand in a request.
async fn fill(server: &Server, count: u32) -> anyhow::Result<()> {
    const AT_ONCE: u64 = 1_000;
    const PATIENCE: Duration = Duration::from_secs(1800);
    let requests = u64::from(count).div_ceil(AT_ONCE);
    let plan: Plan = Arc::new(move |number| {
        let first = number % requests * AT_ONCE + 1;
        let body = Body::OfCaller(format!("\"people\":{AT_ONCE}}}").into());
        Ask { path: format!("/web/crowd/{first}/{AT_ONCE}").into(), body, signed: true }
    });
    let load = Load { address: server.address, connections: 4, pace: Pace::Closed, plan, connected: false };
    let tally = load.run_within(PATIENCE, requests).await;
    if tally.failures() > requests / 10 + 1 || tally.done < requests {
        anyhow::bail!("the cache can't be filled: {} of {requests}, {:?}", tally.done, tally.failed);
    }
    Ok(())
}

pub(super) async fn clients(bench: &mut Bench, name: &str) -> anyhow::Result<()> {
    let mut server = Server::start(&bench.fixture, Arm::Isolated, Setting::of(Cache::Off)).await?;
    let asks = pages::people(bench, 1_000);
    let plan = pages::spread(asks, |number, count| (number % count as u64) as usize);
    let mut points = Vec::new();
    let most = if bench.effort.quick { 1_000 } else { 10_000 };
    for connections in [10, 100, 1_000, 10_000].into_iter().filter(|connections| *connections <= most) {
        let load =
            Load { address: server.address, connections, pace: Pace::Open(300.0), plan: plan.clone(), connected: true };
        let mut lines = load.open().await;
        load.run_over(&mut lines, bench.effort.warm, u64::MAX).await;
        let before = server.process.cpu();
        let tally = load.run_over(&mut lines, bench.effort.measured + Duration::from_secs(1), u64::MAX).await;
        let cpu = server.process.cpu().since(&before);
        let memory = server.process.memory().now;
        let p99 = tally.quantile(0.99);
        let failed = tally.failures() as f64;
        if failed > 0.0 {
            bench.report.note(&format!("{name}: {connections} connections: {:?}", tally.failed));
        }
        let sample = Sample { tally, cpu, upstream: 0, memory };
        points.push((connections as f64, vec![micros(&sample), memory as f64 / MIB, p99, failed]));
        if server.process.has_ended() {
            anyhow::bail!("the host has ended");
        }
    }
    let ((factor, _), (_, memory)) = (growth(&points, 0), growth(&points, 1));
    let why = format!(
        "A connection that rests costs no CPU, and {:.0} KiB: its buffers, and its part of what a burst has left in the sandbox. {}",
        memory * 1024.0,
        told(factor, "each request finds a connection whose memory has been out of the processor's caches for longer")
    );
    let columns = ["µs CPU per request", "MiB resident", "p99 ms", "failed"].map(str::to_owned).to_vec();
    let name = format!("{name}: a small lookup at 300 requests a second over all connections");
    bench.report.series(Series { name, along: "connections".to_owned(), columns, points, why });
    Ok(())
}
