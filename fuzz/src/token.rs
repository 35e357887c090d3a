//! Callers: tokens, and the word of a gateway.

mod deserved;

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use deserved::{deserved, is_good_header};
use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use std::{
    path::Path,
    sync::{Arc, LazyLock},
};
use tokio::runtime::Runtime;
use weft_core::{
    config::Config,
    identity::{Peer, Refusal, Verifier},
    model::Identity,
    telemetry::Metrics,
};

/// The Ed25519 private key of RFC 8410, section 10.3, which everybody knows; its public half is in `examples/identity/jwks.json`.
const SECRET: [u8; 32] = [
    0xd4, 0xee, 0x72, 0xdb, 0xf9, 0x13, 0x58, 0x4a, 0xd5, 0xb6, 0xd8, 0xf1, 0xf7, 0x69, 0xf8, 0xad, 0x3a, 0xfe, 0x7c,
    0x28, 0xcb, 0xf1, 0xd4, 0xfb, 0xe0, 0x97, 0xa8, 0x8f, 0x44, 0x75, 0x58, 0x42,
];

const GOOD_HEADER: &str = r#"{"alg":"EdDSA","kid":"demo","typ":"JWT"}"#;

const SITE: &str = r#"
[[client]]
name = "web"
[plugins]
folder = "plugins"
[identity]
issuers = ["https://iss.test", "https://other.test"]
audience = ["bff"]
algorithms = ["EdDSA", "RS256"]
"#;

/// What verifies, and what signs.
struct World {
    runtime: Runtime,
    /// Trust `half`: by signature.
    tokens: Arc<Verifier>,
    /// Trust `full`: by the gateway's word.
    words: Arc<Verifier>,
    key: Ed25519KeyPair,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let inside = runtime.enter();
    // The folder from which `jwks` is found.
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/weft.toml");
    let verifier = |lines: &str| {
        let config = Config::parse(&file, &format!("{SITE}{lines}")).unwrap();
        Verifier::start(config.identity.unwrap(), &Metrics::default(), None).unwrap()
    };
    let tokens = verifier("jwks = \"identity/jwks.json\"\n");
    let words = verifier("trust = \"full\"\ntrusted-peers = [\"10.0.0.0/8\"]\ngateway-certificate = true\n");
    drop(inside);
    World { runtime, tokens, words, key: Ed25519KeyPair::from_seed_unchecked(&SECRET).unwrap() }
});

/// The first byte says which: a `p`lain authorization header; a `s`igned token, with its header in the first line and its claims behind it;
/// a good token with one byte `c`hanged; the `w`ord of whoever speaks for others. There is an identity where, and only where, it is deserved.
pub fn token(bytes: &[u8]) -> bool {
    match bytes.split_first() {
        Some((b'p', rest)) => plain(rest),
        Some((b'c', [at, byte, claims @ ..])) => changed(usize::from(*at), *byte, claims),
        Some((b'w', [who, claims @ ..])) => word(*who, claims),
        Some((_, rest)) => signed(rest),
        None => false,
    }
}

fn verify(verifier: &Verifier, headers: &HeaderMap, peer: Peer) -> Result<Option<Arc<Identity>>, Refusal> {
    let found = WORLD.runtime.block_on(verifier.verify(headers, peer));
    found.map(|found| found.map(|(identity, _)| identity))
}

fn by_token(token: &str) -> Option<Arc<Identity>> {
    let value = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
    verify(&WORLD.tokens, &HeaderMap::from_iter([(AUTHORIZATION, value)]), Peer::default()).ok().flatten()
}

fn sign(key: &Ed25519KeyPair, header: &[u8], claims: &[u8]) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes()));
    format!("{message}.{signature}")
}

