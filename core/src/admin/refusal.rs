//! Why a request to the admin interface is refused, as who asks is told.

use super::role::Role;
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use std::time::Duration;

/// Why somebody is not let in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The request names another host, or none.
    Host(String),
    /// There is no token that could be given.
    Nobody,
    /// No token and no session.
    Unknown,
    /// A token or a session that is none.
    Wrong,
    TooMany(Duration),
    Role {
        has: Role,
        needs: Role,
    },
    /// A browser's change without the token of its page.
    Csrf,
    /// A browser's change that comes from another page.
    Origin(String),
    /// A sign-in that can't be read.
    Form,
}

impl Refusal {
    /// For the metric and the log.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Host(_) => "host",
            Self::Nobody => "no-token",
            Self::Unknown => "unknown",
            Self::Wrong => "wrong",
            Self::TooMany(_) => "too-many",
            Self::Role { .. } => "role",
            Self::Csrf => "csrf",
            Self::Origin(_) => "origin",
            Self::Form => "form",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Host(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::Unknown | Self::Wrong => StatusCode::UNAUTHORIZED,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Nobody | Self::Role { .. } | Self::Csrf | Self::Origin(_) => StatusCode::FORBIDDEN,
            Self::Form => StatusCode::BAD_REQUEST,
        }
    }

    pub(super) fn detail(&self) -> String {
        match self {
            Self::Host(host) => format!(
                "this listener does not answer for the host {host:?}: list the name in `hosts` of [admin], or ask by the address that it listens on"
            ),
            Self::Nobody => {
                "nobody may look or change anything here: set `token` or `tokens` in [admin] of the configuration"
                    .to_owned()
            }
            Self::Unknown => "this needs a token: authorization: Bearer TOKEN (browsers: /sign-in)".to_owned(),
            Self::Wrong => "the token is none of this host's, or the session is over".to_owned(),
            Self::TooMany(_) => {
                "too many different tokens were tried from this address; `retry-after` says how long".to_owned()
            }
            Self::Role { has, needs } => {
                format!("this needs the role `{}`, and the token given has the role `{}`", needs.as_str(), has.as_str())
            }
            Self::Csrf => {
                "a change by a browser needs the header `x-weft-csrf` with the token that GET /v1/session tells"
                    .to_owned()
            }
            Self::Origin(origin) => {
                format!(
                    "a change by a browser has to come from a page of this host, and this one comes from {origin:?}"
                )
            }
            Self::Form => "expected a form (application/x-www-form-urlencoded) with one field, `token`".to_owned(),
        }
    }
}

impl IntoResponse for Refusal {
    /// A problem document (RFC 9457).
    fn into_response(self) -> Response {
        let status = self.status();
        let title = status.canonical_reason().unwrap_or_default();
        let text = json!({
            "type": "about:blank", "title": title, "status": status.as_u16(), "detail": self.detail(), "reason": self.reason(),
        });
        let mut response =
            (status, [(header::CONTENT_TYPE, "application/problem+json")], Body::from(format!("{text}\n")))
                .into_response();
        let headers = response.headers_mut();
        match self {
            Self::Unknown | Self::Wrong => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"weft admin\""));
            }
            Self::TooMany(wait) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().saturating_add(1)));
            }
            _ => {}
        }
        response
    }
}
