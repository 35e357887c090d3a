//! The serving engine: one for the process, made once, shared by all plugins.

use super::{
    bindings,
    cache::PluginCache,
    compile::{compile, configuration, invalid, number},
    environment::Environment,
    guest::Component,
    idle_pool::IdlePool,
    instance::{Blueprint, Instance, State},
    limiter::{MOST_INSTANCES, MOST_MEMORIES, MOST_TABLES},
    load,
    shared::Shared,
};
use std::{path::PathBuf, sync::Arc, time::Duration};
use wasmtime::{Engine, InstanceAllocationStrategy, PoolingAllocationConfig, component::Linker};
use weft_core::{
    artifact::{Artifact, Isolation},
    model::Digest,
    plugin::{self, CompileError, Compiling, Config, Guest, Sandbox, Terms},
};

/// How often running guests are interrupted to yield and to have their CPU time looked at.
const TICK: Duration = Duration::from_millis(2);
/// Memory of a slot that stays mapped between two instances: what a component of the SDK begins with. More than that would be kept for
/// good, and out of everybody's reach, by each slot in which a guest that needs more has been, and in time that is each slot.
const KEEP_RESIDENT: usize = 1 << 18;

/// Runs plugins as components: memory, CPU time and everything that they ask of the host is bounded.
pub struct Wasm {
    shared: Arc<Shared>,
    linker: Linker<State>,
    /// Instances that have served and may serve again.
    idle: Arc<IdlePool<Instance>>,
    compiling: Compiling,
}

impl std::fmt::Debug for Wasm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wasm").field("compiling", &self.compiling).finish_non_exhaustive()
    }
}

fn pool(config: &Config) -> PoolingAllocationConfig {
    let slots = config.requests + config.streams + config.idle;
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

impl Wasm {
    /// `compiling` says where compiled code is kept, and what makes it.
    pub fn new(config: Config, environment: Environment, compiling: Compiling) -> Result<Self, String> {
        let mut settings = configuration();
        settings.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(&config)));
        let engine = Engine::new(&settings).map_err(|error| format!("the sandbox can't be set up: {error:#}"))?;
        tick(&engine);
        let linker = linker(&engine).map_err(|error| format!("the sandbox can't be linked: {error:#}"))?;
        let cache = PluginCache::new(config.plugin_cache.0);
        let idle = Arc::new(IdlePool::new(config.idle as usize));
        let shared = Arc::new(Shared { engine, config, environment, cache });
        Ok(Self { shared, linker, idle, compiling })
    }

    /// The file of the artifact's compiled code, which is made first if it is not there.
    fn compiled_file(&self, artifact: &Artifact) -> Result<PathBuf, CompileError> {
        plugin::compiled_file(artifact, &self.compiling, number(&self.shared.engine), compile)
    }
}

impl Sandbox for Wasm {
    fn load(&self, artifact: &Artifact, terms: Terms) -> Result<Arc<dyn Guest>, CompileError> {
        let file = self.compiled_file(artifact)?;
        let component = load::map(&self.shared.engine, &file).map_err(|error| invalid(&error))?;
        let linked = self.linker.instantiate_pre(&component).map_err(|error| invalid(&error))?;
        let exports = bindings::StreamingPre::new(linked).map_err(|error| invalid(&error))?;
        let idle = (artifact.manifest.limits.isolation == Isolation::Reuse).then(|| self.idle.clone());
        let blueprint = Blueprint::new(self.shared.clone(), &artifact.manifest, terms);
        Ok(Arc::new(Component::new(blueprint, exports, idle)))
    }

    fn compile(&self, artifact: &Artifact) -> Result<(), CompileError> {
        self.compiled_file(artifact).map(drop)
    }

    fn has_compiled(&self, artifact: Digest) -> bool {
        plugin::is_compiled(artifact, &self.compiling, number(&self.shared.engine))
    }
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    bindings::Streaming::add_to_linker::<_, wasmtime::component::HasSelf<State>>(&mut linker, |state| state)?;
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
