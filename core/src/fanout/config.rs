//! `[cache]` and `[backend.NAME]` of `weft.toml`, as written. Names of fields are looked up when a release is loaded, because only
//! artifacts know the messages.

mod sources;

use crate::{
    model::Scope,
    settings::{ByteSize, FromValue, Place, Secret, Table, nearest},
    upstream,
};
pub use sources::{DescriptorSource, Given};
use std::{collections::BTreeMap, time::Duration};
use toml::de::DeValue;

/// Everything that the engine is told by the operator.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[cache] max-bytes`: what all cached entities may weigh together.
    pub cache_bytes: ByteSize,
    /// `[cache] max-entries`.
    pub cache_entries: u64,
    pub shared: Option<Tier>,
    pub backends: Vec<BackendConfig>,
}

/// `[backend.NAME]`.
#[derive(Debug, Clone)]
pub struct BackendConfig {
    pub name: String,
    /// Full names of the gRPC services that it serves.
    pub services: Vec<String>,
    pub services_place: Place,
    /// Bounds every call; a method may say otherwise.
    pub timeout: Duration,
    pub upstream: upstream::Config,
    pub methods: BTreeMap<String, MethodConfig>,
    /// Where messages are known from that artifacts don't bring.
    pub descriptors: Option<Given>,
    pub place: Place,
}

/// `[backend.NAME.method."pkg.Service/Method"]`.
#[derive(Debug, Clone)]
pub struct MethodConfig {
    /// `Some`: declared; `None`: judged by the proto's idempotency level and the method's name.
    pub safe: Option<bool>,
    pub scope: Scope,
    pub timeout: Option<Duration>,
    pub cache: Option<CacheConfig>,
    pub tags: TagConfig,
    pub batch: Option<BatchConfig>,
    /// How it is called where the backend speaks REST: `GET /v1/weather/{city}`.
    pub http: Option<String>,
    /// The field of the reply that the response's JSON is, where it is not the reply itself.
    pub response_body: Option<String>,
    /// `stream = { items = 1000, bytes = "1MiB", time = "500ms" }`: how much of a stream is taken.
    pub stream: StreamConfig,
    pub place: Place,
}

/// What a method's tags are for: `film:{id}`, with fields of the request in braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagConfig {
    /// Its cached replies carry them: `cache = { tags = […] }`.
    OfReplies(Vec<String>),
    /// It is a write, and replies that carry them are true no more: `invalidates = […]`.
    Invalidated(Vec<String>),
}

/// Bounds of a server-streaming method; without a time of its own it has to end within the method's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamConfig {
    pub items: usize,
    pub bytes: ByteSize,
    pub time: Option<Duration>,
}

impl StreamConfig {
    fn read(table: &Table<'_>) -> Self {
        Self {
            items: table.within("items", 1_000, 1, 1_000_000),
            bytes: table.within("bytes", ByteSize(1 << 20), ByteSize(1), ByteSize(256 << 20)),
            time: table.optional_within("time", Duration::from_millis(1), Duration::from_mins(5)),
        }
    }

    /// Where nothing is configured.
    pub const DEFAULT: Self = Self { items: 1_000, bytes: ByteSize(1 << 20), time: None };
}

/// `cache = { ttl = "60s", … }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheConfig {
    pub ttl: Duration,
    /// How long NOT_FOUND is remembered; zero: not at all.
    pub negative_ttl: Duration,
    /// How long a reply that has ended is served while one refresh runs.
    pub stale_while_revalidate: Duration,
    /// How long a reply that has ended stands in for a failure.
    pub stale_if_error: Duration,
}

/// `batch = { via = "BatchGetFilms", … }`. Field names are those of the protos; a dot steps into a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchConfig {
    /// The coarse-grained method of the same service.
    pub via: String,
    /// The fields of the single request that are the key: one, or several for a composite key.
    pub key: Vec<String>,
    /// The repeated field of the batch request that takes the keys.
    pub keys: String,
    /// The repeated (or map) field of the batch reply that holds the items; `None`: the messages of a stream are the items.
    pub items: Option<String>,
    /// The field of an item that is its key; `None`: items stand in the order of the keys.
    pub item_key: Option<Vec<String>>,
    /// The field of an element that holds the item, where elements are wrappers.
    pub item: Option<String>,
    /// The field of such an element that holds a `google.rpc.Status` for this item alone.
    pub status: Option<String>,
    /// The field of the single reply that holds the item, where the reply is not the item itself.
    pub wrap: Option<String>,
    pub missing: Missing,
    /// The repeated field of the batch reply that lists the keys without an item; goes before `missing`.
    pub missing_list: Option<String>,
    /// Most keys of one batch.
    pub max: usize,
    /// Most bytes of one batch request.
    pub max_bytes: usize,
    pub place: Place,
}

