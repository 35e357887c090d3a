//! The plugin's configuration: `[config]` in `plugin.toml`, or what the operator has put in its place.

use std::fmt::Display;
use std::str::FromStr;

use crate::{Problem, Result, host};

/// The value of `key`, if it is set.
pub fn config(key: &str) -> Option<String> {
    host::config(key)
}

/// The value of `key`, or `default` if it is not set. A value that is no `T` ends the request as a 500 that names the key:
/// better than to go on with a setting that nobody has chosen.
///
/// ```
/// # fn handler() -> weft_sdk::Result<()> {
/// let page_size = weft_sdk::config_or("page-size", 20u32)?;
/// # Ok(()) }
/// ```
pub fn config_or<T>(key: &str, default: T) -> Result<T>
where
    T: FromStr,
    T::Err: Display,
{
    match config(key) {
        None => Ok(default),
        Some(value) => value.parse().map_err(|error| {
            Problem::internal(format_args!("configuration `{key}`: {error}, found `{value}`")).with("key", key)
        }),
    }
}
