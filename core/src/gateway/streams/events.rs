//! What stands in a stream beside the guest's own events.

use super::ending::Ending;
use crate::{
    gateway::output::{Body, Reply},
    model::Fault,
};
use bytes::Bytes;
use serde_json::{Map, Value, json};

/// A comment, which every client passes over.
pub(super) const HEARTBEAT: Bytes = Bytes::from_static(b":\n\n");

/// The host has ended the stream, and the client may ask again.
pub(super) fn end(ending: Ending) -> Bytes {
    event("weft.end", &json!({ "reason": ending.as_str() }))
}

/// The problem that an answer would have been, had it not begun; `None`: it was none.
pub(super) fn problem(outcome: &Result<Reply, Fault>, request_id: &str) -> Option<Bytes> {
    let (kind, title, status, detail, members) = match outcome {
        Ok(Reply { status, body: Body::Problem { kind, title, detail, members }, .. }) => {
            let members: Vec<_> = members.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            (kind.clone(), title.clone(), *status, detail.clone(), members)
        }
        Ok(_) => return None,
        Err(Fault { problem, .. }) => {
            let members = problem.members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            let kind = problem.kind;
            (kind.uri(), kind.title().to_owned(), problem.status, problem.detail.clone(), members)
        }
    };
    let mut document: Map<String, Value> =
        members.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
    // The standard members go last: nothing that a plugin adds replaces them.
    let standard = json!({
        "type": kind, "title": title, "status": status.as_u16(), "detail": detail, "request_id": request_id,
    });
    if let Value::Object(standard) = standard {
        document.extend(standard);
    }
    Some(event("weft.problem", &Value::Object(document)))
}

/// JSON as serde_json writes it has no line breaks.
fn event(name: &str, data: &Value) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}
