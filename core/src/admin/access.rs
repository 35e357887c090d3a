//! Who is asking, and whether they may: hosts, tokens, sessions, and where a browser's change comes from.

use super::{
    config::Config,
    guesses::Guesses,
    refusal::Refusal,
    role::{Need, Role},
    sessions::{Session, Sessions},
};
use crate::{
    model::Digest,
    net::{Connected, Subnet},
    telemetry::{CutLabels, Metrics},
};
use http::{HeaderMap, Method, header, request::Parts, uri::Authority};
use std::net::{IpAddr, Ipv4Addr};

/// What a browser's change says beside its cookie.
const CSRF: &str = "x-weft-csrf";
/// Cookies of one name that are looked at: other programs of this machine may have set some.
const COOKIES: usize = 4;

/// Everything by which somebody is let in.
#[derive(Debug)]
pub struct Access {
    tokens: Vec<Known>,
    hosts: Vec<String>,
    /// The address that the listener has, where it is one.
    own: Option<IpAddr>,
    is_secure: bool,
    cookie: String,
    sessions: Sessions,
    guesses: Guesses,
    metrics: Metrics,
}

#[derive(Debug)]
struct Known {
    digest: Digest,
    name: String,
    role: Role,
    clients: Option<Vec<String>>,
}

/// Who was let in.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// Of the token.
    pub(super) name: String,
    pub(super) role: Role,
    /// Whose releases it may change, if not all.
    pub(super) clients: Option<Vec<String>>,
    /// Where it is a browser.
    pub(super) session: Option<(String, Session)>,
}

impl Access {
    /// Secrets that can't be read count for nothing; who reads the configuration has complained of them.
    pub fn new(config: &Config, metrics: &Metrics) -> Self {
        let known = |token: &super::config::Token| {
            let secret = token.secret.read().ok()?;
            Some(Known {
                digest: Digest::of(secret.as_bytes()),
                name: token.name.clone(),
                role: token.role,
                clients: token.clients.clone(),
            })
        };
        let ip = config.listen.ip();
        // Cookies don't know of ports, and there may be several hosts on a machine. One of this name is for this host name alone.
        let prefix = if config.is_secure() { "__Host-" } else { "" };
        Self {
            tokens: config.tokens.iter().filter_map(known).collect(),
            hosts: config.hosts.clone(),
            own: (!ip.is_unspecified()).then(|| ip.to_canonical()),
            is_secure: config.is_secure(),
            cookie: format!("{prefix}weft-admin-{}", config.listen.port()),
            sessions: Sessions::new(config.session),
            guesses: Guesses::default(),
            metrics: metrics.clone(),
        }
    }

    /// `None`: nobody has to be anybody.
    pub(super) fn admit(&self, request: &Parts, need: Need) -> Result<Option<Caller>, Refusal> {
        if need == Need::Nothing {
            return Ok(None);
        }
        let host = self.host(request)?;
        let Need::Role(needs) = need else { return Ok(None) };
        if self.tokens.is_empty() {
            return Err(Refusal::Nobody);
        }
        let caller = self.caller(request)?;
        if caller.role < needs {
            return Err(Refusal::Role { has: caller.role, needs });
        }
        let reads = request.method == Method::GET || request.method == Method::HEAD;
        if let Some((_, session)) = caller.session.as_ref().filter(|_| !reads) {
            self.is_own_page(&request.headers, &host)?;
            let given = request.headers.get(CSRF).map(http::HeaderValue::as_bytes).unwrap_or_default();
            if !are_equal(&Digest::of(given), &Digest::of(session.csrf.as_bytes())) {
                return Err(Refusal::Csrf);
            }
        }
        Ok(Some(caller))
    }

    /// Exchanges a token for a session: its id and what it is. A form that a foreign page has sent begins none.
    pub(super) fn sign_in(&self, request: &Parts, token: &str) -> Result<(String, Session), Refusal> {
        let host = self.host(request)?;
        self.is_own_page(&request.headers, &host)?;
        if self.tokens.is_empty() {
            return Err(Refusal::Nobody);
        }
        let known = self.prove(address(request), token)?;
        Ok(self.sessions.begin(&known.name, known.role, known.clients.clone()))
    }

    pub(super) fn sign_out(&self, caller: &Caller) {
        if let Some((id, _)) = &caller.session {
            self.sessions.end(id);
        }
    }

    /// The cookie of a session, or with an empty id and no time the one that ends it.
    pub(super) fn cookie(&self, id: &str, seconds: u64) -> String {
        let secure = if self.is_secure { "; Secure" } else { "" };
        format!("{}={id}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}", self.cookie)
    }

