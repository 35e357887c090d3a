//! One endpoint: the line to it, and what is known of it.

use super::{
    Outgoing,
    grpc::GrpcLine,
    health::{Health, Outlier},
    load::Load,
    rest::RestLine,
    trouble::{Trouble, is_endpoints_own},
};
use crate::model::{Code, Failure};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};

/// One instance of a backend.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// `127.0.0.1:50051`.
    pub(super) address: Arc<str>,
    pub(super) line: Line,
    pub(super) base_weight: f64,
    /// Whether it belongs to the canary subset.
    pub(super) canary: bool,
    pub(super) load: Load,
    pub(super) health: Health,
    pub(super) rules: Outlier,
    pub(super) trouble: Trouble,
}

/// What carries a call to an endpoint.
#[derive(Debug)]
pub(super) enum Line {
    Grpc(Box<GrpcLine>),
    Rest(RestLine),
    #[cfg(test)]
    Scripted(super::scripted::Script),
}

/// One attempt that failed, and what that means for another one.
#[derive(Debug, Clone)]
pub(super) struct Failed {
    pub(super) failure: Failure,
    /// The request can't have reached the backend: there was no connection.
    pub(super) unsent: bool,
    /// The backend had begun to answer.
    pub(super) answered: bool,
    pub(super) pushback: Pushback,
    /// The backend closed the connection because it was pinged too often.
    pub(super) too_many_pings: bool,
}

/// `grpc-retry-pushback-ms` (gRPC A6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushback {
    None,
    Stop,
    After(Duration),
}

impl Failed {
    pub(super) fn new(failure: Failure) -> Self {
        Self { failure, unsent: false, answered: false, pushback: Pushback::None, too_many_pings: false }
    }
}

impl Endpoint {
    pub(super) fn weight(&self) -> f64 {
        self.base_weight * self.health.share(&self.rules)
    }

    /// One attempt. The second result says how the endpoint did: `None` where it was not its fault nor its merit.
    pub(super) async fn attempt(&self, outgoing: &Outgoing, max_reply: usize) -> Result<Bytes, Failed> {
        let under_way = self.load.begin();
        let deadline = outgoing.deadline.instant();
        let call = self.line.unary(outgoing.clone(), max_reply);
        let late = || Err(Failed::new(Failure::new(Code::DeadlineExceeded, "no answer in time")));
        let result = tokio::time::timeout_at(deadline, call).await.unwrap_or_else(|_| late());
        let took = under_way.elapsed();
        under_way.end(matches!(&result, Err(failed) if is_endpoints_own(failed.failure.code)));
        outgoing.method.observe(result.as_ref().err().map_or(Code::Ok, |failed| failed.failure.code), took);
        result
    }
}

impl Line {
    async fn unary(&self, outgoing: Outgoing, max_reply: usize) -> Result<Bytes, Failed> {
        match self {
            Self::Grpc(line) => line.unary(outgoing, max_reply).await,
            Self::Rest(line) => match &outgoing.method.rest {
                Some(rest) => line.unary(rest, &outgoing.message, outgoing.metadata, max_reply).await,
                None => {
                    let text =
                        format!("{} has no `http` in the configuration of its REST backend", outgoing.method.name);
                    Err(Failed::new(Failure::new(Code::Unimplemented, text)))
                }
            },
            #[cfg(test)]
            Self::Scripted(script) => script.unary(outgoing).await,
        }
    }
}
