//! Tokens, good and bad. Where nothing else is said they are signed with the key whose public half is in `examples/identity/jwks.json`.

use jsonwebtoken::{Algorithm, EncodingKey, crypto, jwk::Jwk};
use serde_json::{Value, json};
use std::{
    sync::LazyLock,
    time::{SystemTime, UNIX_EPOCH},
};

pub const ISSUER: &str = "https://demo.weft.example";
pub const AUDIENCE: &str = "weft-demo";

/// What stands before the 32 bytes of an Ed25519 private key in PKCS#8.
const PKCS8: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// The Ed25519 private key of RFC 8410, section 10.3, which everybody knows.
const DEMO: [u8; 32] = [
    0xd4, 0xee, 0x72, 0xdb, 0xf9, 0x13, 0x58, 0x4a, 0xd5, 0xb6, 0xd8, 0xf1, 0xf7, 0x69, 0xf8, 0xad, 0x3a, 0xfe, 0x7c,
    0x28, 0xcb, 0xf1, 0xd4, 0xfb, 0xe0, 0x97, 0xa8, 0x8f, 0x44, 0x75, 0x58, 0x42,
];

/// A key pair of an issuer.
#[derive(Debug, Clone)]
pub struct Signer {
    id: String,
    secret: [u8; 32],
}

static START: LazyLock<i64> = LazyLock::new(now);

/// A token in the making.
#[derive(Debug, Clone)]
pub struct Token {
    header: Value,
    claims: Value,
    secret: [u8; 32],
}

/// A good token for this subject.
pub fn token(subject: &str) -> String {
    Token::of(subject).sign()
}

impl Signer {
    /// Equal numbers are equal keys.
    pub fn new(id: &str, number: u8) -> Self {
        Self { id: id.to_owned(), secret: [number; 32] }
    }

    /// The public half.
    pub fn jwk(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&key(&self.secret), Algorithm::EdDSA).unwrap();
        jwk.common.key_id = Some(self.id.clone());
        serde_json::to_value(jwk).unwrap()
    }
}

/// A JWKS document with the public halves.
pub fn jwks(signers: &[&Signer]) -> String {
    json!({ "keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>() }).to_string()
}

impl Token {
    /// Good for longer than any test lasts. Two for one subject are the same, whenever they are made.
    pub fn of(subject: &str) -> Self {
        let header = json!({ "typ": "JWT", "alg": "EdDSA", "kid": "demo" });
        let claims = json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "exp": *START + 3600 });
        Self { header, claims, secret: DEMO }
    }

    /// Sets a claim; null removes it.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        set(&mut self.claims, name, value.into());
        self
    }

    /// Sets a member of the header; null removes it.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        set(&mut self.header, name, value.into());
        self
    }

    /// Sets `exp` to so many seconds from now.
    #[must_use]
    pub fn expires_in(self, seconds: i64) -> Self {
        self.claim("exp", now() + seconds)
    }

    /// Names another key.
    #[must_use]
    pub fn key_id(self, id: &str) -> Self {
        self.header("kid", id)
    }

    /// Signed with this key, and naming it.
    #[must_use]
    pub fn by(mut self, signer: &Signer) -> Self {
        self.secret = signer.secret;
        self.key_id(&signer.id)
    }

    pub fn sign(&self) -> String {
        self.sign_text(&self.header.to_string(), &self.claims.to_string())
    }

    /// Signed over header and claims as they are given, JSON or not.
    pub fn sign_text(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", base64_url(header.as_bytes()), base64_url(claims.as_bytes()));
        let signature = crypto::sign(message.as_bytes(), &key(&self.secret), Algorithm::EdDSA).unwrap();
        format!("{message}.{signature}")
    }

    /// Signed over other bytes as claims.
    pub fn sign_bytes(&self, claims: &[u8]) -> String {
        let message = format!("{}.{}", base64_url(self.header.to_string().as_bytes()), base64_url(claims));
        let signature = crypto::sign(message.as_bytes(), &key(&self.secret), Algorithm::EdDSA).unwrap();
        format!("{message}.{signature}")
    }

    /// Signed with a secret that everybody could guess, as HS256.
    pub fn sign_with_secret(&self, secret: &[u8]) -> String {
        let header = self.clone().header("alg", "HS256").header;
        let message =
            format!("{}.{}", base64_url(header.to_string().as_bytes()), base64_url(self.claims.to_string().as_bytes()));
        let signature = crypto::sign(message.as_bytes(), &EncodingKey::from_secret(secret), Algorithm::HS256).unwrap();
        format!("{message}.{signature}")
    }

    /// Not signed at all.
    pub fn unsigned(&self) -> String {
        let header = self.clone().header("alg", "none").header;
        format!("{}.{}.", base64_url(header.to_string().as_bytes()), base64_url(self.claims.to_string().as_bytes()))
    }

    /// The claims alone, as a gateway passes them on.
    pub fn payload(&self) -> String {
        base64_url(self.claims.to_string().as_bytes())
    }

    /// The claims as JSON.
    pub fn claims(&self) -> &Value {
        &self.claims
    }
}

fn key(secret: &[u8; 32]) -> EncodingKey {
    EncodingKey::from_ed_der(&[&PKCS8[..], secret].concat())
}

fn set(object: &mut Value, name: &str, value: Value) {
    let object = object.as_object_mut().unwrap();
    match value {
        Value::Null => drop(object.remove(name)),
        value => drop(object.insert(name.to_owned(), value)),
    }
}

/// Seconds since 1970.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

pub fn base64_url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..=group.len() {
            text.push(char::from(ALPHABET[(word >> (18 - 6 * place)) as usize & 63]));
        }
    }
    text
}
