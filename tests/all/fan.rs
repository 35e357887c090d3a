//! What the tests of the fan-out engine share: the plugin with an endpoint for each way to call a backend, and hosts for it.

use crate::support::weft;
use bytes::Bytes;
use serde_json::Value;
use std::net::SocketAddr;
use weft_tests::{artifacts, host::TestHost, setup::Setup, web::Web};

pub(crate) const LIST_EVENTS: &str = "feed.v1.Feed/ListEvents";

/// Everything that the plugin calls.
const SERVICES: [&str; 4] = ["catalog.v1.Films", "reviews.v1.Reviews", "recommend.v1.Recommend", "feed.v1.Feed"];

pub(crate) fn fan() -> Bytes {
    artifacts::built(weft(), "tests/guests/fan")
}

/// A host of the plugin, whose one backend, `fake`, has these endpoints; with more lines of its table.
pub(crate) fn setup(endpoints: &[SocketAddr], more: &str) -> Setup {
    without_plugin(endpoints, more).plugin("fan.wasm", &fan())
}

/// As [`setup`], for another artifact.
pub(crate) fn without_plugin(endpoints: &[SocketAddr], more: &str) -> Setup {
    let list: Vec<_> = endpoints.iter().map(ToString::to_string).collect();
    backend(&format!("static://{}", list.join(",")), more)
}

/// As [`setup`], for endpoints that are found.
pub(crate) fn found(endpoints: &str, more: &str) -> Setup {
    backend(endpoints, more).plugin("fan.wasm", &fan())
}

fn backend(endpoints: &str, more: &str) -> Setup {
    let table = format!("[backend.fake]\nservices = {SERVICES:?}\nendpoints = {endpoints:?}\n{more}");
    Setup::new().identity("subject = \"x-md-global-subject\"").more(&table)
}

/// A film as the plugin shows it: title and origin.
pub(crate) async fn film(host: &TestHost, path: &str) -> (String, String) {
    told(&host.get(path).send().await.ok().json())
}

fn told(shown: &Value) -> (String, String) {
    (shown["title"].as_str().unwrap().to_owned(), shown["origin"].as_str().unwrap().to_owned())
}
/// The state of each endpoint in `/v1/backends`, by address.
pub(crate) async fn states(host: &TestHost) -> Vec<(String, String)> {
    let backends = host.admin("/v1/backends").send().await.ok().json();
    let endpoints = backends["backends"][0]["endpoints"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    endpoints.map(|endpoint| (text(&endpoint["address"]), text(&endpoint["state"]))).collect()
}

/// `POST /v1/invalidate` of the admin interface, with a token if there is one.
pub(crate) async fn invalidate(host: &TestHost, token: Option<&str>, what: &Value) -> u16 {
    let request = Web::new(host.admin_address()).post("/v1/invalidate").json(what);
    let request = match token {
        Some(token) => request.bearer(token),
        None => request,
    };
    request.send().await.status
}
