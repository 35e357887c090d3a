//! A plugin's component, and the way of one request through an instance of it.

use super::{
    bindings,
    idle_pool::{IdlePool, Owner},
    instance::{Blueprint, Home, Instance, State},
};
use futures_util::future::BoxFuture;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use weft_core::{
    model::Party,
    plugin::{Answer, Cost, Guest, Invocation, Meter, PluginError, Ran, Run},
};

/// A reused instance serves between half of this and this many requests: authors can't come to rely on state that stays.
const MOST_REUSES: u32 = 1_000;

/// What one plugin's guests are made of, and go on needing wherever they run.
pub(super) struct Component {
    blueprint: Blueprint,
    exports: bindings::StreamingPre<State>,
    owner: Owner,
    /// Where instances wait that may serve again; `None` where each serves one request.
    idle: Option<Arc<IdlePool<Instance>>>,
}

impl Component {
    pub(super) fn new(
        blueprint: Blueprint,
        exports: bindings::StreamingPre<State>,
        idle: Option<Arc<IdlePool<Instance>>>,
    ) -> Self {
        static OWNERS: AtomicU64 = AtomicU64::new(0);
        Self { blueprint, exports, owner: OWNERS.fetch_add(1, Relaxed), idle }
    }

    async fn make(&self, meter: &Arc<Meter>) -> Result<Instance, PluginError> {
        let mut store = self.blueprint.store(meter.clone());
        match meter.run(self.exports.instantiate_async(&mut store)).await {
            Ok(exports) => Ok(Instance { store, exports, home: self.home() }),
            Err(error) => Err(self.blueprint.reason(&error, store.data(), PluginError::Start)),
        }
    }

    fn home(&self) -> Option<Home> {
        let left = || rand::random_range(MOST_REUSES / 2..MOST_REUSES);
        self.idle.as_ref().map(|idle_pool| Home { idle_pool: idle_pool.clone(), owner: self.owner, left: left() })
    }

    async fn serve(
        &self,
        instance: &mut Instance,
        invocation: Invocation,
        meter: &Arc<Meter>,
    ) -> Result<Answer, PluginError> {
        let Invocation { request, request_id, session, party, emitter, .. } = invocation;
        let request = bindings::Request::from(request);
        instance.store.data_mut().begin(&request_id, session, (party, emitter), meter);
        instance.store.set_epoch_deadline(1);
        let outcome = meter.run(instance.exports.call_handle(&mut instance.store, &request)).await;
        let state = instance.store.data_mut();
        // Calls still under way end with the request.
        state.session = None;
        state.emitter = None;
        state.party = Party::Anyone;
        let cost =
            Cost { cpu: meter.spent(), memory: state.limiter.memory(), crossings: state.crossings, ..Cost::default() };
        let result = outcome.map_err(|error| self.blueprint.reason(&error, state, PluginError::Trapped))?;
        let result = result.map(Into::into).map_err(Into::into);
        Ok(Answer { result, cost })
    }
}

impl Guest for Component {
    /// Makes an instance, unless one was idle, and runs the request in it.
    fn run(self: Arc<Self>, run: Run) -> BoxFuture<'static, Result<Ran, PluginError>> {
        Box::pin(async move {
            let Run { invocation, turn, meter } = run;
            let idle = self.idle.as_ref().and_then(|idle_pool| idle_pool.take(self.owner));
            let is_new = idle.is_none();
            let mut instance = match idle {
                Some(instance) => instance,
                None => Box::new(self.make(&meter).await?),
            };
            let answer = self.serve(&mut instance, invocation, &meter).await;
            Ok(Ran { is_new, answer, instance, turn })
        })
    }
}

impl Drop for Component {
    fn drop(&mut self) {
        if let Some(idle_pool) = &self.idle {
            idle_pool.clear(self.owner);
        }
    }
}
