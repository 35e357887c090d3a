//! What endpoints answer with.

use std::future::Future;
use std::time::Duration;

use serde::Serialize;

use schemars::JsonSchema;

use crate::describe::Description;
use crate::request::Fields;
use crate::{Problem, Result, Status, Time};

/// Something that an endpoint can return.
///
/// `Json<T>`, `NoContent`, text, a [`Response`], each also with a status, `(Status, T)`, or with headers
/// ([`IntoResponse::with_header`]), and a `Result` of these.
#[diagnostic::on_unimplemented(
    message = "an endpoint can't return `{Self}`",
    label = "no response",
    note = "return `Json<T>`, `NoContent`, text, `EventStream<T>` or a `Response`; \
            also as `(Status, ..)`, and as `Result<..>`, whose error becomes a `Problem`"
)]
pub trait IntoResponse: Sized {
    /// Makes the response.
    fn into_response(self) -> Result<Response>;

    /// Makes the response, or sends it in parts before this is done.
    fn respond(self) -> impl Future<Output = Result<Response>> + Send
    where
        Self: Send,
    {
        async { self.into_response() }
    }

    /// Says what the response looks like, for the schema.
    fn describe(description: &mut Description) {
        let _ = description;
    }

    /// Says when what the response shows was last changed. A client that has it since then is answered with 304.
    fn with_last_modified(self, time: impl Into<Time>) -> WithHeaders<Self> {
        let header = time.into().to_http().map(|value| ("last-modified".to_owned(), value));
        WithHeaders { inner: self, headers: header.into_iter().collect() }
    }

    /// Lets the response be kept for less time than the manifest's `cache` says, here and by others. Without `cache`, the caller's own
    /// client may keep it for so long.
    fn with_max_age(self, age: Duration) -> WithHeaders<Self> {
        self.with_header("cache-control", format!("max-age={}", age.as_secs()))
    }

    /// Lets nobody keep this response, whatever the manifest's `cache` says.
    fn with_no_store(self) -> WithHeaders<Self> {
        self.with_header("cache-control", "no-store")
    }

    /// Adds a header to the response.
    fn with_header(self, name: &str, value: impl Into<String>) -> WithHeaders<Self> {
        WithHeaders { inner: self, headers: vec![(name.to_ascii_lowercase(), value.into())] }
    }
}

/// A finished response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub(crate) status: Status,
    pub(crate) headers: Fields,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// An empty response.
    pub const fn new(status: Status) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// Sets status, content type and body.
    pub fn with_body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.headers.retain(|(name, _)| name != "content-type");
        self.headers.push(("content-type".to_owned(), content_type.to_owned()));
        self.body = body.into();
        self
    }

    /// The status.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The headers; names are in lower case.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Status, headers and body, without a copy.
    pub fn into_parts(self) -> (Status, Fields, Vec<u8>) {
        (self.status, self.headers, self.body)
    }
}

impl IntoResponse for Response {
    fn into_response(self) -> Result<Response> {
        Ok(self)
    }
}

/// A JSON body: of the response, or, as an argument, of the request.
///
/// As an argument it has to be the last one. A body that is no `T` is answered with a 400 that names the field at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Json<T>(pub T);

/// A type that can be written into a response. `#[data]` makes one; so does deriving `Serialize` and `JsonSchema`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be written into a response",
    label = "needs `#[data]`",
    note = "put `#[data]` on the type, or derive `Serialize` and `JsonSchema` with `serde` and `schemars` in Cargo.toml"
)]
pub trait Output: Serialize + JsonSchema {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + JsonSchema> Output for T {}

impl<T: Output> IntoResponse for Json<T> {
    fn into_response(self) -> Result<Response> {
        let mut body = Vec::with_capacity(8 << 10);
        match crate::json::write(&self.0, &mut body) {
            Ok(()) => Ok(Response::new(Status::OK).with_body("application/json", body)),
            Err(error) => Err(Problem::internal(format_args!("the response has no JSON: {error}"))),
        }
    }

    fn describe(description: &mut Description) {
        description.json_response::<T>();
    }
}

/// 204, without a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NoContent;

impl IntoResponse for NoContent {
    fn into_response(self) -> Result<Response> {
        Ok(Response::new(Status::NO_CONTENT))
    }

    fn describe(description: &mut Description) {
        description.status(Some(Status::NO_CONTENT));
    }
}

impl IntoResponse for () {
    fn into_response(self) -> Result<Response> {
        NoContent.into_response()
    }

    fn describe(description: &mut Description) {
        NoContent::describe(description);
    }
}

impl IntoResponse for String {
    fn into_response(self) -> Result<Response> {
        Ok(Response::new(Status::OK).with_body("text/plain; charset=utf-8", self))
    }
}

impl IntoResponse for &str {
    fn into_response(self) -> Result<Response> {
        self.to_owned().into_response()
    }
}

/// 201 with the new thing as its body. Unlike `(Status::CREATED, ..)` it puts the status into the schema too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Created<T>(pub T);

impl<T: IntoResponse> IntoResponse for Created<T> {
    fn into_response(self) -> Result<Response> {
        (Status::CREATED, self.0).into_response()
    }

    fn describe(description: &mut Description) {
        T::describe(description);
        description.status(Some(Status::CREATED));
    }
}

impl<T: IntoResponse> IntoResponse for (Status, T) {
    fn into_response(self) -> Result<Response> {
        let mut response = self.1.into_response()?;
        response.status = self.0;
        Ok(response)
    }

    fn describe(description: &mut Description) {
        T::describe(description);
        description.status(None);
    }
}

/// See [`IntoResponse::with_header`].
#[derive(Debug, Clone)]
pub struct WithHeaders<T> {
    inner: T,
    headers: Fields,
}

impl<T> WithHeaders<T> {
    /// Adds another header.
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }
}

impl<T: IntoResponse> IntoResponse for WithHeaders<T> {
    fn into_response(self) -> Result<Response> {
        let mut response = self.inner.into_response()?;
        response.headers.extend(self.headers);
        Ok(response)
    }

    fn describe(description: &mut Description) {
        T::describe(description);
    }
}

impl<T: IntoResponse + Send, E: Into<Problem> + Send> IntoResponse for Result<T, E> {
    fn into_response(self) -> Result<Response> {
        self.map_err(Into::into)?.into_response()
    }

    async fn respond(self) -> Result<Response>
    where
        Self: Send,
    {
        match self {
            Ok(answer) => answer.respond().await,
            Err(error) => Err(error.into()),
        }
    }

    fn describe(description: &mut Description) {
        T::describe(description);
    }
}
