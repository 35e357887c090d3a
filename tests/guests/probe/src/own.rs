//! What needs no backend: telling what was received, configuration, cache, clocks, logs, headers, problems, waits.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

use weft_sdk::cache;
use weft_sdk::prelude::*;

/// The request as the plugin got it.
#[data]
pub(crate) struct Echo {
    endpoint: String,
    path: String,
    client: String,
    request_id: String,
    params: Vec<(String, String)>,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    body: String,
    subject: Option<String>,
}

fn echo(request: Request) -> Json<Echo> {
    let headers = request.headers().iter();
    Json(Echo {
        endpoint: request.endpoint().to_owned(),
        path: request.path().to_owned(),
        client: request.client().to_owned(),
        request_id: request.request_id().to_owned(),
        params: request.params().to_vec(),
        query: request.query().to_vec(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        subject: request.identity().map(|caller| caller.subject().to_owned()),
        body: String::from_utf8_lossy(request.body()).into_owned(),
    })
}

#[get("/echo/{name}")]
pub(crate) async fn echo_get(request: Request) -> Json<Echo> {
    echo(request)
}

#[post("/echo/{name}")]
pub(crate) async fn echo_post(request: Request) -> Json<Echo> {
    echo(request)
}

/// The caller as the plugin sees it.
#[data]
pub(crate) struct Me {
    issuer: String,
    subject: String,
    tenant: Option<String>,
    scopes: Vec<String>,
    claims: BTreeMap<String, String>,
}

#[get("/me")]
pub(crate) async fn me(caller: Identity) -> Json<Me> {
    let known = ["plan", "email", "absent", "sub", "exp"];
    let claims = known.iter().filter_map(|name| Some(((*name).to_owned(), caller.claim(name)?)));
    Json(Me {
        issuer: caller.issuer().to_owned(),
        subject: caller.subject().to_owned(),
        tenant: caller.tenant().map(str::to_owned),
        scopes: caller.scopes().to_vec(),
        claims: claims.collect(),
    })
}

#[get("/maybe")]
pub(crate) async fn maybe(caller: Option<Identity>) -> String {
    caller.map_or("nobody".to_owned(), |caller| caller.subject().to_owned())
}

#[data]
pub(crate) struct Order {
    lines: Vec<Line>,
}

#[data]
pub(crate) struct Line {
    film: u32,
    stars: u8,
}

#[post("/orders")]
pub(crate) async fn order(Json(order): Json<Order>) -> String {
    order.lines.iter().map(|line| format!("{}:{} ", line.film, line.stars)).collect()
}

#[get("/version")]
pub(crate) async fn version() -> String {
    config("version").unwrap_or_default()
}

#[get("/config/{key}")]
pub(crate) async fn setting(Path(key): Path<String>) -> Result<String> {
    config(&key).ok_or_else(|| Problem::not_found("setting", key))
}

#[data]
pub(crate) struct Where {
    /// `principal`, `tenant` or `public`
    scope: String,
    value: Option<String>,
}

fn cache_of(scope: &str) -> cache::Cache {
    match scope {
        "principal" => cache::principal(),
        "tenant" => cache::tenant(),
        _ => cache::public(),
    }
}

#[get("/cache/{key}")]
pub(crate) async fn cached(Path(key): Path<String>, Query(place): Query<Where>) -> String {
    cache_of(&place.scope).get::<String>(&key).unwrap_or_else(|| "nothing".to_owned())
}

/// What was kept under the key first.
#[get("/first/{key}")]
pub(crate) async fn first(Path(key): Path<String>, Query(place): Query<Where>) -> String {
    let cache = cache_of(&place.scope);
    let found = cache.get::<Option<String>>(&key).flatten();
    if found.is_none() {
        cache.set(&key, &place.value, Duration::from_secs(600));
    }
    found.or(place.value).unwrap_or_default()
}

#[put("/cache/{key}")]
pub(crate) async fn remember(Path(key): Path<String>, Query(place): Query<Where>) {
    cache_of(&place.scope).set_tagged(&key, &place.value, Duration::from_secs(600), &["all"]);
}

#[delete("/cache")]
pub(crate) async fn clear() {
    cache::invalidate_tag("all");
}

/// What the plugin perceives of time and chance.
#[data]
pub(crate) struct Environment {
    seconds: u64,
    hash: u64,
}

#[get("/environment")]
pub(crate) async fn environment() -> Json<Environment> {
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Json(Environment { seconds, hash: RandomState::new().hash_one("the same") })
}

#[data]
pub(crate) struct Lines {
    lines: u32,
    text: String,
}

/// Puts spans into its trace.
#[get("/spans")]
pub(crate) async fn spans() {
    let mut outer = span!("outer", items = 3);
    drop(span!(in outer; "inner"));
    outer.set("found", true);
}

#[get("/log")]
pub(crate) async fn logs(Query(Lines { lines, text }): Query<Lines>) {
    for number in 0..lines {
        log::info!("{text}"; number = number);
    }
}

/// Tries every kind of header: ordinary, own, asked for and granted or not, never allowed.
#[get("/headers")]
pub(crate) async fn headers() -> Result<Response> {
    "ok".with_header("cache-control", "no-store")
        .with_header("x-page", "7")
        .with_header("vary", "accept-language")
        .with_header("set-cookie", "a=1")
        .with_header("access-control-allow-origin", "*")
        .with_header("content-length", "1000")
        .with_header("connection", "close")
        .with_header("transfer-encoding", "chunked")
        .with_header("x-request-id", "forged")
        .with_header("x-weft-degraded", "forged")
        .with_header("server-timing", "forged")
        .with_header("traceparent", "forged")
        .with_header("strict-transport-security", "max-age=1")
        .into_response()
}

/// An answer with this header and of this length, that tells for which request it was made.
#[get("/with-header/{name}")]
pub(crate) async fn with_header(request: Request) -> Result<Response> {
    let value = |pairs: &[(String, String)], name: &str| {
        pairs.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let width = value(request.query(), "bytes").parse().unwrap_or(0);
    let name = value(request.params(), "name");
    format!("{:-<width$}", request.request_id()).with_header(&name, value(request.query(), "value")).into_response()
}

#[get("/problem")]
pub(crate) async fn problem() -> Result<String> {
    let problem = Problem::new(Status::CONFLICT, "the film is not out yet").with_kind("https://example.org/not-out");
    Err(problem.with("release", "2030-01-01").with("status", "forged"))
}

#[data]
pub(crate) struct Waits {
    times: u32,
    millis: u64,
}

/// Waits again and again, and works a little in between.
#[get("/waits")]
pub(crate) async fn waits(Query(Waits { times, millis }): Query<Waits>) -> String {
    let mut sum = 0_u64;
    for turn in 0..times {
        sleep(Duration::from_millis(millis)).await;
        sum = (0..1_000).fold(sum, |sum, number| sum.rotate_left(7) ^ (number * u64::from(turn + 1)));
    }
    format!("{times} waits {sum}")
}

/// Waits for longer than the endpoint may take.
#[get("/deadline")]
pub(crate) async fn deadline() -> String {
    sleep(Duration::from_secs(60)).await;
    "too late".to_owned()
}
