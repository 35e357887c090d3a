//! The Rust SDK for Weft plugins.
