//! The fan-out engine: what happens between a plugin's exchange and the backends.
//!
//! In the order of a call's way: a [`Session`] takes an exchange ([`session`]), looks up the [`Plan`] of each method ([`plan`]),
//! finds who may share the reply ([`scope`]), asks the entity cache ([`cache`]), joins or starts a load ([`flight`]), which is sent
//! alone ([`loads`]) or in a batch ([`batcher`]) through the backend's transport, and puts the outcome into the [`inbox`] of all who wait
//! for it.
//!
//! Arrows between the files go one way: `session → engine → batcher → loads → tiers → flight → plan → series`, and `engine → registry →
//! {descriptors, plan}`. Only the session holds the whole engine; everything else holds the parts that it needs.
//!
//! Invariants:
//! - a call that is not safe is sent exactly once, alone, as asked: it meets neither cache nor flight nor batch;
//! - what is forwarded to a backend follows from the scope alone, and every key holds the scope, so no reply and no credential
//!   crosses from one scope to another;
//! - a load belongs to nobody: it has the method's time, and ends when it is done or when the last one who waits for it gives it up;
//! - every load and every call sent alone has a guard from its first moment, so that whatever happens in its task those who wait are
//!   told, and a write that may have been done makes untrue what it is declared to.

mod backends;
mod batcher;
mod cache;
mod call;
mod config;
mod descriptors;
mod engine;
mod flight;
mod inbox;
mod loads;
mod misnamed;
mod plan;
mod registry;
mod rule;
mod scope;
mod series;
mod session;
mod tags;
mod tiers;
mod token_exchange;

pub use cache::Doubt;
pub use call::Outcome;
pub use config::{
    BackendConfig, BatchConfig, CacheConfig, Config, DescriptorSource, Given, MethodConfig, StreamConfig, TagConfig,
};
pub use engine::{Engine, Inherited};
pub use plan::{Plan, PlanError, Plans, looks_safe_by_name};
pub use rule::propose;
pub use scope::{Caller, Forward};
pub use session::{Arena, Completion, Head, Instead, JsonOrProto, Limits, MostCalls, Session};
pub use token_exchange::TokenExchange;

#[cfg(test)]
mod tests;
