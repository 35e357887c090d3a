//! The way of one request through the house, in [`Gateway::handle`].
//!
//! Each step is a module or a function that can be read alone: `routing` (whose frontend is it, what do path and query say), `release`
//! (which endpoint of which plugin), [`negotiation`] (do both speak the same format), [`admission`] (is there room, and does the caller
//! keep its rate), `identity` (who calls), [`sharing`] (is there a response already), [`input`] (what the guest is given),
//! [`idempotency`] (was this write done before), `plugin` (the guest runs), [`output`] (what of its answer is let out). [`cors`]
//! answers browsers.

mod admission;
mod cors;
mod explained;
mod faults;
mod idempotency;
mod input;
mod negotiation;
mod output;
mod sharing;

pub use admission::Admission;
pub use explained::explained;
pub use idempotency::Answers;
pub use sharing::Shared;

pub use output::{Body, Reply, weak_tag};

use idempotency::{Begun, Slot};
use sharing::{Duty, Origin, Outcome};

use crate::{
    artifact::{Auth, Digest},
    fanout::{Caller, Engine, Limits, Session, Stats},
    identity::{Peer, Verified, Verifier},
    model::{Blame, Deadline, Fault, Identity, Party, Scope, TraceContext},
    plugin::{Cost, Invocation},
    release::{Endpoint, Release, Releases},
    responses,
    routing::{self, Client, Clients, Found},
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
    /// The client behind it, by the word of listed peers.
    pub source: Option<SocketAddr>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("method", &self.method).field("uri", &self.uri).finish_non_exhaustive()
    }
}

