//! The headers of a message: what they repeat of its body has to be the same there, so that nobody on the way goes by something else.

use super::{revision::Revision, text::shown};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderMap;

const VERSION: &str = "mcp-protocol-version";
const METHOD: &str = "mcp-method";
const NAME: &str = "mcp-name";

/// What a header says: none, or one value.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, String> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(format!("the header {name} is there twice"));
    }
    value.to_str().map(|text| Some(text.trim())).map_err(|_| format!("the header {name} is no text"))
}

/// The revision that the header names.
pub(super) fn version(headers: &HeaderMap) -> Result<Option<&str>, String> {
    one(headers, VERSION)
}

/// Holds the headers against the body, where the revision asks for them.
pub(super) fn check(
    headers: &HeaderMap,
    revision: Revision,
    (method, name): (&str, Option<&str>),
) -> Result<(), String> {
    if !revision.is_whole() {
        return Ok(());
    }
    same(METHOD, one(headers, METHOD)?, method)?;
    match name {
        Some(name) => same(NAME, decoded(one(headers, NAME)?)?.as_deref(), name),
        None => Ok(()),
    }
}

fn same(header: &str, said: Option<&str>, in_body: &str) -> Result<(), String> {
    match said {
        Some(said) if said == in_body => Ok(()),
        Some(said) => Err(format!("the header {header} says `{}`, and the body `{}`", shown(said), shown(in_body))),
        None => Err(format!("the header {header} is missing; it repeats what the body says: `{}`", shown(in_body))),
    }
}

/// What can't stand in a header as it is stands there as `=?base64?…?=`.
fn decoded(said: Option<&str>) -> Result<Option<String>, String> {
    let Some(said) = said else { return Ok(None) };
    let Some(inner) = said.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
        return Ok(Some(said.to_owned()));
    };
    let text = STANDARD.decode(inner).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.map(Some).ok_or_else(|| format!("the header {NAME} is not the base64 that it says it is"))
}
