//! The life signs of one connection, left by its stream and its bodies and read by the watchdog.
//!
//! An HTTP library bounds what it waits for itself; it does not see a client that never reads, one that trickles a header, or one that
//! grants no window. All of these are one question here: since when has this connection made no progress, and with what?

use super::{bounds::Bounds, framing::Came};
use crate::sync::lock;
use std::{
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// A blocked client has to take at least this much in each `write-timeout`.
const LEAST: usize = 8 << 10;
/// Bodies are registered and forgotten in bulk.
const TIDY_AT: usize = 256;

/// Marks are milliseconds since the connection began, plus one; 0 is "not so".
#[derive(Debug)]
pub(super) struct Activity {
    began: Instant,
    /// A request began to arrive and has not arrived yet.
    reading: AtomicU64,
    /// The same of a frame or a header block of HTTP/2, whatever else is under way.
    framing: AtomicU64,
    is_http2: AtomicBool,
    /// The client takes nothing, or too little.
    blocked: AtomicU64,
    taken: AtomicUsize,
    /// Nothing is under way.
    idle: AtomicU64,
    under_way: AtomicUsize,
    /// The last request's body was given up before its end.
    unfinished: AtomicBool,
    /// Answers under way as streams of HTTP/2.
    streams: Mutex<Vec<Weak<Stream>>>,
    /// It was told to end.
    told: AtomicU64,
    pub(super) close: Notify,
    pub(super) cut: Arc<Notify>,
}

/// An answer on its way as a stream of HTTP/2.
#[derive(Debug)]
struct Stream {
    /// When it last made progress.
    progress: AtomicU64,
    /// Ends it, and nothing else of its connection.
    end: Arc<Notify>,
}

/// What the watchdog thinks of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Well,
    /// It has been idle for long: it is told to end.
    Close,
    Cut(&'static str),
}

/// One request or its answer, under way on a connection.
#[derive(Debug)]
pub(super) struct UnderWay {
    activity: Arc<Activity>,
    stream: Option<Arc<Stream>>,
    /// Ends this request and as little else as may be: its stream, or on HTTP/1 its connection.
    pub(super) end: Arc<Notify>,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            reading: AtomicU64::new(0),
            framing: AtomicU64::new(0),
            is_http2: AtomicBool::new(false),
            blocked: AtomicU64::new(0),
            taken: AtomicUsize::new(0),
            idle: AtomicU64::new(1),
            under_way: AtomicUsize::new(0),
            unfinished: AtomicBool::new(false),
            streams: Mutex::default(),
            told: AtomicU64::new(0),
            close: Notify::new(),
            cut: Arc::new(Notify::new()),
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
    }

    /// Bytes came in.
    pub(super) fn arriving(&self) {
        if self.under_way.load(Relaxed) == 0 && self.reading.load(Relaxed) == 0 {
            self.reading.store(self.now(), Relaxed);
        }
    }

    /// Bytes came in that are HTTP/2, or may become it.
    pub(super) fn frames(&self, is_http2: bool, came: Came) {
        self.is_http2.store(is_http2, Relaxed);
        match came {
            Came::Begun => self.framing.store(self.now(), Relaxed),
            Came::Whole | Came::Other => self.framing.store(0, Relaxed),
            Came::Unfinished => {}
        }
    }

    /// They did not become it. What began then is a request of HTTP/1.
    pub(super) fn no_frames(&self) {
        self.reading.store(self.framing.swap(0, Relaxed), Relaxed);
    }

    /// The client took `count` of `offered` bytes; `None`: it takes nothing now.
    pub(super) fn wrote(&self, count: Option<usize>, offered: usize) {
        match count {
            Some(count) if count == offered => self.blocked.store(0, Relaxed),
            Some(count) => drop(self.taken.fetch_add(count, Relaxed)),
            None if self.blocked.load(Relaxed) == 0 => {
                self.taken.store(0, Relaxed);
                self.blocked.store(self.now(), Relaxed);
            }
            None => {}
        }
    }

    /// A request has arrived.
    pub(super) fn begin(self: &Arc<Self>) -> UnderWay {
        self.reading.store(0, Relaxed);
        self.unfinished.store(false, Relaxed);
        self.under_way.fetch_add(1, Relaxed);
        UnderWay { activity: self.clone(), stream: None, end: self.cut.clone() }
    }

    /// Nobody wants the rest of the request's body, and the client may go on with it.
    pub(super) fn unfinished(&self) {
        self.unfinished.store(true, Relaxed);
    }

    pub(super) fn is_unfinished(&self) -> bool {
        self.unfinished.load(Relaxed)
    }

    /// The client is told to end the connection.
    pub(super) fn told(&self) {
        self.told.store(self.now(), Relaxed);
    }

    /// How much longer the connection is worth waiting for a request, when none is to come after it: of HTTP/1 an answer alone can tell
    /// the client, so that one that asks again and again gets a last one. `None`: it has rested for `rest`, or can be told at once.
    pub(super) fn awaited(&self, rest: Duration) -> Option<Duration> {
        if rest.is_zero() || self.is_http2.load(Relaxed) {
            return None;
        }
        if self.under_way.load(Relaxed) > 0 || self.reading.load(Relaxed) != 0 {
            return Some(rest);
        }
        let rested = Duration::from_millis(self.now().saturating_sub(self.idle.load(Relaxed)));
        rest.checked_sub(rested).filter(|left| !left.is_zero())
    }

    /// Ends the streams that have made no progress for too long; how many these are.
    pub(super) fn end_stuck(&self, bounds: &Bounds) -> usize {
        let now = self.now();
        let mut streams = lock(&self.streams);
        streams.retain(|stream| stream.strong_count() > 0);
        let is_stuck = |stream: &Arc<Stream>| is_over(now, stream.progress.load(Relaxed), bounds.write);
        let stuck = streams.iter().filter_map(Weak::upgrade).filter(is_stuck);
        stuck
            .map(|stream| {
                // Once: it is on its way out.
                stream.progress.store(0, Relaxed);
                stream.end.notify_one();
            })
            .count()
    }

    pub(super) fn check(&self, bounds: &Bounds) -> Verdict {
        let now = self.now();
        let over = |mark, bound| is_over(now, mark, bound);
        if over(self.reading.load(Relaxed), bounds.header) {
            return Verdict::Cut("header");
        }
        // Nothing is read of a client that does not let the host write what has to be written first.
        if self.blocked.load(Relaxed) == 0 && over(self.framing.load(Relaxed), bounds.header) {
            return Verdict::Cut("header");
        }
        if over(self.blocked.load(Relaxed), bounds.write) {
            if self.taken.swap(0, Relaxed) < LEAST {
                return Verdict::Cut("write");
            }
            self.blocked.store(now, Relaxed);
        }
        if self.under_way.load(Relaxed) == 0 {
            let (idle, told) = (self.idle.load(Relaxed), self.told.load(Relaxed));
            if told == 0 && over(idle, bounds.idle) {
                self.told();
                return Verdict::Close;
            }
            // A client that has nothing under way and does not go keeps its connection no longer than a request takes to begin.
            if told != 0 && over(told.max(idle), bounds.header) {
                return Verdict::Cut("idle");
            }
        }
        Verdict::Well
    }
}

