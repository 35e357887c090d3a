//! The operator's side of the host: health, metrics, and what is in service.

use crate::{
    artifact::Digest,
    fanout::Engine,
    plugin::Runtime,
    release::{Loader, Releases},
    settings::{Secret, Table},
    store::Untrue,
    telemetry::Metrics,
    upstream::Backend,
};
use axum::{
    Json, Router,
    body::Body,
    extract::State,
    response::IntoResponse,
    routing::{get, post},
};
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::SystemTime,
};

/// `[admin]` of `weft.toml`.
#[derive(Debug, Clone)]
pub struct Config {
    /// Loopback by default.
    pub listen: SocketAddr,
    /// The bearer token for everything that changes state. Without one, nothing can be changed.
    pub token: Option<Secret>,
}

impl Config {
    pub fn read(table: &Table<'_>) -> Self {
        let token: Option<Secret> = table.optional("token");
        if let Some(Err(reason)) = token.as_ref().map(Secret::read) {
            table.mistake("token", reason);
        }
        Self { listen: table.or("listen", SocketAddr::from(([127, 0, 0, 1], 9090))), token }
    }
}

/// What the operator may look at.
#[derive(Debug, Clone)]
pub struct Admin {
    pub ready: Arc<AtomicBool>,
    pub releases: Arc<Releases>,
    pub loader: Arc<Loader>,
    pub runtime: Runtime,
    pub engine: Arc<Engine>,
    pub backends: Vec<Arc<Backend>>,
    pub metrics: Metrics,
    /// The bearer token for everything that changes state.
    pub token: Option<String>,
}

/// The admin router.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/v1/plugins", get(plugins))
        .route("/v1/backends", get(backends))
        .route("/v1/invalidate", post(invalidate))
        .fallback(unknown)
        .with_state(Arc::new(admin))
}

async fn ready(State(admin): State<Arc<Admin>>) -> (StatusCode, &'static str) {
    if admin.ready.load(Relaxed) {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}

async fn metrics(State(admin): State<Arc<Admin>>) -> Response<Body> {
    admin.engine.observe();
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], admin.metrics.encode()).into_response()
}

/// What serves, and what was refused and why.
async fn plugins(State(admin): State<Arc<Admin>>) -> Json<Value> {
    let table = admin.releases.current();
    let live = table.releases().iter().map(|release| {
        let loaded_at = release.loaded_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let endpoints: Vec<_> = release.endpoints.iter().map(|endpoint| endpoint.name.to_string()).collect();
        json!({
            "name": release.name, "version": release.version.to_string(), "client": release.client,
            "digest": release.digest.to_string(), "file": release.file.display().to_string(), "state": "live",
            "isolation": release.limits.isolation.as_str(), "endpoints": endpoints, "loaded_at": loaded_at,
        })
    });
    let refused: Vec<_> = admin.loader.reports().into_iter().filter(|report| report.refused.is_some()).collect();
    Json(json!({
        "plugins": live.collect::<Vec<_>>(),
        "refused": refused,
        "requests_under_way": admin.runtime.requests_under_way(),
        "loads_under_way": admin.engine.loads_under_way(),
    }))
}

async fn backends(State(admin): State<Arc<Admin>>) -> Json<Value> {
    let backend = |backend: &Arc<Backend>| json!({ "name": backend.name(), "endpoints": backend.endpoints() });
    let word = |is_up| if is_up { "up" } else { "away" };
    Json(json!({
        "backends": admin.backends.iter().map(backend).collect::<Vec<_>>(),
        "shared_cache": admin.engine.shared_cache_is_up().map(word),
    }))
}

/// `{ "tags": ["film:7"] }` or `{ "all": true }`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Invalidation {
    tags: Vec<String>,
    all: bool,
}

/// Makes cached entities untrue: for consumers of messages, and for people.
async fn invalidate(State(admin): State<Arc<Admin>>, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    if let Err(refusal) = admin.check_token(&headers) {
        return refusal;
    }
    let wanted: Invalidation = match serde_json::from_slice(&body) {
        Ok(wanted) => wanted,
        Err(error) => {
            return (StatusCode::BAD_REQUEST, format!("expected {{\"tags\": [..]}} or {{\"all\": true}}: {error}\n"));
        }
    };
    tracing::info!(tags = ?wanted.tags, all = wanted.all, "invalidated by the admin interface");
    let text = if wanted.all { "everything".to_owned() } else { wanted.tags.join(", ") };
    let what = if wanted.all { Untrue::All } else { Untrue::Tags(wanted.tags) };
    admin.engine.invalidate_everywhere(&what).await;
    (StatusCode::OK, format!("invalidated {text}\n"))
}

impl Admin {
    /// Compares in constant time, by digest.
    fn check_token(&self, headers: &HeaderMap) -> Result<(), (StatusCode, String)> {
        let Some(token) = &self.token else {
            let text = "nothing can be changed here: set `token` in [admin] of the configuration\n";
            return Err((StatusCode::FORBIDDEN, text.to_owned()));
        };
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        match given {
            Some(given) if Digest::of(given.as_bytes()) == Digest::of(token.as_bytes()) => Ok(()),
            _ => {
                Err((StatusCode::UNAUTHORIZED, "this needs the admin token: authorization: Bearer TOKEN\n".to_owned()))
            }
        }
    }
}

async fn unknown() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "here are: /livez /readyz /metrics /v1/plugins /v1/backends /v1/invalidate\n")
}
