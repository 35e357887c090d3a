//! A plugin ready to serve, and the way of one request through it.

use super::{
    CompileError, Runtime,
    bindings::{self, Problem, Request, Response},
    engine::Shared,
    instance::{Blueprint, Instance, Stop},
    native::Native,
};
use crate::{
    artifact::{Artifact, Isolation},
    fanout::Session,
    model::{Deadline, Identity},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};

/// A reused instance serves between half of this and this many requests: authors can't come to rely on state that stays.
const MOST_REUSES: u32 = 1_000;

/// One loaded plugin version.
pub struct Plugin {
    blueprint: Blueprint,
    code: Code,
    isolation: Isolation,
    max_response: usize,
    /// Requests of this plugin that may run at the same time: less than all, so that no plugin takes the whole host.
    own_turns: Semaphore,
    idle: Mutex<Vec<Instance>>,
}

/// What runs.
enum Code {
    Component(bindings::PluginPre<super::instance::State>),
    Native(Arc<dyn Native>),
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin").field("blueprint", &self.blueprint).finish_non_exhaustive()
    }
}

/// One request on its way into a plugin.
#[derive(Debug)]
pub struct Invocation {
    pub request: Request,
    pub session: Session,
    /// For the plugin's own cache; the request holds only what the manifest asks for.
    pub identity: Option<Arc<Identity>>,
    pub deadline: Deadline,
}

/// What came out, and what it cost.
#[derive(Debug)]
pub struct Answer {
    pub result: Result<Response, Problem>,
    pub cpu: Duration,
    /// Bytes of linear memory at the end.
    pub memory: usize,
}

/// Why a plugin gave no answer. None of it harms another request.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    #[error("the host is full: no turn came within {0:?}")]
    Busy(Duration),
    #[error("the plugin can't be started: {0}")]
    Start(String),
    #[error("the plugin trapped: {0}")]
    Trapped(String),
    #[error("the plugin needs more than its {0} bytes of memory")]
    Memory(usize),
    #[error("the plugin used up its CPU time of {0:?}")]
    Cpu(Duration),
    #[error("the request's time is over")]
    Deadline,
    #[error("the response has {size} bytes and may have {limit}")]
    TooLarge { size: usize, limit: usize },
}

impl Plugin {
    /// Compiles (or finds compiled) and links the artifact. Takes seconds: not for a request's thread.
    pub fn load(
        runtime: &Runtime,
        artifact: &Artifact,
        overrides: &BTreeMap<String, String>,
    ) -> Result<Self, CompileError> {
        let code = Code::load(runtime, artifact)?;
        let (manifest, ceiling) = (&artifact.manifest, &runtime.shared.config);
        let mut config = manifest.config.clone();
        config.extend(overrides.clone());
        let blueprint = Blueprint {
            shared: runtime.shared.clone(),
            artifact: artifact.digest,
            name: manifest.name.as_str().into(),
            version: manifest.version.to_string().into(),
            config: Arc::new(config),
            invalidates: manifest.invalidates.clone().into(),
            max_memory: manifest.limits.memory.min(ceiling.memory).as_usize(),
            max_cpu: manifest.limits.cpu.min(ceiling.cpu),
        };
        let share = (f64::from(ceiling.requests) * ceiling.plugin_share).ceil().max(1.0) as usize;
        let max_response = manifest.limits.response.min(ceiling.response).as_usize();
        Ok(Self {
            blueprint,
            code,
            isolation: manifest.limits.isolation,
            max_response,
            own_turns: Semaphore::new(share),
            idle: Mutex::default(),
        })
    }

    /// Runs the request. Dropping the future ends the guest and its calls, and the instance with them.
    pub async fn handle(&self, invocation: Invocation) -> Result<Answer, PluginError> {
        let _turn = self.turn().await?;
        let deadline = invocation.deadline.instant();
        let run = async {
            let component = match &self.code {
                Code::Component(component) => component,
                Code::Native(native) => return native.handle(invocation).await,
            };
            let mut instance = match self.take_idle() {
                Some(instance) => instance,
                None => self.instantiate(component).await?,
            };
            let answer = self.run(&mut instance, invocation).await?;
            // Only here is it known to be whole; on every other way it is dropped.
            self.put_idle(instance);
            Ok(answer)
        };
        tokio::time::timeout_at(deadline, run).await.unwrap_or(Err(PluginError::Deadline))
    }

