//! Reading TOML so that every mistake is found in one go, each with its file, line, key and what was expected.
//!
//! serde stops at the first mistake. Here a [`Table`] hands out typed values, notes what is wrong and reads on; a table
//! that goes out of scope reports the keys that nobody asked for. Whoever reads a file looks at [`Mistakes`] at the end and
//! uses the result only when there are none.

mod depth;
mod diff;
mod flat;
mod json;
mod mistakes;
mod parts;
mod rate;
mod secret;
mod shown;
mod table;
mod text;
mod value;

pub use diff::{Change, diff};
pub use json::json;
pub use mistakes::{Mistake, Mistakes, brief, visible};
pub use parts::Parts;
pub use rate::Rate;
pub use secret::Secret;
pub use shown::shown;
pub use table::{Document, Place, Table, nearest};
pub use text::text;
pub use value::{ByteSize, FromValue, Percent};

/// Defines an enum whose variants are written as words in TOML: `choice! { pub enum Mode { Fast = "fast", Slow = "slow" } }`.
#[macro_export]
macro_rules! choice {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        $vis enum $name { $($(#[$vmeta])* $variant),+ }

        impl $name {
            /// The word that stands for the value in TOML, logs and metrics.
            #[allow(dead_code, reason = "some are only read")]
            $vis fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl $crate::settings::FromValue for $name {
            fn expected() -> String {
                [$(concat!("\"", $word, "\"")),+].join(" | ")
            }
            fn from_value(value: &toml::de::DeValue<'_>) -> Option<Result<Self, String>> {
                match value.as_str()? {
                    $($word => Some(Ok(Self::$variant)),)+
                    _ => None,
                }
            }
        }
    };
}

#[cfg(test)]
pub(crate) mod absurd;
#[cfg(test)]
mod tests;
