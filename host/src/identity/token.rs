//! One token: signature, then claims.

use super::{Refusal, config::Algorithm, config::Config, keys::KeySource};
use crate::model::Identity;
use jsonwebtoken::{Validation, decode, decode_header, errors::ErrorKind};
use serde_json::{Map, Value};
use std::time::{Duration, SystemTime};

/// Verifies a token, or says which rule it breaks.
pub(super) async fn verify(config: &Config, keys: &dyn KeySource, token: &str) -> Result<Identity, Refusal> {
    let header = decode_header(token).map_err(|_| Refusal::Token("is malformed"))?;
    if header.typ.as_deref().is_some_and(|typ| !is_access_token(typ)) {
        return Err(Refusal::Token("is of another type than an access token"));
    }
    if header.crit.is_some() {
        return Err(Refusal::Token("asks for an extension that is not supported"));
    }
    let candidates = keys.find(header.kid.as_deref()).await;
    if candidates.is_empty() {
        return Err(Refusal::Token("is signed with an unknown key"));
    }
    let mut refusal = Refusal::Token("is signed with an algorithm that is not accepted");
    for key in candidates {
        // From the configuration and the key, never from the token.
        let allowed: Vec<_> =
            config.algorithms.iter().filter(|a| key.algorithms.contains(a)).map(|a| library_name(*a)).collect();
        if !allowed.contains(&header.alg) {
            continue;
        }
        match decode::<Map<String, Value>>(token, &key.key, &validation(config, allowed)) {
            Ok(data) => return identity(config, data.claims),
            Err(error) => refusal = Refusal::Token(reason(error.kind())),
        }
    }
    Err(refusal)
}

fn is_access_token(typ: &str) -> bool {
    let typ = typ.strip_prefix("application/").unwrap_or(typ);
    typ.eq_ignore_ascii_case("jwt") || typ.eq_ignore_ascii_case("at+jwt")
}

/// Every check on, and every claim that is checked required: the library's own defaults skip a check whose claim is absent.
fn validation(config: &Config, allowed: Vec<jsonwebtoken::Algorithm>) -> Validation {
    let mut validation = Validation {
        algorithms: allowed,
        leeway: config.leeway.as_secs(),
        validate_exp: true,
        validate_nbf: true,
        validate_aud: true,
        ..Validation::default()
    };
    validation.set_issuer(&config.issuers);
    validation.set_audience(&config.audiences);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation
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

fn reason(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ExpiredSignature => "has expired",
        ErrorKind::ImmatureSignature => "is not valid yet",
        ErrorKind::InvalidIssuer => "is from another issuer",
        ErrorKind::InvalidAudience => "is for another audience",
        ErrorKind::InvalidSignature => "has a wrong signature",
        ErrorKind::MissingRequiredClaim(claim) => match claim.as_str() {
            "exp" => "has no `exp`",
            "iss" => "has no `iss`",
            "aud" => "has no `aud`",
            _ => "has no `sub`",
        },
        _ => "is malformed",
    }
}

fn identity(config: &Config, claims: Map<String, Value>) -> Result<Identity, Refusal> {
    let text = |claim: &str| claims.get(claim).and_then(Value::as_str);
    let (Some(issuer), Some(subject)) = (text("iss"), text("sub").filter(|subject| !subject.is_empty())) else {
        return Err(Refusal::Token("has no `sub`"));
    };
    let expires_at = claims
        .get("exp")
        .and_then(Value::as_f64)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since + config.leeway))
        .ok_or(Refusal::Token("has an `exp` that is no time"))?;
    let scopes = match claims.get(&config.scope_claim) {
        Some(Value::String(list)) => list.split_ascii_whitespace().map(str::to_owned).collect(),
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    Ok(Identity {
        issuer: issuer.into(),
        subject: subject.into(),
        tenant: text(&config.tenant_claim).map(Into::into),
        scopes,
        expires_at,
        claims,
    })
}
