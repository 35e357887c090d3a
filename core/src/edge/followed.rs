//! What is told of a request to who follows it.

use super::answer::Over;
use crate::{
    gateway::{Body as Inner, Reply, Trail},
    model::{Fault, LogOnly},
    observe::{Follow, Followed},
};
use axum::body::Body;
use http::Request;

/// A request whose end somebody waits for.
#[derive(Debug)]
pub(super) struct Following {
    method: String,
    target: String,
    /// What its problem says.
    detail: Option<String>,
}

impl Following {
    /// None where nobody follows.
    pub(super) fn begin(follow: &Follow, request: &Request<Body>) -> Option<Self> {
        let target = || request.uri().path_and_query().map_or("*", |target| target.as_str()).to_owned();
        follow.is_followed().then(|| Self { method: request.method().to_string(), target: target(), detail: None })
    }

    pub(super) fn hear(&mut self, result: &Result<Reply, Fault>) {
        self.detail = match result {
            Ok(Reply { body: Inner::Problem { detail, .. }, .. }) => Some(detail.clone()),
            _ => None,
        };
    }

    pub(super) fn tell(self, follow: &Follow, trail: &Trail, over: &Over<'_>) {
        let of_fault = |fault: &Fault| {
            let cause = fault.cause.as_ref().map(|cause| format!(" ({})", LogOnly::for_log(cause)));
            format!("{}{}", fault.problem.detail, cause.unwrap_or_default())
        };
        let Self { method, target, detail } = self;
        follow.tell(Followed {
            method,
            target,
            status: over.status.as_u16(),
            took: over.took,
            endpoint: trail.endpoint.as_ref().map(|found| found.name.clone()),
            plugin: trail.endpoint.as_ref().map(|found| format!("{} {}", found.release.name, found.release.version)),
            trouble: over.fault.map(of_fault).or(detail),
            cache: over.cache.and_then(|cache| Some(cache.to_str().ok()?.to_owned())),
            calls: trail.observer.as_ref().and_then(|observer| observer.followed_calls()),
        });
    }
}
