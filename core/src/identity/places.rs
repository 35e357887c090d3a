//! What `[identity]` may name as a place: URLs, and files that can be read.

use crate::net::is_this_machine;
use http::Uri;
use std::path::Path;

/// Secrets and keys travel encrypted; in the clear only where they don't leave the machine.
pub(super) fn check_url(text: &str) -> Result<(), String> {
    let uri: Uri = text.parse().map_err(|_| format!("expected a URL, found {text:?}"))?;
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("a URL with a password in it is refused".to_owned());
    }
    match uri.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if is_this_machine(&uri) => Ok(()),
        _ => Err("expected https://…; http:// to this machine only".to_owned()),
    }
}

pub(super) fn readable(path: &Path) -> Result<(), String> {
    std::fs::metadata(path).map(drop).map_err(|error| format!("{}: {error}", path.display()))
}
