//! The operator's side of the host: health, metrics, and what is in service.

mod access;
mod answers;
mod attempt;
mod config;
mod console;
mod grpc;
mod guard;
mod guesses;
mod readiness;
mod refusal;
mod releases;
mod role;
mod sessions;
mod shown;

pub use access::Access;
pub use answers::{
    BackendsAnswer, ClientAnswer, ClientsAnswer, KeysAnswer, PluginAnswer, PluginState, PluginsAnswer, ReadyAnswer,
    ReloadAnswer, SettingsAnswer, TierState, Wait, WaitsFor,
};
pub use attempt::Attempts;
pub use config::{Config, Token};
pub use readiness::{Readiness, Stage};
pub use releases::{EventsAnswer, PluginReleases, ReleasesAnswer, Uploads};
pub use role::Role;
pub use shown::Shown;

use access::Caller;
use grpc::Statuses;

use crate::{
    compat,
    events::EventsState,
    fanout::Engine,
    gateway::Gateway,
    identity::Verifier,
    model::ServingStatus,
    observe::{Recent, RecentRequests},
    plugin::Runtime,
    release::{Loader, Releases},
    routing::{self, Client},
    settings::Change,
    store::Invalidation,
    telemetry::{Listed, Metrics},
    typescript,
    upstream::Backend,
};
use axum::{
    Extension, Json, Router,
    body::Body,
    extract::{Path, State},
    middleware::from_fn_with_state,
    response::IntoResponse,
    routing::{get, post},
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Response, StatusCode, header};
use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::watch;

/// What the operator may look at and do.
#[derive(Debug, Clone)]
pub struct Admin {
    pub readiness: Arc<Readiness>,
    pub metrics: Metrics,
    pub access: Arc<Access>,
    pub host: Arc<dyn Host>,
    pub attempts: Arc<Attempts>,
    pub recent: Arc<Recent>,
    pub shown: Arc<Shown>,
    pub uploads: Arc<Uploads>,
    /// Where clients ask, as a URL.
    pub public: String,
}

/// The host behind the admin interface. A reload replaces what is in a view.
pub trait Host: Send + Sync + std::fmt::Debug {
    fn view(&self) -> View;
    /// Puts the configuration's file in force, whole or not at all: the changes, or why there are none.
    fn reload(&self) -> BoxFuture<'_, Result<Vec<Change>, String>>;
    /// What is in force, without its secrets.
    fn settings(&self) -> BoxFuture<'_, Vec<(String, String)>>;
}

/// The parts of a host.
#[derive(Debug, Clone)]
pub struct View {
    pub releases: Arc<Releases>,
    pub loader: Arc<Loader>,
    pub engine: Arc<Engine>,
    pub backends: Vec<Arc<Backend>>,
    pub runtime: Runtime,
    pub verifier: Option<Arc<Verifier>>,
    pub events: Vec<EventsState>,
    /// The names of all clients.
    pub clients: Vec<String>,
    pub gateway: Arc<Gateway>,
}

const OPENMETRICS: &str = "application/openmetrics-text";

/// The admin router: what each request needs is said in one place, `role.rs`, and looked for before anything else.
pub fn router(admin: Admin) -> Router {
    let admin = Arc::new(admin);
    let access = admin.access.clone();
    let session = get(guard::session).merge(post(guard::sign_in).delete(guard::sign_out).with_state(access.clone()));
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/v1/plugins", get(plugins))
        .route("/v1/plugins/{plugin}/rollback", post(releases::roll_back))
        .route("/v1/plugins/{plugin}/retire", post(releases::retire))
        .route("/v1/releases", get(releases::list).post(releases::upload))
        .route("/v1/releases/events", get(releases::events))
        .route("/v1/releases/{digest}/apply", post(releases::apply))
        .route("/v1/backends", get(backends))
        .route("/v1/identity", get(identity))
        .route("/v1/openapi", get(openapi))
        .route("/v1/functions", get(functions))
        .route("/v1/clients", get(clients))
        .route("/v1/requests", get(requests))
        .route("/shown/{name}", get(shown_page))
        .route("/v1/config", get(settings))
        .route("/v1/try", post(attempt))
        .route("/openapi.json", get(openapi))
        .route("/v1/invalidate", post(invalidate))
        .route("/v1/config/reload", post(reload))
        .fallback(unknown)
        .with_state(admin.clone())
        .route("/v1/session", session)
        .merge(console::pages())
        .merge(grpc::routes(admin))
        .layer(from_fn_with_state(access, guard::guard))
}

/// Whether requests are to be sent here.
async fn ready(State(admin): State<Arc<Admin>>) -> (StatusCode, Json<ReadyAnswer>) {
    let answer = admin.answer(&admin.host.view());
    let status = if answer.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(answer))
}

