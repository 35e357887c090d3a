//! This build beside an earlier one: what a request costs.
//!
//! Both serve at the same time, each half of the load, in many short rounds. What the machine does to one of them, be it frequency, other
//! programs or a neighbour's cache, it does to the other, so a ratio of a few percent can be told where turns can't tell it.

use super::{Bench, pages};
use crate::{
    arms::{Arm, Server, Setting},
    load::Plan,
    measure::{Job, beside, median},
    report::Wanted,
    roles::Cache,
    say,
};

const PAIRS: [(Arm, Arm); 2] = [(Arm::Isolated, Arm::IsolatedBefore), (Arm::Reuse, Arm::ReuseBefore)];

/// A small lookup, and the page of 100.
pub(super) async fn run(bench: &mut Bench, name: &str) -> anyhow::Result<()> {
    if bench.fixture.baseline.is_none() {
        say("    passed over: there is no earlier build (--baseline)");
        return Ok(());
    }
    for (page, plan) in [("lookup", pages::lookups(bench)), ("page", pages::hundred(bench))] {
        for (arm, earlier) in PAIRS {
            let mut servers = bench.servers(&[arm, earlier], Setting::of(Cache::Off)).await?;
            let [now, before] = servers.as_mut_slice() else { continue };
            pair(bench, name, page, &plan, (now, before)).await?;
        }
    }
    Ok(())
}

async fn pair(
    bench: &mut Bench,
    name: &str,
    page: &str,
    plan: &Plan,
    (now, before): (&mut Server, &mut Server),
) -> anyhow::Result<()> {
    let ratios = beside(bench.effort, now, before, &Job::closed(name, plan.clone())).await?;
    let what = format!("{name}: CPU of a {page}, {} against {}", now.arm.name(), before.arm.name());
    let Some(middle) = median(&ratios) else { return Ok(()) };
    let (low, high) = ratios.iter().fold((f64::MAX, 0.0_f64), |(low, high), x| (low.min(*x), high.max(*x)));
    say(format_args!("    {page}, {}: {middle:.3} ({low:.3} to {high:.3} in {} rounds)", now.arm.name(), ratios.len()));
    bench.report.target(&what, Wanted::AtMost(1.03), middle);
    Ok(())
}
