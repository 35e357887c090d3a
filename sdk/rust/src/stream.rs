//! Answers in parts: `text/event-stream` ([server-sent events](https://html.spec.whatwg.org/multipage/server-sent-events.html)).
//!
//! An endpoint that returns [`EventStream`] begins to answer while it still works: the fast parts of a page first, the slow ones as
//! they come. Each event is JSON of one type, which stands in the schema.
//!
//! ```
//! use weft_sdk::prelude::*;
//!
//! #[data]
//! #[serde(tag = "part", rename_all = "kebab-case")]
//! enum Part {
//!     Title { text: String },
//!     Likes { count: u32 },
//! }
//!
//! /// A page in two parts.
//! #[get("/pages/{id}/live")]
//! async fn live(Path(id): Path<u32>) -> Result<EventStream<Part>> {
//!     // Until here an error is a status.
//!     Ok(EventStream::new(async move |events| {
//!         events.send(Part::Title { text: format!("Page {id}") }).await?;
//!         // From here on an error is the stream's last event.
//!         events.send(Event::new(Part::Likes { count: 3 }).named("likes").with_id("1")).await
//!     }))
//! }
//! # weft_sdk::plugin!(live);
//! # fn main() {
//! let answer = weft_sdk::test::App::new(plugin()).get("/pages/7/live").send();
//! assert_eq!(answer.events()[1].name.as_deref(), Some("likes"));
//! # }
//! ```

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use crate::describe::Description;
use crate::response::Output;
use crate::{IntoResponse, Problem, Response, Result, Status, host};

/// An answer of events, each JSON of a `T`. The host keeps it alive while nothing is sent, and ends it cleanly when the client has gone,
/// the host stops or another version of the plugin takes over; clients then ask again, with `last-event-id`.
#[must_use = "a stream does nothing until it is returned"]
pub struct EventStream<T> {
    run: Pin<Box<dyn Future<Output = Result<()>> + Send>>,
    parts: PhantomData<fn(T)>,
}

/// Where a stream's events go.
pub struct Events<T>(PhantomData<fn(T)>);

/// One event. What is sent without more is an event of no name and no id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event<T> {
    name: Option<String>,
    id: Option<String>,
    data: T,
}

impl<T: Output + Send + 'static> EventStream<T> {
    /// A stream of what this function sends. It ends when the function returns; an error becomes the last event, named `weft.problem`.
    pub fn new<F>(send: impl FnOnce(Events<T>) -> F) -> Self
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        Self { run: Box::pin(send(Events(PhantomData))), parts: PhantomData }
    }
}

impl<T: Output + Send> Events<T> {
    /// Sends an event, once there is room for it.
    ///
    /// # Errors
    /// Where nobody takes any more, or the data has no JSON: to be handed on by `?`.
    #[expect(clippy::unused_async, reason = "a host that does not block may come")]
    pub async fn send(&self, event: impl Into<Event<T>>) -> Result<()> {
        let text = event.into().text()?;
        if host::emit_write(&text) { Ok(()) } else { Err(Problem::internal("nobody takes any more of the stream")) }
    }
}

impl<T> Event<T> {
    /// An event of no name and no id.
    pub fn new(data: T) -> Self {
        Self { name: None, id: None, data }
    }

    /// Under which name browsers hear of it, instead of `message`. Names that begin with `weft.` are the host's.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// What a client that has lost the stream comes back with as `last-event-id`, for a handler that can go on from there.
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }
}

impl<T> From<T> for Event<T> {
    fn from(data: T) -> Self {
        Self::new(data)
    }
}

impl<T: Output> Event<T> {
    fn text(&self) -> Result<Vec<u8>> {
        let mut text = Vec::with_capacity(1 << 10);
        for (field, value) in [("event", &self.name), ("id", &self.id)] {
            let Some(value) = value else { continue };
            let is_hosts = field == "event" && value.starts_with("weft.");
            if is_hosts || value.contains(['\r', '\n', '\0']) {
                return Err(Problem::internal(format_args!("{value:?} can't be the {field} of an event")));
            }
            text.extend_from_slice(format!("{field}: {value}\n").as_bytes());
        }
        text.extend_from_slice(b"data: ");
        // JSON as it is written here has no line breaks outside of strings, and escapes those inside.
        crate::json::write(&self.data, &mut text)
            .map_err(|error| Problem::internal(format_args!("an event has no JSON: {error}")))?;
        text.extend_from_slice(b"\n\n");
        Ok(text)
    }
}

impl<T: Output> IntoResponse for EventStream<T> {
    fn into_response(self) -> Result<Response> {
        Err(Problem::internal("a stream is answered as it is: return `EventStream<T>`, or a `Result` of it"))
    }

    async fn respond(self) -> Result<Response>
    where
        Self: Send,
    {
        let run = self.run;
        host::emit_begin(Status::OK, &[("content-type".to_owned(), "text/event-stream".to_owned())]);
        run.await?;
        Ok(Response::new(Status::OK))
    }

    fn describe(description: &mut Description) {
        description.event_stream::<T>();
    }
}

impl<T> fmt::Debug for EventStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Events<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}
