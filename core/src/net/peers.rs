//! Listed peers: the networks whose word about others is taken.

use super::Subnet;
use http::HeaderMap;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// Networks such as `10.0.0.0/8`; a single address stands for itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peers(Vec<IpNet>);

impl Peers {
    /// The first entry that is neither a network nor an address is the error.
    pub fn parse(list: &[String]) -> Result<Self, String> {
        let parse = |text: &String| {
            let single = |_| text.parse::<IpAddr>().map(IpNet::from);
            text.parse::<IpNet>().or_else(single).map_err(|_| {
                format!("`{text}` is neither a network such as \"10.0.0.0/8\" nor an address such as \"10.0.0.7\"")
            })
        };
        list.iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// No list has nobody's address: what this host asks itself for comes from there.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        !address.is_unspecified() && self.0.iter().any(|network| network.contains(&address))
    }

    /// Who is behind a request: what `X-Forwarded-For` says, read from its end for as long as the speaker is listed. The left part of
    /// the header is whatever the client made up.
    pub fn client_of(&self, peer: SocketAddr, headers: &HeaderMap) -> SocketAddr {
        let mut client = peer;
        let lines = headers.get_all("x-forwarded-for");
        let mut hops = lines.iter().rev().flat_map(|line| line.to_str().unwrap_or("").rsplit(','));
        while self.contains(client.ip()) {
            let Some(hop) = hops.next().and_then(address) else { break };
            client = hop;
        }
        client
    }

    /// As [`Peers::client_of`], as callers are counted: `None` where listed peers say nothing of who is behind them, because what they
    /// are themselves is no caller.
    pub fn caller_of(&self, peer: SocketAddr, headers: &HeaderMap) -> Option<Subnet> {
        let address = self.client_of(peer, headers).ip();
        (!self.contains(address)).then(|| address.into())
    }
}

/// `10.0.0.7`, `10.0.0.7:4711`, `::1`, `[::1]:4711`.
fn address(text: &str) -> Option<SocketAddr> {
    let text = text.trim();
    let whole = || text.parse().ok();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 0)).ok().or_else(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(listed: &[&str], peer: &str, forwarded: &[&'static str]) -> String {
        let listed: Vec<String> = listed.iter().map(|text| (*text).to_owned()).collect();
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", http::HeaderValue::from_static(line));
        }
        let peers = Peers::parse(&listed).unwrap();
        peers.client_of(address(peer).unwrap(), &headers).ip().to_string()
    }

    #[test]
    fn only_listed_peers_speak_for_others() {
        assert_eq!(client(&[], "10.0.0.1", &["1.2.3.4"]), "10.0.0.1");
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.1", &["1.2.3.4"]), "1.2.3.4");
        assert_eq!(
            client(&["10.0.0.0/8"], "10.0.0.1", &["6.6.6.6, 1.2.3.4, 10.9.9.9"]),
            "1.2.3.4",
            "the rest is made up"
        );
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.1", &["6.6.6.6", "1.2.3.4:99"]), "1.2.3.4");
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.1", &["1.2.3.4, nonsense"]), "10.0.0.1");
        assert_eq!(client(&["::1"], "[::1]:7", &["[2001:db8::1]:80"]), "2001:db8::1");
        assert_eq!(client(&["127.0.0.1"], "[::ffff:127.0.0.1]:7", &["1.2.3.4"]), "1.2.3.4");
    }

    #[test]
    fn listed_peers_are_no_callers() {
        let peers = Peers::parse(&["10.0.0.0/8".into()]).unwrap();
        let caller = |peer: &str, forwarded: &'static str| {
            let headers =
                [(http::HeaderName::from_static("x-forwarded-for"), http::HeaderValue::from_static(forwarded))];
            peers.caller_of(address(peer).unwrap(), &headers.into_iter().collect())
        };
        let of = |text: &str| Some(Subnet::from(text.parse::<IpAddr>().unwrap()));
        assert_eq!(caller("10.0.0.1", "1.2.3.4"), of("1.2.3.4"));
        assert_eq!(caller("1.2.3.4", "6.6.6.6"), of("1.2.3.4"));
        assert_eq!(caller("10.0.0.1", "10.0.0.2, 10.9.9.9"), None);
        assert_eq!(caller("10.0.0.1", "nonsense"), None);
    }

    #[test]
    fn a_bad_entry_is_named() {
        assert!(Peers::parse(&["10.0.0.0/8".into(), "gateway".into()]).unwrap_err().contains("`gateway`"));
    }
}
