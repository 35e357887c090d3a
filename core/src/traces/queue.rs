//! The queue between those who record and the collector, and the one task that empties it.

use crate::{
    net::Backoff,
    observe::{Span, SpanSink},
    telemetry::{DroppedLabels, Metrics},
};
use futures_util::future::BoxFuture;
use std::{
    fmt::Display,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::Instant,
};

/// As the specification of the SDKs has them
/// (<https://opentelemetry.io/docs/specs/otel/trace/sdk/#batching-processor>).
const QUEUE: usize = 2048;
const BATCH: usize = 512;
const PAUSE: Duration = Duration::from_secs(5);
/// What waits in the queue weighs so much at most: authors and links make spans large.
const QUEUE_BYTES: usize = 8 << 20;
/// And a batch: collectors refuse messages of over 4 MiB, gRPC's usual bound.
const BATCH_BYTES: usize = 2 << 20;
/// What spans may take on their way: those that wait, and a batch as spans, as messages of OTLP, as bytes and in a frame.
pub const MOST_BYTES: usize = QUEUE_BYTES + 4 * BATCH_BYTES;

/// How often a batch is tried while the collector is away, and the waits in between.
const TRIES: u32 = 4;
const BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(4);
/// How long a host that ends goes on sending what there is.
const FLUSH: Duration = Duration::from_secs(5);

/// What came of a batch.
#[derive(Debug)]
pub(super) enum Delivery {
    /// All but so many.
    Taken { rejected: u64, why: String },
    /// It may be otherwise in a while.
    Failed { reason: &'static str, detail: String },
    /// It will never be otherwise.
    Refused { detail: String },
}

/// Who delivers a batch.
pub(super) trait Deliver: Send + Sync {
    fn deliver<'a>(&'a self, spans: &'a [Span]) -> BoxFuture<'a, Delivery>;
}

/// Sends spans until it is finished.
#[derive(Debug)]
pub struct Exporter {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Takes spans as they end.
#[derive(Debug)]
struct Sink {
    queue: mpsc::Sender<Span>,
    waiting: Arc<Waiting>,
    metrics: Metrics,
}

/// The bytes of all spans in the queue.
#[derive(Debug, Default)]
struct Waiting(AtomicUsize);

impl Waiting {
    /// `false`: there is no room for so many more.
    fn add(&self, bytes: usize) -> bool {
        let has_room = self.0.fetch_add(bytes, Relaxed).saturating_add(bytes) <= QUEUE_BYTES;
        if !has_room {
            self.remove(bytes);
        }
        has_room
    }

    fn remove(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Relaxed);
    }
}

impl SpanSink for Sink {
    fn take(&self, span: Span) {
        let bytes = span.weight();
        if !self.waiting.add(bytes) {
            return drop_spans(&self.metrics, "queue-full", 1);
        }
        let reason = match self.queue.try_send(span) {
            Ok(()) => return,
            Err(mpsc::error::TrySendError::Full(_)) => "queue-full",
            Err(mpsc::error::TrySendError::Closed(_)) => "stopped",
        };
        self.waiting.remove(bytes);
        drop_spans(&self.metrics, reason, 1);
    }
}

fn drop_spans(metrics: &Metrics, reason: &str, count: u64) {
    metrics.spans_dropped.get_or_create(&DroppedLabels { reason: reason.to_owned() }).inc_by(count);
}

impl Exporter {
    /// `endpoint`: what the log calls it.
    pub(super) fn start(
        collector: Arc<dyn Deliver>,
        endpoint: &dyn Display,
        metrics: &Metrics,
    ) -> (Self, Arc<dyn SpanSink>) {
        let (queue, spans) = mpsc::channel(QUEUE);
        let (stop, stopped) = watch::channel(false);
        let waiting = Arc::<Waiting>::default();
        let line = Line {
            collector,
            endpoint: endpoint.to_string(),
            metrics: metrics.clone(),
            trouble: None,
            waiting: waiting.clone(),
            left_over: None,
            stopped,
        };
        let task = tokio::spawn(line.run(spans));
        (Self { stop, task }, Arc::new(Sink { queue, waiting, metrics: metrics.clone() }))
    }

