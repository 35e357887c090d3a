//! The three scopes: with how many a reply or a response may be shared.

crate::choice! {
    /// Who may share a reply or a response.
    pub enum Scope {
        /// Only the same caller with the same forwarded credentials. The default.
        Principal = "principal",
        /// All callers of one tenant.
        Tenant = "tenant",
        /// Everybody.
        Public = "public",
    }
}
