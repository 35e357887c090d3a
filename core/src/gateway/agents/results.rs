//! What is told of a call beside its answer, and what went wrong with it, for agents: the problem document that HTTP has of it, without
//! what is about this host.

use super::super::{Body, Outcome, Reply, Request, Trail};
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Map, Value, json};

/// Members of problems that are about this host, and not about what was asked for.
const INTERNAL: [&str; 2] = ["plugin", "version"];

/// By what a request is known in all logs.
pub(super) struct About {
    request_id: HeaderValue,
    trace_id: u128,
}

impl About {
    pub(super) fn of(request: &Request) -> Self {
        Self { request_id: request.request_id.clone(), trace_id: request.trace.context.trace_id }
    }

    /// The problem that a call at `path` has ended with.
    pub(super) fn problem(&self, outcome: &Outcome, path: &str) -> Map<String, Value> {
        let (mut problem, standard, headers) = match outcome {
            Ok(Reply { body: Body::Problem { kind, title, detail, members }, status, headers }) => {
                let standard = json!({ "type": kind, "title": title, "status": status.as_u16(), "detail": detail });
                (texts(members.iter().map(|(name, value)| (name.as_str(), value))), standard, headers.clone())
            }
            Ok(_) => return Map::new(),
            Err(fault) => {
                let problem = &fault.problem;
                let (kind, status) = (problem.kind, problem.status.as_u16());
                let members = problem.members.iter().filter(|(name, _)| !INTERNAL.contains(name));
                let standard =
                    json!({ "type": kind.uri(), "title": kind.title(), "status": status, "detail": problem.detail });
                (
                    texts(members.map(|(name, value)| (*name, value))),
                    standard,
                    problem.headers.iter().cloned().collect(),
                )
            }
        };
        problem.extend(retry_after(&headers).map(|seconds| ("retry_after".to_owned(), seconds.into())));
        // The standard members go last: nothing that a plugin adds replaces them.
        if let Value::Object(standard) = standard {
            problem.extend(standard);
        }
        let own = json!({
            "instance": path,
            "request_id": self.request_id.to_str().unwrap_or_default(),
            "trace_id": format!("{:032x}", self.trace_id),
        });
        if let Value::Object(own) = own {
            problem.extend(own);
        }
        problem
    }
}

/// The parts of a good answer that are less than they should be, as `x-weft-degraded` tells of them.
pub(super) fn degraded(outcome: &Outcome, trail: &Trail) -> Option<Value> {
    outcome.as_ref().ok().filter(|reply| reply.status.is_success())?;
    let parts = trail.stats()?.degraded();
    let parts: Vec<Value> =
        parts.iter().map(|(method, how)| json!({ "method": **method, "how": how.as_str() })).collect();
    (!parts.is_empty()).then(|| parts.into())
}

fn texts<'a>(members: impl Iterator<Item = (&'a str, &'a String)>) -> Map<String, Value> {
    members.map(|(name, value)| (name.to_owned(), Value::String(value.clone()))).collect()
}

/// Agents don't see headers.
fn retry_after(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()
}
