//! Backends that a program answers for, instead of the network: those of `weft test` and of `weft dev`.
//!
//! All that a host does with a call before it would be sent, and with what comes back, is the same.

use super::{Outgoing, failed::Failed};
use crate::model::{Code, Failure};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use std::fmt::Debug;

/// A call that has reached its backend.
#[derive(Debug)]
pub struct StandInCall<'a> {
    /// `catalog.v1.Films/GetFilm`.
    pub method: &'a str,
    /// What the backend is told beside the message.
    pub metadata: &'a HeaderMap,
    /// The request message. Of a method that answers with a stream, the reply is its messages, each as field 1 of one message.
    pub message: &'a Bytes,
}

/// Answers for a backend; see [`super::Config::stand_in`].
pub trait StandIn: Debug + Send + Sync {
    /// The reply message. Ended by the call's deadline, by dropping the future.
    fn reply<'a>(&'a self, call: StandInCall<'a>) -> BoxFuture<'a, Result<Bytes, Failure>>;
}

pub(super) async fn unary(stand_in: &dyn StandIn, outgoing: &Outgoing, max_reply: usize) -> Result<Bytes, Failed> {
    let call = StandInCall { method: &outgoing.method.name, metadata: &outgoing.metadata, message: &outgoing.message };
    let reply = stand_in.reply(call).await.map_err(Failed::new)?;
    if reply.len() > max_reply {
        let text = format!("the reply has {} bytes, and at most {max_reply} are read (`max-reply`)", reply.len());
        return Err(Failed::new(Failure::new(Code::ResourceExhausted, text)));
    }
    Ok(reply)
}
