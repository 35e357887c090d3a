//! `plugin.toml`: policy for the endpoints that the code declares, what the plugin may call, and its limits.

use super::{
    Deprecated, EndpointName, EndpointSchema, ResponseCache, Selectable,
    bounds::{MOST_ENDPOINTS, MOST_METHODS},
    fallback::Reply,
    member::member,
    response_cache::header_names,
};
use crate::{
    model::Scope,
    protojson,
    settings::{ByteSize, Mistakes, Place, Rate, Table},
};
use bytes::Bytes;
use http::{HeaderName, header};
use prost_reflect::DescriptorPool;
use semver::Version;
use std::{collections::BTreeMap, time::Duration};

crate::choice! {
    /// Who may call an endpoint.
    pub enum Auth {
        /// Only callers with a valid token. The default.
        Required = "required",
        /// Both; a token that is there has to be valid.
        Optional = "optional",
        /// Everybody; a token is not even looked at.
        None = "none",
    }
}

crate::choice! {
    /// What a request's instance has seen before.
    pub enum Isolation {
        /// Nothing: a fresh instance for each request.
        Request = "request",
        /// Other requests of the same release, one after the other.
        Reuse = "reuse",
    }
}

crate::choice! {
    /// Which endpoints are refused first when the host can't keep up.
    pub enum Priority {
        Critical = "critical",
        Normal = "normal",
        Sheddable = "sheddable",
    }
}

/// `idempotency = { ttl = "24h", scope = "principal", strict = true }`: how long, and to whom, a write's answer is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Idempotency {
    pub ttl: Duration,
    pub scope: Scope,
    /// Nothing is done while other hosts can't be asked whether it was done before.
    pub strict: bool,
}

/// A whole, valid manifest.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub name: String,
    pub version: Version,
    /// The kind of frontend whose endpoints these are.
    pub client: String,
    pub endpoints: Vec<EndpointPolicy>,
    /// Service to methods: all that the plugin may call.
    pub calls: BTreeMap<String, Vec<String>>,
    pub limits: Limits,
    pub config: BTreeMap<String, String>,
    /// `[cache] invalidates`: tags of cached entities that the plugin may invalidate; a `*` at the end stands for any rest.
    pub invalidates: Vec<String>,
    /// `[fallback."pkg.Service/Method"]`: the reply, serialized, that stands in when the call fails.
    pub fallbacks: BTreeMap<String, Bytes>,
    fallback_texts: Vec<(String, String, Place)>,
    /// `[mock."GET /home"]`: by the endpoint's name, JSON of what it answers where nothing of it runs.
    pub mocks: Vec<(String, String, Place)>,
    pub redact: Redact,
    calls_place: Place,
    plugin_place: Place,
}

/// `[endpoint."GET /home"]`.
#[derive(Debug, Clone)]
pub struct EndpointPolicy {
    pub name: EndpointName,
    pub auth: Auth,
    /// The whole budget of a request.
    pub timeout: Duration,
    /// The only request headers that the plugin sees.
    pub headers: Vec<HeaderName>,
    /// The only claims that it sees.
    pub claims: Vec<String>,
    /// Response headers beyond the usual ones that it would like to set; the operator has to grant them too.
    pub response_headers: Vec<HeaderName>,
    pub priority: Priority,
    /// It answers in parts, as the code says.
    pub streams: bool,
    /// Requests of all callers together.
    pub rate: Option<Rate>,
    /// Requests of one caller (by identity; an anonymous one by address).
    pub principal_rate: Option<Rate>,
    pub idempotency: Option<Idempotency>,
    pub cache: Option<ResponseCache>,
    /// Media types of request bodies; `*/*` for any.
    pub consumes: Vec<String>,
    /// Media types of responses; `*/*` for any.
    pub produces: Vec<String>,
    /// Members that a request may choose of its answers.
    pub fields: Option<Selectable>,
    pub deprecated: Option<Deprecated>,
    /// Members of its answers, by the way to them: `films.image`.
    pub deprecated_fields: Vec<(String, Deprecated)>,
    pub place: Place,
}

/// `[redact]`: names of what never reaches a disk where exchanges are recorded, wherever it stands in them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redact {
    /// Of requests, responses and replies.
    pub fields: Vec<String>,
    pub claims: Vec<String>,
}

/// `[limits]`. The host's own ceilings still hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// All linear memories of one instance together.
    pub memory: ByteSize,
    /// CPU time of the guest for one request, never waiting.
    pub cpu: Duration,
    /// Calls of one request, before batching.
    pub calls: u32,
    /// The response's body.
    pub response: ByteSize,
    pub isolation: Isolation,
}

