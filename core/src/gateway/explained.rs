//! A request's waterfall in place of its answer, for a caller who asked for it with `x-weft-explain: 1` and may.

use super::{Body, Reply, Trail};
use crate::model::Fault;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;

/// The status that a request has ended with, and the fault if it was one.
type Ended = (StatusCode, Option<Fault>);

/// The answer as it is; or, where its calls were recorded, what became of it and of them, and beside that the status and the fault that
/// the request has ended with.
pub fn explained(result: Result<Reply, Fault>, trail: &Trail) -> (Result<Reply, Fault>, Option<Ended>) {
    let Some(observer) = trail.observer.as_ref() else { return (result, None) };
    let Some(mut explanation) = observer.explanation() else { return (result, None) };
    let stats = observer.stats();
    let (status, detail, fault) = match result {
        Ok(Reply { status, body: Body::Problem { detail, .. }, .. }) => (status, Some(detail), None),
        Ok(reply) => (reply.status, None, None),
        Err(fault) => (fault.problem.status, Some(fault.problem.detail.clone()), Some(fault)),
    };
    let endpoint = trail.endpoint.as_ref();
    let degraded: Vec<_> =
        stats.degraded().iter().map(|(method, how)| json!({ "method": **method, "how": how.as_str() })).collect();
    let summary = json!({
        "endpoint": endpoint.map(|endpoint| endpoint.name.clone()),
        "plugin": endpoint.map(|endpoint| format!("{} {}", endpoint.release.name, endpoint.release.version)),
        "status": status.as_u16(),
        "detail": &detail,
        "guest_cpu_ms": stats.guest_cpu().as_secs_f64() * 1e3,
        "calls": stats.calls(), "depth": stats.depth(), "upstream_calls": stats.upstream(), "cache_hits": stats.cached(),
        "retries": stats.retries(), "refused": stats.refused(), "failed": stats.failed(), "bytes": stats.bytes(), "degraded": degraded,
    });
    if let Some(members) = explanation.as_object_mut() {
        // Stands first: this page's own status says nothing of the answer that it stands for.
        let kind = fault.as_ref().map(|fault| fault.problem.kind.as_str());
        members.insert("answer".to_owned(), json!({ "status": status.as_u16(), "detail": detail, "problem": kind }));
        members.insert("request".to_owned(), summary);
    }
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let text = serde_json::to_string_pretty(&explanation).unwrap_or_default();
    (Ok(Reply { status: StatusCode::OK, headers, body: Body::Bytes(text.into()) }), Some((status, fault)))
}
