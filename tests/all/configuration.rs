//! A configuration with mistakes starts nothing: all of them are told at once, each with its line and what was expected.

use crate::support::{knows_all, probe, raw, weft};
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;
use weft_tests::{
    artifacts::{renamed, with_endpoint},
    process::{Ended, run},
    setup::Setup,
};

const WRONG: &str = r#"[http]
listen = "nowhere"
max-body = "12 apples"
tiemout = "1s"
drain = 20

[admin]
listen = "127.0.0.1:0"

[[client]]
name = "web"

[[client]]
name = "web"
prefix = "ios/"

[identity]
issuers = []
audience = ["bff"]
algorithms = ["HS256"]
jwks = "missing.json"

[plugins]
folder = "plugins"

[limits]
cpu = "10h"

[backend.films]
services = ["catalog.v1.Films"]
endpoints = "http://127.0.0.1:1"
timeout = "forever"

[backend.again]
services = ["catalog.v1.Films", 7]
endpoints = "static://127.0.0.1"

[backend.again.tls]
ca = "missing.pem"

[backend.again.method."catalog.v1.Films/GetFilm"]
scope = "public"
forward = true

[backend.again.method."people.v1.People/GetPerson"]
batch = { via = "BatchGetPeople", keys = "ids" }

[telemetry]
log-format = "xml"

[backend.third]
services = ["catalog.v1.Films"]
endpoints = "static://127.0.0.1:1"
"#;