impl Manifest {
    /// `None` where something that everything depends on is missing; mistakes are noted.
    pub(super) fn read(root: &Table<'_>) -> Option<Self> {
        let plugin = root.table("plugin");
        let name: Option<String> = plugin.required("name");
        if name.as_deref().is_some_and(|name| !is_name(name)) {
            plugin.mistake("name", "expected lower-case letters, digits and `-`, beginning with a letter, 64 at most");
        }
        let version: Option<String> = plugin.required("version");
        let version = version.and_then(|text| {
            let parsed = Version::parse(&text);
            parsed
                .map_err(|error| plugin.mistake("version", format!("expected a version such as \"1.4.0\": {error}")))
                .ok()
        });
        let client: Option<String> = plugin.required("client");
        if !is_in_bounds(root) {
            return None;
        }
        let endpoints = root.table("endpoint").named_tables();
        let endpoints = endpoints.iter().filter_map(|(name, table)| EndpointPolicy::read(name, table));
        let endpoints: Vec<EndpointPolicy> = endpoints.collect();
        check_places(&endpoints, root);
        let calls = root.table("calls");
        let granted =
            calls.names().into_iter().map(|service| (service.clone(), calls.or(&service, Vec::new()))).collect();
        let config = root.table("config");
        let values = config.names().into_iter().map(|key| (key.clone(), config.or(&key, String::new()))).collect();
        let invalidates = root.table("cache").or("invalidates", Vec::new());
        let fallbacks = root.table("fallback").named_tables();
        let fallback_texts = fallbacks.iter().filter_map(|(method, table)| {
            let place = table.place("");
            Some((method.clone(), table.required::<Reply>("value")?.0, place))
        });
        let fallback_texts = fallback_texts.collect();
        let mocks = read_mocks(&root.table("mock"));
        let redact = root.table("redact");
        let redact = Redact { fields: redact.or("fields", Vec::new()), claims: redact.or("claims", Vec::new()) };
        // What is in it is the affair of who tests the plugin.
        root.table("test").names();
        let limits = Limits::read(&root.table("limits"));
        let (calls_place, plugin_place) = (calls.place(""), plugin.place(""));
        Some(Self {
            name: name?,
            version: version?,
            client: client?,
            endpoints,
            calls: granted,
            limits,
            config: values,
            invalidates,
            fallbacks: BTreeMap::new(),
            fallback_texts,
            mocks,
            redact,
            calls_place,
            plugin_place,
        })
    }

    /// Whether `pkg.Service/Method` is in `[calls]`.
    pub fn grants(&self, method: &str) -> bool {
        let Some((service, method)) = method.split_once('/') else { return false };
        self.calls.get(service).is_some_and(|methods| methods.iter().any(|granted| granted == method))
    }

    /// Code says which endpoints exist, the manifest says how they are treated: both have to name the same ones.
    pub(super) fn check_endpoints(&mut self, schema: &[EndpointSchema], mistakes: &Mistakes) {
        for policy in &mut self.endpoints {
            let Some(declared) = schema.iter().find(|e| e.is(&policy.name)) else {
                let known: Vec<_> = schema.iter().map(|e| format!("\"{} {}\"", e.method, e.path)).collect();
                let text = format!(
                    "the code has no such endpoint; it has: {}; one in Rust is there once `plugin!` names it",
                    known.join(", ")
                );
                mistakes.add(policy.place.mistake(text));
                continue;
            };
            for (path, _) in &policy.deprecated_fields {
                if declared.response.as_ref().is_none_or(|response| member(response, path).is_none()) {
                    let text = format!("deprecated-fields: what the code answers with has no `{path}`");
                    mistakes.add(policy.place.mistake(text));
                }
            }
            match &mut policy.fields {
                Some(fields) => fields.resolve(declared, &policy.place, mistakes),
                None if declared.selects() => {
                    let text = "the code looks at which members are chosen (`Selection`): set fields = true";
                    mistakes.add(policy.place.mistake(text));
                }
                None => {}
            }
            if declared.needs_identity() && policy.auth != Auth::Required {
                let text = format!(
                    "the code needs the caller's identity, but auth is \"{}\": set auth = \"required\"",
                    policy.auth.as_str()
                );
                mistakes.add(policy.place.mistake(text));
            }
            if declared.streams() {
                policy.becomes_a_stream(mistakes);
            }
        }
        for declared in schema {
            if !self.endpoints.iter().any(|policy| declared.is(&policy.name)) {
                let text = format!(
                    "the code declares \"{0} {1}\", which has no policy here: add [endpoint.\"{0} {1}\"]",
                    declared.method, declared.path
                );
                mistakes.add(self.plugin_place.mistake(text));
            }
        }
    }

    /// Fallbacks are for methods that the plugin may call, and have to be replies of theirs.
    pub(super) fn read_fallbacks(&mut self, descriptors: &DescriptorPool, mistakes: &Mistakes) {
        for (method, text, place) in &self.fallback_texts {
            let found = method.split_once('/').and_then(|(service, name)| {
                descriptors.get_service_by_name(service)?.methods().find(|m| m.name() == name)
            });
            let Some(found) = found.filter(|_| self.grants(method)) else {
                mistakes.add(place.mistake(format!("`{method}` is not in [calls]")));
                continue;
            };
            match protojson::to_protobuf(found.output(), text.as_bytes()) {
                Ok(bytes) => drop(self.fallbacks.insert(method.clone(), bytes)),
                Err(failure) => {
                    mistakes.add(place.mistake(format!("value: {}", failure.message.replace("request", "value"))))
                }
            }
        }
    }

