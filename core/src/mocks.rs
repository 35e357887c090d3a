//! What endpoints answer where nothing of them runs: examples that their authors wrote, and values made from their schemas.
//!
//! Pure but for reading a plugin's folder. [`Source::read`] reads one, with or without code; [`Mocks::read`] holds its examples against
//! the schemas; [`Mocks::answer`] says what a request gets. [`schema::check`] and [`generate::value`] are the two sides of one promise:
//! what is made fits what it is made from. The contract of an endpoint that has no code yet stands in `contract/`
//! ([`contract`]), and [`difference`] tells how it differs from the code's. [`stand_in`] makes of it all an artifact that a host
//! loads as any other. [`replies`] are the other side: what backends answer, by their protos alone.

mod answer;
mod asked;
mod calendar;
pub mod contract;
pub mod contradiction;
mod dice;
pub mod difference;
mod example;
mod file;
mod files;
pub mod generate;
mod how;
mod injection;
mod names;
mod openapi;
mod pattern;
mod plain;
pub mod replies;
mod request;
pub mod schema;
mod source;
mod stand_in;

pub use answer::{Answer, Outcome};
pub use asked::{Asked, Problem};
pub use example::{Example, Mocks};
pub use how::How;
pub use injection::HEADERS;
pub use source::{CONTRACT_FOLDER, MOCKS_FOLDER, Source};
pub use stand_in::stand_in;

#[cfg(test)]
mod tests;
