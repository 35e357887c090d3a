//! The HTTP methods that endpoints are called by, and REST backends.

use http::Method;

/// `None`: another one.
pub fn http_method(name: &str) -> Option<Method> {
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE].into_iter().find(|method| method == name)
}
