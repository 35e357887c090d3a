//! What is measured, in the order in which it is run.

mod before;
mod cold;
mod hostile;
mod pages;
mod scaling;
mod soak;
mod swap;
mod troubled;

use crate::{
    arguments::Arguments,
    arms::{Arm, Node, Server, Setting},
    fixture::{Artifacts, Fixture},
    load::Plan,
    measure::{self, Effort, Job, Row},
    report::Report,
    roles::Cache,
    say,
};
use demo_services::Sizes;
use std::{fmt::Write as _, time::Instant};

const SIZES: Sizes = Sizes { films: 5_000, people: 12_000, reviews: 20_000 };

const WORKLOADS: [(&str, &str); 21] = [
    ("page-off", "page of 100 items by 10 authors, nothing cached"),
    ("page-principal", "the same, replies cached for each caller alone"),
    ("page-public", "the same, replies cached for everybody"),
    ("page-latency", "the same, open loop at 70 % of what the hand-written server can take"),
    ("lookup", "one call, a reply of 100 bytes"),
    ("before", "page and lookup beside an earlier build, both at the same time (--baseline)"),
    ("levels", "three levels: list, items with films and authors, directors and counters"),
    ("megabyte", "a page of 1 MB"),
    ("response-cache", "a whole response from the cache against a static route of axum"),
    ("zipf", "keys after Zipf, the cache has room for 10 % of them"),
    ("failing", "a backend that fails 10 % of its calls"),
    ("slow", "a backend that takes 100 ms"),
    ("swap", "the plugin is replaced every second under load"),
    ("hostile", "open loop at 30 % load beside a plugin that spins, allocates and floods"),
    ("thousand", "1,000 plugins: memory, and time from compiled cache to ready"),
    ("cold", "compiling one plugin, from artifact to ready"),
    ("scale-items", "CPU per request against items per page"),
    ("scale-plugins", "CPU per request against plugins loaded"),
    ("scale-keys", "CPU per request against keys cached"),
    ("scale-clients", "CPU per request against clients connected"),
    ("naive", "the naive loop, for its upstream calls"),
];

/// For `--help`.
pub(crate) fn help() -> String {
    let mut help = "Workloads:\n".to_owned();
    for (name, about) in WORKLOADS {
        // Writing to a string can't fail.
        let _ = writeln!(help, "  {name:<15} {about}");
    }
    help.push_str(
        "\nExamples:\n  cargo bench                                  everything, about three quarters of an hour\n  \
         cargo bench -- --quick                       everything, shorter and noisier\n  \
         cargo bench -- --only page --json out.json   the pages only, and all figures in a file\n  \
         cargo bench -- --readme                      everything, and the results into the README\n  \
         cargo bench -- --soak 30                     half an hour of everything at once: what is lost, and memory",
    );
    help
}

/// What all workloads need.
pub(crate) struct Bench {
    pub(crate) effort: Effort,
    pub(crate) artifacts: Artifacts,
    pub(crate) fixture: Fixture,
    pub(crate) report: Report,
    pub(crate) node: bool,
}

/// All that were asked for, then the report.
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let known = |only: &&String| !WORKLOADS.iter().any(|(name, _)| name.starts_with(only.as_str()));
    if let Some(unknown) = arguments.only.iter().find(known) {
        anyhow::bail!("there is no workload {unknown:?}; `cargo bench -- --help` lists them");
    }
    raise_files();
    say("building the plugins");
    let artifacts = Artifacts::build().await?;
    say("starting the services");
    let fixture = Fixture::start(artifacts.clone(), arguments.baseline.clone(), SIZES).await?;
    let node = !arguments.no_node && Node::prepare().await;
    let mut bench = Bench { effort: arguments.effort(), artifacts, fixture, report: Report::new(), node };
    if let Some(minutes) = arguments.soak {
        soak::run(&mut bench, minutes).await?;
    } else {
        for (name, about) in WORKLOADS.into_iter().filter(|(name, _)| arguments.wants(name)) {
            say(format_args!("{name}: {about}"));
            let started = Instant::now();
            if let Err(error) = bench.workload(name).await {
                say(format_args!("    failed: {error:#}"));
                bench.report.failed(name, &format!("{error:#}"));
            }
            say(format_args!("    took {:.0} s", started.elapsed().as_secs_f64()));
        }
    }
    bench.report.write(arguments)
}

impl Bench {
    async fn workload(&mut self, name: &str) -> anyhow::Result<()> {
        match name {
            "page-off" => pages::page(self, name, Cache::Off).await,
            "page-principal" => pages::page(self, name, Cache::Principal).await,
            "page-public" => pages::page(self, name, Cache::Public).await,
            "page-latency" => pages::latency(self, name).await,
            "lookup" => pages::lookup(self, name).await,
            "levels" => pages::levels(self, name).await,
            "megabyte" => pages::megabyte(self, name).await,
            "response-cache" => pages::response_cache(self, name).await,
            "zipf" => pages::zipf(self, name).await,
            "failing" => troubled::failing(self, name).await,
            "slow" => troubled::slow(self, name).await,
            "swap" => swap::run(self, name).await,
            "hostile" => hostile::run(self, name).await,
            "thousand" => cold::thousand(self, name).await,
            "cold" => cold::compile(self, name).await,
            "scale-items" => scaling::items(self, name).await,
            "scale-plugins" => scaling::plugins(self, name).await,
            "scale-keys" => scaling::keys(self, name).await,
            "scale-clients" => scaling::clients(self, name).await,
            "before" => before::run(self, name).await,
            "naive" => pages::naive(self, name).await,
            _ => Ok(()),
        }
    }

    /// The arms of a workload; without Node and without an earlier build where there is none.
    pub(crate) async fn servers(&self, arms: &[Arm], setting: Setting) -> anyhow::Result<Vec<Server>> {
        let mut servers = Vec::new();
        let is_there = |arm: &&Arm| match arm {
            Arm::Node => self.node,
            Arm::IsolatedBefore | Arm::ReuseBefore => self.fixture.baseline.is_some(),
            _ => true,
        };
        for arm in arms.iter().filter(is_there) {
            servers.push(Server::start(&self.fixture, *arm, setting).await?);
        }
        Ok(servers)
    }

    /// Closed loop over these arms; the rows go to the report.
    pub(crate) async fn closed(
        &mut self,
        name: &str,
        arms: &[Arm],
        setting: Setting,
        plan: Plan,
        effort: Effort,
    ) -> anyhow::Result<Vec<Row>> {
        let mut servers = self.servers(arms, setting).await?;
        let rows = measure::measure(&self.fixture, effort, &mut servers, &Job::closed(name, plan)).await?;
        self.report.rows(&rows);
        Ok(rows)
    }
}

/// Thousands of connections need as many files; the highest that is allowed without asking.
fn raise_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // If it can't be raised, the workload with many clients says so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
