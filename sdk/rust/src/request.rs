//! What the host hands to an endpoint.

use std::time::Duration;

use crate::Identity;

/// Ordered name-value pairs.
pub type Fields = Vec<(String, String)>;

/// The whole request, for what the other extractors don't cover. As an argument it has to be the last one, since it takes the
/// body; what the arguments before it have taken is gone.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub(crate) endpoint: String,
    pub(crate) path: String,
    pub(crate) params: Fields,
    pub(crate) query: Fields,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    pub(crate) client: String,
    pub(crate) identity: Option<Identity>,
    pub(crate) request_id: String,
    pub(crate) deadline: Duration,
}

impl Request {
    /// A request for this endpoint, such as `GET /films/{id}`. For drivers and tests.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self { endpoint: endpoint.into(), ..Self::default() }
    }

    /// Sets the path as requested.
    pub fn with_path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Sets the values of the template's parameters, decoded, in the template's order.
    pub fn with_params(mut self, params: Fields) -> Self {
        self.params = params;
        self
    }

    /// Sets the decoded query pairs.
    pub fn with_query(mut self, query: Fields) -> Self {
        self.query = query;
        self
    }

    /// Sets the headers.
    pub fn with_headers(mut self, headers: Fields) -> Self {
        self.headers = Headers(headers);
        self
    }

    /// Sets the body.
    pub fn with_body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    /// Sets the kind of frontend.
    pub fn with_client(mut self, client: impl Into<String>) -> Self {
        self.client = client.into();
        self
    }

    /// Sets the verified caller.
    pub fn with_identity(mut self, identity: Option<Identity>) -> Self {
        self.identity = identity;
        self
    }

    /// Sets the id under which logs and traces know this request.
    pub fn with_request_id(mut self, id: impl Into<String>) -> Self {
        self.request_id = id.into();
        self
    }

    /// Sets what is left of the request's time.
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Method and path template, as declared.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The path as requested, without the client's prefix, percent-encoded.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Values of the template's parameters, decoded, in the template's order.
    pub fn params(&self) -> &[(String, String)] {
        &self.params
    }

    /// Decoded query pairs in their order.
    pub fn query(&self) -> &[(String, String)] {
        &self.query
    }

    /// The headers that `plugin.toml` asks for.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body, without a copy.
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// The kind of frontend: `web`, `ios`, `tv`.
    pub fn client(&self) -> &str {
        &self.client
    }

    /// The verified caller.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// The id under which logs and traces know this request.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// How much time the request had left when it came in.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }
}

/// The request headers that `plugin.toml` asks for: `headers = ["accept-language"]` under the endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(pub(crate) Fields);

impl Headers {
    /// The first value of a header. Names are compared without regard to case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All values of a header.
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All headers, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}
