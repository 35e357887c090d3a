//! The pages as somebody would write them by hand with axum and tonic, with the duties that the host has: callers verified, traces,
//! metrics, limits and deadlines, retries, and the same batching, coalescing and cache. This is Weft's measure, so it is written as
//! well as its author can: it knows its pages, parses no more than it needs, and copies no reply.

mod guard;
mod loader;
mod pages;

use super::Brief;
use anyhow::Context;
use axum::{Router, middleware, routing::get};
use demo_services::proto::{
    catalog::v1::{Film, films_client::FilmsClient},
    people::v1::{Person, people_client::PeopleClient},
    reviews::v1::{ListReviewsResponse, Summary, reviews_client::ReviewsClient},
};
use guard::{Counts, Verifier};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use loader::Loader;
use std::{sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore};
use tonic::transport::{Channel, Endpoint};

/// Requests under way, as in the host's own `[limits]`.
const REQUESTS: usize = 512;

/// Everything that a request meets.
struct App {
    verifier: Verifier,
    counts: Counts,
    permits: Semaphore,
    naive: bool,
    lists: Loader<ListReviewsResponse>,
    people: Loader<Person>,
    films: Loader<Film>,
    summaries: Loader<Summary>,
}

/// Serves until it is killed.
pub(super) fn run(brief: &str) -> anyhow::Result<()> {
    let brief: Brief = serde_json::from_str(brief)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(&brief))
}

async fn serve(brief: &Brief) -> anyhow::Result<()> {
    let app = Arc::new(App::new(brief)?);
    let router = Router::new()
        .route("/web/page/{items}", get(pages::page))
        .route("/web/people/{id}", get(pages::person))
        .route("/web/films/{id}", get(pages::film))
        .route("/web/levels/{items}", get(pages::levels))
        .route_layer(middleware::from_fn_with_state(app.clone(), guard::guard))
        .route("/web/static", get(pages::fixed))
        .route("/metrics", get(guard::metrics))
        .with_state(app);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    crate::say(format_args!("hand-written serves on http://{}", listener.local_addr()?));
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let service = TowerToHyperService::new(router.clone());
        let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service);
        // A client that goes away in the middle is no news.
        tokio::spawn(async { drop(connection.await) });
    }
}

impl App {
    fn new(brief: &Brief) -> anyhow::Result<Self> {
        let channel = |address| connect(&format!("http://{address}"));
        let (reviews, people, films) = (
            ReviewsClient::new(channel(brief.backends.reviews)?),
            PeopleClient::new(channel(brief.backends.people)?),
            FilmsClient::new(channel(brief.backends.catalog)?),
        );
        Ok(Self {
            verifier: Verifier::new(brief)?,
            counts: Counts::default(),
            permits: Semaphore::new(REQUESTS),
            naive: brief.naive,
            lists: Loader::new(brief, loader::lists(reviews.clone())),
            people: Loader::new(brief, loader::people(people)),
            films: Loader::new(brief, loader::films(films)),
            summaries: Loader::new(brief, loader::summaries(reviews)),
        })
    }
}

fn connect(uri: &str) -> anyhow::Result<Channel> {
    let endpoint = Endpoint::from_shared(uri.to_owned()).context("an address of a backend")?;
    Ok(endpoint
        .connect_timeout(Duration::from_secs(1))
        .tcp_nodelay(true)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(8 << 20)
        .connect_lazy())
}
