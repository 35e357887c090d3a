//! Tokens as an identity provider would issue them.

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::json;
use std::time::{Duration, SystemTime};

/// Who is signed in, where the demo signs somebody in.
pub const SUBJECT: &str = "ann";

const LIFE: Duration = Duration::from_secs(24 * 3600);

/// The Ed25519 private key that RFC 8410, section 10.3, prints as its example (PKCS#8). Everybody knows it, so it keeps nothing
/// secret, and it may stand here for that very reason: nobody will take it for a key that protects something. Only the demo's
/// configuration trusts it (`examples/identity/jwks.json`), and that host listens on loopback and serves films.
const KNOWN_TO_ALL: [u8; 48] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20, 0xd4, 0xee, 0x72,
    0xdb, 0xf9, 0x13, 0x58, 0x4a, 0xd5, 0xb6, 0xd8, 0xf1, 0xf7, 0x69, 0xf8, 0xad, 0x3a, 0xfe, 0x7c, 0x28, 0xcb, 0xf1,
    0xd4, 0xfb, 0xe0, 0x97, 0xa8, 0x8f, 0x44, 0x75, 0x58, 0x42,
];

/// A token for `subject` that the demo's host accepts for 24 hours.
#[expect(clippy::expect_used, reason = "nothing from outside: the key is a constant")]
pub fn token(subject: &str) -> String {
    let until = SystemTime::now() + LIFE;
    let until = until.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": "demo" });
    let claims = json!({ "iss": "https://demo.weft.example", "aud": "weft-demo", "sub": subject, "exp": until });
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let signed = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
    let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&KNOWN_TO_ALL).expect("the example key is a key");
    let signature = encode(key.sign(signed.as_bytes()).as_ref());
    format!("{signed}.{signature}")
}