impl Request {
    fn peer(&self) -> Peer {
        Peer { address: self.peer.map(|peer| peer.ip()), certified: self.certified }
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
    pub responses: Arc<Shared>,
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
    /// What the guest took; `None` where none ran to its end.
    pub cost: Option<Cost>,
    /// What the answer carries whatever it is.
    pub headers: HeaderMap,
}

/// An endpoint and the values of its path's parameters.
type Match = (Arc<Endpoint>, Vec<(String, String)>);

/// How a request comes to its response.
enum Way {
    /// By its own guest, for itself.
    Alone,
    /// It is there.
    Answered(Outcome),
    /// By its own guest, for all who wait.
    Make(Duty),
    /// An old one serves, and its own guest makes a new one.
    Renew(Outcome, Duty),
}

impl Gateway {
    /// From client to answer. What happened on the way is left in `trail`, also when it ends in a fault.
    pub async fn handle(&self, request: Request, trail: &mut Trail) -> Outcome {
        // Whose frontend, which endpoint, of which release. The request keeps this release to its end.
        let (client, path) = self.clients.recognise(&request.headers, &request.uri)?;
        trail.headers = client.cors.as_ref().map(|cors| cors.headers(&request.headers)).unwrap_or_default();
        let (endpoint, params) = match self.find(client, &request.method, path)? {
            Ok((endpoint, params)) => (endpoint, routing::decode_params(params)?),
            Err(methods) => return Ok(cors::options(client.cors.as_ref(), &request.headers, &methods)),
        };
        trail.endpoint = Some(endpoint.clone());
        let policy = &endpoint.policy;
        let deadline = Deadline::after(policy.timeout.min(self.ceilings.timeout));

        // Whether both speak one format, there is room, who calls, and whether they call too often.
        negotiation::check_accept(policy, &request.headers)?;
        let _entered = self.admission.enter(policy.priority)?;
        let (identity, token) = self.identify(&endpoint, &request.headers, request.peer(), deadline).await?.unzip();
        self.check_rates(client, &endpoint, identity.as_deref(), request.source)?;

        // A response that may be shared is found, or made once for all who ask.
        let query = routing::query(request.uri.query())?;
        let explains = self.may_explain(&request.headers, identity.as_deref());
        let party = Party::from(identity);
        let key = sharing::key(&endpoint, &request.method, &params, &query, &request.headers, &party);
        let way = match key.filter(|_| !explains) {
            Some(key) => self.way(&key, deadline).await?,
            None => Way::Alone,
        };
        if let Way::Answered(outcome) = way {
            return outcome;
        }
        let scope = policy.cache.as_ref().map_or(Scope::Principal, |rule| rule.scope);
        let (party, token) = (party.narrowed(scope), token.flatten().filter(|_| scope == Scope::Principal));

        // What the guest is given.
        let given = input::Given {
            endpoint: &endpoint,
            path: path.to_owned(),
            params,
            query,
            headers: input::headers(policy, &request.headers)?,
            client: &client.name,
            party: &party,
            request_id: &request.request_id,
            deadline,
        };
        let body = tokio::time::timeout_at(deadline.instant(), request.body).await;
        let body = body.map_err(|_| faults::body_too_slow())??;
        negotiation::check_content_type(policy, &request.headers, &body)?;

        // A repeated write gets the first one's answer.
        let target = request.uri.path_and_query().map_or(path, |target| target.as_str());
        let begun = self.answers.begin(&endpoint, &party, &request.headers, (target, &body));
        let begun = tokio::time::timeout_at(deadline.instant(), begun).await.map_err(|_| faults::deadline())??;
        if let Begun::Repeated(answer) = begun {
            return answer;
        }

        // The guest runs; its calls fan out through the session.
        let stats = Arc::new(Stats::new(explains));
        trail.stats = Some(stats.clone());
        let (request_id, trace, source) = (request.request_id.clone(), request.trace, request.source);
        let caller = Caller { party: party.clone(), token, request_id, trace, source };
        let (plans, limits) = (endpoint.release.plans.clone(), self.limits(&endpoint.release));
        let session = Session::new(self.engine.clone(), plans, caller, deadline, limits, stats.clone());
        let invocation = Invocation { request: given.into_request(body), session, party: party.clone(), deadline };
        // On the heap: a response that is there already does not have the room for a guest made and moved for nothing.
        let run = Box::pin(run(endpoint.clone(), invocation, self.granted_headers.clone()));
        let (outcome, cost) = match (begun, way) {
            (Begun::First(slot), _) => to_its_end(answered(run, slot)).await,
            (_, Way::Make(duty)) => to_its_end(shared(run, duty, endpoint, stats, party)).await,
            (_, Way::Renew(old, duty)) => {
                trail.stats = None;
                tokio::spawn(shared(run, duty, endpoint, stats, party));
                (old, None)
            }
            _ => run.await,
        };
        trail.cost = cost;
        outcome
    }

    /// The endpoint and its parameters; or, for OPTIONS, the methods that the path has.
    fn find(&self, client: &Client, method: &Method, path: &str) -> Result<Result<Match, Vec<Method>>, Fault> {
        let table = self.releases.current();
        let routes = table.routes(&client.name).ok_or_else(|| faults::not_found(&client.name, path))?;
        match routes.find(method, path) {
            Found::Endpoint(endpoint, params) => Ok(Ok((endpoint.clone(), params))),
            Found::OtherMethods(methods) if method == Method::OPTIONS => Ok(Err(methods)),
            Found::OtherMethods(methods) => Err(faults::method_not_allowed(method, path, &methods)),
            Found::Nothing => Err(faults::not_found(&client.name, path)),
        }
    }

