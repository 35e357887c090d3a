//! Active checks: each instance of a backend is asked whether it should get calls, beside all calls.
//!
//! gRPC backends by the health protocol (<https://github.com/grpc/grpc/blob/master/doc/health-checking.md>): `Watch`, and `Check` where
//! that is not implemented; one that implements neither is not checked. A watched stream can't be told from a peer that hangs, so `Check`
//! is asked beside it. One that stops waits for its streams to end (`GracefulStop` in Go), so that nobody watches who does not serve: it is
//! asked by `Check` until it serves again. REST backends by a GET of `path`. A check belongs to the set that its instance is in, and ends
//! with it.

mod grpc;
mod http;

use super::{
    asks::{Asks, Checks},
    checked::{Found, Line},
    instance::{Connection, UpstreamInstance},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    runtime::Handle,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

/// One that knows no checks is asked again after this time: another program may be at its address by then.
const REST: Duration = Duration::from_mins(1);
/// Nothing is asked again sooner than after a twentieth of the interval or this time: whatever a backend says, and however often.
const SOON: Duration = Duration::from_secs(1);
/// The first check waits up to a tenth of the interval, and no longer than this: not all come at once.
const FIRST: Duration = Duration::from_millis(100);

/// Begins checks for the instances of one backend.
#[derive(Debug)]
pub(super) struct Checker {
    pub(super) backend: Arc<str>,
    pub(super) checks: Arc<Checks>,
}

/// The check of one instance. Dropped, it ends.
#[derive(Debug)]
pub(super) struct Checking(JoinHandle<()>);

impl Drop for Checking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Checker {
    /// Nothing is checked where nothing runs, as in `weft check`.
    pub(super) fn begin(&self, instance: &Arc<UpstreamInstance>) -> Option<Arc<Checking>> {
        let runtime = Handle::try_current().ok()?;
        instance.health.begin_checks();
        let check = Check { backend: self.backend.clone(), checks: self.checks.clone(), instance: instance.clone() };
        Some(Arc::new(Checking(runtime.spawn(check.run()))))
    }
}

/// One instance, and how it is asked.
#[derive(Debug)]
struct Check {
    backend: Arc<str>,
    checks: Arc<Checks>,
    instance: Arc<UpstreamInstance>,
}

impl Check {
    async fn run(self) {
        sleep((self.checks.interval / 10).min(FIRST).mul_f64(rand::random())).await;
        let is_grpc = matches!(self.instance.connection, Connection::Grpc(_));
        // Whether it implements `Watch`, as far as is known; and whether it may be held by one.
        let (mut can_watch, mut may_watch) = (is_grpc, true);
        let soon = (self.checks.interval / 20).min(SOON);
        loop {
            let began = Instant::now();
            let watched = can_watch && may_watch;
            let found = if watched { self.watch().await } else { self.ask().await };
            match found {
                Found::Unimplemented if watched => {
                    can_watch = false;
                    continue;
                }
                // It watches and does nothing else.
                Found::Unimplemented if can_watch => {
                    may_watch = true;
                    sleep(jittered(soon)).await;
                    continue;
                }
                // Whoever does not answer may be another program when it answers again.
                Found::Silent(_) | Found::Unimplemented => (can_watch, may_watch) = (is_grpc, true),
                Found::Serving => may_watch = true,
                Found::NotServing(_) => may_watch = false,
            }
            self.note(&found);
            let rest = match found {
                Found::Unimplemented => REST.max(self.checks.interval),
                // It is watched again; or asked by `Check`, if it knows that.
                Found::Serving if can_watch => soon,
                Found::NotServing(_) if watched => soon,
                // It has gone well until now: perhaps only the connection has ended.
                Found::Silent(_) if watched && began.elapsed() >= self.checks.interval => soon,
                _ => self.checks.interval,
            };
            sleep(jittered(rest)).await;
        }
    }

    /// One check.
    async fn ask(&self) -> Found {
        let asked = async {
            match (&self.checks.asks, &self.instance.connection) {
                (Asks::Service(service), Connection::Grpc(connection)) => grpc::check(connection, service).await,
                (Asks::Path(path), Connection::Rest(connection)) => http::check(connection, path).await,
                #[cfg(test)]
                (_, Connection::Scripted(script)) => script.check().await,
                _ => Found::Unimplemented,
            }
        };
        timeout(self.checks.timeout, asked).await.unwrap_or_else(|_| self.late())
    }

    /// Heeds what it says until it says no more; with why.
    async fn watch(&self) -> Found {
        let (Asks::Service(service), Connection::Grpc(connection)) = (&self.checks.asks, &self.instance.connection)
        else {
            return Found::Unimplemented;
        };
        let opened = timeout(self.checks.timeout, async {
            let mut watching = grpc::Watching::open(connection, service).await?;
            let first = watching.next().await?;
            Ok((watching, first))
        });
        let (mut watching, first) = match opened.await {
            Ok(Ok(opened)) => opened,
            Ok(Err(found)) => return found,
            Err(_) => return self.late(),
        };
        let mut serves = first == Found::Serving;
        self.note(&first);
        loop {
            tokio::select! {
                next = watching.next() => match next {
                    Ok(found @ Found::NotServing(_)) if serves => return found,
                    Ok(found) => {
                        serves = found == Found::Serving;
                        self.note(&found);
                    }
                    Err(found) => return found,
                },
                () = sleep(jittered(self.checks.interval)) => match self.ask().await {
                    // It watches, so this is no answer to the question.
                    Found::Unimplemented => {}
                    found @ (Found::Silent(_) | Found::NotServing(_)) => return found,
                    found => self.note(&found),
                },
            }
        }
    }

    fn late(&self) -> Found {
        Found::Silent(format!("no answer within {:?}", self.checks.timeout))
    }

    fn note(&self, found: &Found) {
        let (backend, address) = (&*self.backend, &*self.instance.address);
        match self.instance.health.found(found, self.checks.failures) {
            Some(Line::Out { said, passed_over }) => {
                tracing::warn!(%backend, endpoint = %address, passed_over, "backend `{backend}`: {address} gets no calls by its health check: {said}");
            }
            Some(Line::In) => {
                tracing::info!(%backend, endpoint = %address, "backend `{backend}`: {address} gets calls again by its health check, few at first");
            }
            Some(Line::Off) => {
                tracing::info!(%backend, endpoint = %address, "backend `{backend}`: {address} implements no health checks, and gets calls without them");
            }
            None => {}
        }
    }
}

/// A tenth more or less: those that began together don't stay together.
fn jittered(time: Duration) -> Duration {
    time.mul_f64(rand::random_range(0.9..1.1))
}

#[cfg(test)]
mod tests;
