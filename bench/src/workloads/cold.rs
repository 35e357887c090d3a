//! Starting: one plugin from its artifact, a thousand from compiled code.

use super::Bench;
use crate::{
    arms::{self, Arm, Host, Isolation, Server, Setting, pages},
    artifacts::{self, set},
    expected,
    load::{Ask, Load, Pace, Plan},
    report::Wanted,
    roles::{Backends, Cache},
};
use anyhow::Context;
use bytes::Bytes;
use std::{
    fmt::Write as _,
    io::Write as _,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use weft::model::Digest;

/// What compiled code ends with: a digest over its name and itself.
const SEAL: usize = 32;

/// Compiling, and everything else from the command to `ready`.
pub(super) async fn compile(bench: &mut Bench, name: &str) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    let mut took = Vec::new();
    for _ in 0..2 {
        let host = Host::empty(bench.fixture.backends, Setting::of(Cache::Off), "", Some(folder.path()))?;
        host.install("pages.wasm", &pages(&bench.artifacts.pages, Isolation::Request)?)?;
        let started = Instant::now();
        let server = arms::start_host(host, Arm::Isolated).await?;
        took.push((started.elapsed(), server.process.cpu().since(&Default::default())));
    }
    if let [(cold, cold_cpu), (warm, warm_cpu)] = took.as_slice() {
        bench.report.note(&format!(
            "{name}: ready after {:.2} s ({:.2} CPU-seconds) with one plugin to compile, {:.2} s ({:.2}) when it is compiled; \
             the artifact has {} KiB, its code {} KiB",
            cold.as_secs_f64(),
            cold_cpu.as_secs_f64(),
            warm.as_secs_f64(),
            warm_cpu.as_secs_f64(),
            bench.artifacts.pages.len() >> 10,
            size(folder.path())? >> 10,
        ));
    }
    Ok(())
}

fn size(folder: &Path) -> anyhow::Result<u64> {
    let mut size = 0;
    for entry in std::fs::read_dir(folder)? {
        size += entry?.metadata()?.len();
    }
    Ok(size)
}

/// Many plugins that differ in name and client, with their code compiled.
pub(super) struct Crowd {
    pub(super) server: Server,
    pub(super) ready_after: Duration,
    _compiled: tempfile::TempDir,
}

impl Crowd {
    pub(super) async fn start(backends: Backends, artifact: &Bytes, count: usize) -> anyhow::Result<Self> {
        let compiled = tempfile::Builder::new().prefix("compiled-").tempdir_in(crate::fixture::folder("hosts")?)?;
        std::fs::set_permissions(compiled.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        let mut clients = String::new();
        for number in 0..count {
            writeln!(clients, "[[client]]\nname = \"c{number}\"\nprefix = \"/c{number}\"\n")?;
        }
        let host = Host::empty(backends, Setting::of(Cache::Off), &clients, Some(compiled.path()))?;
        let code = Code::find(artifact).await?;
        for number in 0..count {
            let plugin = artifacts::stamped(artifact, |manifest| {
                set(manifest, "plugin", "name", format!("p{number}"));
                set(manifest, "plugin", "client", format!("c{number}"));
            })?;
            code.lay(&plugin, compiled.path())?;
            host.install(&format!("p{number}.wasm"), &plugin)?;
        }
        let started = Instant::now();
        let server = arms::start_host(host, Arm::Isolated).await?;
        Ok(Self { server, ready_after: started.elapsed(), _compiled: compiled })
    }

    /// The page of one person, from each plugin in turn.
    pub(super) fn plan(bench: &Bench, count: usize) -> Plan {
        let person = bench.fixture.data.people().first().map_or(1, |person| person.id);
        let body = expected::person(&bench.fixture.data, person);
        Arc::new(move |number| {
            let client = number % count as u64;
            Ask { path: format!("/c{client}/people/{person}").into(), body: body.clone(), signed: true }
        })
    }
}

/// The compiled code of the pages. A stamp changes the manifest and not the code, so each stamped artifact gets a copy of it under
/// its own digest, sealed as the host seals it, instead of a thousand compilations.
struct Code {
    code: Vec<u8>,
    /// What follows the digest in its name.
    rest: String,
}

impl Code {
    /// In the folder of the other workloads, where a host has put it; or has it put there.
    async fn find(artifact: &Bytes) -> anyhow::Result<Self> {
        let digest = Digest::of(artifact).hex();
        for _ in 0..2 {
            for entry in std::fs::read_dir(arms::compiled()?).into_iter().flatten() {
                let file = entry?.path();
                let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                let rest = name.strip_prefix(&digest).and_then(|rest| rest.strip_suffix(".cwasm"));
                if let Some(rest) = rest.map(str::to_owned) {
                    let mut code = std::fs::read(file)?;
                    code.truncate(code.len().saturating_sub(SEAL));
                    return Ok(Self { code, rest });
                }
            }
            let nowhere = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
            let backends = Backends { catalog: nowhere, people: nowhere, reviews: nowhere };
            let host = Host::empty(backends, Setting::of(Cache::Off), "", None)?;
            host.install("pages.wasm", artifact)?;
            arms::start_host(host, Arm::Isolated).await?;
        }
        None.context("the compiled code of the pages can't be found")
    }

    fn lay(&self, artifact: &Bytes, folder: &Path) -> anyhow::Result<()> {
        let name = format!("{}{}", Digest::of(artifact).hex(), self.rest);
        let seal = Digest::of(&[name.as_bytes(), &self.code].concat());
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(folder.join(format!("{name}.cwasm")))?;
        file.write_all(&self.code)?;
        Ok(file.write_all(seal.bytes())?)
    }
}

pub(super) async fn thousand(bench: &mut Bench, name: &str) -> anyhow::Result<()> {
    const COUNT: usize = 1_000;
    let crowd = Crowd::start(bench.fixture.backends, &bench.artifacts.pages, COUNT).await?;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let at_start = mib(crowd.server.process.memory().now);
    let plan = Crowd::plan(bench, COUNT);
    let load = Load { address: crowd.server.address, connections: 8, pace: Pace::Closed, plan, connected: false };
    let tally = load.run(Duration::from_secs(4)).await;
    let after = mib(crowd.server.process.memory().now);
    bench.report.note(&format!(
        "{name}: ready after {:.2} s with {at_start:.0} MiB; {after:.0} MiB after {} requests to all of them, {} failed {:?}",
        crowd.ready_after.as_secs_f64(),
        tally.done,
        tally.failures(),
        tally.failed,
    ));
    bench.report.target(&format!("{name}: resident memory, GiB"), Wanted::AtMost(1.0), after / 1024.0);
    let ready = crowd.ready_after.as_secs_f64();
    bench.report.target(&format!("{name}: seconds from compiled cache to ready"), Wanted::AtMost(2.0), ready);
    Ok(())
}
