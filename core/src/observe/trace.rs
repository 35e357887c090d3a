//! What is recorded of a request whose trace is sampled: spans, as a tracing backend has them.
//!
//! A [`Recorder`] listens beside the sums of a request, where it is one of those that are recorded; the others pay for a look at a pointer.
//! Each span is handed to the [`SpanSink`] as it ends, and whoever sends them somewhere has them from there.
//!
//! - The *server* span is the request, from head to answer.
//! - The *guest* span is the run of its plugin. What needs no span of its own (replies from the cache, calls that joined another one's
//!   load, what stands in for a failure) is an event of it.
//! - Spans that an author has put into the plugin stand under it.
//! - A *call* span stands for the calls of one method that one trip upstream has answered, in the trace of each request that they are for.
//! - An *attempt* is a client span under the call's. A trip for many calls or requests has a span of its own between the two, in the trace
//!   of the first request of its audience that is recorded; it has a link to the call span of each request, and these one to it.

mod authored;
mod guest;
mod moments;
mod recorder;
mod server;
mod span;
mod tracer;
mod trip;

pub use guest::GuestRun;
pub use recorder::Recorder;
pub use server::Served;
pub use span::{Attributes, Span, SpanEvent, SpanKind, SpanSink, SpanValue};
pub use tracer::Tracer;
pub use trip::Departure;
pub(super) use trip::TripSpan;

#[cfg(test)]
pub(crate) use tests::{Kept, drawn, recorded};
#[cfg(test)]
mod tests;
