//! Weft from outside: real hosts, real sockets, real plugins. One file for each promise.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, too, may end the test"
)]

mod admission;
mod agents;
mod attacks_bodies;
mod attacks_http1;
mod attacks_http2;
mod authoring;
mod backends;
mod batching;
mod bindings;
mod browsing;
mod building;
mod caching;
mod callers;
mod choosing;
mod clients;
mod commands;
mod compatibility;
mod configuration;
mod console;
mod contract;
mod degraded;
mod deploying;
mod developing;
mod discovery;
mod edge;
mod event_streams;
mod events;
mod exchange;
mod fairness;
mod fan;
mod faults;
mod first_build;
mod forgeries;
mod gateways;
mod guide;
mod handover;
mod heads;
mod health_checks;
mod holding;
mod hostile;
mod intermediaries;
mod json;
mod kept;
mod keys;
mod languages;
mod lifecycle;
mod linked;
mod logs;
mod misnamed;
mod mistakes;
mod mocking;
mod mutual;
mod openness;
mod operators;
mod packed_replies;
mod pages;
mod pipelines;
mod publishing;
mod quoted;
mod readiness;
mod recovery;
mod refusals;
mod registering;
mod releasing;
mod reloading;
mod repeats;
mod repeats_elsewhere;
mod requests;
mod responses;
mod rest;
mod sandbox;
mod shared_cache;
mod sharing;
mod showing;
mod starting;
mod stopping;
mod streams;
mod supervised;
mod support;
mod swapping;
mod testing;
mod tidy;
mod together;
mod tracing;
mod transport;
mod trust;
mod upgrade;
mod watching;
