//! Counts every call of a service, remembers what came with it, and makes the service misbehave on demand.
//!
//! One [`Watched`] around the whole gRPC service does this for all its methods; no handler knows of it. Tests of the same
//! process hold the [`Control`]; others reach it as `demo.v1.Control` on the service's own port.

mod rpc;
mod watched;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use tokio::sync::watch;
use tonic::Code;
use tonic::metadata::MetadataMap;

pub use crate::proto::demo::v1::Behaviour;
use crate::proto::{self, demo};
use crate::service::Service;
pub use watched::Watched;

/// So many calls' metadata is kept for each method.
pub const KEPT: usize = 100;

/// The eyes and levers of one running service. Clones are the same control.
#[derive(Clone, Debug)]
pub struct Control {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    service: Service,
    /// By full name. Methods that the proto doesn't have are not counted, so strangers can't make this grow.
    methods: HashMap<&'static str, Mutex<Method>>,
    closing: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Method {
    count: u64,
    recent: VecDeque<HeaderMap>,
    behaviour: Behaviour,
    /// Calls since the behaviour was set.
    misbehaved: u64,
}

/// What a call has to suffer before, or instead of, its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Trouble {
    delay: Duration,
    stall: bool,
    fail: Option<Code>,
}

/// A behaviour that can't be had.
#[derive(Debug, thiserror::Error)]
pub enum BehaviourError {
    #[error("{service} has no method {method:?}; say it as {example}")]
    UnknownMethod { service: Service, method: String, example: String },
    #[error("fail_percent is {0}; 0 to 100 are allowed")]
    Percent(u32),
    #[error("code is {0}; gRPC status codes are 1 to 16")]
    Code(u32),
}

impl Control {
    pub fn new(service: Service) -> Self {
        let own = |name: &&&'static str| {
            let name = name.split_once('/');
            name.is_some_and(|(of, _)| of == service.full_name())
        };
        let methods = proto::METHODS.iter().filter(own);
        let methods = methods.map(|name| (*name, Mutex::default())).collect();
        let closing = watch::Sender::new(false);
        let inner = Inner { service, methods, closing };
        Self { inner: Arc::new(inner) }
    }

    pub fn service(&self) -> Service {
        self.inner.service
    }

    /// Calls of one method since the start or the last reset, as they arrived: failed and stalled ones count. The name is
    /// the full one, `catalog.v1.Films/GetFilm`; of a method that this service doesn't have, 0.
    pub fn count(&self, method: &str) -> u64 {
        self.method(method).map_or(0, |method| method.count)
    }

    /// Calls of all methods.
    pub fn total(&self) -> u64 {
        self.counts().values().sum()
    }

    /// The methods that were called, by full name.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        let methods = self.inner.methods.iter();
        methods.map(|(name, method)| (*name, lock(method).count)).filter(|(_, count)| *count > 0).collect()
    }

    /// The request metadata of the last [`KEPT`] calls of one method, oldest first.
    pub fn recent(&self, method: &str) -> Vec<MetadataMap> {
        self.method(method).map_or_else(Vec::new, |method| {
            let recent = method.recent.iter().cloned();
            recent.map(MetadataMap::from_headers).collect()
        })
    }

    /// Forgets all calls; behaviours stay.
    pub fn reset(&self) {
        for method in self.inner.methods.values() {
            let mut method = lock(method);
            method.count = 0;
            method.recent.clear();
        }
    }

    /// Replaces the behaviour of one method, or (empty) of all.
    pub fn set(&self, method: &str, behaviour: Behaviour) -> Result<(), BehaviourError> {
        if behaviour.fail_percent > 100 {
            return Err(BehaviourError::Percent(behaviour.fail_percent));
        }
        if behaviour.code > 16 {
            return Err(BehaviourError::Code(behaviour.code));
        }
        if method.is_empty() {
            for method in self.inner.methods.values() {
                lock(method).behave(behaviour);
            }
            return Ok(());
        }
        match self.method(method) {
            Some(mut method) => method.behave(behaviour),
            None => return Err(self.unknown(method)),
        }
        Ok(())
    }

    /// The service as it is, with every call counted, remembered and made to suffer first.
    pub fn watch<S>(&self, service: S) -> Watched<S> {
        Watched::new(service, self.clone())
    }

    /// Lets stalled calls go, so that the server can stop.
    pub(crate) fn close(&self) {
        self.inner.closing.send_replace(true);
    }

    pub(crate) async fn closed(&self) {
        let mut closing = self.inner.closing.subscribe();
        // An error says that the sender is gone; that is closed too.
        let _ = closing.wait_for(|closing| *closing).await;
    }

    fn method(&self, name: &str) -> Option<MutexGuard<'_, Method>> {
        self.inner.methods.get(name).map(lock)
    }

    fn unknown(&self, method: &str) -> BehaviourError {
        let example = self.inner.methods.keys().min().copied();
        BehaviourError::UnknownMethod {
            service: self.service(),
            method: method.to_owned(),
            example: example.unwrap_or_default().to_owned(),
        }
    }

    fn calls(&self) -> Vec<demo::v1::Call> {
        let counts = self.counts().into_iter();
        counts.map(|(method, count)| demo::v1::Call { method: method.to_owned(), count }).collect()
    }

    /// Takes note of a call. `path` is that of the request, with its leading slash.
    fn arrive(&self, path: &str, headers: &HeaderMap) -> Option<Trouble> {
        let mut method = self.method(path.strip_prefix('/')?)?;
        method.count += 1;
        if method.recent.len() == KEPT {
            method.recent.pop_front();
        }
        method.recent.push_back(headers.clone());
        method.trouble()
    }
}

impl Method {
    fn behave(&mut self, behaviour: Behaviour) {
        self.behaviour = behaviour;
        self.misbehaved = 0;
    }

    /// Of every hundred calls exactly `fail_percent` fail, spread out and always in the same places: 61 has no factor in
    /// common with 100, so its multiples pass every remainder once.
    fn trouble(&mut self) -> Option<Trouble> {
        let behaviour = self.behaviour;
        if behaviour == Behaviour::default() {
            return None;
        }
        let turn = self.misbehaved.wrapping_mul(61) % 100;
        self.misbehaved += 1;
        let fails = turn < u64::from(behaviour.fail_percent);
        Some(Trouble {
            delay: Duration::from_millis(behaviour.delay_ms.into()),
            stall: behaviour.stall,
            fail: fails.then(|| code(behaviour.code)),
        })
    }
}

fn code(number: u32) -> Code {
    match i32::try_from(number) {
        Ok(0) | Err(_) => Code::Unavailable,
        Ok(number) => Code::from_i32(number),
    }
}

fn lock(method: &Mutex<Method>) -> MutexGuard<'_, Method> {
    method.lock().unwrap_or_else(PoisonError::into_inner)
}
