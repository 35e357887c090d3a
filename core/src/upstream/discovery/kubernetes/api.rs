//! The API server's lists and watches (<https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes>), of
//! the EndpointSlices of one service.

use super::{access::Access, lines::Lines};
use crate::{
    net::{HttpClient, Streamed},
    upstream::registry::said,
};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a page of a list may take to arrive.
const PAGE: Duration = Duration::from_secs(30);
/// Slices in a page: they have a hundred endpoints by default, and a thousand at most.
const AT_A_TIME: usize = 100;
/// The largest page that is read, and how many there may be.
const LARGEST: usize = 32 << 20;
const PAGES: usize = 1_000;
/// Of what is said of a failure.
const SAID: usize = 64 << 10;
/// How often a list is begun again that took so long that its pages were of a past revision.
const TRIES: usize = 3;
/// How long a watch is asked to last, in seconds.
const WATCH: std::ops::Range<u64> = 240..300;

/// One service's slices at one API server.
#[derive(Debug)]
pub(super) struct Api {
    access: Access,
    client: HttpClient,
    /// The list, up to more options.
    url: String,
}

/// Why it can't go on.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ApiError {
    /// What was asked for begins at a revision that is known no more: list again.
    #[error("the API server has forgotten the revision (410 Gone)")]
    Gone,
    #[error("{0}")]
    Other(String),
}

impl From<String> for ApiError {
    fn from(reason: String) -> Self {
        Self::Other(reason)
    }
}

/// What a watch tells.
#[derive(Debug)]
pub(super) enum Event {
    /// The slice, as JSON.
    Put(Box<RawValue>),
    Gone(Box<RawValue>),
    /// Nothing but how far it has come.
    Bookmark,
}

#[derive(Deserialize)]
struct List<'a> {
    metadata: ListMeta,
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMeta {
    resource_version: Option<String>,
    #[serde(rename = "continue")]
    more: Option<String>,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
struct Object {
    metadata: ListMeta,
}

/// What the server says of a failure.
#[derive(Deserialize, Default)]
struct Failure {
    message: Option<String>,
    code: Option<i64>,
}

impl Api {
    /// Connects to nothing yet.
    pub(super) fn new(access: Access, namespace: &str, service: &str) -> Result<Self, String> {
        let client = access.client(PATIENCE)?;
        let url = format!(
            "{}/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3D{service}",
            access.server
        );
        Ok(Self { access, client, url })
    }

    /// All slices, each told to `each`, and the revision that they are of.
    pub(super) async fn list(&self, mut each: impl FnMut(Listed<'_>)) -> Result<String, ApiError> {
        for _ in 0..TRIES {
            each(Listed::Begins);
            match self.pages(&mut each).await {
                Err(ApiError::Gone) => {}
                listed => return listed,
            }
        }
        Err(format!("{} can't list as fast as its history is forgotten (410 Gone)", self.access.server).into())
    }

    async fn pages(&self, each: &mut impl FnMut(Listed<'_>)) -> Result<String, ApiError> {
        let server = &self.access.server;
        let first = format!("{}&limit={AT_A_TIME}", self.url);
        let mut url = first.clone();
        for _ in 0..PAGES {
            let stream = self.ask(&url).await?;
            let page = timeout(PAGE, stream.whole(LARGEST)).await;
            let page = page.map_err(|_| format!("{server}: a page of the list took longer than {PAGE:?}"))?;
            let page = page.map_err(|error| format!("{server}: {error}"))?;
            let list: List<'_> = serde_json::from_slice(&page.body)
                .map_err(|error| format!("{server}: the answer is no list of EndpointSlices: {error}"))?;
            list.items.unwrap_or_default().into_iter().for_each(|slice| each(Listed::Slice(slice)));
            match list.metadata.more.filter(|token| !token.is_empty()) {
                Some(token) => url = format!("{first}&continue={}", encoded(&token)),
                None => {
                    let revision = list.metadata.resource_version.filter(|revision| !revision.is_empty());
                    return Ok(revision.ok_or_else(|| format!("{server}: the list is of no resourceVersion"))?);
                }
            }
        }
        Err(format!("{server}: the list has no end after {PAGES} pages").into())
    }

    /// What happens after this revision.
    pub(super) async fn watch(&self, revision: &str) -> Result<Watch<'_>, ApiError> {
        let seconds = rand::random_range(WATCH);
        let url = format!(
            "{}&watch=1&allowWatchBookmarks=true&resourceVersion={}&timeoutSeconds={seconds}",
            self.url,
            encoded(revision)
        );
        let ends = Instant::now() + Duration::from_secs(seconds) + PATIENCE;
        Ok(Watch {
            server: &self.access.server,
            stream: self.ask(&url).await?,
            lines: Lines::default(),
            ends,
            is_over: false,
        })
    }

    /// An answer that is one, or why there is none.
    async fn ask(&self, url: &str) -> Result<Streamed, ApiError> {
        let headers = self.access.headers()?;
        let mut answer = self.send(url, headers.clone()).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            // The token may have been made anew just then.
            let fresh = self.access.headers()?;
            if fresh != headers {
                answer = self.send(url, fresh).await?;
            }
        }
        if answer.status() == StatusCode::OK {
            return Ok(answer);
        }
        let status = answer.status();
        if status == StatusCode::GONE {
            return Err(ApiError::Gone);
        }
        let body = timeout(PATIENCE, answer.whole(SAID)).await.ok().and_then(Result::ok);
        let body = body.map(|response| response.body).unwrap_or_default();
        let message = serde_json::from_slice::<Failure>(&body).ok().and_then(|failure| failure.message);
        let said = said(message.as_deref().map_or(&body, str::as_bytes));
        let hint = match status {
            StatusCode::UNAUTHORIZED => ": is the token of this cluster, and not expired?",
            StatusCode::FORBIDDEN => {
                ": its account needs list and watch of endpointslices in discovery.k8s.io (deploy/kubernetes/role.yaml)"
            }
            _ => "",
        };
        Err(format!("{} answered {status}: {said}{hint}", self.access.server).into())
    }

    async fn send(&self, url: &str, headers: HeaderMap) -> Result<Streamed, String> {
        let server = &self.access.server;
        let answered = timeout(PATIENCE, self.client.open(url, headers)).await;
        let answered = answered.map_err(|_| format!("{server} gave no answer within {PATIENCE:?}"))?;
        answered.map_err(|error| format!("{server}: {error}"))
    }
}

/// What a list tells.
#[derive(Debug)]
pub(super) enum Listed<'a> {
    /// From here on; what came before does not count.
    Begins,
    Slice(&'a RawValue),
}

/// A watch under way.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    server: &'a str,
    stream: Streamed,
    lines: Lines,
    ends: Instant,
    is_over: bool,
}

