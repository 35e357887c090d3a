//! The component's side of `wit/`: bindings, and the exports that `plugin!` makes of a plugin.
//!
//! The bindings are what wit-bindgen makes of `wit/` and stand in `bindings/`, since making them anew would be a quarter of a plugin's first
//! build; a test compares. All of the SDK's `unsafe` is in them; exports exist on wasm32 only, so that many plugins link into one native
//! test.

#[cfg(target_family = "wasm")]
mod handle;

in_component! {
    #[allow(warnings, unsafe_code, reason = "generated from wit/")]
    pub mod bindings {
        include!("../bindings/plugin.rs");
    }

    #[allow(warnings, unsafe_code, reason = "generated from wit/")]
    pub mod describer {
        include!("../bindings/describer.rs");
    }

    pub use handle::handle;
}

/// What this plugin is compiled for. In macros of this crate `cfg` asks the plugin's crate.
#[doc(hidden)]
#[macro_export]
macro_rules! __purpose {
    () => {{
        #[allow(unexpected_cfgs, reason = "`weft build` sets it")]
        const PURPOSE: $crate::Purpose = if ::std::cfg!(not(target_family = "wasm")) {
            $crate::Purpose::Both
        } else if ::std::cfg!(weft_describe) {
            $crate::Purpose::Describe
        } else {
            $crate::Purpose::Serve
        };
        PURPOSE
    }};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($plugin:path) => {
        #[allow(unexpected_cfgs, reason = "`weft build` sets it")]
        const _: () = {
            #[cfg(all(target_family = "wasm", not(weft_describe)))]
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
            #[cfg(all(target_family = "wasm", weft_describe))]
            const _: () = {
                struct Component;
                impl $crate::export::describer::Guest for Component {
                    fn describe() -> ::std::string::String {
                        $plugin().describe()
                    }
                }
        $crate::export::describer::__export_component!(Component with_types_in $crate::export::describer);
            };
        };
    };
}

/// The descriptors are for `describe` only.
#[doc(hidden)]
#[macro_export]
macro_rules! __descriptors {
    ($($file:tt)+) => {{
        #[allow(unexpected_cfgs, reason = "`weft build` sets it")]
        const DESCRIPTORS: &[u8] = {
            #[cfg(all(target_family = "wasm", not(weft_describe)))]
            {
                &[]
            }
            #[cfg(not(all(target_family = "wasm", not(weft_describe))))]
            {
                ::std::include_bytes!($($file)+)
            }
        };
        DESCRIPTORS
    }};
}
