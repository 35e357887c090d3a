//! Calls on a caller's behalf: the caller's token is exchanged for one that is meant for the backend.
//!
//! It stands around each transport, so there is no way past it: what a call carries as `authorization` is the caller's token, by
//! which replies are kept apart; what is sent is the other one, or nothing is sent.

use crate::{
    model::{Code, Failure},
    observe::RefusedBy,
    upstream::{Answer, Outgoing, Transport},
};
use futures_util::future::{BoxFuture, FutureExt};
use http::{HeaderValue, header::AUTHORIZATION};
use std::{fmt, sync::Arc};

/// Something that exchanges tokens.
pub trait TokenExchange: Send + Sync + fmt::Debug {
    /// `token` is the caller's `authorization`; what comes back is sent to the backend instead.
    fn exchange<'a>(&'a self, token: &'a HeaderValue, backend: &'a str) -> BoxFuture<'a, Result<HeaderValue, Failure>>;
}

/// A transport that sees no caller's token.
#[derive(Debug)]
pub(super) struct Exchanging {
    pub(super) inner: Arc<dyn Transport>,
    pub(super) exchange: Arc<dyn TokenExchange>,
    pub(super) backend: String,
}

impl Transport for Exchanging {
    fn call(&self, mut outgoing: Outgoing) -> BoxFuture<'_, Answer> {
        async move {
            if let Some(token) = outgoing.metadata.remove(AUTHORIZATION) {
                let exchange = self.exchange.exchange(&token, &self.backend);
                let late = || Failure::new(Code::DeadlineExceeded, "the caller's token was not exchanged in time");
                let exchanged = tokio::time::timeout_at(outgoing.deadline.instant(), exchange).await;
                match exchanged.unwrap_or_else(|_| Err(late())) {
                    Ok(other) => drop(outgoing.metadata.insert(AUTHORIZATION, other)),
                    Err(failure) => return Answer::refused(failure, RefusedBy::TokenExchange),
                }
            }
            self.inner.call(outgoing).await
        }
        .boxed()
    }

    fn concurrency(&self) -> usize {
        self.inner.concurrency()
    }

    fn is_away(&self) -> bool {
        self.inner.is_away()
    }

    fn reflect<'a>(&'a self, service: &'a str) -> BoxFuture<'a, Result<Vec<u8>, String>> {
        self.inner.reflect(service)
    }

    fn services(&self) -> BoxFuture<'_, Result<Vec<String>, String>> {
        self.inner.services()
    }
}
