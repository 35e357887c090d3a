//! What stands behind all arms: the services in a process of their own, their data, the artifacts, and a folder for files.

use crate::{
    artifacts,
    process::{self, Process},
    roles::Backends,
};
use anyhow::Context;
use bytes::Bytes;
use demo_services::{
    Data, Sizes,
    proto::demo::v1::{
        Behaviour, GetCallsRequest, ResetCallsRequest, SetBehaviourRequest, control_client::ControlClient,
    },
};
use std::{path::PathBuf, sync::Arc};
use tonic::transport::{Channel, Endpoint};

/// The repository that this was built from.
pub(crate) fn repository() -> PathBuf {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    own.parent().map_or(own.clone(), PathBuf::from)
}

/// A folder under `target/bench`, which lies where cargo has put this program.
pub(crate) fn folder(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    // target/release/deps/bench-…
    let target = own.ancestors().nth(3).context("this program lies in no target folder")?;
    let folder = target.join("bench").join(name);
    std::fs::create_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;
    Ok(folder)
}

/// The plugins.
#[derive(Debug, Clone)]
pub(crate) struct Artifacts {
    pub(crate) pages: Bytes,
    pub(crate) hostile: Bytes,
}

impl Artifacts {
    pub(crate) async fn build() -> anyhow::Result<Self> {
        Ok(Self { pages: artifacts::build("pages").await?, hostile: artifacts::build("hostile").await? })
    }
}

/// Services that run, and what they know.
#[derive(Debug)]
pub(crate) struct Fixture {
    pub(crate) backends: Backends,
    pub(crate) data: Arc<Data>,
    pub(crate) artifacts: Artifacts,
    /// An earlier build of this program.
    pub(crate) baseline: Option<PathBuf>,
    controls: [ControlClient<Channel>; 3],
    _services: Process,
}

impl Fixture {
    pub(crate) async fn start(artifacts: Artifacts, baseline: Option<PathBuf>, sizes: Sizes) -> anyhow::Result<Self> {
        let Sizes { films, people, reviews } = sizes;
        let text = format!("films={films},people={people},reviews={reviews}");
        let command = process::role(&["as-services", &text])?;
        let log = folder("logs")?.join("services.log");
        let services = Process::start(command, "services {", &log);
        let data = tokio::task::spawn_blocking(move || Data::generate(sizes, crate::expected::SEED));
        let services = services.await.context("the services")?;
        let backends: Backends = serde_json::from_str(services.line.trim_start_matches("services "))?;
        let mut controls = Vec::new();
        for address in [backends.catalog, backends.people, backends.reviews] {
            let channel = Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
            controls.push(ControlClient::new(channel));
        }
        let controls = controls.try_into().map_err(|_| anyhow::anyhow!("three controls"))?;
        Ok(Self { backends, data: Arc::new(data.await??), artifacts, baseline, controls, _services: services })
    }

    /// Calls that have reached the services since the last reset.
    pub(crate) async fn calls(&self) -> anyhow::Result<u64> {
        let mut count = 0;
        for control in &self.controls {
            let reply = control.clone().get_calls(GetCallsRequest {}).await?.into_inner();
            count += reply.calls.iter().map(|call| call.count).sum::<u64>();
        }
        Ok(count)
    }

    pub(crate) async fn reset(&self) -> anyhow::Result<()> {
        for control in &self.controls {
            control.clone().reset_calls(ResetCallsRequest {}).await?;
        }
        Ok(())
    }

    /// Lets the people's service be slow, or fail. `Behaviour::default()` is the normal one.
    pub(crate) async fn trouble(&self, behaviour: Behaviour) -> anyhow::Result<()> {
        let [_, people, _] = &self.controls;
        let request = SetBehaviourRequest { method: String::new(), behaviour: Some(behaviour) };
        people.clone().set_behaviour(request).await?;
        Ok(())
    }
}
