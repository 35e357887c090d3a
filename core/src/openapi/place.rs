//! Where in an endpoint a schema stands.

/// What of an endpoint a schema is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Use {
    Query,
    Request,
    Response,
}

impl Use {
    pub(super) const ALL: [Self; 3] = [Self::Query, Self::Request, Self::Response];

    pub(super) fn direction(self) -> &'static str {
        if self == Self::Response { "output" } else { "input" }
    }
}
