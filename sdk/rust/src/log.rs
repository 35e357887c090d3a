//! Log lines, with fields, to the host's log. The host adds plugin, version, request id and trace.
//!
//! ```
//! # use weft_sdk::log;
//! # let (film, stars) = (7, 5);
//! log::info!("film {film} was rated"; stars = stars, by = "alice");
//! log::debug!("nothing to show");
//! ```
//!
//! A line below the host's level is neither formatted nor sent, and its fields are not evaluated.

use crate::executor::current;
use crate::host;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For following one request step by step.
    Trace,
    /// For finding a fault.
    Debug,
    /// What an operator may want to know.
    Info,
    /// Something is wrong, but the request goes on.
    Warn,
    /// The request, or a part of it, has failed.
    Error,
}

/// Whether the host keeps lines of this level. It is asked once in a request.
pub fn enabled(level: Level) -> bool {
    let Some(known) = current::with(|core| core.log_level) else { return false };
    let lowest = known.unwrap_or_else(|| {
        let lowest = host::log_level();
        current::with(|core| core.log_level = Some(lowest));
        lowest
    });
    level >= lowest
}

/// Writes a line that [`enabled`] has let through. The macros of this module do both.
pub fn write(level: Level, message: &str, fields: &[(String, String)]) {
    host::log_write(level, message, fields);
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log {
    ($level:ident, $format:literal $(, $arg:expr)* $(; $($key:ident = $value:expr),+)? $(,)?) => {
        if $crate::log::enabled($crate::log::Level::$level) {
            $crate::log::write(
                $crate::log::Level::$level,
                &::std::format!($format $(, $arg)*),
                &[$($((
                    ::std::string::String::from(::std::stringify!($key)),
                    ::std::string::ToString::to_string(&$value),
                )),+)?],
            );
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log_trace {
    ($($line:tt)+) => { $crate::__log!(Trace, $($line)+) };
}
/// A line for following one request step by step.
pub use __log_trace as trace;

#[doc(hidden)]
#[macro_export]
macro_rules! __log_debug {
    ($($line:tt)+) => { $crate::__log!(Debug, $($line)+) };
}
/// A line for finding a fault.
pub use __log_debug as debug;

#[doc(hidden)]
#[macro_export]
macro_rules! __log_info {
    ($($line:tt)+) => { $crate::__log!(Info, $($line)+) };
}
/// A line that an operator may want to see.
pub use __log_info as info;

#[doc(hidden)]
#[macro_export]
macro_rules! __log_warn {
    ($($line:tt)+) => { $crate::__log!(Warn, $($line)+) };
}
/// Something is wrong, but the request goes on.
pub use __log_warn as warn;

#[doc(hidden)]
#[macro_export]
macro_rules! __log_error {
    ($($line:tt)+) => { $crate::__log!(Error, $($line)+) };
}
/// The request, or a part of it, has failed.
pub use __log_error as error;
