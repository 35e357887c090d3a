//! gRPC status codes, and the failure of one call.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::fmt;

macro_rules! codes {
    ($($name:ident = $number:literal $word:literal),+ $(,)?) => {
        /// A gRPC status code (<https://grpc.io/docs/guides/status-codes/>).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Code { $($name = $number),+ }

        impl Code {
            /// Unknown numbers are `Unknown`, as the gRPC specification asks.
            pub fn from_number(number: u32) -> Self {
                match number { $($number => Self::$name,)+ _ => Self::Unknown }
            }

            /// `NOT_FOUND`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }

            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($word => Some(Self::$name),)+ _ => None }
            }
        }
    };
}

codes! {
    Ok = 0 "OK",
    Cancelled = 1 "CANCELLED",
    Unknown = 2 "UNKNOWN",
    InvalidArgument = 3 "INVALID_ARGUMENT",
    DeadlineExceeded = 4 "DEADLINE_EXCEEDED",
    NotFound = 5 "NOT_FOUND",
    AlreadyExists = 6 "ALREADY_EXISTS",
    PermissionDenied = 7 "PERMISSION_DENIED",
    ResourceExhausted = 8 "RESOURCE_EXHAUSTED",
    FailedPrecondition = 9 "FAILED_PRECONDITION",
    Aborted = 10 "ABORTED",
    OutOfRange = 11 "OUT_OF_RANGE",
    Unimplemented = 12 "UNIMPLEMENTED",
    Internal = 13 "INTERNAL",
    Unavailable = 14 "UNAVAILABLE",
    DataLoss = 15 "DATA_LOSS",
    Unauthenticated = 16 "UNAUTHENTICATED",
}

/// By its name.
impl Serialize for Code {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        Self::from_name(&name).ok_or_else(|| D::Error::custom(format_args!("`{name}` is no gRPC status code")))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why one call has no reply. The plugin sees it as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Failure {
    pub code: Code,
    pub message: String,
    /// The backend's own `google.rpc.Status`, serialized, where it sent one; else empty.
    pub details: Bytes,
}

impl Failure {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Bytes::new() }
    }

    /// The failure as a serialized `google.rpc.Status` (int32 code = 1, string message = 2): the form that `exchange` hands to guests.
    pub fn to_status(&self) -> Bytes {
        if !self.details.is_empty() {
            return self.details.clone();
        }
        let mut out = Vec::with_capacity(self.message.len() + 12);
        out.extend([0x08, self.code as u8]);
        if !self.message.is_empty() {
            out.push(0x12);
            prost::encoding::encode_varint(self.message.len() as u64, &mut out);
            out.extend(self.message.as_bytes());
        }
        out.into()
    }
}
