//! `handle`: one request, driven over the imported `exchange`.

use std::time::Duration;

use bytes::Bytes;

use super::bindings::weft::bff::{backend, types};
use crate::executor::Turn;
use crate::{Headers, Identity, Plugin, Problem, Request};

/// Runs one request to its end. All of its state is dropped before this returns.
pub fn handle(plugin: &Plugin, request: types::Request) -> Result<types::Response, types::Problem> {
    let mut executor = plugin.start(taken(request), ());
    let outcome = loop {
        match executor.turn() {
            Turn::Done(outcome) => break outcome,
            Turn::Stuck => break Err(Problem::deadlock()),
            Turn::Exchange(wanted) => {
                let (completions, arena) =
                    backend::exchange(wanted.calls, wanted.messages, wanted.cancel, wanted.wait_ms);
                executor.deliver(&completions, &Bytes::from(arena));
            }
        }
    };
    match outcome {
        Ok(response) => {
            let (status, headers, body) = response.into_parts();
            Ok(types::Response { status: status.number(), headers, body, extensions: Vec::new() })
        }
        Err(problem) => Err(given(problem)),
    }
}

fn taken(request: types::Request) -> Request {
    let types::Request {
        endpoint,
        path,
        params,
        query,
        headers,
        body,
        client,
        identity,
        request_id,
        deadline_ms,
        extensions: _,
    } = request;
    let identity = identity.map(|identity| {
        let types::Identity { issuer, subject, tenant, scopes, claims } = identity;
        Identity { issuer, subject, tenant, scopes, claims }
    });
    Request {
        endpoint,
        path,
        params,
        query,
        headers: Headers(headers),
        body,
        client,
        identity,
        request_id,
        deadline: Duration::from_millis(u64::from(deadline_ms)),
    }
}

fn given(problem: Problem) -> types::Problem {
    let parts = *problem.0;
    types::Problem {
        status: parts.status.number(),
        kind: parts.kind,
        title: parts.title,
        detail: parts.detail,
        extensions: parts.extensions,
    }
}
