//! The Weft host.
pub mod admin;
pub mod app;
pub mod artifact;
pub mod cli;
pub mod config;
pub mod edge;
pub mod fanout;
pub mod gateway;
pub mod identity;
pub mod model;
pub mod plugin;
pub mod release;
pub mod settings;
pub mod store;
pub mod telemetry;
pub mod upstream;
