//! `[events.NAME]` of `weft.toml`. A reload puts all of it in force.

use super::mapping::{Mapping, Payload};
use crate::{
    artifact::read_what_is_understood,
    settings::{FromValue, Secret, Table},
};
use std::path::{Path, PathBuf};
use toml::de::DeValue;

/// All sources, in the order of the file.
#[derive(Debug, Clone, Default)]
pub struct Config {
    pub(super) sources: Vec<SourceConfig>,
}

/// One source, and what its messages mean.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SourceConfig {
    pub(super) name: String,
    /// `nats://HOST:PORT` or `tls://HOST:PORT`, one for each server of a cluster.
    pub(super) servers: Vec<String>,
    /// With `*` for one token and `>` for all that follow, as NATS has it.
    pub(super) subject: String,
    pub(super) stream: Option<Stream>,
    pub(super) mapping: Mapping,
    pub(super) while_away: WhileAway,
    pub(super) login: Option<Login>,
    pub(super) tls: Option<TlsFiles>,
}

/// A stream of JetStream, and the consumer that remembers how far this host has come in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) name: String,
    pub(super) durable: String,
}

crate::choice! {
    /// What becomes of cached replies while the broker is away, and until what it has kept is caught up with.
    pub(super) enum WhileAway {
        /// They are served, and end by their lifetimes.
        Serve = "serve",
        /// They are not believed: calls go to backends.
        Doubt = "doubt",
    }
}

/// How the host says who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Login {
    Token(Secret),
    Password {
        user: String,
        password: Secret,
    },
    /// The content of a `.creds` file: a JWT and an NKey seed.
    Credentials(Secret),
}

/// PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TlsFiles {
    pub(super) ca: Option<PathBuf>,
    pub(super) identity: Option<(PathBuf, PathBuf)>,
}

/// `{host}` in the name of a durable consumer.
const HOST: &str = "{host}";

impl Config {
    /// Relative paths are relative to `folder`.
    pub fn read(table: &Table<'_>, folder: &Path) -> Self {
        let sources = table.named_tables();
        Self { sources: sources.iter().filter_map(|(name, table)| SourceConfig::read(name, table, folder)).collect() }
    }
}

impl SourceConfig {
    /// `None` only where a mistake is noted.
    fn read(name: &str, table: &Table<'_>, folder: &Path) -> Option<Self> {
        let servers = table.required("source").map(|Servers(servers)| servers);
        let subject = table.required("subject").map(|Subject(subject)| subject);
        let payload = payload(table, folder);
        let mapping = mapping(table, payload?, subject.as_deref()?);
        Some(Self {
            name: name.to_owned(),
            servers: servers?,
            subject: subject?,
            stream: stream(table),
            mapping: mapping?,
            while_away: table.or("while-away", WhileAway::Serve),
            login: login(table),
            tls: tls(&table.table("tls"), folder),
        })
    }
}

fn stream(table: &Table<'_>) -> Option<Stream> {
    let durable = table.or("durable", format!("weft-{HOST}"));
    let Some(name) = table.optional::<String>("stream") else {
        if table.has("durable") {
            table.mistake("durable", "only a stream remembers a consumer: name it in `stream`");
        }
        return None;
    };
    let durable = durable.replace(HOST, &host_name());
    for (key, text) in [("stream", &name), ("durable", &durable)] {
        if text.is_empty() || text.contains(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_') {
            table.mistake(key, format!("expected letters, digits, `-` and `_`, found {text:?}"));
        }
    }
    Some(Stream { name, durable })
}

/// The machine's (or the pod's) name, as far as a consumer may be called so.
fn host_name() -> String {
    let told = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    let name = told.as_deref().map(str::trim).filter(|name| !name.is_empty()).unwrap_or("host");
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
}

crate::choice! {
    /// What payloads are.
    enum Format { Json = "json", Protobuf = "protobuf", None = "none" }
}

