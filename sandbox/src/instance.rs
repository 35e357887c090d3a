//! One instance of a plugin, and what the host keeps for it.

use super::{
    bindings,
    environment::Environment,
    guest_log::{GuestLog, Pipe},
    idle_pool::{IdlePool, Owner},
    limiter::Limiter,
    shared::Shared,
};
use rand::Rng;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use wasmtime::{Store, StoreContextMut, UpdateDeadline, component::ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use weft_core::{
    artifact::Manifest,
    fanout::Session,
    model::{Digest, Party},
    plugin::{Bound, Emitter, Meter, Reusable, Terms},
    settings::ByteSize,
};

/// Handles (streams, pollables) that one instance may hold.
const MOST_HANDLES: usize = 1_000;
/// Bytes that one crossing may bring from the guest, at least.
const LEAST_FUEL: usize = 8 << 20;
/// Calls beyond the request's bound that fail one by one before the guest is stopped.
const CALLS_TO_FAIL: u32 = 1_000;

/// Why the host stopped a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stop {
    #[error("the guest used up its CPU time")]
    Cpu,
    #[error("the guest crossed into the host more than {0} times")]
    Crossings(u32),
    #[error("the guest started or cancelled more than {0} calls, far beyond what it may have")]
    Calls(u32),
    #[error("the guest's request messages have more than {0} bytes together")]
    Messages(usize),
}

/// What stands behind one instance: all that its imports need.
pub(super) struct State {
    pub(super) shared: Arc<Shared>,
    pub(super) kept_as: Digest,
    pub(super) config: Arc<BTreeMap<String, String>>,
    invalidates: Arc<[String]>,
    pub(super) guest_log: Arc<GuestLog>,
    pub(super) limiter: Limiter,
    pub(super) meter: Arc<Meter>,
    /// The calls of the request that runs now.
    pub(super) session: Option<Session>,
    pub(super) party: Party,
    /// Where its answer leaves in parts.
    pub(super) emitter: Option<Emitter>,
    /// The clock of the plugins' cache when the request began.
    pub(super) since: u64,
    /// What the request has asked for so far.
    pub(super) crossings: u32,
    calls: u32,
    messages: usize,
    max_cpu: Duration,
    wasi: WasiCtx,
    table: ResourceTable,
}

/// One instance of a plugin's component.
pub(super) struct Instance {
    pub(super) store: Store<State>,
    pub(super) exports: bindings::Streaming,
    /// `None`: it serves one request.
    pub(super) home: Option<Home>,
}

/// Where an instance waits for the next request.
pub(super) struct Home {
    pub(super) idle_pool: Arc<IdlePool<Instance>>,
    pub(super) owner: Owner,
    /// Requests that it may still serve.
    pub(super) left: u32,
}

impl Reusable for Instance {
    fn put_back(mut self: Box<Self>) {
        let Some(home) = self.home.as_mut().filter(|home| home.left > 0) else { return };
        home.left -= 1;
        let (idle_pool, owner) = (home.idle_pool.clone(), home.owner);
        idle_pool.put(owner, self);
    }
}

/// What every instance of one plugin is made of.
#[derive(Debug, Clone)]
pub(super) struct Blueprint {
    pub(super) shared: Arc<Shared>,
    pub(super) kept_as: Digest,
    pub(super) name: Arc<str>,
    pub(super) version: Arc<str>,
    pub(super) config: Arc<BTreeMap<String, String>>,
    pub(super) invalidates: Arc<[String]>,
    pub(super) max_memory: Bound<ByteSize>,
    pub(super) max_cpu: Bound<Duration>,
    pub(super) max_response: Bound<ByteSize>,
}

impl State {
    fn new(blueprint: &Blueprint, meter: Arc<Meter>) -> Self {
        let guest_log = GuestLog::new(blueprint.name.clone(), blueprint.version.clone());
        let mut table = ResourceTable::new();
        table.set_max_capacity(MOST_HANDLES);
        Self {
            shared: blueprint.shared.clone(),
            kept_as: blueprint.kept_as,
            config: blueprint.config.clone(),
            invalidates: blueprint.invalidates.clone(),
            limiter: Limiter::new(blueprint.max_memory.most().as_usize()),
            meter,
            session: None,
            party: Party::Anyone,
            emitter: None,
            since: 0,
            crossings: 0,
            calls: 0,
            messages: 0,
            max_cpu: blueprint.max_cpu.most(),
            wasi: wasi(blueprint.shared.environment, &guest_log),
            guest_log,
            table,
        }
    }

