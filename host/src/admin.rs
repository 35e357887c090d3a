//! The operator's side of the host: health, metrics, and what is in service.

use crate::{
    fanout::Engine,
    plugin::Runtime,
    release::{Loader, Releases},
    settings::Table,
    telemetry::Metrics,
    upstream::Backend,
};
use axum::{Json, Router, body::Body, extract::State, response::IntoResponse, routing::get};
use http::{Response, StatusCode, header};
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
}

impl Config {
    pub fn read(table: &Table<'_>) -> Self {
        Self { listen: table.or("listen", SocketAddr::from(([127, 0, 0, 1], 9090))) }
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
}

/// The admin router.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/v1/plugins", get(plugins))
        .route("/v1/backends", get(backends))
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
    Json(json!({ "backends": admin.backends.iter().map(backend).collect::<Vec<_>>() }))
}

async fn unknown() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "here are: /livez /readyz /metrics /v1/plugins /v1/backends\n")
}
