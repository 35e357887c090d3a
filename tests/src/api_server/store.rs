//! What the API server knows, and whom it tells.

use bytes::Bytes;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    io,
};
use tokio::sync::mpsc;

/// What a watch is sent; an error cuts it.
pub(super) type Feed = mpsc::UnboundedReceiver<io::Result<Bytes>>;

/// How a watch ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As after its time.
    Well,
    /// In the middle of an event that is told again later.
    Half,
    /// With an event that says so, and this code.
    Error(u16),
}

#[derive(Default)]
pub(super) struct Store {
    revision: u64,
    /// Watches from before that are too late.
    oldest: u64,
    /// By namespace and name.
    slices: BTreeMap<(String, String), Value>,
    history: Vec<Change>,
    watches: Vec<Watch>,
    /// Lists under way, by what their next page is asked with: their revision, and what is left.
    lists: HashMap<String, (u64, Vec<Value>)>,
    pub(super) limit: usize,
    tokens: u64,
}

#[derive(Clone)]
struct Change {
    revision: u64,
    kind: &'static str,
    object: Value,
}

struct Watch {
    namespace: String,
    service: String,
    sender: mpsc::UnboundedSender<io::Result<Bytes>>,
}

fn text(object: &Value, pointer: &str) -> String {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn is_of(object: &Value, namespace: &str, service: &str) -> bool {
    let label = text(object, "/metadata/labels/kubernetes.io~1service-name");
    text(object, "/metadata/namespace") == namespace && (label == service || label.is_empty())
}

impl Change {
    fn line(&self) -> Bytes {
        format!("{}\n", json!({ "type": self.kind, "object": self.object })).into()
    }
}

impl Store {
    pub(super) fn put(&mut self, slice: Value) {
        let key = (text(&slice, "/metadata/namespace"), text(&slice, "/metadata/name"));
        let kind = if self.slices.contains_key(&key) { "MODIFIED" } else { "ADDED" };
        let slice = self.happened(kind, slice);
        self.slices.insert(key, slice);
    }

    pub(super) fn delete(&mut self, name: &str) {
        let key = self.slices.keys().find(|(_, known)| known == name).unwrap().clone();
        let slice = self.slices.remove(&key).unwrap();
        self.happened("DELETED", slice);
    }

    fn happened(&mut self, kind: &'static str, mut object: Value) -> Value {
        self.revision += 1;
        object["metadata"]["resourceVersion"] = self.revision.to_string().into();
        let change = Change { revision: self.revision, kind, object: object.clone() };
        for watch in self.watches.iter().filter(|watch| is_of(&object, &watch.namespace, &watch.service)) {
            // One that is gone has no need of it.
            let _ = watch.sender.send(Ok(change.line()));
        }
        self.history.push(change);
        object
    }

    pub(super) fn bookmark(&mut self) {
        // It is of a revision that nothing of this service has happened at.
        self.revision += 1;
        let object = json!({ "kind": "EndpointSlice", "metadata": { "resourceVersion": self.revision.to_string() } });
        self.says(&format!("{}\n", json!({ "type": "BOOKMARK", "object": object })));
    }

    pub(super) fn compact(&mut self) {
        self.oldest = self.revision;
        self.history.clear();
        self.lists.clear();
    }

    pub(super) fn says(&mut self, bytes: &str) {
        self.watches.retain(|watch| watch.sender.send(Ok(Bytes::from(bytes.to_owned()))).is_ok());
    }

    pub(super) fn ends(&mut self, how: End) {
        let last = match how {
            End::Well => String::new(),
            End::Half => "{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{\"na".to_owned(),
            End::Error(code) => error(code),
        };
        self.says(&last);
        for watch in self.watches.drain(..) {
            if how == End::Half {
                let _ = watch.sender.send(Err(io::ErrorKind::ConnectionReset.into()));
            }
        }
    }

    pub(super) fn watch(&mut self, namespace: &str, service: &str, revision: u64) -> Feed {
        let (sender, feed) = mpsc::unbounded_channel();
        if revision < self.oldest {
            let _ = sender.send(Ok(error(410).into()));
            return feed;
        }
        let missed = self.history.iter().filter(|change| change.revision > revision);
        for change in missed.filter(|change| is_of(&change.object, namespace, service)) {
            let _ = sender.send(Ok(change.line()));
        }
        self.watches.push(Watch { namespace: namespace.to_owned(), service: service.to_owned(), sender });
        feed
    }

    /// A page; none: what is asked for is forgotten.
    pub(super) fn list(&mut self, namespace: &str, service: &str, limit: usize, token: &str) -> Option<Value> {
        let (revision, mut left) = if token.is_empty() {
            let all = self.slices.values().filter(|slice| is_of(slice, namespace, service)).cloned();
            (self.revision, all.collect())
        } else {
            self.lists.remove(token)?
        };
        let limit = if self.limit > 0 { limit.min(self.limit) } else { limit };
        let rest = left.split_off(limit.min(left.len()));
        let mut metadata = json!({ "resourceVersion": revision.to_string() });
        if !rest.is_empty() {
            self.tokens += 1;
            let token = format!("a+b/{}=", self.tokens);
            metadata["continue"] = token.clone().into();
            metadata["remainingItemCount"] = rest.len().into();
            self.lists.insert(token, (revision, rest));
        }
        Some(
            json!({ "kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1", "metadata": metadata, "items": left }),
        )
    }
}

fn error(code: u16) -> String {
    let object = json!({ "kind": "Status", "status": "Failure", "code": code, "message": "as a test says" });
    format!("{}\n", json!({ "type": "ERROR", "object": object }))
}
