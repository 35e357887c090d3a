//! The way of one request through the house, in [`Gateway::handle`].
//!
//! Each step is a module or a function that can be read alone: [`client`] (whose frontend is it), `release` (which endpoint of which
//! plugin), `identity` (who calls), [`input`] (what the guest is given), `plugin` (the guest runs), [`output`] (what of its answer
//! is let out).

mod client;
mod explained;
mod input;
mod output;

pub use client::{Client, Clients};
pub use explained::explained;
pub use output::{Body, Reply};

use crate::{
    artifact::Auth,
    fanout::{Caller, Engine, Limits, Session, Stats},
    identity::{Refusal, Verifier},
    model::{Blame, Deadline, Fault, Identity, TraceContext},
    plugin::{Invocation, PluginError},
    release::{Endpoint, Found, Release, Releases},
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use std::{net::SocketAddr, sync::Arc, time::Duration};

/// A request as the edge hands it over. The body is read only when the way is clear.
pub struct Request {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: BoxFuture<'static, Result<Bytes, Fault>>,
    pub request_id: HeaderValue,
    pub trace: TraceContext,
    pub peer: Option<SocketAddr>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("method", &self.method).field("uri", &self.uri).finish_non_exhaustive()
    }
}

/// Ceilings for every request.
#[derive(Debug, Clone, Copy)]
pub struct Ceilings {
    pub timeout: Duration,
    pub calls: u32,
    pub arena: usize,
    pub message: usize,
}

/// Everything that a request meets.
#[derive(Debug)]
pub struct Gateway {
    pub clients: Clients,
    pub verifier: Option<Verifier>,
    pub releases: Arc<Releases>,
    pub engine: Arc<Engine>,
    pub ceilings: Ceilings,
    /// Response headers that the operator grants to plugins that ask for them.
    pub granted_headers: Vec<HeaderName>,
    /// The scope of callers who may ask for a request's waterfall; `*` for everybody.
    pub explain: Option<String>,
}

/// What is told about a request that found its endpoint, whether it went well or not.
#[derive(Debug, Default)]
pub struct Trail {
    pub endpoint: Option<Arc<Endpoint>>,
    pub stats: Option<Arc<Stats>>,
    pub guest_cpu: Duration,
}

impl Gateway {
    /// From client to answer. What happened on the way is left in `trail`, also when it ends in a fault.
    pub async fn handle(&self, request: Request, trail: &mut Trail) -> Result<Reply, Fault> {
        let (client, path) = self.clients.recognise(&request.headers, &request.uri)?;
        let table = self.releases.current();
        let routes = table.routes(client).ok_or_else(|| not_found(client, path))?;
        let (endpoint, params) = match routes.find(&request.method, path) {
            Found::Endpoint(endpoint, params) => (endpoint.clone(), input::decode_params(params)?),
            Found::OtherMethods(methods) => return Err(method_not_allowed(&request.method, path, &methods)),
            Found::Nothing => return Err(not_found(client, path)),
        };
        trail.endpoint = Some(endpoint.clone());
        let release = &endpoint.release;
        let deadline = Deadline::after(endpoint.policy.timeout.min(self.ceilings.timeout));
        let (identity, token) = self.identify(&endpoint, &request.headers).await?.unzip();

        let given = input::Given {
            endpoint: &endpoint,
            path: path.to_owned(),
            params,
            query: input::query(request.uri.query())?,
            headers: input::headers(&endpoint.policy, &request.headers)?,
            client,
            identity: identity.as_deref(),
            request_id: &request.request_id,
            deadline,
        };
        let body = tokio::time::timeout_at(deadline.instant(), request.body).await.map_err(|_| body_too_slow())??;
        let caller = Caller {
            identity: identity.clone(),
            token,
            request_id: request.request_id.clone(),
            trace: request.trace,
            source: request.peer,
        };
        let limits = Limits {
            calls: release.limits.calls.min(self.ceilings.calls),
            arena: self.ceilings.arena,
            message: self.ceilings.message,
        };
        let stats = Arc::new(Stats::new(self.may_explain(&request.headers, identity.as_deref())));
        trail.stats = Some(stats.clone());
        let session = Session::new(self.engine.clone(), release.plans.clone(), caller, deadline, limits, stats);

        let invocation = Invocation { request: given.into_request(body), session, identity, deadline };
        let answer = release.plugin.handle(invocation).await.map_err(|error| plugin_fault(release, error))?;
        trail.guest_cpu = answer.cpu;
        release.observe_cpu(answer.cpu);
        match answer.result {
            Ok(response) => output::reply(response, &endpoint.policy, &self.granted_headers),
            Err(problem) => Ok(output::problem(problem)),
        }
    }

