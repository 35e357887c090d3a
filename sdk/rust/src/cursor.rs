//! Cursors: where a list goes on, in a form that callers hand back and can't change.

use std::borrow::Cow;
use std::fmt;

use hmac::{Hmac, Mac};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, Error as _};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Sha256;

use crate::config;
use crate::message::{decoded, encoded_for_urls};

/// Where a list goes on, for the next page: the places of one or several backends' lists, in one opaque text.
///
/// In a response it is written, in a query read, like any other value; callers see letters and digits. It is signed by the first of the
/// keys under `cursor-key` in the plugin's `[config]`, and read by any of them, so that a key can be replaced while old cursors are out. A
/// text that was changed, or made for another type, is a 400 that names the parameter.
///
/// ```
/// # use weft_sdk::prelude::*;
/// # use weft_sdk::Cursor;
/// /// Where each backend goes on; `None`: it has no more.
/// #[data]
/// struct Place {
///     films: Option<String>,
///     reviews: Option<String>,
/// }
///
/// #[data(input)]
/// struct Wanted {
///     after: Option<Cursor<Place>>,
/// }
///
/// #[data(output)]
/// struct Page {
///     titles: Vec<String>,
///     next: Option<Cursor<Place>>,
/// }
///
/// #[get("/feed")]
/// async fn feed(Query(wanted): Query<Wanted>) -> Result<Json<Page>> {
///     let place = wanted.after.map(|cursor| cursor.0);
///     // … asks each backend for what comes after its own place …
///     # let _ = place;
///     let next = Place { films: Some("f-20".to_owned()), reviews: None };
///     Ok(Json(Page { titles: Vec::new(), next: Some(Cursor(next)) }))
/// }
/// ```
///
/// **It is signed, not hidden**: whoever decodes it reads it. It says nothing of who may see what: each page asks the backends as its own
/// caller. Keys are secrets; an operator sets them in `[plugins.config.NAME]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor<T>(pub T);

/// The first half of an HMAC-SHA256 (RFC 2104, section 5).
const TAG: usize = 16;
/// Of a key: what nobody guesses.
const SHORTEST_KEY: usize = 16;
/// A page's address has room for it.
const LONGEST: usize = 4 << 10;

#[derive(Debug)]
enum Fault {
    NoKey,
    ShortKey,
    TooLong,
    Foreign,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey => f.write_str("cursors need a key: set `cursor-key` in the plugin's [config]"),
            Self::ShortKey => write!(f, "a key of `cursor-key` in [config] has less than {SHORTEST_KEY} letters"),
            Self::TooLong => write!(f, "a cursor has more than {LONGEST} letters: keep less in it"),
            Self::Foreign => f.write_str("is no cursor of this list; begin at its first page"),
        }
    }
}

fn keys() -> Result<Vec<String>, Fault> {
    let text = config("cursor-key").unwrap_or_default();
    let keys: Vec<String> = text.split(',').map(|key| key.trim().to_owned()).filter(|key| !key.is_empty()).collect();
    match keys.iter().map(String::len).min() {
        None => Err(Fault::NoKey),
        Some(shortest) if shortest < SHORTEST_KEY => Err(Fault::ShortKey),
        Some(_) => Ok(keys),
    }
}

/// What is signed is bound to the type's name: a cursor of one list is none of another.
fn mac<T: JsonSchema>(key: &str, content: &[u8]) -> Result<Hmac<Sha256>, Fault> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).map_err(|_| Fault::ShortKey)?;
    mac.update(T::schema_name().as_bytes());
    mac.update(&[0]);
    mac.update(content);
    Ok(mac)
}

fn seal<T: JsonSchema>(content: &[u8]) -> Result<String, Fault> {
    let keys = keys()?;
    let mac = mac::<T>(keys.first().ok_or(Fault::NoKey)?, content)?;
    let mut bytes = mac.finalize().into_bytes().get(..TAG).unwrap_or_default().to_vec();
    bytes.extend_from_slice(content);
    let text = encoded_for_urls(&bytes);
    if text.len() > LONGEST { Err(Fault::TooLong) } else { Ok(text) }
}

fn open<T: JsonSchema>(text: &str) -> Result<Vec<u8>, Fault> {
    if text.len() > LONGEST {
        return Err(Fault::Foreign);
    }
    let bytes = decoded(text).ok_or(Fault::Foreign)?;
    let (tag, content) = bytes.split_at_checked(TAG).ok_or(Fault::Foreign)?;
    for key in keys()? {
        if mac::<T>(&key, content)?.verify_truncated_left(tag).is_ok() {
            return Ok(content.to_vec());
        }
    }
    Err(Fault::Foreign)
}

impl<T: Serialize + JsonSchema> Serialize for Cursor<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let content = serde_json::to_vec(&self.0).map_err(S::Error::custom)?;
        serializer.serialize_str(&seal::<T>(&content).map_err(S::Error::custom)?)
    }
}

impl<'de, T: DeserializeOwned + JsonSchema> Deserialize<'de> for Cursor<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let content = open::<T>(&text).map_err(D::Error::custom)?;
        // Signed here, by a version of the plugin whose type was another one.
        serde_json::from_slice(&content).map(Self).map_err(|_| D::Error::custom(Fault::Foreign))
    }
}

impl<T> JsonSchema for Cursor<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Cursor".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "Where the list goes on. Hand it back as it is." })
    }
}
