//! What a watch of EndpointSlices tells.

use std::collections::HashSet;
use weft_core::upstream::{Reached, told_of_slices};

/// Lines of a watch, for a backend with or without TLS (the first byte chooses): instances that can be called, each once.
pub fn slices(bytes: &[u8]) -> bool {
    let (first, lines) = bytes.split_first().unwrap_or((&0, &[]));
    let reached = Reached { tls: first & 1 > 0, rest: false };
    let found = told_of_slices(lines, "films", reached);
    let mut known = HashSet::new();
    for spec in &found.specs {
        let uri = &spec.uri;
        let authority = uri.authority().unwrap();
        assert!(!authority.host().is_empty() && authority.port_u16().is_some_and(|port| port > 0), "{uri}");
        assert!(uri.path() == "/" && uri.query().is_none() && known.insert(uri), "{uri}");
        assert_eq!(uri.scheme_str(), Some(if reached.tls { "https" } else { "http" }));
    }
    for skipped in &found.skipped {
        assert!(skipped.count > 0 && skipped.first.len() <= 4 * 200, "{skipped:?}");
    }
    !found.specs.is_empty() || !found.skipped.is_empty()
}
