//! What the demo asks and what it expects: requests of every client with their whole answers, for the `demo` program (in
//! `main.rs`, which starts everything) and for whoever else runs them against a host.
//!
//! In reading order: [`cases`] (the requests, in the order in which they have to be made), [`check`] and [`check_headers`] (is
//! an answer the expected one), [`token`] (somebody to sign in as), [`configuration`] (the demo's `weft.toml` at other addresses), [`envoy`]
//! (`examples/gateway/envoy.yaml` likewise), [`trace`] (a trace as a tree).

mod case;
mod compare;
pub mod configuration;
pub mod envoy;
mod list;
mod token;
pub mod trace;

pub use case::{ANY, Case};
pub use compare::{check, check_headers};
pub use list::cases;
pub use token::{SUBJECT, token};

use std::path::{Path, PathBuf};

/// This package's folder. Where cargo runs the `demo` program it says so, which holds even for a program that was built elsewhere.
pub fn folder() -> PathBuf {
    let told = std::env::var_os("CARGO_MANIFEST_DIR")
        .filter(|_| std::env::var_os("CARGO_PKG_NAME").is_some_and(|name| name == "demo"));
    told.map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).to_owned(), PathBuf::from)
}
