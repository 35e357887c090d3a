//! The component's side of `wit/`: bindings, and the exports that `plugin!` makes of a plugin.
//!
//! The bindings are what wit-bindgen makes of `wit/` and stand in `bindings/`, since making them anew would be a quarter of a plugin's first
//! build; a test compares. All of the SDK's `unsafe` is in them; exports exist on wasm32 only, so that many plugins link into one native
//! test.

#[cfg(all(target_family = "wasm", not(feature = "describe")))]
mod handle;

in_component! {
    #[allow(warnings, unsafe_code, reason = "generated from wit/")]
    pub mod bindings {
        include!("../bindings/plugin.rs");
    }

    pub use handle::handle;

    #[doc(hidden)]
    #[macro_export]
    macro_rules! __export {
        ($plugin:path) => {
            const _: () = {
                struct Component;
                impl $crate::export::bindings::Guest for Component {
                    fn handle(
                        request: $crate::export::bindings::Request,
                    ) -> ::std::result::Result<$crate::export::bindings::Response, $crate::export::bindings::Problem>
                    {
                        $crate::export::handle(&$plugin(), request)
                    }
                }
                $crate::export::bindings::__export_component!(Component with_types_in $crate::export::bindings);
            };
        };
    }
}

#[cfg(all(target_family = "wasm", feature = "describe"))]
#[allow(warnings, unsafe_code, reason = "generated from wit/")]
pub mod bindings {
    include!("../bindings/describer.rs");
}

#[cfg(all(target_family = "wasm", feature = "describe"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($plugin:path) => {
        const _: () = {
            struct Component;
            impl $crate::export::bindings::Guest for Component {
                fn describe() -> ::std::string::String {
                    $plugin().describe()
                }
            }
    $crate::export::bindings::__export_component!(Component with_types_in $crate::export::bindings);
        };
    };
}

#[cfg(not(target_family = "wasm"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($plugin:path) => {};
}

in_component! {
    /// The descriptors are for `describe` only.
    #[doc(hidden)]
    #[macro_export]
    macro_rules! __descriptors {
        ($($file:tt)+) => { &[] };
    }
}

elsewhere! {
    /// The descriptors are for `describe` only.
    #[doc(hidden)]
    #[macro_export]
    macro_rules! __descriptors {
        ($($file:tt)+) => { ::std::include_bytes!($($file)+) };
    }
}
