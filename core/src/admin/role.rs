//! What a caller of the admin interface may do, and what each request needs.

use super::shown::FOLDER;
use http::Method;

crate::choice! {
    /// Each may do what those before it may.
    #[derive(PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Role {
        /// Looks.
        Viewer = "viewer",
        /// Changes what is kept and what is asked for, and which releases serve.
        Operator = "operator",
        /// Everything.
        Admin = "admin",
    }
}

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing: who checks health and who scrapes has no token.
    Nothing,
    /// To be for this host, as every page is: nothing about the host is in these.
    Host,
    Role(Role),
}

/// What is named nowhere is closed: looking needs a viewer, everything else an admin.
pub(super) fn need(method: &Method, path: &str) -> Need {
    let reads = *method == Method::GET || *method == Method::HEAD;
    match path {
        "/livez" | "/readyz" | "/metrics" if reads => Need::Nothing,
        _ if path.starts_with("/grpc.health.v1.Health/") => Need::Nothing,
        "/sign-in" | "/sign-in.js" | "/console.css" | "/icon.svg" if reads => Need::Host,
        _ if reads && path.starts_with(FOLDER) => Need::Host,
        "/v1/session" if *method == Method::POST => Need::Host,
        "/v1/session" if *method == Method::DELETE => Need::Role(Role::Viewer),
        // Of one that may change something, an operator; that is known once it is read.
        "/v1/try" if *method == Method::POST => Need::Role(Role::Viewer),
        "/v1/invalidate" | "/v1/releases" if *method == Method::POST => Need::Role(Role::Operator),
        _ if *method == Method::POST && is_order(path) => Need::Role(Role::Operator),
        _ if reads => Need::Role(Role::Viewer),
        _ => Need::Role(Role::Admin),
    }
}

/// Whether it changes which release of a plugin serves.
fn is_order(path: &str) -> bool {
    let within = |prefix: &str| path.strip_prefix(prefix).and_then(|rest| rest.split_once('/'));
    let of_release = within("/v1/releases/").is_some_and(|(_, rest)| rest == "apply");
    of_release || within("/v1/plugins/").is_some_and(|(_, rest)| rest == "rollback" || rest == "retire")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_nowhere_is_closed() {
        let of = |method: &str, path| need(&method.parse().unwrap(), path);
        for path in ["/livez", "/readyz", "/metrics"] {
            assert_eq!((of("GET", path), of("POST", path)), (Need::Nothing, Need::Role(Role::Admin)), "{path}");
        }
        for path in ["/", "/v1/plugins", "/v1/other", "/livez/", "/metrics/x", "//livez", "/v1/invalidate"] {
            assert_eq!(
                (of("GET", path), of("HEAD", path)),
                (Need::Role(Role::Viewer), Need::Role(Role::Viewer)),
                "{path}"
            );
        }
        for (method, path) in
            [("POST", "/v1/config/reload"), ("PUT", "/v1/invalidate"), ("BREW", "/"), ("OPTIONS", "/v1/plugins")]
        {
            assert_eq!(of(method, path), Need::Role(Role::Admin), "{method} {path}");
        }
        assert_eq!(of("POST", "/v1/invalidate"), Need::Role(Role::Operator));
        for path in ["/v1/releases", "/v1/releases/sha256:0/apply", "/v1/plugins/p/rollback", "/v1/plugins/p/retire"] {
            assert_eq!(of("POST", path), Need::Role(Role::Operator), "{path}");
            assert_eq!(of("DELETE", path), Need::Role(Role::Admin), "{path}");
        }
        assert_eq!(of("POST", "/v1/plugins/p/retire/x"), Need::Role(Role::Admin));
        assert_eq!((of("GET", "/shown/a"), of("PUT", "/shown/a")), (Need::Host, Need::Role(Role::Admin)));
        assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Admin);
    }
}
