//! The Weft host.
pub mod artifact;
pub mod fanout;
pub mod identity;
pub mod model;
pub mod plugin;
pub mod settings;
pub mod store;
pub mod telemetry;
pub mod upstream;
