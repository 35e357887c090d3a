//! An attempt that failed.

use crate::model::Failure;
use std::time::Duration;

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
