//! Backends as they are, with an eye on what they are asked and what they answer.

use crate::{
    artifact::Artifact,
    config::Config,
    fanout::BackendConfig,
    model::{Deadline, Failure},
    observe::Audience,
    sync::lock,
    telemetry::Metrics,
    upstream::{Backend, Method, Outgoing, Rest, StandIn, StandInCall, StreamBounds, Transport},
};
use bytes::Bytes;
use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

/// No call takes longer.
const LONGEST: Duration = Duration::from_mins(5);

/// A call and what came of it.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    pub(super) method: String,
    pub(super) request: Bytes,
    pub(super) reply: Result<Bytes, Failure>,
}

/// Passes on what it hears.
#[derive(Debug)]
pub(super) struct Recorder {
    backends: HashMap<String, (Arc<Backend>, Arc<Method>)>,
    heard: Mutex<Vec<Exchange>>,
}

impl Recorder {
    /// In front of the backends of this configuration, for all that the plugin may call. Needs a runtime.
    pub(super) fn new(config: &Config, artifact: &Artifact) -> Result<Self, String> {
        let metrics = Metrics::default();
        let mut made: HashMap<&str, Arc<Backend>> = HashMap::new();
        let mut backends = HashMap::new();
        for name in &artifact.methods {
            let service = name.split_once('/').map_or("", |(service, _)| service);
            let Some(of) = config.fanout.backend_of(service) else { continue };
            let backend = match made.get(of.name.as_str()) {
                Some(backend) => backend.clone(),
                None => {
                    let backend = Arc::new(Backend::new(&of.name, &of.upstream, &metrics)?);
                    backend.watch();
                    made.insert(&of.name, backend.clone());
                    backend
                }
            };
            backends.insert(name.clone(), (backend, Arc::new(method(of, artifact, name, &metrics)?)));
        }
        Ok(Self { backends, heard: Mutex::default() })
    }

    /// Waits a while for the first instances of backends that are looked for.
    pub(super) async fn settle(&self) {
        for (backend, _) in self.backends.values() {
            backend.has_instances().await;
        }
    }

    /// What was heard so far, and no more.
    pub(super) fn take(&self) -> Vec<Exchange> {
        std::mem::take(&mut *lock(&self.heard))
    }
}

/// How the method is called.
fn method(backend: &BackendConfig, artifact: &Artifact, name: &str, metrics: &Metrics) -> Result<Method, String> {
    let (service, short) = name.split_once('/').unwrap_or((name, ""));
    let found = artifact.descriptors.get_service_by_name(service);
    let found = found.and_then(|service| service.methods().find(|method| method.name() == short));
    let found = found.ok_or_else(|| format!("the plugin's protos have no `{name}`"))?;
    let configured = backend.methods.get(name);
    let rest = match configured.and_then(|method| method.http.as_deref()) {
        Some(http) => {
            let body = configured.and_then(|method| method.response_body.as_deref());
            Some(Rest::resolve(http, body, found.input(), found.output()).map_err(|error| format!("{name}: {error}"))?)
        }
        None => None,
    };
    let stream = configured.map_or(crate::fanout::StreamConfig::DEFAULT, |method| method.stream);
    let bounds = StreamBounds { items: stream.items, bytes: stream.bytes.as_usize(), time: stream.time, whole: false };
    let method = Method::new(&backend.name, name, false, rest, metrics);
    Ok(method.streaming(found.is_server_streaming().then_some(bounds)))
}

impl StandIn for Recorder {
    fn reply<'a>(&'a self, call: StandInCall<'a>) -> Pin<Box<dyn Future<Output = Result<Bytes, Failure>> + Send + 'a>> {
        Box::pin(async move {
            let Some((backend, method)) = self.backends.get(call.method) else {
                let text = format!("no backend of the configuration serves `{}`", call.method);
                return Err(Failure::new(crate::model::Code::Unimplemented, text));
            };
            let outgoing = Outgoing {
                method: method.clone(),
                message: call.message.clone(),
                metadata: call.metadata.clone(),
                deadline: Deadline::after(LONGEST),
                source: None,
                cut: Arc::default(),
                audience: Audience::default(),
            };
            let reply = backend.call(outgoing).await.result;
            let exchange =
                Exchange { method: call.method.to_owned(), request: call.message.clone(), reply: reply.clone() };
            lock(&self.heard).push(exchange);
            reply
        })
    }
}
