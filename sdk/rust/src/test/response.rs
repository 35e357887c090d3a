//! What a request of a test came to.

use std::time::Duration;

use prost::Message;
use serde::de::DeserializeOwned;

use crate::{Method, Outcome, Problem, Response, Status};

/// A call that a handler has sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentCall {
    pub(super) ticket: u32,
    pub(super) method: &'static str,
    pub(super) depth: u16,
    pub(super) timeout: Option<Duration>,
    pub(super) cancelled: bool,
    pub(super) message: Vec<u8>,
}

impl SentCall {
    /// The full name of its method.
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// The length of the chain of calls that it waited for, itself included.
    pub fn depth(&self) -> u16 {
        self.depth
    }

    /// The timeout that the handler has set.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Whether the handler has dropped it, and then gone on to another exchange.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    /// Its request, if it is a call of this method.
    pub fn request<Req: Message + Default, Resp>(&self, method: Method<Req, Resp>) -> Option<Req> {
        (method.name() == self.method).then(|| Req::decode(self.message.as_slice()).ok())?
    }
}

/// An event of a stream, as a browser would hear of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SentEvent {
    /// `None`: browsers call it `message`.
    pub name: Option<String>,
    /// What a client comes back with.
    pub id: Option<String>,
    /// Its JSON.
    pub data: String,
}

impl SentEvent {
    /// Of whole events, as `text/event-stream` has them.
    pub(super) fn all(text: &[u8]) -> Vec<Self> {
        let text = String::from_utf8_lossy(text);
        let event = |block: &str| {
            let field = |name: &str| {
                block.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(": ")?.to_owned()))
            };
            Self { name: field("event"), id: field("id"), data: field("data").unwrap_or_default() }
        };
        text.split("\n\n").filter(|block| !block.is_empty()).map(event).collect()
    }

    /// Its data, read from JSON.
    ///
    /// # Panics
    /// If it is no JSON of a `T`.
    #[expect(clippy::panic, reason = "ends the test")]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {}", self.data))
    }
}

/// What the handler has answered, and what it took.
#[derive(Debug, Clone)]
pub struct TestResponse {
    pub(super) outcome: Outcome,
    pub(super) exchanges: Vec<Vec<SentCall>>,
    pub(super) elapsed: Duration,
    pub(super) events: Vec<SentEvent>,
}

impl TestResponse {
    /// The status, of a response or of a problem.
    pub fn status(&self) -> Status {
        match &self.outcome {
            Ok(response) => response.status(),
            Err(problem) => problem.status(),
        }
    }

    /// The response.
    ///
    /// # Panics
    /// If it is a problem.
    #[expect(clippy::panic, reason = "ends the test")]
    pub fn response(&self) -> &Response {
        match &self.outcome {
            Ok(response) => response,
            Err(problem) => panic!("a problem instead of a response: {problem} {problem:?}"),
        }
    }

    /// The problem.
    ///
    /// # Panics
    /// If it is a response.
    #[expect(clippy::panic, reason = "ends the test")]
    pub fn problem(&self) -> &Problem {
        match &self.outcome {
            Ok(response) => panic!("a response instead of a problem: {response:?}"),
            Err(problem) => problem,
        }
    }

    /// The first value of a header of the response.
    pub fn header(&self, name: &str) -> Option<&str> {
        let headers = self.response().headers();
        headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The response's body, read from JSON.
    ///
    /// # Panics
    /// If it is a problem, or no JSON of a `T`.
    #[expect(clippy::panic, reason = "ends the test")]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(self.response().body()).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The response's body as text.
    ///
    /// # Panics
    /// If it is a problem.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.response().body()).into_owned()
    }

    /// What a stream has sent before it came to its end, or to its [problem](Self::problem).
    pub fn events(&self) -> &[SentEvent] {
        &self.events
    }

    /// The exchanges that this request made, each with its calls. Waits for timers alone are left out.
    pub fn exchanges(&self) -> &[Vec<SentCall>] {
        &self.exchanges
    }

    /// All calls, in the order in which they were sent.
    pub fn calls(&self) -> impl Iterator<Item = &SentCall> {
        self.exchanges.iter().flatten()
    }

    /// The longest chain of calls that waited for one another.
    pub fn depth(&self) -> u16 {
        self.calls().map(SentCall::depth).max().unwrap_or(0)
    }

    /// How long the request took, in virtual time: what its backends and timers took.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }
}
