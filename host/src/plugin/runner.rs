//! A plugin ready to serve, and the way of one request through it.

use super::{
    CompileError, Runtime,
    backoff::Health,
    bindings::{self, Problem, Request, Response},
    bound::Bound,
    engine::Shared,
    error::PluginError,
    heavy::LIGHT,
    instance::{Blueprint, Instance, State},
    meter::Meter,
    native::Native,
    shelf::Owner,
};
use crate::{
    artifact::{Artifact, Digest, Isolation},
    fanout::Session,
    model::{Deadline, Party},
    observe::Cost,
    settings::ByteSize,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// A reused instance serves between half of this and this many requests: authors can't come to rely on state that stays.
const MOST_REUSES: u32 = 1_000;

/// One loaded plugin version.
pub struct Plugin {
    makings: Arc<Makings>,
    owner: Owner,
    isolation: Isolation,
    health: Health,
    /// Requests of this plugin that may run at the same time: less than all, so that no plugin takes the whole host.
    own_turns: Arc<Semaphore>,
}

/// What its guests are made of, and go on needing wherever they run.
struct Makings {
    blueprint: Blueprint,
    code: Code,
    max_response: Bound<ByteSize>,
}

/// A place among the plugin's own requests, and one among all.
type Turn = [OwnedSemaphorePermit; 2];

/// A guest that was made and has run.
struct Ran {
    /// Outlives the instance: there are as many slots for instances as turns.
    turn: Turn,
    instance: Box<Instance>,
    answer: Result<Answer, PluginError>,
}

/// Under which name the plugin keeps what it has made: with another configuration it is another maker.
fn kept_as(artifact: Digest, overrides: &BTreeMap<String, String>) -> Digest {
    if overrides.is_empty() {
        return artifact;
    }
    Digest::of(format!("{} {overrides:?}", artifact.hex()).as_bytes())
}

/// What runs.
enum Code {
    Component(bindings::PluginPre<State>),
    Native(Arc<dyn Native>),
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin").field("blueprint", &self.makings.blueprint).finish_non_exhaustive()
    }
}

/// One request on its way into a plugin.
#[derive(Debug)]
pub struct Invocation {
    pub request: Request,
    /// For the log, whatever the guest is told.
    pub request_id: String,
    pub session: Session,
    /// For the plugin's own cache; the request holds only what the manifest asks for.
    pub party: Party,
    pub deadline: Deadline,
}

/// What came out, and what it cost.
#[derive(Debug)]
pub struct Answer {
    pub result: Result<Response, Problem>,
    pub cost: Cost,
}

impl Plugin {
    /// Compiles (or finds compiled) and links the artifact. Takes seconds: not for a request's thread.
    pub fn load(
        runtime: &Runtime,
        artifact: &Artifact,
        overrides: &BTreeMap<String, String>,
    ) -> Result<Self, CompileError> {
        static OWNERS: AtomicU64 = AtomicU64::new(0);
        let code = Code::load(runtime, artifact)?;
        let (manifest, ceiling) = (&artifact.manifest, &runtime.shared.config);
        let mut config = manifest.config.clone();
        config.extend(overrides.clone());
        let blueprint = Blueprint {
            shared: runtime.shared.clone(),
            kept_as: kept_as(artifact.digest, overrides),
            name: manifest.name.as_str().into(),
            version: manifest.version.to_string().into(),
            config: Arc::new(config),
            invalidates: manifest.invalidates.clone().into(),
            max_memory: Bound::new("memory", manifest.limits.memory, ceiling.memory),
            max_cpu: Bound::new("cpu", manifest.limits.cpu, ceiling.cpu),
        };
        let share = (f64::from(ceiling.requests) * ceiling.plugin_share).ceil().max(1.0) as usize;
        let max_response = Bound::new("response", manifest.limits.response, ceiling.response);
        Ok(Self {
            makings: Arc::new(Makings { blueprint, code, max_response }),
            owner: OWNERS.fetch_add(1, Relaxed),
            isolation: manifest.limits.isolation,
            health: Health::of(manifest.endpoints.iter().map(|endpoint| endpoint.name.to_string())),
            own_turns: Arc::new(Semaphore::new(share)),
        })
    }

    /// Runs the request. Dropping the future ends the guest and its calls, and the instance with them.
    pub async fn handle(&self, invocation: Invocation) -> Result<Answer, PluginError> {
        let endpoint = self.health.endpoint(&invocation.request.endpoint);
        let start = self.health.start.admit().map_err(PluginError::BackOff)?;
        let endpoint = endpoint.admit().map_err(PluginError::BackOff)?;
        let waiting = Instant::now();
        let deadline = invocation.deadline.instant();
        let turn = tokio::time::timeout_at(deadline, self.turn()).await.map_err(|_| PluginError::NoTurn)??;
        let queued = waiting.elapsed();
        let run = async {
            if let Code::Native(native) = &self.makings.code {
                let _turn = turn;
                return native.handle(invocation).await;
            }
            let (idle, meter) = (self.take_idle(), Arc::<Meter>::default());
            let is_new = idle.is_none();
            let guest = self.makings.clone().serve(turn, idle, invocation, meter.clone());
            let ran = self.shared().aside.run(guest, || meter.spent() > LIGHT).await;
            if is_new {
                self.note(&start, "start", ran.as_ref().err());
            }
            let Ran { turn: _turn, instance, answer } = ran?;
            self.note(&endpoint, "endpoint", answer.as_ref().err());
            let mut answer = answer?;
            answer.cost.queued = queued;
            // Only here is it known to be whole; on every other way it is dropped.
            self.put_idle(instance);
            Ok(answer)
        };
        tokio::time::timeout_at(deadline, run).await.unwrap_or(Err(PluginError::Deadline))
    }

