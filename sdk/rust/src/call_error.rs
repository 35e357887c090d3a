//! How a call fails: a gRPC status, and what `?` makes of it.

use std::fmt;

use prost::Message;
use prost_types::Any;

use crate::{Problem, Result, Status, log};

/// The status codes of gRPC, without `OK`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "gRPC documents them: https://grpc.io/docs/guides/status-codes")]
pub enum Code {
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

impl Code {
    /// Whether it says that the backend could not answer, as opposed to having said no.
    pub const fn is_backend_failure(self) -> bool {
        matches!(
            self,
            Self::Cancelled
                | Self::Unknown
                | Self::DeadlineExceeded
                | Self::ResourceExhausted
                | Self::Unimplemented
                | Self::Internal
                | Self::Unavailable
                | Self::DataLoss
        )
    }

    /// The code with this number; an unknown number is [`Code::Unknown`].
    pub const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Cancelled,
            3 => Self::InvalidArgument,
            4 => Self::DeadlineExceeded,
            5 => Self::NotFound,
            6 => Self::AlreadyExists,
            7 => Self::PermissionDenied,
            8 => Self::ResourceExhausted,
            9 => Self::FailedPrecondition,
            10 => Self::Aborted,
            11 => Self::OutOfRange,
            12 => Self::Unimplemented,
            13 => Self::Internal,
            14 => Self::Unavailable,
            15 => Self::DataLoss,
            16 => Self::Unauthenticated,
            _ => Self::Unknown,
        }
    }

    /// As gRPC writes it: `NOT_FOUND`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cancelled => "CANCELLED",
            Self::Unknown => "UNKNOWN",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Aborted => "ABORTED",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::DataLoss => "DATA_LOSS",
            Self::Unauthenticated => "UNAUTHENTICATED",
        }
    }

    /// The HTTP status that `?` answers with. What a backend says of its caller is passed on; what went wrong behind us is a
    /// 502, 503 or 504. A backend that is out of resources says nothing about *this* caller: 503, not 429.
    pub const fn status(self) -> Status {
        match self {
            Self::InvalidArgument | Self::FailedPrecondition | Self::OutOfRange => Status::BAD_REQUEST,
            Self::Unauthenticated => Status::UNAUTHORIZED,
            Self::PermissionDenied => Status::FORBIDDEN,
            Self::NotFound => Status::NOT_FOUND,
            Self::AlreadyExists | Self::Aborted => Status::CONFLICT,
            Self::ResourceExhausted | Self::Unavailable => Status::SERVICE_UNAVAILABLE,
            Self::DeadlineExceeded => Status::GATEWAY_TIMEOUT,
            Self::Cancelled | Self::Unknown | Self::Unimplemented | Self::Internal | Self::DataLoss => {
                Status::BAD_GATEWAY
            }
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a call failed.
///
/// With `?` it becomes a [`Problem`] with the status of [`Code::status`]. A 4xx carries the backend's message; a 5xx does not,
/// since it is none of the caller's business: it is logged instead.
#[derive(Debug, Clone, PartialEq)]
pub struct CallError(Box<Parts>);

#[derive(Debug, Clone, PartialEq)]
struct Parts {
    code: Code,
    method: &'static str,
    message: String,
    details: Vec<Any>,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// The beginning of `google.rpc.ErrorInfo`.
#[derive(Clone, PartialEq, Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
}

impl CallError {
    /// A failure, as a backend in a test would answer it.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Parts { code, method: "", message: message.into(), details: Vec::new() }))
    }

    pub(crate) fn from_status(code: u32, status: &[u8]) -> Self {
        let status = RpcStatus::decode(status).unwrap_or_default();
        let code = Code::from_number(code);
        Self(Box::new(Parts { code, method: "", message: status.message, details: status.details }))
    }

    /// As it crosses the boundary.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn to_status(&self) -> Vec<u8> {
        let Parts { code, message, details, .. } = &*self.0;
        RpcStatus { code: *code as i32, message: message.clone(), details: details.clone() }.encode_to_vec()
    }

    pub(crate) fn of(mut self, method: &'static str) -> Self {
        self.0.method = method;
        self
    }

    /// Adds a detail, as backends do after `google/rpc/error_details.proto`.
    pub fn with_detail(mut self, detail: Any) -> Self {
        self.0.details.push(detail);
        self
    }

    /// The gRPC status code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The method that was called, as in `catalog.v1.Films/GetFilm`.
    pub fn method(&self) -> &'static str {
        self.0.method
    }

    /// What the backend said. It is meant for you, not for your caller.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Whose bound on calls kept this one from being made, where one did: the kind of problem that says so.
    fn limit(&self) -> Option<(&'static str, Status)> {
        let info = self.0.details.iter().find(|detail| detail.type_url.ends_with("/google.rpc.ErrorInfo"))?;
        let info = ErrorInfo::decode(&*info.value).ok().filter(|info| info.domain == "weft")?;
        match info.reason.as_str() {
            // To try again is of no use: the plugin asks for more than its manifest says.
            "PLUGIN_LIMIT" => Some(("urn:weft:problem:plugin-limit", Status::INTERNAL_SERVER_ERROR)),
            "HOST_LIMIT" => Some(("urn:weft:problem:host-limit", Status::SERVICE_UNAVAILABLE)),
            _ => None,
        }
    }

    /// The details of the status, such as a `google.rpc.BadRequest`.
    pub fn details(&self) -> &[Any] {
        &self.0.details
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { code, method, message, .. } = &*self.0;
        write!(f, "`{method}` failed with {code}: {message}")
    }
}

