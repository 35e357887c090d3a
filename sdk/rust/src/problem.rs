//! Errors as the caller sees them: problem details after RFC 9457.

use std::fmt;

use crate::Status;
use crate::executor::Elapsed;

/// What handlers return: `Ok`, or a [`Problem`] to answer with.
pub type Result<T, E = Problem> = std::result::Result<T, E>;

/// An error answer (`application/problem+json`). The host adds `instance` and `request_id`.
///
/// ```
/// use weft_sdk::Problem;
/// let problem = Problem::not_found("film", 7).with("hint", "ids start at 100");
/// assert_eq!(problem.status(), 404);
/// assert_eq!(problem.detail(), "there is no film `7`");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem(pub(crate) Box<Parts>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) status: Status,
    pub(crate) kind: String,
    pub(crate) title: String,
    pub(crate) detail: String,
    pub(crate) extensions: Vec<(String, String)>,
}

/// A kind of problem that endpoints declare. `#[problem]` makes one of a struct.
pub trait DeclaredProblem: Into<Problem> {
    /// The status that the caller gets.
    const STATUS: u16;
    /// A URI reference that names it; empty means `about:blank`.
    const KIND: &'static str;
    /// It in a few words; empty where it has no type of its own.
    const TITLE: &'static str;
    /// What it means, for the API's description.
    const DESCRIPTION: &'static str;
}

impl Problem {
    /// For `#[problem]`.
    #[doc(hidden)]
    pub fn declared<T: DeclaredProblem>(detail: impl fmt::Display) -> Self {
        Self::new(Status::new(T::STATUS), detail)
    }

    /// A problem with this status and detail. The detail is for the caller: it says what to do about it.
    pub fn new(status: Status, detail: impl fmt::Display) -> Self {
        Self(Box::new(Parts {
            status,
            kind: String::new(),
            title: status.reason().to_owned(),
            detail: detail.to_string(),
            extensions: Vec::new(),
        }))
    }

    /// 400: the request makes no sense.
    pub fn bad_request(detail: impl fmt::Display) -> Self {
        Self::new(Status::BAD_REQUEST, detail)
    }

    /// 400, with the field at fault, as in `body.stars`.
    pub fn invalid(field: &str, detail: impl fmt::Display) -> Self {
        Self::bad_request(format_args!("{field}: {detail}")).with("field", field)
    }

    /// 401: we need to know who is calling.
    pub fn unauthorized(detail: impl fmt::Display) -> Self {
        Self::new(Status::UNAUTHORIZED, detail)
    }

    /// 403: we know who is calling, and they may not.
    pub fn forbidden(detail: impl fmt::Display) -> Self {
        Self::new(Status::FORBIDDEN, detail)
    }

    /// 404: there is no such thing.
    pub fn not_found(what: &str, id: impl fmt::Display) -> Self {
        Self::new(Status::NOT_FOUND, format_args!("there is no {what} `{id}`"))
    }

    /// 409: not in the state that things are in.
    pub fn conflict(detail: impl fmt::Display) -> Self {
        Self::new(Status::CONFLICT, detail)
    }

    /// 422: well formed, but we can't do that.
    pub fn unprocessable(detail: impl fmt::Display) -> Self {
        Self::new(Status::UNPROCESSABLE_CONTENT, detail)
    }

    /// 500: this plugin is at fault.
    pub fn internal(detail: impl fmt::Display) -> Self {
        Self::new(Status::INTERNAL_SERVER_ERROR, detail)
    }

    /// 502: a backend answered, but not with anything that we can use.
    pub fn bad_gateway(detail: impl fmt::Display) -> Self {
        Self::new(Status::BAD_GATEWAY, detail)
    }

    /// 503: not now, but it is worth trying again.
    pub fn unavailable(detail: impl fmt::Display) -> Self {
        Self::new(Status::SERVICE_UNAVAILABLE, detail)
    }

    /// 504: a backend took too long.
    pub fn gateway_timeout(detail: impl fmt::Display) -> Self {
        Self::new(Status::GATEWAY_TIMEOUT, detail)
    }

    /// What a driver answers when a request is [stuck](crate::executor::Turn::Stuck).
    pub fn deadlock() -> Self {
        Self::internal("deadlock: the handler waits for something that no call and no timer can bring about")
    }

    /// Adds a member to the problem.
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Self {
        self.0.extensions.push((key.to_owned(), value.to_string()));
        self
    }

    /// Sets `type`: a URI reference that names this kind of problem.
    pub fn with_kind(mut self, uri: impl Into<String>) -> Self {
        self.0.kind = uri.into();
        self
    }

    /// Sets `title`, which is the words for the status otherwise. A title names a type, so it counts beside [`Problem::with_kind`] only:
    /// the host gives a problem without a type the words for its status.
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.0.title = title.into();
        self
    }

    /// The status that the caller gets.
    pub fn status(&self) -> Status {
        self.0.status
    }

    /// A URI reference that names the kind of problem; empty means `about:blank`.
    pub fn kind(&self) -> &str {
        &self.0.kind
    }

    /// The kind of problem in words.
    pub fn title(&self) -> &str {
        &self.0.title
    }

    /// What happened in this case.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// A member that [`Problem::with`] has added.
    pub fn extension(&self, key: &str) -> Option<&str> {
        self.0.extensions.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// All members that [`Problem::with`] has added.
    pub fn extensions(&self) -> &[(String, String)] {
        &self.0.extensions
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.status, self.0.detail)
    }
}

impl std::error::Error for Problem {}

impl From<Elapsed> for Problem {
    fn from(elapsed: Elapsed) -> Self {
        Self::gateway_timeout(elapsed)
    }
}
