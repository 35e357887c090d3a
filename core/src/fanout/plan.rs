//! What the engine knows of one method: worked out when a release is loaded, from the artifact's descriptors and the operator's
//! configuration, so that a call only looks it up.

use super::{
    cache::CacheCounts,
    call::Origin,
    config::{BackendConfig, BatchConfig, CacheConfig, MethodConfig, StreamConfig, TagConfig},
    engine::Engine,
    lane::Lanes,
    rule,
    tags::Tags,
};
use crate::{
    artifact::Digest,
    model::Scope,
    settings::Place,
    store::Invalidation,
    telemetry::{CallLabels, Counter, Metrics},
    upstream::{Method, Protocol, Rest, StreamBounds, Transport},
};
use bytes::Bytes;
use prost_reflect::{
    DescriptorPool, MessageDescriptor, MethodDescriptor, prost_types::method_options::IdempotencyLevel,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, atomic::AtomicU64},
    time::Duration,
};
use tokio::time::Instant;

/// One method as the engine treats it. Plans that come out equal are shared by all releases, and with them flights, lanes and
/// cached replies.
#[derive(Debug)]
pub struct Plan {
    pub(super) id: u32,
    /// `catalog.v1.Films/GetFilm`.
    pub(super) name: Arc<str>,
    pub(super) method: Arc<Method>,
    pub(super) backend: Arc<dyn Transport>,
    pub(super) safe: bool,
    pub(super) scope: Scope,
    pub(super) timeout: Duration,
    pub(super) cache: Option<CacheConfig>,
    pub(super) batch: Option<Batch>,
    pub(super) calls: CallCounts,
    pub(super) lookups: CacheCounts,
    /// Of its cached replies.
    pub(super) tags: Tags,
    /// What is true no more once it was done, where it is a write.
    pub(super) invalidates: Option<Tags>,
    /// Of everything that its replies depend on beside scope and request, for hosts to agree on.
    pub(super) shape: Digest,
}

/// The method's part of `weft_calls_total`.
#[derive(Debug)]
pub(super) struct CallCounts([Counter; 6]);

impl CallCounts {
    fn new(metrics: &Metrics, method: &str) -> Self {
        Self(Origin::ALL.map(|origin| {
            let labels = CallLabels { method: method.to_owned(), origin: origin.as_str().to_owned() };
            metrics.calls.get_or_create_owned(&labels)
        }))
    }

    pub(super) fn count(&self, origin: Origin, calls: u64) {
        if let Some(counter) = self.0.get(origin as usize).filter(|_| calls > 0) {
            counter.inc_by(calls);
        }
    }
}

/// How calls of a method travel together.
#[derive(Debug)]
pub(super) struct Batch {
    /// What the rule was made of; equal specs make equal plans.
    pub(super) spec: weft_wire::Spec,
    pub(super) rule: weft_wire::Rule,
    pub(super) method: Arc<Method>,
    pub(super) max: usize,
    pub(super) max_bytes: usize,
    pub(super) lanes: Lanes,
    /// When something odd about its replies was told last.
    pub(super) told: Mutex<Option<Instant>>,
    /// Average answer time of batches, in seconds, as the bits of an f64.
    pub(super) round_trip: AtomicU64,
}

/// The methods of one release, by the numbers of its own method table.
#[derive(Debug, Default)]
pub struct Plans {
    entries: Vec<Planned>,
    by_name: HashMap<String, u32>,
}

/// One line of a release's method table.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) plan: Arc<Plan>,
    /// The messages as this artifact knows them, for calls in JSON.
    pub(super) descriptor: MethodDescriptor,
    /// The reply that stands in when the call fails.
    pub(super) fallback: Option<Bytes>,
}

