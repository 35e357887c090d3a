//! What the head of a request says, as far as it is known without its plugin: whose frontend it comes from, which endpoint its path and
//! method lead to, and the values in path and query.

mod agents;
mod client;
mod contract;
mod cors;
mod query;
mod routes;

pub use agents::{Agents, Resource};
pub use client::{Client, ClientRule, Clients};
pub use contract::{Contract, Page};
pub use cors::Cors;
pub use query::{Pairs, decode_params, encode_path, not_utf8, query};
pub use routes::{Found, Routes, Taken};
