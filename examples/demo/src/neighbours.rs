//! `--neighbours`: the demo among real programs. Services are found in etcd, two hosts stand behind Envoy, traces go to a receiver; under
//! load a service moves to another port and a host is replaced.
//!
//! In reading order: [`programs`] (what has to be installed), [`site`] (where everything is), [`start`], [`load`] and [`moves`] (what happens
//! under it), [`outcome`] (what came of it), [`receiver`] and [`picture`] (one page's trace). [`patience`] waits for all of them.

mod load;
mod moves;
mod outcome;
mod patience;
mod picture;
mod programs;
mod receiver;
mod site;
mod start;

use crate::{build, crew::Crew, layout::Layout, say, signals::Signals, unless_stopped, until_stopped};
use load::Load;
use programs::Programs;
use site::Site;

/// Building and starting, and what is shown then.
const STEPS: u8 = 8;

/// Requests before, between and after what happens.
const AT_LEAST: u64 = 300;

pub(crate) async fn play(layout: &Layout, crew: &mut Crew, signals: &mut Signals, once: bool) -> anyhow::Result<()> {
    let site = unless_stopped(signals, show(layout, crew)).await?;
    if once {
        return Ok(());
    }
    site.tips();
    until_stopped(crew, signals).await
}

async fn show(layout: &Layout, crew: &mut Crew) -> anyhow::Result<Site> {
    let programs = Programs::find(layout)?;
    build::all(layout, crew, STEPS).await?;
    let mut site = Site::new()?;
    let receiver = start::all(layout, crew, &programs, &mut site).await?;

    say::step(7, STEPS, "Half reads, half writes; meanwhile a service moves and a host is replaced");
    let load = Load::begin(site.gateway);
    load.more(crew, AT_LEAST).await?;
    let service = moves::service(layout, crew, &mut site, &load).await?;
    load.more(crew, AT_LEAST).await?;
    let host = moves::host(layout, crew, &site).await?;
    load.more(crew, AT_LEAST).await?;
    outcome::show(crew, &site, load.end().await?, &service, &host).await?;

    say::step(8, STEPS, "One page, from the gateway to the services");
    picture::show(crew, &site, &receiver).await?;
    Ok(site)
}