    /// A turn among the plugin's own requests, then one among all.
    async fn turn(&self) -> Result<[SemaphorePermit<'_>; 2], PluginError> {
        let shared = self.shared();
        let both = async { Ok::<_, AcquireError>([self.own_turns.acquire().await?, shared.permits.acquire().await?]) };
        match tokio::time::timeout(shared.config.queue, both).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(PluginError::Busy(shared.config.queue)),
        }
    }

    fn shared(&self) -> &Shared {
        &self.blueprint.shared
    }

    async fn instantiate(
        &self,
        component: &bindings::PluginPre<super::instance::State>,
    ) -> Result<Instance, PluginError> {
        let mut store = self.blueprint.store();
        match component.instantiate_async(&mut store).await {
            Ok(exports) => Ok(Instance { store, exports, left: rand::random_range(MOST_REUSES / 2..MOST_REUSES) }),
            Err(error) if store.data().limiter.refused => {
                Err(PluginError::Memory(self.blueprint.max_memory).tap(&error))
            }
            Err(error) => Err(stopped(&error).unwrap_or_else(|| PluginError::Start(format!("{error:?}")))),
        }
    }

    async fn run(&self, instance: &mut Instance, invocation: Invocation) -> Result<Answer, PluginError> {
        let Invocation { request, session, identity, .. } = invocation;
        instance.store.data_mut().begin(&request.request_id, session, identity);
        instance.store.set_epoch_deadline(1);
        let outcome = instance.exports.call_handle(&mut instance.store, &request).await;
        let state = instance.store.data_mut();
        // Calls still under way end with the request.
        state.session = None;
        state.identity = None;
        let (cpu, memory) = (state.meter.spent(), state.limiter.memory());
        let result = match outcome {
            Ok(result) => result,
            Err(error) if state.limiter.refused => {
                return Err(PluginError::Memory(self.blueprint.max_memory).tap(&error));
            }
            Err(error) => return Err(stopped(&error).unwrap_or_else(|| PluginError::Trapped(format!("{error:?}")))),
        };
        match &result {
            Ok(response) if response.body.len() > self.max_response => {
                Err(PluginError::TooLarge { size: response.body.len(), limit: self.max_response })
            }
            _ => Ok(Answer { result, cpu, memory }),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Instance>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_idle(&self) -> Option<Instance> {
        if self.isolation == Isolation::Request {
            return None;
        }
        let instance = self.idle().pop()?;
        self.shared().idle.fetch_sub(1, Relaxed);
        Some(instance)
    }

    fn put_idle(&self, mut instance: Instance) {
        if self.isolation == Isolation::Request || instance.left == 0 {
            return;
        }
        instance.left -= 1;
        let most = self.shared().config.idle as usize;
        if self.shared().idle.fetch_add(1, Relaxed) < most {
            self.idle().push(instance);
        } else {
            self.shared().idle.fetch_sub(1, Relaxed);
        }
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
        let count = self.idle().len();
        self.shared().idle.fetch_sub(count, Relaxed);
    }
}

impl PluginError {
    /// The trap that follows a refused growth says nothing of memory; it is logged for what it may say of the place.
    fn tap(self, error: &impl std::fmt::Debug) -> Self {
        tracing::debug!("trap after a refused growth: {error:?}");
        self
    }

    /// A word for metrics and problem documents.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Busy(_) => "busy",
            Self::Start(_) => "plugin-start",
            Self::Trapped(_) => "plugin-trapped",
            Self::Memory(_) => "plugin-memory",
            Self::Cpu(_) => "plugin-cpu",
            Self::Deadline => "deadline",
            Self::TooLarge { .. } => "plugin-response-too-large",
        }
    }
}

fn stopped(error: &wasmtime::Error) -> Option<PluginError> {
    match error.downcast_ref::<Stop>()? {
        Stop::Cpu(limit) => Some(PluginError::Cpu(*limit)),
        stop @ Stop::Crossings(_) => Some(PluginError::Trapped(stop.to_string())),
    }
}
