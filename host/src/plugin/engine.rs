//! The serving engine: one for the process, made once, shared by all plugins.

use super::{
    Compiling, Config, Senses,
    bindings::{self, describer::Describer},
    cache::PluginCache,
    compile::{
        self, CompileError,
        marker::{Marker, Marks},
    },
    heavy::Aside,
    instance::State,
    limiter::{MOST_INSTANCES, MOST_MEMORIES, MOST_TABLES},
    load,
    native::Natives,
    shelf::Shelf,
};
use crate::artifact::{Artifact, Digest};
use std::{
    num::NonZeroUsize,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::sync::Semaphore;
use wasmtime::{
    Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Store,
    component::{Component, InstancePre, Linker, ResourceTable},
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// How often running guests are interrupted to yield and to have their CPU time looked at.
const TICK: Duration = Duration::from_millis(2);
/// Memory of a slot that stays mapped between two instances: what a component of the SDK begins with. More than that would be kept for
/// good, and out of everybody's reach, by each slot in which a guest that needs more has been, and in time that is each slot.
const KEEP_RESIDENT: usize = 1 << 18;

/// What all instances share.
pub(super) struct Shared {
    pub(super) engine: Engine,
    pub(super) config: Config,
    pub(super) senses: Senses,
    pub(super) cache: PluginCache,
    /// Requests that may run at the same time.
    pub(super) permits: Arc<Semaphore>,
    /// Instances that have served and may serve again.
    pub(super) idle: Shelf,
    /// Where guests that compute for long go on.
    pub(super) aside: Aside,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Loads and runs plugins.
#[derive(Clone)]
pub struct Runtime {
    pub(super) shared: Arc<Shared>,
    linker: Linker<State>,
    compiling: Compiling,
    marks: Marks,
    /// It was said that loads can't be marked.
    is_unmarked: Arc<AtomicBool>,
    pub(super) natives: Natives,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").field("compiling", &self.compiling).finish_non_exhaustive()
    }
}

/// What makes code compatible with the serving engine.
pub(super) fn configuration() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        .concurrency_support(false)
        .memory_init_cow(true)
        .native_unwind_info(false)
        .wasm_backtrace_max_frames(NonZeroUsize::new(20))
        .max_wasm_stack(512 << 10)
        .async_stack_size(1 << 20)
        .wasm_memory64(false)
        .wasm_tail_call(false)
        .wasm_relaxed_simd(false);
    config
}

fn pool(config: &Config) -> PoolingAllocationConfig {
    let slots = config.requests + config.idle;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_core_instances(slots * MOST_INSTANCES)
        .total_memories(slots * MOST_MEMORIES)
        .total_tables(slots * MOST_TABLES)
        .total_stacks(slots)
        .max_memory_size(config.memory.as_usize())
        .table_elements(20_000)
        .max_core_instances_per_component(MOST_INSTANCES)
        .max_memories_per_component(MOST_MEMORIES)
        .max_tables_per_component(MOST_TABLES)
        .max_component_instance_size(2 << 20)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(64 << 10)
        .max_unused_warm_slots(100);
    pool
}

impl Runtime {
    pub fn new(config: Config, senses: Senses, compiling: Compiling) -> Result<Self, String> {
        let mut settings = configuration();
        settings.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(&config)));
        let engine = Engine::new(&settings).map_err(|error| format!("the sandbox can't be set up: {error:#}"))?;
        tick(&engine);
        let linker = linker(&engine).map_err(|error| format!("the sandbox can't be linked: {error:#}"))?;
        let cache = PluginCache::new(config.plugin_cache.0);
        let permits = Arc::new(Semaphore::new(config.requests as usize));
        let idle = Shelf::new(config.idle as usize);
        let aside = Aside::new().map_err(|error| format!("threads can't be started: {error}"))?;
        let shared = Shared { engine, config, senses, cache, permits, idle, aside };
        let (marks, is_unmarked, natives) = Default::default();
        Ok(Self { shared: Arc::new(shared), linker, compiling, marks, is_unmarked, natives })
    }

    /// Plugins of these names run natively instead of in the sandbox. For benches.
    #[must_use]
    pub fn with_natives(mut self, natives: Natives) -> Self {
        self.natives = natives;
        self
    }

    /// Compiles the artifact, or finds it compiled, and links it. Takes seconds: not for a request's thread.
    pub(super) fn link(&self, artifact: &Artifact) -> Result<InstancePre<State>, CompileError> {
        let file = compile::compiled_file(artifact, &self.compiling, &self.shared.engine)?;
        let invalid = |error: wasmtime::Error| CompileError::Invalid(format!("{error:#}"));
        let component = load::map(&self.shared.engine, &file).map_err(invalid)?;
        self.linker.instantiate_pre(&component).map_err(invalid)
    }

    /// Whether the artifact was read and compiled before, so that loading it takes no time.
    pub fn has_compiled(&self, artifact: Digest) -> bool {
        compile::is_compiled(artifact, &self.compiling, &self.shared.engine)
    }

    /// Makes sure that the artifact is compiled, unless it runs natively. Takes seconds: not for a request's thread.
    pub fn compile(&self, artifact: &Artifact) -> Result<(), CompileError> {
        if self.natives.get(&artifact.manifest.name).is_none() {
            compile::compiled_file(artifact, &self.compiling, &self.shared.engine)?;
        }
        Ok(())
    }

    /// Has the artifact read by a process whose end costs nobody anything. Not for a request's thread.
    pub fn read_apart(&self, artifact: &[u8]) -> Result<(), CompileError> {
        compile::helper::read_apart(&self.compiling, artifact)
    }

    /// Whether a host has died while it loaded this artifact, and nobody has loaded it since.
    pub fn has_died_of(&self, artifact: Digest) -> bool {
        compile::marker::has_died(&self.compiling.folder, artifact)
    }

    /// To be held while the artifact is loaded. Where nothing can be written there is none, and the load goes on without.
    pub fn mark(&self, artifact: Digest) -> Result<Option<Marker>, CompileError> {
        match self.marks.begin(&self.compiling.folder, artifact) {
            Err(error) if error.is_hosts() => {
                if !self.is_unmarked.swap(true, Relaxed) {
                    tracing::warn!(
                        "should an artifact end the host while it is loaded, that will not be remembered: {error}"
                    );
                }
                Ok(None)
            }
            marked => marked,
        }
    }

    /// The host is about to end, and what is being loaded may not come to its own end.
    pub fn forget_loads(&self) {
        self.marks.take_back();
    }

    /// Artifacts that may be compiled at once.
    pub fn compilers(&self) -> usize {
        self.compiling.at_once()
    }

    /// Requests that run in guests now.
    pub fn requests_under_way(&self) -> usize {
        (self.shared.config.requests as usize).saturating_sub(self.shared.permits.available_permits())
    }
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    bindings::Plugin::add_to_linker::<_, wasmtime::component::HasSelf<State>>(&mut linker, |state| state)?;
    Ok(linker)
}

/// Ticks from a thread of the operating system: a busy async runtime must not delay what keeps guests from hogging it.
fn tick(engine: &Engine) {
    let engine = engine.weak();
    std::thread::spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    });
}

/// A guest that only describes itself: it may import WASI, and nothing is granted.
struct Description {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Description {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Runs the `describe` export of a component of world `describer`.
pub async fn describe(component: &Path) -> Result<String, String> {
    let run = async {
        let mut settings = wasmtime::Config::new();
        settings.concurrency_support(false).cranelift_opt_level(OptLevel::None);
        let engine = Engine::new(&settings)?;
        let component = Component::from_file(&engine, component)?;
        let mut linker = Linker::<Description>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        let state = Description { wasi: WasiCtx::builder().inherit_stderr().build(), table: ResourceTable::new() };
        let mut store = Store::new(&engine, state);
        let describer = Describer::instantiate_async(&mut store, &component, &linker).await?;
        describer.call_describe(&mut store).await
    };
    run.await.map_err(|error: wasmtime::Error| format!("{error:#}"))
}
