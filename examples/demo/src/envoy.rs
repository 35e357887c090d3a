//! `examples/gateway/envoy.yaml` at other addresses, without TLS and without a rate that a load would reach.

use anyhow::Context;
use std::{net::SocketAddr, path::Path};

/// Where everything is; addresses of version 4.
#[derive(Debug, Clone, Copy)]
pub struct Envoy<'a> {
    pub listen: SocketAddr,
    /// Envoy's own page for its operator.
    pub admin: SocketAddr,
    /// Two hosts, each where it serves and where it says whether it is ready.
    pub hosts: [(SocketAddr, SocketAddr); 2],
    pub receiver: SocketAddr,
    pub jwks: &'a Path,
}

/// A request with this header is recorded, whatever share of the others is.
pub const RECORDED: &str = "x-client-trace-id";

/// `text`, the example, so. Nothing is recorded but what is asked for by [`RECORDED`].
pub fn derive(text: &str, at: &Envoy<'_>) -> anyhow::Result<String> {
    let place = |address: SocketAddr| format!("address: {}, port_value: {}}}", address.ip(), address.port());
    let host = |ip: &str, (http, admin): (SocketAddr, SocketAddr)| {
        let checks = |port: u16| format!("health_check_config: {{port_value: {port}}}");
        let space = "\n            ";
        let from = format!("address: {ip}, port_value: 8080}}}}{space}{}", checks(9090));
        (from, format!("{}}}{space}{}", place(http), checks(admin.port())))
    };
    let ([one, other], jwks) = (at.hosts, at.jwks.display().to_string());
    let pairs = [
        ("address: 127.0.0.1, port_value: 9901}".to_owned(), place(at.admin)),
        ("address: 0.0.0.0, port_value: 8443}".to_owned(), place(at.listen)),
        host("10.0.0.11", one),
        host("10.0.0.12", other),
        ("address: 10.0.0.21, port_value: 4317}".to_owned(), place(at.receiver)),
        ("/etc/gateway/jwks.json".to_owned(), jwks),
        (
            "max_tokens: 100, tokens_per_fill: 100,".to_owned(),
            "max_tokens: 1000000, tokens_per_fill: 1000000,".to_owned(),
        ),
        ("random_sampling: {value: 10}".to_owned(), "random_sampling: {value: 0}".to_owned()),
    ];
    let without_tls = between(text, "    - transport_socket:\n", "      filters:\n")?;
    let text = text.replacen(without_tls, "    - filters:\n", 1);
    pairs.iter().try_fold(text, |text, (from, to)| {
        anyhow::ensure!(text.contains(from.as_str()), "examples/gateway/envoy.yaml has no {from:?}");
        Ok(text.replace(from.as_str(), to))
    })
}

/// From where the one begins to where the other ends.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> anyhow::Result<&'a str> {
    let found = text.find(begin).and_then(|from| {
        let rest = text.get(from..)?;
        rest.get(..rest.find(end)? + end.len())
    });
    found.with_context(|| format!("examples/gateway/envoy.yaml has no {begin:?} before {end:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../gateway/envoy.yaml");

    #[test]
    fn all_that_is_elsewhere_is_moved() {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let hosts = [(local(20001), local(20002)), (local(20003), local(20004))];
        let jwks = Path::new("/w/jwks.json");
        let text =
            derive(EXAMPLE, &Envoy { listen: local(20005), admin: local(20006), hosts, receiver: local(20007), jwks });
        let text = text.unwrap();
        for port in 20001..=20007 {
            assert_eq!(text.matches(&format!("port_value: {port}}}")).count(), 1, "{port}: {text}");
        }
        let without_comments: String = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
        assert!(!without_comments.contains("10.0.0.") && !without_comments.contains("/etc/"), "{text}");
        assert!(
            !without_comments.contains("transport_socket") && text.contains("    - filters:\n      - name: envoy"),
            "{text}"
        );
    }

    #[test]
    fn an_example_that_lost_something_is_refused() {
        let local = SocketAddr::from(([127, 0, 0, 1], 1));
        let at =
            Envoy { listen: local, admin: local, hosts: [(local, local); 2], receiver: local, jwks: Path::new("j") };
        let text = EXAMPLE.replace("9901", "9902");
        assert!(derive(&text, &at).unwrap_err().to_string().contains("9901"));
        assert!(derive("", &at).unwrap_err().to_string().contains("transport_socket"));
    }
}
