//! Requests of a test, and how they find their endpoint.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;

use super::drive::drive;
use super::fixture::Fixture;
use super::host::TestHost;
use super::response::{SentEvent, TestResponse};
use crate::lock::lock;
use crate::{Endpoint, Identity, Request};

/// A request, to be sent to an [`App`](super::App).
#[must_use = "a request does nothing until `send`"]
#[derive(Debug)]
pub struct TestRequest<'a> {
    fixture: &'a Fixture,
    method: String,
    request: Request,
}

impl<'a> TestRequest<'a> {
    pub(super) fn new(fixture: &'a Fixture, method: &str, path: &str) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(&name.replace('+', " ")), decoded(&value.replace('+', " ")))
        });
        let request = Request::new("")
            .with_path(path)
            .with_query(pairs.collect())
            .with_client("test")
            .with_request_id("test")
            .with_deadline(Duration::from_secs(1));
        Self { fixture, method: method.to_owned(), request }
    }

    /// Adds a query pair, not encoded.
    pub fn query(mut self, name: &str, value: impl ToString) -> Self {
        self.request.query.push((name.to_owned(), value.to_string()));
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request.headers.0.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// Sets the verified caller.
    pub fn identity(mut self, identity: Identity) -> Self {
        self.request.identity = Some(identity);
        self
    }

    /// Sets a JSON body.
    ///
    /// # Panics
    /// If the value has no JSON.
    #[expect(clippy::expect_used, reason = "ends the test")]
    pub fn json(self, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("a body that has JSON");
        self.header("content-type", "application/json").body(body)
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.request.body = body.into();
        self
    }

    /// Sets how long the request may take, in virtual time. One second if not set.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.request.deadline = deadline;
        self
    }

    /// Sends it, and runs it to its end.
    ///
    /// # Panics
    /// If no endpoint of the plugin has this path, or if the handler calls a method that has no backend.
    #[expect(clippy::panic, reason = "ends the test")]
    pub fn send(mut self) -> TestResponse {
        let endpoints = self.fixture.plugin.endpoints();
        let Some((endpoint, params)) = route(endpoints, &self.method, &self.request.path) else {
            let names: Vec<_> = endpoints.iter().map(Endpoint::name).collect();
            panic!("no endpoint for {} {}; there are {names:?}", self.method, self.request.path);
        };
        self.request.endpoint = endpoint.name().to_owned();
        self.request.params = params;
        let (subject, tenant) = match &self.request.identity {
            Some(identity) => (identity.subject.clone(), identity.tenant.clone().unwrap_or_default()),
            None => Default::default(),
        };
        let shared = Arc::clone(&self.fixture.shared);
        let host = Arc::new(TestHost { shared, subject, tenant, sent: Mutex::default() });
        let deadline = self.request.deadline;
        let access = Arc::clone(&host);
        let mut response = drive(self.fixture, self.fixture.plugin.start(self.request, access), deadline);
        response.events = SentEvent::all(&lock(&host.sent));
        response
    }
}

/// The endpoint for a path, with its parameters. Fixed segments win over parameters, from the left.
fn route<'a>(endpoints: &'a [Endpoint], method: &str, path: &str) -> Option<(&'a Endpoint, Vec<(String, String)>)> {
    let matches = endpoints.iter().filter(|endpoint| endpoint.method() == method);
    let matches = matches.filter_map(|endpoint| Some((endpoint, params(endpoint.path(), path)?)));
    matches.min_by_key(|(endpoint, _)| {
        let rank = |segment: &str| if segment.starts_with("{*") { 2 } else { u8::from(segment.starts_with('{')) };
        endpoint.path().split('/').map(rank).collect::<Vec<_>>()
    })
}

/// The values of the template's parameters, if the path fits.
fn params(template: &'static str, path: &str) -> Option<Vec<(String, String)>> {
    let mut params = Vec::new();
    let mut rest = Some(path.strip_prefix('/')?);
    for segment in template.strip_prefix('/')?.split('/') {
        let left = rest?;
        let (value, after) = match left.split_once('/') {
            Some((value, after)) if !segment.starts_with("{*") => (value, Some(after)),
            _ => (left, None),
        };
        match crate::plugin::param(segment) {
            Some(_) if value.is_empty() => return None,
            Some(name) => params.push((name.to_owned(), decoded(value))),
            None if segment == value => {}
            None => return None,
        }
        rest = after;
    }
    rest.is_none().then_some(params)
}

/// Without percent-encoding.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.filter(|_| byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(template: &'static str, path: &str) -> Option<Vec<String>> {
        params(template, path).map(|params| params.into_iter().map(|(_, value)| value).collect())
    }

    #[test]
    fn templates_match() {
        assert_eq!(fits("/", "/"), Some(vec![]));
        assert_eq!(fits("/films/{id}", "/films/7"), Some(vec!["7".to_owned()]));
        assert_eq!(fits("/films/{id}", "/films/a%20b"), Some(vec!["a b".to_owned()]));
        assert_eq!(fits("/files/{*rest}", "/files/a/b"), Some(vec!["a/b".to_owned()]));
        assert_eq!(fits("/films/{id}", "/films"), None);
        assert_eq!(fits("/films/{id}", "/films/"), None);
        assert_eq!(fits("/films/{id}", "/films/7/cast"), None);
    }
}
