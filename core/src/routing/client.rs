//! `[[client]]`: which frontend a request comes from.

use super::{
    agents::{Agents, Resource, is_metadata},
    contract::{Contract, Page},
    cors::Cors,
};
use crate::{
    artifact::normal,
    model::{Fault, ProblemType},
    openapi::Surface,
    settings::{Rate, Table},
};
use http::{HeaderMap, HeaderName, Method, Uri, header, uri::Authority};

/// One kind of frontend and how it is recognised.
#[derive(Debug, Clone)]
pub struct Client {
    pub name: String,
    /// A host name, without port.
    host: Option<String>,
    /// A path prefix such as `/ios`, which the endpoints' templates don't repeat.
    prefix: Option<String>,
    /// A header and the value that it has to have.
    header: Option<(HeaderName, String)>,
    /// Requests of the whole client.
    pub rate: Option<Rate>,
    /// Requests of one caller (by identity; an anonymous one by address).
    pub principal_rate: Option<Rate>,
    /// What browsers of other origins may ask.
    pub cors: Option<Cors>,
    /// Whether requests that change something have to come from pages of the same origin, or of one that `cors` names.
    same_origin: bool,
    /// Whether the host shows what this client may ask and what it gets, and to whom.
    pub contract: Option<Contract>,
    /// Where agents find its endpoints as tools.
    agents: Option<Agents>,
    /// The header in which apps say their version.
    version_header: Option<HeaderName>,
}

/// By what a client is told, for who asks in its name.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ClientRule {
    pub prefix: Option<String>,
    pub host: Option<String>,
    pub header: Option<(String, String)>,
}

/// All clients.
#[derive(Debug, Clone, Default)]
pub struct Clients(Vec<Client>);

impl Clients {
    pub fn read(root: &Table<'_>) -> Self {
        let mut clients: Vec<Client> = Vec::new();
        for table in root.tables("client") {
            let Some(client) = Client::read(&table, root.has("identity")) else { continue };
            if clients.iter().any(|other| other.name == client.name) {
                table.mistake("name", format!("there is another client `{}`", client.name));
            }
            for other in &clients {
                if client.prefix.is_some() && client.prefix == other.prefix {
                    table.mistake("prefix", format!("is the prefix of client `{}` already", other.name));
                }
                if client.host.is_some() && client.host == other.host {
                    table.mistake("host", format!("is the host of client `{}` already", other.name));
                }
                if client.resource().is_some_and(|own| other.resource().is_some_and(|others| own.uri == others.uri)) {
                    table.mistake(
                        "mcp",
                        format!("has the `resource` of client `{}`: tokens would be for both", other.name),
                    );
                }
                if client.header.is_some() && client.header == other.header {
                    table.mistake("header", format!("is the header of client `{}` already", other.name));
                }
            }
            clients.push(client);
        }
        if clients.is_empty() && !root.has("client") {
            root.mistake("", "expected at least one [[client]] with a `name`");
        }
        if let (true, Some(_)) = (clients.len() > 1, clients.iter().find(|client| !client.has_rule())) {
            root.mistake(
                "client",
                "where there are several clients, each needs a `host`, a `prefix` or a `header` to be told by",
            );
        }
        Self(clients)
    }

