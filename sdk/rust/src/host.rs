//! The host's services besides calls: log, configuration, cache. A component imports them; natively the driver brings a [`Host`].

#[cfg(all(target_family = "wasm", not(feature = "describe")))]
mod imported;
#[cfg(not(all(target_family = "wasm", not(feature = "describe"))))]
mod native;

in_component! {
    pub use imported::*;
}

elsewhere! {
    pub use native::*;
}
