//! The pages, in closed loop, and one in open loop.

use super::Bench;
use crate::{
    arms::{Arm, Setting},
    expected::{self, Body},
    load::{self, Ask, Pace, Plan, always},
    measure::{self, Job, Row},
    report::Wanted,
    roles::Cache,
};
use demo_services::Data;
use http::{Request, header};
use http_body_util::Empty;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

const ALL: [Arm; 5] = [Arm::Isolated, Arm::Reuse, Arm::Unsandboxed, Arm::HandWritten, Arm::Node];
const OURS: [Arm; 4] = [Arm::Isolated, Arm::Reuse, Arm::Unsandboxed, Arm::HandWritten];

/// The page of 100 that most of it is about.
pub(super) fn hundred(bench: &Bench) -> Plan {
    always("/web/page/100", expected::page(&bench.fixture.data, 100))
}

pub(super) fn of(rows: &[Row], arm: Arm) -> Option<&Row> {
    rows.iter().find(|row| row.arm == arm)
}

pub(super) async fn page(bench: &mut Bench, name: &str, cache: Cache) -> anyhow::Result<()> {
    let rows = bench.closed(name, &ALL, Setting::of(cache), hundred(bench), bench.effort).await?;
    targets(bench, name, &rows);
    let upstream = if cache == Cache::Public { 0.0 } else { 2.0 };
    for arm in [Arm::Isolated, Arm::Reuse] {
        if let Some(row) = of(&rows, arm) {
            let what = format!("{name}: upstream calls per request, {}", arm.name());
            // Within a batch's chance of being cut in two, or of an entry being refreshed early.
            bench.report.target(&what, Wanted::AtMost(upstream + 0.01), row.upstream_per_request);
        }
    }
    Ok(())
}

/// The ratios of the design's section 11.
fn targets(bench: &mut Bench, name: &str, rows: &[Row]) {
    let against = [
        (Arm::Reuse, Arm::Unsandboxed, 0.95),
        (Arm::Isolated, Arm::Unsandboxed, 0.90),
        (Arm::Reuse, Arm::HandWritten, 0.90),
        (Arm::Isolated, Arm::HandWritten, 0.85),
        (Arm::Reuse, Arm::Node, 5.0),
        (Arm::Isolated, Arm::Node, 5.0),
    ];
    for (arm, other, wanted) in against {
        if let (Some(row), Some(base)) = (of(rows, arm), of(rows, other)) {
            let what = format!("{name}: {} against {}, per CPU-second", arm.name(), other.name());
            bench.report.target(&what, Wanted::AtLeast(wanted), row.per_cpu_second / base.per_cpu_second);
        }
    }
}

/// The tail where there is still room: at 70 % of what the hand-written server takes.
pub(super) async fn latency(bench: &mut Bench, name: &str) -> anyhow::Result<()> {
    let arms = [Arm::HandWritten, Arm::Isolated, Arm::Reuse, Arm::Unsandboxed];
    let mut servers = bench.servers(&arms, Setting::of(Cache::Off)).await?;
    let plan = hundred(bench);
    let Some(first) = servers.first_mut() else { return Ok(()) };
    let capacity = measure::once(&bench.fixture, bench.effort, first, &Job::closed(name, plan.clone())).await?;
    let capacity = capacity.tally.done as f64 / capacity.tally.took.as_secs_f64();
    let job = Job { connections: 256, pace: Pace::Open(capacity * 0.7), ..Job::closed(name, plan) };
    let rows = measure::measure(&bench.fixture, bench.effort, &mut servers, &job).await?;
    bench.report.rows(&rows);
    bench.report.note(&format!("{name}: the hand-written server takes {capacity:.0} requests a second here"));
    for arm in [Arm::Isolated, Arm::Reuse] {
        if let (Some(row), Some(base)) = (of(&rows, arm), of(&rows, Arm::HandWritten)) {
            let what = format!("{name}: p99 of {} against hand-written", arm.name());
            bench.report.target(&what, Wanted::AtMost(1.15), row.p99_ms / base.p99_ms);
        }
    }
    Ok(())
}

/// A different person each time.
pub(super) async fn lookup(bench: &mut Bench, name: &str) -> anyhow::Result<()> {
    let plan = lookups(bench);
    bench.closed(name, &ALL, Setting::of(Cache::Off), plan, bench.effort).await.map(drop)
}

pub(super) fn lookups(bench: &Bench) -> Plan {
    spread(people(bench, 1_000), |number, count| (number % count as u64) as usize)
}

pub(super) async fn levels(bench: &mut Bench, name: &str) -> anyhow::Result<()> {
    let plan = always("/web/levels/20", expected::levels(&bench.fixture.data, 20));
    bench.closed(name, &ALL, Setting::of(Cache::Off), plan, bench.effort).await.map(drop)
}

/// As many items as make a megabyte.
pub(super) async fn megabyte(bench: &mut Bench, name: &str) -> anyhow::Result<()> {
    let Body::OfCaller(thousand) = expected::page(&bench.fixture.data, 1_000) else { return Ok(()) };
    let items = (1 << 20) * 1_000 / thousand.len();
    let plan = always(&format!("/web/page/{items}"), expected::page(&bench.fixture.data, items));
    bench.closed(name, &OURS, Setting::of(Cache::Off), plan, bench.effort.fewer()).await.map(drop)
}

