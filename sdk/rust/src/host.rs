//! The host's services besides calls: log, configuration, cache. A component imports them; natively the driver brings a [`Host`].

in_component! {
    mod imported;
    pub(crate) use imported::*;
}

elsewhere! {
    mod native;
    pub use native::*;
}
