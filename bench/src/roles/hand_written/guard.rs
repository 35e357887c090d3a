//! What every request goes through: id and trace, a place, a verified caller, a deadline, metrics.

use super::{super::Brief, App};
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};
use serde::Deserialize;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The whole time of a request, and what a call may take of it.
const DEADLINE: Duration = Duration::from_secs(20);

/// The verified caller, with what is told to backends.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) subject: Arc<str>,
    pub(super) trace: HeaderValue,
    pub(super) deadline: Instant,
}

/// Verifies bearer tokens.
pub(super) struct Verifier {
    key: DecodingKey,
    rules: Validation,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

impl Verifier {
    pub(super) fn new(brief: &Brief) -> anyhow::Result<Self> {
        let mut rules = Validation::new(Algorithm::EdDSA);
        rules.set_issuer(&[&brief.issuer]);
        rules.set_audience(&[&brief.audience]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        Ok(Self { key: DecodingKey::from_ed_components(&brief.key)?, rules })
    }

    fn verify(&self, headers: &HeaderMap) -> Option<String> {
        let token = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        Some(jsonwebtoken::decode::<Claims>(token, &self.key, &self.rules).ok()?.claims.sub)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    endpoint: String,
    status: u16,
}

type Histograms = Family<Vec<(String, String)>, Histogram, fn() -> Histogram>;

/// The server's metrics.
pub(super) struct Counts {
    registry: Registry,
    requests: Family<Labels, Counter>,
    seconds: Histograms,
}

impl Default for Counts {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("bff");
        let requests = Family::default();
        let seconds: Histograms = Family::new_with_constructor(|| {
            Histogram::new([0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0])
        });
        registry.register("requests", "Requests answered", requests.clone());
        registry.register_with_unit("request_duration", "From head to answer", Unit::Seconds, seconds.clone());
        Self { registry, requests, seconds }
    }
}

pub(super) async fn metrics(State(app): State<Arc<App>>) -> String {
    let mut out = String::new();
    // Writing to a string can't fail.
    let _ = text::encode(&mut out, &app.counts.registry);
    out
}

pub(super) async fn guard(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request.headers().get(REQUEST_ID).cloned().unwrap_or_else(new_id);
    let trace = request.headers().get(TRACEPARENT).filter(|trace| trace.len() == 55).cloned().unwrap_or_else(new_trace);
    // Each endpoint has a first segment of its own.
    let endpoint = request.uri().path().split('/').nth(2).unwrap_or_default().to_owned();
    let mut response = match app.verifier.verify(request.headers()) {
        None => problem(StatusCode::UNAUTHORIZED, "this endpoint needs a bearer token"),
        Some(subject) => {
            let deadline = started + DEADLINE;
            request.extensions_mut().insert(Caller { subject: subject.into(), trace: trace.clone(), deadline });
            run(&app, request, next).await
        }
    };
    response.headers_mut().insert(REQUEST_ID, id);
    response.headers_mut().insert(TRACEPARENT, trace);
    let labels = vec![("endpoint".to_owned(), endpoint.clone())];
    app.counts.seconds.get_or_create(&labels).observe(started.elapsed().as_secs_f64());
    app.counts.requests.get_or_create(&Labels { endpoint, status: response.status().as_u16() }).inc();
    response
}

async fn run(app: &App, request: Request, next: Next) -> Response {
    let Ok(Ok(_permit)) = tokio::time::timeout(Duration::from_millis(100), app.permits.acquire()).await else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "the server is full");
    };
    let ended = tokio::time::timeout(DEADLINE, next.run(request)).await;
    ended.unwrap_or_else(|_| problem(StatusCode::GATEWAY_TIMEOUT, "the request's time is over"))
}

/// An error as RFC 9457 has it.
pub(super) fn problem(status: StatusCode, detail: &str) -> Response {
    let body = serde_json::json!({ "title": status.canonical_reason(), "status": status.as_u16(), "detail": detail });
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}

fn new_id() -> HeaderValue {
    hex(&format!("{:032x}", rand::random::<u128>()))
}

fn new_trace() -> HeaderValue {
    hex(&format!("00-{:032x}-{:016x}-01", rand::random::<u128>(), rand::random::<u64>()))
}

fn hex(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("0"))
}
