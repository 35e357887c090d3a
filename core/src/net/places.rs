//! Where a URL leads.

use http::Uri;
use std::net::IpAddr;

/// Whether what is sent there stays on this machine.
pub fn is_this_machine(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
