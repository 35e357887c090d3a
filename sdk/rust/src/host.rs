//! The host's services besides calls: log, configuration, cache. A component imports them; natively the driver brings a [`Host`].

#[cfg(all(target_family = "wasm", not(feature = "describe")))]
mod imported;
#[cfg(not(all(target_family = "wasm", not(feature = "describe"))))]
mod native;

#[cfg(all(target_family = "wasm", not(feature = "describe")))]
pub(crate) use imported::*;
#[cfg(not(all(target_family = "wasm", not(feature = "describe"))))]
pub use native::*;
