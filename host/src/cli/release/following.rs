//! What becomes of releases, as it happens.

use super::{
    super::{Result, print, tell},
    AdminClient, events, shown,
};
use crate::release::history::{Event, Record, State};
use anyhow::bail;
use std::time::Duration;
use tokio::time::Instant;

/// Seconds of one question for events.
const WAIT: u64 = 20;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    Verified,
    Live,
    /// It serves no more; requests may be under way still.
    Gone,
}

/// All events that the host has.
pub(super) async fn all(client: &AdminClient) -> anyhow::Result<Vec<Event>> {
    let (mut all, mut from) = (Vec::new(), 0);
    loop {
        let answer = events(client, from, 0).await?;
        if answer.events.is_empty() {
            return Ok(all);
        }
        from = answer.next;
        all.extend(answer.events);
    }
}

pub(super) async fn history(client: &AdminClient, plugin: Option<&str>, json: bool) -> Result {
    let all = all(client).await?;
    all.iter()
        .filter(|event| plugin.is_none_or(|plugin| event.plugin == plugin))
        .try_for_each(|event| tell_of(event, json))
}

pub(super) async fn watch(client: &AdminClient, plugin: Option<&str>, json: bool) -> Result {
    let mut from = super::releases(client).await?.next;
    loop {
        let answer = tokio::select! {
            answer = events(client, from, WAIT) => answer?,
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        from = answer.next;
        let own = answer.events.iter().filter(|event| plugin.is_none_or(|plugin| event.plugin == plugin));
        own.into_iter().try_for_each(|event| tell_of(event, json))?;
    }
}

fn tell_of(event: &Event, json: bool) -> Result {
    print(&if json { serde_json::to_string(event)? } else { shown::event(event) });
    Ok(())
}

/// Until the release stands where it is wanted; fails if it never will, or not in time.
pub(super) async fn until(
    client: &AdminClient,
    mut record: Record,
    mut from: u64,
    goal: Goal,
    time: Duration,
    json: bool,
) -> anyhow::Result<Record> {
    let until = Instant::now() + time;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let answer = events(client, from, WAIT.min(left.as_secs().max(1))).await?;
        from = answer.next;
        for event in answer.events.iter().filter(|event| event.plugin == record.name.plugin) {
            // Progress is for people; the result alone is for programs.
            if json { tell(&shown::event(event)) } else { print(&shown::event(event)) }
        }
        let now = super::releases(client).await?;
        let all = now.plugins.iter().flat_map(|plugin| &plugin.releases);
        if let Some(found) = all.into_iter().find(|found| found.digest == record.digest) {
            record = found.clone();
        }
        match (record.state, goal) {
            (State::Live, Goal::Live) | (State::Verified | State::Live, Goal::Verified) => return Ok(record),
            (State::Draining | State::Retired | State::RolledBack, Goal::Gone) => return Ok(record),
            (State::Rejected, _) => bail!("{} was rejected: {}", shown::name(&record), shown::visible(&record.reason)),
            (State::RolledBack, _) => {
                bail!("{} was rolled back by {}", shown::name(&record), shown::visible(&record.by))
            }
            _ if left.is_zero() => bail!(
                "{} is {} after {time:?}; `weft release watch` shows what goes on, and `/v1/plugins` of the admin interface what is in the way",
                shown::name(&record),
                record.state.as_str()
            ),
            _ => {}
        }
    }
}
