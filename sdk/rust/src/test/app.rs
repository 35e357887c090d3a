//! A plugin together with the backends of a test.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prost::Message;

use super::fixture::{Answer, Backend, Fixture};
use super::host::{Line, Span};
use super::request::TestRequest;
use super::response::SentCall;
use crate::lock::lock;
use crate::{CallError, Method, Origin, Plugin};

/// A plugin with backends in memory. See the [module](super).
pub struct App(Fixture);

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("plugin", &self.0.plugin).finish_non_exhaustive()
    }
}

impl App {
    /// The plugin, without any backend.
    ///
    /// # Panics
    /// If the plugin has [faults](Plugin::faults), which `weft build` would refuse.
    pub fn new(plugin: Plugin) -> Self {
        let faults = plugin.faults();
        assert!(faults.is_empty(), "{}", faults.join("; "));
        Self(Fixture { plugin, backends: BTreeMap::new(), shared: Arc::default(), sent: Mutex::default() })
    }

    /// Answers calls of `method`. A call of a method that has no backend ends the test.
    pub fn backend<Req, Resp>(
        mut self,
        method: Method<Req, Resp>,
        answer: impl Fn(Req) -> Result<Resp, CallError> + Send + Sync + 'static,
    ) -> Self
    where
        Req: Message + Default,
        Resp: Message,
    {
        let answer: Answer = Box::new(move |bytes| {
            let request =
                Req::decode(bytes).map_err(|error| CallError::new(crate::Code::Internal, error.to_string()))?;
            answer(request).map(|reply| reply.encode_to_vec())
        });
        self.entry(method).answer = Some(answer);
        self
    }

    /// Lets calls of `method` take this long, in virtual time.
    pub fn latency<Req, Resp>(mut self, method: Method<Req, Resp>, latency: Duration) -> Self {
        self.entry(method).latency = latency;
        self
    }

    /// Lets calls of `method` never finish. Those without a timeout last until the request's deadline.
    pub fn stall<Req, Resp>(mut self, method: Method<Req, Resp>) -> Self {
        self.entry(method).stalls = true;
        self
    }

    /// Lets replies to `method` say that they come from there, as `Call::with_meta` shows it.
    pub fn origin<Req, Resp>(mut self, method: Method<Req, Resp>, origin: Origin) -> Self {
        self.entry(method).origin = Some(origin);
        self
    }

    /// Sets a value of `[config]`.
    pub fn config(self, key: &str, value: &str) -> Self {
        lock(&self.0.shared.config).insert(key.to_owned(), value.to_owned());
        self
    }

    /// A GET request. A query may be part of the path.
    pub fn get(&self, path: &str) -> TestRequest<'_> {
        self.request("GET", path)
    }

    /// A POST request.
    pub fn post(&self, path: &str) -> TestRequest<'_> {
        self.request("POST", path)
    }

    /// A PUT request.
    pub fn put(&self, path: &str) -> TestRequest<'_> {
        self.request("PUT", path)
    }

    /// A PATCH request.
    pub fn patch(&self, path: &str) -> TestRequest<'_> {
        self.request("PATCH", path)
    }

    /// A DELETE request.
    pub fn delete(&self, path: &str) -> TestRequest<'_> {
        self.request("DELETE", path)
    }

    /// A request of any method.
    pub fn request(&self, method: &str, path: &str) -> TestRequest<'_> {
        TestRequest::new(&self.0, method, path)
    }

    /// The exchanges of all requests so far, each with its calls. [`TestResponse::exchanges`](super::TestResponse::exchanges) has
    /// those of one request.
    pub fn exchanges(&self) -> Vec<Vec<SentCall>> {
        lock(&self.0.sent).clone()
    }

    /// What has been logged so far.
    pub fn logs(&self) -> Vec<Line> {
        lock(&self.0.shared.logs).clone()
    }

    /// The spans that handlers have put into their traces so far, in the order in which they began.
    pub fn spans(&self) -> Vec<Span> {
        lock(&self.0.shared.spans).clone()
    }

    fn entry<Req, Resp>(&mut self, method: Method<Req, Resp>) -> &mut Backend {
        self.0.backends.entry(method.name()).or_default()
    }
}
