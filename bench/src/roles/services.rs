//! The microservices behind everything: the demo's, with made-up data, counted and troubled by their control service.

use super::Backends;
use demo_services::{Data, Running, Service, Sizes};
use std::{io::Write, sync::Arc};

/// `sizes` as `films=1000,people=500,reviews=10000`. Serves until its standard input ends, which it does with the bench.
pub(super) fn run(sizes: &str) -> anyhow::Result<()> {
    let sizes: Sizes = sizes.parse()?;
    let data = Arc::new(Data::generate(sizes, super::super::expected::SEED)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let catalog = Running::start(Service::Catalog, data.clone()).await?;
        let people = Running::start(Service::People, data.clone()).await?;
        let reviews = Running::start(Service::Reviews, data).await?;
        let backends = Backends { catalog: catalog.address(), people: people.address(), reviews: reviews.address() };
        writeln!(std::io::stderr(), "services {}", serde_json::to_string(&backends)?)?;
        tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
        Ok(())
    })
}
