//! Tokens as an identity provider would issue them, a new one for each request.

use anyhow::Context;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use std::{
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

pub(crate) const ISSUER: &str = "https://demo.weft.example";
pub(crate) const AUDIENCE: &str = "weft-demo";

/// The key that RFC 8410, section 10.3, prints as its example: the demo's identity provider signs with it.
const KNOWN_TO_ALL: [u8; 48] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20, 0xd4, 0xee, 0x72,
    0xdb, 0xf9, 0x13, 0x58, 0x4a, 0xd5, 0xb6, 0xd8, 0xf1, 0xf7, 0x69, 0xf8, 0xad, 0x3a, 0xfe, 0x7c, 0x28, 0xcb, 0xf1,
    0xd4, 0xfb, 0xe0, 0x97, 0xa8, 0x8f, 0x44, 0x75, 0x58, 0x42,
];

/// The file with the public key.
pub(crate) fn jwks() -> PathBuf {
    crate::fixture::repository().join("examples/identity/jwks.json")
}

/// The public key itself, as `x` of the JWK.
pub(crate) fn public() -> anyhow::Result<String> {
    let set: serde_json::Value = serde_json::from_slice(&std::fs::read(jwks())?)?;
    let key = set.pointer("/keys/0/x").and_then(|x| x.as_str());
    Ok(key.context("examples/identity/jwks.json has no key")?.to_owned())
}

/// Signs tokens.
pub(crate) struct Signer {
    header: Header,
    key: EncodingKey,
    until: u64,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    exp: u64,
}

impl Signer {
    pub(crate) fn new() -> Self {
        let header = Header { kid: Some("demo".to_owned()), ..Header::new(Algorithm::EdDSA) };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self { header, key: EncodingKey::from_ed_der(&KNOWN_TO_ALL), until: now + 24 * 3600 }
    }

    /// `Bearer …`.
    pub(crate) fn bearer(&self, subject: &str) -> anyhow::Result<String> {
        let claims = Claims { iss: ISSUER, aud: AUDIENCE, sub: subject, exp: self.until };
        Ok(format!("Bearer {}", jsonwebtoken::encode(&self.header, &claims, &self.key)?))
    }
}