/// The same body for everybody: kept by the host, written into the hand-written server's code.
pub(super) async fn response_cache(bench: &mut Bench, name: &str) -> anyhow::Result<()> {
    let ask = Ask { path: "/web/static".into(), body: Body::Exactly(expected::FIXED.into()), signed: false };
    let plan: Plan = Arc::new(move |_| ask.clone());
    let mut servers = bench.servers(&[Arm::Isolated, Arm::HandWritten], Setting::of(Cache::Off)).await?;
    let rows = measure::measure(&bench.fixture, bench.effort, &mut servers, &Job::closed(name, plan)).await?;
    bench.report.rows(&rows);
    // It is kept for an hour: what is a hit afterwards was one all the time.
    for server in servers.iter().filter(|server| server.arm == Arm::Isolated) {
        let asked = Request::get("/web/static").header(header::HOST, "localhost").body(Empty::new())?;
        let answer = load::exchange(server.address, asked).await?;
        let status = answer.headers().get("cache-status").and_then(|status| status.to_str().ok()).unwrap_or_default();
        anyhow::ensure!(status.starts_with("weft; hit"), "no hit in the response cache: {status:?}");
    }
    if let (Some(hit), Some(base)) = (of(&rows, Arm::Isolated), of(&rows, Arm::HandWritten)) {
        let what = format!("{name}: a hit against a static route of axum, per CPU-second");
        bench.report.target(&what, Wanted::AtLeast(0.9), hit.per_cpu_second / base.per_cpu_second);
    }
    Ok(())
}

/// Five thousand films, and room for one in ten: the most wanted should be there.
pub(super) async fn zipf(bench: &mut Bench, name: &str) -> anyhow::Result<()> {
    let asks: Vec<Ask> = bench.fixture.data.films().iter().map(|film| film_of(bench, film.id)).collect();
    let (keys, ranks) = (asks.len(), ranks(asks.len()));
    // It goes on from run to run: what one run has asked for is not what the next one begins with.
    let next = AtomicUsize::new(0);
    let plan = spread(asks, move |_, _| ranks.get(next.fetch_add(1, Relaxed) % ranks.len()).copied().unwrap_or(0));
    let setting = Setting { cache: Cache::Public, entries: keys as u64 / 10 };
    let effort = bench.effort.fewer();
    let rows = bench.closed(name, &OURS, setting, plan, effort).await?;
    for row in rows {
        // Misses of several requests may travel in one batch, so this is not the share of hits.
        let without = (1.0 - row.upstream_per_request) * 100.0;
        bench.report.note(&format!("{name}: {}: {without:.1} % of requests without a call upstream", row.arm.name()));
    }
    Ok(())
}

pub(super) fn film_of(bench: &Bench, id: u32) -> Ask {
    Ask { path: format!("/web/films/{id}").into(), body: expected::film(&bench.fixture.data, id), signed: true }
}

pub(super) async fn naive(bench: &mut Bench, name: &str) -> anyhow::Result<()> {
    let effort = bench.effort.fewer();
    let rows = bench.closed(name, &[Arm::Naive], Setting::of(Cache::Off), hundred(bench), effort).await?;
    if let Some(row) = of(&rows, Arm::Naive) {
        bench.report.note(&format!("{name}: a loop makes {:.0} upstream calls for the page", row.upstream_per_request));
    }
    Ok(())
}

/// Paths and bodies of the first persons.
pub(super) fn people(bench: &Bench, count: usize) -> Vec<Ask> {
    let data = &bench.fixture.data;
    data.people().iter().take(count).map(|person| person_of(data, person.id)).collect()
}

pub(super) fn person_of(data: &Data, id: u32) -> Ask {
    Ask { path: format!("/web/people/{id}").into(), body: expected::person(data, id), signed: true }
}

/// One of many, chosen by the request's number.
pub(super) fn spread(asks: Vec<Ask>, choose: impl Fn(u64, usize) -> usize + Send + Sync + 'static) -> Plan {
    let unknown = Ask { path: "/".into(), body: Body::Exactly(bytes::Bytes::new()), signed: false };
    Arc::new(move |number| asks.get(choose(number, asks.len())).unwrap_or(&unknown).clone())
}

/// A long sequence of places after Zipf's law with exponent 1: always the same. The most wanted lie scattered.
fn ranks(keys: usize) -> Vec<usize> {
    let mut sums = Vec::with_capacity(keys);
    let mut sum = 0.0;
    for rank in 1..=keys {
        sum += 1.0 / rank as f64;
        sums.push(sum);
    }
    let mut random = StdRng::seed_from_u64(expected::SEED);
    let scatter = |rank: usize| rank * 7_919 % keys;
    (0..1 << 20).map(|_| scatter(sums.partition_point(|until| *until < random.random_range(0.0..sum)))).collect()
}