impl Watch<'_> {
    /// The next event and the revision that it is of; `None`: the watch has ended, in the middle of a line or not, and another one may go
    /// on from the revision before. Nothing is lost where this is dropped.
    pub(super) async fn next(&mut self) -> Result<Option<(Event, String)>, ApiError> {
        loop {
            let line = self.lines.next().map_err(|reason| format!("{}: {reason}", self.server))?;
            if let Some(line) = line {
                return event(&line).map(Some).map_err(|error| match error {
                    ApiError::Other(reason) => format!("{}: {reason}", self.server).into(),
                    gone @ ApiError::Gone => gone,
                });
            }
            if self.is_over {
                return Ok(None);
            }
            match timeout_at(self.ends, self.stream.next()).await {
                Ok(Ok(Some(bytes))) => self.lines.push(&bytes),
                // Cut, ended, or it goes on for longer than it was asked to: who opens the next one hears what is wrong.
                Ok(Ok(None) | Err(_)) | Err(_) => self.is_over = true,
            }
        }
    }
}

/// What a line of a watch says, and of which revision it is.
pub(super) fn event(line: &[u8]) -> Result<(Event, String), ApiError> {
    let broken = |error: serde_json::Error| format!("a line of the watch is no event: {error}");
    let Line { kind, object } = serde_json::from_slice(line).map_err(broken)?;
    if kind == "ERROR" {
        let Failure { message, code } = serde_json::from_str(object.get()).unwrap_or_default();
        return Err(match code {
            Some(410) => ApiError::Gone,
            _ => {
                let said = said(message.unwrap_or_default().as_bytes());
                format!("the watch ended with an error: {} {said}", code.unwrap_or_default()).into()
            }
        });
    }
    let Object { metadata } = serde_json::from_str(object.get()).map_err(broken)?;
    let revision = metadata.resource_version.filter(|revision| !revision.is_empty());
    let revision = revision.ok_or_else(|| "an event of the watch has no resourceVersion".to_owned())?;
    let event = match kind {
        "ADDED" | "MODIFIED" => Event::Put(object.to_owned()),
        "DELETED" => Event::Gone(object.to_owned()),
        "BOOKMARK" => Event::Bookmark,
        other => return Err(format!("the watch told of something unknown: {other:?}").into()),
    };
    Ok((event, revision))
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
