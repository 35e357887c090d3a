//! A request's waterfall in place of its answer, for a caller who asked for it with `x-weft-explain: 1` and may.

use super::{Body, Reply, Trail, trail::Ended};
use crate::model::Fault;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

/// The answer as it is; or, where its calls were recorded, what became of it and of them. Beside that the status and the fault that the
/// request has ended with, where its answer does not say so.
pub fn explained(result: Result<Reply, Fault>, trail: &Trail) -> (Result<Reply, Fault>, Option<Ended>) {
    if trail.ended.is_some() {
        return (result, trail.ended.clone());
    }
    let Some(explanation) = waterfall(&result, trail) else { return (result, None) };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let text = serde_json::to_string_pretty(&explanation).unwrap_or_default();
    (Ok(Reply { status: StatusCode::OK, headers, body: Body::Bytes(text.into()) }), Some(ended(result)))
}

/// How a request has ended.
pub(super) fn ended(result: Result<Reply, Fault>) -> Ended {
    match result {
        Ok(reply) => (reply.status, None),
        Err(fault) => (fault.problem.status, Some(fault)),
    }
}

/// A request's calls, and what became of it; `None` where they were not recorded.
pub(super) fn waterfall(result: &Result<Reply, Fault>, trail: &Trail) -> Option<Value> {
    let observer = trail.observer.as_ref()?;
    let mut explanation = observer.explanation()?;
    let stats = observer.stats();
    let (status, detail, kind) = match result {
        Ok(Reply { status, body: Body::Problem { detail, .. }, .. }) => (*status, Some(detail), None),
        Ok(reply) => (reply.status, None, None),
        Err(fault) => (fault.problem.status, Some(&fault.problem.detail), Some(fault.problem.kind.as_str())),
    };
    let endpoint = trail.endpoint.as_ref();
    let degraded: Vec<_> =
        stats.degraded().iter().map(|(method, how)| json!({ "method": **method, "how": how.as_str() })).collect();
    let summary = json!({
        "endpoint": endpoint.map(|endpoint| endpoint.name.clone()),
        "plugin": endpoint.map(|endpoint| format!("{} {}", endpoint.release.name, endpoint.release.version)),
        "status": status.as_u16(),
        "detail": detail,
        "guest_cpu_ms": stats.guest_cpu().as_secs_f64() * 1e3,
        "calls": stats.calls(), "depth": stats.depth(), "upstream_calls": stats.upstream(), "cache_hits": stats.cached(),
        "retries": stats.retries(), "refused": stats.refused(), "failed": stats.failed(), "bytes": stats.bytes(), "degraded": degraded,
    });
    if let Some(members) = explanation.as_object_mut() {
        // Stands first: this page's own status says nothing of the answer that it stands for.
        members.insert("answer".to_owned(), json!({ "status": status.as_u16(), "detail": detail, "problem": kind }));
        members.insert("request".to_owned(), summary);
    }
    Some(explanation)
}