/// Claims that count, or not; under a header that counts, or not. A header that is just as it should be counts.
fn signed(bytes: &[u8]) -> bool {
    let (header, claims) = bytes.split_at(bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len()));
    let claims = claims.get(1..).unwrap_or_default();
    let token = sign(&WORLD.key, header, claims);
    let expected = deserved(claims).filter(|_| token.len() <= 8 << 10);
    match by_token(&token) {
        Some(identity) => {
            assert!(is_good_header(header), "a header that counts for something: {token}");
            expected.unwrap().assert_is(&identity);
            // Any byte, so that each is somewhere changed.
            let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(*byte));
            changed(usize::from(sum), b'A' + sum % 26, claims);
            check_strangers_signature(header, claims);
        }
        None => assert!(expected.is_none() || header != GOOD_HEADER.as_bytes(), "refused without a reason: {token}"),
    }
    header.starts_with(b"{") && claims.starts_with(b"{")
}

/// The same, signed by another key.
fn check_strangers_signature(header: &[u8], claims: &[u8]) {
    let stranger = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let token = sign(&stranger, header, claims);
    assert!(by_token(&token).is_none(), "signed by somebody else: {token}");
}

/// Whatever is changed in a good token, it is good no longer.
fn changed(at: usize, byte: u8, claims: &[u8]) -> bool {
    let good = sign(&WORLD.key, GOOD_HEADER.as_bytes(), claims);
    let byte = (byte & 0x7f).clamp(b'!', b'~');
    let mut changed = good.clone().into_bytes();
    // Spread over the whole token.
    let at = at * changed.len() / 256;
    changed[at] = byte;
    let changed = String::from_utf8(changed).unwrap();
    let is_good = by_token(&good).is_some();
    assert_eq!(by_token(&changed).is_some(), is_good && good == changed, "byte {at} is not as it was: {changed}");
    is_good
}

/// Only a token that this key has signed gives an identity, however the header is written.
fn plain(bytes: &[u8]) -> bool {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Ok(value) = HeaderValue::from_bytes(line) else { return false };
        headers.append(AUTHORIZATION, value);
    }
    if let Ok(Some(identity)) = verify(&WORLD.tokens, &headers, Peer::default()) {
        assert_eq!(headers.len(), 1, "the first of two headers is not the one that counts");
        let token = std::str::from_utf8(bytes).unwrap().split(' ').next_back().unwrap();
        let (header, rest) = token.split_once('.').unwrap();
        let (claims, _) = rest.split_once('.').unwrap();
        let part = |text: &str| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).unwrap();
        // Of one message this key makes one signature only.
        assert_eq!(sign(&WORLD.key, &part(header), &part(claims)), token);
        assert!(is_good_header(&part(header)));
        deserved(&part(claims)).unwrap().assert_is(&identity);
    }
    bytes.iter().filter(|byte| **byte == b'.').count() == 2 || headers.len() > 1
}

/// The word counts from the gateway alone, by its address or its certificate, and once.
fn word(who: u8, claims: &[u8]) -> bool {
    let value = HeaderValue::try_from(URL_SAFE_NO_PAD.encode(claims)).unwrap();
    let name = HeaderName::from_static("x-jwt-payload");
    let mut headers = HeaderMap::from_iter([(name.clone(), value.clone())]);
    let peer = |address: [u8; 4], certified| Peer { address: Some(address.into()), certified };
    // A digit of the corpus is that number.
    let (peer, counts) = match who % 4 {
        0 => (peer([10, 9, 8, 7], false), true),
        1 => (peer([203, 0, 113, 5], true), true),
        2 => (peer([11, 0, 0, 1], false), false),
        _ => {
            headers.append(name, value.clone());
            (peer([10, 9, 8, 7], true), false)
        }
    };
    let expected = deserved(claims).filter(|_| counts && value.len() <= 8 << 10);
    match (verify(&WORLD.words, &headers, peer), expected) {
        (Ok(Some(identity)), Some(expected)) => expected.assert_is(&identity),
        (Err(_), None) => {}
        (found, expected) => panic!("{found:?} where it should be {expected:?}"),
    }
    claims.starts_with(b"{")
}