    pub fn named(&self, name: &str) -> Option<&Client> {
        self.0.iter().find(|client| client.name == name)
    }

    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|client| client.name.clone()).collect()
    }

    pub fn all(&self) -> &[Client] {
        &self.0
    }

    /// Headers by which clients are told apart: the same URL has another answer for another value.
    pub fn telling_headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.0.iter().filter_map(|client| client.header.as_ref()).map(|(name, _)| name)
    }

    /// The client, and the path without its prefix. A header goes before a prefix, and a prefix before a host; of two
    /// prefixes the longer one.
    pub fn recognise<'a, 'u>(&'a self, headers: &HeaderMap, uri: &'u Uri) -> Result<(&'a Client, &'u str), Fault> {
        let path = uri.path();
        if is_metadata(path)
            && let Some(client) = self.described_at(path, uri, headers)
        {
            return Ok((client, path));
        }
        let by_header = self.0.iter().find(|client| client.has_header(headers));
        let by_prefix = self
            .0
            .iter()
            .filter(|client| client.strip(path).is_some())
            .max_by_key(|client| client.prefix.as_ref().map(String::len));
        let by_host = self.0.iter().find(|client| client.has_host(headers, uri));
        let only = self.0.first().filter(|client| self.0.len() == 1 && !client.has_rule());
        match by_header.or(by_prefix).or(by_host).or(only) {
            Some(client) => Ok((client, client.strip(path).unwrap_or(path))),
            None => {
                let text = format!("no client is recognised; this host serves: {}", self.describe());
                Err(Fault::new(ProblemType::NoClient, text))
            }
        }
    }

    /// Whose resource has its metadata at this path: of several the one that is called as the request's host is.
    fn described_at(&self, path: &str, uri: &Uri, headers: &HeaderMap) -> Option<&Client> {
        let from_header = || headers.get(header::HOST)?.to_str().ok()?.parse().ok();
        let authority: Option<Authority> = uri.authority().cloned().or_else(from_header);
        let meant = |client: &&Client| client.resource()?.is_meant(path, authority.as_ref());
        let found = self.0.iter().filter_map(|client| Some((meant(&client)?, client)));
        found.max_by_key(|(is_called_so, _)| *is_called_so).map(|(_, client)| client)
    }

    fn describe(&self) -> String {
        let describe = |client: &Client| {
            let mut ways = Vec::new();
            ways.extend(client.host.as_ref().map(|host| format!("host {host}")));
            ways.extend(client.prefix.as_ref().map(|prefix| format!("path {prefix}")));
            ways.extend(client.header.as_ref().map(|(name, value)| format!("header {name}: {value}")));
            format!("{} ({})", client.name, ways.join(" or "))
        };
        self.0.iter().map(describe).collect::<Vec<_>>().join(", ")
    }
}

fn version_header(table: &Table<'_>) -> Option<HeaderName> {
    let name: String = table.optional("version-header")?;
    let parsed = HeaderName::try_from(&name);
    parsed.map_err(|_| table.mistake("version-header", format!("`{name}` is no header name"))).ok()
}

impl Client {
    fn read(table: &Table<'_>, verifies: bool) -> Option<Self> {
        let name: Option<String> = table.required("name");
        let host: Option<String> = table.optional("host");
        let host = host.map(|host| host.to_ascii_lowercase());
        let prefix: Option<String> = table.optional("prefix");
        if prefix.as_ref().is_some_and(|prefix| !prefix.starts_with('/') || prefix.ends_with('/')) {
            table.mistake("prefix", "expected a path such as \"/ios\": it begins with `/` and doesn't end with one");
        }
        let section = table.table("header");
        let header = if section.exists() {
            let (name, value): (Option<String>, Option<String>) = (section.required("name"), section.required("value"));
            let parsed = name.and_then(|name| {
                let parsed = HeaderName::try_from(&name);
                parsed.map_err(|_| section.mistake("name", format!("`{name}` is no header name"))).ok()
            });
            parsed.zip(value)
        } else {
            None
        };
        let (rate, principal_rate) = (table.optional("rate"), table.optional("principal-rate"));
        let agents = Agents::read(table, host.as_deref(), verifies);
        Some(Self {
            name: name?,
            host,
            prefix,
            header,
            rate,
            principal_rate,
            cors: Cors::read(&table.table("cors"), agents.is_some()),
            same_origin: table.or("same-origin", false),
            contract: table.optional("openapi").filter(Contract::shows),
            version_header: version_header(table),
            agents,
        })
    }

