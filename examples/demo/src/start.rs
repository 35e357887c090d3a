//! Starting what was built: the ports first, then the services, then the host.

use crate::{
    crew::{Crew, Role},
    layout::Layout,
    say, web,
};
use anyhow::{Context, anyhow, bail};
use demo::configuration::{Addresses, derive, with_admin_token};
use serde_json::Value;
use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout};

/// Building and starting, in steps.
pub(crate) const STEPS: u8 = 5;
/// How long a service may take until it listens.
const SERVICE_START: Duration = Duration::from_secs(30);
/// How long the host may take until it is ready; it compiles the plugins when it sees them for the first time.
const HOST_START: Duration = Duration::from_secs(120);

/// The addresses, if nobody else listens there. Port 0 becomes a free port.
pub(crate) fn free(asked: &Addresses) -> anyhow::Result<Addresses> {
    let mut ports = Ports::default();
    let http = ports.take(asked.http, "the host", "--http 127.0.0.1:18080");
    let admin = ports.take(asked.admin, "the host's admin side", "--admin 127.0.0.1:19090");
    for (name, address) in asked.services() {
        ports.take(address, &format!("service {name}"), "--services-port 60051");
    }
    if ports.problems.is_empty() {
        return Ok(Addresses { http, admin, services: asked.services });
    }
    let (problems, ways) = (ports.problems.join("\n  "), ports.ways.join(" "));
    bail!("nothing was started:\n  {problems}\nOther ports can be given, for instance: cargo demo -- {ways}")
}

/// All ports are held until all were tried, so that two of the demo's own can't have the same.
#[derive(Debug, Default)]
struct Ports {
    held: Vec<TcpListener>,
    problems: Vec<String>,
    /// Options that would help, as an example.
    ways: Vec<&'static str>,
}

impl Ports {
    fn take(&mut self, address: SocketAddr, part: &str, way: &'static str) -> SocketAddr {
        let held = self.held.iter().any(|other| other.local_addr().is_ok_and(|other| other == address));
        let bound = TcpListener::bind(address).and_then(|listener| Ok((listener.local_addr()?, listener)));
        let problem = match bound {
            Ok((bound, listener)) => {
                self.held.push(listener);
                return bound;
            }
            Err(_) if held => format!("{part} and another part of the demo are both to listen on {address}"),
            Err(error) => format!("{part} can't listen on {address}: {}", reason(&error)),
        };
        self.problems.push(problem);
        if !self.ways.contains(&way) {
            self.ways.push(way);
        }
        address
    }
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => "the port is taken".to_owned(),
        _ => error.to_string(),
    }
}

/// Services and host. `echo`: what the host says is shown.
pub(crate) async fn all(layout: &Layout, addresses: &Addresses, crew: &mut Crew, echo: bool) -> anyhow::Result<()> {
    say::step(4, STEPS, "Starting the four services");
    services(layout, addresses, crew).await?;
    say::step(5, STEPS, "Starting the host");
    host(layout, addresses, crew, echo).await?;
    show_plugins(layout, addresses.admin).await
}

async fn services(layout: &Layout, addresses: &Addresses, crew: &mut Crew) -> anyhow::Result<()> {
    let mut tails = Vec::new();
    for (name, address) in addresses.services() {
        let mut command = layout.command(layout.program("demo-services"));
        command.args([name, "--listen", &address.to_string()]);
        tails.push((name, address, crew.stay(&format!("service {name}"), Role::Service, command, false)?));
    }
    for (name, address, tail) in tails {
        let ready = timeout(SERVICE_START, tail.hears("listening on"));
        tokio::select! {
            ready = ready => ready.map_err(|_| anyhow!("service {name} does not listen after {SERVICE_START:?}:\n{}", tail.text()))?,
            death = crew.first_death() => return Err(death),
        }
        say::detail(&format!("{name:<10} {address}"));
    }
    Ok(())
}

async fn host(layout: &Layout, addresses: &Addresses, crew: &mut Crew, echo: bool) -> anyhow::Result<()> {
    let configuration = configuration(layout, addresses)?;
    let line = format!("weft serve --config {}", layout.shown(&configuration));
    say::detail(&say::dim(line));
    let mut command = layout.command(layout.program("weft"));
    // What it says is read by the demo, which has colours of its own.
    command.args(["serve", "--config", &layout.shown(&configuration)]).env("NO_COLOR", "1");
    let since = Instant::now();
    let tail = crew.stay("host", Role::Host, command, echo)?;
    let ready = timeout(HOST_START, async {
        while !web::get(addresses.admin, "/readyz").await.is_ok_and(|answer| answer.status == 200) {
            sleep(Duration::from_millis(50)).await;
        }
    });
    tokio::select! {
        ready = ready => ready.map_err(|_| anyhow!("the host is not ready after {HOST_START:?}:\n{}", tail.text()))?,
        death = crew.first_death() => return Err(death),
    }
    say::detail(&format!("http://{}, ready after {:.1} s", addresses.http, since.elapsed().as_secs_f64()));
    Ok(())
}

/// Derived from the demo's own configuration, for these addresses and with a token for its admin side.
fn configuration(layout: &Layout, addresses: &Addresses) -> anyhow::Result<PathBuf> {
    let example = layout.root.join("examples/weft.toml");
    let text = fs::read_to_string(&example).with_context(|| format!("{} can't be read", example.display()))?;
    let derived = derive(&text, &layout.root.join("examples"), addresses)?;
    let derived = with_admin_token(&derived, &layout.admin_token()?)?;
    let file = layout.own().join("weft.toml");
    let written = fs::create_dir_all(layout.own()).and_then(|()| fs::write(&file, derived));
    written.with_context(|| format!("{} can't be written", file.display()))?;
    Ok(file)
}

/// Says which plugins serve, and refuses to go on without one that was built.
pub(crate) async fn show_plugins(layout: &Layout, admin: SocketAddr) -> anyhow::Result<()> {
    let answer = web::get_admin(layout, admin, "/v1/plugins").await?;
    let state: Value = serde_json::from_slice(&answer.body).context("/v1/plugins of the host is no JSON")?;
    let list = |name: &str| state.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or("?").to_owned();
    let live = list("plugins");
    for plugin in &live {
        let endpoints = plugin.get("endpoints").and_then(Value::as_array).map_or(0, Vec::len);
        let (name, version, client) = (text(plugin, "name"), text(plugin, "version"), text(plugin, "client"));
        say::detail(&format!("{name} {version} serves {endpoints} endpoints to client {client}"));
    }
    let refused: Vec<_> = list("refused")
        .iter()
        .map(|report| {
            let (file, reason) = (text(report, "file"), text(report, "refused"));
            format!("{} is refused: {reason}", layout.shown(Path::new(&file)))
        })
        .collect();
    refused.iter().for_each(|line| say::detail(line));
    for folder in layout.plugins()? {
        let name = plugin_name(&folder)?;
        if !live.iter().any(|plugin| text(plugin, "name") == name) {
            bail!("plugin {name} was built and does not serve\n{}", refused.join("\n"));
        }
    }
    Ok(())
}

fn plugin_name(folder: &Path) -> anyhow::Result<String> {
    let file = folder.join("plugin.toml");
    let text = fs::read_to_string(&file).with_context(|| format!("{} can't be read", file.display()))?;
    let manifest: toml::Table = text.parse().with_context(|| format!("{} is no TOML", file.display()))?;
    let name = manifest.get("plugin").and_then(|plugin| plugin.get("name")).and_then(toml::Value::as_str);
    name.map(str::to_owned).with_context(|| format!("{} has no plugin.name", file.display()))
}
