//! The four gRPC microservices of the demo: catalog, people, reviews and recommend.
//!
//! They are real servers on real sockets. They know nothing of Weft; tests and benches put Weft in front of them.
//! In reading order:
//!
//! - [`proto`]: the messages, clients and servers made from `examples/protos`
//! - [`data`]: what the services know: real films of `data/films.json`, or any number of made-up ones
//! - [`catalog`], [`people`], [`reviews`], [`recommend`]: one service each, a few lines per method
//! - `request`: what all methods ask of a request: batch sizes, page sizes, the caller
//! - [`control`]: counts every call and makes a service slow, failing or silent on demand
//! - [`register`], [`spans`]: for who wants it, the service in etcd, and its calls in traces
//! - [`server`]: one service on one listener, with health, reflection and the control service
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use demo_services::{Data, Running, Service};
//!
//! let catalog = Running::start(Service::Catalog, Arc::new(Data::demo()?)).await?;
//! println!("{}", catalog.address());
//! // … call it …
//! assert_eq!(catalog.control().count("catalog.v1.Films/GetFilm"), 0);
//! catalog.stop().await?;
//! # Ok(()) }
//! ```

#![forbid(unsafe_code)]

pub mod catalog;
pub mod control;
pub mod data;
pub mod people;
pub mod proto;
pub mod recommend;
pub mod register;
mod request;
pub mod reviews;
pub mod server;
pub mod spans;

mod service;

pub use control::Control;
pub use data::{Data, DataError, Sizes};
pub use register::{RegisterError, Registration};
pub use request::{MAX_BATCH, SUBJECT};
pub use server::{Running, ServeError, serve};
pub use service::{Service, UnknownService};
pub use spans::Spans;
