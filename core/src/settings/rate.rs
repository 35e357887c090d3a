//! Rates: `"100/s"`.

use super::{FromValue, value::MOST};
use std::{fmt, num::NonZeroU32, time::Duration};
use toml::de::DeValue;

/// So many in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub count: NonZeroU32,
    pub period: Duration,
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.period.as_secs() {
            1 => write!(f, "{} a second", self.count),
            60 => write!(f, "{} a minute", self.count),
            _ => write!(f, "{} an hour", self.count),
        }
    }
}

impl FromValue for Rate {
    fn expected() -> String {
        "a rate such as \"100/s\", \"600/m\" or \"1000/h\"".into()
    }
    fn from_value(value: &DeValue<'_>) -> Option<Result<Self, String>> {
        let (count, unit) = value.as_str()?.split_once('/')?;
        let seconds = match unit.trim() {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return None,
        };
        let count: NonZeroU32 = count.trim().parse().ok()?;
        if count.get() > MOST {
            return Some(Err(format!("expected a rate of {MOST} at most")));
        }
        Some(Ok(Self { count, period: Duration::from_secs(seconds) }))
    }
}