    /// The page of the host's own that is at this path, where the client has them.
    pub fn page<'a>(&self, path: &'a str) -> Option<Page<'a>> {
        if self.resource().is_some_and(|resource| resource.metadata == path) {
            return Some(Page::Resource);
        }
        self.contract.as_ref()?;
        Page::at(path)
    }

    /// What agents find at this path.
    pub fn agents_at(&self, path: &str) -> Option<&Agents> {
        self.agents.as_ref().filter(|agents| agents.path == path)
    }

    /// The scope that agents' tokens have to have.
    pub fn agents_scope(&self) -> Option<&str> {
        self.agents.as_ref()?.scope.as_deref()
    }

    /// What agents' tokens have to be for.
    pub fn resource(&self) -> Option<&Resource> {
        self.agents.as_ref()?.resource.as_ref()
    }

    /// The version that the app says it is.
    pub fn version_of<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        headers.get(self.version_header.as_ref()?)?.to_str().ok()
    }

    /// What its document says of it. Where it is told by its host name too, paths without the prefix lead to it as well.
    pub fn surface(&self) -> Surface {
        let mut servers: Vec<String> = self.prefix.clone().into_iter().collect();
        if servers.is_empty() {
            servers.push("/".to_owned());
        }
        servers.extend(self.host.as_ref().map(|host| format!("https://{host}")));
        Surface {
            client: self.name.clone(),
            servers,
            header: self.header.as_ref().map(|(name, value)| (name.to_string(), value.clone())),
            rate: self.rate,
            principal_rate: self.principal_rate,
            same_origin: self.same_origin,
        }
    }

    pub fn rule(&self) -> ClientRule {
        let header = self.header.as_ref().map(|(name, value)| (name.to_string(), value.clone()));
        ClientRule { prefix: self.prefix.clone(), host: self.host.clone(), header }
    }

    fn has_rule(&self) -> bool {
        self.host.is_some() || self.prefix.is_some() || self.header.is_some()
    }

    fn has_header(&self, headers: &HeaderMap) -> bool {
        let Some((name, value)) = &self.header else { return false };
        headers.get(name).is_some_and(|found| found.as_bytes().eq_ignore_ascii_case(value.as_bytes()))
    }

    fn has_host(&self, headers: &HeaderMap, uri: &Uri) -> bool {
        let Some(host) = &self.host else { return false };
        let from_header = || headers.get(header::HOST)?.to_str().ok();
        let authority = uri.authority().map(Authority::as_str).or_else(from_header).unwrap_or("");
        let name = authority
            .rsplit_once(':')
            .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
            .map_or(authority, |(name, _)| name);
        name.eq_ignore_ascii_case(host)
    }

    /// Where the gateway makes tokens of cookies, a browser sends them along with whatever a foreign page asks for. So what changes
    /// something has to say that it comes from an own page: browsers do, by `sec-fetch-site` or `origin`, and nothing else sends cookies.
    pub fn check_origin(&self, method: &Method, headers: &HeaderMap) -> Result<(), Fault> {
        let reads = [Method::GET, Method::HEAD, Method::OPTIONS].contains(method);
        if !self.same_origin || reads || self.is_own_page(headers) {
            return Ok(());
        }
        let text = "this changes something, and does not come from a page of the same origin";
        Err(Fault::new(ProblemType::CrossSite, text).with("field", "header.origin"))
    }

    fn is_own_page(&self, headers: &HeaderMap) -> bool {
        let one = |name: HeaderName| {
            let mut values = headers.get_all(name).iter();
            values.next().filter(|_| values.next().is_none())
        };
        let origin = one(header::ORIGIN);
        if origin.is_some_and(|origin| self.cors.as_ref().is_some_and(|cors| cors.names(origin))) {
            return true;
        }
        if let Some(site) = headers.get("sec-fetch-site") {
            return site == "same-origin" || site == "none";
        }
        // Older browsers say only the origin; what names none is no browser, or hides where it comes from.
        let host = one(header::HOST).and_then(|host| host.to_str().ok());
        let origin = origin.and_then(|origin| origin.to_str().ok()?.split_once("://"));
        matches!((host, origin), (Some(host), Some((_, origin))) if host.eq_ignore_ascii_case(origin))
    }

    /// The path behind the client's prefix, whose segments are compared as those of endpoints are.
    fn strip<'a>(&self, path: &'a str) -> Option<&'a str> {
        let mut rest = path;
        for wanted in self.prefix.as_deref()?.split('/').skip(1) {
            let behind = rest.strip_prefix('/')?;
            let (segment, left) = behind.split_at(behind.find('/').unwrap_or(behind.len()));
            if normal(segment) != normal(wanted) {
                return None;
            }
            rest = left;
        }
        Some(if rest.is_empty() { "/" } else { rest })
    }
}
