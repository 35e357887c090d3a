//! A plugin ready to serve, and the way of one request through it.

use super::{
    CompileError,
    background::LIGHT,
    backoff::{Admitted, Health},
    bound::Bound,
    error::PluginError,
    guest::{Answer, Guest, Invocation, Ran, Run, Terms, Turn},
    meter::Meter,
    runtime::Runtime,
};
use crate::{artifact::Artifact, model::Digest, settings::ByteSize};
use std::{collections::BTreeMap, sync::Arc, time::Instant};
use tokio::sync::{AcquireError, Semaphore, TryAcquireError};

/// One loaded plugin version.
pub struct Plugin {
    name: String,
    version: String,
    runtime: Runtime,
    guest: Arc<dyn Guest>,
    max_response: Bound<ByteSize>,
    health: Health,
    /// Requests of this plugin that may run at the same time: less than all, so that no plugin takes the whole host.
    own_turns: Arc<Semaphore>,
    /// Of its streams as well.
    own_streams: Arc<Semaphore>,
}

/// Under which name the plugin keeps what it has made: with another configuration it is another maker.
fn kept_as(artifact: Digest, overrides: &BTreeMap<String, String>) -> Digest {
    if overrides.is_empty() {
        return artifact;
    }
    Digest::of(format!("{} {overrides:?}", artifact.hex()).as_bytes())
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin").field("name", &self.name).field("version", &self.version).finish_non_exhaustive()
    }
}

impl Plugin {
    /// Compiles (or finds compiled) and links the artifact. Takes seconds: not for a request's thread.
    pub fn load(
        runtime: &Runtime,
        artifact: &Artifact,
        overrides: &BTreeMap<String, String>,
    ) -> Result<Self, CompileError> {
        let (manifest, ceiling) = (&artifact.manifest, &runtime.0.config);
        let mut config = manifest.config.clone();
        config.extend(overrides.clone());
        let max_response = Bound::new("response", manifest.limits.response, ceiling.response);
        let terms = Terms {
            config,
            kept_as: kept_as(artifact.digest, overrides),
            max_memory: Bound::new("memory", manifest.limits.memory, ceiling.memory),
            max_cpu: Bound::new("cpu", manifest.limits.cpu, ceiling.cpu),
            max_response,
        };
        let share = |of: u32| (f64::from(of) * ceiling.plugin_share).ceil().max(1.0) as usize;
        Ok(Self {
            name: manifest.name.clone(),
            version: manifest.version.to_string(),
            runtime: runtime.clone(),
            guest: runtime.0.sandbox.load(artifact, terms)?,
            max_response,
            health: Health::of(manifest.endpoints.iter().map(|endpoint| endpoint.name.to_string())),
            own_turns: Arc::new(Semaphore::new(share(ceiling.requests))),
            own_streams: Arc::new(Semaphore::new(share(ceiling.streams))),
        })
    }

    /// Runs the request. Dropping the future ends the guest and its calls, and the instance with them.
    pub async fn handle(&self, invocation: Invocation) -> Result<Answer, PluginError> {
        let endpoint = self.health.endpoint(&invocation.request.endpoint);
        let start = self.health.start.admit().map_err(PluginError::BackOff)?;
        let endpoint = endpoint.admit().map_err(PluginError::BackOff)?;
        let waiting = Instant::now();
        let deadline = invocation.deadline.instant();
        let turn = match invocation.emitter {
            None => tokio::time::timeout_at(deadline, self.turn()).await.map_err(|_| PluginError::NoTurn)??,
            Some(_) => self.stream_turn()?,
        };
        let queued = waiting.elapsed();
        let run = async {
            let meter = Arc::<Meter>::default();
            let guest = self.guest.clone().run(Run { invocation, turn, meter: meter.clone() });
            let ran = self.runtime.0.background.run(guest, || meter.spent() > LIGHT).await;
            if ran.as_ref().map_or(true, |ran| ran.is_new) {
                self.note(&start, "start", ran.as_ref().err());
            }
            let Ran { turn: _turn, instance, answer, .. } = ran?;
            let answer = answer.and_then(|answer| self.bounded(answer));
            self.note(&endpoint, "endpoint", answer.as_ref().err());
            let mut answer = answer?;
            answer.cost.queued = queued;
            // Only here is it known to be whole; on every other way it is dropped.
            instance.put_back();
            Ok(answer)
        };
        tokio::time::timeout_at(deadline, run).await.unwrap_or(Err(PluginError::Deadline))
    }

    /// What rests after crashes in a row: `start`, or names of endpoints.
    pub fn resting(&self) -> Vec<String> {
        self.health.resting()
    }

    fn bounded(&self, answer: Answer) -> Result<Answer, PluginError> {
        let (size, limit) = (answer.size(), self.max_response);
        if size > limit.most().as_usize() {
            return Err(PluginError::TooLarge { size: Some(size), limit });
        }
        Ok(answer)
    }

    fn note(&self, part: &Admitted<'_>, what: &str, error: Option<&PluginError>) {
        match error {
            Some(error) if error.is_crash() => {
                if let Some(rest) = part.crashed() {
                    tracing::error!(plugin = %self.name, version = %self.version, what, ?rest,
                        "crashes again and again, and is not run for a while: {error}");
                }
            }
            _ => part.went_well(),
        }
    }

    /// For an answer that may take for as long as its client likes: none that a request could have.
    fn stream_turn(&self) -> Result<Turn, PluginError> {
        let places = || {
            let own = self.own_streams.clone().try_acquire_owned()?;
            Ok::<_, TryAcquireError>([own, self.runtime.0.streams.clone().try_acquire_owned()?])
        };
        places().map(Turn).map_err(|_| PluginError::NoStream)
    }

    async fn turn(&self) -> Result<Turn, PluginError> {
        let (own, all, queue) = (self.own_turns.clone(), self.runtime.0.permits.clone(), self.runtime.0.config.queue);
        let both = async { Ok::<_, AcquireError>([own.acquire_owned().await?, all.acquire_owned().await?]) };
        match tokio::time::timeout(queue, both).await {
            Ok(Ok(places)) => Ok(Turn(places)),
            _ => Err(PluginError::Busy(queue)),
        }
    }
}