    /// What rests after crashes in a row: `start`, or names of endpoints.
    pub fn resting(&self) -> Vec<String> {
        self.health.resting()
    }

    fn note(&self, part: &super::backoff::Admitted<'_>, what: &str, error: Option<&PluginError>) {
        match error {
            Some(error) if error.is_crash() => {
                if let Some(rest) = part.crashed() {
                    let Blueprint { name, version, .. } = &self.makings.blueprint;
                    tracing::error!(plugin = %name, %version, what, ?rest, "crashes again and again, and is not run for a while: {error}");
                }
            }
            _ => part.went_well(),
        }
    }

    async fn turn(&self) -> Result<Turn, PluginError> {
        let shared = self.shared();
        let (own, all) = (self.own_turns.clone(), shared.permits.clone());
        let both = async { Ok::<_, AcquireError>([own.acquire_owned().await?, all.acquire_owned().await?]) };
        match tokio::time::timeout(shared.config.queue, both).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(PluginError::Busy(shared.config.queue)),
        }
    }

    fn shared(&self) -> &Shared {
        &self.makings.blueprint.shared
    }

    fn take_idle(&self) -> Option<Box<Instance>> {
        (self.isolation == Isolation::Reuse).then(|| self.shared().idle.take(self.owner)).flatten()
    }

    fn put_idle(&self, mut instance: Box<Instance>) {
        if self.isolation == Isolation::Reuse && instance.left > 0 {
            instance.left -= 1;
            self.shared().idle.put(self.owner, instance);
        }
    }
}

impl Makings {
    /// Makes an instance, unless one was idle, and runs the request in it. Fails where none could be made.
    async fn serve(
        self: Arc<Self>,
        turn: Turn,
        idle: Option<Box<Instance>>,
        invocation: Invocation,
        meter: Arc<Meter>,
    ) -> Result<Ran, PluginError> {
        let mut instance = match idle {
            Some(instance) => instance,
            None => Box::new(self.make(&meter).await?),
        };
        let answer = self.run(&mut instance, invocation, &meter).await;
        Ok(Ran { turn, instance, answer })
    }

    async fn make(&self, meter: &Arc<Meter>) -> Result<Instance, PluginError> {
        let Code::Component(component) = &self.code else {
            return Err(PluginError::Start("it runs natively".to_owned()));
        };
        let mut store = self.blueprint.store(meter.clone());
        match meter.run(component.instantiate_async(&mut store)).await {
            Ok(exports) => Ok(Instance { store, exports, left: rand::random_range(MOST_REUSES / 2..MOST_REUSES) }),
            Err(error) => Err(self.blueprint.reason(&error, store.data(), PluginError::Start, self.max_response)),
        }
    }

    async fn run(
        &self,
        instance: &mut Instance,
        invocation: Invocation,
        meter: &Arc<Meter>,
    ) -> Result<Answer, PluginError> {
        let Invocation { request, request_id, session, party, .. } = invocation;
        instance.store.data_mut().begin(&request_id, session, party, meter);
        instance.store.set_epoch_deadline(1);
        let outcome = meter.run(instance.exports.call_handle(&mut instance.store, &request)).await;
        let state = instance.store.data_mut();
        // Calls still under way end with the request.
        state.session = None;
        state.party = Party::Anyone;
        let cost =
            Cost { cpu: meter.spent(), memory: state.limiter.memory(), crossings: state.crossings, ..Cost::default() };
        let result =
            outcome.map_err(|error| self.blueprint.reason(&error, state, PluginError::Trapped, self.max_response))?;
        let size = match &result {
            Ok(response) => response.body.len(),
            Err(problem) => {
                let members: usize = problem.extensions.iter().map(|(name, value)| name.len() + value.len()).sum();
                problem.kind.len() + problem.title.len() + problem.detail.len() + members
            }
        };
        if size > self.max_response.most.as_usize() {
            return Err(PluginError::TooLarge { size: Some(size), limit: self.max_response });
        }
        Ok(Answer { result, cost })
    }
}

impl Code {
    fn load(runtime: &Runtime, artifact: &Artifact) -> Result<Self, CompileError> {
        if let Some(native) = runtime.natives.get(&artifact.manifest.name) {
            return Ok(Self::Native(native));
        }
        let linked = runtime.link(artifact)?;
        let exports = bindings::PluginPre::new(linked).map_err(|error| CompileError::Invalid(format!("{error:#}")))?;
        Ok(Self::Component(exports))
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        self.shared().idle.clear(self.owner);
    }
}
