//! Endpoints that do as a test says.

use super::{Outgoing, checked::Found, failed::Failed};
use crate::model::{Code, Failure};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::Uri;
use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

type Reply = dyn Fn(usize) -> BoxFuture<'static, Result<Bytes, Failed>> + Send + Sync;

/// Answers the nth call as the closure says.
#[derive(Clone)]
pub(super) struct Script {
    pub(super) calls: Arc<AtomicUsize>,
    reply: Arc<Reply>,
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Script")
    }
}

impl Script {
    pub(super) fn new<F>(reply: impl Fn(usize) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Bytes, Failed>> + Send + 'static,
    {
        Self { calls: Arc::default(), reply: Arc::new(move |call| Box::pin(reply(call))) }
    }

    /// Answers every call after `delay`.
    pub(super) fn after(delay: Duration) -> Self {
        Self::new(move |_| async move {
            tokio::time::sleep(delay).await;
            Ok(Bytes::from_static(b"ok"))
        })
    }

    /// Fails every call at once.
    pub(super) fn failing(code: Code) -> Self {
        Self::new(move |_| std::future::ready(Err(failed(code))))
    }

    pub(super) fn count(&self) -> usize {
        self.calls.load(SeqCst)
    }

    /// A health check is a call too: its reply, whatever it is, is well.
    pub(super) async fn check(&self) -> Found {
        match (self.reply)(self.calls.fetch_add(1, SeqCst)).await {
            Ok(_) => Found::Serving,
            Err(failed) => match failed.failure.code {
                Code::Unimplemented => Found::Unimplemented,
                Code::FailedPrecondition => Found::NotServing("NOT_SERVING".to_owned()),
                _ => Found::Silent(failed.failure.message),
            },
        }
    }

    pub(super) async fn unary(&self, _: Outgoing) -> Result<Bytes, Failed> {
        (self.reply)(self.calls.fetch_add(1, SeqCst)).await
    }
}

pub(super) fn failed(code: Code) -> Failed {
    Failed::new(Failure::new(code, "scripted"))
}

/// What is scripted at each address; elsewhere nothing can be connected to.
#[derive(Debug)]
pub(super) struct Scripts(HashMap<String, Script>);

impl Scripts {
    pub(super) fn new(scripts: impl IntoIterator<Item = (String, Script)>) -> Self {
        Self(scripts.into_iter().collect())
    }

    pub(super) fn at(&self, uri: &Uri) -> Result<Script, String> {
        let script = self.0.get(uri.authority().unwrap().as_str());
        script.cloned().ok_or_else(|| "nothing is scripted there".to_owned())
    }
}