    /// What the response cache has: an answer, or the duty to make one. Waits for one that is being made.
    async fn way(&self, key: &Digest, deadline: Deadline) -> Result<Way, Fault> {
        Ok(match self.responses.find(key) {
            responses::Found::Hit { value, age, left } if left.is_zero() => {
                Way::Answered(sharing::told(value, &Origin::Stale { age }))
            }
            responses::Found::Hit { value, age, left } => {
                Way::Answered(sharing::told(value, &Origin::Hit { age, left }))
            }
            responses::Found::Renew { value, age, maker } => {
                Way::Renew(sharing::told(value, &Origin::Stale { age }), maker)
            }
            responses::Found::Make(maker) => Way::Make(maker),
            responses::Found::Wait(waiter) => {
                let made = tokio::time::timeout_at(deadline.instant(), waiter.wait()).await;
                match made.map_err(|_| faults::deadline())? {
                    Some(made) => Way::Answered(sharing::told(made, &Origin::Collapsed)),
                    None => Way::Alone,
                }
            }
        })
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
        source: Option<SocketAddr>,
    ) -> Result<(), Fault> {
        let policy = &endpoint.policy;
        if client.rate.or(client.principal_rate).or(policy.rate).or(policy.principal_rate).is_none() {
            return Ok(());
        }
        let caller: Arc<str> = match (identity, source) {
            (Some(identity), _) => format!("{}\n{}", identity.issuer, identity.subject).into(),
            (None, Some(source)) => source.ip().to_string().into(),
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
    async fn identify(
        &self,
        endpoint: &Endpoint,
        headers: &HeaderMap,
        peer: Peer,
        deadline: Deadline,
    ) -> Result<Option<Verified>, Fault> {
        let required = match endpoint.policy.auth {
            Auth::None => return Ok(None),
            Auth::Optional => false,
            Auth::Required => true,
        };
        match &self.verifier {
            Some(verifier) => {
                let verified = tokio::time::timeout_at(deadline.instant(), verifier.verify(headers, peer)).await;
                match verified.map_err(|_| faults::deadline())?? {
                    None if required => Err(verifier.missing().into()),
                    found => Ok(found),
                }
            }
            None if required => {
                let text = "this endpoint needs a caller, and the host has no [identity] to verify one";
                Err(Fault::new(Blame::Host, StatusCode::SERVICE_UNAVAILABLE, "not-configured", text))
            }
            None => Ok(None),
        }
    }
}

/// Runs the guest and makes its answer an answer for the client. Needs nothing that belongs to the connection.
async fn run(endpoint: Arc<Endpoint>, invocation: Invocation, granted: Arc<[HeaderName]>) -> (Outcome, Option<Cost>) {
    let release = &endpoint.release;
    match release.plugin.handle(invocation).await {
        Ok(answer) => {
            release.observe_cost(&answer.cost);
            let reply = match answer.result {
                Ok(response) => output::reply(response, &endpoint.policy, &granted),
                Err(problem) => Ok(output::problem(problem)),
            };
            (reply, Some(answer.cost))
        }
        Err(error) => (Err(faults::of_plugin(release, error)), None),
    }
}

/// A write whose answer has to be kept.
async fn answered(run: impl Future<Output = (Outcome, Option<Cost>)>, slot: Slot) -> (Outcome, Option<Cost>) {
    let (outcome, cost) = run.await;
    // A request that never got its turn did nothing, and may be tried again.
    if !matches!(&outcome, Err(fault) if fault.kind == "busy") {
        slot.fill(outcome.clone());
    }
    (outcome, cost)
}

/// A response for all who ask for it.
async fn shared(
    run: impl Future<Output = (Outcome, Option<Cost>)>,
    duty: Duty,
    endpoint: Arc<Endpoint>,
    stats: Arc<Stats>,
    party: Party,
) -> (Outcome, Option<Cost>) {
    let (outcome, cost) = run.await;
    if let Some(rule) = &endpoint.policy.cache {
        sharing::done(duty, &outcome, rule, &stats, &party);
    }
    (sharing::told(outcome, &Origin::Made), cost)
}

/// Runs what others wait for: it ends by itself, also when its caller has gone away.
async fn to_its_end(run: impl Future<Output = (Outcome, Option<Cost>)> + Send + 'static) -> (Outcome, Option<Cost>) {
    tokio::spawn(run).await.unwrap_or_else(|error| (Err(faults::host(&error)), None))
}
