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
    assert_eq!(config.fanout.backends[0].upstream.endpoints.len(), 2);
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
