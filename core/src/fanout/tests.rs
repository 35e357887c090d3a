//! The engine between a session and a scripted backend, in paused time.

mod descriptors;
mod events;
mod guards;
mod kit;
mod plans;
mod races;
mod rules;
mod shapes;
mod sharing;
mod simulation;
mod spans;
mod token_exchange;