    /// Whether the request asks for its waterfall, and its caller may.
    fn may_explain(&self, headers: &HeaderMap, identity: Option<&Identity>) -> bool {
        let asks = headers.get("x-weft-explain").is_some_and(|value| value == "1");
        asks && self
            .explain
            .as_ref()
            .is_some_and(|scope| scope == "*" || identity.is_some_and(|identity| identity.scopes.contains(scope)))
    }

    /// By the endpoint's policy: a token that is needed has to be there, and one that is looked at has to be good.
    async fn identify(
        &self,
        endpoint: &Endpoint,
        headers: &HeaderMap,
    ) -> Result<Option<(Arc<Identity>, HeaderValue)>, Fault> {
        let found = match (&self.verifier, endpoint.policy.auth) {
            (_, Auth::None) => return Ok(None),
            (Some(verifier), _) => verifier.verify(headers).await?,
            (None, Auth::Optional) => None,
            (None, Auth::Required) => {
                let text = "this endpoint needs a caller, and the host has no [identity] to verify one";
                return Err(Fault::new(Blame::Host, StatusCode::SERVICE_UNAVAILABLE, "not-configured", text));
            }
        };
        match found {
            None if endpoint.policy.auth == Auth::Required => Err(Refusal::Missing.into()),
            found => Ok(found),
        }
    }
}

fn not_found(client: &str, path: &str) -> Fault {
    Fault::client(StatusCode::NOT_FOUND, "not-found", format!("client `{client}` has no endpoint at {path}"))
}

fn method_not_allowed(method: &Method, path: &str, methods: &[Method]) -> Fault {
    let mut names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    let allow = names.join(", ");
    let fault = Fault::client(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        format!("{path} takes {allow}, not {method}"),
    );
    match HeaderValue::try_from(allow) {
        Ok(allow) => fault.header(header::ALLOW, allow),
        Err(_) => fault,
    }
}

fn body_too_slow() -> Fault {
    Fault::client(StatusCode::REQUEST_TIMEOUT, "body-too-slow", "the body did not arrive within the endpoint's time")
}

/// Whose fault it is, and what the caller may know of it.
fn plugin_fault(release: &Release, error: PluginError) -> Fault {
    let (blame, status, detail) = match &error {
        PluginError::Busy(_) => (Blame::Host, StatusCode::SERVICE_UNAVAILABLE, "the host is full; try again soon"),
        PluginError::Deadline => {
            (Blame::Upstream, StatusCode::GATEWAY_TIMEOUT, "the endpoint's time was over before there was an answer")
        }
        PluginError::Cpu(_) => (Blame::Guest, StatusCode::GATEWAY_TIMEOUT, "the plugin used up its CPU time"),
        PluginError::Memory(_) => (Blame::Guest, StatusCode::BAD_GATEWAY, "the plugin used up its memory"),
        PluginError::TooLarge { .. } => {
            (Blame::Guest, StatusCode::BAD_GATEWAY, "the plugin's response is over its limit")
        }
        PluginError::Trapped(_) => (Blame::Guest, StatusCode::BAD_GATEWAY, "the plugin failed"),
        PluginError::Start(_) => (Blame::Guest, StatusCode::BAD_GATEWAY, "the plugin can't be started"),
    };
    if matches!(error, PluginError::Trapped(_) | PluginError::Memory(_) | PluginError::Start(_)) {
        release.count_trap();
    }
    let fault = Fault::new(blame, status, error.kind(), detail).because(&error);
    let fault = fault.with("plugin", &release.name).with("version", release.version.to_string());
    match error {
        PluginError::Busy(_) => fault.header(header::RETRY_AFTER, HeaderValue::from_static("1")),
        _ => fault,
    }
}
