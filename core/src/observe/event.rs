//! All that can be reported, and what listens.

use crate::model::{Code, TraceContext};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use weft_wire::BadReply;

/// Something that happened. In the order of a call's way.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A guest asks for calls. `depth`: the longest chain of calls that one of them waited for, itself included.
    Asked {
        calls: u32,
        depth: u32,
    },
    /// The entity cache was asked for a reply.
    LookedUp {
        method: &'a Arc<str>,
        found: Found,
    },
    /// A call waits for a load that an equal one has begun.
    Joined {
        method: &'a Arc<str>,
    },
    /// Calls of a method leave together, or alone because no other one came.
    Gathered {
        method: &'a Arc<str>,
        keys: usize,
    },
    /// A call leaves the host, for all who hear of it.
    Left(Leaving<'a>),
    /// An attempt of such a call is made. One whose end is not reported was given up before [`Event::Back`].
    AttemptBegan(Attempt<'a>),
    AttemptEnded {
        attempt: Attempt<'a>,
        code: Code,
        /// Of HTTP, where there was an answer.
        status: Option<u16>,
        took: Duration,
    },
    /// A call that left has ended, or was refused before anything was sent.
    Back(&'a Arc<Trip>),
    OddReply(OddReply<'a>),
    /// A part of the response is less than it should be.
    Degraded {
        method: &'a Arc<str>,
        how: Degraded,
    },
    /// A call has ended for those who take its outcome.
    Ended(Ended<'a>),
    /// Calls were under way when their request ended.
    Abandoned {
        method: &'a Arc<str>,
        takers: TakenBy<'a>,
        started: Instant,
    },
    /// The guest has run to its end.
    GuestRan(Cost),
    /// The guest can't be started, trapped, or had no memory left.
    GuestCrashed,
}

/// Who wants to know.
pub trait Listener {
    fn on(&self, event: &Event<'_>);
}

impl<L: Listener + ?Sized> Listener for &L {
    fn on(&self, event: &Event<'_>) {
        (**self).on(event);
    }
}

impl<L: Listener> Listener for Option<L> {
    fn on(&self, event: &Event<'_>) {
        if let Some(listener) = self {
            listener.on(event);
        }
    }
}

impl<A: Listener, B: Listener> Listener for (A, B) {
    fn on(&self, event: &Event<'_>) {
        self.0.on(event);
        self.1.on(event);
    }
}

/// What the entity cache had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    Hit,
    /// A reply that is old, and may be served.
    Stale,
    /// That there is no such item.
    Negative,
    Miss,
}

impl Found {
    pub const ALL: [Self; 4] = [Self::Hit, Self::Stale, Self::Negative, Self::Miss];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Negative => "negative",
            Self::Miss => "miss",
        }
    }
}

/// Where a reply came from. The numbers are the contract's (`wit/backend.wit`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Origin {
    Upstream = 0,
    /// It shared the load of an equal call.
    Coalesced = 1,
    Cache = 2,
    /// An old reply from the cache.
    Stale = 3,
    /// What the manifest or the plugin declared for the case of a failure.
    Fallback = 4,
    /// No reply: it was refused here, and nothing was sent.
    Refused = 5,
}

impl Origin {
    pub const ALL: [Self; 6] =
        [Self::Upstream, Self::Coalesced, Self::Cache, Self::Stale, Self::Fallback, Self::Refused];

    /// The contract's number, which tells of replies only.
    pub fn number(self) -> u32 {
        if self == Self::Refused { Self::Upstream as u32 } else { self as u32 }
    }

    /// What it is for an equal call, which was not sent itself.
    pub fn for_duplicates(self) -> Self {
        if self == Self::Upstream { Self::Coalesced } else { self }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Coalesced => "coalesced",
            Self::Cache => "cache",
            Self::Stale => "stale",
            Self::Fallback => "fallback",
            Self::Refused => "refused",
        }
    }
}

/// Who refused a call here, or its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedBy {
    Grants,
    PluginCalls,
    HostCalls,
    MessageBound,
    RepliesBound,
    Deadline,
    Throttle,
    ConcurrencyLimit,
    TokenExchange,
    Host,
}

impl RefusedBy {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grants => "grants",
            Self::PluginCalls => "plugin's `calls`",
            Self::HostCalls => "host's `calls`",
            Self::MessageBound => "bound of one message",
            Self::RepliesBound => "bound of all replies",
            Self::Deadline => "deadline",
            Self::Throttle => "throttle",
            Self::ConcurrencyLimit => "concurrency limit",
            Self::TokenExchange => "token exchange",
            Self::Host => "host",
        }
    }
}