fn payload(table: &Table<'_>, folder: &Path) -> Option<Payload> {
    let is_named = table.has("message") || table.has("descriptors");
    match table.or("format", if is_named { Format::Protobuf } else { Format::Json }) {
        Format::Protobuf => {
            let (file, message) = (table.required::<PathBuf>("descriptors"), table.required::<String>("message"));
            let (file, message) = (folder.join(file?), message?);
            let known = std::fs::read(&file).map_err(|error| error.to_string());
            let (pool, passed_over) = known
                .and_then(|set| read_what_is_understood(&set))
                .map_err(|error| table.mistake("descriptors", format!("{}: {error}", file.display())))
                .ok()?;
            let found = pool.get_message_by_name(&message);
            if found.is_none() {
                let why = passed_over.map(|why| format!("; {why}")).unwrap_or_default();
                table.mistake("message", format!("{} has no message `{message}`{why}", file.display()));
            }
            found.map(Payload::Protobuf)
        }
        other => {
            for key in ["descriptors", "message"] {
                if table.has(key) {
                    table.mistake(key, "this is for `format = \"protobuf\"`");
                }
            }
            Some(if matches!(other, Format::Json) { Payload::Json } else { Payload::None })
        }
    }
}

fn mapping(table: &Table<'_>, payload: Payload, subject: &str) -> Option<Mapping> {
    let templates: Vec<String> = table.required("tags")?;
    if templates.is_empty() {
        table.mistake("tags", "expected at least one, such as [\"film:{id}\"]");
    }
    Mapping::parse(&templates, payload, subject).map_err(|reason| table.mistake("tags", reason)).ok()
}

fn login(table: &Table<'_>) -> Option<Login> {
    let secret = |key: &str| table.optional::<Secret>(key).map(|secret| table.at_hand(key, secret));
    let (token, password, credentials) = (secret("token"), secret("password"), secret("credentials"));
    let user: Option<String> = table.optional("user");
    if user.is_some() != password.is_some() {
        table.mistake(if user.is_some() { "user" } else { "password" }, "`user` and `password` go together");
    }
    let password = user.zip(password).map(|(user, password)| Login::Password { user, password });
    let mut given = [token.map(Login::Token), password, credentials.map(Login::Credentials)].into_iter().flatten();
    let first = given.next();
    if given.next().is_some() {
        table.mistake("", "expected one of `token`, `user` with `password`, and `credentials`");
    }
    first
}

fn tls(table: &Table<'_>, folder: &Path) -> Option<TlsFiles> {
    let file = |key: &str| {
        let path: PathBuf = folder.join(table.optional::<PathBuf>(key)?);
        if let Err(error) = std::fs::metadata(&path) {
            table.mistake(key, format!("{}: {error}", path.display()));
        }
        Some(path)
    };
    let (ca, certificate, key) = (file("ca"), file("certificate"), file("key"));
    if certificate.is_some() != key.is_some() {
        table.mistake("", "`certificate` and `key` go together");
    }
    table.exists().then(|| TlsFiles { ca, identity: certificate.zip(key) })
}

/// `nats://HOST:PORT,HOST:PORT`: each as a URL of its own.
struct Servers(Vec<String>);

impl FromValue for Servers {
    fn expected() -> String {
        "\"nats://HOST:PORT\", or \"tls://HOST:PORT\", with a comma between servers of one cluster".into()
    }
    fn from_value(value: &DeValue<'_>) -> Option<Result<Self, String>> {
        let text = value.as_str()?;
        let Some((scheme @ ("nats" | "tls"), list)) = text.split_once("://") else {
            return Some(Err(format!("expected {}, found {text:?}", Self::expected())));
        };
        let server = |authority: &str| {
            let url = format!("{scheme}://{}", authority.trim());
            let is_good = url.parse::<http::Uri>().is_ok_and(|uri| {
                uri.host().is_some_and(|host| !host.is_empty()) && uri.path() == "/" && !authority.contains('@')
            });
            is_good.then_some(url).ok_or_else(|| format!("expected HOST:PORT, found {:?}", authority.trim()))
        };
        Some(list.split(',').map(server).collect::<Result<_, _>>().map(Self))
    }
}

struct Subject(String);

impl FromValue for Subject {
    fn expected() -> String {
        "a subject such as \"films.*.changed\"".into()
    }
    fn from_value(value: &DeValue<'_>) -> Option<Result<Self, String>> {
        let text = value.as_str()?;
        let tokens: Vec<&str> = text.split('.').collect();
        let is_good = |(at, token): (usize, &&str)| match *token {
            ">" => at + 1 == tokens.len(),
            "*" => true,
            token => {
                !token.is_empty() && !token.contains(|c: char| c.is_whitespace() || c.is_control() || "*>".contains(c))
            }
        };
        Some(if tokens.iter().enumerate().all(is_good) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "expected {}: tokens between dots, `*` for one and `>` for all that follow; found {text:?}",
                Self::expected()
            ))
        })
    }
}
