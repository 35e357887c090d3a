//! Weft from outside: real hosts, real sockets, real plugins. One file for each promise.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests, too, may end the test")]

mod admission;
mod authoring;
mod backends;
mod batching;
mod caching;
mod callers;
mod configuration;
mod degraded;
mod edge;
mod fan;
mod faults;
mod hostile;
mod json;
mod lifecycle;
mod linked;
mod pages;
mod recovery;
mod refusals;
mod requests;
mod rest;
mod sandbox;
mod shared_cache;
mod sharing;
mod streams;
mod support;
mod swapping;
mod tidy;
mod transport;
