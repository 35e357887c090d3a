//! REST backends under the same calls: the request message becomes path, query and body, and the JSON of the response becomes the
//! reply message.
//!
//! The mapping is that of `google.api.http` (<https://github.com/googleapis/googleapis/blob/master/google/api/http.proto>), written into
//! the configuration: `http = "GET /v1/weather/{city}"`. Fields named in braces go into the path (or the query, where the template has
//! them there); with a body, all others are its JSON; without one, they are query parameters ([`query`]).

mod query;

use super::failed::{Failed, Pushback};
use crate::{
    model::{Code, Failure, http_method},
    net::{HttpClient, HttpError},
    observe::Spoken,
    protojson,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use percent_encoding::utf8_percent_encode;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use serde::de::IgnoredAny;
use serde_json::Value;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering::Relaxed},
    },
    time::Duration,
};

/// Of a request message in JSON: far more than any is meant to have, and a bound for those that unpack to much.
const LARGEST_REQUEST: usize = 16 << 20;
/// Of path and query. Servers take some 8 KiB; this one is not theirs to know.
const LONGEST_TARGET: usize = 64 << 10;

/// How one method is called over HTTP.
#[derive(Debug, Clone, PartialEq)]
pub struct Rest {
    method: Method,
    /// The path as it is written, for who is told of calls: nothing of a request stands in it.
    path: Arc<str>,
    /// Path, and query where the template has one.
    template: Vec<Piece>,
    has_query: bool,
    /// The field of the reply that the JSON is; `None`: the JSON is the reply.
    response_body: Option<String>,
    input: MessageDescriptor,
    output: MessageDescriptor,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(String),
}

/// What carries calls to one instance of a REST backend.
#[derive(Debug)]
pub(super) struct RestConnection {
    pub(super) client: HttpClient,
    /// `https://api.example.com:443`.
    pub(super) base: String,
    /// The host's own credential, for calls that carry no other.
    pub(super) credential: Option<(HeaderName, HeaderValue)>,
}

/// The status that an attempt was answered with, as soon as it is there.
#[derive(Debug, Default)]
pub(super) struct Status(AtomicU16);

impl Status {
    fn set(&self, status: StatusCode) {
        self.0.store(status.as_u16(), Relaxed);
    }

    pub(super) fn get(&self) -> Option<u16> {
        Some(self.0.load(Relaxed)).filter(|status| *status > 0)
    }
}

impl Rest {
    pub(super) fn spoken(&self) -> Spoken<'_> {
        Spoken::Http { method: &self.method, path: &self.path }
    }

    /// Whether the verb is one that only reads (RFC 9110, section 9.2.1).
    pub fn is_read(&self) -> bool {
        self.method.is_safe()
    }

    /// Looks up the fields of `text` (`GET /v1/weather/{city}`) in the request message.
    pub fn resolve(
        text: &str,
        response_body: Option<&str>,
        input: MessageDescriptor,
        output: MessageDescriptor,
    ) -> Result<Self, String> {
        let form = || format!("expected a method and a path, such as \"GET /v1/items/{{id}}\", found {text:?}");
        let (method, path) = text.split_once(' ').ok_or_else(form)?;
        let method = http_method(method).ok_or_else(form)?;
        if !path.starts_with('/') {
            return Err(form());
        }
        let template = pieces(path)?;
        for piece in &template {
            if let Piece::Field(name) = piece
                && input.get_field_by_name(name).is_none()
            {
                let known: Vec<_> = input.fields().map(|field| field.name().to_owned()).collect();
                return Err(format!("`{}` has no field `{name}`; it has: {}", input.full_name(), known.join(", ")));
            }
        }
        if let Some(name) = response_body.filter(|name| output.get_field_by_name(name).is_none()) {
            return Err(format!("response-body: `{}` has no field `{name}`", output.full_name()));
        }
        let response_body = response_body.map(str::to_owned);
        let has_query = path.contains('?');
        let path = path.split('?').next().unwrap_or_default().into();
        let rest = Self { method, path, template, has_query, response_body, input, output };
        rest.check_query()?;
        Ok(rest)
    }

    /// Without a body, all fields have to go into path and query.
    fn check_query(&self) -> Result<(), String> {
        if self.has_body() {
            return Ok(());
        }
        let in_template = |name: &str| self.template.iter().any(|piece| matches!(piece, Piece::Field(f) if f == name));
        match query::unsayable(&self.input, &in_template) {
            Some(place) => Err(format!(
                "{} has no body, and a query can't say `{place}` of `{}`; use a method with a body, such as POST",
                self.method,
                self.input.full_name()
            )),
            None => Ok(()),
        }
    }

    /// Target and body of the request. Fields that are not set are neither in the query nor in the body: what a caller did not say
    /// is the backend's to choose.
    fn request(&self, message: &Bytes) -> Result<(String, Option<Bytes>), Failure> {
        let bad = |error: &dyn std::fmt::Display| Failure::new(Code::Internal, format!("the request is none: {error}"));
        let mut fields = DynamicMessage::decode(self.input.clone(), message.clone()).map_err(|error| bad(&error))?;
        let mut target = String::new();
        for piece in &self.template {
            match piece {
                Piece::Text(text) => target.push_str(text),
                Piece::Field(name) => {
                    let field = self.input.get_field_by_name(name);
                    let text = field.as_ref().and_then(|field| query::text(&fields.get_field(field), field));
                    let text = text.filter(|text| !text.is_empty()).ok_or_else(|| {
                        Failure::new(Code::InvalidArgument, format!("`{name}` is empty, and stands in the path"))
                    })?;
                    target.extend(utf8_percent_encode(&text, query::ENCODED));
                }
            }
        }
        for piece in &self.template {
            if let Piece::Field(name) = piece {
                fields.clear_field_by_name(name);
            }
        }
        // HTTP clients take such a part away, with the one before it: the request would go to another path.
        let mut parts = target.split('?').next().unwrap_or_default().split('/');
        if let Some(part) = parts.find(|part| matches!(*part, "." | "..")) {
            return Err(Failure::new(Code::InvalidArgument, format!("`{part}` can't be a part of the path")));
        }
        if self.has_body() {
            return Ok((target, Some(protojson::of_set_fields(&fields, LARGEST_REQUEST)?)));
        }
        query::add(&mut target, self.has_query, &fields).map_err(|name| {
            Failure::new(Code::InvalidArgument, format!("`{name}` has a value that a query can't say"))
        })?;
        if target.len() > LONGEST_TARGET {
            let text = format!("the request is longer than the {LONGEST_TARGET} bytes that a query may have");
            return Err(Failure::new(Code::InvalidArgument, text));
        }
        Ok((target, None))
    }

    fn has_body(&self) -> bool {
        self.method != Method::GET && self.method != Method::DELETE
    }

    /// What a response says: the reply message, or why there is none.
    pub fn read(&self, status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Result<Bytes, Failure> {
        if status.is_success() { self.reply(status, body) } else { Err(failed(status, headers, body).failure) }
    }

    fn reply(&self, status: StatusCode, body: &Bytes) -> Result<Bytes, Failure> {
        let bad = |failure: Failure| {
            Failure::new(Code::Internal, failure.message.replace("the request is", "the response is"))
        };
        let says_nothing = body.trim_ascii().is_empty();
        // What was asked for is done; and where there is nothing to say, saying nothing is the answer.
        if says_nothing && (status == StatusCode::NO_CONTENT || self.output.fields().len() == 0) {
            return Ok(Bytes::new());
        }
        match &self.response_body {
            None => protojson::to_protobuf(self.output.clone(), body).map_err(bad),
            Some(field) => {
                // It becomes a part of a larger text, so it has to be whole on its own.
                serde_json::from_slice::<IgnoredAny>(body)
                    .map_err(|error| Failure::new(Code::Internal, format!("the response is no JSON: {error}")))?;
                let name =
                    self.output.get_field_by_name(field).map_or(field.clone(), |field| field.json_name().to_owned());
                let mut wrapped = Vec::with_capacity(body.len() + name.len() + 8);
                wrapped.extend_from_slice(format!("{{{}:", Value::String(name)).as_bytes());
                wrapped.extend_from_slice(body);
                wrapped.push(b'}');
                protojson::to_protobuf(self.output.clone(), &wrapped).map_err(bad)
            }
        }
    }
}