/// How a part of a response came to be less than it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Degraded {
    /// A declared fallback stood in.
    Fallback,
    /// An old reply stood in.
    Stale,
    /// The call failed, and the plugin did without.
    Failed,
    /// A stream had not ended in time; what had come of it stands in.
    Cut,
}

impl Degraded {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fallback => "fallback",
            Self::Stale => "stale",
            Self::Failed => "failed",
            Self::Cut => "cut",
        }
    }
}

/// A call as it leaves.
#[derive(Debug, Clone, Copy)]
pub struct Leaving<'a> {
    /// The method that is called upstream.
    pub via: &'a Arc<str>,
    /// Calls that it stands for.
    pub keys: usize,
    /// Requests that it is for.
    pub requests: usize,
}

/// One attempt of a call that left.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    pub method: &'a Arc<str>,
    pub endpoint: &'a Arc<str>,
    /// From 1.
    pub number: u32,
    pub kind: AttemptKind,
    pub by: Spoken<'a>,
    /// Its span; 0 where nobody records it.
    pub span: u64,
}

/// What a backend speaks, and what is asked in it.
#[derive(Debug, Clone, Copy)]
pub enum Spoken<'a> {
    Grpc,
    /// The path has names where a request has values: `/v1/weather/{city}`.
    Http {
        method: &'a http::Method,
        path: &'a Arc<str>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptKind {
    First,
    /// The one before has failed.
    Retry,
    /// Those before take long.
    Hedge,
}

/// One call that left the host, alone or for many.
#[derive(Debug)]
pub struct Trip {
    /// The method that was called upstream.
    pub via: Arc<str>,
    /// Calls that it stood for.
    pub keys: usize,
    pub attempts: u32,
    /// Where the last attempt was made; none where nothing was sent.
    pub endpoint: Option<Arc<str>>,
    /// Why it failed, also where something else stands in for its reply.
    pub failed: Option<Code>,
    /// Who refused it, so that nothing was sent.
    pub refused_by: Option<RefusedBy>,
    /// How long its first call had gathered.
    pub gathered: Duration,
    pub started: Instant,
    pub ended: Instant,
    /// Why it was shared with nobody, although its method may be.
    pub alone: Option<&'static str>,
    /// Where it is recorded.
    pub traced: Option<Arc<Traced>>,
}

/// Where a call upstream stands in traces.
#[derive(Debug)]
pub struct Traced {
    /// Its own span.
    pub context: TraceContext,
    /// Those of the requests that it has set out for, and that are recorded.
    pub requests: Vec<TraceContext>,
}

/// A batch reply that can't be taken as it is.
#[derive(Debug, Clone, Copy)]
pub struct OddReply<'a> {
    pub method: &'a Arc<str>,
    pub via: &'a Arc<str>,
    /// Keys that were asked for.
    pub keys: usize,
    pub oddity: Oddity,
}

#[derive(Debug, Clone, Copy)]
pub enum Oddity {
    Unsplittable(BadReply),
    /// It leaves keys out, and goes on elsewhere (`is_cut`) or has `strays`, items of other keys.
    LeavesOut {
        is_cut: bool,
        strays: usize,
    },
}

/// A ticket and its depth.
pub type Taker = (u32, u16);

/// Who takes the outcome of a call: the call itself, unless it was cancelled, and equal calls of the same exchange.
#[derive(Debug, Clone, Copy)]
pub struct TakenBy<'a> {
    pub first: Option<Taker>,
    pub duplicates: &'a [Taker],
}

impl TakenBy<'_> {
    pub fn count(&self) -> u32 {
        u32::from(self.first.is_some()) + self.duplicates.len() as u32
    }
}

/// A call that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    /// None where the plugin has no such method.
    pub method: Option<&'a Arc<str>>,
    pub takers: TakenBy<'a>,
    /// None where it never began.
    pub started: Option<Instant>,
    pub end: End<'a>,
}

/// How a call ended.
#[derive(Debug, Clone, Copy)]
pub struct End<'a> {
    /// The size of the reply.
    pub result: Result<usize, Code>,
    pub origin: Origin,
    /// How long the reply had been in the cache.
    pub age: Duration,
    /// Who refused it, where it was not sent.
    pub refused_by: Option<RefusedBy>,
    /// The reply is what came in time of a stream that had not ended.
    pub cut: bool,
    /// The upstream call that brought it.
    pub trip: Option<&'a Arc<Trip>>,
}

/// What a request took of the host.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    /// CPU time of the guest, and of the host on its behalf.
    pub cpu: Duration,
    /// Bytes of linear memory at the end.
    pub memory: usize,
    /// How long it waited for its turn.
    pub queued: Duration,
    /// Calls of the contract that count against its bound.
    pub crossings: u32,
}