crate::choice! {
    /// What a batch does about a key that has no item.
    pub enum Missing {
        /// It leaves the item out.
        Omitted = "omitted",
        /// It puts an empty item in its place.
        Empty = "empty",
        /// It fails as a whole with NOT_FOUND or INVALID_ARGUMENT (AIP-231); it is then tried again in halves.
        Fails = "fails",
    }
}

/// `[cache] shared`, `namespace`, `shared-timeout`: where the shared tier is, whose part of it, and how long it may take.
#[derive(Debug, Clone)]
pub struct Tier {
    pub url: String,
    pub namespace: String,
    pub timeout: Duration,
}

impl Config {
    /// Reads `[cache]` and `[backend.*]` of the whole file's table.
    pub fn read(root: &Table<'_>) -> Self {
        let cache = root.table("cache");
        let cache_bytes = cache.within("max-bytes", ByteSize(256 << 20), ByteSize(0), ByteSize(1 << 40));
        let cache_entries = cache.within("max-entries", 1_000_000, 1, 1_000_000_000);
        let shared: Option<String> = cache.optional("shared");
        let timeout =
            cache.within("shared-timeout", Duration::from_millis(20), Duration::from_millis(1), Duration::from_secs(5));
        let namespace: String = cache.or("namespace", String::new());
        if namespace.len() > 64 || !namespace.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            cache.mistake("namespace", "expected at most 64 letters, digits and hyphens");
        }
        let shared = shared.and_then(|text| match read_url(&cache, &text) {
            Ok(url) => Some(Tier { url, namespace: namespace.clone(), timeout }),
            Err(reason) => {
                cache.mistake("shared", reason);
                None
            }
        });
        let mut backends = Vec::new();
        let mut served: BTreeMap<String, String> = BTreeMap::new();
        for (name, table) in root.table("backend").named_tables() {
            let backend = BackendConfig::read(name, &table);
            for service in &backend.services {
                if let Some(other) = served.insert(service.clone(), backend.name.clone()) {
                    table.mistake("services", format!("`{service}` is served by backend `{other}` already"));
                }
            }
            backends.push(backend);
        }
        Self { cache_bytes, cache_entries, shared, backends }
    }

    /// The backend that serves `service`.
    pub fn backend_of(&self, service: &str) -> Option<&BackendConfig> {
        self.backends.iter().find(|backend| backend.serves(service))
    }
}

/// `redis://…`, or where the URL is if it holds a password.
fn read_url(cache: &Table<'_>, text: &str) -> Result<String, String> {
    let url = match Secret::parse(text).map(|secret| cache.at_hand("shared", secret)) {
        // Nobody connects to it.
        Some(Secret::StandIn) => "redis://127.0.0.1".to_owned(),
        Some(secret) => secret.read()?,
        None => text.to_owned(),
    };
    let known =
        ["redis://", "rediss://", "unix://", "redis+unix://", "valkey://"].iter().any(|scheme| url.starts_with(scheme));
    if known {
        Ok(url)
    } else {
        Err("expected \"redis://HOST:PORT\", or where the URL is: \"env:NAME\", \"file:PATH\"".to_owned())
    }
}

impl BackendConfig {
    pub(super) fn serves(&self, service: &str) -> bool {
        self.services.iter().any(|served| served == service)
    }

    fn read(name: String, table: &Table<'_>) -> Self {
        let services: Option<Vec<String>> = table.required("services");
        let timeout = table.within("timeout", Duration::from_secs(1), Duration::from_millis(1), Duration::from_mins(5));
        let upstream = upstream::Config::read(table);
        let services = services.unwrap_or_default();
        let descriptors =
            table.optional("descriptors").map(|source| Given { source, place: table.place("descriptors") });
        let mut methods = BTreeMap::new();
        for (method, section) in table.table("method").named_tables() {
            let service = method.split_once('/').map(|(service, _)| service);
            if !service.is_some_and(|service| services.iter().any(|s| s == service)) {
                section.mistake("", misplaced(&name, &services, &method));
            }
            let config = MethodConfig::read(&section);
            methods.insert(method, config);
        }
        let services_place = table.place("services");
        Self { name, services, services_place, timeout, upstream, methods, descriptors, place: table.place("") }
    }
}

