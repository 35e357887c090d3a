//! `[admin]` of `weft.toml`.

use super::role::Role;
use crate::{
    net::{Certificates, TlsFiles},
    settings::{Secret, Table},
};
use std::{net::SocketAddr, path::Path, time::Duration};

/// A token that is shorter can be guessed.
const SHORT: usize = 16;

/// Where the operator is listened to, and whom it believes.
#[derive(Debug, Clone)]
pub struct Config {
    /// Loopback by default.
    pub listen: SocketAddr,
    /// Who may look and change. Without one nobody may.
    pub tokens: Vec<Token>,
    /// Names under which the listener is asked, beside loopback's and its own address.
    pub hosts: Vec<String>,
    pub tls: Option<(TlsFiles, Certificates)>,
    /// Somebody in front of the listener speaks TLS.
    pub behind_tls: bool,
    /// How long a browser is signed in.
    pub session: Duration,
}

/// A bearer token and what it is good for.
#[derive(Debug, Clone)]
pub struct Token {
    /// For the log.
    pub name: String,
    pub role: Role,
    /// Whose releases it may change, if not all.
    pub clients: Option<Vec<String>>,
    pub secret: Secret,
}

impl Config {
    /// Relative paths are relative to `folder`.
    pub fn read(table: &Table<'_>, folder: &Path) -> Self {
        let config = Self {
            listen: table.or("listen", SocketAddr::from(([127, 0, 0, 1], 9090))),
            tokens: tokens(table),
            hosts: hosts(table),
            tls: TlsFiles::from_table(&table.table("tls"), folder, false),
            behind_tls: table.or("behind-tls", false),
            session: table.within("session", Duration::from_hours(1), Duration::from_secs(1), Duration::from_hours(24)),
        };
        if config.tokens_are_bare() && !table.has("tls") {
            let text = format!(
                "{} is more than this machine, and tokens would cross the network in the open: give `tls = {{ certificate = …, key = … }}`, \
                 or set `behind-tls = true` where a sidecar in front speaks TLS and nobody else reaches this listener",
                config.listen
            );
            table.mistake("listen", text);
        }
        config
    }

    /// Whether tokens come over the network without TLS.
    fn tokens_are_bare(&self) -> bool {
        !self.tokens.is_empty()
            && !self.listen.ip().to_canonical().is_loopback()
            && self.tls.is_none()
            && !self.behind_tls
    }

    /// Whether browsers speak TLS with it, or with somebody in front of it.
    pub fn is_secure(&self) -> bool {
        self.tls.is_some() || self.behind_tls
    }

    /// What is no mistake, and may not be meant.
    pub fn warnings(&self) -> Vec<String> {
        let length = |token: &Token| token.secret.read().map_or(usize::MAX, |secret| secret.len());
        let is_short = |token: &&Token| token.secret != Secret::StandIn && length(token) < SHORT;
        let short = self.tokens.iter().filter(is_short);
        let warning = |token: &Token| {
            format!(
                "the admin token `{}` has less than {SHORT} characters and can be guessed: make a random one (`openssl rand -hex 32`)",
                token.name
            )
        };
        short.map(warning).collect()
    }
}

/// `token`, which may do everything, and those of `[[admin.tokens]]`.
fn tokens(table: &Table<'_>) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    if let Some(secret) = table.optional("token").map(|secret| table.at_hand("token", secret)) {
        tokens.push(Token { name: "token".to_owned(), role: Role::Admin, clients: None, secret });
    }
    for table in table.tables("tokens") {
        let (name, role, secret) = (table.required::<String>("name"), table.required("role"), table.required("token"));
        let Some(((name, role), secret)) = name.zip(role).zip(secret) else { continue };
        let secret = table.at_hand("token", secret);
        let clients: Option<Vec<String>> = table.optional("clients");
        if clients.is_some() && role == Role::Admin {
            table.mistake("clients", "an admin may do everything: give the role operator, or leave this out");
        }
        if let Some(other) = tokens.iter().find(|other| other.name == name) {
            table.mistake(
                "name",
                format!("`{}` stands there twice: the log tells tokens apart by their names", other.name),
            );
        }
        if let Some(other) = tokens.iter().find(|other| are_same(&other.secret, &secret)) {
            table.mistake("token", format!("it is that of `{}`: give each its own", other.name));
        }
        tokens.push(Token { name, role, clients, secret });
    }
    tokens
}

fn are_same(one: &Secret, other: &Secret) -> bool {
    let is_read = *one != Secret::StandIn && *other != Secret::StandIn;
    is_read && one.read().is_ok_and(|one| other.read().is_ok_and(|other| one == other))
}

fn hosts(table: &Table<'_>) -> Vec<String> {
    let hosts: Vec<String> = table.or("hosts", Vec::new());
    for host in &hosts {
        let is_name = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b));
        let has_port = host.parse::<SocketAddr>().is_ok() || (host.matches(':').count() == 1);
        if !is_name || has_port {
            let text = format!(
                "expected names or addresses as browsers are given them, without scheme and port, found {host:?}"
            );
            table.mistake("hosts", text);
        }
    }
    hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect()
}
