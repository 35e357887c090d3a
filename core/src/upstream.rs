//! The way out of the host: backends, their instances, which one is picked, and what protects both sides.
//!
//! In the order of a call's way: [`backend`] (throttle and concurrency limit), [`attempt`] (retries and hedges), [`balance`] (which
//! instance of the newest [`set`]), [`instance`] (its load and health), [`grpc`] or [`rest`] (the wire). [`discovery`] says which there
//! are, [`supervise`] keeps that up to date, and [`checks`] asks which of them want calls. gRPC messages are neither decoded nor encoded
//! here, but for those of the health protocol.
//! tonic is named here only.

mod answer;
mod asks;
mod attempt;
mod backend;
mod balance;
mod budget;
mod checked;
mod checks;
mod codec;
mod config;
mod connect;
mod consul;
mod dial;
mod discovery;
mod etcd;
mod failed;
mod grpc;
mod health;
mod instance;
#[cfg(test)]
mod kit;
mod latency;
mod limit;
mod load;
mod method;
mod nacos;
mod reflection;
mod registry;
mod rest;
#[cfg(test)]
mod scripted;
mod set;
mod stand_in;
mod status;
mod supervise;
mod throttle;
mod tls;
mod trouble;

pub use asks::Checks;
pub use attempt::Answer;
pub use backend::{Backend, BackendState, EndpointState};
pub use checked::CheckTold;
pub use config::{Balance, Canary, Config, Credential, Hedge, Protocol, Retry};
pub use consul::ConsulClient;
pub use discovery::{
    ConsulSource, DiscoveryError, DiscoveryState, Entry, EtcdSource, Found, InstanceSpec, Layout, NacosSource, Naming,
    Nonsense, Reached, Skipped, Source, told_of_slices,
};
pub use etcd::{Access, Etcd, EtcdError, KeepAlive, Member};
pub use grpc::read_grpc;
pub use health::Outlier;
pub use limit::Concurrency;
pub use method::{Method, StreamBounds};
pub use nacos::{ELSEWHERE as NACOS_ELSEWHERE, Nacos, NacosService, Session as NacosSession, Told as NacosTold};
pub use rest::Rest;
pub use set::{SetChange, SetRefused};
pub use stand_in::{StandIn, StandInCall};
pub use tls::TlsFiles;
pub use trouble::{LastError, Told};

use crate::{model::Deadline, observe::Audience};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::SocketAddr,
    sync::{Arc, atomic::AtomicBool},
};

/// One call as it leaves the host.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub method: Arc<Method>,
    pub message: Bytes,
    /// What the backend is told beside the message.
    pub metadata: HeaderMap,
    /// Bounds everything: the wait for a turn, all attempts, each to its trailers.
    pub deadline: Deadline,
    /// The client's address, for the policies that stick to it.
    pub source: Option<SocketAddr>,
    /// Set where a stream is cut because the call's time ends.
    pub cut: Arc<AtomicBool>,
    /// Who hears how it goes.
    pub audience: Audience,
}

impl Outgoing {
    fn source_for(&self, balance: Balance) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        match balance {
            Balance::SourceHash => self.source?.ip().hash(&mut hasher),
            Balance::SourcePortHash => self.source?.hash(&mut hasher),
            _ => return None,
        }
        Some(hasher.finish())
    }
}

/// The seam between the fan-out engine and the network: one backend that answers unary calls.
pub trait Transport: Send + Sync + std::fmt::Debug {
    /// Ends by `outgoing.deadline` with DEADLINE_EXCEEDED at the latest. Dropping the future cancels the call.
    fn call(&self, outgoing: Outgoing) -> BoxFuture<'_, Answer>;

    /// How many calls it takes at once, as far as is known.
    fn concurrency(&self) -> usize;

    /// Whether nothing but failures has come from it for a while: whoever has something else to show need not wait for it.
    fn is_away(&self) -> bool {
        false
    }

    /// The protos of a service, as the backend itself tells them: a serialized `FileDescriptorSet`, looked at and not read.
    fn reflect<'a>(&'a self, service: &'a str) -> BoxFuture<'a, Result<Vec<u8>, String>>;

    /// The full names of its services, as the backend itself tells them.
    fn services(&self) -> BoxFuture<'_, Result<Vec<String>, String>>;
}
