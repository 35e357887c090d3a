//! A collector that does as a test says, and time that stands still.

use super::*;
use crate::{
    model::TraceContext,
    observe::{Attributes, SpanKind},
    sync::lock,
};
use std::{collections::VecDeque, sync::Mutex};

/// Answers by a script; after its end it takes everything.
#[derive(Debug, Default)]
struct Scripted {
    answers: Mutex<VecDeque<Answer>>,
    /// The sizes of the batches, and when they came.
    batches: Mutex<Vec<(usize, Duration)>>,
    since: Option<Instant>,
}

#[derive(Debug)]
enum Answer {
    Say(Delivery),
    Hang,
}

impl Deliver for Scripted {
    fn deliver<'a>(&'a self, spans: &'a [Span]) -> BoxFuture<'a, Delivery> {
        lock(&self.batches).push((spans.len(), self.since.map_or(Duration::ZERO, |since| since.elapsed())));
        let answer = lock(&self.answers).pop_front();
        Box::pin(async move {
            match answer {
                None => Delivery::Taken { rejected: 0, why: String::new() },
                Some(Answer::Say(delivery)) => delivery,
                Some(Answer::Hang) => std::future::pending().await,
            }
        })
    }
}

struct Kit {
    collector: Arc<Scripted>,
    exporter: Exporter,
    sink: Arc<dyn SpanSink>,
    metrics: Metrics,
}

impl Kit {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers = Mutex::new(answers.into_iter().collect());
        let collector = Arc::new(Scripted { answers, since: Some(Instant::now()), ..Scripted::default() });
        let metrics = Metrics::default();
        let (exporter, sink) = Exporter::start(collector.clone(), &"collector", &metrics);
        Self { collector, exporter, sink, metrics }
    }

    fn give(&self, count: usize) {
        (0..count).for_each(|_| self.sink.take(span()));
    }

    fn batches(&self) -> Vec<(usize, u64)> {
        lock(&self.collector.batches).iter().map(|(size, at)| (*size, at.as_secs())).collect()
    }

    fn dropped(&self, reason: &str) -> u64 {
        self.metrics.spans_dropped.get_or_create(&DroppedLabels { reason: reason.to_owned() }).get()
    }
}

fn span() -> Span {
    Span {
        context: TraceContext::fresh(),
        parent: None,
        state: None,
        name: "s".into(),
        kind: SpanKind::Internal,
        start: 1,
        end: 2,
        attributes: Attributes::default(),
        events: Vec::new(),
        dropped_events: 0,
        links: Vec::new(),
        dropped_links: 0,
        error: None,
    }
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn failed() -> Answer {
    Answer::Say(Delivery::Failed { reason: "unreachable", detail: "nobody there".to_owned() })
}

#[tokio::test(start_paused = true)]
async fn a_batch_leaves_when_it_is_full_or_when_it_is_time() {
    let kit = Kit::new([]);
    kit.give(700);
    pass(1).await;
    assert_eq!(kit.batches(), [(512, 0)], "the rest waits for more");
    kit.give(10);
    pass(5).await;
    assert_eq!(kit.batches(), [(512, 0), (198, 5)]);
    assert_eq!(kit.metrics.spans_exported.get(), 710);
}

/// One whose text is so long.
fn large(bytes: usize) -> Span {
    let mut span = span();
    span.attributes.put("text", "x".repeat(bytes));
    span
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_full_by_its_bytes_as_well() {
    let kit = Kit::new([]);
    (0..25).for_each(|_| kit.sink.take(large(200 << 10)));
    pass(1).await;
    assert_eq!(kit.batches(), [(10, 0), (10, 0)], "the rest waits for more");
    pass(5).await;
    assert_eq!(kit.batches().last(), Some(&(5, 5)));
    assert_eq!(kit.metrics.spans_exported.get(), 25);
    // What is larger than a batch may be goes alone.
    [large(10), large(BATCH_BYTES + 1), large(10)].into_iter().for_each(|span| kit.sink.take(span));
    let Kit { collector, exporter, .. } = kit;
    exporter.finish().await;
    assert_eq!(lock(&collector.batches)[3..].iter().map(|(size, _)| *size).collect::<Vec<_>>(), [1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_bounded_in_bytes() {
    let kit = Kit::new([Answer::Hang]);
    kit.sink.take(large(BATCH_BYTES));
    pass(6).await;
    (0..100).for_each(|_| kit.sink.take(large(200 << 10)));
    assert_eq!(kit.dropped("queue-full"), 100 - 40, "8 MiB of 200 KiB and a little");
    kit.give(1);
    assert_eq!(kit.dropped("queue-full"), 60, "there is room for a small one");
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_hangs_costs_what_does_not_fit_the_queue() {
    let kit = Kit::new([Answer::Hang]);
    kit.give(512);
    pass(1).await;
    kit.give(3000);
    assert_eq!(kit.dropped("queue-full"), 3000 - 2048);
    assert_eq!(kit.batches().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_failed_is_tried_again_for_a_while_and_then_let_fall() {
    let kit = Kit::new((0..4).map(|_| failed()));
    kit.give(3);
    pass(60).await;
    let sizes: Vec<usize> = kit.batches().iter().map(|(size, _)| *size).collect();
    assert_eq!(sizes, [3; 4]);
    assert_eq!((kit.dropped("unreachable"), kit.metrics.spans_exported.get()), (3, 0));
    kit.give(2);
    pass(60).await;
    assert_eq!(kit.metrics.spans_exported.get(), 2, "it goes on");
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_is_not_tried_again() {
    let refused = Answer::Say(Delivery::Refused { detail: "text/html".to_owned() });
    let partly = Answer::Say(Delivery::Taken { rejected: 1, why: "too old".to_owned() });
    let kit = Kit::new([refused, partly]);
    kit.give(3);
    pass(6).await;
    assert_eq!((kit.batches().len(), kit.dropped("refused")), (1, 3));
    kit.give(3);
    pass(6).await;
    assert_eq!((kit.dropped("rejected"), kit.metrics.spans_exported.get()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn at_the_end_what_is_there_is_sent_at_once() {
    let Kit { collector, exporter, sink, metrics } = Kit::new([]);
    (0..600).for_each(|_| sink.take(span()));
    exporter.finish().await;
    let sizes: Vec<_> = lock(&collector.batches).iter().map(|(size, at)| (*size, at.as_secs())).collect();
    assert_eq!(sizes, [(512, 0), (88, 0)]);
    sink.take(span());
    assert_eq!(metrics.spans_dropped.get_or_create(&DroppedLabels { reason: "stopped".to_owned() }).get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_ends_does_not_wait_for_a_collector_that_hangs() {
    let Kit { exporter, sink, .. } = Kit::new([Answer::Hang]);
    sink.take(span());
    let since = Instant::now();
    exporter.finish().await;
    assert_eq!(since.elapsed(), FLUSH);
}
