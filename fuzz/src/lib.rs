//! What a fuzzer does to everything that reads bytes which nobody meant: one function for each target, one module for each subject.
//!
//! `cargo test` runs each target on its corpus and on seeded mutations of it; CONTRIBUTING.md says how to search for longer. What is
//! found goes into the corpus.
//!
//! A target panics where a promise is broken, and tells whether the bytes came as far as to matter.
#![forbid(unsafe_code)]
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what goes wrong here is what is looked for"
)]

mod artifact;
mod backend;
mod configuration;
mod contract;
mod forwarded;
mod input;
mod json;
mod manifest;
mod message;
mod mocks;
mod query;
mod record;
mod registry;
mod release;
mod selection;
mod served;
mod slices;
mod template;
mod token;
mod wire;

pub use artifact::artifact;
pub use backend::backend;
pub use configuration::configuration;
pub use contract::contract;
pub use forwarded::forwarded;
pub use json::json;
pub use manifest::manifest;
pub use message::message;
pub use mocks::mocks;
pub use query::query;
pub use record::record;
pub use registry::registry;
pub use release::release;
pub use selection::selection;
pub use served::{edge, gateway};
pub use slices::slices;
pub use template::template;
pub use token::token;
pub use wire::{answers, batch, fields};

/// A name, which is also its folder in `corpus/`, and the function.
pub type Target = (&'static str, fn(&[u8]) -> bool);

/// All of them.
pub const TARGETS: [Target; 22] = [
    ("batch", batch),
    ("answers", answers),
    ("fields", fields),
    ("manifest", manifest),
    ("artifact", artifact),
    ("configuration", configuration),
    ("contract", contract),
    ("mocks", mocks),
    ("template", template),
    ("message", message),
    ("query", query),
    ("selection", selection),
    ("token", token),
    ("json", json),
    ("forwarded", forwarded),
    ("backend", backend),
    ("record", record),
    ("registry", registry),
    ("slices", slices),
    ("release", release),
    ("gateway", gateway),
    ("edge", edge),
];
