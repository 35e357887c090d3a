//! The way of one request through the house, in [`Gateway::handle`].
//!
//! Each step is a module or a function that can be read alone: [`client`] (whose frontend is it), `release` (which endpoint of which
//! plugin), [`admission`] (is there room, and does the caller keep its rate), `identity` (who calls), [`input`] (what the guest is
//! given), [`idempotency`] (was this write done before), `plugin` (the guest runs), [`output`] (what of its answer is let out).

mod admission;
mod client;
mod explained;
mod faults;
mod idempotency;
mod input;
mod output;

pub use admission::Admission;
pub use client::{Client, Clients};
pub use explained::explained;
pub use idempotency::Answers;

use idempotency::{Begun, Slot};
pub use output::{Body, Reply};

use crate::{
    artifact::Auth,
    fanout::{Caller, Engine, Limits, Session, Stats},
    identity::{Peer, Verified, Verifier},
    model::{Blame, Deadline, Fault, Identity, TraceContext},
    plugin::Invocation,
    release::{Endpoint, Found, Release, Releases},
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use std::{net::SocketAddr, sync::Arc, time::Duration};

/// A request as the edge hands it over. The body is read only when the way is clear.
pub struct Request {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: BoxFuture<'static, Result<Bytes, Fault>>,
    pub request_id: HeaderValue,
    pub trace: TraceContext,
    /// Who connected.
    pub peer: Option<SocketAddr>,
    /// Whether the connection showed a certificate that the host trusts.
    pub certified: bool,
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
    pub verifier: Option<Arc<Verifier>>,
    pub releases: Arc<Releases>,
    pub engine: Arc<Engine>,
    pub ceilings: Ceilings,
    pub admission: Arc<Admission>,
    pub answers: Arc<Answers>,
    /// Response headers that the operator grants to plugins that ask for them.
    pub granted_headers: Arc<[HeaderName]>,
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
        // Whose frontend, which endpoint, of which release. The request keeps this release to its end.
        let (client, path) = self.clients.recognise(&request.headers, &request.uri)?;
        let table = self.releases.current();
        let routes = table.routes(&client.name).ok_or_else(|| faults::not_found(&client.name, path))?;
        let (endpoint, params) = match routes.find(&request.method, path) {
            Found::Endpoint(endpoint, params) => (endpoint.clone(), input::decode_params(params)?),
            Found::OtherMethods(methods) => return Err(faults::method_not_allowed(&request.method, path, &methods)),
            Found::Nothing => return Err(faults::not_found(&client.name, path)),
        };
        trail.endpoint = Some(endpoint.clone());
        let deadline = Deadline::after(endpoint.policy.timeout.min(self.ceilings.timeout));

        // Whether there is room, who calls, and whether they call too often.
        let _entered = self.admission.enter(endpoint.policy.priority)?;
        let peer = Peer { address: request.peer.map(|peer| peer.ip()), certified: request.certified };
        let identified = self.identify(&endpoint, &request.headers, peer);
        let identified = tokio::time::timeout_at(deadline.instant(), identified).await;
        let (identity, token) = identified.map_err(|_| faults::deadline())??.unzip();
        self.check_rates(client, &endpoint, identity.as_deref(), request.peer)?;

        // What the guest is given.
        let given = input::Given {
            endpoint: &endpoint,
            path: path.to_owned(),
            params,
            query: input::query(request.uri.query())?,
            headers: input::headers(&endpoint.policy, &request.headers)?,
            client: &client.name,
            identity: identity.as_deref(),
            request_id: &request.request_id,
            deadline,
        };
        let body = tokio::time::timeout_at(deadline.instant(), request.body).await;
        let body = body.map_err(|_| faults::body_too_slow())??;

        // A repeated write gets the first one's answer.
        let target = request.uri.path_and_query().map_or(path, |target| target.as_str());
        let begun = self.answers.begin(&endpoint, identity.as_deref(), &request.headers, (target, &body));
        let begun = tokio::time::timeout_at(deadline.instant(), begun).await.map_err(|_| faults::deadline())??;
        if let Begun::Repeated(answer) = begun {
            return answer;
        }

        // The guest runs; its calls fan out through the session.
        let stats = Arc::new(Stats::new(self.may_explain(&request.headers, identity.as_deref())));
        trail.stats = Some(stats.clone());
        let caller = Caller {
            identity: identity.clone(),
            token: token.flatten(),
            request_id: request.request_id.clone(),
            trace: request.trace,
            source: request.peer,
        };
        let limits = self.limits(&endpoint.release);
        let session =
            Session::new(self.engine.clone(), endpoint.release.plans.clone(), caller, deadline, limits, stats);
        let invocation = Invocation { request: given.into_request(body), session, identity, deadline };
        let run = run(endpoint.clone(), invocation, self.granted_headers.clone());
        let (result, cpu) = match begun {
            Begun::First(slot) => to_its_end(run, slot).await,
            _ => run.await,
        };
        trail.guest_cpu = cpu;
        result
    }

    fn limits(&self, release: &Release) -> Limits {
        let Ceilings { calls, arena, message, .. } = self.ceilings;
        Limits { calls: release.limits.calls.min(calls), arena, message }
    }

    /// Those of the client and of the endpoint, for all callers together and for each alone.
    fn check_rates(
        &self,
        client: &Client,
        endpoint: &Endpoint,
        identity: Option<&Identity>,
        peer: Option<SocketAddr>,
    ) -> Result<(), Fault> {
        let policy = &endpoint.policy;
        if client.rate.or(client.principal_rate).or(policy.rate).or(policy.principal_rate).is_none() {
            return Ok(());
        }
        let caller: Arc<str> = match (identity, peer) {
            (Some(identity), _) => format!("{}\n{}", identity.issuer, identity.subject).into(),
            (None, Some(peer)) => peer.ip().to_string().into(),
            (None, None) => "".into(),
        };
        let (everybody, of_client): (Arc<str>, Arc<str>) = ("".into(), client.name.as_str().into());
        let of_endpoint: Arc<str> = format!("{} {}", client.name, endpoint.name).into();
        let rates = [
            (client.rate, &of_client, &everybody, "of this client"),
            (client.principal_rate, &of_client, &caller, "of one caller"),
            (policy.rate, &of_endpoint, &everybody, "to this endpoint"),
            (policy.principal_rate, &of_endpoint, &caller, "of one caller to this endpoint"),
        ];
        for (rate, whose, who, what) in rates {
            if let Some(rate) = rate {
                self.admission.check_rate(rate, whose, who, what)?;
            }
        }
        Ok(())
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
    async fn identify(&self, endpoint: &Endpoint, headers: &HeaderMap, peer: Peer) -> Result<Option<Verified>, Fault> {
        let required = match endpoint.policy.auth {
            Auth::None => return Ok(None),
            Auth::Optional => false,
            Auth::Required => true,
        };
        match &self.verifier {
            Some(verifier) => match verifier.verify(headers, peer).await? {
                None if required => Err(verifier.missing().into()),
                found => Ok(found),
            },
            None if required => {
                let text = "this endpoint needs a caller, and the host has no [identity] to verify one";
                Err(Fault::new(Blame::Host, StatusCode::SERVICE_UNAVAILABLE, "not-configured", text))
            }
            None => Ok(None),
        }
    }
}

/// Runs the guest and makes its answer an answer for the client. Needs nothing that belongs to the connection.
async fn run(
    endpoint: Arc<Endpoint>,
    invocation: Invocation,
    granted: Arc<[HeaderName]>,
) -> (Result<Reply, Fault>, Duration) {
    let release = &endpoint.release;
    match release.plugin.handle(invocation).await {
        Ok(answer) => {
            release.observe_cpu(answer.cpu);
            let reply = match answer.result {
                Ok(response) => output::reply(response, &endpoint.policy, &granted),
                Err(problem) => Ok(output::problem(problem)),
            };
            (reply, answer.cpu)
        }
        Err(error) => (Err(faults::of_plugin(release, error)), Duration::ZERO),
    }
}

/// Runs a write whose answer has to be kept: it ends by itself, also when its caller has gone away.
async fn to_its_end(
    run: impl Future<Output = (Result<Reply, Fault>, Duration)> + Send + 'static,
    slot: Slot,
) -> (Result<Reply, Fault>, Duration) {
    let task = tokio::spawn(async move {
        let (result, cpu) = run.await;
        // A request that never got its turn did nothing, and may be tried again.
        if !matches!(&result, Err(fault) if fault.kind == "busy") {
            slot.fill(result.clone());
        }
        (result, cpu)
    });
    task.await.unwrap_or_else(|error| (Err(faults::host(&error)), Duration::ZERO))
}
