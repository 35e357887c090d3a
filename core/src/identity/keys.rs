//! Verification keys: one, a set of them, and the seam to where they come from.

use super::{algorithm::Algorithm, base64url::BASE64};
use base64::Engine;
use futures_util::future::BoxFuture;
use jsonwebtoken::{
    DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde::Deserialize;
use std::{fmt, path::Path, sync::Arc};
use tokio::time::Instant;

/// Longest key id that is looked up.
const LONGEST_KID: usize = 256;
/// Most keys of one set.
const MOST_KEYS: usize = 100;
/// Most keys that one token is tried with.
const MOST_TRIED: usize = 8;

/// One public key and what it may verify.
pub(super) struct Key {
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
pub(super) trait KeySource: Send + Sync + fmt::Debug {
    /// The keys that a token with this key id may be signed with; all (but few) without an id.
    fn find<'a>(&'a self, id: Option<&'a str>) -> BoxFuture<'a, Result<Vec<Arc<Key>>, NoKeys>>;

    /// Keeps the keys up to date until the future is dropped.
    fn keep(self: Arc<Self>) -> BoxFuture<'static, ()>;

    /// Until there are keys.
    fn ready(&self) -> BoxFuture<'_, ()>;

    fn state(&self) -> KeyState;

    /// The keys that came from this URL, with the moment at which they came.
    fn fetched(&self, _url: &str) -> Option<(Arc<KeySet>, Instant)> {
        None
    }

    /// Takes keys that came from its own URL before.
    fn adopt(&self, _fetched: (Arc<KeySet>, Instant)) {}
}

/// Whether a key is good or not can't be said now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoKeys;

/// A source of keys as the admin interface shows it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KeyState {
    pub source: String,
    /// Key ids; `-` for a key without.
    pub keys: Vec<String>,
    /// Whether they count: there are some, and they are not too old.
    pub usable: bool,
    /// Age of these keys.
    pub seconds_old: Option<u64>,
    /// Why they could not be brought up to date.
    pub failure: Option<String>,
}

/// The keys of one JWKS document (RFC 7517).
#[derive(Debug, Default)]
pub(super) struct KeySet(Vec<Arc<Key>>);

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

impl KeySet {
    /// A file with a key that can't be read is refused: its writer is at hand.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let at = path.display();
        let bytes = std::fs::read(path).map_err(|error| format!("{at}: {error}"))?;
        match Self::parse(&bytes).map_err(|reason| format!("{at}: {reason}"))? {
            (_, complaints) if !complaints.is_empty() => Err(format!("{at}: {}", complaints.join("; "))),
            (keys, _) => Ok(keys),
        }
    }

    /// The keys that can verify signatures, and what is wrong with others.
    pub(super) fn parse(bytes: &[u8]) -> Result<(Self, Vec<String>), String> {
        let document: Document =
            serde_json::from_slice(bytes).map_err(|error| format!("expected a JWKS document: {error}"))?;
        if document.keys.len() > MOST_KEYS {
            return Err(format!("{} keys are too many; {MOST_KEYS} are read", document.keys.len()));
        }
        let (mut keys, mut complaints) = (Vec::new(), Vec::new());
        for (place, jwk) in document.keys.into_iter().enumerate() {
            match serde_json::from_value::<Jwk>(jwk).map_err(|error| error.to_string()).and_then(|mut jwk| {
                normalize(&mut jwk);
                key(&jwk)
            }) {
                Ok(Some(key)) => keys.push(Arc::new(key)),
                Ok(None) => {}
                Err(reason) => complaints.push(format!("key {place}: {reason}")),
            }
        }
        if keys.is_empty() && complaints.is_empty() {
            return Err("no key in it can verify a signature (RSA, EC P-256 or P-384, or Ed25519)".to_owned());
        }
        if keys.is_empty() {
            return Err(complaints.join("; "));
        }
        Ok((Self(keys), complaints))
    }

    /// A key id is a name in this set and nothing else.
    pub(super) fn find(&self, id: Option<&str>) -> Vec<Arc<Key>> {
        let named = |key: &&Arc<Key>| id.is_none() || key.id.as_deref() == id;
        self.0.iter().filter(named).take(MOST_TRIED).cloned().collect()
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.0.iter().map(|key| key.id.clone().unwrap_or_else(|| "-".to_owned())).collect()
    }
}

/// Whether there could be a key with this id. Others are not worth a look at the issuer.
pub(super) fn is_key_id(id: &str) -> bool {
    (1..=LONGEST_KID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Some issuers write the numbers of a key with leading zero octets, or a coordinate without those that belong to it (RFC 7518,
/// sections 2 and 6.2.1.2). They are the numbers that they are.
fn normalize(jwk: &mut Jwk) {
    let rewrite = |text: &mut String, size: usize| {
        let Ok(octets) = BASE64.decode(text.as_bytes()) else { return };
        let number: Vec<u8> = octets.into_iter().skip_while(|octet| *octet == 0).collect();
        let missing = size.saturating_sub(number.len());
        *text = BASE64.encode([vec![0; missing], number].concat()).trim_end_matches('=').to_owned();
    };
    match &mut jwk.algorithm {
        AlgorithmParameters::RSA(parameters) => {
            rewrite(&mut parameters.n, 1);
            rewrite(&mut parameters.e, 1);
        }
        AlgorithmParameters::EllipticCurve(parameters) => {
            let size = match parameters.curve {
                EllipticCurve::P256 => 32,
                EllipticCurve::P384 => 48,
                _ => return,
            };
            rewrite(&mut parameters.x, size);
            rewrite(&mut parameters.y, size);
        }
        _ => {}
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
