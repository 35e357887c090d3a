//! Tokens, signed with the key whose public half is in `examples/identity/jwks.json`.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use std::{
    sync::LazyLock,
    time::{SystemTime, UNIX_EPOCH},
};

pub const ISSUER: &str = "https://demo.weft.example";
pub const AUDIENCE: &str = "weft-demo";

/// The Ed25519 private key of RFC 8410, section 10.3, which everybody knows.
const PRIVATE: [u8; 48] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20, 0xd4, 0xee, 0x72,
    0xdb, 0xf9, 0x13, 0x58, 0x4a, 0xd5, 0xb6, 0xd8, 0xf1, 0xf7, 0x69, 0xf8, 0xad, 0x3a, 0xfe, 0x7c, 0x28, 0xcb, 0xf1,
    0xd4, 0xfb, 0xe0, 0x97, 0xa8, 0x8f, 0x44, 0x75, 0x58, 0x42,
];

static START: LazyLock<i64> = LazyLock::new(now);

/// A token in the making.
#[derive(Debug, Clone)]
pub struct Token {
    header: Header,
    claims: Value,
}

/// A good token for this subject.
pub fn token(subject: &str) -> String {
    Token::of(subject).sign()
}

impl Token {
    /// Good for longer than any test lasts. Two for one subject are the same, whenever they are made.
    pub fn of(subject: &str) -> Self {
        let header = Header { kid: Some("demo".to_owned()), ..Header::new(Algorithm::EdDSA) };
        let claims = json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "exp": *START + 3600 });
        Self { header, claims }
    }

    /// Sets a claim; null removes it.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        let claims = self.claims.as_object_mut().unwrap();
        match value.into() {
            Value::Null => drop(claims.remove(name)),
            value => drop(claims.insert(name.to_owned(), value)),
        }
        self
    }

    /// Sets `exp` to so many seconds from now.
    #[must_use]
    pub fn expires_in(self, seconds: i64) -> Self {
        self.claim("exp", now() + seconds)
    }

    /// Names another key.
    #[must_use]
    pub fn key_id(mut self, id: &str) -> Self {
        self.header.kid = Some(id.to_owned());
        self
    }

    pub fn sign(&self) -> String {
        encode(&self.header, &self.claims, &EncodingKey::from_ed_der(&PRIVATE)).unwrap()
    }

    /// Signed with a secret that everybody could guess, as HS256.
    pub fn sign_with_secret(&self, secret: &[u8]) -> String {
        let header = Header { alg: Algorithm::HS256, ..self.header.clone() };
        encode(&header, &self.claims, &EncodingKey::from_secret(secret)).unwrap()
    }

    /// Not signed at all: `alg` is `none`.
    pub fn unsigned(&self) -> String {
        let part = |value: &Value| base64_url(value.to_string().as_bytes());
        format!("{}.{}.", part(&json!({ "alg": "none", "typ": "JWT", "kid": "demo" })), part(&self.claims))
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

fn base64_url(bytes: &[u8]) -> String {
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
