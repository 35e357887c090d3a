//! A plugin as a value: its endpoints and its method table.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::describe::Description;
use crate::executor::Executor;
use crate::host::Access;
use crate::{Problem, Request, Response, Result};

/// What an endpoint's future gives.
pub type Outcome = Result<Response, Problem>;

/// A handler under way.
pub type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// One endpoint. `#[get]` and its siblings make them.
#[derive(Clone, Copy)]
pub struct Endpoint {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// Method and path.
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) description: &'static str,
    /// None in a component that only describes.
    pub(crate) run: Option<fn(Request) -> Running>,
    /// None in a component that only serves.
    pub(crate) describe: Option<fn(&mut Description)>,
}

/// What a plugin is compiled for. Its own crate knows, this one is the same for all of them: what an endpoint does not hold is linked
/// nowhere.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Serve,
    Describe,
    /// Tests and native servers.
    Both,
}

impl Endpoint {
    /// For the attribute macros. `texts` are method, path, both, summary, description.
    #[doc(hidden)]
    pub const fn new(
        purpose: Purpose,
        texts: [&'static str; 5],
        run: fn(Request) -> Running,
        describe: fn(&mut Description),
    ) -> Self {
        let [method, path, name, summary, description] = texts;
        let (run, describe) = match purpose {
            Purpose::Serve => (Some(run), None),
            Purpose::Describe => (None, Some(describe)),
            Purpose::Both => (Some(run), Some(describe)),
        };
        Self { method, path, name, summary, description, run, describe }
    }

    /// The HTTP method: `GET`.
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// The path template: `/films/{id}`.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// Method and path template, as requests name it: `GET /films/{id}`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The first paragraph of its doc comment.
    pub fn summary(&self) -> &'static str {
        self.summary
    }

    /// The rest of its doc comment.
    pub fn description(&self) -> &'static str {
        self.description
    }

    /// The names of the template's parameters, in order.
    pub fn params(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.path.split('/').filter_map(param)
    }
}

/// The name in a template's segment, if it is a parameter.
pub(crate) fn param(segment: &'static str) -> Option<&'static str> {
    let name = segment.strip_prefix('{')?.strip_suffix('}')?;
    Some(name.strip_prefix('*').unwrap_or(name))
}

/// What `#[get]` and its siblings make of a function.
#[doc(hidden)]
pub trait IsEndpoint {
    const ENDPOINT: Endpoint;
}

/// That `E` was made of a function.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "this function is no endpoint",
    label = "no endpoint",
    note = "put method and path above the function, as in `#[get(\"/films/{{id}}\")]` (or `post`, `put`, `patch`, `delete`)"
)]
pub trait Function<E> {
    const ENDPOINT: Endpoint;
}

#[diagnostic::do_not_recommend]
impl<E: IsEndpoint, F> Function<E> for F {
    const ENDPOINT: Endpoint = E::ENDPOINT;
}

/// For `plugin!`. Of a function that is not there the compiler says that, and nothing of endpoints.
#[doc(hidden)]
pub const fn listed<E, F: Function<E>>(_: &F) -> Endpoint {
    F::ENDPOINT
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.name).finish()
    }
}

/// All of a plugin. `plugin!` makes a function `plugin()` that returns it.
#[derive(Debug, Clone, Copy)]
pub struct Plugin {
    endpoints: &'static [Endpoint],
    methods: &'static [&'static str],
    descriptors: &'static [u8],
}

impl Plugin {
    /// For the macros.
    #[doc(hidden)]
    #[expect(clippy::panic, reason = "the compiler runs it")]
    pub const fn new(
        endpoints: &'static [Endpoint],
        methods: &'static [&'static str],
        descriptors: &'static [u8],
    ) -> Self {
        if let Some(name) = duplicate(endpoints) {
            let (text, len) = twice(name);
            if let Ok(text) = std::str::from_utf8(text.split_at(len).0) {
                panic!("{}", text);
            }
        }
        Self { endpoints, methods, descriptors }
    }

    /// Its endpoints, in the order of `plugin!`.
    pub fn endpoints(&self) -> &'static [Endpoint] {
        self.endpoints
    }

    /// The full names of the methods that it may call. A call's method number is a place in this table.
    pub fn methods(&self) -> &'static [&'static str] {
        self.methods
    }

    /// The `FileDescriptorSet` that it was built against.
    pub fn descriptors(&self) -> &'static [u8] {
        self.descriptors
    }

    /// Begins a request. Nothing of it runs before the first turn.
    ///
    /// `request` names the endpoint; `host` is what the request gets besides its calls.
    pub fn start(&self, request: Request, host: Access) -> Executor<Outcome> {
        let endpoint = self.endpoints.iter().find(|endpoint| endpoint.name == request.endpoint);
        match endpoint.and_then(|endpoint| endpoint.run) {
            Some(run) => Executor::boxed(run(request), host),
            None => {
                let problem = Problem::not_found("endpoint", &request.endpoint);
                Executor::new(std::future::ready(Err(problem)), host)
            }
        }
    }
}

/// The name that two endpoints have. `const`, so that the compiler says so.
#[expect(clippy::indexing_slicing, reason = "there are no iterators in const")]
const fn duplicate(endpoints: &[Endpoint]) -> Option<&'static str> {
    let mut i = 0;
    while i < endpoints.len() {
        let mut j = i + 1;
        while j < endpoints.len() {
            if equal(endpoints[i].name.as_bytes(), endpoints[j].name.as_bytes()) {
                return Some(endpoints[i].name);
            }
            j += 1;
        }
        i += 1;
    }
    None
}

/// What is said of it, and how long that is.
#[expect(clippy::indexing_slicing, reason = "there are no iterators in const")]
const fn twice(name: &str) -> ([u8; 512], usize) {
    let (before, name) = (b"two endpoints of this plugin have the same method and path: ", name.as_bytes());
    let (mut text, mut len) = ([0; 512], 0);
    while len < before.len() + name.len() && len < text.len() {
        text[len] = if len < before.len() { before[len] } else { name[len - before.len()] };
        len += 1;
    }
    (text, len)
}

#[expect(clippy::indexing_slicing, reason = "there are no iterators in const")]
const fn equal(a: &[u8], b: &[u8]) -> bool {
    let mut i = 0;
    while i < a.len() && i < b.len() && a[i] == b[i] {
        i += 1;
    }
    i == a.len() && i == b.len()
}
