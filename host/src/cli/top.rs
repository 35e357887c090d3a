//! `weft top`.

mod backends;

use super::{
    Failure, Result,
    admin::{Access, AdminClient},
    print, runtime,
};
use crate::{
    admin::{BackendsAnswer, PluginAnswer, PluginsAnswer},
    release::Sums,
};
use anyhow::Context;
use serde_json::Value;
use std::{collections::HashMap, fmt::Write, io::IsTerminal, time::Duration};
use tokio::time::Instant;

/// See live what each plugin of a running host does and costs, and how its backends are
///
/// Asks the admin interface of the host again and again; rates are those of the last interval. The times are means over its requests:
/// `ms` from head to answer, `cpu` in the guest, `queue` waiting for a turn. `mem` is the most that one instance has held.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    access: Access,
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

/// What is asked for at each look.
#[derive(Debug)]
struct Look {
    plugins: PluginsAnswer,
    backends: BackendsAnswer,
}

pub(super) fn run(arguments: &Arguments) -> Result {
    if !(0.1..=3600.0).contains(&arguments.every) {
        return Err(Failure::Usage("--every: expected seconds from 0.1 to 3600".to_owned()));
    }
    runtime()?.block_on(async {
        let client = AdminClient::new(&arguments.access)?;
        if arguments.json {
            let plugins: Value = serde_json::from_slice(&client.ask("/v1/plugins").await?)?;
            print(&serde_json::to_string_pretty(&plugins)?);
            return Ok(());
        }
        watch(arguments, &client).await
    })
}

async fn watch(arguments: &Arguments, client: &AdminClient) -> Result {
    let is_live = !arguments.once && std::io::stdout().is_terminal();
    let mut before = look(client).await?;
    let mut since = Instant::now();
    loop {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs_f64(arguments.every)) => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
        let now = look(client).await?;
        let over = since.elapsed();
        let text = table(&before.plugins, &now.plugins, over)
            + &backends::table(&before.backends.backends, &now.backends.backends, over);
        if !is_live {
            print(text.trim_end());
            return Ok(());
        }
        // Home, and what was there before is overwritten line by line: the screen does not flicker.
        print(&format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n")));
        (before, since) = (now, Instant::now());
    }
}

async fn look(client: &AdminClient) -> anyhow::Result<Look> {
    let foreign = "the answer is not one of this version of weft";
    let plugins = serde_json::from_slice(&client.ask("/v1/plugins").await?).context(foreign)?;
    let backends = serde_json::from_slice(&client.ask("/v1/backends").await?).context(foreign)?;
    Ok(Look { plugins, backends })
}

fn table(before: &PluginsAnswer, now: &PluginsAnswer, over: Duration) -> String {
    let old: HashMap<_, _> =
        before.plugins.iter().map(|plugin| ((&plugin.name, &plugin.version), plugin.sums)).collect();
    let mut rows: Vec<(&PluginAnswer, Sums)> = now
        .plugins
        .iter()
        .map(|plugin| {
            (plugin, since(plugin.sums, old.get(&(&plugin.name, &plugin.version)).copied().unwrap_or_default()))
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
            plugin.state.as_str(),
            sums.requests as f64 / over.as_secs_f64(),
            mean(&sums, sums.failed) * 100.0,
            mean(&sums, sums.degraded) * 100.0,
            mean(&sums, sums.micros) / 1e3,
            mean(&sums, sums.cpu_micros) / 1e3,
            mean(&sums, sums.queued_micros) / 1e3,
            mean(&sums, sums.calls),
            mean(&sums, sums.upstream),
            sums.most_memory as f64 / f64::from(1 << 20),
            sums.most_depth,
            sums.traps,
        );
    }
    out
}

/// What has come since; what is no sum stays as it is.
fn since(now: Sums, before: Sums) -> Sums {
    let less = |now: u64, before: u64| now.saturating_sub(before);
    Sums {
        requests: less(now.requests, before.requests),
        failed: less(now.failed, before.failed),
        degraded: less(now.degraded, before.degraded),
        micros: less(now.micros, before.micros),
        cpu_micros: less(now.cpu_micros, before.cpu_micros),
        queued_micros: less(now.queued_micros, before.queued_micros),
        calls: less(now.calls, before.calls),
        upstream: less(now.upstream, before.upstream),
        ..now
    }
}

fn mean(sums: &Sums, sum: u64) -> f64 {
    sum as f64 / (sums.requests.max(1)) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(requests: u64, cpu_micros: u64) -> PluginsAnswer {
        let text = format!(
            r#"{{"plugins":[{{"name":"home","version":"1.0.0","client":"web","digest":"","file":"home.wasm","state":"live","resting":[],
                "isolation":"instance","endpoints":[],"loaded_at":1,"sums":{{"requests":{requests},"failed":0,"degraded":0,"micros":0,
                "cpu_micros":{cpu_micros},"queued_micros":0,"most_memory":2097152,"calls":0,"upstream":0,"most_depth":0,"traps":3}}}}],
                "refused":[{{"file":"bad.wasm","refused":"it is no artifact"}}],"requests_under_way":4,"loads_under_way":0}}"#
        );
        serde_json::from_str(&text).unwrap()
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
