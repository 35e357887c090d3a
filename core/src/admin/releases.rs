//! Releases over HTTP: what there is, what became of it, and what is to be.

use super::{Admin, access::Caller};
use crate::{
    model::Digest,
    release::{
        Loader, NotTaken, Refusal,
        history::{Event, HistoryError, Illegal, Order, Record, State as HistoryState},
    },
    routing,
};
use axum::{
    Extension, Json,
    body::{Body, to_bytes},
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::timeout};

/// How long an upload may take to come.
const LONGEST_UPLOAD: Duration = Duration::from_mins(2);
/// How long somebody may wait for events.
const LONGEST_WAIT: u64 = 30;
/// Events in one answer.
const MOST_EVENTS: usize = 500;
/// Of a reason, in characters.
const MOST_REASON: usize = 1_000;

/// One artifact is held in memory at a time.
#[derive(Debug)]
pub struct Uploads(Semaphore);

impl Default for Uploads {
    fn default() -> Self {
        Self(Semaphore::new(1))
    }
}

/// `/v1/releases`.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReleasesAnswer {
    /// The number that the next event gets.
    pub next: u64,
    /// Why what happens is not written, where it is not.
    pub trouble: Option<String>,
    pub plugins: Vec<PluginReleases>,
}

/// What there is of one plugin, newest first.
#[derive(Debug, Serialize, Deserialize)]
pub struct PluginReleases {
    pub plugin: String,
    /// The highest of its releases'; to be given as `if-match` with a change.
    pub revision: u64,
    /// What somebody has asked for; without it the highest version of the folder serves that can.
    pub wanted: Option<Digest>,
    pub releases: Vec<Record>,
}

/// `/v1/releases/events`.
#[derive(Debug, Serialize, Deserialize)]
pub struct EventsAnswer {
    /// Where to go on.
    pub next: u64,
    pub events: Vec<Event>,
}

/// The body of a change.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Change {
    reason: String,
    to: Option<Digest>,
}

pub(super) async fn list(State(admin): State<Arc<Admin>>) -> Json<ReleasesAnswer> {
    let loader = admin.host.view().loader;
    let history = loader.history();
    let (next, plugins) = history.look(|ledger| {
        let mut plugins: BTreeMap<String, Vec<Record>> = BTreeMap::new();
        for record in ledger.records() {
            plugins.entry(record.name.plugin.clone()).or_default().push(record.clone());
        }
        let plugin = |(plugin, mut releases): (String, Vec<Record>)| {
            releases.sort_by_key(|record| std::cmp::Reverse(record.revision));
            let revision = releases.first().map_or(0, |record| record.revision);
            PluginReleases { wanted: ledger.goal(&plugin).map(|goal| goal.digest), plugin, revision, releases }
        };
        (ledger.revision(), plugins.into_iter().map(plugin).collect())
    });
    Json(ReleasesAnswer { next, trouble: history.trouble(), plugins })
}

/// `?from=NUMBER&wait=SECONDS`: events from there on, or as soon as there are some.
pub(super) async fn events(State(admin): State<Arc<Admin>>, uri: http::Uri) -> Response {
    let asked = routing::query(uri.query()).unwrap_or_default();
    let number = |name: &str| match asked.iter().find(|(known, _)| known == name) {
        None => Ok(0),
        Some((_, value)) => value.parse::<u64>().map_err(|_| format!("`{name}`: expected a whole number")),
    };
    let (from, wait) = match (number("from"), number("wait")) {
        (Ok(from), Ok(wait)) => (from, wait.min(LONGEST_WAIT)),
        (Err(reason), _) | (_, Err(reason)) => return problem(StatusCode::BAD_REQUEST, &reason),
    };
    let loader = admin.host.view().loader;
    let mut revisions = loader.history().revisions();
    // No event until then is an answer too.
    let _ = timeout(Duration::from_secs(wait), revisions.wait_for(|next| *next > from)).await;
    let answer = loader.history().look(|ledger| {
        let events: Vec<_> = ledger.events(from).take(MOST_EVENTS).cloned().collect();
        let next = events.last().map_or(ledger.revision().max(from), |event| event.number + 1);
        EventsAnswer { next, events }
    });
    Json(answer).into_response()
}

