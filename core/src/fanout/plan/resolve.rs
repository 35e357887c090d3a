//! What is made of a method when a release is loaded.

use super::{BatchRule, Plan, PlanError};
use crate::{
    fanout::{
        config::{BackendConfig, BatchConfig, MethodConfig, StreamConfig, TagConfig},
        rule,
        series::MethodSeries,
        tags::Tags,
    },
    model::{Digest, Scope},
    telemetry::Metrics,
    upstream::{Method, Protocol, Rest, StreamBounds, Transport},
};
use prost_reflect::{
    DescriptorPool, MessageDescriptor, MethodDescriptor, prost_types::method_options::IdempotencyLevel,
};
use std::sync::Arc;

/// What the protos and the configuration say of one method.
pub(in crate::fanout) fn resolve(
    (config, backend): (&BackendConfig, &Arc<dyn Transport>),
    name: &str,
    descriptor: &MethodDescriptor,
    metrics: &Metrics,
) -> Result<Plan, PlanError> {
    let method = config.methods.get(name);
    let rest = rest(config, descriptor)?;
    let safe = method.and_then(|m| m.safe).unwrap_or_else(|| looks_safe(descriptor, rest.as_ref()));
    if let Some(method) = method {
        check_safety(method, safe)?;
    }
    let (tags, invalidates) = tags(name, method, &descriptor.input()).map_err(|message| PlanError::Rule {
        at: method.map_or_else(|| config.place.clone(), |m| m.place.clone()),
        message,
    })?;
    let batch = method.and_then(|m| m.batch.as_ref());
    let batch = batch.map(|batch| batch_rule(config, descriptor, batch, metrics)).transpose()?.map(Arc::new);
    let stream = stream_bounds(config, descriptor);
    let mapping = rest.as_ref().map(|_| Digest::of(&descriptor.parent_pool().encode_to_vec()));
    let spec = batch.as_ref().map(|batch| &batch.spec);
    // None of it has parts in no order, or one that differs between hosts.
    let shape = format!("{name}\n{}\n{safe}\n{spec:?}\n{tags:?}\n{rest:?}\n{mapping:?}\n{stream:?}", config.name);
    let shape = Digest::of(shape.as_bytes());
    Ok(Plan {
        id: 0,
        name: name.into(),
        method: Arc::new(Method::new(&config.name, name, safe, rest, metrics).streaming(stream)),
        backend: backend.clone(),
        safe,
        scope: method.map_or(Scope::Principal, |m| m.scope),
        timeout: method.and_then(|m| m.timeout).unwrap_or(config.timeout),
        cache: method.and_then(|m| m.cache),
        batch,
        series: MethodSeries::new(metrics, name),
        tags,
        invalidates,
        shape,
    })
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

fn batch_rule(
    config: &BackendConfig,
    single: &MethodDescriptor,
    batch: &BatchConfig,
    metrics: &Metrics,
) -> Result<BatchRule, PlanError> {
    let wrong = |message| PlanError::Rule { at: batch.place.clone(), message };
    let (via, spec, rule) = rule::resolve(batch, single).map_err(wrong)?;
    let name = format!("{}/{}", single.parent_service().full_name(), batch.via);
    if config.methods.get(&name).is_some_and(|via| via.safe == Some(false)) {
        return Err(wrong(format!("via: `{}` is not safe (`safe = false`), and a batch may be sent again", batch.via)));
    }
    let rest = rest(config, &via)?;
    // One more message than there are keys tells that the stream has ended; what it leaves out is asked for again.
    let stream = stream_bounds(config, &via).map(|bounds| StreamBounds {
        items: bounds.items.max(batch.max.saturating_add(1)),
        whole: true,
        ..bounds
    });
    Ok(BatchRule {
        rule,
        spec,
        method: Arc::new(Method::new(&config.name, &name, true, rest, metrics).streaming(stream)),
        max: batch.max,
        max_bytes: batch.max_bytes,
    })
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

/// The same of a method by its name, where nothing is configured of it.
pub fn looks_safe_by_name(pool: &DescriptorPool, method: &str) -> bool {
    let found = method.split_once('/').and_then(|(service, name)| {
        let service = pool.get_service_by_name(service)?;
        service.methods().find(|method| method.name() == name)
    });
    found.is_some_and(|method| looks_safe(&method, None))
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
