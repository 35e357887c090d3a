//! Starting everything, from who is needed to who needs.

use super::{STEPS, patience::until, programs::Programs, receiver::Receiver, site::Site};
use crate::{
    crew::{Crew, Role},
    layout::Layout,
    say, start, web,
};
use anyhow::Context;
use demo::{
    configuration::{Addresses, Neighbours, SERVICES, among, with_admin_token},
    envoy::{self, Envoy},
};
use serde_json::Value;
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};
use tokio::process::Command;

/// The name of a host's process; there are two.
pub(crate) fn host_name(place: usize) -> String {
    format!("host {}", place + 1)
}

/// The name of a service's process.
pub(crate) fn service_name(name: &str, address: SocketAddr) -> String {
    format!("service {name} at {address}")
}

pub(crate) async fn all(
    layout: &Layout,
    crew: &mut Crew,
    programs: &Programs,
    site: &mut Site,
) -> anyhow::Result<Receiver> {
    say::step(4, STEPS, "Starting etcd, and a receiver of traces");
    etcd(crew, programs, site).await?;
    let receiver = Receiver::start(crew, programs, site).await?;

    say::step(5, STEPS, "Starting the four services, which register in etcd");
    for (name, address) in SERVICES.into_iter().zip(site.services) {
        service(layout, crew, site, name, address).await?;
        say::detail(&format!("{name:<10} {address}"));
    }

    say::step(6, STEPS, "Starting two hosts, which find the services in etcd, and Envoy in front");
    for place in 0..site.hosts.len() {
        let file = configuration(layout, crew, site, place)?;
        host(layout, crew, site, place, &file).await?;
        if place == 0 {
            start::show_plugins(layout, site.host(0)?.1).await?;
        }
    }
    gateway(layout, crew, programs, site).await?;
    Ok(receiver)
}

async fn etcd(crew: &mut Crew, programs: &Programs, site: &Site) -> anyhow::Result<()> {
    let (clients, peers) = (format!("http://{}", site.etcd), format!("http://{}", site.etcd_peers));
    let mut command = Command::new(&programs.etcd);
    command.arg("--data-dir").arg(crew.folder()?.join("etcd"));
    command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
    command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
    command.args(["--initial-cluster", &format!("default={peers}"), "--log-level", "error"]);
    crew.stay("etcd", Role::Neighbour, command, false)?;
    let address = site.etcd;
    until(
        crew,
        || "waiting for etcd".to_owned(),
        async || {
            let answer = web::get(address, "/health").await.ok()?;
            (answer.status == 200).then_some(())
        },
    )
    .await?;
    say::detail(&format!("{:<10} {address}", "etcd"));
    Ok(())
}

/// Once it is registered, and listens.
pub(crate) async fn service(
    layout: &Layout,
    crew: &mut Crew,
    site: &Site,
    name: &'static str,
    address: SocketAddr,
) -> anyhow::Result<()> {
    let mut command = layout.command(layout.program("demo-services"));
    command.args([name, "--listen", &address.to_string(), "--register", &format!("http://{}", site.etcd)]);
    command.args(["--traces", &format!("http://{}", site.receiver)]);
    let tail = crew.stay(&service_name(name, address), Role::Service, command, false)?;
    until(crew, || format!("waiting for {name}"), async || tail.line("listening on").map(drop)).await
}

/// What the host of this place reads.
pub(crate) fn configuration(layout: &Layout, crew: &mut Crew, site: &Site, place: usize) -> anyhow::Result<PathBuf> {
    let example = layout.root.join("examples/weft.toml");
    let text = fs::read_to_string(&example).with_context(|| format!("{} can't be read", example.display()))?;
    let (http, admin) = site.host(place)?;
    let addresses = Addresses { http, admin, ..Addresses::default() };
    let neighbours = Neighbours { etcd: site.etcd, receiver: site.receiver };
    let text = among(&text, &layout.root.join("examples"), &addresses, &neighbours)?;
    let text = with_admin_token(&text, &layout.admin_token()?)?;
    written(crew.folder()?.join(format!("weft-{}.toml", place + 1)), &text)
}

