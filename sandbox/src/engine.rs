//! The serving engines, shared by all plugins: one for guests as they usually are, made with the host, and one for large ones, which bring an
//! interpreter, made when the first of them loads. So nobody pays for what only they need.

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
use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};
use wasmtime::{
    Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
    component::{self, Linker},
};
use weft_core::{
    artifact::{Artifact, Isolation},
    model::Digest,
    plugin::{self, CompileError, Compiling, Config, Guest, Sandbox, Terms},
    sync::lock,
};

/// How often running guests are interrupted to yield and to have their CPU time looked at.
const TICK: Duration = Duration::from_millis(2);
/// Memory of a slot that stays mapped between two instances: what a component of the SDK begins with. More than that would be kept for
/// good, and out of everybody's reach, by each slot in which a guest that needs more has been, and in time that is each slot.
const KEEP_RESIDENT: usize = 1 << 18;

/// Memory with which a large guest begins, at least.
const LARGE: u64 = 1 << 20;
/// Stack of a large guest: an interpreter takes several frames for each of its program's.
const LARGE_STACK: usize = 1 << 20;

/// Runs plugins as components: memory, CPU time and everything that they ask of the host is bounded.
pub struct Wasm {
    usual: Arc<House>,
    large: Mutex<Option<Arc<House>>>,
    /// Instances that have served and may serve again.
    idle: Arc<IdlePool<Instance>>,
    compiling: Compiling,
}

impl std::fmt::Debug for Wasm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wasm").field("compiling", &self.compiling).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    Usual,
    Large,
}

impl Size {
    fn of(component: &component::Component) -> Self {
        let memory = component.resources_required().and_then(|required| required.max_initial_memory_size);
        if memory.is_some_and(|bytes| bytes >= LARGE) { Self::Large } else { Self::Usual }
    }
}

fn pool(config: &Config, size: Size) -> PoolingAllocationConfig {
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
        // A large guest's memory begins with a stack of which it uses the far end: nothing is gained by keeping that.
        .linear_memory_keep_resident(if size == Size::Large { 0 } else { KEEP_RESIDENT })
        .table_keep_resident(64 << 10)
        .max_unused_warm_slots(100);
    pool
}

/// An engine, and how components get what they import in it.
struct House {
    shared: Arc<Shared>,
    linker: Linker<State>,
}

impl House {
    fn new(
        size: Size,
        config: Config,
        environment: Environment,
        cache: Arc<PluginCache>,
    ) -> Result<Self, wasmtime::Error> {
        let mut settings = configuration();
        settings.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(&config, size)));
        if size == Size::Large {
            settings.max_wasm_stack(LARGE_STACK).async_stack_size(LARGE_STACK + (512 << 10));
        }
        let engine = Engine::new(&settings)?;
        tick(&engine);
        let linker = linker(&engine)?;
        Ok(Self { shared: Arc::new(Shared { engine, config, environment, cache }), linker })
    }
}

impl Wasm {
    /// `compiling` says where compiled code is kept, and what makes it.
    pub fn new(config: Config, environment: Environment, compiling: Compiling) -> Result<Self, String> {
        let cache = Arc::new(PluginCache::new(config.plugin_cache.0));
        let idle = Arc::new(IdlePool::new(config.idle as usize));
        let usual = House::new(Size::Usual, config, environment, cache)
            .map_err(|error| format!("the sandbox can't be set up: {error:#}"))?;
        Ok(Self { usual: Arc::new(usual), large: Mutex::new(None), idle, compiling })
    }

    /// The engine for large guests, made now if there is none yet.
    fn large(&self) -> Result<Arc<House>, CompileError> {
        let mut large = lock(&self.large);
        if let Some(house) = &*large {
            return Ok(house.clone());
        }
        let Shared { config, environment, cache, .. } = &*self.usual.shared;
        let house = House::new(Size::Large, config.clone(), *environment, cache.clone()).map_err(|error| {
            CompileError::Invalid(format!("the sandbox for large guests can't be set up: {error:#}"))
        })?;
        Ok(large.insert(Arc::new(house)).clone())
    }

    /// The file of the artifact's compiled code, which is made first if it is not there. Code is the same for all engines.
    fn compiled_file(&self, artifact: &Artifact) -> Result<PathBuf, CompileError> {
        plugin::compiled_file(artifact, &self.compiling, number(&self.usual.shared.engine), compile)
    }
}

impl Sandbox for Wasm {
    fn load(&self, artifact: &Artifact, terms: Terms) -> Result<Arc<dyn Guest>, CompileError> {
        let file = self.compiled_file(artifact)?;
        let mut house = self.usual.clone();
        let mut component = load::map(&house.shared.engine, &file).map_err(|error| invalid(&error))?;
        if Size::of(&component) == Size::Large {
            house = self.large()?;
            component = load::map(&house.shared.engine, &file).map_err(|error| invalid(&error))?;
        }
        // Done now, so that the first request doesn't pay for it.
        component.initialize_copy_on_write_image().map_err(|error| invalid(&error))?;
        let linked = house.linker.instantiate_pre(&component).map_err(|error| invalid(&error))?;
        let exports = bindings::StreamingPre::new(linked).map_err(|error| invalid(&error))?;
        let idle = (artifact.manifest.limits.isolation == Isolation::Reuse).then(|| self.idle.clone());
        let blueprint = Blueprint::new(house.shared.clone(), &artifact.manifest, terms);
        Ok(Arc::new(Component::new(blueprint, exports, idle)))
    }

    fn compile(&self, artifact: &Artifact) -> Result<(), CompileError> {
        self.compiled_file(artifact).map(drop)
    }

    fn has_compiled(&self, artifact: Digest) -> bool {
        plugin::is_compiled(artifact, &self.compiling, number(&self.usual.shared.engine))
    }
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    bindings::Streaming::add_to_linker::<_, component::HasSelf<State>>(&mut linker, |state| state)?;
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
