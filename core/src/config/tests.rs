//! Whole configurations, good and bad.

use super::*;

const GOOD: &str = r#"
[[client]]
name = "web"

[plugins]
folder = "plugins"

[backend.films]
services = ["catalog.v1.Films"]
endpoints = "static://127.0.0.1:50051,127.0.0.1:50052"
timeout = "300ms"

[backend.films.method."catalog.v1.Films/GetFilm"]
batch = { via = "BatchGetFilms", key = "id", keys = "ids", items = "films", item-key = "id", missing = "omitted", max = 100 }
cache = { ttl = "60s", negative-ttl = "5s", scope = "public" }
"#;

fn mistakes(text: &str) -> Vec<String> {
    match Config::parse(Path::new("etc/weft.toml"), text) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_good_file_has_none_and_paths_are_relative_to_it() {
    let config = Config::parse(Path::new("etc/weft.toml"), GOOD).unwrap();
    assert_eq!(config.plugins.folder, Path::new("etc/plugins"));
    assert_eq!(config.fanout.backends[0].upstream.endpoints.known().len(), 2);
}

#[test]
fn an_empty_file_is_told_what_it_needs() {
    let found = mistakes("");
    assert!(found.iter().any(|m| m.contains("expected at least one [[client]]")), "{found:#?}");
    assert!(found.iter().any(|m| m.contains("plugins: `folder` is missing")), "{found:#?}");
}

#[test]
fn mistakes_of_all_modules_come_together() {
    let text = GOOD
        .replace("timeout = \"300ms\"", "timeout = 300\nbalance = \"best\"\nendpoints2 = 1")
        .replace("static://127.0.0.1:50051", "static://nowhere")
        .replace("max = 100", "max = 1")
        + "\n[identity]\nissuers = [\"i\"]\naudience = [\"a\"]\njwks = \"missing.json\"\nleeway = \"2h\"\n[htpp]\n";
    let found = mistakes(&text);
    for expected in [
        "backend.films.timeout: expected a duration",
        "backend.films.balance: expected \"p2c-ewma\" | \"round-robin\" |",
        "backend.films.endpoints2: unknown key; did you mean `endpoints`?",
        "expected HOST:PORT, found \"nowhere\"",
        "batch.max: expected a value from 2 to 10000, found 1",
        "identity.jwks: etc/missing.json: No such file",
        "identity.leeway: expected a value from 0ns to 60s",
        "htpp: unknown key; did you mean `http`?",
    ] {
        assert!(found.iter().any(|m| m.contains(expected)), "{expected} is not in {found:#?}");
    }
}

#[test]
fn a_shared_scope_and_forwarded_identity_exclude_each_other() {
    let found = mistakes(&GOOD.replace("cache =", "forward = true\ncache ="));
    assert!(found[0].contains("identity can't be forwarded on calls of scope \"public\""), "{found:#?}");
}

#[test]
fn a_service_has_one_backend_and_a_method_its_service() {
    let text = format!(
        "{GOOD}\n[backend.other]\nservices = [\"catalog.v1.Films\"]\nendpoints = \"static://h:1\"\n[backend.other.method.\"x.Y/Z\"]\n"
    );
    let found = mistakes(&text);
    assert!(found.iter().any(|m| m.contains("`catalog.v1.Films` is served by backend `films` already")), "{found:#?}");
    assert!(
        found.iter().any(|m| m.contains("expected \"SERVICE/METHOD\" with a service of backend `other`")),
        "{found:#?}"
    );
}

/// What is wrong with an `[identity]` of these lines.
fn identity_mistakes(lines: &str) -> Vec<String> {
    mistakes(&format!("{GOOD}\n[identity]\n{lines}\n"))
}

const WHO: &str = "issuers = [\"https://iss.test\"]\naudience = [\"bff\"]\n";

#[test]
fn an_identity_by_url_needs_no_file() {
    for lines in [
        format!("{WHO}jwks = \"https://iss.test/keys\"\njwks-max-age = \"48h\""),
        format!("{WHO}jwks = \"http://127.0.0.1:8000/keys\""),
        format!("{WHO}jwks = \"http://[::1]:8000/keys\""),
        format!("{WHO}trust = \"full\"\ntrusted-peers = [\"10.0.0.0/8\", \"fd00::/8\"]\npayload-header = \"x-envoy-who\""),
        format!("{WHO}trust = \"full\"\ngateway-certificate = true"),
        "audience = [\"bff\"]\n[[identity.issuer]]\nissuer = \"a\"\njwks = \"https://a.test/k\"\n\
         [[identity.issuer]]\nissuer = \"b\"\njwks = \"https://b.test/k\"\naudience = [\"other\"]\nalgorithms = [\"ES384\"]"
            .to_owned(),
    ] {
        assert_eq!(identity_mistakes(&lines), Vec::<String>::new(), "{lines}");
    }
}

#[test]
fn an_identity_that_promises_more_than_it_holds_is_refused() {
    let exchange = "[identity.exchange]\nurl = \"https://sts.test\"\nclient-id = \"weft\"\nsecret = \"env:PATH\"\n";
    let url = format!("{WHO}jwks = \"https://iss.test/keys\"\n");
    for (lines, expected) in [
        (format!("{WHO}jwks = \"http://iss.test/keys\""), "identity.jwks: expected https://…; http:// to this machine only"),
        (format!("{WHO}jwks = \"ftp://iss.test/keys\""), "identity.jwks: expected https://"),
        (format!("{WHO}jwks = \"https://me:pw@iss.test/keys\""), "identity.jwks: a URL with a password"),
        (format!("{url}jwks-ca = \"missing.pem\""), "identity.jwks: etc/missing.pem"),
        (format!("{url}jwks-max-age = \"1m\""), "identity.jwks-max-age: expected a value from"),
        (format!("{url}trusted-peers = [\"10.0.0.0/8\"]"), "identity.trusted-peers: unknown key"),
        (format!("{url}[[identity.issuer]]\nissuer = \"a\"\njwks = \"https://a.test\""), "identity.jwks: unknown key"),
        ("audience = [\"x\"]\n[[identity.issuer]]\nissuer = \"a\"\njwks = \"https://a.test\"\n[[identity.issuer]]\nissuer = \"a\"\njwks = \"https://b.test\"".to_owned(), "stands there twice"),
        ("[[identity.issuer]]\nissuer = \"a\"\njwks = \"https://a.test\"".to_owned(), "`audience` is missing"),
        (format!("{WHO}trust = \"full\""), "identity.trust: \"full\" needs `trusted-peers`"),
        (format!("{WHO}trust = \"full\"\ntrusted-peers = [\"0.0.0.0/0\"]"), "anybody could say who they are"),
        (format!("{WHO}trust = \"full\"\ntrusted-peers = [\"gateway\"]"), "identity.trusted-peers: `gateway` is neither"),
        (format!("{WHO}trust = \"full\"\ntrusted-peers = [\"::1\"]\njwks = \"k\""), "identity.jwks: with trust = \"full\""),
        (format!("{WHO}trust = \"full\"\ntrusted-peers = [\"::1\"]\npayload-header = \"x-user\""), "identity.payload-header: expected a header"),
        (format!("{WHO}trust = \"full\"\ntrusted-peers = [\"::1\"]\n{exchange}"), "identity.exchange: with trust = \"full\""),
        (format!("{WHO}trust = \"full\"\ntrusted-peers = [\"::1\"]\n[identity.forward]\ntoken = true"), "no token is verified"),
        (format!("{url}trust = \"zero\""), "identity.trust: \"zero\" needs an [identity.exchange]"),
        (format!("{url}trust = \"zero\"\n{exchange}"), "backend.films: trust = \"zero\" needs mutual TLS"),
        (format!("{url}{exchange}[identity.forward]\ntoken = true"), "the caller's token is exchanged"),
        (format!("{url}{exchange}[identity.exchange.audience]\nfilm = \"x\""), "there is no [backend.film]"),
        (format!("{url}{}", exchange.replace("https://", "http://")), "identity.exchange.url: expected https://"),
        (format!("{url}{}", exchange.replace("env:PATH", "env:NOT_THERE_AT_ALL")), "identity.exchange.secret: "),
        (format!("{url}{}", exchange.replace("env:PATH", "s3cret")), "where the secret is"),
    ] {
        let found = identity_mistakes(&lines);
        assert!(found.iter().any(|mistake| mistake.contains(expected)), "{expected} is not in {found:#?}\n{lines}");
    }
}

#[test]
fn both_sides_cannot_listen_at_one_address() {
    let both = |http: &str, admin: &str| {
        mistakes(&format!("{GOOD}\n[http]\nlisten = \"{http}\"\n[admin]\nlisten = \"{admin}\"\n")).join("\n")
    };
    for (http, admin) in [("127.0.0.1:80", "127.0.0.1:80"), ("0.0.0.0:80", "127.0.0.1:80"), ("[::1]:80", "[::]:80")] {
        let said = both(http, admin);
        assert!(said.contains("admin.listen: ") && said.contains("is `http.listen` as well"), "{said}");
    }
    for (http, admin) in
        [("127.0.0.1:80", "127.0.0.1:81"), ("127.0.0.1:0", "127.0.0.1:0"), ("127.0.0.1:80", "127.0.0.2:80")]
    {
        assert_eq!(both(http, admin), "");
    }
}

#[test]
fn no_key_takes_a_time_a_size_or_a_number_that_nobody_can_mean() {
    const BACKEND: &str = "[backend.films]\nservices = [\"a.B\"]\nendpoints = \"static://h:1\"\n";
    let named = [("backend", "films"), ("backend.films.method", "\"a.B/C\"")];
    let before = [("backend.films", BACKEND)];
    let walked = settings::absurd::Walk { mistakes: &mistakes, before: &before, named: &named }.all();
    for key in ["http.timeout", "limits.memory", "backend.films.method.\"a.B/C\".cache.stale-if-error", "client.rate"] {
        assert!(walked.iter().any(|known| known == key), "{key} is not in {walked:#?}");
    }
    assert!(walked.len() > 60, "{walked:#?}");
}

#[test]
fn the_largest_answer_and_the_largest_body_fit_into_what_is_kept_for_one_connection() {
    let of = |more: &str| mistakes(&format!("{GOOD}\n{more}"));
    for (more, expected) in [
        (
            "[http]\nunread-per-connection = \"1MiB\"",
            "http.unread-per-connection: 1048576 bytes, and one alone may have 8388608 (`limits.response`): make this at least as large",
        ),
        ("[http]\nunread = \"1MiB\"", "http.unread: 1048576 bytes, and one alone may have 8388608"),
        (
            "[http]\nmax-body = \"2MiB\"\nbodies-per-ip = \"1MiB\"",
            "http.bodies-per-ip: 1048576 bytes, and one alone may have 2097152 (`http.max-body`)",
        ),
    ] {
        let found = of(more);
        assert!(found.iter().any(|mistake| mistake.contains(expected)), "{found:#?}");
    }
    assert_eq!(of("[http]\nunread-per-connection = \"1MiB\"\n[limits]\nresponse = \"1MiB\""), Vec::<String>::new());
    // What nobody has bounded grows with what one may have.
    assert_eq!(of("[limits]\nresponse = \"100MiB\""), Vec::<String>::new());
}
