//! Every way in which a token may be wrong, against a real key.

use super::{algorithm::Algorithm, base64url::BASE64, config::Trust, *};
use crate::net::Peers;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::BoxFuture;
use jsonwebtoken::{EncodingKey, Header, encode, jwk::Jwk};
use serde_json::{Value, json};
use std::io::Write;

/// An Ed25519 private key in PKCS#8 (RFC 8410, section 7), used in tests only.
const PRIVATE: [u8; 48] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20, 0xd4, 0xee, 0x72,
    0xdb, 0xf9, 0x13, 0x58, 0x4a, 0xd5, 0xb6, 0xd8, 0xf1, 0xf7, 0x69, 0xf8, 0xad, 0x3a, 0xfe, 0x7c, 0x28, 0xcb, 0xf1,
    0xd4, 0xfb, 0xe0, 0x97, 0xa8, 0x8f, 0x44, 0x75, 0x58, 0x42,
];

fn signing_key() -> EncodingKey {
    EncodingKey::from_ed_der(&PRIVATE)
}

fn verifier() -> Arc<Verifier> {
    let mut jwk = Jwk::from_encoding_key(&signing_key(), jsonwebtoken::Algorithm::EdDSA).unwrap();
    jwk.common.key_id = Some("k1".into());
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "{}", json!({ "keys": [jwk] })).unwrap();
    let keys = file::KeyFile::read(file.path().to_owned()).unwrap();
    Verifier::with_sources(config(), vec![Arc::new(keys)])
}

fn config() -> Config {
    Config {
        trust: Trust::Half,
        issuers: vec![Issuer {
            names: vec!["https://iss.test".into()],
            audiences: vec!["bff".into()],
            clients: Vec::new(),
            algorithms: vec![Algorithm::EdDsa, Algorithm::Rs256],
            keys: None,
        }],
        leeway: Duration::from_secs(30),
        tenant_claim: "tenant".into(),
        scope_claim: "scope".into(),
        jwks_max_age: Duration::from_hours(24),
        failure_rate: config::FAILURE_RATE,
        payload: None,
        exchange: None,
        anybody: false,
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as i64
}

fn claims() -> Value {
    json!({ "iss": "https://iss.test", "aud": "bff", "sub": "ann", "exp": now() + 600, "scope": "films.read films.rate", "tenant": "acme" })
}

fn header() -> Header {
    Header { kid: Some("k1".into()), ..Header::new(jsonwebtoken::Algorithm::EdDSA) }
}

fn sign(header: &Header, claims: &Value) -> String {
    encode(header, claims, &signing_key()).unwrap()
}

async fn verify(token: &str) -> Result<Option<Arc<Identity>>, String> {
    let headers =
        HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::try_from(format!("Bearer {token}")).unwrap())]);
    let found = verifier().verify(&headers, Peer { address: None, certified: false }).await;
    found.map(|found| found.map(|(identity, _)| identity)).map_err(|refusal| refusal.to_string())
}

async fn refusal(change: impl FnOnce(&mut Value)) -> String {
    let mut claims = claims();
    change(&mut claims);
    verify(&sign(&header(), &claims)).await.unwrap_err()
}

#[tokio::test]
async fn a_good_token_makes_an_identity() {
    let identity = verify(&sign(&header(), &claims())).await.unwrap().unwrap();
    assert_eq!((&*identity.subject, identity.tenant.as_deref()), ("ann", Some("acme")));
    assert_eq!(identity.scopes, ["films.read", "films.rate"]);
}

#[tokio::test]
async fn claims_that_are_checked_have_to_be_there_and_right() {
    for claim in ["exp", "iss", "aud", "sub"] {
        let text = refusal(|c| drop(c.as_object_mut().unwrap().remove(claim))).await;
        assert_eq!(text, format!("the token has no `{claim}`"));
    }
    assert_eq!(refusal(|c| c["exp"] = json!(now() - 31)).await, "the token has expired");
    assert_eq!(refusal(|c| c["nbf"] = json!(now() + 31)).await, "the token is not valid yet");
    assert_eq!(refusal(|c| c["iss"] = json!("https://evil.test")).await, "the token is from another issuer");
    assert_eq!(refusal(|c| c["aud"] = json!(["other"])).await, "the token is for another audience");
    assert_eq!(refusal(|c| c["sub"] = json!("")).await, "the token has no `sub`");
    for bad in [json!("soon"), json!(-1), json!(1e300), json!({})] {
        assert!(refusal(|c| c["exp"] = bad.clone()).await.starts_with("the token "), "{bad}");
    }
}

