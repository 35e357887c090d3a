//! What stands before every page of the admin interface, and what every answer of it says to browsers.

use super::{
    access::{Access, Caller},
    refusal::Refusal,
    role::{Need, need},
};
use axum::{
    Extension, Json,
    body::{Body, to_bytes},
    extract::State,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, header, request::Parts};
use percent_encoding::percent_decode_str;
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// Scripts and styles are files of this host; nothing stands in a page, nothing comes from elsewhere, and no page is framed.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
const TOLD: [(HeaderName, HeaderValue); 7] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
];
/// Bytes of a sign-in, and how long it may take to come.
const LARGEST: usize = 4 << 10;
const LONGEST: Duration = Duration::from_secs(5);

/// Lets through whom [`Access`] admits.
pub(super) async fn guard(State(access): State<Arc<Access>>, request: Request<Body>, next: Next) -> Response {
    let need = need(request.method(), request.uri().path());
    if need == Need::Nothing {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let mut response = match access.admit(&parts, need) {
        Ok(caller) => {
            caller.into_iter().for_each(|caller| drop(parts.extensions.insert(caller)));
            next.run(Request::from_parts(parts, body)).await
        }
        Err(Refusal::Unknown | Refusal::Wrong) if is_a_visit(&parts) => {
            (StatusCode::SEE_OTHER, [(header::LOCATION, "/sign-in")]).into_response()
        }
        Err(refusal) => {
            access.refused(&refusal, &parts);
            refusal.into_response()
        }
    };
    TOLD.into_iter().for_each(|(name, value)| drop(response.headers_mut().insert(name, value)));
    response
}

/// Somebody has typed the address into a browser.
fn is_a_visit(request: &Parts) -> bool {
    let accepted = request.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    request.method == Method::GET
        && request.uri.path() == "/"
        && !request.headers.contains_key(header::AUTHORIZATION)
        && accepted.is_some_and(|accept| accept.contains("text/html"))
}

/// `token=…` as a form: a session for it.
pub(super) async fn sign_in(State(access): State<Arc<Access>>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let body = timeout(LONGEST, to_bytes(body, LARGEST)).await.ok().and_then(Result::ok).unwrap_or_default();
    let begun = match token(&parts, &body) {
        Some(token) => access.sign_in(&parts, &token),
        None => Err(Refusal::Form),
    };
    match begun {
        Ok((id, session)) => {
            tracing::info!(token = session.name, role = session.role.as_str(), "signed in to the admin interface");
            let cookie = access.cookie(&id, session.left().as_secs());
            let told = json!({ "name": session.name, "role": session.role, "csrf": session.csrf, "seconds": session.left().as_secs() });
            ([(header::SET_COOKIE, cookie)], Json(told)).into_response()
        }
        Err(refusal) => {
            access.refused(&refusal, &parts);
            refusal.into_response()
        }
    }
}

/// Who is signed in, and what a page of theirs has to say with changes.
pub(super) async fn session(Extension(caller): Extension<Caller>) -> Response {
    let session = caller.session.as_ref().map(|(_, session)| session);
    let told = json!({
        "name": caller.name, "role": caller.role, "csrf": session.map(|session| session.csrf.as_str()),
        "seconds": session.map(|session| session.left().as_secs()),
    });
    Json(told).into_response()
}

pub(super) async fn sign_out(State(access): State<Arc<Access>>, Extension(caller): Extension<Caller>) -> Response {
    access.sign_out(&caller);
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, access.cookie("", 0))]).into_response()
}

/// The one field of the form.
fn token(request: &Parts, body: &[u8]) -> Option<String> {
    let kind = request.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let is_form = kind.split(';').next().is_some_and(|kind| kind.trim() == "application/x-www-form-urlencoded");
    let text = std::str::from_utf8(body).ok().filter(|_| is_form)?;
    let value = text.strip_prefix("token=").filter(|value| !value.contains('&'))?.replace('+', " ");
    let token = percent_decode_str(&value).decode_utf8().ok()?.trim().to_owned();
    (!token.is_empty()).then_some(token)
}
