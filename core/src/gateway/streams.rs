//! Answers in parts: how a request becomes one ([`start`]), who may have one open ([`places`]), and how it goes on
//! beside the guest that makes it ([`drive`]).
//!
//! A stream's guest runs in a task of its own. It has no request's place and no request's turn, so that no number of streams takes one;
//! it ends when its guest has ended or its client has gone, and at the latest when its time, its bytes or its caller's token are used
//! up, another release serves its endpoint, the configuration is another one, or the host stops.

mod config;
mod drive;
mod ending;
mod events;
mod flow;
mod over;
mod places;
mod start;

pub use config::Config;
pub use ending::Ending;
pub use places::Streams;
