//! Where verification keys come from: the seam between a file now and a URL with rotation later.

use super::config::Algorithm;
use futures_util::future::{BoxFuture, FutureExt};
use jsonwebtoken::{
    DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse},
};
use std::{fmt, path::Path, sync::Arc};

/// Longest key id that is looked up.
const LONGEST_KID: usize = 256;

/// One public key and what it may verify.
pub struct Key {
    pub(super) id: Option<String>,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) key: DecodingKey,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id).field("algorithms", &self.algorithms).finish_non_exhaustive()
    }
}

/// Something that knows keys.
pub trait KeySource: Send + Sync + fmt::Debug {
    /// The keys that a token with this key id may be signed with: at most one for an id, all for none.
    fn find(&self, id: Option<&str>) -> BoxFuture<'_, Vec<Arc<Key>>>;
}

/// The keys of a JWKS file (RFC 7517), read once.
#[derive(Debug, Default)]
pub struct KeyFile(Vec<Arc<Key>>);

impl KeyFile {
    /// The message says what is wrong with the file, and with which key.
    pub fn read(path: &Path) -> Result<Self, String> {
        let at = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| format!("{at}: {error}"))?;
        let set: JwkSet =
            serde_json::from_str(&text).map_err(|error| format!("{at}: expected a JWKS document: {error}"))?;
        let mut keys = Vec::new();
        for (place, jwk) in set.keys.iter().enumerate() {
            match key(jwk) {
                Ok(Some(key)) => keys.push(Arc::new(key)),
                Ok(None) => {}
                Err(reason) => return Err(format!("{at}: key {place}: {reason}")),
            }
        }
        if keys.is_empty() {
            return Err(format!("{at}: no key in it can verify a signature (RSA, EC P-256 or P-384, or Ed25519)"));
        }
        Ok(Self(keys))
    }
}

impl KeySource for KeyFile {
    fn find(&self, id: Option<&str>) -> BoxFuture<'_, Vec<Arc<Key>>> {
        let found = match id {
            Some(id) if id.len() > LONGEST_KID => Vec::new(),
            Some(id) => self.0.iter().filter(|key| key.id.as_deref() == Some(id)).take(1).cloned().collect(),
            None => self.0.clone(),
        };
        std::future::ready(found).boxed()
    }
}

/// `None`: a key for something else (encryption, a shared secret), which a JWKS may well hold.
fn key(jwk: &Jwk) -> Result<Option<Key>, String> {
    if jwk.common.public_key_use.as_ref().is_some_and(|usage| *usage != PublicKeyUse::Signature) {
        return Ok(None);
    }
    let family: &[Algorithm] = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => &[
            Algorithm::Rs256,
            Algorithm::Rs384,
            Algorithm::Rs512,
            Algorithm::Ps256,
            Algorithm::Ps384,
            Algorithm::Ps512,
        ],
        AlgorithmParameters::EllipticCurve(parameters) => match parameters.curve {
            EllipticCurve::P256 => &[Algorithm::Es256],
            EllipticCurve::P384 => &[Algorithm::Es384],
            _ => return Ok(None),
        },
        AlgorithmParameters::OctetKeyPair(parameters) if parameters.curve == EllipticCurve::Ed25519 => {
            &[Algorithm::EdDsa]
        }
        _ => return Ok(None),
    };
    let algorithms = match &jwk.common.key_algorithm {
        None => family.to_vec(),
        Some(named) => {
            let algorithms: Vec<_> = family.iter().copied().filter(|a| same(*a, named)).collect();
            if algorithms.is_empty() {
                return Err(format!("its `alg` does not go with its `kty`: {named:?}"));
            }
            algorithms
        }
    };
    let key = DecodingKey::from_jwk(jwk).map_err(|error| error.to_string())?;
    Ok(Some(Key { id: jwk.common.key_id.clone(), algorithms, key }))
}

fn same(algorithm: Algorithm, named: &KeyAlgorithm) -> bool {
    serde_json::to_value(named).is_ok_and(|name| name == algorithm.as_str())
}
