//! `weft top`.

mod backends;

use super::{Failure, Result, print, runtime};
use crate::net::HttpClient;
use anyhow::{Context, anyhow};
use backends::{Backend, Backends};
use http::{HeaderMap, Method};
use serde::Deserialize;
use serde_json::Value;
use std::{collections::HashMap, fmt::Write, io::IsTerminal, time::Duration};
use tokio::time::Instant;

/// Bytes of an answer that are read: a thousand plugins fit.
const LARGEST: usize = 64 << 20;

/// See live what each plugin of a running host does and costs, and how its backends are
///
/// Asks the admin interface of the host again and again; rates are those of the last interval. The times are means over its requests:
/// `ms` from head to answer, `cpu` in the guest, `queue` waiting for a turn. `mem` is the most that one instance has held.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The admin interface of the host
    #[arg(long, default_value = "127.0.0.1:9090")]
    admin: String,
    /// Seconds between two looks
    #[arg(long, default_value_t = 1.0)]
    every: f64,
    /// Look once, over one interval, and end; also what happens where the output is no terminal
    #[arg(long)]
    once: bool,
    /// Print the sums of all plugins as JSON, once
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Deserialize)]
struct Answer {
    plugins: Vec<Plugin>,
    requests_under_way: u64,
    #[serde(skip)]
    backends: Vec<Backend>,
}

#[derive(Debug, Clone, Deserialize)]
struct Plugin {
    name: String,
    version: String,
    client: String,
    state: String,
    sums: Sums,
}

/// As `/v1/plugins` tells them.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct Sums {
    requests: u64,
    failed: u64,
    degraded: u64,
    micros: u64,
    cpu_micros: u64,
    queued_micros: u64,
    most_memory: u64,
    calls: u64,
    upstream: u64,
    most_depth: u64,
    traps: u64,
}

pub(super) fn run(arguments: &Arguments) -> Result {
    if !(0.1..=3600.0).contains(&arguments.every) {
        return Err(Failure::Usage("--every: expected seconds from 0.1 to 3600".to_owned()));
    }
    runtime()?.block_on(async {
        let client = HttpClient::new(Duration::from_secs(2), None).map_err(|error| anyhow!(error))?;
        if arguments.json {
            let plugins: Value = serde_json::from_slice(&ask(&client, &arguments.admin, "/v1/plugins").await?)?;
            print(&serde_json::to_string_pretty(&plugins)?);
            return Ok(());
        }
        watch(arguments, &client).await
    })
}

async fn watch(arguments: &Arguments, client: &HttpClient) -> Result {
    let is_live = !arguments.once && std::io::stdout().is_terminal();
    let mut before = look(client, &arguments.admin).await?;
    let mut since = Instant::now();
    loop {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs_f64(arguments.every)) => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
        let now = look(client, &arguments.admin).await?;
        let over = since.elapsed();
        let text = table(&before, &now, over) + &backends::table(&before.backends, &now.backends, over);
        if !is_live {
            print(text.trim_end());
            return Ok(());
        }
        // Home, and what was there before is overwritten line by line: the screen does not flicker.
        print(&format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n")));
        (before, since) = (now, Instant::now());
    }
}

async fn ask(client: &HttpClient, admin: &str, path: &str) -> anyhow::Result<Vec<u8>> {
    let base = if admin.contains("://") { admin.to_owned() } else { format!("http://{admin}") };
    let url = format!("{}{path}", base.trim_end_matches('/'));
    let answer = client.send(Method::GET, url.clone(), HeaderMap::new(), None, LARGEST);
    let answer = tokio::time::timeout(Duration::from_secs(5), answer).await;
    let answer = answer.with_context(|| format!("{url} gave no answer within 5 s"))?;
    let answer = answer.with_context(|| format!("{url}: is a host running, and is --admin its admin address?"))?;
    if !answer.status.is_success() {
        return Err(anyhow!("{url} answered {}: is --admin the admin address, and not the public one?", answer.status));
    }
    Ok(answer.body.to_vec())
}

async fn look(client: &HttpClient, admin: &str) -> anyhow::Result<Answer> {
    let foreign = "the answer is not one of this version of weft";
    let mut answer: Answer = serde_json::from_slice(&ask(client, admin, "/v1/plugins").await?).context(foreign)?;
    let backends: Backends = serde_json::from_slice(&ask(client, admin, "/v1/backends").await?).context(foreign)?;
    answer.backends = backends.backends;
    Ok(answer)
}