/// Why a release's methods can't be called through this host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error("`{0}` is not in the artifact's descriptors; build it again with the protos that it calls")]
    Unknown(String),
    #[error(
        "no backend serves `{service}`, which `{method}` needs: add it to `services` of a [backend.NAME] in the host's configuration"
    )]
    NoBackend { service: String, method: String },
    #[error("`{0}` takes a stream; a plugin sends one message")]
    Streams(String),
    #[error("{file}:{line}: {key}: {message}", file = at.file, line = at.line, key = at.key)]
    Rule { at: Place, message: String },
}

impl Plans {
    /// Looks up every method of the table. All errors are found at once.
    pub(super) fn resolve(
        engine: &Engine,
        methods: &[String],
        pool: &DescriptorPool,
        fallbacks: &BTreeMap<String, Bytes>,
    ) -> Result<Self, Vec<PlanError>> {
        let mut plans = Self::default();
        let mut errors = Vec::new();
        for (number, name) in methods.iter().enumerate() {
            match describe(engine, pool, name).and_then(|descriptor| resolve_one(engine, name, descriptor)) {
                Ok(planned) => plans.entries.push(Planned { fallback: fallbacks.get(name).cloned(), ..planned }),
                Err(error) => errors.push(error),
            }
            plans.by_name.insert(name.clone(), u32::try_from(number).unwrap_or(u32::MAX));
        }
        if errors.is_empty() { Ok(plans) } else { Err(errors) }
    }

    pub(super) fn get(&self, number: u32) -> Option<&Planned> {
        self.entries.get(usize::try_from(number).ok()?)
    }

    pub(super) fn number_of(&self, name: &str) -> Option<(u32, &Planned)> {
        let number = *self.by_name.get(name)?;
        Some((number, self.get(number)?))
    }
}

/// Finds `pkg.Service/Method`.
pub(super) fn find_method(pool: &DescriptorPool, name: &str) -> Result<MethodDescriptor, PlanError> {
    let unknown = || PlanError::Unknown(name.to_owned());
    let (service, method) = name.split_once('/').ok_or_else(unknown)?;
    let service = pool.get_service_by_name(service).ok_or_else(unknown)?;
    service.methods().find(|m| m.name() == method).ok_or_else(unknown)
}

/// The artifact's own protos go before what the operator gives or the backend tells.
fn describe(engine: &Engine, pool: &DescriptorPool, name: &str) -> Result<MethodDescriptor, PlanError> {
    let own = find_method(pool, name);
    let service = name.split_once('/').map_or(name, |(service, _)| service);
    let Some((config, _)) = engine.backend_of(service).filter(|_| own.is_err()) else { return own };
    match engine.given_descriptors(config, service) {
        Ok(Some(given)) => find_method(&given, name),
        Ok(None) => own,
        Err(message) => {
            let at = config.descriptors.as_ref().map_or(&config.place, |given| &given.place).clone();
            Err(PlanError::Rule { at, message })
        }
    }
}

fn resolve_one(engine: &Engine, name: &str, descriptor: MethodDescriptor) -> Result<Planned, PlanError> {
    if descriptor.is_client_streaming() {
        return Err(PlanError::Streams(name.to_owned()));
    }
    let service = descriptor.parent_service().full_name().to_owned();
    let Some((config, backend)) = engine.backend_of(&service) else {
        return Err(PlanError::NoBackend { service, method: name.to_owned() });
    };
    let method = config.methods.get(name);
    let rest = rest(config, &descriptor)?;
    let safe = method.and_then(|m| m.safe).unwrap_or_else(|| looks_safe(&descriptor, rest.as_ref()));
    if let Some(method) = method {
        check_safety(method, safe)?;
    }
    let (tags, invalidates) = tags(name, method, &descriptor.input()).map_err(|message| PlanError::Rule {
        at: method.map_or_else(|| config.place.clone(), |m| m.place.clone()),
        message,
    })?;
    let batch = method.and_then(|m| m.batch.as_ref());
    let batch = batch.map(|batch| Batch::new(engine, config, &descriptor, batch)).transpose()?;
    let stream = stream_bounds(config, &descriptor);
    let mapping = rest.as_ref().map(|_| Digest::of(&descriptor.parent_pool().encode_to_vec()));
    let spec = batch.as_ref().map(|batch| &batch.spec);
    // None of it has parts in no order, or one that differs between hosts.
    let shape = format!("{name}\n{}\n{safe}\n{spec:?}\n{tags:?}\n{rest:?}\n{mapping:?}\n{stream:?}", config.name);
    let shape = Digest::of(shape.as_bytes());
    let plan = engine.share_plan(Plan {
        id: 0,
        name: name.into(),
        method: Arc::new(Method::new(&config.name, name, safe, rest, &engine.metrics).streaming(stream)),
        backend,
        safe,
        scope: method.map_or(Scope::Principal, |m| m.scope),
        timeout: method.and_then(|m| m.timeout).unwrap_or(config.timeout),
        cache: method.and_then(|m| m.cache),
        batch,
        calls: CallCounts::new(&engine.metrics, name),
        lookups: CacheCounts::new(&engine.metrics, name),
        tags,
        invalidates,
        shape,
    });
    Ok(Planned { plan, descriptor, fallback: None })
}

