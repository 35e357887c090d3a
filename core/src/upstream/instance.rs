//! One instance of a backend: the connection to it, and what is known of it.

use super::{
    Outgoing, StandIn,
    failed::Failed,
    grpc::GrpcConnection,
    health::Health,
    load::Load,
    rest::{RestConnection, Status},
    stand_in,
    trouble::{Trouble, is_endpoints_own},
};
use crate::{
    model::{Code, Failure},
    observe::{Attempt, Event, Listener},
};
use bytes::Bytes;
use http::Uri;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// One instance of a backend: the connection to it and all that is known of it, for as long as its address is in the backend's set.
/// What its provider says of it stands in the set (`Member`).
#[derive(Debug)]
pub(super) struct UpstreamInstance {
    /// `127.0.0.1:50051`.
    pub(super) address: Arc<str>,
    pub(super) uri: Uri,
    /// Scheme and authority, in lower case: by these it is known again.
    pub(super) key: String,
    pub(super) connection: Connection,
    pub(super) load: Load,
    pub(super) health: Health,
    pub(super) trouble: Trouble,
    /// What it is owed by the smooth weighted round robin.
    pub(super) credit: Credit,
}

/// What carries a call to an instance.
#[derive(Debug)]
pub(super) enum Connection {
    Grpc(Box<GrpcConnection>),
    Rest(RestConnection),
    StandIn(Arc<dyn StandIn>),
    #[cfg(test)]
    Scripted(super::scripted::Script),
}

/// What an instance is owed by the smooth weighted round robin, whose lock guards it.
#[derive(Debug, Default)]
pub(super) struct Credit(AtomicU64);

impl Credit {
    pub(super) fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }

    pub(super) fn set(&self, credit: f64) {
        self.0.store(credit.to_bits(), Relaxed);
    }
}

/// By what an instance is known again.
pub(super) fn key(uri: &Uri) -> String {
    uri.to_string().to_ascii_lowercase()
}

impl UpstreamInstance {
    pub(super) fn new(uri: &Uri, connection: Connection, health: Health) -> Self {
        Self {
            address: uri.authority().map(|authority| authority.as_str()).unwrap_or_default().into(),
            uri: uri.clone(),
            key: key(uri),
            connection,
            load: Load::default(),
            health,
            trouble: Trouble::default(),
            credit: Credit::default(),
        }
    }

    /// One attempt. Ends by the call's deadline.
    pub(super) async fn attempt(
        &self,
        outgoing: &Outgoing,
        max_reply: usize,
        attempt: Attempt<'_>,
    ) -> Result<Bytes, Failed> {
        let under_way = self.load.begin();
        outgoing.audience.on(&Event::AttemptBegan(attempt));
        let deadline = outgoing.deadline.instant();
        let mut told = outgoing.clone();
        outgoing.audience.tell(attempt.span, &mut told.metadata);
        let status = Status::default();
        let call = self.connection.unary(told, max_reply, &status);
        let late = || Err(Failed::new(Failure::new(Code::DeadlineExceeded, "no answer in time")));
        let result = tokio::time::timeout_at(deadline, call).await.unwrap_or_else(|_| late());
        let took = under_way.elapsed();
        under_way.end(matches!(&result, Err(failed) if is_endpoints_own(failed.failure.code)));
        let code = result.as_ref().err().map_or(Code::Ok, |failed| failed.failure.code);
        (&*outgoing.method, &outgoing.audience).on(&Event::AttemptEnded { attempt, code, status: status.get(), took });
        result
    }
}

impl Connection {
    async fn unary(&self, outgoing: Outgoing, max_reply: usize, status: &Status) -> Result<Bytes, Failed> {
        match self {
            Self::Grpc(connection) => connection.unary(outgoing, max_reply).await,
            Self::Rest(connection) => match &outgoing.method.rest {
                Some(rest) => {
                    let (message, metadata) = (&outgoing.message, outgoing.metadata);
                    connection.unary(rest, (message, metadata), max_reply, status).await
                }
                None => {
                    let text =
                        format!("{} has no `http` in the configuration of its REST backend", outgoing.method.name);
                    Err(Failed::new(Failure::new(Code::Unimplemented, text)))
                }
            },
            Self::StandIn(answers) => stand_in::unary(&**answers, &outgoing, max_reply).await,
            #[cfg(test)]
            Self::Scripted(script) => script.unary(outgoing).await,
        }
    }
}