/// An artifact: it is put into service as soon as it is verified, with `?goal=staged` only verified.
pub(super) async fn upload(
    State(admin): State<Arc<Admin>>,
    Extension(caller): Extension<Caller>,
    request: Request<Body>,
) -> Response {
    let (parts, body) = request.into_parts();
    let asked = routing::query(parts.uri.query()).unwrap_or_default();
    let given = |name: &str| asked.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let goes_live = match given("goal") {
        None | Some("live") => true,
        Some("staged") => false,
        Some(other) => {
            return problem(StatusCode::BAD_REQUEST, &format!("`goal`: expected live or staged, found {other:?}"));
        }
    };
    let expected = match expected(&parts.headers) {
        Ok(expected) => expected,
        Err(reason) => return problem(StatusCode::BAD_REQUEST, reason),
    };
    let reason = cut(given("reason").unwrap_or_default());
    let Ok(_place) = admin.uploads.0.acquire().await else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "the host ends");
    };
    let most = admin.host.view().loader.max_artifact();
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let bytes = match timeout(LONGEST_UPLOAD, to_bytes(body, most)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            let text = format!(
                "no whole artifact came, or it has more than the {most} bytes that `max-artifact` in [plugins] allows"
            );
            return problem(StatusCode::PAYLOAD_TOO_LARGE, &text);
        }
        Err(_) => return problem(StatusCode::REQUEST_TIMEOUT, "the artifact did not come in time"),
    };
    let loader = admin.host.view().loader;
    let before = loader.clone();
    let taken = tokio::task::spawn_blocking(move || {
        let order = Order { by: &caller.name, reason: &reason, expected, goes_live };
        loader.take_in(bytes, order, caller.clients.as_deref())
    });
    match taken.await {
        Ok(Ok(record)) => {
            settle(&admin, &before).await;
            accepted(&record)
        }
        Ok(Err(NotTaken::History(error))) => refused(&error),
        Ok(Err(error @ NotTaken::Client { .. })) => problem(StatusCode::FORBIDDEN, &error.to_string()),
        Ok(Err(NotTaken::Refused(reason @ Refusal::TooLarge { .. }))) => {
            problem(StatusCode::PAYLOAD_TOO_LARGE, &reason.to_string())
        }
        Ok(Err(error)) => problem(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string()),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Puts a release that is known into service.
pub(super) async fn apply(
    State(admin): State<Arc<Admin>>,
    Extension(caller): Extension<Caller>,
    Path(digest): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let digest: Digest = match digest.parse() {
        Ok(digest) => digest,
        Err(error) => return problem(StatusCode::BAD_REQUEST, &format!("{error}")),
    };
    let plugin = move |loader: &Loader| {
        loader.history().look(|ledger| ledger.record(&digest).map(|record| record.name.plugin.clone()))
    };
    change(&admin, caller, (&headers, &body), plugin, move |loader, _, _, order| loader.apply(digest, order)).await
}

pub(super) async fn roll_back(
    State(admin): State<Arc<Admin>>,
    Extension(caller): Extension<Caller>,
    Path(plugin): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let named = move |_: &Loader| Some(plugin);
    let roll_back = |loader: &Arc<Loader>, plugin: &str, to, order: Order<'_>| loader.roll_back(plugin, to, order);
    change(&admin, caller, (&headers, &body), named, roll_back).await
}

pub(super) async fn retire(
    State(admin): State<Arc<Admin>>,
    Extension(caller): Extension<Caller>,
    Path(plugin): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let named = move |_: &Loader| Some(plugin);
    let retire = |loader: &Arc<Loader>, plugin: &str, _, order: Order<'_>| loader.retire(plugin, order);
    change(&admin, caller, (&headers, &body), named, retire).await
}

/// What all changes have in common: who may, on what terms, and on a thread that may block.
async fn change(
    admin: &Admin,
    caller: Caller,
    (headers, body): (&HeaderMap, &Bytes),
    plugin: impl FnOnce(&Loader) -> Option<String>,
    change: impl FnOnce(&Arc<Loader>, &str, Option<Digest>, Order<'_>) -> Result<Record, HistoryError> + Send + 'static,
) -> Response {
    let asked = if body.is_empty() { Ok(Change::default()) } else { serde_json::from_slice::<Change>(body) };
    let asked = match asked {
        Ok(asked) => asked,
        Err(error) => {
            return problem(
                StatusCode::BAD_REQUEST,
                &format!("expected {{\"reason\": \"…\"}}, for a roll-back also \"to\" with a digest: {error}"),
            );
        }
    };
    let expected = match expected(headers) {
        Ok(expected) => expected,
        Err(reason) => return problem(StatusCode::BAD_REQUEST, reason),
    };
    let loader = admin.host.view().loader;
    let Some(plugin) = plugin(&loader) else {
        return problem(StatusCode::NOT_FOUND, "no such release is known here: `weft release list` shows what is");
    };
    let of_others = |clients: &Vec<String>| {
        loader.history().look(|ledger| {
            // What was rejected, and has never served, is nobody's.
            let counts = |record: &&Record| record.live_at.is_some() || record.state != HistoryState::Rejected;
            let mut of_plugin = ledger.of_plugin(&plugin).filter(counts);
            of_plugin.find(|record| !clients.contains(&record.name.client)).map(|record| record.name.client.clone())
        })
    };
    if let Some(client) = caller.clients.as_ref().and_then(of_others) {
        return problem(
            StatusCode::FORBIDDEN,
            &format!("this token is not for the client `{client}`, whose plugin this is"),
        );
    }
    let (reason, before) = (cut(&asked.reason), loader.clone());
    let done = tokio::task::spawn_blocking(move || {
        let order = Order { by: &caller.name, reason: &reason, expected, goes_live: true };
        change(&loader, &plugin, asked.to, order)
    });
    match done.await {
        Ok(Ok(record)) => {
            settle(admin, &before).await;
            accepted(&record)
        }
        Ok(Err(error)) => refused(&error),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// A reload may have put another loader in force while something was ordered: that one looks again.
async fn settle(admin: &Admin, before: &Arc<Loader>) {
    let now = admin.host.view().loader;
    if !Arc::ptr_eq(&now, before) {
        // What it does not do now it does when it looks into its folder next.
        let _ = tokio::task::spawn_blocking(move || now.order_changed()).await;
    }
}

fn cut(reason: &str) -> String {
    let visible = reason.chars().map(|c| if c.is_control() { ' ' } else { c });
    visible.take(MOST_REASON).collect()
}

/// The revision of `if-match`: a number in quotes.
fn expected(headers: &HeaderMap) -> Result<Option<u64>, &'static str> {
    let Some(line) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let number = line.to_str().ok().and_then(|text| text.trim().strip_prefix('"')?.strip_suffix('"')?.parse().ok());
    number.map(Some).ok_or("`if-match`: expected the plugin's revision in quotes, such as \"17\"")
}

/// What was asked for is written; it is done beside the traffic.
fn accepted(record: &Record) -> Response {
    let mut response = (StatusCode::ACCEPTED, Json(record)).into_response();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", record.revision)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn refused(error: &HistoryError) -> Response {
    let status = match error {
        HistoryError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        HistoryError::Illegal(Illegal::Unknown(_)) | HistoryError::NotServed(_) => StatusCode::NOT_FOUND,
        HistoryError::Illegal(_) | HistoryError::NothingBefore(_) | HistoryError::Gone { .. } => StatusCode::CONFLICT,
        HistoryError::Changed { .. } => StatusCode::PRECONDITION_FAILED,
    };
    problem(status, &error.to_string())
}

/// A problem document (RFC 9457).
fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    let text = json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail });
    (status, [(header::CONTENT_TYPE, "application/problem+json")], Body::from(format!("{text}\n"))).into_response()
}
