//! One page's trace as a tree: from the gateway's span through host, plugin and batch to the service's, and a request that shared the batch.

use super::{load::FILMS, patience::until, receiver::Receiver, site::Site};
use crate::{crew::Crew, say, web};
use anyhow::{Context, bail};
use demo::{
    configuration::SERVICES,
    envoy::RECORDED,
    trace::{Shared, Span, is_whole, shared, tree, way_to},
};
use demo_services::proto::demo::v1::{Behaviour, SetBehaviourRequest, control_client::ControlClient};
use std::net::SocketAddr;
use tokio::task::JoinSet;

/// Pages that are asked for at once, so that some of them meet at one host.
const AT_ONCE: u64 = 8;
/// How often that is tried, with other films.
const TRIES: u64 = 5;
/// What the services take for an answer, as over a network.
const DELAY: u32 = 20;

pub(crate) async fn show(crew: &mut Crew, site: &Site, receiver: &Receiver) -> anyhow::Result<()> {
    for (name, address) in SERVICES.into_iter().zip(site.services) {
        slow(address).await.with_context(|| format!("{name} can't be slowed down"))?;
    }
    say::detail(&format!(
        "Services now take {DELAY} ms, as over a network. {AT_ONCE} pages at once, recorded by {}",
        receiver.name()
    ));
    for turn in 0..TRIES {
        let films: Vec<u64> = (0..AT_ONCE).map(|place| FILMS + 1 + turn * AT_ONCE + place).collect();
        let ids = ask(site.gateway, films).await?;
        let traces = until(
            crew,
            || "waiting for the spans, which are sent every 5 s".to_owned(),
            async || {
                let mut traces = Vec::new();
                for id in &ids {
                    traces.push(Some(receiver.trace(id).await).filter(|spans| is_complete(spans))?);
                }
                Some(traces)
            },
        );
        let traces = traces.await?;
        let batches = shared(&traces).into_iter().filter(|shared| is_batch(&traces, shared));
        // The one that shows most.
        if let Some(shared) = batches.max_by_key(|shared| of(&traces, &shared.load.0).len()) {
            draw(&traces, &shared);
            return Ok(());
        }
    }
    bail!("of {AT_ONCE} pages at once, {TRIES} times, no two have shared a batch")
}

/// The gateway's span has arrived, and all that belong to it.
fn is_complete(spans: &[Span]) -> bool {
    is_whole(spans) && spans.iter().any(|span| span.service == "gateway")
}

async fn slow(address: SocketAddr) -> anyhow::Result<()> {
    let behaviour = Some(Behaviour { delay_ms: DELAY, ..Behaviour::default() });
    let mut control = ControlClient::connect(format!("http://{address}")).await?;
    control.set_behaviour(SetBehaviourRequest { method: String::new(), behaviour }).await?;
    Ok(())
}

/// All at once; their traces' ids.
async fn ask(gateway: SocketAddr, films: Vec<u64>) -> anyhow::Result<Vec<String>> {
    let mut asked = JoinSet::new();
    for film in films {
        asked.spawn(async move {
            let (path, recorded) = (format!("/web/films/{film}"), [(RECORDED, "1".to_owned())]);
            let answer = web::ask(gateway, "GET", &path, &recorded, None).await?;
            anyhow::ensure!(answer.status == 200, "GET {path}: {}", answer.line);
            let id = answer.header("traceparent").and_then(|parent| parent.split('-').nth(1));
            id.map(str::to_owned).with_context(|| format!("the answer to {path} names no trace"))
        });
    }
    let mut ids = Vec::new();
    while let Some(id) = asked.join_next().await {
        ids.push(id??);
    }
    Ok(ids)
}

fn is_batch(traces: &[Vec<Span>], shared: &Shared) -> bool {
    let load = traces.iter().flatten().find(|span| (&span.trace, &span.id) == (&shared.load.0, &shared.load.1));
    load.is_some_and(|span| span.says("weft.batch.keys").is_some())
}

fn of<'a>(traces: &'a [Vec<Span>], id: &str) -> &'a [Span] {
    traces.iter().find(|spans| spans.iter().any(|span| span.trace == id)).map_or(&[], Vec::as_slice)
}

fn draw(traces: &[Vec<Span>], shared: &Shared) {
    let ((first, batch), (second, call)) = (&shared.load, &shared.call);
    say::line(&format!("\n  {} {}", say::bold("one page"), say::dim(format!("trace {first}"))));
    show_tree(of(traces, first), batch, &format!("⇠ also for trace {}…", start(second)));
    say::line(&format!(
        "\n  {} {}",
        say::bold("another page"),
        say::dim(format!("trace {second}, down to the call that the same batch has answered"))
    ));
    show_tree(&way_to(of(traces, second), call), call, &format!("⇢ linked to the batch in trace {}…", start(first)));
}

fn start(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

/// With a word beside one of the spans.
fn show_tree(spans: &[Span], marked: &str, word: &str) {
    let rows = tree(spans);
    let column = |width: usize, text: &str| format!("{text:<width$}");
    let services = rows.iter().map(|row| row.service.len()).max().unwrap_or_default();
    say::line(&say::dim("     at ms   took ms"));
    for row in rows {
        let times = format!("  {:>8.1}  {:>8.1}", row.at, row.took);
        let mark = if row.id == marked { format!("  {}", say::green(word)) } else { String::new() };
        let notes = if row.notes.is_empty() { String::new() } else { format!("  {}", say::dim(&row.notes)) };
        say::line(&format!(
            "{times}  {}  {}  {}{}{notes}{mark}",
            say::green(&row.bar),
            say::dim(column(services, &row.service)),
            say::dim(&row.branch),
            say::bold(&row.name),
        ));
    }
}