    /// Sends what there is, as far as that is possible in a while. To be called when nothing is recorded any more.
    pub async fn finish(self) {
        let Self { stop, mut task } = self;
        // A task that has ended has nothing left to send.
        let _ = stop.send(true);
        if tokio::time::timeout(FLUSH, &mut task).await.is_err() {
            task.abort();
            tracing::warn!("the collector did not take all spans before the end");
        }
    }
}

/// The line to the collector.
struct Line {
    collector: Arc<dyn Deliver>,
    endpoint: String,
    metrics: Metrics,
    trouble: Option<Trouble>,
    waiting: Arc<Waiting>,
    /// A span for which the last batch had no room.
    left_over: Option<Span>,
    stopped: watch::Receiver<bool>,
}

/// The collector takes nothing.
struct Trouble {
    since: Instant,
    dropped: u64,
}

impl Line {
    async fn run(mut self, mut spans: mpsc::Receiver<Span>) {
        while let Some(batch) = self.gather(&mut spans).await {
            if !batch.is_empty() {
                self.send(batch).await;
            }
        }
    }

    /// A batch: full, by number or by bytes, or as many as there are when it was time. `None`: there are no more.
    async fn gather(&mut self, spans: &mut mpsc::Receiver<Span>) -> Option<Vec<Span>> {
        let mut batch: Vec<Span> = self.left_over.take().into_iter().collect();
        let mut bytes = batch.first().map_or(0, Span::weight);
        let mut until = (!batch.is_empty()).then(|| Instant::now() + PAUSE);
        while batch.len() < BATCH {
            let is_over = async {
                match until {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                taken = spans.recv() => {
                    let Some(span) = taken else { return Some(batch).filter(|batch| !batch.is_empty()) };
                    let weight = span.weight();
                    self.waiting.remove(weight);
                    bytes += weight;
                    if bytes > BATCH_BYTES && !batch.is_empty() {
                        self.left_over = Some(span);
                        break;
                    }
                    batch.push(span);
                    until = until.or_else(|| Some(Instant::now() + PAUSE));
                }
                // What is there goes out, and nothing more comes.
                _ = self.stopped.wait_for(|stopped| *stopped) => {
                    spans.close();
                    if spans.is_empty() {
                        return Some(batch).filter(|batch| !batch.is_empty());
                    }
                }
                () = is_over => break,
            }
        }
        Some(batch)
    }

    async fn send(&mut self, batch: Vec<Span>) {
        let count = batch.len() as u64;
        let (reason, detail) = match self.try_to(&batch).await {
            Delivery::Taken { rejected, why } => {
                let rejected = rejected.min(count);
                self.metrics.spans_exported.inc_by(count - rejected);
                if rejected == 0 {
                    return self.is_well();
                }
                drop_spans(&self.metrics, "rejected", rejected);
                let detail = format!("it has not taken {rejected} of {count} spans: {why}");
                return self.is_in_trouble("rejected", &detail, rejected);
            }
            Delivery::Failed { reason, detail } => (reason, detail),
            Delivery::Refused { detail } => ("refused", detail),
        };
        drop_spans(&self.metrics, reason, count);
        self.is_in_trouble(reason, &detail, count);
    }

    async fn try_to(&mut self, batch: &[Span]) -> Delivery {
        let mut backoff = Backoff::new(BACKOFF, LONGEST_BACKOFF);
        let mut tried = 0;
        loop {
            let delivery = self.collector.deliver(batch).await;
            tried += 1;
            let Delivery::Failed { reason, detail } = &delivery else { return delivery };
            if tried == TRIES || *self.stopped.borrow() {
                return delivery;
            }
            self.is_in_trouble(reason, detail, 0);
            tokio::select! {
                () = tokio::time::sleep(backoff.pause()) => {}
                // Once more, and then it is over.
                _ = self.stopped.wait_for(|stopped| *stopped) => {}
            }
        }
    }

    fn is_in_trouble(&mut self, reason: &str, detail: &str, dropped: u64) {
        if let Some(trouble) = &mut self.trouble {
            trouble.dropped += dropped;
            return;
        }
        self.trouble = Some(Trouble { since: Instant::now(), dropped });
        let endpoint = &self.endpoint;
        tracing::warn!(
            endpoint,
            reason,
            "the collector of traces at {endpoint} takes no spans: {detail}; requests are served as ever, and what it does not take is counted in weft_trace_spans_dropped_total"
        );
    }

    fn is_well(&mut self) {
        if let Some(Trouble { since, dropped }) = self.trouble.take() {
            let (endpoint, after) = (&self.endpoint, since.elapsed());
            tracing::info!(
                endpoint,
                dropped,
                "the collector of traces at {endpoint} takes spans again, after {after:.1?}; {dropped} were lost"
            );
        }
    }
}

#[cfg(test)]
mod tests;
