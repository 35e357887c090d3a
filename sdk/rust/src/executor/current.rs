//! The request that runs on this thread, for the span of one turn: how futures reach their executor without carrying a handle.

use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::calls::Calls;
use super::task::Spawned;
use super::timers::Timers;
use crate::host::Access;
use crate::log::Level;

/// All of a request that its futures may touch.
pub(crate) struct Core {
    /// Tells this request's futures from those that an earlier request left in a static.
    pub(crate) id: u64,
    pub(crate) calls: Calls,
    pub(crate) timers: Timers,
    pub(crate) depth: Depth,
    /// Spawned in this turn, not yet adopted by the executor.
    pub(crate) spawned: Vec<Spawned>,
    #[cfg_attr(target_family = "wasm", expect(dead_code, reason = "imports need no handle"))]
    pub(crate) host: Access,
    /// The host's log level, asked for once in a request.
    pub(crate) log_level: Option<Level>,
    /// Whether the host records the request, asked for once in it.
    pub(crate) recorded: Option<bool>,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, calls, timers, depth, spawned, .. } = self;
        f.debug_struct("Core")
            .field("id", id)
            .field("calls", calls)
            .field("timers", timers)
            .field("depth", depth)
            .field("spawned", spawned)
            .finish_non_exhaustive()
    }
}

impl Core {
    pub(crate) fn new(host: Access) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            calls: Calls::default(),
            timers: Timers::default(),
            depth: Depth::default(),
            spawned: Vec::new(),
            host,
            log_level: None,
            recorded: None,
        }
    }
}

/// How deep the task that is being polled has come.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Depth {
    /// Of the completion observed last in this poll.
    latest: Option<u16>,
    /// Of the deepest completion that the task has ever observed.
    pub(crate) deepest: u16,
}

impl Depth {
    /// At the beginning of a poll.
    pub(crate) fn resume(deepest: u16) -> Self {
        Self { latest: None, deepest }
    }

    pub(crate) fn observe(&mut self, depth: u16) {
        self.latest = Some(depth);
        self.deepest = self.deepest.max(depth);
    }

    /// What is started now has waited for a chain this long.
    pub(crate) fn now(self) -> u16 {
        self.latest.unwrap_or(self.deepest)
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Box<Core>>> = const { RefCell::new(None) };
}

/// Runs `f` on the current request; `None` outside of one. `f` must not run foreign code (wakers and drops of futures included).
pub(crate) fn with<T>(f: impl FnOnce(&mut Core) -> T) -> Option<T> {
    CURRENT.try_with(|current| current.try_borrow_mut().ok()?.as_deref_mut().map(f)).ok().flatten()
}

/// As [`with`], but only if the current request is `id`.
pub(crate) fn with_request<T>(id: u64, f: impl FnOnce(&mut Core) -> T) -> Option<T> {
    with(|core| (core.id == id).then(|| f(core))).flatten()
}

/// Makes a core current until dropped, also when a poll panics.
#[derive(Debug)]
pub(crate) struct Entered<'a> {
    home: &'a mut Option<Box<Core>>,
    outer: Option<Box<Core>>,
}

impl<'a> Entered<'a> {
    pub(crate) fn new(home: &'a mut Option<Box<Core>>) -> Self {
        let outer = CURRENT.with(|current| current.replace(home.take()));
        Self { home, outer }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let outer = self.outer.take();
        *self.home = CURRENT.with(|current| current.replace(outer));
    }
}
