//! What happens while a request is served, told once: who does something reports an [`Event`], and who wants to know is a [`Listener`].
//!
//! Session, flight, batch, attempt upstream and the guest's run report, and know nobody who listens. Listeners are what is measured of a
//! method, a backend's method or a release (each beside what it measures), and the [`RequestObserver`] of each request that the event is
//! for: its sums ([`Stats`]), where it was asked for or somebody follows ([`Follow`]) its waterfall, and where its trace is sampled its
//! spans ([`Recorder`]). A call upstream
//! may be for many requests, its [`Audience`].
//!
//! An event is made of what is at hand: it is `Copy`, borrows the rest and reads no clock. Listeners are known when the host is compiled,
//! so an event that one of them does not listen to costs it a comparison at most. One more of them is one more field of `RequestObserver`.
//!
//! What steers is no listener: health, throttle, limits and latencies are told by whom they steer.

mod audience;
mod event;
mod explain;
mod follow;
mod recent;
mod request;
mod stats;
mod trace;

pub use audience::Audience;
pub use event::{
    Attempt, AttemptKind, Cost, Degraded, End, Ended, Event, Found, Leaving, Listener, OddReply, Oddity, Origin,
    RefusedBy, Spoken, TakenBy, Taker, Traced, Trip,
};
pub use follow::{Follow, Followed, FollowedCalls};
pub use recent::{Noted, Recent, RecentRequests, unix_millis};
pub use request::RequestObserver;
pub use stats::Stats;
pub use trace::{
    Attributes, Departure, GuestRun, Recorder, Served, Span, SpanEvent, SpanKind, SpanSink, SpanValue, Tracer,
};

#[cfg(test)]
pub(crate) use tests::written;
#[cfg(test)]
pub(crate) use trace::{Kept, drawn, recorded};
#[cfg(test)]
mod tests;