    /// Counts it, and tells the log: in how many lines is bounded there.
    pub(super) fn refused(&self, refusal: &Refusal, request: &Parts) {
        let reason = refusal.reason();
        self.metrics.admin_refused.get_or_create(&CutLabels { reason: reason.to_owned() }).inc();
        let (peer, method, path) = (address(request), &request.method, request.uri.path());
        match refusal {
            // Browsers that are not signed in yet come so.
            Refusal::Unknown => {
                tracing::debug!(reason, %peer, %method, path, "a request to the admin interface was refused")
            }
            refusal => {
                tracing::warn!(reason, %peer, %method, path, "a request to the admin interface was refused: {}", refusal.detail());
            }
        }
    }

    fn caller(&self, request: &Parts) -> Result<Caller, Refusal> {
        let mut given = request.headers.get_all(header::AUTHORIZATION).iter();
        if let Some(first) = given.next() {
            let token = first.to_str().ok().and_then(|line| line.strip_prefix("Bearer "));
            let token = token.filter(|_| given.next().is_none()).unwrap_or_default();
            let known = self.prove(address(request), token)?;
            let clients = known.clients.clone();
            return Ok(Caller { name: known.name.clone(), role: known.role, clients, session: None });
        }
        let mut ids = self.cookies(&request.headers).take(COOKIES).peekable();
        let had_one = ids.peek().is_some();
        let found = ids.find_map(|id| Some((id.to_owned(), self.sessions.find(id)?)));
        let Some((id, session)) = found else { return Err(if had_one { Refusal::Wrong } else { Refusal::Unknown }) };
        let clients = session.clients.clone();
        Ok(Caller { name: session.name.clone(), role: session.role, clients, session: Some((id, session)) })
    }

    fn cookies<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = &'a str> {
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.filter(|(name, _)| *name == self.cookie).map(|(_, id)| id)
    }

    /// Which token it is. Takes the same time whichever it is, and however much of it is right.
    fn prove(&self, address: Subnet, token: &str) -> Result<&Known, Refusal> {
        let digest = Digest::of(token.as_bytes());
        self.guesses.check(address, &digest).map_err(Refusal::TooMany)?;
        let mut found = None;
        for known in &self.tokens {
            if are_equal(&known.digest, &digest) {
                found = Some(known);
            }
        }
        found.ok_or_else(|| {
            self.guesses.wrong(address, digest);
            Refusal::Wrong
        })
    }

    /// The host and port that the request is for, if that is this one. A page that has made its own name lead here (DNS rebinding) is told
    /// apart by that name.
    fn host(&self, request: &Parts) -> Result<String, Refusal> {
        let mut named = request.headers.get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or_default());
        let of_header = named.next();
        let of_target = request.uri.authority().map(Authority::as_str);
        let text = of_target.or(of_header).unwrap_or_default();
        let refused = || Refusal::Host(text.chars().take(100).collect());
        if named.next().is_some() || of_target.is_some_and(|target| of_header.is_some_and(|host| host != target)) {
            return Err(refused());
        }
        let authority: Authority = text.parse().map_err(|_| refused())?;
        if authority.as_str().contains('@') {
            return Err(refused());
        }
        let name = authority.host().trim_end_matches('.').to_ascii_lowercase();
        let is_own = match ip(&name) {
            Some(ip) => ip.is_loopback() || self.own == Some(ip),
            None => name == "localhost",
        };
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let is_listed = self.hosts.iter().any(|host| host.trim_start_matches('[').trim_end_matches(']') == bare);
        if is_own || is_listed { Ok(authority.as_str().to_ascii_lowercase()) } else { Err(refused()) }
    }

    /// Whether a page of this host sends this.
    fn is_own_page(&self, headers: &HeaderMap, host: &str) -> Result<(), Refusal> {
        let mut origins = headers.get_all(header::ORIGIN).iter().map(|origin| origin.to_str().unwrap_or("?"));
        let origin = origins.next().unwrap_or_default();
        let name = host.parse::<Authority>().map(|authority| authority.host().to_owned()).unwrap_or_default();
        let is_local = name == "localhost" || ip(&name).is_some_and(|ip| ip.is_loopback());
        let is_own = match origin.split_once("://") {
            Some(("https", of)) => of.eq_ignore_ascii_case(host),
            Some(("http", of)) => of.eq_ignore_ascii_case(host) && (!self.is_secure || is_local),
            _ => false,
        };
        let site = headers.get("sec-fetch-site").map_or("same-origin", |site| site.to_str().unwrap_or_default());
        if is_own && origins.next().is_none() && site == "same-origin" {
            Ok(())
        } else {
            Err(Refusal::Origin(origin.chars().take(100).collect()))
        }
    }
}

fn ip(name: &str) -> Option<IpAddr> {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

/// Who has connected. Without a word of it all count as one.
fn address(request: &Parts) -> Subnet {
    let connected = request.extensions.get::<Connected>();
    Subnet::from(connected.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |Connected(address)| address.ip()))
}

/// In a time that does not depend on where they differ.
fn are_equal(one: &Digest, other: &Digest) -> bool {
    let differ = one.bytes().iter().zip(other.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b));
    std::hint::black_box(differ) == 0
}
