//! The SDK as plugin authors and drivers see it.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]

mod calls;
#[cfg(feature = "cursors")]
mod cursors;
mod depth;
mod describe;
mod endpoints;
mod executor;
mod extract;
mod freshness;
mod lists;
mod problems;
mod support;
mod time;
