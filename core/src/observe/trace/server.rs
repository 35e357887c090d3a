//! The span of the request itself.

use super::{
    recorder::Recorder,
    span::{Attributes, SpanKind},
};
use std::{borrow::Cow, sync::Arc};
use tokio::time::Instant;

/// What there is to say of a request that is over.
#[derive(Debug)]
pub struct Served<'a> {
    /// A method that is known, else `_OTHER`.
    pub method: &'a str,
    /// The endpoint's path, with its parameters by name.
    pub route: Option<&'a str>,
    /// `None`: the client has gone away before there was an answer.
    pub status: Option<u16>,
    /// The word of the problem that the host answered with.
    pub problem: Option<&'a str>,
    /// Frontend, plugin and its version, calls: whatever else is known.
    pub attributes: Attributes,
}

impl Recorder {
    /// The request has been answered, or given up.
    pub fn served(&self, served: Served<'_>) {
        self.is_over();
        let Served { method, route, status, problem, attributes } = served;
        let name: Arc<str> = match (method, route) {
            ("_OTHER", _) => "HTTP".into(),
            (method, Some(route)) => format!("{method} {route}").into(),
            (method, None) => method.into(),
        };
        let ids = (self.context(), self.trace().parent);
        let mut span = self.span(ids, &name, SpanKind::Server, (self.since(), Instant::now()));
        span.attributes
            .put("http.request.method", method.to_owned())
            .put_any("http.route", route.map(str::to_owned))
            .put_any("http.response.status_code", status.map(u32::from));
        span.attributes.0.extend(attributes.0);
        let error = match status {
            None => Some("abandoned".to_owned()),
            Some(status) if status >= 500 => Some(problem.map_or_else(|| status.to_string(), str::to_owned)),
            Some(_) => None,
        };
        if let Some(error) = error {
            span.attributes.put("error.type", error.clone());
            span.error = Some(Cow::Owned(error));
        }
        self.hand_over(span);
    }
}