fn pieces(path: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = path;
    while let Some((text, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or_else(|| format!("{path:?} has an open brace"))?;
        pieces.extend([Piece::Text(text.to_owned()), Piece::Field(name.to_owned())]);
        rest = after;
    }
    pieces.push(Piece::Text(rest.to_owned()));
    Ok(pieces)
}

impl RestConnection {
    pub(super) async fn unary(
        &self,
        rest: &Rest,
        (message, metadata): (&Bytes, HeaderMap),
        max_reply: usize,
        status: &Status,
    ) -> Result<Bytes, Failed> {
        let (target, body) = rest.request(message).map_err(Failed::new)?;
        let mut headers = metadata;
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        if body.is_some() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some((name, value)) = &self.credential {
            headers.entry(name).or_insert_with(|| value.clone());
        }
        let sent =
            self.client.send(rest.method.clone(), format!("{}{target}", self.base), headers, body, max_reply).await;
        let response = sent.map_err(|error| {
            let unsent = matches!(error, HttpError::Connect(_));
            let code =
                if matches!(error, HttpError::TooLarge(_)) { Code::ResourceExhausted } else { Code::Unavailable };
            Failed { unsent, ..Failed::new(Failure::new(code, error.to_string())) }
        })?;
        status.set(response.status);
        if response.status.is_success() {
            return rest.reply(response.status, &response.body).map_err(Failed::new);
        }
        Err(failed(response.status, &response.headers, &response.body))
    }
}

/// The code for an HTTP status (<https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto>).
fn failed(status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Failed {
    let code = match status {
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Code::InvalidArgument,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND | StatusCode::GONE => Code::NotFound,
        StatusCode::CONFLICT => Code::Aborted,
        StatusCode::TOO_MANY_REQUESTS => Code::ResourceExhausted,
        StatusCode::NOT_IMPLEMENTED => Code::Unimplemented,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
        StatusCode::GATEWAY_TIMEOUT => Code::DeadlineExceeded,
        status if status.is_client_error() => Code::FailedPrecondition,
        status if status.is_server_error() => Code::Internal,
        _ => Code::Unknown,
    };
    let excerpt = String::from_utf8_lossy(body.get(..200).unwrap_or(body)).into_owned();
    let retry_after = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let pushback = retry_after.map_or(Pushback::None, |seconds| Pushback::After(Duration::from_secs(seconds)));
    let message = format!("HTTP {}: {excerpt}", status.as_u16());
    Failed { pushback, ..Failed::new(Failure::new(code, message)) }
}

#[cfg(test)]
mod tests;
