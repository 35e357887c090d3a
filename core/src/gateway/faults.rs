//! What a request can end in before or beside its plugin's answer: whose fault it is, and what the caller may know.

use crate::{
    model::{Fault, ProblemType},
    observe::{Event, Listener},
    plugin::PluginError,
    release::Release,
    routing::Client,
    settings::Rate,
};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use std::{fmt::Display, time::Duration};

pub(super) fn not_found(client: &Client, path: &str) -> Fault {
    let shown = if client.contract.is_some() { "; `openapi.json` beside its paths tells what it has" } else { "" };
    Fault::new(ProblemType::NotFound, format!("client `{}` has no endpoint at {path}{shown}", client.name))
}

pub(super) fn method_not_allowed(method: &Method, path: &str, methods: &[Method]) -> Fault {
    let mut names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    let allow = names.join(", ");
    let fault = Fault::new(ProblemType::MethodNotAllowed, format!("{path} takes {allow}, not {method}"));
    match HeaderValue::try_from(allow) {
        Ok(allow) => fault.header(header::ALLOW, allow),
        Err(_) => fault,
    }
}

/// 429 with Retry-After and the RateLimit fields (draft-ietf-httpapi-ratelimit-headers-10).
pub(super) fn too_many(rate: Rate, what: &str, wait: Duration) -> Fault {
    let wait = wait.as_secs_f64().ceil().max(1.0) as u64;
    let text = format!("more than {rate} requests {what}; try again in {wait} s");
    let fault = Fault::new(ProblemType::RateLimited, text);
    let [policy, left] = rate_fields(rate, 0, Duration::from_secs(wait));
    [(header::RETRY_AFTER, wait.to_string()), policy, left].into_iter().fold(fault, |fault, (name, value)| {
        match HeaderValue::try_from(value) {
            Ok(value) => fault.header(name, value),
            Err(_) => fault,
        }
    })
}

/// `ratelimit-policy` and `ratelimit`: `left` of the rate's requests, and when it changes for the better.
pub(super) fn rate_fields(rate: Rate, left: u32, until: Duration) -> [(HeaderName, String); 2] {
    let policy = format!("\"default\";q={};w={}", rate.count, rate.period.as_secs().max(1));
    let left = format!("\"default\";r={left};t={}", until.as_secs_f64().ceil().max(1.0) as u64);
    [(HeaderName::from_static("ratelimit-policy"), policy), (HeaderName::from_static("ratelimit"), left)]
}

pub(super) fn insufficient_scope(scope: &str) -> Fault {
    let fault = Fault::new(ProblemType::InsufficientScope, format!("this needs a token with the scope `{scope}`"));
    match HeaderValue::try_from(format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"")) {
        Ok(value) => fault.header(header::WWW_AUTHENTICATE, value),
        Err(_) => fault,
    }
}

/// What an agent calls a tool with that the tool does not take.
pub(super) fn bad_arguments(field: &str, detail: String) -> Fault {
    Fault::new(ProblemType::BadArguments, detail).with("field", field)
}

pub(super) fn body_too_slow() -> Fault {
    Fault::new(ProblemType::BodyTooSlow, "the body did not arrive within the endpoint's time")
}

/// What the caller may know of it.
pub(super) fn of_plugin(release: &Release, error: PluginError) -> Fault {
    let detail = match &error {
        PluginError::Busy(_) => "the host is full; try again soon",
        PluginError::NoStream => "as many streams are open as there may be; try again soon",
        PluginError::BackOff(_) => "the plugin crashed again and again; it is tried again in a while",
        PluginError::Deadline | PluginError::NoTurn => "the endpoint's time was over before there was an answer",
        PluginError::Cpu(_) => "the plugin used up its CPU time",
        PluginError::Memory(_) => "the plugin used up its memory",
        PluginError::TooLarge { .. } => "the plugin's response is over its limit",
        PluginError::Trapped(_) => "the plugin failed",
        PluginError::Start(_) => "the plugin can't be started",
    };
    if matches!(error, PluginError::Trapped(_) | PluginError::Memory(_) | PluginError::Start(_)) {
        release.on(&Event::GuestCrashed);
    }
    let detail = match error.bound() {
        Some(bound) => format!("{detail} ({bound})"),
        None => detail.to_owned(),
    };
    let fault = Fault::new(error.kind(), detail).because(&error);
    let fault = fault.with("plugin", &release.name).with("version", release.version.to_string());
    match error {
        PluginError::NoStream => fault.header(header::RETRY_AFTER, HeaderValue::from_static("5")),
        PluginError::Busy(_) => fault.header(header::RETRY_AFTER, HeaderValue::from_static("1")),
        PluginError::Cpu(_) => fault.with_status(StatusCode::GATEWAY_TIMEOUT),
        PluginError::BackOff(rest) => {
            fault.header(header::RETRY_AFTER, HeaderValue::from(rest.as_secs_f64().ceil().max(1.0) as u64))
        }
        _ => fault,
    }
}

pub(super) fn deadline() -> Fault {
    let text = "the endpoint's time was over before there was an answer";
    Fault::new(ProblemType::Deadline, text)
}

pub(super) fn host(cause: &dyn Display) -> Fault {
    let text = "the host failed while it handled this request";
    Fault::new(ProblemType::Host, text).because(cause)
}
