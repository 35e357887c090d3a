//! A tool's call: the request that it stands for, made by the same caller.

use super::{
    super::{Body, Gateway, Known, Outcome, Reply, Request, Trail, explained, faults},
    reply, results,
};
use crate::{
    identity::Verified,
    mcp::{Answer, Asking, BadArguments, Beside, Server, Target, Tool, Unusable},
    model::{Fault, ProblemType},
    routing::{Agents, Client},
};
use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use serde_json::{Map, Value};

/// What says something of the message, and nothing of the call within it.
const OF_THE_MESSAGE: [HeaderName; 13] = [
    // It was for this place: it goes nowhere from here.
    header::AUTHORIZATION,
    header::ACCEPT,
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::ORIGIN,
    HeaderName::from_static("mcp-protocol-version"),
    HeaderName::from_static("mcp-method"),
    HeaderName::from_static("mcp-name"),
    HeaderName::from_static("mcp-session-id"),
    HeaderName::from_static("last-event-id"),
];
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// The request with the message, without its body.
pub(super) struct Within<'a> {
    client: &'a Client,
    agents: &'a Agents,
    request: Request,
    verified: Option<Verified>,
}

impl<'a> Within<'a> {
    pub(super) fn of(
        (client, agents): (&'a Client, &'a Agents),
        mut request: Request,
        verified: Option<Verified>,
    ) -> (BoxFuture<'static, Result<Bytes, Fault>>, Self) {
        let body = std::mem::replace(&mut request.body, std::future::pending().boxed());
        (body, Self { client, agents, request, verified })
    }

    pub(super) fn client(&self) -> &'a Client {
        self.client
    }

    pub(super) fn agents(&self) -> &'a Agents {
        self.agents
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.request.headers
    }

    pub(super) fn is_named(&self) -> bool {
        self.verified.is_some()
    }

    /// The request that a call is.
    fn into_call(self, method: &Method, target: Target) -> Result<Request, BadArguments> {
        let Self { mut request, .. } = self;
        let bad = |field: &str, detail: &str| BadArguments { field: field.to_owned(), detail: detail.to_owned() };
        request.uri = Uri::try_from(target.path_and_query)
            .map_err(|_| bad("arguments", "the arguments are too long for a URL"))?;
        request.method = method.clone();
        OF_THE_MESSAGE.iter().for_each(|name| drop(request.headers.remove(name)));
        if target.body.is_some() {
            request.headers.insert(header::CONTENT_TYPE, super::JSON);
        }
        if let Some(key) = target.key {
            let value = HeaderValue::try_from(key);
            let field = "arguments.idempotency_key";
            request.headers.insert(KEY, value.map_err(|_| bad(field, "an idempotency key is plain text"))?);
        }
        request.body = std::future::ready(Ok(target.body.unwrap_or_default())).boxed();
        Ok(request)
    }
}

impl Gateway {
    /// The answer, and what the metrics say of it.
    pub(super) async fn call(
        &self,
        mut within: Within<'_>,
        (asked, server): (&Asking, Server<'_>),
        (tool, arguments): (&Tool, Map<String, Value>),
        trail: &mut Trail,
    ) -> Result<(Reply, &'static str), Fault> {
        let (client, agents) = (within.client, within.agents);
        let verified = within.verified.take().map(|(identity, token)| {
            // A token of its own is made of it for each backend, or there is none.
            (identity, token.filter(|_| self.engine.exchanges_tokens()))
        });
        let told = results::About::of(&within.request);
        let made = tool.target(arguments).and_then(|target| {
            let path = target.path.clone();
            Ok((within.into_call(&tool.endpoint.method, target)?, path))
        });
        let (outcome, path) = match made {
            Ok((request, path)) => (self.serve(request, Some(Known { client, verified }), trail).await, path),
            Err(bad) => (Err(faults::bad_arguments(&bad.field, bad.detail)), agents.path.clone()),
        };
        // Who needs a token gets one by what HTTP says of it.
        if let Err(fault) = &outcome
            && fault.problem.kind == ProblemType::Unauthorized
        {
            return outcome.map(|reply| (reply, "refused"));
        }
        let beside =
            Beside { waterfall: explained::waterfall(&outcome, trail), degraded: results::degraded(&outcome, trail) };
        let cache = outcome.as_ref().ok().and_then(|reply| reply.headers.get(CACHE_STATUS)).cloned();
        let made = outcome.and_then(|reply| fitting(reply, agents.result, tool)).and_then(|reply| {
            let made = as_result(&reply, |answer| asked.called(tool, answer, beside.clone(), server));
            Ok((made.map_err(|reason| unusable(tool, reason))?, reply))
        });
        let (made, outcome) = made.map_or_else(|fault| (None, Err(fault)), |(made, reply)| (made, Ok(reply)));
        let failed = outcome.as_ref().map_or(true, |reply| is_error(reply.status));
        let body = match made {
            Some(made) => made,
            None => asked.failed(told.problem(&outcome, &path), beside, server),
        };
        trail.ended = Some(explained::ended(outcome));
        let mut reply = reply(StatusCode::OK, body);
        reply.headers.extend(cache.map(|cache| (CACHE_STATUS, cache)));
        Ok((reply, if failed { "tool-error" } else { "done" }))
    }
}

/// What `call` makes of an answer; none of one that is a problem.
fn as_result(
    reply: &Reply,
    call: impl FnOnce(Answer<'_>) -> Result<Bytes, Unusable>,
) -> Result<Option<Bytes>, Unusable> {
    let Body::Bytes(body) = &reply.body else { return Ok(None) };
    let kind = reply.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    call(Answer { is_error: is_error(reply.status), kind, body }).map(Some)
}

fn is_error(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

/// The answer, if it is no larger than a result may be.
fn fitting(reply: Reply, most: usize, tool: &Tool) -> Outcome {
    let size = match &reply.body {
        Body::Bytes(body) => body.len(),
        // No endpoint with one is a tool.
        Body::Stream(_) | Body::Problem { .. } => reply.weight(),
    };
    if size <= most {
        return Ok(reply);
    }
    let done = if tool.endpoint.method == Method::GET { "" } else { "; what was asked for has been done" };
    let text = format!("the answer has {size} bytes, and a tool's result may have {most}: ask for less{done}");
    Err(Fault::new(ProblemType::HostLimit, text))
}

fn unusable(tool: &Tool, reason: Unusable) -> Fault {
    let text = "the plugin's answer can't be the result of a tool";
    Fault::new(ProblemType::PluginResponse, text).because(format!("{}: {reason}", tool.endpoint))
}
