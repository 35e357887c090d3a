//! The attribute and function macros of the Rust SDK.