    pub(super) fn count_crossing(&mut self) -> wasmtime::Result<()> {
        self.crossings += 1;
        if self.crossings > self.shared.config.crossings {
            return Err(Stop::Crossings(self.shared.config.crossings).into());
        }
        Ok(())
    }

    /// Bounds what one request makes the host keep and go through, whatever becomes of its calls.
    pub(super) fn count_calls(&mut self, calls: usize, bytes: usize) -> wasmtime::Result<()> {
        self.calls = self.calls.saturating_add(u32::try_from(calls).unwrap_or(u32::MAX));
        self.messages = self.messages.saturating_add(bytes);
        // Each may be cancelled once. Those over the request's own bound fail one by one up to here.
        let most = self.session.as_ref().map_or(0, Session::most_calls).saturating_mul(2).saturating_add(CALLS_TO_FAIL);
        if self.calls > most {
            return Err(Stop::Calls(most).into());
        }
        let most = self.shared.config.messages.as_usize();
        if self.messages > most { Err(Stop::Messages(most).into()) } else { Ok(()) }
    }

    /// Whether the manifest lets the plugin invalidate entities with this tag.
    pub(super) fn may_invalidate(&self, tag: &str) -> bool {
        self.invalidates.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => tag.starts_with(prefix),
            None => pattern == tag,
        })
    }

    /// Sets everything back for the next request.
    pub(super) fn begin(
        &mut self,
        request_id: &str,
        session: Session,
        (party, emitter): (Party, Option<Emitter>),
        meter: &Arc<Meter>,
    ) {
        self.meter = meter.clone();
        self.guest_log.begin(request_id, self.shared.config.log.as_usize());
        (self.crossings, self.calls, self.messages) = (0, 0, 0);
        self.limiter.refused = false;
        self.since = self.shared.cache.now();
        self.session = Some(session);
        self.party = party;
        self.emitter = emitter;
    }

    fn check_cpu(&self) -> wasmtime::Result<()> {
        if self.meter.spent() > self.max_cpu {
            return Err(Stop::Cpu.into());
        }
        Ok(())
    }
}

/// WASI with nothing granted: no files, no network, no environment.
fn wasi(environment: Environment, guest_log: &Arc<GuestLog>) -> WasiCtx {
    let mut random = environment.random();
    let seed = u128::from(random.next_u64()) << 64 | u128::from(random.next_u64());
    WasiCtxBuilder::new()
        .stdout(Pipe::new(guest_log, tracing::Level::INFO))
        .stderr(Pipe::new(guest_log, tracing::Level::WARN))
        .wall_clock(environment.clock())
        .monotonic_clock(environment.clock())
        .insecure_random(environment.random())
        .insecure_random_seed(seed)
        .secure_random(random)
        .max_random_size(64 << 10)
        .build()
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl Blueprint {
    pub(super) fn new(shared: Arc<Shared>, manifest: &Manifest, terms: Terms) -> Self {
        let Terms { config, kept_as, max_memory, max_cpu, max_response } = terms;
        Self {
            shared,
            kept_as,
            name: manifest.name.as_str().into(),
            version: manifest.version.to_string().into(),
            config: Arc::new(config),
            invalidates: manifest.invalidates.clone().into(),
            max_memory,
            max_cpu,
            max_response,
        }
    }

    /// A store whose guest is metered and limited from its first instruction on.
    pub(super) fn store(&self, meter: Arc<Meter>) -> Store<State> {
        let mut store = Store::new(&self.shared.engine, State::new(self, meter));
        store.limiter(|state| &mut state.limiter);
        let config = &self.shared.config;
        let largest = config.response.as_usize().max(config.message.as_usize()).max(LEAST_FUEL);
        store.set_hostcall_fuel(largest + (1 << 20));
        store.set_max_component_handles(MOST_HANDLES);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|context| on_epoch(&context));
        store
    }
}

fn on_epoch(context: &StoreContextMut<'_, State>) -> wasmtime::Result<UpdateDeadline> {
    let state = context.data();
    state.check_cpu()?;
    // tokio's own yield goes to the back of the queue; a plain one would be polled again at once.
    Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").finish_non_exhaustive()
    }
}
