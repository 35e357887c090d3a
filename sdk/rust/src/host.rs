//! The host's services besides calls: log, configuration, cache. A component imports them; natively the driver brings a [`Host`].

#[cfg(target_family = "wasm")]
mod imported;
#[cfg(not(target_family = "wasm"))]
mod native;

in_component! {
    pub use imported::*;
}

elsewhere! {
    pub use native::*;
}
