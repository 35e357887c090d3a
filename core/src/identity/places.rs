//! What `[identity]` may name as a place: URLs, and files that can be read.

use http::Uri;
use std::{net::IpAddr, path::Path};

/// Secrets and keys travel encrypted; in the clear only where they don't leave the machine.
pub(super) fn check_url(text: &str) -> Result<(), String> {
    let uri: Uri = text.parse().map_err(|_| format!("expected a URL, found {text:?}"))?;
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let stays_here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("a URL with a password in it is refused".to_owned());
    }
    match uri.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if stays_here => Ok(()),
        _ => Err("expected https://…; http:// to this machine only".to_owned()),
    }
}

pub(super) fn readable(path: &Path) -> Result<(), String> {
    std::fs::metadata(path).map(drop).map_err(|error| format!("{}: {error}", path.display()))
}
