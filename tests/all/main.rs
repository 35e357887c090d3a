//! Weft from outside: real hosts, real sockets, real plugins. One file for each promise.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests, too, may end the test")]

mod backends;
mod batching;
mod callers;
mod configuration;
mod exchange;
mod forgeries;
mod hostile;
mod keys;
mod refusals;
mod requests;
mod sandbox;
mod sharing;
mod support;
mod tidy;
mod trust;
