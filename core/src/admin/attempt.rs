//! A request that somebody tries from the console: from here to this host's own public side, and back.
//!
//! It goes the whole way that a stranger's goes. Its connection is one of TCP, of this process with itself, which the public side takes in as
//! that of nobody: no listed peer, no certificate, no address of the admin side. There is no address in what is asked for, so nothing else
//! can be reached.

use super::{access::Caller, role::Role};
use crate::{
    net::{HttpClient, HttpError},
    routing::Client,
};
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    time::Instant,
};

/// At the same time: what they take has room in what a host has at rest.
const AT_ONCE: usize = 2;
const CONNECT: Duration = Duration::from_secs(2);
/// Bytes of an answer that are shown.
const LARGEST: usize = 1 << 20;
/// Lines of headers that one may give.
const HEADERS: usize = 50;
/// Above what any endpoint may take.
const LONGEST: Duration = Duration::from_secs(310);
/// What is the connection's, or told by other fields.
const NOT_GIVEN: [HeaderName; 8] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::EXPECT,
];

/// Where connections of this process with itself go in.
#[derive(Debug)]
pub struct Attempts {
    door: mpsc::Sender<TcpStream>,
    places: Semaphore,
}

/// What is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    pub(super) client: String,
    method: String,
    /// Behind the client's prefix, with its query.
    path: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    /// For `authorization`. It is in no log.
    #[serde(default)]
    token: String,
    #[serde(default)]
    body: Option<String>,
}

#[derive(Debug, Serialize)]
struct Answered {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
    /// Whether `body` is all of it, as it was.
    is_text: bool,
    bytes: usize,
    took_ms: f64,
}

impl Attempts {
    /// `door`: where the public side takes them in.
    pub fn new(door: mpsc::Sender<TcpStream>) -> Self {
        Self { door, places: Semaphore::new(AT_ONCE) }
    }

    /// Its answer, or why there is none.
    pub(super) async fn attempt(&self, caller: &Caller, asked: Asked, client: &Client) -> Response {
        let (method, path, headers) = match read(&asked, client) {
            Ok(read) => read,
            Err(reason) => return refused(StatusCode::BAD_REQUEST, "attempt", &reason),
        };
        let reads = method == Method::GET || method == Method::HEAD;
        if !reads && caller.role < Role::Operator {
            return refused(StatusCode::FORBIDDEN, "role", "what may change something is tried by the role `operator`");
        }
        let Ok(_place) = self.places.try_acquire() else {
            return refused(
                StatusCode::TOO_MANY_REQUESTS,
                "attempt",
                "as many requests are being tried as may be: try again",
            );
        };
        let (by, client) = (&caller.name, &client.name);
        tracing::info!(by, client, %method, "a request is tried by the admin interface");
        let body = asked.body.filter(|body| !body.is_empty()).map(Bytes::from);
        match tokio::time::timeout(LONGEST, self.send(method, &path, headers, body)).await {
            Ok(Ok(answered)) => Json(answered).into_response(),
            Ok(Err(reason)) => refused(StatusCode::BAD_GATEWAY, "attempt", &reason),
            Err(_) => refused(StatusCode::GATEWAY_TIMEOUT, "attempt", "no answer came in time"),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Answered, String> {
        // One for each, so that no connection is kept when it is over.
        let client = HttpClient::plain(CONNECT)?;
        // Whoever else connects to it is taken for a stranger too.
        let listener =
            TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await.map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let entering = async {
            loop {
                if let Ok((stream, _)) = listener.accept().await
                    && self.door.send(stream).await.is_err()
                {
                    return "the host stops, and takes in nobody any more".to_owned();
                }
            }
        };
        let since = Instant::now();
        let sent = client.send(method, format!("http://{address}{path}"), headers, body, LARGEST);
        let answer = tokio::select! {
            answer = sent => answer.map_err(|error| match error {
                HttpError::TooLarge(most) => format!("the answer is larger than the {most} bytes that are shown here: ask for it by curl"),
                error => error.to_string(),
            })?,
            reason = entering => return Err(reason),
        };
        let took_ms = (since.elapsed().as_secs_f64() * 1e5).round() / 1e2;
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = answer.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let body = String::from_utf8_lossy(&answer.body);
        let is_text = matches!(body, std::borrow::Cow::Borrowed(_));
        Ok(Answered {
            status: answer.status.as_u16(),
            headers,
            is_text,
            bytes: answer.body.len(),
            body: body.into_owned(),
            took_ms,
        })
    }
}

/// As it is sent: told by the client's own rule.
fn read(asked: &Asked, client: &Client) -> Result<(Method, String, HeaderMap), String> {
    let method = asked.method.parse::<Method>().map_err(|_| format!("{:?} is no method", asked.method))?;
    let told = client.rule();
    let path = format!("{}{}", told.prefix.as_deref().unwrap_or_default(), asked.path);
    let is_path =
        asked.path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()) && !path.contains('#');
    if !is_path {
        return Err("the path has to begin with `/`, and what is no ASCII in it has to be encoded".to_owned());
    }
    if asked.headers.len() > HEADERS {
        return Err(format!("there may be {HEADERS} lines of headers"));
    }
    let mut headers = HeaderMap::new();
    let mut add = |name: &str, value: &str| {
        let parsed = HeaderName::try_from(name).map_err(|_| format!("{name:?} is no header"))?;
        if NOT_GIVEN.contains(&parsed) {
            return Err(format!("`{parsed}` is the connection's, and can't be given"));
        }
        let mut line = HeaderValue::try_from(value).map_err(|_| format!("`{parsed}` has what no header may have"))?;
        line.set_sensitive(parsed == header::AUTHORIZATION);
        headers.append(parsed, line);
        Ok(())
    };
    for (name, value) in &asked.headers {
        add(name, value)?;
    }
    if !asked.token.is_empty() {
        add("authorization", &format!("Bearer {}", asked.token))
            .map_err(|_| "the token has what no header may have".to_owned())?;
    }
    if let (None, None, Some((name, value))) = (&told.prefix, &told.host, &told.header) {
        add(name, value)?;
    }
    let host = told.host.as_deref().unwrap_or("localhost");
    headers.insert(header::HOST, HeaderValue::try_from(host).map_err(|_| "the client's host is no header".to_owned())?);
    Ok((method, path, headers))
}

fn refused(status: StatusCode, reason: &str, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    let text =
        json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail, "reason": reason });
    (status, [(header::CONTENT_TYPE, "application/problem+json")], format!("{text}\n")).into_response()
}