/// Each kind of place takes the tokens that are for it, also after they were good for the other.
#[tokio::test]
async fn a_token_is_good_for_the_resource_that_it_is_for_and_for_no_other() {
    const HERE: Audience<'_> = Audience::Resource("https://api.test/mcp");
    const THERE: Audience<'_> = Audience::Resource("https://api.test/other");
    let verifier = verifier();
    let of = async |aud: Value, audience| {
        let mut claims = claims();
        claims["aud"] = aud;
        let value = HeaderValue::try_from(format!("Bearer {}", sign(&header(), &claims))).unwrap();
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value)]);
        match verifier.recall(&headers, Peer::default(), audience)? {
            Recalled::Known(_) => Ok(true),
            Recalled::Unproven(claimed) => verifier.prove(claimed).await.map(|_| false),
            Recalled::Nobody => Err(Refusal::Missing),
        }
    };
    let wrong = Err(Refusal::Token("is for another audience"));
    for turn in [false, true] {
        assert_eq!(of(json!("https://api.test/mcp"), HERE).await, Ok(turn));
        assert_eq!(of(json!(["bff", "https://api.test/mcp"]), HERE).await, Ok(turn));
        assert_eq!(of(json!(["bff", "https://api.test/mcp"]), Audience::Host).await, Ok(turn));
        assert_eq!(of(json!("bff"), Audience::Host).await, Ok(turn));
        for (aud, audience) in [
            (json!("https://api.test/mcp"), Audience::Host),
            (json!("https://api.test/mcp"), THERE),
            (json!("https://api.test/mcp/"), HERE),
            (json!("https://api.test"), HERE),
            (json!("bff"), HERE),
        ] {
            assert_eq!(of(aud.clone(), audience).await, wrong, "{aud} {audience:?}");
        }
    }
}

#[tokio::test]
async fn an_empty_tenant_is_none() {
    for (tenant, expected) in [
        (json!("acme"), Some("acme")),
        (json!(""), None),
        (json!(7), Some("7")),
        (json!(7.5), None),
        (json!(null), None),
    ] {
        let mut claims = claims();
        claims["tenant"] = tenant;
        let identity = verify(&sign(&header(), &claims)).await.unwrap().unwrap();
        assert_eq!(identity.tenant.as_deref(), expected);
    }
}

