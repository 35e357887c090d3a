//! The words that all modules share, as types: who calls, how far a reply may be shared, how long a request may take, what went wrong.

mod code;
mod date;
mod deadline;
mod digest;
mod fault;
mod health;
mod hex;
mod http_method;
mod identity;
mod name;
mod problem;
mod scope;
mod share;
mod trace;

pub use code::{Code, Failure};
pub use date::Date;
pub use deadline::Deadline;
pub use digest::Digest;
pub use fault::{Fault, HostProblem, LogOnly};
pub use health::{ServingStatus, health_list, health_question, read_health_question};
pub use hex::hex;
pub use http_method::http_method;
pub use identity::{Identity, Party, Tenant};
pub use name::Name;
pub use problem::{Blame, ProblemType};
pub use scope::Scope;
pub use share::ShareKey;
pub use trace::{Broken, Received, Trace, TraceContext, TraceFormat, TraceFormats};
