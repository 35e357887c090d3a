//! Typed values out of TOML: durations, sizes, shares, addresses.

use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};
use toml::de::DeValue;

/// The longest time that can stand anywhere: added to any moment it is one still.
const LONGEST: Duration = Duration::from_hours(24 * 365);
/// The largest size.
const LARGEST: u64 = 1 << 40;
/// The most of anything.
pub(super) const MOST: u32 = 1_000_000_000;

/// A value that can stand in a TOML file. What can be absurd is bounded here, whatever key it stands at; most keys have closer bounds.
pub trait FromValue: Sized {
    /// What a reader of a message is told to write instead: `a duration such as "300ms"`.
    fn expected() -> String;
    /// `None`: not of this kind at all; `Some(Err)`: of this kind, but wrong for the reason given.
    fn from_value(value: &DeValue<'_>) -> Option<Result<Self, String>>;
}

/// A number of bytes, written `"32MiB"`, `"64KiB"`, `"1GiB"` or as a plain integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// For sizes of things in memory.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for ByteSize {
    /// As it would be written, in the largest unit that divides it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        let whole = units.into_iter().find(|(shift, _)| self.0 > 0 && self.0.trailing_zeros() >= *shift);
        let (shift, unit) = whole.unwrap_or((0, "B"));
        write!(f, "{}{unit}", self.0 >> shift)
    }
}

/// A share, written `"20%"`; held as 0.0 to 1.0.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Percent(pub f64);

impl FromValue for String {
    fn expected() -> String {
        "a string".into()
    }
    fn from_value(value: &DeValue<'_>) -> Option<Result<Self, String>> {
        value.as_str().map(|s| Ok(s.to_owned()))
    }
}

impl FromValue for bool {
    fn expected() -> String {
        "true or false".into()
    }
    fn from_value(value: &DeValue<'_>) -> Option<Result<Self, String>> {
        value.as_bool().map(Ok)
    }
}

fn integer(value: &DeValue<'_>) -> Option<i128> {
    let number = value.as_integer()?;
    i128::from_str_radix(number.as_str(), number.radix()).ok()
}

macro_rules! integers {
    ($($kind:ty),+) => {$(
        impl FromValue for $kind {
            fn expected() -> String {
                format!("an integer from 0 to {}", i128::from(MOST).min(<$kind>::MAX as i128))
            }
            fn from_value(value: &DeValue<'_>) -> Option<Result<Self, String>> {
                let number = integer(value).filter(|number| *number <= i128::from(MOST))?;
                <$kind>::try_from(number).ok().map(Ok)
            }
        }
    )+};
}
integers!(u16, u32, u64, usize);

impl FromValue for f64 {
    fn expected() -> String {
        format!("a number from -{MOST} to {MOST}")
    }
    fn from_value(value: &DeValue<'_>) -> Option<Result<Self, String>> {
        let parsed = match value.as_float() {
            Some(float) => float.as_str().parse().ok()?,
            None => integer(value)? as f64,
        };
        (-f64::from(MOST)..=f64::from(MOST)).contains(&parsed).then_some(Ok(parsed))
    }
}

impl FromValue for PathBuf {
    fn expected() -> String {
        "a path".into()
    }
    fn from_value(value: &DeValue<'_>) -> Option<Result<Self, String>> {
        value.as_str().map(|s| Ok(s.into()))
    }
}

impl FromValue for SocketAddr {
    fn expected() -> String {
        "an address with a port, such as \"127.0.0.1:8080\"".into()
    }
    fn from_value(value: &DeValue<'_>) -> Option<Result<Self, String>> {
        value.as_str()?.parse().ok().map(Ok)
    }
}

/// Splits `"300ms"` into 300.0 and `ms`.
fn split_unit(text: &str) -> Option<(f64, &str)> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(at);
    Some((number.parse().ok()?, unit.trim()))
}

impl FromValue for Duration {
    fn expected() -> String {
        "a duration such as \"300ms\", \"2s\", \"5m\" or \"1h\"".into()
    }
    fn from_value(value: &DeValue<'_>) -> Option<Result<Self, String>> {
        let (number, unit) = split_unit(value.as_str()?)?;
        let seconds = match unit {
            "us" => number / 1e6,
            "ms" => number / 1e3,
            "s" => number,
            "m" => number * 60.0,
            "h" => number * 3600.0,
            "d" => number * 86_400.0,
            _ => return None,
        };
        let bounded = Duration::try_from_secs_f64(seconds).ok().filter(|time| *time <= LONGEST);
        Some(bounded.ok_or_else(|| "expected a duration of \"365d\" at most".to_owned()))
    }
}

fn bounded(bytes: u64) -> Result<ByteSize, String> {
    if bytes <= LARGEST { Ok(ByteSize(bytes)) } else { Err("expected a size of \"1024GiB\" at most".to_owned()) }
}

impl FromValue for ByteSize {
    fn expected() -> String {
        "a size such as \"64KiB\", \"32MiB\" or \"1GiB\"".into()
    }
    fn from_value(value: &DeValue<'_>) -> Option<Result<Self, String>> {
        if let Some(bytes) = integer(value) {
            return u64::try_from(bytes).ok().map(bounded);
        }
        let (number, unit) = split_unit(value.as_str()?)?;
        let factor: u64 = match unit {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return None,
        };
        Some(bounded((number * factor as f64) as u64))
    }
}

impl FromValue for Percent {
    fn expected() -> String {
        "a share from \"0%\" to \"100%\"".into()
    }
    fn from_value(value: &DeValue<'_>) -> Option<Result<Self, String>> {
        let number: f64 = value.as_str()?.strip_suffix('%')?.trim().parse().ok()?;
        (0.0..=100.0).contains(&number).then_some(Ok(Percent(number / 100.0)))
    }
}

impl<T: FromValue> FromValue for Vec<T> {
    fn expected() -> String {
        format!("a list, each item {}", T::expected())
    }
    fn from_value(value: &DeValue<'_>) -> Option<Result<Self, String>> {
        let one = |(at, item): (usize, &toml::Spanned<DeValue<'_>>)| match T::from_value(item.get_ref()) {
            Some(parsed) => parsed.map_err(|reason| format!("item {at}: {reason}")),
            None => Err(format!("item {at}: expected {}, found {}", T::expected(), describe(item.get_ref()))),
        };
        Some(value.as_array()?.iter().enumerate().map(one).collect())
    }
}

/// What was found instead, for a message.
pub(super) fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the string {text:?}"),
        DeValue::Integer(number) => format!("the integer {}", number.as_str()),
        other => format!("a value of type {}", other.type_str()),
    }
}