impl std::error::Error for CallError {}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        if let Some((kind, status)) = error.limit() {
            log::warn!("{error}"; method = error.method());
            return Self::new(status, error.message()).with_kind(kind).with("method", error.method());
        }
        let Parts { code, method, message, .. } = *error.0;
        let status = code.status();
        let detail = if status.is_server_error() {
            log::warn!("`{method}` failed with {code}: {message}"; method = method, code = code);
            format!("`{method}` failed with {code}")
        } else if message.is_empty() {
            format!("`{method}` answered {code}")
        } else {
            message
        };
        Self::new(status, detail).with("method", method).with("code", code.name())
    }
}

/// What to do with a failed call besides `?`.
///
/// ```
/// # use weft_sdk::prelude::*;
/// # fn demo(reply: Result<u32, CallError>, id: u32) -> Result<()> {
/// # let (a, b, c) = (reply.clone(), reply.clone(), reply);
/// let film: u32 = a.or_not_found("film", id)?;      // 404 "there is no film `7`"
/// let film: Option<u32> = b.optional()?;            // so is NOT_FOUND, and the page can do without what is down
/// let film: u32 = c.field("path.id")?;              // a 4xx names the field of the request that caused it
/// # Ok(()) }
/// ```
pub trait CallResult<T> {
    /// `None` where the backend answered `NOT_FOUND`.
    fn if_found(self) -> Result<Option<T>, CallError>;

    /// `None` where the backend answered `NOT_FOUND`, and where it could not answer ([`Code::is_backend_failure`]): for a part that
    /// the response can do without. The host marks the response as degraded if the backend failed. What is wrong with the call
    /// itself (`INVALID_ARGUMENT`, …) stays an error, and so does `PERMISSION_DENIED`: a page that leaves out what its caller may
    /// not see is a choice, made by [`CallResult::optional_if_denied`].
    fn optional(self) -> Result<Option<T>, CallError>;

    /// As [`CallResult::optional`], and `None` where the backend answered `PERMISSION_DENIED` or `UNAUTHENTICATED` too: for a part
    /// that only some callers may see. The response is not marked as degraded then, since it is all that this caller may have.
    fn optional_if_denied(self) -> Result<Option<T>, CallError>;

    /// [`Problem::not_found`] in your words where the backend answered `NOT_FOUND`; else as `?` does.
    fn or_not_found(self, what: &str, id: impl fmt::Display) -> Result<T>;

    /// As `?` does; a 4xx also names the field of the request at fault.
    fn field(self, field: &str) -> Result<T>;
}

impl<T> CallResult<T> for Result<T, CallError> {
    fn optional(self) -> Result<Option<T>, CallError> {
        match self {
            Err(error) if error.code().is_backend_failure() => Ok(None),
            other => other.if_found(),
        }
    }

    fn optional_if_denied(self) -> Result<Option<T>, CallError> {
        match self {
            Err(error) if matches!(error.code(), Code::PermissionDenied | Code::Unauthenticated) => Ok(None),
            other => other.optional(),
        }
    }

    fn if_found(self) -> Result<Option<T>, CallError> {
        match self {
            Ok(reply) => Ok(Some(reply)),
            Err(error) if error.code() == Code::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn or_not_found(self, what: &str, id: impl fmt::Display) -> Result<T> {
        self.map_err(|error| match error.code() {
            Code::NotFound => Problem::not_found(what, id),
            _ => error.into(),
        })
    }

    fn field(self, field: &str) -> Result<T> {
        self.map_err(|error| {
            let problem = Problem::from(error);
            if problem.status().is_server_error() { problem } else { problem.with("field", field) }
        })
    }
}
