//! Backends that fail or are slow.

use super::{Bench, pages::hundred};
use crate::{
    arms::{Arm, Setting},
    roles::Cache,
};
use demo_services::proto::demo::v1::Behaviour;

const ARMS: [Arm; 5] = [Arm::Isolated, Arm::Reuse, Arm::Unsandboxed, Arm::HandWritten, Arm::Node];

/// One call in ten fails with UNAVAILABLE. Retries should hide most of it.
pub(super) async fn failing(bench: &mut Bench, name: &str) -> anyhow::Result<()> {
    with(bench, name, Behaviour { fail_percent: 10, ..Behaviour::default() }).await
}

/// Each call takes 100 ms: many requests wait at the same time.
pub(super) async fn slow(bench: &mut Bench, name: &str) -> anyhow::Result<()> {
    with(bench, name, Behaviour { delay_ms: 100, ..Behaviour::default() }).await
}

async fn with(bench: &mut Bench, name: &str, behaviour: Behaviour) -> anyhow::Result<()> {
    bench.fixture.trouble(behaviour).await?;
    let effort = bench.effort.fewer();
    let ran = bench.closed(name, &ARMS, Setting::of(Cache::Off), hundred(bench), effort).await;
    bench.fixture.trouble(Behaviour::default()).await?;
    ran.map(drop)
}