impl Plan {
    /// What a write with this message is declared to invalidate.
    pub(super) fn invalidated_by(&self, message: &[u8]) -> Option<Invalidation> {
        let tags = self.invalidates.as_ref()?.of(message);
        (!tags.is_empty()).then(|| Invalidation::Tags(tags.to_vec()))
    }

    /// Whether the other one does the same, so that both may share what they load. All that a release can make differ is here:
    /// what comes from the configuration alone is the same for all plans of an engine.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let how = |method: &Method| (method.safe, method.rest.clone(), method.stream);
        let batch = |plan: &Self| plan.batch.as_ref().map(|batch| (batch.spec.clone(), how(&batch.method)));
        (&self.name, self.safe, self.scope, self.timeout) == (&other.name, other.safe, other.scope, other.timeout)
            && how(&self.method) == how(&other.method)
            && batch(self) == batch(other)
            && self.tags.is_same(&other.tags)
            && match (&self.invalidates, &other.invalidates) {
                (Some(own), Some(others)) => own.is_same(others),
                (None, None) => true,
                _ => false,
            }
    }
}

/// The tags of its replies, and what it invalidates.
fn tags(name: &str, method: Option<&MethodConfig>, input: &MessageDescriptor) -> Result<(Tags, Option<Tags>), String> {
    match method.map(|method| &method.tags) {
        Some(TagConfig::Invalidated(templates)) => {
            Ok((Tags::of_replies(name, &[], input)?, Some(Tags::invalidated(templates, input)?)))
        }
        Some(TagConfig::OfReplies(templates)) => Ok((Tags::of_replies(name, templates, input)?, None)),
        None => Ok((Tags::of_replies(name, &[], input)?, None)),
    }
}

/// What is cached or batched has to be safe, and what invalidates is a write.
fn check_safety(method: &MethodConfig, safe: bool) -> Result<(), PlanError> {
    let message = match safe {
        false if method.cache.is_some() || method.batch.is_some() => {
            "nothing says that this method is safe (NO_SIDE_EFFECTS in its proto, a name like GetX or ListX), so it is neither cached \
             nor batched: set `safe = true` if it is"
        }
        true if matches!(method.tags, TagConfig::Invalidated(_)) => {
            "a safe method changes nothing, so it invalidates nothing: set `safe = false` if it is a write"
        }
        _ => return Ok(()),
    };
    Err(PlanError::Rule { at: method.place.clone(), message: message.to_owned() })
}

