//! Forged, stale, twisted and oversized tokens. Each is a 401 with a challenge that says what is wrong; no guest runs for it, no
//! backend hears of it, nothing that it names is followed, and the issuer is hardly asked because of it.

use crate::support::{FOR_USER, knows_all, probe, rule};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use weft_tests::{
    host::TestHost,
    setup::Setup,
    site::{Page, Site},
    tokens::{AUDIENCE, ISSUER, Signer, Token, base64_url, now},
    upstream::FakeUpstream,
    wait::soon,
};

/// What it is, the token, and what is said of it.
type Row = (String, String, &'static str);

const ALGORITHM: &str = "is signed with an algorithm that is not accepted";
const SIGNATURE: &str = "has a wrong signature";
const UNKNOWN: &str = "is signed with an unknown key";
const MALFORMED: &str = "is malformed";

fn ours() -> Signer {
    Signer::new("demo", 1)
}

fn ann() -> Token {
    Token::of("ann").by(&ours())
}

fn row(what: impl Into<String>, token: impl Into<String>, reason: &'static str) -> Row {
    (what.into(), token.into(), reason)
}

/// A host whose issuer has an Ed25519 key and an RSA key.
async fn host(upstream: &FakeUpstream) -> (TestHost, Site) {
    let issuer = Site::start().await;
    let n = base64_url(&[0xc3; 256]);
    let rsa = json!({ "kty": "RSA", "kid": "rsa", "n": n, "e": "AQAB", "use": "sig" });
    issuer.has("/jwks", Page::json(json!({ "keys": [ours().jwk(), rsa] }).to_string()));
    let identity = format!(
        "[identity]\nissuers = [\"{ISSUER}\"]\naudience = [\"{AUDIENCE}\"]\nalgorithms = [\"EdDSA\", \"RS256\"]\njwks = \"{}\"\n",
        issuer.url("/jwks")
    );
    let setup = Setup::new().identity_tables(&identity).one_backend(upstream.address(), &rule(FOR_USER, ""));
    (setup.plugin("probe.wasm", &probe()).start().await, issuer)
}

/// Where the signature should have come from.
fn signatures() -> Vec<Row> {
    let good = ann().sign();
    let (head, rest) = good.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    let eve = Token::of("eve").by(&ours()).sign();
    let eves_claims = eve.split('.').nth(1).unwrap();
    let eve = Signer::new("demo", 6);
    let mut rows = vec![
        row("somebody else's claims", format!("{head}.{eves_claims}.{signature}"), SIGNATURE),
        row("no signature", format!("{head}.{claims}."), SIGNATURE),
        row("half a signature", format!("{head}.{claims}.{}", &signature[..40]), SIGNATURE),
        row("a padded signature", format!("{good}=="), MALFORMED),
        row("another's key under our name", ann().by(&eve).sign(), SIGNATURE),
        row("an RSA key for another algorithm", ann().key_id("rsa").sign(), ALGORITHM),
        row("our key for another algorithm", ann().header("alg", "RS256").sign(), ALGORITHM),
    ];
    for none in ["none", "None", "NONE", "nOnE", ""] {
        rows.push(row(format!("alg {none:?}"), ann().header("alg", none).sign(), MALFORMED));
        let header = json!({ "typ": "JWT", "alg": none, "kid": "demo" }).to_string();
        let unsigned = format!("{}.{claims}.", base64_url(header.as_bytes()));
        rows.push(row(format!("alg {none:?}, unsigned"), unsigned, MALFORMED));
    }
    rows.push(row("unsigned", ann().unsigned(), MALFORMED));
    // What a naive verifier would take for a shared secret: the public key, however it is written.
    let public = ours().jwk();
    let x = public["x"].as_str().unwrap().to_owned();
    let rsa_pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", base64_url(&[0xc3; 256]));
    for secret in
        [x.into_bytes(), public.to_string().into_bytes(), vec![0xc3; 256], rsa_pem.into_bytes(), b"k".to_vec()]
    {
        for id in ["demo", "rsa"] {
            rows.push(row("the public key as a secret", ann().key_id(id).sign_with_secret(&secret), ALGORITHM));
        }
    }
    rows
}

/// What the header of a token would have us do. `site` is the attacker's.
fn headers(site: &Site) -> Vec<Row> {
    let eve = Signer::new("eve", 6);
    let by_eve = |id: &str| ann().by(&eve).key_id(id);
    let mut rows = Vec::new();
    for id in ["demo", "eve"] {
        let reason = if id == "demo" { SIGNATURE } else { UNKNOWN };
        let followed = [
            ("jku", json!(site.url("/jwks"))),
            ("x5u", json!(site.url("/certificate"))),
            ("jwk", eve.jwk()),
            ("x5c", json!(["MIIB"])),
            ("url", json!(site.url("/"))),
        ];
        rows.extend(followed.map(|(name, value)| row(name, by_eve(id).header(name, value).sign(), reason)));
    }
    let longest = "k".repeat(4000);
    for id in ["../../../../etc/passwd", "../../dev/null", "file:///etc/passwd", "' OR 1=1 --", "\0", "é", "", &longest]
    {
        rows.push(row(format!("kid {id:?}"), ann().key_id(id).sign(), UNKNOWN));
        // An empty file as a secret.
        rows.push(row(format!("kid {id:?}, no secret"), ann().key_id(id).sign_with_secret(b"\0"), ALGORITHM));
    }
    for typ in ["id+jwt", "logout+jwt", "secevent+jwt", "dpop+jwt", "JWE", ""] {
        let reason = "is of another type than an access token";
        rows.push(row(format!("typ {typ:?}"), ann().header("typ", typ).sign(), reason));
    }
    for crit in [json!(["exp"]), json!(["b64"]), json!([])] {
        let reason = "asks for an extension that is not supported";
        rows.push(row(format!("crit {crit}"), ann().header("crit", crit).header("b64", false).sign(), reason));
    }
    rows.push(row("kid that is no text", ann().header("kid", json!(["demo"])).sign(), MALFORMED));
    let claims = ann().claims().to_string();
    let doubled = r#"{"alg":"none","alg":"EdDSA","kid":"demo"}"#;
    rows.push(row("alg twice", ann().sign_text(doubled, &claims), MALFORMED));
    rows
}

/// Claims that are missing, wrong, of another type, or not there to be read in one way only.
fn claims() -> Vec<Row> {
    const EXP: &str = "has an `exp` that is no time";
    const NBF: &str = "has an `nbf` that is no time";
    let table: Vec<(&str, Value, &str)> = vec![
        ("exp", json!(null), "has no `exp`"),
        ("exp", json!(now() - 60), "has expired"),
        ("exp", json!(now() as f64 - 60.5), "has expired"),
        ("exp", json!(0), "has expired"),
        ("exp", json!((now() + 600).to_string()), EXP),
        ("exp", json!(-1), EXP),
        ("exp", json!(-1e18), EXP),
        ("exp", json!(1e300), EXP),
        ("exp", json!(u64::MAX), EXP),
        ("exp", json!(i64::MAX), EXP),
        ("exp", json!(true), EXP),
        ("exp", json!([now() + 600]), EXP),
        ("exp", json!({ "at": now() + 600 }), EXP),
        ("nbf", json!(now() + 600), "is not valid yet"),
        ("nbf", json!(33_000_000_000_u64), "is not valid yet"),
        ("nbf", json!("0"), NBF),
        ("nbf", json!(-5), NBF),
        ("nbf", json!(1e300), NBF),
        ("aud", json!(null), "has no `aud`"),
        ("aud", json!(7), "has no `aud`"),
        ("aud", json!({ "weft-demo": true }), "has no `aud`"),
        ("aud", json!([]), "is for another audience"),
        ("aud", json!(["other", 7, null]), "is for another audience"),
        ("aud", json!("weft-dem"), "is for another audience"),
        ("aud", json!("weft-demo,other"), "is for another audience"),
        ("aud", json!("WEFT-DEMO"), "is for another audience"),
        ("iss", json!(null), "has no `iss`"),
        ("iss", json!([ISSUER]), "has no `iss`"),
        ("iss", json!("https://evil.example"), "is from another issuer"),
        ("iss", json!(format!("{ISSUER}/")), "is from another issuer"),
        ("iss", json!(""), "is from another issuer"),
        ("sub", json!(null), "has no `sub`"),
        ("sub", json!(""), "has no `sub`"),
        ("sub", json!(7), "has no `sub`"),
        ("sub", json!(["ann"]), "has no `sub`"),
    ];
    let rows = table.into_iter().map(|(name, value, reason)| {
        let what = format!("{name} {value}");
        row(what, ann().claim(name, value).sign(), reason)
    });
    rows.collect()
}

/// What is no token, or none that two readers would read alike.
fn texts() -> Vec<Row> {
    let header = r#"{"alg":"EdDSA","kid":"demo"}"#;
    let good = ann().claims().to_string();
    let and = |more: &str| format!("{},{more}}}", good.trim_end_matches('}'));
    let deep = |levels: usize| format!("\"deep\":{}{}", "[".repeat(levels), "]".repeat(levels));
    let signed = |claims: &str| ann().sign_text(header, claims);
    let bad_text = [&good.as_bytes()[..good.len() - 1], b",\"name\":\"\xff\"}"].concat();
    let whole = ann().sign();
    vec![
        row("sub twice", signed(&and(r#""sub":"eve""#)), MALFORMED),
        row("exp twice", signed(&and(r#""exp":33000000000"#)), MALFORMED),
        row("another claim twice", signed(&and(r#""plan":"gold","plan":"free""#)), MALFORMED),
        row("sub twice, once in disguise", signed(&and(r#""s\u0075b":"eve""#)), MALFORMED),
        row("200 levels", signed(&and(&deep(200))), MALFORMED),
        row("2000 levels", signed(&and(&deep(2000))), MALFORMED),
        row(
            "2000 levels in the header",
            ann().sign_text(&format!("{{{},\"alg\":\"EdDSA\"}}", deep(2000)), &good),
            MALFORMED,
        ),
        row("a number beyond all", signed(&and(r#""x":1e999"#)), MALFORMED),
        row("something after the claims", signed(&format!("{good}{{}}")), MALFORMED),
        row("a list of claims", signed(&format!("[{good}]")), MALFORMED),
        row("null", signed("null"), MALFORMED),
        row("a text", signed("\"ann\""), MALFORMED),
        row("nothing", signed(""), MALFORMED),
        row("bytes that are no text", ann().sign_bytes(&bad_text), MALFORMED),
        row("a header that is no JSON", ann().sign_text("demo", &good), MALFORMED),
        row("rubbish", "rubbish", MALFORMED),
        row("dots", "..", MALFORMED),
        row("one dot", ".", MALFORMED),
        row("five parts", "a.b.c.d.e", MALFORMED),
        row("a token and a half", format!("{whole}.{whole}"), MALFORMED),
        row("a blank inside", whole.replacen('.', ". ", 1), MALFORMED),
        row("ten thousand letters", "a".repeat(10_000), "is too long"),
        row("a good token of ten thousand letters", ann().claim("name", "n".repeat(8_000)).sign(), "is too long"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_forgery_gets_in_and_each_is_told_what_is_wrong() {
    let upstream = knows_all().await;
    let (host, issuer) = host(&upstream).await;
    let attacker = Site::start().await;
    let rows = [signatures(), headers(&attacker), claims(), texts()].concat();
    assert!(rows.len() > 100, "{}", rows.len());
    let mut wrong = Vec::new();
    for (what, token, reason) in rows {
        let challenge =
            format!("Bearer error=\"invalid_token\", error_description=\"the token {}\"", reason.replace('`', "'"));
        // Where a token is optional, one that is there still has to be good.
        for path in ["/me", "/maybe", "/for-you"] {
            let reply = host.get(path).bearer(&token).send().await;
            if reply.status != 401 {
                wrong.push(format!("{what}, {path}: {reply:?}"));
            } else if reply.problem(401)["detail"] != format!("the token {reason}") {
                wrong.push(format!("{what}, {path}: expected {reason:?}, found {}", reply.problem(401)["detail"]));
            } else if reply.header("www-authenticate") != Some(&challenge) {
                wrong.push(format!("{what}, {path}: {:?}", reply.header("www-authenticate")));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert_eq!(host.metrics().await.sum("weft_guest_cpu_seconds_count", &[]), 0.0, "no guest ran");
    assert_eq!((upstream.total(), attacker.count()), (0, 0), "nobody was asked for anything");
    assert!(issuer.count() <= 4, "the issuer was asked {} times", issuer.count());
    assert_eq!(host.get("/maybe").bearer(&ann().sign()).send().await.ok().text(), "ann");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unusual_but_good_tokens_are_accepted() {
    let (host, _issuer) = host(&knows_all().await).await;
    let deep = format!("{}{}", "[".repeat(90), "]".repeat(90));
    let good = [
        ("plain", ann()),
        ("a type", ann().header("typ", "at+jwt")),
        ("a long type", ann().header("typ", "application/AT+JWT")),
        ("no type", ann().header("typ", Value::Null)),
        ("no key id", ann().header("kid", Value::Null)),
        ("a header member that nobody knows", ann().header("x-unheard-of", json!({ "a": 1 }))),
        ("many audiences", ann().claim("aud", json!(["other", AUDIENCE]))),
        ("a fraction of a second", ann().claim("exp", now() as f64 + 600.5)),
        ("the year 9999", ann().claim("exp", 253_402_300_799_u64)),
        ("half a minute late", ann().expires_in(-10)),
        ("begun", ann().claim("nbf", now() - 5)),
        ("deep", ann().claim("deep", serde_json::from_str::<Value>(&deep).unwrap())),
    ];
    for (what, token) in good {
        let reply = host.get("/maybe").bearer(&token.sign()).send().await;
        assert_eq!((reply.status, reply.text().as_str()), (200, "ann"), "{what}: {reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_a_megabyte_is_refused_or_cut_off_and_others_are_served() {
    let (host, _issuer) = host(&knows_all().await).await;
    for letters in [40 << 10, 100 << 10, 1 << 20] {
        let head = "GET /me HTTP/1.1\r\nhost: weft.test\r\nconnection: close\r\nauthorization: Bearer ";
        let mut stream = TcpStream::connect(host.address()).await.unwrap();
        // The host may close before all is written, and its answer may be lost with the connection.
        let _ = stream.write_all(format!("{head}{}\r\n\r\n", "a".repeat(letters)).as_bytes()).await;
        let mut answer = Vec::new();
        let _ = soon("the host to close the connection", stream.read_to_end(&mut answer)).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{letters}: {answer}");
        assert_eq!(host.get("/maybe").bearer(&ann().sign()).send().await.ok().text(), "ann");
    }
}
