//! The pages of the console: files of this binary, which load nothing from elsewhere.

use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::get,
};
use http::header;

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// Path, kind and text of each. Who may have them is said in `role.rs`.
const FILES: [(&str, &str, &str); 11] = [
    ("/sign-in", HTML, include_str!("console/sign-in.html")),
    ("/sign-in.js", SCRIPT, include_str!("console/sign-in.js")),
    ("/console.css", STYLE, include_str!("console/console.css")),
    ("/icon.svg", "image/svg+xml", include_str!("console/icon.svg")),
    ("/", HTML, include_str!("console/index.html")),
    ("/console/app.js", SCRIPT, include_str!("console/app.js")),
    ("/console/api.js", SCRIPT, include_str!("console/api.js")),
    ("/console/dom.js", SCRIPT, include_str!("console/dom.js")),
    ("/console/live.js", SCRIPT, include_str!("console/live.js")),
    ("/console/playground.js", SCRIPT, include_str!("console/playground.js")),
    ("/console/waterfall.js", SCRIPT, include_str!("console/waterfall.js")),
];

pub(super) fn pages<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.into_iter().fold(Router::new(), |router, (path, kind, text)| {
        router.route(path, get(move || async move { page(kind, text) }))
    })
}

fn page(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}
