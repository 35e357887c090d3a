//! Headers by which the parties inside tell each other who calls. From outside they are lies.

use http::{HeaderName, header};

const NAMES: [&str; 5] = ["x-forwarded-client-cert", "x-real-ip", "x-jwt-payload", "baggage", "x-user-id"];
const PREFIXES: [&str; 6] = ["x-md-", "x-weft-", "x-envoy-", "grpc-", "x-jwt-", "uberctx-"];

/// Whether a header must not reach a plugin as a client sent it.
pub fn is_internal(name: &HeaderName) -> bool {
    let text = name.as_str();
    *name == header::AUTHORIZATION
        || *name == header::COOKIE
        || *name == header::PROXY_AUTHORIZATION
        || NAMES.contains(&text)
        || PREFIXES.iter().any(|prefix| text.starts_with(prefix))
}
