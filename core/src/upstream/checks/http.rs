//! Checks of REST backends: a GET, and any status of success is well.

use super::super::{checked::Found, rest::RestConnection};
use crate::net::HttpError;
use http::{HeaderMap, Method};

/// Of an answer, of which the status alone counts.
const LARGEST: usize = 64 << 10;

/// Asks once.
pub(super) async fn check(connection: &RestConnection, path: &str) -> Found {
    // As calls have it: an interface may answer nobody without.
    let headers: HeaderMap = connection.credential.iter().cloned().collect();
    match connection.client.send(Method::GET, format!("{}{path}", connection.base), headers, None, LARGEST).await {
        Ok(answer) if answer.status.is_success() => Found::Serving,
        Ok(answer) => Found::NotServing(format!("HTTP {}", answer.status.as_u16())),
        Err(HttpError::TooLarge(most)) => Found::NotServing(format!("an answer of more than {most} bytes")),
        Err(error) => Found::Silent(error.to_string()),
    }
}
