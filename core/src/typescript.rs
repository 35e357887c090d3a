//! A typed client of one file, in TypeScript, made of an OpenAPI document: types of what is sent and answered, one function an endpoint, and
//! `typescript/runtime.ts`, which all of them share.
//!
//! Nothing of a document is trusted: names become identifiers by [`names`], texts become literals and comments that they can't leave. The
//! same document always makes the same file, to the byte.

mod answers;
mod arguments;
mod endpoints;
mod names;
mod operations;
mod types;

#[cfg(test)]
mod tests;

pub use endpoints::function_names;

use crate::compat::{Document, Unreadable};
use names::Names;
use std::fmt::Write;
use types::Types;

/// What every file ends with.
const RUNTIME: &str = include_str!("typescript/runtime.ts");

/// The file for this document.
///
/// # Errors
/// Where the document can't be followed, or has a type that is made of nothing but itself.
pub fn file(document: &Document) -> Result<String, Unreadable> {
    let mut names = Names::default();
    let types = Types::new(document, &mut names)?;
    let info = |key: &str| {
        document.root().pointer(&format!("/info/{key}")).and_then(serde_json::Value::as_str).unwrap_or_default()
    };
    let mut out = String::from("// Made by `weft types`. Make it again instead of changing it.\n");
    // Writing to a string can't fail.
    let _ = writeln!(out, "// {}", names::one_line(&format!("{} {}", info("title"), info("version"))));
    out.push_str("/* eslint-disable */\n");
    let base = document.root().pointer("/servers/0/url").and_then(serde_json::Value::as_str).unwrap_or_default();
    let _ = writeln!(out, "\n/** What the document names as the beginning of all paths. */");
    let _ = writeln!(out, "export const documentedBase: string = {};", names::literal(base));
    types.write_components(&mut out)?;
    endpoints::write(document, &types, &mut names, &mut out)?;
    let _ = write!(out, "\n{RUNTIME}");
    Ok(out)
}