fn table(before: &Answer, now: &Answer, over: Duration) -> String {
    let old: HashMap<_, _> =
        before.plugins.iter().map(|plugin| ((&plugin.name, &plugin.version), plugin.sums)).collect();
    let mut rows: Vec<(&Plugin, Sums)> = now
        .plugins
        .iter()
        .map(|plugin| {
            (plugin, plugin.sums.since(old.get(&(&plugin.name, &plugin.version)).copied().unwrap_or_default()))
        })
        .collect();
    rows.sort_by(|a, b| b.1.cpu_micros.cmp(&a.1.cpu_micros).then_with(|| a.0.name.cmp(&b.0.name)));
    let all: u64 = rows.iter().map(|(_, sums)| sums.requests).sum();
    let mut out = format!(
        "{} plugins, {:.0} requests/s, {} under way\n\n{:<20} {:<9} {:<6} {:<8} {:>7} {:>6} {:>6} {:>8} {:>7} {:>7} {:>6} {:>6} {:>8} {:>5} {:>5}\n",
        rows.len(),
        all as f64 / over.as_secs_f64(),
        now.requests_under_way,
        "plugin",
        "version",
        "client",
        "state",
        "req/s",
        "fail%",
        "degr%",
        "ms",
        "cpu ms",
        "queue",
        "calls",
        "upstr",
        "mem MiB",
        "depth",
        "traps",
    );
    for (plugin, sums) in rows {
        // Writing to a string can't fail.
        let _ = writeln!(
            out,
            "{:<20} {:<9} {:<6} {:<8} {:>7.0} {:>6.1} {:>6.1} {:>8.2} {:>7.2} {:>7.2} {:>6.1} {:>6.1} {:>8.1} {:>5} {:>5}",
            plugin.name,
            plugin.version,
            plugin.client,
            plugin.state,
            sums.requests as f64 / over.as_secs_f64(),
            sums.mean(sums.failed) * 100.0,
            sums.mean(sums.degraded) * 100.0,
            sums.mean(sums.micros) / 1e3,
            sums.mean(sums.cpu_micros) / 1e3,
            sums.mean(sums.queued_micros) / 1e3,
            sums.mean(sums.calls),
            sums.mean(sums.upstream),
            sums.most_memory as f64 / f64::from(1 << 20),
            sums.most_depth,
            sums.traps,
        );
    }
    out
}

impl Sums {
    /// What has come since; what is no sum stays as it is.
    fn since(self, before: Self) -> Self {
        let less = |now: u64, before: u64| now.saturating_sub(before);
        Self {
            requests: less(self.requests, before.requests),
            failed: less(self.failed, before.failed),
            degraded: less(self.degraded, before.degraded),
            micros: less(self.micros, before.micros),
            cpu_micros: less(self.cpu_micros, before.cpu_micros),
            queued_micros: less(self.queued_micros, before.queued_micros),
            calls: less(self.calls, before.calls),
            upstream: less(self.upstream, before.upstream),
            ..self
        }
    }

    fn mean(self, sum: u64) -> f64 {
        sum as f64 / (self.requests.max(1)) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(requests: u64, cpu_micros: u64) -> Answer {
        let sums = Sums { requests, cpu_micros, most_memory: 2 << 20, traps: 3, ..Sums::default() };
        let word = str::to_owned;
        let plugin =
            Plugin { name: word("home"), version: word("1.0.0"), client: word("web"), state: word("live"), sums };
        Answer { plugins: vec![plugin], requests_under_way: 4, backends: Vec::new() }
    }

    #[test]
    fn rates_are_those_of_the_interval() {
        let text = table(&answer(100, 0), &answer(300, 50_000), Duration::from_secs(2));
        let row: Vec<_> = text.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(row.get(..7).unwrap(), ["home", "1.0.0", "web", "live", "100", "0.0", "0.0"]);
        assert_eq!(row.get(8).unwrap(), &"0.25", "50 ms over 200 requests");
        assert_eq!(row.get(12..).unwrap(), ["2.0", "0", "3"], "no sums of an interval");
    }
}
