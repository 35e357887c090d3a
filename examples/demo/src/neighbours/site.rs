//! Where everything is: ports of this machine alone.

use crate::say;
use anyhow::Context;
use demo::configuration::SERVICES;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Addresses of all that is started. The port of a service that moves is another one then.
#[derive(Debug)]
pub(crate) struct Site {
    ports: Ports,
    pub(crate) etcd: SocketAddr,
    pub(crate) etcd_peers: SocketAddr,
    /// Where clients ask.
    pub(crate) gateway: SocketAddr,
    pub(crate) gateway_admin: SocketAddr,
    /// Each with its admin side.
    pub(crate) hosts: [(SocketAddr, SocketAddr); 2],
    /// In the order of [`demo::configuration::SERVICES`].
    pub(crate) services: [SocketAddr; 4],
    /// Where traces go.
    pub(crate) receiver: SocketAddr,
}

/// Ports that nobody listens at. They lie below those that the system hands out to connections, so that they are still free when a
/// program is started again.
#[derive(Debug)]
struct Ports(u32);

impl Ports {
    fn next(&mut self) -> anyhow::Result<SocketAddr> {
        for _ in 0..SPAN {
            self.0 = (self.0 + 1) % SPAN;
            let port = u16::try_from(FIRST + self.0)?;
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            if TcpListener::bind(address).is_ok() {
                return Ok(address);
            }
        }
        None.context("no port of 127.0.0.1 is free")
    }
}

const FIRST: u32 = 20_000;
const SPAN: u32 = 12_000;

impl Site {
    pub(crate) fn new() -> anyhow::Result<Self> {
        // Two demos at once begin elsewhere.
        let mut ports = Ports(std::process::id().wrapping_mul(100) % SPAN);
        let mut next = || ports.next();
        let (etcd, etcd_peers, gateway, gateway_admin) = (next()?, next()?, next()?, next()?);
        let hosts = [(next()?, next()?), (next()?, next()?)];
        let services = [next()?, next()?, next()?, next()?];
        let receiver = next()?;
        Ok(Self { etcd, etcd_peers, gateway, gateway_admin, hosts, services, receiver, ports })
    }

    /// A host and its admin side.
    pub(crate) fn host(&self, place: usize) -> anyhow::Result<(SocketAddr, SocketAddr)> {
        self.hosts.get(place).copied().context("there are two hosts")
    }

    /// Where this service is.
    pub(crate) fn service(&mut self, name: &str) -> anyhow::Result<&mut SocketAddr> {
        let found = SERVICES.iter().zip(&mut self.services).find(|(own, _)| **own == name);
        found.map(|(_, address)| address).context("there is no such service")
    }

    pub(crate) fn port(&mut self) -> anyhow::Result<SocketAddr> {
        self.ports.next()
    }

    /// What to try.
    pub(crate) fn tips(&self) {
        let (gateway, [(_, one), (_, other)]) = (self.gateway, self.hosts);
        say::line(&format!(
            "
{everything} Try, in another terminal:

  curl -i http://{gateway}/web/films/51
  curl -i http://{gateway}/ios/films/51 -H '{recorded}: 1'      # recorded: the trace is named in `traceparent`
  curl http://{one}/v1/backends -H \"authorization: Bearer $(cat target/demo/admin-token)\"  # what a host knows of its services; the other: {other}
  curl 'http://{admin}/clusters'                              # what Envoy knows of its hosts
  ETCDCTL_API=3 etcdctl --endpoints={etcd} get --prefix /microservices

Ctrl-C stops everything.",
            everything = say::green("Everything runs."),
            recorded = demo::envoy::RECORDED,
            admin = self.gateway_admin,
            etcd = self.etcd,
        ));
    }
}