/// Line, and what has to be said of it.
const EXPECTED: [(usize, &str); 21] = [
    (2, r#"http.listen: expected an address with a port, such as "127.0.0.1:8080", found the string "nowhere""#),
    (3, r#"http.max-body: expected a size such as "64KiB""#),
    (4, "http.tiemout: unknown key; did you mean `timeout`?"),
    (5, r#"http.drain: expected a duration such as "300ms""#),
    (10, "client: where there are several clients, each needs a `host`, a `prefix` or a `header`"),
    (14, "client[1].name: there is another client `web`"),
    (15, r#"client[1].prefix: expected a path such as "/ios""#),
    (18, "identity.issuers: expected at least one"),
    (20, r#"identity.algorithms: item 0: expected "RS256""#),
    (21, "identity.jwks: "),
    (27, "limits.cpu: expected a value from 1ms to 60s, found 36000s"),
    (31, r#"backend.films.endpoints: expected "static://HOST:PORT"#),
    (32, r#"backend.films.timeout: expected a duration such as "300ms""#),
    (35, "backend.again.services: item 1: expected a string, found the integer 7"),
    (36, r#"backend.again.endpoints: expected HOST:PORT, found "127.0.0.1""#),
    (38, "backend.again.tls: "),
    (43, r#"identity can't be forwarded on calls of scope "public""#),
    (45, r#"expected "SERVICE/METHOD" with a service of backend `again`: "#),
    (46, "batch: `key` is missing: expected a field name, or a list of them"),
    (49, r#"telemetry.log-format: expected "human" | "json" | "ecs", found the string "xml""#),
    (52, "backend.third.services: `catalog.v1.Films` is served by backend `films` already"),
];

fn folder(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("weft.toml"), text).unwrap();
    folder
}

async fn weft_on(command: &str, folder: &Path, more: &[&str]) -> Ended {
    let file = folder.join("weft.toml");
    let mut arguments = vec![command, "--config", file.to_str().unwrap()];
    arguments.extend(more);
    run(weft(), &arguments).await
}

#[tokio::test]
async fn check_and_serve_tell_every_mistake_at_once_and_start_nothing() {
    let folder = folder(WRONG);
    for command in ["check", "serve"] {
        let ended = weft_on(command, folder.path(), &[]).await;
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(!ended.err.contains("weft serves on"), "{}", ended.err);
        for (line, text) in EXPECTED {
            let place = format!("weft.toml:{line}: ");
            let told = ended.err.lines().any(|told| told.contains(&place) && told.contains(text));
            assert!(told, "`{command}` does not tell {place}{text}\n{}", ended.err);
        }
        let told = ended.err.lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!(ended.err.lines().last(), Some(&*format!("{told} mistakes found; nothing was started")));
    }
}

#[tokio::test]
async fn mistakes_are_data_for_programs() {
    let folder = folder("[http]\nlisten = 1\n[[client]]\nname = \"web\"\n[plugins]\nfolder = \"p\"\n");
    let ended = weft_on("check", folder.path(), &["--json"]).await;
    assert_eq!(ended.code, 2);
    let found: Value = serde_json::from_str(&ended.out).unwrap();
    let mistakes = found["mistakes"].as_array().unwrap();
    assert_eq!(mistakes.len(), 1);
    assert_eq!((&mistakes[0]["line"], &mistakes[0]["key"]), (&2.into(), &"http.listen".into()));
}

#[tokio::test]
async fn a_file_that_is_no_toml_is_told_by_line() {
    let ended = weft_on("check", folder("[[client]]\nname = \"web\"\nhost = web.example\n").path(), &[]).await;
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("weft.toml:3: "), "{}", ended.err);
}

#[tokio::test]
async fn a_file_that_is_not_there_is_a_mistake_too() {
    for command in ["check", "serve"] {
        let ended = run(weft(), &[command, "--config", "/nowhere/weft.toml"]).await;
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.err.contains("/nowhere/weft.toml: can't be read"), "{}", ended.err);
    }
}

#[tokio::test]
async fn more_instances_than_the_pool_has_room_for_are_a_mistake() {
    let rest = "requests = 8000\nstreams = 1000\nidle = ";
    for (limits, fits) in [(format!("{rest}1000"), true), (format!("{rest}1001"), false)] {
        let folder = Setup::new().limits(&limits).write();
        let file = folder.config();
        let ended = run(weft(), &["check", "--config", file.to_str().unwrap()]).await;
        assert_eq!(ended.code, if fits { 0 } else { 2 }, "{ended:?}");
        if !fits {
            let told =
                "limits.requests: `requests`, `streams` and `idle` together are 10001, and the pool has room for 10000";
            assert!(ended.err.contains(told), "{}", ended.err);
            let serve = run(weft(), &["serve", "--config", file.to_str().unwrap()]).await;
            assert_eq!(serve.code, 2, "{serve:?}");
        }
    }
}

#[tokio::test]
async fn a_jwks_file_without_a_usable_key_is_refused() {
    let text = "[identity]\nissuers = [\"i\"]\naudience = [\"a\"]\njwks = \"jwks.json\"\n[[client]]\nname = \"web\"\n\
                [plugins]\nfolder = \"p\"\n";
    for (jwks, reason) in [
        ("{", "expected a JWKS document"),
        (r#"{"keys": []}"#, "no key in it can verify a signature"),
        (r#"{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}"#, "no key in it can verify a signature"),
    ] {
        let folder = folder(text);
        std::fs::write(folder.path().join("jwks.json"), jwks).unwrap();
        let ended = weft_on("check", folder.path(), &[]).await;
        assert_eq!(ended.code, 2, "{jwks}: {ended:?}");
        assert!(ended.err.contains("weft.toml:4: identity.jwks: ") && ended.err.contains(reason), "{}", ended.err);
    }
}

#[tokio::test]
async fn check_looks_at_the_artifacts_too() {
    let nowhere = "127.0.0.1:1";
    let bad_rule = "[backend.fake.method.\"people.v1.People/GetPerson\"]\n\
                    batch = { via = \"BatchGetPersons\", key = \"id\", keys = \"ids\", items = \"people\" }\n";
    let good = Setup::new().one_backend(nowhere, "").plugin("probe.wasm", &probe()).write();
    let ended = run(weft(), &["check", "--config", good.config().to_str().unwrap()]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(
        ended.out.contains("no mistakes") && ended.out.contains("probe 1.0.0 for test, 35 endpoints"),
        "{}",
        ended.out
    );

    let bad = Setup::new().one_backend(nowhere, bad_rule).plugin("probe.wasm", &probe()).write();
    let ended = run(weft(), &["check", "--config", bad.config().to_str().unwrap()]).await;
    assert_eq!(ended.code, 2);
    let line = std::fs::read_to_string(bad.config()).unwrap().lines().position(|line| line.contains("BatchGetPersons"));
    let place = format!("weft.toml:{}: ", line.unwrap() + 1);
    assert!(ended.err.contains(&place), "{} in {}", place, ended.err);
    assert!(ended.err.contains("has no method `BatchGetPersons`; it has: GetPerson, BatchGetPeople"), "{}", ended.err);

    let none = Setup::new().plugin("probe.wasm", &probe()).plugin("junk.wasm", &b"junk".to_vec().into()).write();
    let ended = run(weft(), &["check", "--config", none.config().to_str().unwrap()]).await;
    assert_eq!(ended.code, 2);
    for text in [
        "junk.wasm: not a WebAssembly component",
        "no backend serves `people.v1.People`",
        "no backend serves `catalog.v1.Films`",
    ] {
        assert!(ended.err.contains(text), "{text} in {}", ended.err);
    }
}

#[tokio::test]
async fn check_warns_of_a_plugin_folder_that_is_not_there() {
    let folder = Setup::new().one_backend("127.0.0.1:1", "").write();
    let config = folder.config();
    let check = async || run(weft(), &["check", "--config", config.to_str().unwrap()]).await;
    let warns =
        |ended: &Ended| ended.out.lines().any(|line| line.starts_with("warning: ") && line.contains("plugins.folder"));
    let there = check().await;
    assert!(there.code == 0 && !warns(&there), "{there:?}");
    std::fs::remove_dir_all(folder.path("")).unwrap();
    let away = check().await;
    assert!(away.code == 0 && warns(&away), "{away:?}");
    assert!(away.out.contains("`weft serve` makes it, and serves nothing until an artifact lies in it"), "{away:?}");
    assert!(!folder.path("").exists(), "it starts nothing");
}

#[tokio::test]
async fn check_warns_of_secrets_that_are_not_there_and_serve_does_not_start() {
    let credential = "credential = { header = \"x-key\", secret = \"env:WEFT_TEST_NO_KEY\" }";
    let setup = Setup::new().admin("token = \"file:/nowhere/token\"").one_backend("127.0.0.1:1", credential);
    let folder = setup.more("[cache]\nshared = \"env:WEFT_TEST_NO_URL\"").plugin("probe.wasm", &probe()).write();
    let config = folder.config();
    let weft_with = async |command: &str, more: &[&str]| {
        run(weft(), &[&[command, "--config", config.to_str().unwrap()], more].concat()).await
    };
    let all = ["the environment has no WEFT_TEST_NO_KEY", "the environment has no WEFT_TEST_NO_URL", "/nowhere/token"];
    let checked = weft_with("check", &[]).await;
    assert_eq!(checked.code, 0, "{checked:?}");
    for text in all {
        let warning = checked.out.lines().find(|line| line.starts_with("warning: ") && line.contains(text));
        assert!(warning.is_some_and(|line| line.contains("weft.toml:")), "{text}: {}", checked.out);
    }
    for ended in [weft_with("check", &["--secrets"]).await, weft_with("serve", &[]).await] {
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(all.iter().all(|text| ended.err.contains(text)), "{}", ended.err);
    }
    // One that is there, and is none, is a mistake.
    std::fs::write(folder.path("../empty"), " \n").unwrap();
    let empty = folder.path("../empty");
    folder.change(|text| text.replace("file:/nowhere/token", &format!("file:{}", empty.display())));
    let checked = weft_with("check", &[]).await;
    assert!(checked.code == 2 && checked.err.contains("is empty"), "{checked:?}");
}

#[tokio::test]
async fn names_of_methods_and_services_that_no_proto_has_are_mistakes_where_a_proto_could_have_them() {
    let tables = "[backend.fake.method.\"catalog.v1.Films/GteFilm\"]\nscope = \"public\"\n\
                  [backend.fake.method.\"people.v1.Poeple/GetPerson\"]\n\
                  [backend.fake.method.\"catalog.v1.Films/WatchFilms\"]\nscope = \"public\"\n\
                  [backend.later]\nservices = [\"later.v1.Things\"]\nendpoints = \"static://127.0.0.1:1\"\n\
                  [backend.later.method.\"later.v1.Things/GetThing\"]\nscope = \"public\"\n";
    let wrong = |setup: Setup, text: &'static str| async move {
        let folder = setup.plugin("probe.wasm", &probe()).write();
        let ended = run(weft(), &["check", "--config", folder.config().to_str().unwrap()]).await;
        let lines = std::fs::read_to_string(folder.config()).unwrap();
        let line = lines.lines().position(|line| line.contains(text)).unwrap_or_default() + 1;
        (ended, format!("weft.toml:{line}: "))
    };
    let (ended, place) = wrong(Setup::new().one_backend("127.0.0.1:1", tables), "Poeple").await;
    let told = "of backend `fake`; did you mean `people.v1.People/GetPerson`?";
    assert!(ended.code == 2 && ended.err.contains(&place) && ended.err.contains(told), "{}", ended.err);

    let tables = tables.replace("Poeple", "People");
    let (ended, place) = wrong(Setup::new().one_backend("127.0.0.1:1", &tables), "GteFilm").await;
    let told = "`catalog.v1.Films` has no method `GteFilm`; did you mean `GetFilm`?";
    assert!(ended.code == 2 && ended.err.contains(&place) && ended.err.contains(told), "{}", ended.err);
    assert!(ended.err.contains("has no method `WatchFilms`; it has: "), "{}", ended.err);
    assert!(!ended.err.contains("later.v1"), "what no plugin knows may be right: {}", ended.err);

    let services = ["catalog.v1.Films", "people.v1.Peple", "reviews.v1.Reviews", "recommend.v1.Recommend"];
    let (ended, place) = wrong(Setup::new().backend("fake", &services, "127.0.0.1:1", ""), "v1.Peple").await;
    let told = "no proto has the service `people.v1.Peple`; did you mean `people.v1.People`?";
    assert!(ended.code == 2 && ended.err.contains(&place) && ended.err.contains(told), "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_names_plugins_that_want_one_endpoint_as_the_host_does() {
    let clients = "[[client]]\nname = \"test\"\nprefix = \"/test\"\n[[client]]\nname = \"tv\"\nprefix = \"/tv\"\n";
    let wanting = |name: &str, client: &str| {
        let other = renamed(&raw(), name, client);
        // The name of a parameter tells no endpoints apart.
        with_endpoint(&with_endpoint(&other, "GET /echo/{word}"), "GET /version")
    };
    let upstream = knows_all().await;
    let setup = Setup::new().clients(clients).one_backend(upstream.address(), "").plugin("a.wasm", &probe());
    let check = async |config: &Path| run(weft(), &["check", "--config", config.to_str().unwrap()]).await;

    let apart = setup.clone().plugin("b.wasm", &wanting("other", "tv")).plugin("c.wasm", &probe()).write();
    let ended = check(&apart.config()).await;
    assert_eq!(ended.code, 0, "of another client, and the same bytes twice: {ended:?}");

    let setup =
        setup.plugin("b.wasm", &wanting("other", "test")).plugin("c.wasm", &with_endpoint(&probe(), "GET /more"));
    // What this one wants belongs to nobody once the second is out.
    let setup = setup.plugin("d.wasm", &raw());
    let clashing = setup.write();
    let ended = check(&clashing.config()).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    for text in [
        "b.wasm: plugin `other`: GET /echo/{word} of client `test` belongs to plugin `probe` already; let one of the two",
        "b.wasm: plugin `other`: GET /version of client `test` belongs to plugin `probe` already",
        "c.wasm: plugin `probe`: probe 1.0.0 is in service with another digest, from ",
    ] {
        assert!(ended.err.contains(text), "{text} in {}", ended.err);
    }
    assert!(!ended.err.contains("d.wasm"), "{}", ended.err);
    let host = setup.start_in(clashing).await;
    for file in ["b.wasm", "c.wasm"] {
        let told = host.until_refused(file).await;
        assert!(told.lines().all(|reason| ended.err.contains(reason.trim())), "{told} in {}", ended.err);
    }
}

#[tokio::test]
async fn wrong_usage_is_exit_code_2_and_help_is_0() {
    for (arguments, code) in [
        (&["frobnicate"][..], 2),
        (&[], 2),
        (&["serve", "--port", "1"], 2),
        (&["--help"], 0),
        (&["build", "--help"], 0),
    ] {
        assert_eq!(run(weft(), arguments).await.code, code, "{arguments:?}");
    }
}
