//! What others have written into a registry.

use weft_core::upstream::{Layout, Naming, Nonsense, Reached};

const LAYOUTS: [Layout; 4] = [Layout::Kratos, Layout::GoZero, Layout::GoMicro, Layout::Grpc];

/// A value of any layout, for a backend of any kind (its first byte chooses): instances that can be called, or a reason why there is none.
pub fn registry(bytes: &[u8]) -> bool {
    let (first, value) = bytes.split_first().unwrap_or((&0, &[]));
    let first = usize::from(*first);
    let reached = Reached { tls: first & 4 > 0, rest: first & 8 > 0 };
    let naming = Naming { layout: LAYOUTS[first & 3], service: "films".into(), prefix: "/p/".into(), reached };
    let entry = naming.decode(b"7587", value);
    for spec in &entry.specs {
        let uri = &spec.uri;
        let authority = uri.authority().unwrap();
        assert!(!authority.host().is_empty() && authority.port_u16().is_some_and(|port| port > 0), "{uri}");
        assert!(!authority.as_str().contains('@') && uri.path() == "/" && uri.query().is_none(), "{uri}");
        assert_eq!(uri.scheme_str(), Some(if reached.tls { "https" } else { "http" }));
        assert!(spec.weight > 0.0 && spec.weight < 1e6, "{}", spec.weight);
    }
    if let Some((_, reason)) = &entry.odd {
        assert!(!reason.is_empty());
    }
    !matches!(entry.odd, Some((Nonsense::Unreadable | Nonsense::TooLarge, _)))
}
