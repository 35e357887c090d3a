//! What crosses the plugin boundary: calls go out, completions come back.

use std::any::Any;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use crate::lock::lock;

in_component! {
    pub use crate::export::bindings::weft::bff::backend::{CallHead, Completion};
}

elsewhere! {
    /// One call on its way out. Its message is `messages[offset .. offset + len]` of the [`Exchange`].
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct CallHead {
        /// Place in the plugin's method table.
        pub method: u32,
        /// Bits 0 to 15: the depth of this call.
        pub flags: u32,
        /// 0: the method's own timeout; else a tighter bound.
        pub timeout_ms: u32,
        /// Where the request message starts.
        pub offset: u32,
        /// How long the request message is.
        pub len: u32,
    }

    /// One finished call. Its bytes are `arena[offset .. offset + len]`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct Completion {
        /// Which call: tickets count up from 0 through the request, in the order in which the calls went out.
        pub ticket: u32,
        /// 0: the bytes are the reply; else a gRPC status code, and the bytes are a `google.rpc.Status`.
        pub code: u32,
        /// 0 upstream, 1 coalesced, 2 cache, 3 stale, 4 fallback.
        pub origin: u32,
        /// How old the reply is.
        pub age_ms: u32,
        /// Where the bytes start.
        pub offset: u32,
        /// How many bytes there are.
        pub len: u32,
    }
}

/// What a request wants from its driver, in this order: cancel `cancel`, start `calls`, wait until a call under way has finished
/// or `wait_ms` has passed.
#[derive(Debug, Clone, Copy)]
pub struct Exchange<'a> {
    /// Calls to start. The first one's ticket follows the last one of the previous exchange.
    pub calls: &'a [CallHead],
    /// The request messages of `calls`.
    pub messages: &'a [u8],
    /// Tickets of calls that nobody waits for any more.
    pub cancel: &'a [u32],
    /// When to come back even if no call has finished. `None`: no bound but the request's deadline.
    pub wait_ms: Option<u32>,
}

/// A completion with its bytes, on its way to the task that waits for it.
#[derive(Debug)]
pub(crate) struct RawReply {
    pub(crate) code: u32,
    pub(crate) origin: u32,
    pub(crate) age_ms: u32,
    pub(crate) message: Bytes,
    /// Where other calls have the same bytes.
    pub(crate) shared: Option<Decoded>,
}

/// A reply that several calls share: the first decodes it, the others take copies, which cost less.
#[derive(Debug, Clone, Default)]
pub(crate) struct Decoded(Arc<Mutex<Option<Box<dyn Any + Send>>>>);

impl Decoded {
    /// The message, if somebody has decoded it as this type before; else what `decode` makes of it.
    pub(crate) fn get_or<T: Clone + Send + 'static, E>(&self, decode: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let mut place = lock(&self.0);
        if let Some(message) = place.as_ref().and_then(|any| any.downcast_ref::<T>()) {
            return Ok(message.clone());
        }
        let message = decode()?;
        *place = Some(Box::new(message.clone()));
        Ok(message)
    }
}