fn misplaced(backend: &str, services: &[String], method: &str) -> String {
    let expected = format!("expected \"SERVICE/METHOD\" with a service of backend `{backend}`");
    let near = method.split_once('/').and_then(|(service, method)| {
        Some(format!("{}/{method}", nearest(service, services.iter().map(String::as_str))?))
    });
    match near {
        Some(near) => format!("{expected}; did you mean `{near}`?"),
        None => format!("{expected}: {}", services.join(", ")),
    }
}

impl MethodConfig {
    /// Reads one, wherever it stands.
    pub fn read(table: &Table<'_>) -> Self {
        let declared: Option<Scope> = table.optional("scope");
        let section = table.table("cache");
        let cache_scope: Option<Scope> = section.optional("scope");
        if declared.is_some() && cache_scope.is_some() && declared != cache_scope {
            section.mistake("scope", "differs from the method's own `scope`; write it once");
        }
        let cache = section.exists().then(|| CacheConfig::read(&section)).flatten();
        let tags: Vec<String> = section.or("tags", Vec::new());
        let scope = declared.or(cache_scope).unwrap_or(Scope::Principal);
        let safe: Option<bool> = table.optional("safe");
        let section = table.table("batch");
        let batch = section.exists().then(|| BatchConfig::read(&section)).flatten();
        if table.or("forward", scope == Scope::Principal) && scope != Scope::Principal {
            let message = format!(
                "identity can't be forwarded on calls of scope \"{}\", because their replies are shared: \
                 set scope = \"principal\", or remove `forward`",
                scope.as_str()
            );
            table.mistake("forward", message);
        }
        if safe == Some(false) && (cache.is_some() || batch.is_some()) {
            table.mistake(
                "safe",
                "a method that is not safe is sent once and alone: remove `cache` and `batch`, or `safe = false`",
            );
        }
        let timeout = table.optional_within("timeout", Duration::from_millis(1), Duration::from_mins(5));
        let invalidates: Vec<String> = table.or("invalidates", Vec::new());
        if !invalidates.is_empty() && cache.is_some() {
            table.mistake("invalidates", "a method that is cached changes nothing: remove `cache` or `invalidates`");
        }
        let tags =
            if invalidates.is_empty() { TagConfig::OfReplies(tags) } else { TagConfig::Invalidated(invalidates) };
        let stream = StreamConfig::read(&table.table("stream"));
        let (http, response_body) = (table.optional("http"), table.optional("response-body"));
        Self { safe, scope, timeout, cache, tags, batch, http, response_body, stream, place: table.place("") }
    }
}

impl CacheConfig {
    fn read(table: &Table<'_>) -> Option<Self> {
        let negative_ttl = table.or("negative-ttl", Duration::ZERO);
        let stale_while_revalidate = table.or("stale-while-revalidate", Duration::ZERO);
        let stale_if_error = table.or("stale-if-error", Duration::ZERO);
        Some(Self { ttl: table.required("ttl")?, negative_ttl, stale_while_revalidate, stale_if_error })
    }

    /// How long a reply is kept after it has ended: for what is configured, and at least once more its lifetime, for plugins that
    /// prefer an old reply to none.
    pub fn retention(&self) -> Duration {
        self.stale_while_revalidate.max(self.stale_if_error).max(self.ttl)
    }
}

impl BatchConfig {
    fn read(table: &Table<'_>) -> Option<Self> {
        let (via, key, keys, items) =
            (table.required("via"), table.required::<Names>("key"), table.required("keys"), table.optional("items"));
        let max = table.within("max", 100_usize, 2, 10_000);
        let max_bytes = table.within("max-bytes", ByteSize(1 << 20), ByteSize(64), ByteSize(64 << 20)).as_usize();
        let (item_key, item, status) = (
            table.optional::<Names>("item-key").map(|names| names.0),
            table.optional("item"),
            table.optional("status"),
        );
        let (wrap, missing, missing_list) =
            (table.optional("wrap"), table.or("missing", Missing::Omitted), table.optional("missing-list"));
        let place = table.place("");
        Some(Self {
            via: via?,
            key: key?.0,
            keys: keys?,
            items,
            item_key,
            item,
            status,
            wrap,
            missing,
            missing_list,
            max,
            max_bytes,
            place,
        })
    }
}

/// One field name, or a list of them.
struct Names(Vec<String>);

impl FromValue for Names {
    fn expected() -> String {
        "a field name, or a list of them".into()
    }
    fn from_value(value: &DeValue<'_>) -> Option<Result<Self, String>> {
        match value.as_str() {
            Some(name) => Some(Ok(Self(vec![name.to_owned()]))),
            None => Some(Vec::from_value(value)?.map(Self)),
        }
    }
}
