//! The way of one request through the house, in [`Gateway::handle`].
//!
//! Each step is a module or a function that can be read alone: `routing` (whose frontend is it, what do path and query say), `release`
//! (which endpoint of which plugin), [`negotiation`] (do both speak the same format), [`identification`] (who calls), [`rates`] (and not
//! too often), [`selection`] (which members of the answer it chooses), [`admission`] (is there room), [`idempotency`] (was this write done
//! before), [`input`] (what the guest is given), [`sharing`] (is there a response already that was made of the same), `plugin` (the guest
//! runs), [`output`] (what of its answer is let out). [`cors`] answers browsers.

mod admission;
mod agents;
mod cache_control;
mod cors;
mod documents;
mod explained;
mod faults;
mod idempotency;
mod identification;
mod input;
mod negotiation;
mod output;
mod parts;
mod problem_pages;
mod rates;
mod selection;
mod sharing;
mod stream;
mod streams;
mod trail;

pub use admission::Admission;
pub use agents::Toolboxes;
pub use documents::Documents;
pub use explained::explained;
pub use idempotency::Answers;
pub use sharing::Shared;
pub use stream::Stream;
pub use streams::{Config as StreamsConfig, Ending, Streams};
pub use trail::Trail;

pub use output::{Body, Reply, weak_tag};
pub use rates::{Left, Rates};

use admission::Entered;
use idempotency::{Asked, Begun, Slot};
use identification::Presented;
use input::Given;
use sharing::{Duty, Origin, Outcome, Way};

use crate::{
    fanout::{Engine, Limits, MostCalls, Session},
    identity::{Audience, Peer, Verified, Verifier},
    model::{Deadline, Fault, Identity, Party, Trace},
    net::Subnet,
    observe::{Event, Follow, GuestRun, Listener, Recorder, RequestObserver, Tracer},
    plugin::{Emitter, Invocation},
    release::{Endpoint, Release, Releases},
    routing::{self, Client, Clients, Found},
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{sync::watch, time::Instant};

/// A request as the edge hands it over. The body is read only when the way is clear.
pub struct Request {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: BoxFuture<'static, Result<Bytes, Fault>>,
    pub request_id: HeaderValue,
    pub trace: Trace,
    /// Who records it, where its trace is sampled.
    pub recorder: Option<Arc<Recorder>>,
    /// When its head was there.
    pub since: Instant,
    /// Who connected.
    pub peer: Option<SocketAddr>,
    /// Whether the connection showed a certificate that the host trusts.
    pub certified: bool,
    /// The client behind it, by the word of listed peers.
    pub source: Option<SocketAddr>,
    /// The same as callers are counted; none where listed peers say nothing of who is behind them.
    pub caller: Option<Subnet>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("method", &self.method).field("uri", &self.uri).finish_non_exhaustive()
    }
}

impl Request {
    fn presented(&self) -> Presented<'_> {
        let peer = Peer { address: self.peer.map(|peer| peer.ip()), certified: self.certified };
        Presented { headers: &self.headers, peer, audience: Audience::Host, caller: self.caller }
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
    pub rates: Arc<Rates>,
    pub answers: Arc<Answers>,
    pub responses: Arc<Shared>,
    /// Response headers that the operator grants to plugins that ask for them.
    pub granted_headers: Arc<[HeaderName]>,
    /// The scope of callers who may ask for a request's waterfall; `*` for everybody.
    pub explain: Option<String>,
    /// Answers in parts that are open, what each may be, and what ends those that began here.
    pub streams: Arc<Streams>,
    pub stream_bounds: StreamsConfig,
    pub endings: watch::Sender<Option<Ending>>,
    /// Which requests are recorded, and how backends are told of their traces.
    pub tracer: Arc<Tracer>,
    /// Who is told of requests as they end.
    pub follow: Arc<Follow>,
    /// What clients that show it may ask and what they get.
    pub documents: Arc<Documents>,
    /// The same as tools, for agents.
    pub tools: Arc<Toolboxes>,
}

