//! Releases and events as lines for people. What others have written is shown without control characters.

use crate::{
    admin::ReleasesAnswer,
    release::history::{Event, Record},
};
use std::time::{Duration, UNIX_EPOCH};

pub(super) fn name(record: &Record) -> String {
    format!("{} {} ({})", visible(&record.name.plugin), record.name.version, record.digest.short())
}

pub(super) fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// In seconds, by the clock of UTC.
fn time(millis: u64) -> String {
    let time = UNIX_EPOCH + Duration::from_millis(millis);
    httpdate::fmt_http_date(time)
        .replace(" GMT", "")
        .split_once(", ")
        .map_or_else(String::new, |(_, time)| time.to_owned())
}

pub(super) fn list(answer: &ReleasesAnswer) -> String {
    let mut out = format!(
        "{:<20} {:<12} {:<8} {:<12} {:<13} {:<21} {}",
        "PLUGIN", "VERSION", "CLIENT", "STATE", "DIGEST", "SINCE (UTC)", "BY"
    );
    for plugin in &answer.plugins {
        for record in &plugin.releases {
            let wanted = if plugin.wanted == Some(record.digest) { ", asked for" } else { "" };
            let barred = if record.barred { ", comes back by `apply` alone" } else { "" };
            let reason =
                if record.reason.is_empty() { String::new() } else { format!(": {}", visible(&record.reason)) };
            out += &format!(
                "\n{:<20} {:<12} {:<8} {:<12} {:<13} {:<21} {}{reason}{wanted}{barred}",
                visible(&record.name.plugin),
                record.name.version.to_string(),
                visible(&record.name.client),
                record.state.as_str(),
                record.digest.short(),
                time(record.since),
                visible(&record.by),
            );
        }
    }
    if answer.plugins.is_empty() {
        out += "\n(none yet: `weft release apply FILE`, or put an artifact into the plugin folder)";
    }
    out
}

pub(super) fn release(record: &Record, events: &[Event]) -> String {
    let mut out = format!(
        "{} {} for client {}\n{}\n{}, by {}",
        visible(&record.name.plugin),
        record.name.version,
        visible(&record.name.client),
        record.digest,
        record.state.as_str(),
        visible(&record.by)
    );
    out += if record.kept { "\nits bytes are kept\n" } else { "\nits bytes are not kept\n" };
    events.iter().for_each(|event| out += &format!("\n{}", self::event(event)));
    out
}

pub(super) fn event(event: &Event) -> String {
    let from = event.from.map_or_else(|| "new".to_owned(), |from| from.as_str().to_owned());
    let reason = if event.reason.is_empty() { String::new() } else { format!(": {}", visible(&event.reason)) };
    format!(
        "{} {} {} ({}) {from} -> {}, by {}{reason}",
        time(event.at),
        visible(&event.plugin),
        event.version,
        event.digest.short(),
        event.to.as_str(),
        visible(&event.by)
    )
}
