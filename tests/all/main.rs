//! Weft from outside: real hosts, real sockets, real plugins. One file for each promise.

mod backends;
mod batching;
mod callers;
mod configuration;
mod hostile;
mod refusals;
mod requests;
mod sandbox;
mod sharing;
mod support;
mod tidy;
