//! A long time of everything at once: mixed load, versions and configurations that change, a hostile neighbour, a backend in trouble.
//! What leaks shows, and so does what is lost.

mod faults;
mod operator;
mod results;

use super::{
    Bench, hostile,
    pages::{self, hundred},
};
use crate::{
    arms::{self, Arm, Host, Isolation, Server, Setting},
    expected, fixture,
    load::{Ask, Load, Pace, Plan, Tally},
    measure::{self, Job, median},
    process::Holdings,
    report::{Series, Wanted},
    roles::Cache,
    say,
};
use faults::Faults;
use operator::{Deeds, Operator};
use results::Results;
use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// Of what the host takes when it is asked as fast as it answers. There is room for others on the machine, and for calls that take
/// long: a host that is short of CPU refuses requests, and should.
const SHARE: f64 = 0.15;
const CONNECTIONS: usize = 64;
/// More at once than the host gives turns to. So all slots of its pool have been used before the time begins, and what they keep warm is
/// not taken for a leak.
const CROWD: usize = 600;
/// What the neighbour asks for, a second.
const HOSTILE: f64 = 3.0;

pub(super) async fn run(bench: &mut Bench, minutes: f64) -> anyhow::Result<()> {
    let compiled = tempfile::Builder::new().prefix("compiled-").tempdir_in(fixture::folder("hosts")?)?;
    std::fs::set_permissions(compiled.path(), std::fs::Permissions::from_mode(0o700))?;
    let mut server = arms::start_host(host(bench, compiled.path())?, Arm::Isolated).await?;
    let plan = mixed(bench);
    let capacity = measure::once(&bench.fixture, bench.effort, &mut server, &Job::closed("soak", plan.clone())).await?;
    let rate = capacity.tally.done as f64 / capacity.tally.took.as_secs_f64() * SHARE;
    say(format_args!("    {rate:.0} requests a second: {:.0} % of what it takes", SHARE * 100.0));

    let crowd = Job { connections: CROWD, ..Job::closed("soak", plan.clone()) };
    measure::once(&bench.fixture, bench.effort, &mut server, &crowd).await?;

    let time = Duration::from_secs_f64(minutes * 60.0);
    let load =
        Load { address: server.address, connections: CONNECTIONS, pace: Pace::Open(rate), plan, connected: false };
    let neighbour = tokio::spawn(neighbour(server.address, time));
    let mut operator = Operator::start(bench, &server)?;
    let mut watch = Watch { started: Instant::now(), time, looks: Vec::new(), told: 0 };
    let mut results = Results::default();
    let mut lines = load.open().await;
    for faults in Faults::round() {
        let left = time.saturating_sub(watch.started.elapsed());
        if left.is_zero() {
            break;
        }
        bench.fixture.trouble(faults.behaviour()).await?;
        let tally = load.run_over(&mut lines, faults.lasts().min(left), u64::MAX).await;
        results.add(faults, &tally);
        watch.look(&server, &results, &operator);
        if server.process.has_ended() {
            anyhow::bail!("the host has ended; its log is in {}", server.process.log.display());
        }
    }
    bench.fixture.trouble(Faults::Calm.behaviour()).await?;
    let deeds = operator.stop().await?;
    let neighbour = neighbour.await?;
    tell(bench, rate, &results, &neighbour, &deeds, watch)
}

/// Pages and their hostile neighbour; what is cached is kept for two seconds only, so that trouble is felt.
fn host(bench: &Bench, compiled: &Path) -> anyhow::Result<Host> {
    let host = Host::empty(bench.fixture.backends, Setting::of(Cache::Public), "", Some(compiled))?;
    host.write(&host.text()?.replace("ttl = \"10m\"", "ttl = \"2s\""))?;
    host.install("pages.wasm", &arms::pages(&bench.artifacts.pages, Isolation::Request)?)?;
    host.install("hostile.wasm", &bench.artifacts.hostile)?;
    Ok(host)
}

/// Of ten requests two are the page of 100, one is three levels deep, four ask for a person and three for a film, always others.
fn mixed(bench: &Bench) -> Plan {
    let hundred = hundred(bench);
    let levels = Ask { path: "/web/levels/20".into(), body: expected::levels(&bench.fixture.data, 20), signed: true };
    let people = pages::people(bench, bench.fixture.data.people().len());
    let films: Vec<Ask> = bench.fixture.data.films().iter().map(|film| pages::film_of(bench, film.id)).collect();
    let far = |number: u64, count: usize| (number.wrapping_mul(7_919) % count as u64) as usize;
    let people = pages::spread(people, far);
    let films = pages::spread(films, far);
    Arc::new(move |number| match number % 10 {
        0 | 5 => hundred(number),
        1 => levels.clone(),
        2 | 4 | 6 | 8 => people(number),
        _ => films(number),
    })
}

