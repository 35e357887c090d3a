//! Numbers, text and bytes as proto3's JSON mapping writes them.

use base64::{
    DecodeError, Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use prost_reflect::EnumDescriptor;
use serde::de::{Error, Visitor};
use std::fmt;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

/// Digits of the longest whole number that a field may hold, and then some.
const DIGITS: usize = 30;

/// A whole number, however it is written: `7`, `7.0`, `"7"`, `"0.7e1"`.
pub(super) struct Whole;

impl Visitor<'_> for Whole {
    type Value = i128;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<i128, E> {
        Ok(number.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<i128, E> {
        Ok(number.into())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<i128, E> {
        // What is beyond i128 becomes its end, which is beyond any field.
        if number.fract() == 0.0 { Ok(number as i128) } else { Err(E::custom(format!("{number} is no whole number"))) }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<i128, E> {
        whole(text).ok_or_else(|| E::custom(format!("{text:?} is no whole number, or out of range")))
    }
}

fn whole(text: &str) -> Option<i128> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !are_digits(before) || !are_digits(after) {
        return None;
    }
    let exponent = usize::try_from(exponent.parse::<i32>().ok()?.unsigned_abs()).ok()?;
    let digits = if text.contains("e-") || text.contains("E-") {
        let cut = before.len().saturating_sub(exponent);
        let (whole, rest) = before.split_at(cut);
        if !(rest.bytes().chain(after.bytes())).all(|byte| byte == b'0') {
            return None;
        }
        whole.to_owned()
    } else {
        let (taken, rest) = after.split_at(exponent.min(after.len()));
        let zeros = exponent - taken.len();
        if zeros > DIGITS || !rest.bytes().all(|byte| byte == b'0') {
            return None;
        }
        format!("{before}{taken}{}", "0".repeat(zeros))
    };
    let digits = digits.trim_start_matches('0');
    format!("{sign}0{digits}").parse().ok().filter(|_| digits.len() <= DIGITS)
}

/// A number with a fraction; `narrow`: one that a `float` can hold.
pub(super) struct Decimal {
    pub(super) narrow: bool,
}

impl Decimal {
    fn check<E: Error>(&self, number: f64) -> Result<f64, E> {
        let fits = number.is_finite() && (!self.narrow || (number as f32).is_finite());
        if fits { Ok(number) } else { Err(E::custom("the number is out of range")) }
    }
}

impl Visitor<'_> for Decimal {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<f64, E> {
        self.check(number)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<f64, E> {
        Ok(number as f64)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<f64, E> {
        Ok(number as f64)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<f64, E> {
        match text {
            "NaN" => return Ok(f64::NAN),
            "Infinity" => return Ok(f64::INFINITY),
            "-Infinity" => return Ok(f64::NEG_INFINITY),
            _ => {}
        }
        // Rust knows more names for what is no number.
        let is_number = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
        let number = text.parse().ok().filter(|_| is_number);
        self.check(number.ok_or_else(|| E::custom(format!("{text:?} is no number")))?)
    }
}

pub(super) struct Truth;

impl Visitor<'_> for Truth {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true or false")
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<bool, E> {
        Ok(truth)
    }
}

pub(super) struct Text;

impl Visitor<'_> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<String, E> {
        Ok(text)
    }
}

pub(super) struct Base64;

impl Visitor<'_> for Base64 {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes in base64")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Bytes, E> {
        let decoded = match BASE64.decode(text) {
            Err(DecodeError::InvalidByte(_, b'-' | b'_')) => BASE64_URL.decode(text),
            other => other,
        };
        decoded.map(Bytes::from).map_err(|error| E::custom(format!("no base64: {error}")))
    }
}

/// A value of an enum by its name or number; none for a name that is not known.
pub(super) struct EnumNumber<'a>(pub(super) &'a EnumDescriptor);

impl Visitor<'_> for EnumNumber<'_> {
    type Value = Option<i32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name or number of an enum's value")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.get_value_by_name(name).map(|value| value.number()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        i32::try_from(number).map(Some).map_err(|_| E::custom(format!("{number} is no value of an enum")))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        i32::try_from(number).map(Some).map_err(|_| E::custom(format!("{number} is no value of an enum")))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        let number = Whole.visit_f64(number)?;
        i32::try_from(number).map(Some).map_err(|_| E::custom(format!("{number} is no value of an enum")))
    }

    /// Only the enum `NullValue` is written so.
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        let is_null = self.0.full_name() == "google.protobuf.NullValue";
        if is_null { Ok(Some(0)) } else { Err(E::custom("null is no value of an enum")) }
    }
}
