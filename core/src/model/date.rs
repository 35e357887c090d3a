//! A day of the calendar, and how headers write it.

use crate::settings::FromValue;
use std::{fmt, str::FromStr};
use toml::de::DeValue;

/// A day, as days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(i64);

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl FromStr for Date {
    type Err = ();

    /// `2026-11-29`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let is_plain = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        let mut parts = text.split('-').filter(|_| is_plain).map(str::parse::<i64>);
        let (Some(Ok(year)), Some(Ok(month)), Some(Ok(day)), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(());
        };
        let date = Self(days(year, month, day));
        // What is no day of the calendar leads to another one.
        if date.civil() == (year, month, day) && year >= 1970 { Ok(date) } else { Err(()) }
    }
}

/// Of the Gregorian calendar, in eras of 400 years that begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

impl Date {
    /// Year, month, day.
    fn civil(self) -> (i64, i64, i64) {
        let days = self.0 + 719_468;
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let shifted = (5 * of_year + 2) / 153;
        let (day, month) = (of_year - (153 * shifted + 2) / 5 + 1, (shifted + 2) % 12 + 1);
        (year + era * 400 + i64::from(month <= 2), month, day)
    }

    /// Its first second, since 1970.
    pub fn seconds(self) -> i64 {
        self.0 * 86_400
    }

    /// Its first second as HTTP writes it: `Sun, 29 Nov 2026 00:00:00 GMT`.
    pub fn to_http(self) -> String {
        let (year, month, day) = self.civil();
        let name = |list: &[&'static str], at: i64| {
            usize::try_from(at).ok().and_then(|at| list.get(at).copied()).unwrap_or("")
        };
        let (weekday, month) = (name(&DAYS, self.0.rem_euclid(7)), name(&MONTHS, month - 1));
        format!("{weekday}, {day:02} {month} {year:04} 00:00:00 GMT")
    }
}

impl FromValue for Date {
    fn expected() -> String {
        "a day such as \"2026-11-29\"".into()
    }

    fn from_value(value: &DeValue<'_>) -> Option<Result<Self, String>> {
        // TOML has days of its own, without quotes.
        let text = value.as_str().map(str::to_owned).or_else(|| value.as_datetime().map(ToString::to_string))?;
        Some(text.parse().map_err(|()| format!("`{text}` is no day of the calendar")))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::Date;

    #[test]
    fn days_are_read_and_written() {
        for (text, seconds, http) in [
            ("1970-01-01", 0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            ("1994-11-06", 784_080_000, "Sun, 06 Nov 1994 00:00:00 GMT"),
            ("2024-02-29", 1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
            ("2026-11-29", 1_795_910_400, "Sun, 29 Nov 2026 00:00:00 GMT"),
        ] {
            let date: Date = text.parse().unwrap();
            assert_eq!((date.seconds(), date.to_http().as_str(), date.to_string().as_str()), (seconds, http, text));
        }
        for bad in ["2026-02-29", "2026-13-01", "2026-00-10", "26-1-1", "2026-1-01x", "+026-01-01", "1969-12-31", ""] {
            assert!(bad.parse::<Date>().is_err(), "{bad}");
        }
    }
}
