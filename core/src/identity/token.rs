//! One token: whose it says it is, by whom it is signed, and what it claims.

use super::{
    Refusal,
    algorithm::Algorithm,
    claims::{Audience, Claims},
    config::{Config, Issuer},
    keys::KeySource,
};
use crate::model::Identity;
use jsonwebtoken::{Header, crypto, decode_header};
use std::sync::Arc;

/// Verifies a token, or says which rule it breaks. `sources` are those of the configuration's issuers, in their order.
pub(super) async fn verify(
    config: &Config,
    sources: &[Arc<dyn KeySource>],
    token: &str,
    audience: Audience<'_>,
) -> Result<Identity, Refusal> {
    let header = decode_header(token).map_err(|_| Refusal::Token("is malformed"))?;
    let (message, signature) = token.rsplit_once('.').ok_or(Refusal::Token("is malformed"))?;
    let (_, payload) = message.split_once('.').ok_or(Refusal::Token("is malformed"))?;
    check_header(&header)?;
    let claims = Claims::decode(payload.as_bytes())?;
    // One issuer's keys say nothing about another's tokens.
    let (place, issuer) = claims.issuer(config)?;
    let source = sources.get(place).ok_or(Refusal::Unsure)?;
    check_signature(issuer, source.as_ref(), &header, message, signature).await?;
    claims.check(config, issuer, audience)
}

/// Nothing in it is followed; what it asks for must be what is done anyway.
fn check_header(header: &Header) -> Result<(), Refusal> {
    if header.typ.as_deref().is_some_and(|typ| !is_access_token(typ)) {
        return Err(Refusal::Token("is of another type than an access token"));
    }
    if header.crit.is_some() {
        return Err(Refusal::Token("asks for an extension that is not supported"));
    }
    Ok(())
}

fn is_access_token(typ: &str) -> bool {
    let typ = typ.strip_prefix("application/").unwrap_or(typ);
    typ.eq_ignore_ascii_case("jwt") || typ.eq_ignore_ascii_case("at+jwt")
}

async fn check_signature(
    issuer: &Issuer,
    source: &dyn KeySource,
    header: &Header,
    message: &str,
    signature: &str,
) -> Result<(), Refusal> {
    let named = |algorithm: &&Algorithm| library_name(**algorithm) == header.alg;
    let Some(algorithm) = issuer.algorithms.iter().find(named) else {
        return Err(Refusal::Token("is signed with an algorithm that is not accepted"));
    };
    let candidates = source.find(header.kid.as_deref()).await.map_err(|_| Refusal::Unsure)?;
    if candidates.is_empty() {
        return Err(Refusal::Token("is signed with an unknown key"));
    }
    let mut refusal = Refusal::Token("is signed with an algorithm that is not accepted");
    // What a key may verify comes from its document, never from the token.
    for key in candidates.iter().filter(|key| key.algorithms.contains(algorithm)) {
        match crypto::verify(signature, message.as_bytes(), &key.key, header.alg) {
            Ok(true) => return Ok(()),
            Ok(false) => refusal = Refusal::Token("has a wrong signature"),
            Err(_) => refusal = Refusal::Token("is malformed"),
        }
    }
    Err(refusal)
}

fn library_name(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::Rs384 => jsonwebtoken::Algorithm::RS384,
        Algorithm::Rs512 => jsonwebtoken::Algorithm::RS512,
        Algorithm::Ps256 => jsonwebtoken::Algorithm::PS256,
        Algorithm::Ps384 => jsonwebtoken::Algorithm::PS384,
        Algorithm::Ps512 => jsonwebtoken::Algorithm::PS512,
        Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::Es384 => jsonwebtoken::Algorithm::ES384,
        Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
    }
}
