//! The algorithms that may sign a token.

crate::choice! {
    /// Algorithms that sign with a private key. Shared secrets have no place between a gateway and the hosts behind it.
    pub enum Algorithm {
        Rs256 = "RS256", Rs384 = "RS384", Rs512 = "RS512",
        Ps256 = "PS256", Ps384 = "PS384", Ps512 = "PS512",
        Es256 = "ES256", Es384 = "ES384", EdDsa = "EdDSA",
    }
}
