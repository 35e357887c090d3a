//! What it says of a call that its connection or its stream broke: a code that is true, and whether the backend can have seen it.
//!
//! tonic knows some of these errors, and some only where its server is compiled in too; what it doesn't know is UNKNOWN to it.

use crate::model::Code;
use std::{error::Error, io};
use tonic::{ConnectError, Status, TimeoutExpired};

/// All that a status says, for a log.
pub(super) fn told(status: &Status) -> String {
    with_sources(format!("{:?}: {}", status.code(), status.message()), status)
}

/// All that an error says, and what lies under it.
pub(super) fn with_sources(mut text: String, error: &dyn Error) -> String {
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// A stream was cut before there was a connection to ask for it.
#[derive(Debug, thiserror::Error)]
#[error("no connection was made in the stream's time")]
pub(super) struct NoConnection;

/// How a call ended that got no gRPC status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ConnectionFailure {
    pub(super) code: Code,
    /// There was no connection to send it on.
    pub(super) unsent: bool,
    /// The backend closed the connection because it was pinged too often.
    pub(super) too_many_pings: bool,
}

/// `None`: the status is the backend's own, or says itself what is wrong with the answer.
pub(super) fn failure_of(status: &Status) -> Option<ConnectionFailure> {
    let mut source = Error::source(status);
    while let Some(error) = source {
        if let Some(failure) = meaning(error) {
            return Some(failure);
        }
        source = error.source();
    }
    None
}

fn meaning(error: &(dyn Error + 'static)) -> Option<ConnectionFailure> {
    let sent = |code| Some(ConnectionFailure { code, unsent: false, too_many_pings: false });
    let unsent = Some(ConnectionFailure { code: Code::Unavailable, unsent: true, too_many_pings: false });
    if error.is::<ConnectError>() || error.is::<NoConnection>() {
        return unsent;
    }
    if error.is::<TimeoutExpired>() {
        // The channel's own timer, set by `grpc-timeout`, may end a call just before ours does.
        return sent(Code::DeadlineExceeded);
    }
    if let Some(error) = error.downcast_ref::<h2::Error>() {
        let too_many_pings =
            error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM);
        return Some(ConnectionFailure { code: code_of(error), unsent: false, too_many_pings });
    }
    match error.downcast_ref::<hyper::Error>() {
        // The connection was gone before the request was put on it.
        Some(error) if error.is_canceled() => unsent,
        // A ping that did not come back.
        Some(error) if error.is_timeout() => sent(Code::Unavailable),
        Some(_) => None,
        None if error.is::<io::Error>() => sent(Code::Unavailable),
        None => None,
    }
}

/// After <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#errors>.
fn code_of(error: &h2::Error) -> Code {
    // A call that the peer did not get to before it went away.
    if error.is_go_away() && error.is_remote() {
        return Code::Unavailable;
    }
    match error.reason() {
        Some(h2::Reason::REFUSED_STREAM) | None => Code::Unavailable,
        Some(h2::Reason::CANCEL) => Code::Cancelled,
        Some(h2::Reason::ENHANCE_YOUR_CALM) => Code::ResourceExhausted,
        Some(h2::Reason::INADEQUATE_SECURITY) => Code::PermissionDenied,
        Some(_) => Code::Internal,
    }
}
