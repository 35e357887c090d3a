//! The engine between a session and a scripted backend, in paused time.

mod behalf;
mod kit;
mod rules;
mod sharing;
mod simulation;