/// What is known of a request that another one makes for its caller, who has been counted for the client already.
struct Known<'a> {
    client: &'a Client,
    verified: Option<Verified>,
}

/// What a guest is to do.
struct Job {
    given: Given,
    observer: Arc<RequestObserver>,
    /// For the log, whatever the guest is told.
    request_id: HeaderValue,
    trace: Trace,
    /// Held for as long as the guest runs, whoever is still there; of a stream, until it has begun.
    place: Option<Entered>,
}

/// What came of it.
struct Ran {
    outcome: Outcome,
    is_guests_own: bool,
    /// The guest had no turn, so nothing was done.
    never_ran: bool,
}

/// An endpoint and the values of its path's parameters.
type Match = (Arc<Endpoint>, Vec<(String, String)>);

impl Gateway {
    /// From client to answer. What happened on the way is left in `trail`, also when it ends in a fault.
    pub fn handle<'a>(
        &'a self,
        request: Request,
        trail: &'a mut Trail,
    ) -> impl Future<Output = Outcome> + Send + use<'a> {
        self.serve(request, None, trail)
    }

    async fn serve(&self, request: Request, known: Option<Known<'_>>, trail: &mut Trail) -> Outcome {
        // Whose frontend, which endpoint, of which release. The request keeps this release to its end.
        let (client, path) = match &known {
            Some(known) => (known.client, request.uri.path()),
            None => self.arrive(&request.headers, &request.uri, trail)?,
        };
        if known.is_none() {
            if let Some(agents) = client.agents_at(path) {
                return self.converse((client, agents), request, trail).await;
            }
            client.check_origin(&request.method, &request.headers)?;
            if let Some(page) = client.page(path) {
                return self.show(client, page, (&request.method, path), request.presented(), trail).await;
            }
        }
        let (endpoint, params) = match self.find(client, &request.method, path)? {
            Ok((endpoint, params)) => (endpoint, routing::decode_params(params)?),
            Err(methods) => return Ok(cors::options(client.cors.as_ref(), &request.headers, &methods)),
        };
        trail.found(&endpoint);
        let policy = &endpoint.policy;
        let deadline = self.deadline(&endpoint);

        // What is refused for itself alone comes first, and what is shared with others is taken as late as may be. By the head:
        negotiation::check_accept(&policy.produces, &request.headers)?;
        let query = routing::query(request.uri.query())?;
        let headers = input::headers(policy, &request.headers)?;
        self.admission.look(policy.priority)?;
        let presented = request.presented();
        let (verified, payer) = self.let_in(known, (client, &endpoint), presented, deadline, trail).await?;
        let (identity, token) = verified.unzip();
        endpoint.called(|| client.version_of(&request.headers));
        let query = selection::canonical(policy, query)?;
        let explains = !policy.streams && self.may_explain(&request.headers, identity.as_deref());
        // By the body, once it is there:
        let body = tokio::time::timeout_at(deadline.instant(), request.body).await;
        let body = body.map_err(|_| faults::body_too_slow())??;
        negotiation::check_content_type(&policy.consumes, &request.headers, &body)?;
        let place = self.admission.enter(policy.priority)?;

        // A repeated write gets the first one's answer.
        let (party, token) = (Party::from(identity), token.flatten());
        let target = request.uri.path_and_query().map_or(path, |target| target.as_str());
        let (method, payer) = (&request.method, payer.as_ref());
        let (shared, granted) = (self.engine.newest_shared(), &*self.granted_headers);
        let asked = Asked { method, target, headers: &request.headers, body: &body, payer, shared, granted };
        let begun = self.answers.begin(&endpoint, &party, asked);
        let begun = tokio::time::timeout_at(deadline.instant(), begun).await.map_err(|_| faults::deadline())??;
        if let Begun::Repeated(answer) = begun {
            return answer;
        }

        // What the guest is given; and whether a response is there that was made of the same, or is made now for all who ask.
        let (client, path, request_id) = (client.name.clone(), path.to_owned(), Some(request.request_id.clone()));
        let source = request.source;
        let endpoint = endpoint.clone();
        let given = Given { endpoint, client, path, params, query, headers, body, party, token, source, request_id };
        let given = policy.cache.iter().fold(given, |given, rule| given.in_common(rule));
        let way = match given.key().filter(|_| !explains) {
            Some(key) => sharing::way(&self.responses, &key, deadline).await?,
            None => Way::Alone,
        };
        if let Way::Answered(outcome) = way {
            return outcome;
        }
        let (mut trace, mut recorder) = (request.trace, request.recorder);
        if explains && recorder.is_none() {
            recorder = self.tracer.insist(&mut trace, request.since);
        }
        let observer = Arc::new(RequestObserver::new(explains, recorder).followed(self.follow.is_followed()));
        trail.observer = Some(observer.clone());
        let job = Job { given, observer, request_id: request.request_id, trace, place: Some(place) };
        if job.given.endpoint.policy.streams {
            return self.stream(job, (payer.cloned(), request.caller), deadline).await;
        }
        self.answer(job, begun, way, deadline, trail).await
    }

    /// Whose frontend it is, and the path behind its prefix.
    fn arrive<'a, 'u>(
        &'a self,
        headers: &HeaderMap,
        uri: &'u Uri,
        trail: &mut Trail,
    ) -> Result<(&'a Client, &'u str), Fault> {
        let (client, path) = self.clients.recognise(headers, uri)?;
        trail.headers = client.cors.as_ref().map(|cors| cors.headers(headers)).unwrap_or_default();
        trail.client = Some(client.name.clone());
        trail.vary_by(self.clients.telling_headers());
        Ok((client, path))
    }

    /// The guest runs, for this request or for all who wait for the same; its calls fan out through the session.
    async fn answer(&self, job: Job, begun: Begun, way: Way, deadline: Deadline, trail: &mut Trail) -> Outcome {
        match (begun, way) {
            (Begun::First(slot), _) => to_its_end(answered(self.run(job, deadline, None), slot)).await,
            (_, Way::Make(duty)) => {
                let made = tokio::time::timeout_at(deadline.instant(), to_its_end(self.shared(job, duty))).await;
                made.unwrap_or_else(|_| Err(faults::deadline()))
            }
            (_, Way::Renew(old, duty)) => {
                trail.observer = None;
                tokio::spawn(self.shared(job, duty));
                old
            }
            _ => self.run(job, deadline, None).await.outcome,
        }
    }

    /// The endpoint and its parameters; or, for OPTIONS, the methods that the path has.
    fn find(&self, client: &Client, method: &Method, path: &str) -> Result<Result<Match, Vec<Method>>, Fault> {
        let table = self.releases.current();
        let routes = table.routes(&client.name).ok_or_else(|| faults::not_found(client, path))?;
        match routes.find(method, path) {
            Found::Endpoint(choice, params) => Ok(Ok((choice.pick(rand::random).clone(), params))),
            Found::OtherMethods(methods) if method == Method::OPTIONS => Ok(Err(methods)),
            Found::OtherMethods(methods) => Err(faults::method_not_allowed(method, path, &methods)),
            Found::Nothing => Err(faults::not_found(client, path)),
        }
    }

    fn limits(&self, release: &Release) -> Limits {
        let Ceilings { calls, arena, message, .. } = self.ceilings;
        Limits { calls: MostCalls::new(release.limits.calls, calls), arena, message }
    }

    /// Whether the request asks for its waterfall, and its caller may.
    fn may_explain(&self, headers: &HeaderMap, identity: Option<&Identity>) -> bool {
        let asks = headers.get("x-weft-explain").is_some_and(|value| value == "1");
        asks && self
            .explain
            .as_ref()
            .is_some_and(|scope| scope == "*" || identity.is_some_and(|identity| identity.scopes.contains(scope)))
    }

    /// The guest's run, and what its answer is for the client. Needs nothing that belongs to the connection.
    fn run(&self, job: Job, deadline: Deadline, emitter: Option<Emitter>) -> BoxFuture<'static, Ran> {
        let Job { given, observer, request_id, trace, place } = job;
        let (endpoint, granted) = (given.endpoint.clone(), self.granted_headers.clone());
        let chosen = selection::chosen(&endpoint.policy, &given.query);
        let (request, caller) = given.split(deadline, trace);
        let (plans, limits) = (endpoint.release.plans.clone(), self.limits(&endpoint.release));
        let (party, request_id) = (caller.party.clone(), request_id.to_str().unwrap_or_default().to_owned());
        let session = Session::new(self.engine.clone(), plans, caller, deadline, limits, observer.clone());
        let about =
            || (endpoint.release.name.to_string().into(), endpoint.release.version.to_string(), request_id.clone());
        let running = GuestRun::of(observer.recorder(), about);
        let invocation = Invocation { request, request_id, session, party, deadline, emitter };
        // On the heap: a response that is there already does not have the room for a guest made and moved for nothing.
        Box::pin(async move {
            let _place = place;
            let release = &endpoint.release;
            match release.plugin.handle(invocation).await {
                Ok(answer) => {
                    (&**release, &*observer).on(&Event::GuestRan(answer.cost));
                    running.ended(Some(&answer.cost), None);
                    let outcome = match answer.result {
                        Ok(response) => match output::reply(response, &endpoint.policy, &granted) {
                            Ok(reply) => selection::cut(reply, chosen).await,
                            fault => fault,
                        },
                        Err(problem) => {
                            endpoint.answered_with(problem.status, &problem.kind);
                            Ok(output::problem(problem))
                        }
                    };
                    Ran { outcome, is_guests_own: true, never_ran: false }
                }
                Err(error) => {
                    let (is_guests_own, never_ran) = (error.is_guests_own(), error.never_ran());
                    running.ended(None, Some(if never_ran { "never ran" } else { "failed" }));
                    Ran { outcome: Err(faults::of_plugin(release, error)), is_guests_own, never_ran }
                }
            }
        })
    }

    /// A response for all who ask for it. It has the endpoint's whole time, whatever is left of the one's who asked first.
    fn shared(&self, job: Job, duty: Duty) -> impl Future<Output = Outcome> + Send + use<> {
        let (endpoint, observer) = (job.given.endpoint.clone(), job.observer.clone());
        let until = job.given.party.caller().map(|identity| identity.expires_at);
        let run = self.run(job, self.deadline(&endpoint), None);
        async move {
            let Ran { outcome, is_guests_own, .. } = run.await;
            // What came of the host's state, or of its time, says nothing to those who wait: one of them tries itself.
            let outcome = match endpoint.policy.cache.as_ref().filter(|_| is_guests_own) {
                Some(rule) => sharing::done(duty, outcome, rule, observer.stats(), until),
                None => outcome,
            };
            sharing::told(outcome, &Origin::Made)
        }
    }

    fn deadline(&self, endpoint: &Endpoint) -> Deadline {
        Deadline::after(endpoint.policy.timeout.min(self.ceilings.timeout))
    }
}

/// A write whose answer has to be kept.
async fn answered(run: impl Future<Output = Ran>, mut slot: Slot) -> Outcome {
    slot.begins();
    let Ran { outcome, never_ran, .. } = run.await;
    // A request that never got its turn did nothing, and may be tried again.
    if never_ran {
        slot.release().await;
    } else {
        slot.fill(outcome.clone()).await;
    }
    outcome
}

/// Runs what others wait for: it ends by itself, also when its caller has gone away or has no time left.
async fn to_its_end(run: impl Future<Output = Outcome> + Send + 'static) -> Outcome {
    tokio::spawn(run).await.unwrap_or_else(|error| Err(faults::host(&error)))
}
