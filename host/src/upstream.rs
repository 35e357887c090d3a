//! The way out of the host: backends, their endpoints, which one is picked, and the transport (gRPC over HTTP/2).
//!
//! This module moves bytes: messages are neither decoded nor encoded here. tonic is named here only.

mod backend;
mod balance;
mod codec;
mod config;
mod grpc;

pub use backend::{Backend, EndpointState};
pub use config::{Balance, Config, TlsFiles};

use crate::model::{Deadline, Failure};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, uri::PathAndQuery};

/// One call as it leaves the host.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// `/catalog.v1.Films/GetFilm`.
    pub path: PathAndQuery,
    pub message: Bytes,
    /// What the backend is told beside the message.
    pub metadata: HeaderMap,
    /// Bounds the whole exchange with the backend, from picking an endpoint to the trailers.
    pub deadline: Deadline,
}

/// The seam between the fan-out engine and the network: one backend that answers unary calls.
pub trait Transport: Send + Sync + std::fmt::Debug {
    /// Ends by `outgoing.deadline` with DEADLINE_EXCEEDED at the latest. Dropping the future cancels the call.
    fn call(&self, outgoing: Outgoing) -> BoxFuture<'_, Result<Bytes, Failure>>;
}