/// One connection that asks for one evil deed after the other.
async fn neighbour(address: std::net::SocketAddr, time: Duration) -> Tally {
    let plan: Plan = Arc::new(|number| {
        let turn = (number % hostile::ALL.len() as u64) as usize;
        hostile::ask(hostile::ALL.get(turn).copied().unwrap_or("spin"))
    });
    Load { address, connections: 1, pace: Pace::Open(HOSTILE), plan, connected: false }.run(time).await
}

/// What the host holds, over time.
struct Watch {
    started: Instant,
    time: Duration,
    looks: Vec<(Duration, Holdings)>,
    /// Minutes that were told of.
    told: u64,
}

impl Watch {
    fn look(&mut self, server: &Server, results: &Results, operator: &Operator) {
        let now = self.started.elapsed();
        let every = (self.time / 60).clamp(Duration::from_secs(3), Duration::from_secs(30));
        if self.looks.last().is_some_and(|(last, _)| now < *last + every) {
            return;
        }
        let holdings = server.process.holdings();
        self.looks.push((now, holdings));
        if now.as_secs() / 60 > self.told {
            self.told = now.as_secs() / 60;
            let Holdings { memory, files, threads } = holdings;
            say(format_args!(
                "    {:>3} min: {:.0} MiB, {files} files, {threads} threads; {results}; {}",
                self.told,
                mib(memory),
                operator.deeds()
            ));
        }
    }

    /// A figure of the first and of the last third of the time.
    fn thirds(&self, of: impl Fn(&Holdings) -> f64) -> (Vec<f64>, Vec<f64>) {
        let third = self.looks.len().div_ceil(3);
        let figures: Vec<f64> = self.looks.iter().map(|(_, holdings)| of(holdings)).collect();
        let first = figures.iter().take(third).copied().collect();
        (first, figures.iter().rev().take(third).copied().collect())
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn highest(figures: &[f64]) -> f64 {
    figures.iter().copied().fold(0.0, f64::max)
}

fn tell(
    bench: &mut Bench,
    rate: f64,
    results: &Results,
    neighbour: &Tally,
    deeds: &Deeds,
    watch: Watch,
) -> anyhow::Result<()> {
    let report = &mut bench.report;
    report.note(&format!(
        "soak: {:.1} minutes at {rate:.0} requests a second: {results}",
        watch.time.as_secs_f64() / 60.0
    ));
    report.note(&format!("soak: calm and slow: {}", results.strict.told(rate)));
    report.note(&format!("soak: while a backend failed: {}", results.lenient.told(rate)));
    report.note(&format!("soak: the operator: {deeds}"));
    report.note(&format!("soak: the neighbour asked {} times: {:?}", neighbour.done, neighbour.failed));
    let (first, last) = watch.thirds(|holdings| mib(holdings.memory));
    let (from, to) = (median(&first).unwrap_or(0.0), median(&last).unwrap_or(0.0));
    report.note(&format!(
        "soak: resident memory, MiB: median of the first third {from:.0}, of the last {to:.0}; highest {:.0}",
        highest(&first).max(highest(&last))
    ));
    for (what, of) in [("open files", files as fn(&Holdings) -> f64), ("threads", threads)] {
        let (first, last) = watch.thirds(of);
        report.note(&format!(
            "soak: {what}: at most {} in the first third, {} in the last",
            highest(&first),
            highest(&last)
        ));
    }
    let points = watch.looks.iter();
    let points = points.map(|(when, holdings)| {
        (when.as_secs_f64().round(), vec![mib(holdings.memory), files(holdings), threads(holdings)])
    });
    report.series(Series {
        name: "soak: what the host holds".to_owned(),
        along: "seconds".to_owned(),
        columns: ["MiB resident", "open files", "threads"].map(str::to_owned).to_vec(),
        points: points.collect(),
        why: "Slots of the sandbox and caches fill in the first minutes; what grew after that would be a leak."
            .to_owned(),
    });
    let none = Wanted::AtMost(0.0);
    report.target("soak: lost requests", none, results.lost_count() as f64);
    report.target("soak: hostile requests without an answer", none, results::unanswered(neighbour) as f64);
    report.target("soak: swaps and reloads that went wrong", none, deeds.wrong.len() as f64);
    let what = "soak: resident memory, last third against first third";
    report.target(what, Wanted::AtMost(1.10), to / from.max(1.0));
    let missed = report.missed().join("; ");
    if !missed.is_empty() {
        report.failed("soak", &missed);
    }
    Ok(())
}

fn files(holdings: &Holdings) -> f64 {
    holdings.files as f64
}

fn threads(holdings: &Holdings) -> f64 {
    holdings.threads as f64
}
