//! What came of the load: nothing may be lost, and no write be done twice.

use super::{
    load::Sums,
    moves::{MOVED, Moved, RATE, Replaced},
    patience::until,
    site::Site,
    start::count,
};
use crate::{crew::Crew, say};
use anyhow::{Context, bail};
use demo_services::proto::demo::v1::{GetCallsRequest, control_client::ControlClient};
use std::net::SocketAddr;

/// Failures that are shown.
const SHOWN: usize = 5;

pub(crate) async fn show(
    crew: &mut Crew,
    site: &Site,
    sums: Sums,
    service: &Moved,
    host: &Replaced,
) -> anyhow::Result<()> {
    let retries = until(
        crew,
        || "asking Envoy what it has tried again".to_owned(),
        async || count(site.gateway_admin, "upstream_rq_retry").await,
    );
    let retries = retries.await?;
    let done = service.writes + calls(service.to).await?;
    let Sums { requests, writes, failed, took } = sums;
    let seconds = took.as_secs_f64();
    let row = |name: &str, text: String| say::detail(&format!("{name:<22} {text}"));
    row("requests", format!("{requests} in {seconds:.1} s, half of them writes ({writes})"));
    let told = |count: usize, text: String| if count == 0 { say::green(text) } else { say::red(text) };
    row("failed", told(failed.len(), failed.len().to_string()));
    row("tried again by Envoy", format!("{retries}, where no host had begun"));
    let (lost, twice) = (writes.saturating_sub(done), done.saturating_sub(writes));
    let text = format!(
        "{done}: {} by the old {MOVED}, {} by the new one; lost {lost}, twice {twice}",
        service.writes,
        done - service.writes
    );
    row("writes done", told(usize::from(lost + twice > 0), text));
    let Moved { from, to, found, left, .. } = service;
    row(
        &format!("{MOVED} moved"),
        format!(
            "from {from} to {to}; hosts knew after {:.1} s, the old one was gone after {:.1} s",
            found.as_secs_f64(),
            left.as_secs_f64()
        ),
    );
    row(
        &format!("{} replaced", host.name),
        format!(
            "ended within {:.1} s of SIGTERM; the new one served {:.1} s later",
            host.ended.as_secs_f64(),
            host.back.as_secs_f64()
        ),
    );
    if !failed.is_empty() {
        bail!(
            "{} requests failed:\n  {}",
            failed.len(),
            failed.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n  ")
        );
    }
    if lost + twice > 0 {
        bail!("of {writes} writes {done} were done");
    }
    say::detail(&say::green("Nothing was lost, and nothing done twice."));
    Ok(())
}

/// How many writes the service there was called for.
async fn calls(address: SocketAddr) -> anyhow::Result<u64> {
    let mut control = ControlClient::connect(format!("http://{address}")).await?;
    let answer =
        control.get_calls(GetCallsRequest {}).await.context("the service does not say how often it was called")?;
    Ok(answer.into_inner().calls.into_iter().find(|call| call.method == RATE).map_or(0, |call| call.count))
}
