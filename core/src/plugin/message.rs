//! What crosses between gateway and guest: the records of `wit/`, in the host's own types.

/// Names and values, in their order.
pub type Fields = Vec<(String, String)>;

/// What a guest is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// Method and path template, as declared: `GET /films/{id}`.
    pub endpoint: String,
    /// As requested, percent-encoded.
    pub path: String,
    pub params: Fields,
    pub query: Fields,
    pub headers: Fields,
    pub body: Vec<u8>,
    pub client: String,
    pub identity: Option<Identity>,
    pub request_id: String,
    pub deadline_ms: u32,
    pub extensions: Fields,
}

/// What a guest is told of its caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    pub issuer: String,
    pub subject: String,
    pub tenant: Option<String>,
    pub scopes: Vec<String>,
    /// A JSON object of the claims that the manifest asks for.
    pub claims: String,
}

/// What a guest answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub headers: Fields,
    pub body: Vec<u8>,
    pub extensions: Fields,
}

/// An error that a guest answers with, after RFC 9457.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problem {
    pub status: u16,
    pub kind: String,
    pub title: String,
    pub detail: String,
    pub extensions: Fields,
    /// After how many seconds it is worth trying again. No guest can say so as yet: it shows what the host itself would say.
    pub retry_after: Option<u32>,
}

impl Response {
    /// Bytes that count against the plugin's bound.
    pub(super) fn size(&self) -> usize {
        self.body.len()
    }
}

impl Problem {
    /// As of a response.
    pub(super) fn size(&self) -> usize {
        let members: usize = self.extensions.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.kind.len() + self.title.len() + self.detail.len() + members
    }
}
