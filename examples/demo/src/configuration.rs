//! The demo's `weft.toml` at other addresses.

use anyhow::{Context, anyhow};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};
use toml::{Table, Value};

/// The four services, in the order of their ports. Each is a backend in `examples/weft.toml` too.
pub const SERVICES: [&str; 4] = ["catalog", "people", "reviews", "recommend"];

/// Where everything listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    pub http: SocketAddr,
    pub admin: SocketAddr,
    /// Of the first service; the others follow.
    pub services: u16,
}

impl Default for Addresses {
    /// Those of `examples/weft.toml`.
    fn default() -> Self {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self { http: local(8080), admin: local(9090), services: 50051 }
    }
}

impl Addresses {
    /// Each service with its address.
    pub fn services(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        let ports = self.services..=u16::MAX;
        SERVICES.into_iter().zip(ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))))
    }
}

/// `text`, the configuration in the folder `folder`, with these addresses and with absolute paths, so that it may lie elsewhere.
pub fn derive(text: &str, folder: &Path, addresses: &Addresses) -> anyhow::Result<String> {
    let mut root: Table = text.parse().context("the demo's configuration is no TOML")?;
    set(&mut root, &["http", "listen"], |_| addresses.http.to_string())?;
    set(&mut root, &["admin", "listen"], |_| addresses.admin.to_string())?;
    for keys in [["identity", "jwks"], ["plugins", "folder"], ["plugins", "compiled"]] {
        set(&mut root, &keys, |path| folder.join(path).display().to_string())?;
    }
    for (name, address) in addresses.services() {
        set(&mut root, &["backend", name, "endpoints"], |_| format!("static://{address}"))?;
    }
    Ok(format!("# Made by `cargo demo` from examples/weft.toml, and made anew each time.\n\n{root}"))
}

/// `text` with the place of the token for the host's admin side.
pub fn with_admin_token(text: &str, token: &Path) -> anyhow::Result<String> {
    let place = format!("file:{}", token.display());
    let (before, after) = text.split_once("[admin]\n").context("the demo's configuration has no `[admin]`")?;
    Ok(format!("{before}[admin]\ntoken = {place:?}\n{after}"))
}

/// Where the neighbours of a host are.
#[derive(Debug, Clone, Copy)]
pub struct Neighbours {
    /// Services are in it, in kratos' layout.
    pub etcd: SocketAddr,
    /// Takes OTLP over gRPC.
    pub receiver: SocketAddr,
}

/// As [`derive()`], among neighbours: a gateway on this machine is in front, backends are found in etcd, and what the gateway records is
/// recorded here too. However busy the machine is, no call is given up.
pub fn among(text: &str, folder: &Path, addresses: &Addresses, neighbours: &Neighbours) -> anyhow::Result<String> {
    let mut root: Table = derive(text, folder, addresses)?.parse().context("what was derived is no TOML")?;
    for name in SERVICES {
        let found = format!("etcd://{}/{name}?layout=kratos", neighbours.etcd);
        set(&mut root, &["backend", name, "endpoints"], |_| found)?;
        set(&mut root, &["backend", name, "timeout"], |_| "10s".to_owned())?;
    }
    let mut add = |section: &str, lines: Table| -> anyhow::Result<()> {
        let missing = || anyhow!("the demo's configuration has no `[{section}]`");
        root.get_mut(section).and_then(Value::as_table_mut).ok_or_else(missing)?.extend(lines);
        Ok(())
    };
    let http = "trusted-peers = [\"127.0.0.1\"]\ndrain-delay = \"3s\"\nheader-timeout = \"1s\"";
    add("http", http.parse()?)?;
    add("telemetry", format!("trace = {{ endpoint = \"http://{}\", ratio = \"0%\" }}", neighbours.receiver).parse()?)?;
    Ok(format!("# Made by `cargo demo -- --neighbours` from examples/weft.toml.\n\n{root}"))
}

/// Changes the string that stands there.
fn set(root: &mut Table, keys: &[&str], change: impl FnOnce(&str) -> String) -> anyhow::Result<()> {
    let [sections @ .., key] = keys else { return Ok(()) };
    let missing = || anyhow!("the demo's configuration has no `{}`, or it is no string", keys.join("."));
    let mut table = root;
    for section in sections {
        table = table.get_mut(*section).and_then(Value::as_table_mut).ok_or_else(missing)?;
    }
    let value = table.get_mut(*key).ok_or_else(missing)?;
    *value = Value::String(change(value.as_str().ok_or_else(missing)?));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../weft.toml");

    #[test]
    fn everything_is_moved_and_nothing_else_is_changed() {
        let addresses = Addresses { services: 60000, ..Addresses::default() };
        let text = derive(EXAMPLE, Path::new("/w/examples"), &addresses).unwrap();
        let table: Table = text.parse().unwrap();
        assert_eq!(table["plugins"]["folder"].as_str(), Some("/w/examples/../target/weft"));
        assert_eq!(table["identity"]["jwks"].as_str(), Some("/w/examples/identity/jwks.json"));
        assert_eq!(table["backend"]["recommend"]["endpoints"].as_str(), Some("static://127.0.0.1:60003"));
        assert_eq!(table["client"].as_array().map(Vec::len), Some(3));
        assert!(!text.contains(":5005"), "{text}");
    }

    #[test]
    fn the_admin_side_gets_its_token() {
        let text = derive(EXAMPLE, Path::new("/w/examples"), &Addresses::default()).unwrap();
        let table: Table = with_admin_token(&text, Path::new("/w/target/demo/token")).unwrap().parse().unwrap();
        assert_eq!(table["admin"]["token"].as_str(), Some("file:/w/target/demo/token"));
        assert_eq!(table["admin"]["listen"].as_str(), Some("127.0.0.1:9090"));
    }

    #[test]
    fn the_default_addresses_are_those_of_the_example() {
        let before: Table = EXAMPLE.parse().unwrap();
        let after: Table = derive(EXAMPLE, Path::new(""), &Addresses::default()).unwrap().parse().unwrap();
        assert_eq!(before, after);
        assert_eq!(before["backend"].as_table().unwrap().len(), SERVICES.len());
    }

    #[test]
    fn among_neighbours_backends_are_found_and_traces_leave() {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let neighbours = Neighbours { etcd: local(2379), receiver: local(4317) };
        let text = among(EXAMPLE, Path::new("/w/examples"), &Addresses::default(), &neighbours).unwrap();
        let table: Table = text.parse().unwrap();
        assert_eq!(
            table["backend"]["people"]["endpoints"].as_str(),
            Some("etcd://127.0.0.1:2379/people?layout=kratos")
        );
        assert_eq!(table["telemetry"]["trace"]["endpoint"].as_str(), Some("http://127.0.0.1:4317"));
        assert!(table["http"]["trusted-peers"].is_array() && !text.contains("static://"), "{text}");
    }

    #[test]
    fn a_configuration_that_lost_a_key_is_refused() {
        let error = derive("[http]\n", Path::new(""), &Addresses::default()).unwrap_err();
        assert_eq!(error.to_string(), "the demo's configuration has no `http.listen`, or it is no string");
    }
}
