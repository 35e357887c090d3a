//! Runs of several arms, interleaved; medians and spread.

use crate::{
    arms::{Arm, Server},
    fixture::Fixture,
    load::{Load, Pace, Plan, Tally},
    say,
};
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};

/// How much is run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    pub(crate) warm: Duration,
    pub(crate) measured: Duration,
    pub(crate) quick: bool,
}

impl Effort {
    /// For workloads whose point is not a ratio of a few percent.
    pub(crate) fn fewer(self) -> Self {
        Self { rounds: self.rounds.div_ceil(2), ..self }
    }
}

/// One run of one arm.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) tally: Tally,
    pub(crate) cpu: Duration,
    pub(crate) upstream: u64,
    pub(crate) memory: u64,
}

impl Sample {
    fn per_cpu_second(&self) -> f64 {
        good(&self.tally) / self.cpu.as_secs_f64().max(1e-9)
    }
}

fn good(tally: &Tally) -> f64 {
    (tally.done - tally.failures()) as f64
}

/// What was found out about one arm at one workload. Medians over the rounds.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) workload: String,
    pub(crate) arm: Arm,
    /// Requests that went well, per second of CPU time of the process under test.
    pub(crate) per_cpu_second: f64,
    /// (highest − lowest) / median of it.
    pub(crate) spread: f64,
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    /// The highest that it has been, in MiB.
    pub(crate) memory_mib: f64,
    pub(crate) upstream_per_request: f64,
    pub(crate) requests: u64,
    pub(crate) failed: BTreeMap<String, u64>,
    pub(crate) rounds: usize,
}

impl Row {
    pub(crate) fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Microseconds of CPU time for one request.
    pub(crate) fn cpu_micros(&self) -> f64 {
        1e6 / self.per_cpu_second.max(1e-9)
    }
}

/// What one workload asks of its arms.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) workload: String,
    pub(crate) connections: usize,
    pub(crate) pace: Pace,
    pub(crate) plan: Plan,
}

impl Job {
    /// Closed loop over so many connections as keep all cores busy, and no more than a host always lets in, however short of CPU it
    /// is (18 of normal priority).
    pub(crate) fn closed(workload: &str, plan: Plan) -> Self {
        Self { workload: workload.to_owned(), connections: 16, pace: Pace::Closed, plan }
    }
}

/// Runs the job on all servers in turns.
pub(crate) async fn measure(
    fixture: &Fixture,
    effort: Effort,
    servers: &mut [Server],
    job: &Job,
) -> anyhow::Result<Vec<Row>> {
    let mut samples: Vec<Vec<Sample>> = servers.iter().map(|_| Vec::new()).collect();
    for round in 0..effort.rounds {
        // Who goes first has a cooler machine; so everybody does once.
        let count = servers.len();
        for turn in 0..count {
            let place = (turn + round) % count;
            let (Some(server), Some(samples)) = (servers.get_mut(place), samples.get_mut(place)) else { continue };
            samples.push(once(fixture, effort, server, job).await?);
        }
    }
    let rows = servers.iter().zip(&samples).filter_map(|(server, samples)| row(job, server.arm, samples));
    let rows: Vec<Row> = rows.collect();
    for row in &rows {
        say(format_args!(
            "    {:<13} {:>8.0} per CPU-second  p50 {:>7.2} ms  p99 {:>7.2} ms  {:.2} upstream  {} failed",
            row.arm.name(),
            row.per_cpu_second,
            row.p50_ms,
            row.p99_ms,
            row.upstream_per_request,
            row.failures(),
        ));
    }
    Ok(rows)
}

/// One warm-up and one run.
pub(crate) async fn once(fixture: &Fixture, effort: Effort, server: &mut Server, job: &Job) -> anyhow::Result<Sample> {
    let load = Load {
        address: server.address,
        connections: job.connections,
        pace: job.pace,
        plan: job.plan.clone(),
        connected: true,
    };
    load.run(effort.warm).await;
    fixture.reset().await?;
    let before = server.process.cpu();
    let tally = load.run(effort.measured).await;
    let cpu = server.process.cpu().since(&before);
    if server.process.has_ended() {
        anyhow::bail!("{} has ended under load; its log is in target/bench/logs", server.arm.name());
    }
    Ok(Sample { tally, cpu, upstream: fixture.calls().await?, memory: server.process.memory().highest })
}

/// Rounds of two servers at the same time, each under half of the job's load: for each, the CPU time of a request of the first, as a
/// multiple of the second's.
pub(crate) async fn beside(
    effort: Effort,
    one: &mut Server,
    other: &mut Server,
    job: &Job,
) -> anyhow::Result<Vec<f64>> {
    let load = |server: &Server| Load {
        address: server.address,
        connections: (job.connections / 2).max(1),
        pace: job.pace,
        plan: job.plan.clone(),
        connected: true,
    };
    let (first, second) = (load(one), load(other));
    tokio::join!(first.run(effort.warm * 2), second.run(effort.warm * 2));
    let mut ratios = Vec::new();
    // Many short rounds: a disturbance spoils one of them, and not the median.
    for _ in 0..effort.rounds * 6 {
        let before = (one.process.cpu(), other.process.cpu());
        let tallies = tokio::join!(first.run(effort.measured / 3), second.run(effort.measured / 3));
        let cpu = (one.process.cpu().since(&before.0), other.process.cpu().since(&before.1));
        for server in [&mut *one, &mut *other] {
            if server.process.has_ended() {
                anyhow::bail!("{} has ended under load; its log is in target/bench/logs", server.arm.name());
            }
        }
        let of_one = cpu.0.as_secs_f64() / good(&tallies.0).max(1.0);
        ratios.push(of_one / (cpu.1.as_secs_f64() / good(&tallies.1).max(1.0)));
    }
    Ok(ratios)
}

/// Puts the samples of one arm together.
pub(crate) fn row(job: &Job, arm: Arm, samples: &[Sample]) -> Option<Row> {
    let of = |figure: &dyn Fn(&Sample) -> f64| -> Vec<f64> { samples.iter().map(figure).collect() };
    let per_cpu = of(&Sample::per_cpu_second);
    let middle = median(&per_cpu)?;
    let (lowest, highest) = per_cpu.iter().fold((f64::MAX, 0.0_f64), |(low, high), x| (low.min(*x), high.max(*x)));
    let requests: u64 = samples.iter().map(|sample| sample.tally.done).sum();
    let upstream: u64 = samples.iter().map(|sample| sample.upstream).sum();
    let mut failed = BTreeMap::new();
    for (reason, count) in samples.iter().flat_map(|sample| &sample.tally.failed) {
        *failed.entry(reason.clone()).or_default() += count;
    }
    Some(Row {
        workload: job.workload.clone(),
        arm,
        per_cpu_second: middle,
        spread: (highest - lowest) / middle.max(1e-9),
        per_second: median(&of(&|s| good(&s.tally) / s.tally.took.as_secs_f64()))?,
        p50_ms: median(&of(&|s| s.tally.quantile(0.5)))?,
        p99_ms: median(&of(&|s| s.tally.quantile(0.99)))?,
        p999_ms: median(&of(&|s| s.tally.quantile(0.999)))?,
        memory_mib: samples.iter().map(|s| s.memory).max()? as f64 / f64::from(1 << 20),
        upstream_per_request: upstream as f64 / (requests.max(1)) as f64,
        requests,
        failed,
        rounds: samples.len(),
    })
}

pub(crate) fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted.get(sorted.len().checked_sub(1)? / 2)?, sorted.get(sorted.len() / 2)?);
    Some((low + high) / 2.0)
}
