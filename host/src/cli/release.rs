//! `weft release`.

mod following;
mod naming;
mod shown;

use super::{
    Failure, Result,
    admin::{Access, AdminClient},
    print, runtime, tell,
};
use crate::{
    admin::{EventsAnswer, ReleasesAnswer},
    model::Digest,
    release::history::Record,
};
use anyhow::Context;
use bytes::Bytes;
use following::Goal;
use naming::Named;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use std::time::Duration;

const FOREIGN: &str = "the answer is not one of this version of weft";

/// See which releases a running host has, put one into service, and go back
///
/// A release is one artifact, known by its digest. It is staged, verified, live, draining until its last request has ended, then retired;
/// or rejected, or rolled back. What was rolled back, retired or rejected comes back by no file of the plugin folder and no restart: `apply`
/// it again. Everything is asked of the host's admin interface; changes need a token of the role operator.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(List),
    Show(Show),
    Apply(Apply),
    Rollback(Rollback),
    Retire(Retire),
    History(History),
    Watch(Watch),
}

/// Show the releases of all plugins, or of one, and where each stands
#[derive(Debug, clap::Args)]
struct List {
    plugin: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

/// Show one release and everything that became of it
#[derive(Debug, clap::Args)]
struct Show {
    /// PLUGIN@VERSION, or a digest or the beginning of one
    release: String,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

/// What every change takes.
#[derive(Debug, clap::Args)]
struct Change {
    /// Why, for the history
    #[arg(long, default_value = "")]
    reason: String,
    /// Wait until it serves (exit code 1 if it can't), and say what becomes of it meanwhile
    #[arg(long)]
    wait: bool,
    /// Seconds that `--wait` takes at most
    #[arg(long, default_value_t = 180)]
    timeout: u64,
    /// Print the release as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

/// Put an artifact, or a release that is known, into service
///
/// The host verifies and compiles it beside the traffic, and swaps it in: no request is lost, and none sees two versions. If it can't serve,
/// what served before goes on.
#[derive(Debug, clap::Args)]
struct Apply {
    /// A file that `weft build` has made; or PLUGIN@VERSION, or a digest or the beginning of one
    artifact: String,
    /// Only take it in and verify it
    #[arg(long)]
    stage: bool,
    #[command(flatten)]
    change: Change,
}

/// Take back what serves of a plugin, and put what served before in its place
#[derive(Debug, clap::Args)]
struct Rollback {
    plugin: String,
    /// Not what served before but this: PLUGIN@VERSION, or a digest or the beginning of one
    #[arg(long, value_name = "RELEASE")]
    to: Option<String>,
    #[command(flatten)]
    change: Change,
}

/// Take a plugin out of service; its endpoints are not there any more
#[derive(Debug, clap::Args)]
struct Retire {
    plugin: String,
    #[command(flatten)]
    change: Change,
}

/// Show what became of all releases: when, which, by whom, and why
#[derive(Debug, clap::Args)]
struct History {
    plugin: Option<String>,
    /// As JSON, a line each
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

/// Show each change as it happens, until Ctrl-C
#[derive(Debug, clap::Args)]
struct Watch {
    plugin: Option<String>,
    /// As JSON, a line each
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

pub(super) fn run(arguments: &Arguments) -> Result {
    runtime()?.block_on(async {
        match &arguments.command {
            Command::List(list) => {
                let client = AdminClient::new(&list.access)?;
                let mut answer = releases(&client).await?;
                answer.plugins.retain(|plugin| list.plugin.as_ref().is_none_or(|wanted| plugin.plugin == *wanted));
                if let (Some(plugin), []) = (&list.plugin, answer.plugins.as_slice()) {
                    return Err(anyhow::anyhow!("no release of `{plugin}` is known there").into());
                }
                if list.json {
                    print(&serde_json::to_string_pretty(&answer)?)
                } else {
                    print(&shown::list(&answer))
                }
                answer.trouble.iter().for_each(|trouble| tell(&format!("what happens is not written: {trouble}")));
                Ok(())
            }
            Command::Show(show) => self::show(show).await,
            Command::Apply(arguments) => apply(arguments).await,
            Command::Rollback(arguments) => roll_back(arguments).await,
            Command::Retire(arguments) => retire(arguments).await,
            Command::History(History { plugin, json, access }) => {
                following::history(&AdminClient::new(access)?, plugin.as_deref(), *json).await
            }
            Command::Watch(Watch { plugin, json, access }) => {
                following::watch(&AdminClient::new(access)?, plugin.as_deref(), *json).await
            }
        }
    })
}

async fn releases(client: &AdminClient) -> anyhow::Result<ReleasesAnswer> {
    serde_json::from_slice(&client.ask("/v1/releases").await?).context(FOREIGN)
}

async fn events(client: &AdminClient, from: u64, wait: u64) -> anyhow::Result<EventsAnswer> {
    let path = format!("/v1/releases/events?from={from}&wait={wait}");
    serde_json::from_slice(&client.ask_for(&path, Duration::from_secs(wait + 10)).await?).context(FOREIGN)
}

async fn show(arguments: &Show) -> Result {
    let client = AdminClient::new(&arguments.access)?;
    let answer = releases(&client).await?;
    let record = naming::find(&answer, &arguments.release)?;
    let all = following::all(&client).await?;
    let own: Vec<_> = all.into_iter().filter(|event| event.digest == record.digest).collect();
    if arguments.json {
        print(&serde_json::to_string_pretty(&json!({ "release": record, "events": own }))?);
    } else {
        print(&shown::release(record, &own));
    }
    Ok(())
}

async fn apply(arguments: &Apply) -> Result {
    let (change, client) = (&arguments.change, AdminClient::new(&arguments.change.access)?);
    let answer = releases(&client).await?;
    let sent = match naming::named(&answer, &arguments.artifact)? {
        Named::File(bytes) => {
            let goal = if arguments.stage { "staged" } else { "live" };
            let reason = utf8_percent_encode(&change.reason, NON_ALPHANUMERIC);
            let path = format!("/v1/releases?goal={goal}&reason={reason}");
            client.post(&path, None, bytes).await?
        }
        Named::Known(_) if arguments.stage => {
            return Err(Failure::Usage("--stage: that release is known already".to_owned()));
        }
        Named::Known(record) => {
            let path = format!("/v1/releases/{}/apply", record.digest);
            client.post(&path, Some(naming::revision(&answer, &record.name.plugin)), body(&change.reason, None)).await?
        }
    };
    let goal = if arguments.stage { Goal::Verified } else { Goal::Live };
    done(change, &client, answer.next, sent, goal).await
}

async fn roll_back(arguments: &Rollback) -> Result {
    let (change, plugin) = (&arguments.change, &arguments.plugin);
    let client = AdminClient::new(&change.access)?;
    let answer = releases(&client).await?;
    let to = arguments.to.as_ref().map(|to| naming::find(&answer, to).map(|record| record.digest)).transpose()?;
    let path = format!("/v1/plugins/{}/rollback", utf8_percent_encode(plugin, NON_ALPHANUMERIC));
    let sent = client.post(&path, Some(naming::revision(&answer, plugin)), body(&change.reason, to)).await?;
    done(change, &client, answer.next, sent, Goal::Live).await
}

async fn retire(arguments: &Retire) -> Result {
    let (change, plugin) = (&arguments.change, &arguments.plugin);
    let client = AdminClient::new(&change.access)?;
    let answer = releases(&client).await?;
    let path = format!("/v1/plugins/{}/retire", utf8_percent_encode(plugin, NON_ALPHANUMERIC));
    let sent = client.post(&path, Some(naming::revision(&answer, plugin)), body(&change.reason, None)).await?;
    done(change, &client, answer.next, sent, Goal::Gone).await
}

fn body(reason: &str, to: Option<Digest>) -> Bytes {
    let mut body = json!({ "reason": reason });
    if let (Some(to), Value::Object(body)) = (to, &mut body) {
        body.insert("to".to_owned(), to.to_string().into());
    }
    body.to_string().into()
}

/// The change is written. Waits for its end where that is wanted, and says how it stands.
async fn done(change: &Change, client: &AdminClient, from: u64, sent: Vec<u8>, goal: Goal) -> Result {
    let mut record: Record = serde_json::from_slice(&sent).context(FOREIGN)?;
    if change.wait {
        let time = Duration::from_secs(change.timeout);
        record = following::until(client, record, from, goal, time, change.json).await?;
    }
    if change.json {
        print(&serde_json::to_string_pretty(&record)?);
    } else if !change.wait {
        print(&format!(
            "{}: asked for; `weft release list {}` shows how it stands",
            shown::name(&record),
            record.name.plugin
        ));
    }
    Ok(())
}