/// Whether a mark is older than that.
fn is_over(now: u64, mark: u64, bound: Duration) -> bool {
    mark != 0 && u128::from(now.saturating_sub(mark)) >= bound.as_millis()
}

impl UnderWay {
    /// It is a stream, which may be ended without its connection.
    pub(super) fn ended_by(&mut self, end: Arc<Notify>) {
        self.end = end;
    }

    /// From here on the answer's body has to make progress.
    pub(super) fn watch_body(&mut self) {
        let stream = Arc::new(Stream { progress: AtomicU64::new(self.activity.now()), end: self.end.clone() });
        let mut streams = lock(&self.activity.streams);
        if streams.len() >= TIDY_AT {
            streams.retain(|stream| stream.strong_count() > 0);
        }
        streams.push(Arc::downgrade(&stream));
        drop(streams);
        self.stream = Some(stream);
    }

    /// There is nothing for the client yet, so nothing is asked of it.
    pub(super) fn rests(&self) {
        if let Some(stream) = &self.stream {
            stream.progress.store(0, Relaxed);
        }
    }

    /// The client was ready for more of the body.
    pub(super) fn progress(&self) {
        if let Some(stream) = &self.stream {
            stream.progress.store(self.activity.now(), Relaxed);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        // Before the count falls, so that nobody sees an old mark with nothing under way.
        self.activity.idle.store(self.activity.now(), Relaxed);
        self.activity.under_way.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn bounds() -> Bounds {
        let second = Duration::from_secs(1);
        Bounds { header: 5 * second, write: 20 * second, idle: 60 * second, ..Bounds::for_tests() }
    }

    async fn after(activity: &Activity, seconds: u64) -> Verdict {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        activity.check(&bounds())
    }

    #[tokio::test(start_paused = true)]
    async fn a_header_has_to_arrive_and_a_request_may_take_its_time() {
        let activity = Activity::new();
        assert_eq!(after(&activity, 50).await, Verdict::Well, "idle, not too long");
        activity.arriving();
        assert_eq!(after(&activity, 4).await, Verdict::Well);
        activity.arriving();
        assert_eq!(after(&activity, 1).await, Verdict::Cut("header"), "trickling does not help");
        let request = activity.begin();
        assert_eq!(after(&activity, 500).await, Verdict::Well);
        drop(request);
        assert_eq!(after(&activity, 59).await, Verdict::Well);
        assert_eq!(after(&activity, 1).await, Verdict::Close);
        assert_eq!(after(&activity, 4).await, Verdict::Well, "told to end, and given time for it");
        assert_eq!(after(&activity, 1).await, Verdict::Cut("idle"));
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_end_a_client_without_requests_has_to_go_soon() {
        let activity = Activity::new();
        let request = activity.begin();
        activity.told();
        assert_eq!(after(&activity, 30).await, Verdict::Well, "its request is under way");
        drop(request);
        assert_eq!(after(&activity, 4).await, Verdict::Well);
        assert_eq!(after(&activity, 1).await, Verdict::Cut("idle"));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_too_little_is_cut() {
        let activity = Activity::new();
        let _request = activity.begin();
        activity.wrote(None, 100);
        assert_eq!(after(&activity, 19).await, Verdict::Well);
        activity.wrote(Some(LEAST), 1 << 20);
        assert_eq!(after(&activity, 1).await, Verdict::Well, "it took enough");
        activity.wrote(Some(1), 1 << 20);
        assert_eq!(after(&activity, 20).await, Verdict::Cut("write"));
        activity.wrote(Some(100), 100);
        assert_eq!(after(&activity, 20).await, Verdict::Well, "it has caught up");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_nobody_reads_is_ended_alone() {
        let activity = Activity::new();
        let (mut quick, mut stuck) = (activity.begin(), activity.begin());
        let ends = [(); 2].map(|()| Arc::new(Notify::new()));
        quick.ended_by(ends[0].clone());
        stuck.ended_by(ends[1].clone());
        quick.watch_body();
        stuck.watch_body();
        assert_eq!((after(&activity, 19).await, activity.end_stuck(&bounds())), (Verdict::Well, 0));
        quick.progress();
        assert_eq!((after(&activity, 1).await, activity.end_stuck(&bounds())), (Verdict::Well, 1));
        assert!(ends[0].notified().now_or_never().is_none());
        assert!(ends[1].notified().now_or_never().is_some());
        assert_eq!(activity.end_stuck(&bounds()), 0, "once");
        quick.rests();
        assert_eq!(
            (after(&activity, 50).await, activity.end_stuck(&bounds())),
            (Verdict::Well, 0),
            "nothing was there"
        );
        quick.progress();
        assert_eq!((after(&activity, 20).await, activity.end_stuck(&bounds())), (Verdict::Well, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_header_of_http_2_has_to_arrive_whatever_else_is_under_way() {
        let activity = Activity::new();
        let _request = activity.begin();
        activity.frames(true, Came::Begun);
        assert_eq!(after(&activity, 4).await, Verdict::Well);
        activity.frames(true, Came::Unfinished);
        let _another = activity.begin();
        assert_eq!(
            after(&activity, 1).await,
            Verdict::Cut("header"),
            "trickling does not help, nor does another stream"
        );
        activity.frames(true, Came::Begun);
        assert_eq!(after(&activity, 4).await, Verdict::Well, "this is another one");
        activity.frames(true, Came::Whole);
        assert_eq!(after(&activity, 50).await, Verdict::Well);
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_connection_of_http_1_is_worth_waiting_for_a_last_request() {
        let activity = Activity::new();
        let rest = Duration::from_secs(5);
        let request = activity.begin();
        assert_eq!(activity.awaited(rest), Some(rest));
        after(&activity, 50).await;
        drop(request);
        after(&activity, 2).await;
        assert_eq!(activity.awaited(rest), Some(Duration::from_secs(3)));
        assert_eq!(activity.awaited(Duration::ZERO), None);
        after(&activity, 3).await;
        assert_eq!(activity.awaited(rest), None, "it has rested enough");
        activity.arriving();
        assert_eq!(activity.awaited(rest), Some(rest), "a request is on its way");
        let two = Activity::new();
        two.frames(true, Came::Whole);
        assert_eq!(two.awaited(rest), None, "HTTP/2 has GOAWAY");
    }
}
