//! `weft diff`.

use super::{Failure, Result, document, print, tell};
use crate::compat::{self, Change, Document};
use anyhow::Context;
use serde_json::json;

/// Tell what changes for frontends from one contract to another, and what breaks
///
/// Compares two OpenAPI documents as an app sees them that was built against OLD and is in its users' hands when NEW goes out. Each
/// change is told with its place, the rule behind it and, where it breaks, what to do. What an app sends has to stay good, and what it
/// gets has to be what it knows: an added field of an answer breaks nothing, a new value in a list does. All rules:
/// docs/frontends/compatibility.md.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{}\n\nExit code: 0 nothing breaks, 1 something does, 2 one of them can't be read.", document::SOURCES))]
pub(super) struct Arguments {
    /// The contract that apps were built against
    old: String,
    /// The contract that is to take its place
    new: String,
    /// Tell only of what breaks
    #[arg(long)]
    breaking: bool,
    /// Print the changes as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result {
    let changes = compared(&arguments.old, &arguments.new).map_err(|error| Failure::Usage(format!("{error:#}")))?;
    let breaks = changes.iter().filter(|change| change.rule.breaks()).count();
    let shown: Vec<Change> = changes.into_iter().filter(|change| !arguments.breaking || change.rule.breaks()).collect();
    if arguments.json {
        print(&serde_json::to_string_pretty(&json!({ "breaking": breaks, "changes": shown }))?);
    } else {
        print(compat::grouped(&shown).trim_end());
    }
    if breaks == 0 { Ok(()) } else { Err(Failure::Told(1)) }
}

fn compared(old: &str, new: &str) -> anyhow::Result<Vec<Change>> {
    let (mut was, mut is) = (document::read(old)?, document::read(new)?);
    // A host's document has all plugins of the client.
    match (&was.plugin, &is.plugin) {
        (Some(plugin), None) => is.document = of_plugin(&is.document, plugin),
        (None, Some(plugin)) => was.document = of_plugin(&was.document, plugin),
        _ => {}
    }
    compat::diff(&was.document, &is.document).with_context(|| format!("{old} and {new} can't be compared"))
}

fn of_plugin(document: &Document, plugin: &str) -> Document {
    tell(&format!("note: an artifact is compared with the endpoints of its plugin, `{plugin}`, alone"));
    document.tagged(plugin)
}