#[test]
fn claims_are_found_by_name_or_by_path_and_no_name_stands_twice() {
    let of = |json: &str, config: Config| {
        let claims = claims::Claims::decode(BASE64.encode(json).as_bytes())?;
        claims.check(&config, &config.issuers[0], Audience::Host)
    };
    let with = |more: &str| {
        let exp = now() + 600;
        format!("{{\"iss\":\"https://iss.test\",\"aud\":\"bff\",\"sub\":\"ann\",\"exp\":{exp},{more}}}")
    };
    let nested = || Config { scope_claim: "realm_access.roles".into(), tenant_claim: "org.id".into(), ..config() };
    let found = of(&with(r#""realm_access":{"roles":["a","b"]},"org":{"id":42}"#), nested()).unwrap();
    assert_eq!((found.scopes, found.tenant.as_deref()), (vec!["a".to_owned(), "b".to_owned()], Some("42")));
    let by_name = of(&with(r#""org.id":"own","org":{"id":42},"realm_access":"x""#), nested()).unwrap();
    assert_eq!((by_name.scopes.len(), by_name.tenant.as_deref()), (0, Some("own")));
    assert!(of(&with(r#""org":{"id":42,"id":43}"#), nested()).is_err());
    assert!(of(&with(r#""list":[{"a":1,"a":1}]"#), nested()).is_err());
}

#[test]
fn a_token_for_a_client_counts_where_its_clients_are_named() {
    let of = |claims: Value, clients: &[&str]| {
        let mut config = config();
        config.issuers[0].clients = clients.iter().map(|client| (*client).to_owned()).collect();
        claims::Claims::decode(BASE64.encode(claims.to_string()).as_bytes())?.check(
            &config,
            &config.issuers[0],
            Audience::Host,
        )
    };
    let mut token = claims();
    token.as_object_mut().unwrap().remove("aud");
    token["client_id"] = json!("app");
    assert!(of(token.clone(), &["app"]).is_ok());
    assert!(of(token.clone(), &[]).is_err());
    assert!(of(token.clone(), &["other"]).is_err());
    token["aud"] = json!("another");
    assert!(of(token, &["app"]).is_err());
}

#[test]
fn the_numbers_of_a_key_are_numbers_however_they_are_written() {
    let pad = |bytes: &[u8]| BASE64.encode([&[0][..], bytes].concat());
    let read = |keys: Value| {
        let (set, complaints) = keys::KeySet::parse(json!({ "keys": [keys] }).to_string().as_bytes()).unwrap();
        assert!(complaints.is_empty(), "{complaints:?}");
        format!("{:?}", set.find(None)[0].key)
    };
    let plain = |bytes: &[u8]| BASE64.encode(bytes).trim_end_matches('=').to_owned();
    let (n, e) = ([0xc5; 256], [1, 0, 1]);
    let rsa = |n: String, e: String| read(json!({ "kty": "RSA", "n": n, "e": e }));
    assert_eq!(rsa(pad(&n), pad(&e)), rsa(plain(&n), plain(&e)));
    let (x, y) = ([7; 32], [&[0][..], &[9; 31]].concat());
    let ec = |x: String, y: String| read(json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y }));
    assert_eq!(ec(pad(&x), plain(&y[1..])), ec(plain(&x), plain(&y)));
}

#[tokio::test]
async fn a_clock_may_be_half_a_minute_off() {
    let mut claims = claims();
    claims["exp"] = json!(now() - 20);
    assert!(verify(&sign(&header(), &claims)).await.unwrap().is_some());
}

#[tokio::test]
async fn the_header_of_a_token_decides_nothing() {
    let unknown = Header { kid: Some("../../k1".into()), ..header() };
    assert_eq!(verify(&sign(&unknown, &claims())).await.unwrap_err(), "the token is signed with an unknown key");
    let other_type = Header { typ: Some("id+jwt".into()), ..header() };
    assert_eq!(
        verify(&sign(&other_type, &claims())).await.unwrap_err(),
        "the token is of another type than an access token"
    );
    let whole = sign(&header(), &claims());
    let (_, rest) = whole.split_once('.').unwrap();
    for forged in ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJIUzI1NiIsImtpZCI6ImsxIn0", "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsxIn0"]
    {
        assert!(verify(&format!("{forged}.{rest}")).await.is_err(), "{forged}");
    }
    let tampered = whole.replace(rest.split_once('.').unwrap().1, "AAAA");
    assert!(verify(&tampered).await.is_err());
    assert_eq!(verify(&"x".repeat(LONGEST_TOKEN + 1)).await.unwrap_err(), "the token is too long");
}

#[tokio::test]
async fn a_refusal_is_a_challenge() {
    let fault = Fault::from(Refusal::Token("has expired"));
    assert_eq!(fault.problem.kind, ProblemType::Unauthorized);
    let (name, value) = &fault.problem.headers[0];
    assert_eq!(
        (name, value.to_str().unwrap()),
        (&header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\", error_description=\"the token has expired\"")
    );
}

/// Claims as a gateway passes them on.
async fn by_payload(claims: &[&Value], peer: Peer) -> Result<Option<Arc<Identity>>, Refusal> {
    let header = http::HeaderName::from_static("x-jwt-payload");
    let peers = Peers::parse(&["10.0.0.0/8".to_owned()]).unwrap();
    let payload = config::Payload { header: header.clone(), peers, certificate: true };
    let config = Config { trust: Trust::Full, payload: Some(payload), ..config() };
    let mut headers = HeaderMap::new();
    for claims in claims {
        let text = URL_SAFE_NO_PAD.encode(claims.to_string());
        headers.append(&header, HeaderValue::try_from(text).unwrap());
    }
    let found = Verifier::with_sources(config, Vec::new()).verify(&headers, peer).await;
    found.map(|found| found.map(|(identity, _)| identity))
}

#[tokio::test]
async fn the_gateways_word_counts_from_the_gateway_only() {
    let good = claims();
    let at = |address: &str| Peer { address: Some(address.parse().unwrap()), certified: false };
    for gateway in [at("10.9.8.7"), at("::ffff:10.1.1.1"), Peer { certified: true, ..at("203.0.113.5") }] {
        assert_eq!(&*by_payload(&[&good], gateway).await.unwrap().unwrap().subject, "ann");
    }
    for other in [at("11.0.0.1"), at("::1"), Peer { address: None, certified: false }] {
        assert_eq!(by_payload(&[&good], other).await, Err(Refusal::NotTheGateway));
        assert_eq!(by_payload(&[], other).await, Ok(None));
    }
    let gateway = at("10.9.8.7");
    assert_eq!(by_payload(&[&good, &good], gateway).await, Err(Refusal::Twice));
    for (claim, value, reason) in [
        ("exp", json!(now() - 31), "has expired"),
        ("iss", json!("https://evil.test"), "is from another issuer"),
        ("aud", json!("other"), "is for another audience"),
        ("sub", json!(null), "has no `sub`"),
    ] {
        let mut claims = claims();
        claims[claim] = value;
        assert_eq!(by_payload(&[&claims], gateway).await, Err(Refusal::Token(reason)));
    }
}

/// Keys that are as good as it says.
#[derive(Debug)]
struct Aged(bool);

impl KeySource for Aged {
    fn find<'a>(&'a self, _: Option<&'a str>) -> BoxFuture<'a, Result<Vec<Arc<keys::Key>>, keys::NoKeys>> {
        Box::pin(async { Err(keys::NoKeys) })
    }

    fn keep(self: Arc<Self>) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }

    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn state(&self) -> KeyState {
        let (source, keys) = ("https://iss.test/keys".to_owned(), vec!["k1".to_owned()]);
        KeyState { source, keys, usable: self.0, seconds_old: Some(7200), failure: None }
    }
}

#[tokio::test]
async fn keys_that_are_too_old_are_none() {
    let with = |usable: bool| {
        let mut config = config();
        let place = crate::settings::Place { file: "weft.toml".into(), line: 1, key: "jwks".into() };
        config.issuers[0].keys = Some(Source::Url { url: "https://iss.test/keys".into(), ca: None, place });
        Verifier::with_sources(config, vec![Arc::new(Aged(usable))])
    };
    let (good, old) = (with(true), with(false));
    let told =
        "https://iss.test: https://iss.test/keys: the last ones are 7200 seconds old, and `jwks-max-age` is less";
    assert_eq!(old.keyless_beside(&good), [told]);
    assert_eq!((good.keyless_beside(&good).len(), old.keyless_beside(&old).len()), (0, 0), "nothing is lost");
    assert_eq!((good.without_keys().len(), old.without_keys().len()), (0, 1));
}

#[tokio::test]
async fn whoever_is_believed_is_whom_the_token_names() {
    let verifier = Verifier::with_sources(Config::anybody(), Vec::new());
    let named = async |token: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        let (identity, _) = verifier.verify(&headers, Peer { address: None, certified: false }).await.unwrap().unwrap();
        (identity.issuer.to_string(), identity.subject.to_string(), identity.scopes.clone())
    };
    assert_eq!(named("ada").await, ("mock".into(), "ada".into(), vec![]));
    // {"iss":"i","sub":"carol","scope":"a b","exp":1}
    let token = "e30.eyJpc3MiOiJpIiwic3ViIjoiY2Fyb2wiLCJzY29wZSI6ImEgYiIsImV4cCI6MX0.x";
    assert_eq!(named(token).await, ("i".into(), "carol".into(), vec!["a".into(), "b".into()]));
    assert!(verifier.verify(&HeaderMap::new(), Peer { address: None, certified: false }).await.unwrap().is_none());
}

#[test]
fn no_file_makes_a_host_believe_everybody() {
    use crate::settings::{Document, Mistakes};
    let text = "[identity]\nanybody = true\nissuers = [\"i\"]\naudience = [\"a\"]\njwks = \"https://i/keys\"\n";
    let mistakes = Mistakes::new();
    {
        let document = Document::parse(std::path::Path::new("weft.toml"), text, &mistakes);
        let read = Config::read(&document.table(&mistakes).table("identity"));
        assert!(!read.unwrap().anybody);
    }
    let told: Vec<String> = mistakes.into_sorted().iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|mistake| mistake.contains("identity.anybody: unknown key")), "{told:?}");
}
