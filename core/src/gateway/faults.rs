//! What a request can end in before or beside its plugin's answer: whose fault it is, and what the caller may know.

use crate::{
    model::{Blame, Fault},
    plugin::PluginError,
    release::Release,
    settings::Rate,
};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use std::{fmt::Display, time::Duration};

pub(super) fn not_found(client: &str, path: &str) -> Fault {
    Fault::client(StatusCode::NOT_FOUND, "not-found", format!("client `{client}` has no endpoint at {path}"))
}

pub(super) fn method_not_allowed(method: &Method, path: &str, methods: &[Method]) -> Fault {
    let mut names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    let allow = names.join(", ");
    let fault = Fault::client(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        format!("{path} takes {allow}, not {method}"),
    );
    match HeaderValue::try_from(allow) {
        Ok(allow) => fault.header(header::ALLOW, allow),
        Err(_) => fault,
    }
}

/// 429 with Retry-After and the RateLimit fields (draft-ietf-httpapi-ratelimit-headers-10).
pub(super) fn too_many(rate: Rate, what: &str, wait: Duration) -> Fault {
    let wait = wait.as_secs_f64().ceil().max(1.0) as u64;
    let text = format!("more than {rate} requests {what}; try again in {wait} s");
    let fault = Fault::client(StatusCode::TOO_MANY_REQUESTS, "rate-limited", text);
    let policy = format!("\"default\";q={};w={}", rate.count, rate.period.as_secs().max(1));
    let fields = [
        (header::RETRY_AFTER, wait.to_string()),
        (HeaderName::from_static("ratelimit-policy"), policy),
        (HeaderName::from_static("ratelimit"), format!("\"default\";r=0;t={wait}")),
    ];
    fields.into_iter().fold(fault, |fault, (name, value)| match HeaderValue::try_from(value) {
        Ok(value) => fault.header(name, value),
        Err(_) => fault,
    })
}

pub(super) fn body_too_slow() -> Fault {
    Fault::client(StatusCode::REQUEST_TIMEOUT, "body-too-slow", "the body did not arrive within the endpoint's time")
}

/// Whose fault it is, and what the caller may know of it.
pub(super) fn of_plugin(release: &Release, error: PluginError) -> Fault {
    let (blame, status, detail) = match &error {
        PluginError::Busy(_) => (Blame::Host, StatusCode::SERVICE_UNAVAILABLE, "the host is full; try again soon"),
        PluginError::BackOff(_) => (
            Blame::Guest,
            StatusCode::SERVICE_UNAVAILABLE,
            "the plugin crashed again and again; it is tried again in a while",
        ),
        PluginError::Deadline | PluginError::NoTurn => {
            (Blame::Upstream, StatusCode::GATEWAY_TIMEOUT, "the endpoint's time was over before there was an answer")
        }
        PluginError::Cpu(_) => (Blame::Guest, StatusCode::GATEWAY_TIMEOUT, "the plugin used up its CPU time"),
        PluginError::Memory(_) => (Blame::Guest, StatusCode::BAD_GATEWAY, "the plugin used up its memory"),
        PluginError::TooLarge { .. } => {
            (Blame::Guest, StatusCode::BAD_GATEWAY, "the plugin's response is over its limit")
        }
        PluginError::Trapped(_) => (Blame::Guest, StatusCode::BAD_GATEWAY, "the plugin failed"),
        PluginError::Start(_) => (Blame::Guest, StatusCode::BAD_GATEWAY, "the plugin can't be started"),
    };
    if matches!(error, PluginError::Trapped(_) | PluginError::Memory(_) | PluginError::Start(_)) {
        release.count_trap();
    }
    let detail = match error.bound() {
        Some(bound) => format!("{detail} ({bound})"),
        None => detail.to_owned(),
    };
    let fault = Fault::new(blame, status, error.kind(), detail).because(&error);
    let fault = fault.with("plugin", &release.name).with("version", release.version.to_string());
    match error {
        PluginError::Busy(_) => fault.header(header::RETRY_AFTER, HeaderValue::from_static("1")),
        PluginError::BackOff(rest) => {
            fault.header(header::RETRY_AFTER, HeaderValue::from(rest.as_secs_f64().ceil().max(1.0) as u64))
        }
        _ => fault,
    }
}

pub(super) fn deadline() -> Fault {
    let text = "the endpoint's time was over before there was an answer";
    Fault::new(Blame::Upstream, StatusCode::GATEWAY_TIMEOUT, "deadline", text)
}

pub(super) fn host(cause: &dyn Display) -> Fault {
    let text = "the host failed while it handled this request";
    Fault::new(Blame::Host, StatusCode::INTERNAL_SERVER_ERROR, "host", text).because(cause)
}
