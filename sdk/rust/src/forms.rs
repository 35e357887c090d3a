//! Values of protobuf in the forms that frontends expect.

use std::borrow::Cow;
use std::fmt;

use prost_types::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A moment, in JSON as RFC 3339 has it: `"2026-01-31T12:00:00Z"`.
///
/// It is made of a backend's `google.protobuf.Timestamp`: `film.released.map(Time::from)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Time(pub Timestamp);

impl From<Timestamp> for Time {
    fn from(timestamp: Timestamp) -> Self {
        Self(timestamp)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Time {
    /// As HTTP has it in headers (RFC 9110, section 5.6.7): `Sat, 31 Jan 2026 12:00:00 GMT`. `None` outside of the years 1 to 9999.
    pub fn to_http(self) -> Option<String> {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let text = self.0.to_string();
        let (date, time) = text.split_once('T')?;
        let mut parts = date.splitn(3, '-');
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        let month = MONTHS.get(month.parse::<usize>().ok()?.checked_sub(1)?)?;
        let weekday = DAYS.get(usize::try_from(self.0.seconds.div_euclid(86_400).rem_euclid(7)).ok()?)?;
        let is_plain = year.len() == 4 && year.bytes().all(|digit| digit.is_ascii_digit());
        is_plain.then_some(())?;
        Some(format!("{weekday}, {day} {month} {year} {} GMT", time.get(..8)?))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let moment = text.parse().map_err(|_| de::Error::custom("expected a moment as in 2026-01-31T12:00:00Z"))?;
        Ok(Self(moment))
    }
}

impl JsonSchema for Time {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// An amount of money: in JSON `{"currency": "EUR", "amount": "12.50"}`, with a decimal that no floating point has rounded.
///
/// It is made of the fields of a backend's `google.type.Money`: `Money::new(price.currency_code, price.units, price.nanos)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Money {
    /// The currency's three letters, after ISO 4217.
    pub currency: String,
    /// A decimal number, with at least two places.
    #[schemars(regex(pattern = r"^-?[0-9]+\.[0-9]{2,9}$"))]
    pub amount: String,
}

impl Money {
    /// From whole units and billionths of one, which have the same sign, as in
    /// [`google.type.Money`](https://github.com/googleapis/googleapis/blob/master/google/type/money.proto). Two that contradict each other
    /// are added up.
    pub fn new(currency: impl Into<String>, units: i64, nanos: i32) -> Self {
        let all = i128::from(units) * 1_000_000_000 + i128::from(nanos);
        let (sign, all) = (if all < 0 { "-" } else { "" }, all.unsigned_abs());
        let digits = format!("{:09}", all % 1_000_000_000);
        let places = digits.trim_end_matches('0').len().max(2);
        let amount = format!("{sign}{}.{}", all / 1_000_000_000, digits.get(..places).unwrap_or(&digits));
        Self { currency: currency.into(), amount }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_a_decimal() {
        for (units, nanos, amount) in [
            (12, 500_000_000, "12.50"),
            (0, 0, "0.00"),
            (0, -10_000_000, "-0.01"),
            (-3, -250_000_000, "-3.25"),
            (1, 1, "1.000000001"),
            (5, -500_000_000, "4.50"),
            (i64::MAX, 999_999_999, "9223372036854775807.999999999"),
            (i64::MIN, -999_999_999, "-9223372036854775808.999999999"),
        ] {
            assert_eq!(Money::new("EUR", units, nanos).amount, amount);
        }
    }

    #[test]
    fn a_moment_is_text_in_json_and_in_headers() {
        for (seconds, json, http) in [
            (0, "1970-01-01T00:00:00Z", "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "1994-11-06T08:49:37Z", "Sun, 06 Nov 1994 08:49:37 GMT"),
            (-1, "1969-12-31T23:59:59Z", "Wed, 31 Dec 1969 23:59:59 GMT"),
        ] {
            let time = Time(Timestamp { seconds, nanos: 0 });
            assert_eq!(serde_json::to_value(time).unwrap(), json);
            assert_eq!(serde_json::from_value::<Time>(json.into()).unwrap(), time);
            assert_eq!(time.to_http().as_deref(), Some(http));
        }
        assert!(serde_json::from_value::<Time>("yesterday".into()).is_err());
        assert_eq!(Time(Timestamp { seconds: i64::MAX, nanos: 0 }).to_http(), None);
    }
}