fn written(file: PathBuf, text: &str) -> anyhow::Result<PathBuf> {
    fs::write(&file, text).with_context(|| format!("{} can't be written", file.display()))?;
    Ok(file)
}

/// Once it is ready, and knows every service.
pub(crate) async fn host(
    layout: &Layout,
    crew: &mut Crew,
    site: &Site,
    place: usize,
    configuration: &Path,
) -> anyhow::Result<()> {
    let mut command = layout.command(layout.program("weft"));
    command.args(["serve", "--config"]).arg(configuration).env("NO_COLOR", "1");
    let (name, (http, admin)) = (host_name(place), site.host(place)?);
    crew.stay(&name, Role::Host, command, false)?;
    until(
        crew,
        || format!("waiting for {name}"),
        async || {
            let is_ready = web::get(admin, "/readyz").await.is_ok_and(|answer| answer.status == 200);
            (is_ready && known(layout, admin, None).await.len() == SERVICES.len()).then_some(())
        },
    )
    .await?;
    say::detail(&format!("{name:<10} http://{http}"));
    Ok(())
}

/// Where a host has found services, or this one: what `/v1/backends` says.
pub(crate) async fn known(layout: &Layout, admin: SocketAddr, service: Option<&str>) -> Vec<String> {
    let Ok(answer) = web::get_admin(layout, admin, "/v1/backends").await else { return Vec::new() };
    let state: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let list = |value: &Value, name: &str| value.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let backends = list(&state, "backends").into_iter();
    let wanted =
        backends.filter(|backend| service.is_none_or(|name| backend.get("name").is_some_and(|own| own == name)));
    let endpoints = wanted.flat_map(|backend| list(&backend, "endpoints"));
    endpoints.filter_map(|endpoint| Some(endpoint.get("address")?.as_str()?.to_owned())).collect()
}

async fn gateway(layout: &Layout, crew: &mut Crew, programs: &Programs, site: &Site) -> anyhow::Result<()> {
    let example = layout.root.join("examples/gateway/envoy.yaml");
    let text = fs::read_to_string(&example).with_context(|| format!("{} can't be read", example.display()))?;
    let jwks = layout.root.join("examples/identity/jwks.json");
    let at = Envoy {
        listen: site.gateway,
        admin: site.gateway_admin,
        hosts: site.hosts,
        receiver: site.receiver,
        jwks: &jwks,
    };
    let file = written(crew.folder()?.join("envoy.yaml"), &envoy::derive(&text, &at)?)?;
    let mut command = Command::new(&programs.envoy);
    command.arg("--config-path").arg(file).args(["--disable-hot-restart", "--concurrency", "2", "--log-level", "warn"]);
    crew.stay("Envoy", Role::Gateway, command, false)?;
    healthy(crew, site).await?;
    say::detail(&format!("{:<10} http://{}", "Envoy", site.gateway));
    Ok(())
}

/// Until Envoy's checks have found both hosts ready.
pub(crate) async fn healthy(crew: &mut Crew, site: &Site) -> anyhow::Result<()> {
    let (gateway, admin) = (site.gateway, site.gateway_admin);
    until(
        crew,
        || "waiting for Envoy to find both hosts ready".to_owned(),
        async || {
            let is_there = count(admin, "membership_healthy").await? == 2;
            (is_there && web::get(gateway, "/web/home").await.is_ok_and(|answer| answer.status == 200)).then_some(())
        },
    )
    .await
}

/// What Envoy has counted at its hosts.
pub(crate) async fn count(gateway_admin: SocketAddr, name: &str) -> Option<u64> {
    let path = format!("/stats?filter=^cluster.weft.{name}$");
    let answer = web::get(gateway_admin, &path).await.ok()?;
    String::from_utf8_lossy(&answer.body).trim().rsplit(' ').next()?.parse().ok()
}
