//! The mock of all backends that are mocked: what it answers is made from the protos.

use crate::{
    artifact::Artifact,
    mocks::replies::Replies,
    model::Failure,
    upstream::{StandIn, StandInCall},
};
use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};

/// Answers the same each time.
#[derive(Debug)]
pub(super) struct Mocked(Replies);

impl Mocked {
    pub(super) fn new(artifact: &Artifact) -> Self {
        Self(Replies::new(artifact.descriptors.clone(), 0))
    }
}

impl StandIn for Mocked {
    fn reply<'a>(&'a self, call: StandInCall<'a>) -> BoxFuture<'a, Result<Bytes, Failure>> {
        std::future::ready(self.0.reply(call.method, call.message)).boxed()
    }
}