/// OpenMetrics for who asks for it, as Prometheus does; else its text format, which tools and people expect.
async fn metrics(State(admin): State<Arc<Admin>>, headers: HeaderMap) -> Response<Body> {
    let view = admin.host.view();
    view.engine.observe();
    view.releases.current().releases().iter().for_each(|release| drop(release.resting()));
    let mut accepted = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
    let (kind, text) = if accepted.any(|line| line.contains(OPENMETRICS)) {
        (format!("{OPENMETRICS}; version=1.0.0; charset=utf-8"), admin.metrics.encode())
    } else {
        ("text/plain; version=0.0.4; charset=utf-8".to_owned(), admin.metrics.encode_plain())
    };
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// What serves, and what was refused and why.
async fn plugins(State(admin): State<Arc<Admin>>) -> Json<PluginsAnswer> {
    let view = admin.host.view();
    let table = view.releases.current();
    Json(PluginsAnswer {
        plugins: table.releases().iter().map(|release| PluginAnswer::from(&**release)).collect(),
        refused: view.loader.reports().into_iter().filter(|report| report.refused.is_some()).collect(),
        requests_under_way: view.runtime.requests_under_way(),
        loads_under_way: view.engine.loads_under_way(),
    })
}

async fn backends(State(admin): State<Arc<Admin>>) -> Json<BackendsAnswer> {
    let view = admin.host.view();
    Json(BackendsAnswer {
        backends: view.backends.iter().map(|backend| backend.state()).collect(),
        events: view.events,
        shared_cache: view.engine.shared_cache_is_up().map(TierState::of),
    })
}

/// Where verification keys come from, and how it stands with them.
async fn identity(State(admin): State<Arc<Admin>>) -> Json<KeysAnswer> {
    let view = admin.host.view();
    let keys = view.verifier.as_ref().map(|verifier| verifier.state()).unwrap_or_default();
    Json(KeysAnswer { keys })
}

/// The OpenAPI document of a client, whether it shows it itself or not.
async fn openapi(State(admin): State<Arc<Admin>>, uri: http::Uri) -> Response<Body> {
    match document(&admin, &uri).await {
        Ok(document) => ([(header::CONTENT_TYPE, "application/json")], document).into_response(),
        Err(refused) => refused.into_response(),
    }
}

/// What the functions of its typed client are called, by endpoint.
async fn functions(State(admin): State<Arc<Admin>>, uri: http::Uri) -> Response<Body> {
    let document = match document(&admin, &uri).await {
        Ok(document) => document,
        Err(refused) => return refused.into_response(),
    };
    // Of a thousand endpoints it takes a while.
    let names = tokio::task::spawn_blocking(move || {
        let document = compat::Document::read(&document)?;
        Ok::<_, compat::Unreadable>(typescript::function_names(&document)?.into_iter().collect::<BTreeMap<_, _>>())
    });
    match names.await {
        Ok(Ok(names)) => Json(names).into_response(),
        Ok(Err(reason)) => (StatusCode::CONFLICT, format!("no client can be made of it: {reason}\n")).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn document(admin: &Admin, uri: &http::Uri) -> Result<Bytes, (StatusCode, String)> {
    let gateway = admin.host.view().gateway;
    let names = gateway.clients.names();
    let asked = routing::query(uri.query()).unwrap_or_default().into_iter().find(|(name, _)| name == "client");
    let client = match (asked, names.as_slice()) {
        (Some((_, name)), _) => gateway.clients.named(&name),
        (None, [only]) => gateway.clients.named(only),
        (None, _) => None,
    };
    let Some(client) = client else {
        let text = format!("which client? {}?client=NAME, one of: {}\n", uri.path(), names.join(", "));
        return Err((StatusCode::NOT_FOUND, text));
    };
    let document = gateway.document(client).await;
    document.map_err(|reason| (StatusCode::CONFLICT, format!("there is no document of `{}`: {reason}\n", client.name)))
}

/// By what each client is told, and what it may ask.
async fn clients(State(admin): State<Arc<Admin>>) -> Json<ClientsAnswer> {
    let view = admin.host.view();
    let table = view.releases.current();
    let answer = |client: &Client| ClientAnswer::of(client, table.releases());
    Json(ClientsAnswer {
        public: admin.public.clone(),
        clients: view.gateway.clients.all().iter().map(answer).collect(),
    })
}

async fn requests(State(admin): State<Arc<Admin>>) -> Json<RecentRequests> {
    Json(admin.recent.requests())
}

/// What this program shows of itself.
async fn shown_page(State(admin): State<Arc<Admin>>, Path(name): Path<String>) -> Response<Body> {
    admin.shown.get(&name)
}

async fn settings(State(admin): State<Arc<Admin>>) -> Json<SettingsAnswer> {
    Json(SettingsAnswer { settings: admin.host.settings().await })
}

/// Tries a request, as a stranger would send it.
async fn attempt(State(admin): State<Arc<Admin>>, Extension(caller): Extension<Caller>, body: Bytes) -> Response<Body> {
    // A message of the parser could quote the token.
    let Ok(asked) = serde_json::from_slice::<attempt::Asked>(&body) else {
        return (StatusCode::BAD_REQUEST, "expected client, method, path, and perhaps headers, token and body\n")
            .into_response();
    };
    let gateway = admin.host.view().gateway;
    match gateway.clients.all().iter().find(|client| client.name == asked.client) {
        Some(client) => admin.attempts.attempt(&caller, asked, client).await,
        None => (StatusCode::BAD_REQUEST, "there is no such client\n").into_response(),
    }
}

/// `{ "tags": ["film:7"] }` or `{ "all": true }`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct InvalidationRequest {
    tags: Vec<String>,
    all: bool,
}

/// Makes cached entities untrue: for consumers of messages, and for people.
async fn invalidate(
    State(admin): State<Arc<Admin>>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> (StatusCode, String) {
    let wanted: InvalidationRequest = match serde_json::from_slice(&body) {
        Ok(wanted) => wanted,
        Err(error) => {
            return (StatusCode::BAD_REQUEST, format!("expected {{\"tags\": [..]}} or {{\"all\": true}}: {error}\n"));
        }
    };
    let by = &caller.name;
    tracing::info!(by, tags = %Listed(&wanted.tags), all = wanted.all, "invalidated by the admin interface");
    let text = if wanted.all { "everything".to_owned() } else { wanted.tags.join(", ") };
    let what = if wanted.all { Invalidation::All } else { Invalidation::Tags(wanted.tags) };
    admin.host.view().engine.invalidate_everywhere(&what).await;
    (StatusCode::OK, format!("invalidated {text}\n"))
}

/// Reads the configuration again.
async fn reload(State(admin): State<Arc<Admin>>, Extension(caller): Extension<Caller>) -> Response<Body> {
    tracing::info!(by = caller.name, "a reload was asked for by the admin interface");
    match admin.host.reload().await {
        Ok(changes) => Json(ReloadAnswer { changes }).into_response(),
        Err(reason) => (StatusCode::CONFLICT, format!("nothing has changed: {reason}\n")).into_response(),
    }
}

impl Statuses for Admin {
    fn status_of(&self, service: &str) -> Option<ServingStatus> {
        let view = self.host.view();
        let is_ready = self.answer(&view).ready;
        let is_client = view.clients.iter().any(|client| client == service);
        (service.is_empty() || is_client).then(|| status_in(&view, service, is_ready))
    }

    fn all(&self) -> Vec<(String, ServingStatus)> {
        let view = self.host.view();
        let is_ready = self.answer(&view).ready;
        let names = std::iter::once(String::new()).chain(view.clients.iter().cloned());
        names.map(|name| (name.clone(), status_in(&view, &name, is_ready))).collect()
    }

    fn stages(&self) -> watch::Receiver<Stage> {
        self.readiness.watch()
    }
}

/// A host that is ready serves the clients that have a plugin.
fn status_in(view: &View, service: &str, is_ready: bool) -> ServingStatus {
    let has_plugin = || view.releases.current().releases().iter().any(|release| release.client == service);
    let serves = is_ready && (service.is_empty() || has_plugin());
    if serves { ServingStatus::Serving } else { ServingStatus::NotServing }
}

impl Admin {
    fn answer(&self, view: &View) -> ReadyAnswer {
        // Neither takes a host out of service: others have none either, and what needs none of it goes on.
        let keyless = view.verifier.as_ref().map(|verifier| verifier.without_keys()).unwrap_or_default();
        let keyless = keyless.iter().map(|state| format!("no keys from {}: its callers get 503", state.source));
        let without = view.backends.iter().filter_map(|b| Some((b.name().to_owned(), b.without_instances()?)));
        let without = without.map(|(name, why)| format!("no endpoints of backend `{name}`: calls to it fail: {why}"));
        let notes = keyless.chain(without).collect();
        readiness::answer(self.readiness.stage(), view.loader.trouble().map(|trouble| trouble.to_string()), notes)
    }
}

async fn unknown() -> (StatusCode, &'static str) {
    (
        StatusCode::NOT_FOUND,
        "here are: /livez /readyz /metrics /sign-in /v1/session /v1/plugins /v1/releases /v1/releases/events /v1/backends /v1/identity /v1/clients /v1/openapi?client=NAME /v1/functions?client=NAME /v1/requests /v1/config \
         /v1/try /v1/invalidate /v1/config/reload\n",
    )
}
