//! The contract of `wit/` as Rust types and traits.

#![allow(unreachable_pub, missing_debug_implementations, unused_qualifications, reason = "generated")]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "streaming",
    imports: {
        "weft:bff/backend.exchange": async | trappable,
        "weft:bff/backend.call-batch": async | trappable,
        "weft:bff/emit.write": async | trappable,
        default: trappable,
    },
    exports: { default: async },
});

use weft::bff::types::Identity;
use weft_core::plugin;

impl From<plugin::Request> for Request {
    fn from(request: plugin::Request) -> Self {
        Self {
            endpoint: request.endpoint,
            path: request.path,
            params: request.params,
            query: request.query,
            headers: request.headers,
            body: request.body,
            client: request.client,
            identity: request.identity.map(Into::into),
            request_id: request.request_id,
            deadline_ms: request.deadline_ms,
            extensions: request.extensions,
        }
    }
}

impl From<plugin::Identity> for Identity {
    fn from(identity: plugin::Identity) -> Self {
        let plugin::Identity { issuer, subject, tenant, scopes, claims } = identity;
        Self { issuer, subject, tenant, scopes, claims }
    }
}

impl From<Response> for plugin::Response {
    fn from(response: Response) -> Self {
        let Response { status, headers, body, extensions } = response;
        Self { status, headers, body, extensions }
    }
}

impl From<Problem> for plugin::Problem {
    fn from(problem: Problem) -> Self {
        let Problem { status, kind, title, detail, extensions } = problem;
        Self { status, kind, title, detail, extensions, retry_after: None }
    }
}

/// The world that only `weft build` runs.
pub(super) mod describer {
    wasmtime::component::bindgen!({ path: "../wit", world: "describer", exports: { default: async } });
}