    /// Every method in `[calls]` has to be in the protos.
    pub(super) fn check_calls(&self, descriptors: &DescriptorPool, mistakes: &Mistakes) {
        // An artifact without protos of its own relies on the host's.
        if descriptors.services().len() == 0 {
            return;
        }
        for (service, methods) in &self.calls {
            let Some(found) = descriptors.get_service_by_name(service) else {
                mistakes.add(self.calls_place.mistake(format!("the protos have no service `{service}`")));
                continue;
            };
            for method in methods {
                if !found.methods().any(|m| m.name() == method) {
                    let known: Vec<_> = found.methods().map(|m| m.name().to_owned()).collect();
                    let text = format!("`{service}` has no method `{method}`; it has: {}", known.join(", "));
                    mistakes.add(self.calls_place.mistake(text));
                }
            }
        }
    }
}

impl EndpointPolicy {
    fn read(name: &str, table: &Table<'_>) -> Option<Self> {
        let parsed = name.parse().map_err(|error: super::BadEndpoint| table.mistake("", error.to_string())).ok();
        let timeout = table.within("timeout", Duration::from_secs(2), Duration::from_millis(1), Duration::from_mins(5));
        let headers = header_names(table, "headers");
        for name in &headers {
            if *name == header::AUTHORIZATION || *name == header::COOKIE {
                table.mistake("headers", format!("`{name}` never reaches a plugin; ask for claims instead"));
            }
        }
        let section = table.table("idempotency");
        let idempotency = section.exists().then(|| Idempotency {
            ttl: section.within("ttl", Duration::from_hours(24), Duration::from_secs(1), Duration::from_hours(24 * 7)),
            scope: section.or("scope", Scope::Principal),
            strict: section.or("strict", false),
        });
        if idempotency.is_some() && name.starts_with("GET ") {
            section.mistake("", "a GET changes nothing, so its answer need not be kept: remove `idempotency`");
        }
        let json = || vec!["application/json".to_owned()];
        let produces = table.or("produces", json());
        let cache = ResponseCache::read(name, &table.table("cache"), &headers);
        let fields = table.table("deprecated-fields").named_tables();
        let fields = fields.iter().filter_map(|(path, table)| Some((path.clone(), Deprecated::read(table)?)));
        Some(Self {
            cache,
            deprecated: Deprecated::read(&table.table("deprecated")),
            deprecated_fields: fields.collect(),
            consumes: table.or("consumes", json()),
            fields: Selectable::read(name, table, &produces),
            produces,
            name: parsed?,
            auth: table.or("auth", Auth::Required),
            timeout,
            headers,
            claims: table.or("claims", Vec::new()),
            response_headers: header_names(table, "response-headers"),
            priority: table.or("priority", Priority::Normal),
            streams: false,
            rate: table.optional("rate"),
            principal_rate: table.optional("principal-rate"),
            idempotency,
            place: table.place(""),
        })
    }
}

/// As they stand there; who holds them against the schema knows more of it.
fn read_mocks(table: &Table<'_>) -> Vec<(String, String, Place)> {
    let names = table.names().into_iter();
    names.filter_map(|name| Some((name.clone(), table.optional::<Reply>(&name)?.0, table.place(&name)))).collect()
}

/// Whether there is no more of anything than is worth reading. Each of them is checked against what the code and the protos have.
fn is_in_bounds(root: &Table<'_>) -> bool {
    let calls = root.table("calls");
    let methods = calls.names().iter().map(|service| calls.or(service, Vec::<String>::new()).len() + 1).sum();
    let counts = [
        ("endpoint", root.table("endpoint").names().len(), MOST_ENDPOINTS),
        ("fallback", root.table("fallback").names().len(), MOST_ENDPOINTS),
        ("mock", root.table("mock").names().len(), MOST_ENDPOINTS),
        ("calls", methods, MOST_METHODS),
    ];
    let over = counts.into_iter().filter(|(_, count, most)| count > most);
    over.map(|(key, count, most)| root.mistake(key, format!("has {count}, and may have {most}"))).count() == 0
}

/// Of two endpoints that differ in the names of their parameters only, one would never be found.
fn check_places(endpoints: &[EndpointPolicy], root: &Table<'_>) {
    let mut held: BTreeMap<String, &EndpointName> = BTreeMap::new();
    for policy in endpoints {
        if let Some(other) = held.insert(policy.name.place(), &policy.name) {
            root.note(policy.place.mistake(format!("is the same as \"{other}\": remove one of them")));
        }
    }
}

impl Limits {
    fn read(table: &Table<'_>) -> Self {
        Self {
            memory: table.within("memory", ByteSize(32 << 20), ByteSize(64 << 10), ByteSize(4 << 30)),
            cpu: table.within("cpu", Duration::from_millis(50), Duration::from_millis(1), Duration::from_mins(1)),
            calls: table.within("calls", 200, 0, 100_000),
            response: table.within("response", ByteSize(1 << 20), ByteSize(0), ByteSize(256 << 20)),
            isolation: table.or("isolation", Isolation::Request),
        }
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= 64
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}