impl Batch {
    fn new(
        engine: &Engine,
        config: &BackendConfig,
        single: &MethodDescriptor,
        batch: &BatchConfig,
    ) -> Result<Self, PlanError> {
        let wrong = |message| PlanError::Rule { at: batch.place.clone(), message };
        let (via, spec, rule) = rule::resolve(batch, single).map_err(wrong)?;
        let name = format!("{}/{}", single.parent_service().full_name(), batch.via);
        if config.methods.get(&name).is_some_and(|via| via.safe == Some(false)) {
            return Err(wrong(format!(
                "via: `{}` is not safe (`safe = false`), and a batch may be sent again",
                batch.via
            )));
        }
        let rest = rest(config, &via)?;
        // One more message than there are keys tells that the stream has ended; what it leaves out is asked for again.
        let stream = stream_bounds(config, &via).map(|bounds| StreamBounds {
            items: bounds.items.max(batch.max.saturating_add(1)),
            whole: true,
            ..bounds
        });
        Ok(Self {
            rule,
            spec,
            method: Arc::new(Method::new(&config.name, &name, true, rest, &engine.metrics).streaming(stream)),
            max: batch.max,
            max_bytes: batch.max_bytes,
            lanes: Lanes::default(),
            told: Mutex::default(),
            round_trip: AtomicU64::new(0),
        })
    }
}

/// How much is taken of a method that answers with a stream.
fn stream_bounds(config: &BackendConfig, method: &MethodDescriptor) -> Option<StreamBounds> {
    let name = format!("{}/{}", method.parent_service().full_name(), method.name());
    let bounds = config.methods.get(&name).map_or(StreamConfig::DEFAULT, |m| m.stream);
    let StreamConfig { items, bytes, time } = bounds;
    method.is_server_streaming().then(|| StreamBounds { items, bytes: bytes.as_usize(), time, whole: false })
}

/// How a method of a REST backend is called.
fn rest(config: &BackendConfig, method: &MethodDescriptor) -> Result<Option<Rest>, PlanError> {
    let name = format!("{}/{}", method.parent_service().full_name(), method.name());
    let configured = config.methods.get(&name);
    let wrong =
        |message: String| PlanError::Rule { at: configured.map_or(&config.place, |m| &m.place).clone(), message };
    match (config.upstream.protocol, configured.and_then(|m| m.http.as_deref())) {
        (Protocol::Grpc, None) => Ok(None),
        (Protocol::Grpc, Some(_)) => Err(wrong("`http` is for backends with protocol = \"rest\"".to_owned())),
        (Protocol::Rest, None) => Err(wrong(format!("a REST backend needs `http = \"GET /…\"` for {name}"))),
        (Protocol::Rest, Some(_)) if method.is_server_streaming() => {
            Err(wrong("http: it answers with a stream, and a response has one message: say so in its proto".to_owned()))
        }
        (Protocol::Rest, Some(text)) => {
            let response_body = configured.and_then(|m| m.response_body.as_deref());
            let resolved = Rest::resolve(text, response_body, method.input(), method.output());
            resolved.map(Some).map_err(|error| wrong(format!("http: {error}")))
        }
    }
}

/// Whether a method may be coalesced, cached, batched and tried again by what its proto says or, in the standard methods of
/// <https://google.aip.dev/130>, by its name. A name that goes on to say what else is done says that it is not only read
/// (`GetOrCreate`, `ListAndAck`), and so does a verb of HTTP that is for writes.
fn looks_safe(method: &MethodDescriptor, rest: Option<&Rest>) -> bool {
    let options = method.method_descriptor_proto().options.clone().unwrap_or_default();
    if options.idempotency_level() == IdempotencyLevel::NoSideEffects {
        return true;
    }
    is_a_readers_name(method.name()) && rest.is_none_or(Rest::is_read)
}

fn is_a_readers_name(name: &str) -> bool {
    let begins_a_word = |rest: &str| rest.is_empty() || rest.starts_with(|c: char| !c.is_ascii_lowercase());
    let reads = |verb: &str| name.strip_prefix(verb).is_some_and(begins_a_word);
    let does_more =
        |word: &str| name.match_indices(word).any(|(at, _)| name.get(at + word.len()..).is_some_and(begins_a_word));
    ["BatchGet", "Get", "List", "Search"].into_iter().any(reads) && !["And", "Or", "Then"].into_iter().any(does_more)
}

#[cfg(test)]
mod tests;
