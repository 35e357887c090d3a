//! The command as plugin authors use it, on a desk of their own: new, test, build, inspect, and what is refused on the way.

mod cache;

use crate::support::{GET_FILM, GET_PERSON, probe, weft};
use demo_services::proto::catalog::v1::Film;
use serde_json::{Value, json};
use weft::model::Digest;
use weft_tests::{
    author::Author,
    process::{Ended, ended, run},
    repository,
    setup::Setup,
    upstream::{Answer, FakeUpstream},
};

#[track_caller]
fn assert_says(ended: &Ended, code: i32, texts: &[&str]) {
    assert_eq!(ended.code, code, "{}\n{}", ended.out, ended.err);
    for text in texts {
        assert!(ended.err.contains(text), "no {text:?} in\n{}", ended.err);
    }
}

async fn another_command_is_told_of(author: &Author) {
    // The clients were made by the command that has unpacked the SDK; another one says what it is.
    author.write("greeter/build.rs", &author.read("greeter/build.rs").replace("fn main", "/// Again.\nfn main"));
    let lost = ended(author.command("cargo", "greeter").arg("check").env("WEFT_COMMAND", "/nowhere/weft")).await;
    assert_says(
        &lost,
        101,
        &["clients are made by the command `weft`, and /nowhere/weft can't be run", "Run `weft sdk`"],
    );
    let protos = ["make-clients", "--sdk", "0.1.0+0123", "--manifest", "plugin.toml", "--out", "."];
    let other = author.weft("greeter", &protos).await;
    assert_says(
        &other,
        1,
        &["the plugin's SDK is 0.1.0+0123, and this `weft` makes clients for 0.1.0+", "run `weft sdk`"],
    );
}

#[tokio::test]
async fn a_new_plugin_tests_builds_and_serves_as_it_is() {
    let author = Author::new(weft());
    let made = author.begin("greeter", &["--client", "ios", "--lang", "rust"]).await;
    assert!(made.out.contains("greeter is ready"), "{}", made.out);
    for file in
        ["Cargo.toml", "build.rs", "plugin.toml", "src/lib.rs", "tests/greet.rs", "tests/greet.toml", ".gitignore"]
    {
        let text = author.read(&format!("greeter/{file}"));
        for foreign in [repository().to_str().unwrap(), author.folder.to_str().unwrap(), "://"] {
            assert!(!text.contains(foreign), "{file} works on this machine only:\n{text}");
        }
    }

    let tested = author.cargo("greeter", &["test"]).await;
    assert_eq!(tested.code, 0, "{}\n{}", tested.out, tested.err);
    assert!(tested.out.contains("test greets_by_name ... ok"), "{}", tested.out);
    assert!(!tested.err.contains("warning"), "{}", tested.err);

    another_command_is_told_of(&author).await;

    let tried = author.weft("greeter", &["test"]).await;
    assert_says(&tried, 0, &["describing greeter 0.1.0", "compiling greeter 0.1.0"]);
    for line in ["tests/greet.toml:3  greets by name", "endpoints with a case: 1 of 1", "3 passed, 0 failed"] {
        assert!(tried.out.contains(line), "no {line:?} in\n{}", tried.out);
    }

    let built = author.weft("greeter", &["build"]).await;
    let file = author.target().join("weft/greeter-0.1.0.wasm");
    assert_says(
        &built,
        0,
        &["describing greeter 0.1.0", "compiling greeter 0.1.0", file.to_str().unwrap(), "1 endpoints"],
    );
    assert!(!built.err.contains("warning"), "{}", built.err);
    let bytes = std::fs::read(&file).unwrap();

    let shown = author.weft("", &["inspect", file.to_str().unwrap()]).await;
    assert_eq!(shown.code, 0, "{shown:?}");
    let digest = Digest::of(&bytes).to_string();
    for text in [
        "greeter 0.1.0 for client ios",
        &digest,
        "GET /greetings/{name}",
        "auth none",
        "within 800ms",
        "Greets the one who",
    ] {
        assert!(shown.out.contains(text), "no {text:?} in\n{}", shown.out);
    }
    let data = author.weft("", &["inspect", "--json", file.to_str().unwrap()]).await;
    let data: Value = serde_json::from_str(&data.out).unwrap();
    assert_eq!(
        (&data["name"], &data["version"], &data["client"], &data["digest"], &data["calls"]),
        (&json!("greeter"), &json!("0.1.0"), &json!("ios"), &json!(digest), &json!({})),
    );
    let endpoint = &data["endpoints"][0];
    assert_eq!((&endpoint["endpoint"], &endpoint["auth"]), (&json!("GET /greetings/{name}"), &json!("none")));
    assert_eq!(endpoint["timeout_ms"], 800);
    assert_eq!(endpoint["schema"]["response"]["properties"]["text"]["type"], "string", "{endpoint}");

    let setup = Setup::new().clients("[[client]]\nname = \"ios\"\nprefix = \"/ios\"\n");
    let host = setup.plugin("greeter.wasm", &bytes.into()).start().await;
    let greeting = host.get("/ios/greetings/ann").send().await.ok().json();
    assert_eq!(greeting, json!({ "text": "Hello, ann!" }));
    let problem = host.get(&format!("/ios/greetings/{}", "a".repeat(101))).send().await.problem(400);
    assert_eq!(problem["field"], "path.name");
}

/// What the page says to write is written, and what it says to run is run.
#[tokio::test]
async fn the_tutorial_works_as_it_is_written() {
    let page = std::fs::read_to_string(repository().join("docs/authors/first-plugin.md")).unwrap();
    let of = |language: &str| -> Vec<String> {
        let blocks = page.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
        blocks.filter(|(of, _)| *of == language).map(|(_, text)| text.to_owned()).collect()
    };
    let (typed, written) = (of(""), [of("toml"), of("rust"), of("json")].concat());
    let [granted, code, test, answer] = written.as_slice() else { panic!("{written:#?}") };
    let [_demo, begin, build, call] = typed.as_slice() else { panic!("{typed:#?}") };

    let author = Author::new(weft());
    let weft = format!("export WEFT='{}'\n", author.folder.join("weft").display());
    std::fs::create_dir(author.folder.join("weft")).unwrap();
    std::os::unix::fs::symlink(repository().join("examples"), author.folder.join("weft/examples")).unwrap();
    assert_says(&author.shell("", &format!("{weft}{begin}")).await, 0, &[]);
    author.lock("greeter");
    let manifest = author.read("greeter/plugin.toml");
    let (before, _) = manifest.split_once("[calls]").unwrap();
    author.write("greeter/plugin.toml", &format!("{before}{granted}"));
    author.write("greeter/src/lib.rs", code);
    author.write("greeter/tests/greet.rs", test);
    let tested = author.shell("greeter", &format!("{weft}{build}")).await;
    assert_says(&tested, 0, &["weft/target/weft/greeter-0.1.0.wasm"]);
    assert!(tested.out.contains("test greets_by_name ... ok"), "{}", tested.out);
    let artifact = std::fs::read(author.folder.join("weft/target/weft/greeter-0.1.0.wasm")).unwrap();
    the_page_on_testing_works_as_it_is_written(&author).await;

    let upstream = FakeUpstream::start().await;
    upstream.on(GET_FILM, |_| Answer::message(&Film { title: "The Godfather".to_owned(), ..Film::default() }));
    let setup =
        Setup::new().clients("[[client]]\nname = \"web\"\nprefix = \"/web\"\n").one_backend(upstream.address(), "");
    let host = setup.plugin("greeter.wasm", &artifact.into()).start().await;
    let (_, path) = call.split_once("curl localhost:8080").unwrap();
    let greeting = host.get(path.lines().next().unwrap()).send().await.ok().json();
    assert_eq!(greeting, serde_json::from_str::<Value>(answer).unwrap());
}

/// With the plugin of the tutorial: the cases are written, and what is printed is what stands there.
async fn the_page_on_testing_works_as_it_is_written(author: &Author) {
    let page = std::fs::read_to_string(repository().join("docs/authors/testing.md")).unwrap();
    let mut blocks = page.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    let (_, cases) = blocks.find(|(of, _)| *of == "toml").unwrap();
    let (_, typed) = blocks.find(|(of, _)| of.is_empty()).unwrap();
    let (_, printed) = blocks.find(|(of, _)| *of == "text").unwrap();
    author.write("greeter/tests/greet.toml", cases);
    let tried = author.shell("greeter", typed).await;
    assert_says(&tried, 0, &[]);
    assert_eq!(tried.out, printed);
}

#[tokio::test]
async fn new_takes_no_bad_name_and_overwrites_nothing() {
    let author = Author::new(weft());
    let new =
        async |name: &str, more: &[&str]| author.weft("", &[&["new", name, "--client", "ios"], more].concat()).await;
    assert_says(&new("Greeter", &[]).await, 2, &["`Greeter` is no plugin name: lower-case letters"]);
    assert_says(&new("../greeter", &[]).await, 2, &["is no plugin name"]);
    assert_says(&new("async", &[]).await, 2, &["`async` can't be the name of a crate: it is a word of Rust"]);
    for name in ["core", "weft-sdk"] {
        assert_says(&new(name, &[]).await, 2, &["it is a crate that the plugin uses itself"]);
    }
    let spaced = author.weft("", &["new", "greeter", "--client", "my tv"]).await;
    assert_says(&spaced, 2, &["`my tv` is no client: lower-case letters"]);
    assert_says(&new("greeter", &["--protos", "/nowhere/protos"]).await, 1, &["/nowhere/protos can't be found"]);
    assert_says(&new("greeter", &["--sdk", "."]).await, 2, &["`--sdk .`: there is no SDK"]);
    let cobol = new("greeter", &["--lang", "cobol"]).await;
    assert_says(&cobol, 2, &["there is no such language", "`rust`, `js` or `python`"]);
    assert_says(&new("greeter", &["--lang", "js", "--sdk", "crates"]).await, 2, &["`--sdk` is for plugins in Rust"]);
    let file = author.folder.join("file");
    std::fs::write(&file, "").unwrap();
    let mut unwritable = tokio::process::Command::new(weft());
    unwritable.args(["new", "greeter", "--client", "ios"]).current_dir(&author.folder).env("XDG_CACHE_HOME", &file);
    let why = format!("{}/weft/sdk can't be written", file.display());
    assert_says(&ended(&mut unwritable).await, 1, &[&why, "set XDG_CACHE_HOME"]);
    std::fs::remove_file(file).unwrap();
    assert_eq!(std::fs::read_dir(&author.folder).unwrap().count(), 0, "nothing half-made is left");

    assert_says(&new("greeter", &[]).await, 0, &[]);
    author.write("greeter/plugin.toml", "mine");
    assert_says(&new("greeter", &[]).await, 1, &["greeter is there already"]);
    assert_eq!(author.read("greeter/plugin.toml"), "mine");
}

/// What is committed says nothing of a machine: a clone elsewhere is made whole by the command, whichever cache it has.
#[tokio::test]
async fn a_clone_finds_the_sdk_and_others_may_be_named() {
    let author = Author::new(weft());
    author.begin("greeter", &["--client", "ios"]).await;
    let metadata = async |folder: &str| author.cargo(folder, &["metadata", "--offline", "--format-version", "1"]).await;
    std::fs::remove_dir_all(author.folder.join("greeter/.weft")).unwrap();
    let without = metadata("greeter").await;
    assert!(without.code != 0 && without.err.contains(".weft/sdk/rust"), "{without:?}");
    let linked = author.weft("greeter", &["sdk"]).await;
    assert!(linked.code == 0 && linked.out.starts_with(author.cache().to_str().unwrap()), "{linked:?}");
    let with = metadata("greeter").await;
    assert_eq!(with.code, 0, "{with:?}");
    let folder = linked.out.trim();
    let digest = folder.rsplit('-').next().unwrap();
    assert!(with.out.contains(&format!("\"version\":\"{}+{digest}\"", env!("CARGO_PKG_VERSION"))), "{}", with.out);

    // What `weft sdk` prints may be named as well, from wherever.
    let kept = author.weft("", &["new", "kept", "--client", "ios", "--sdk", folder]).await;
    assert_says(&kept, 0, &[]);
    author.lock("kept");
    assert_says(&metadata("kept").await, 0, &[]);
    assert!(!author.folder.join("kept/.weft").exists());
    assert_says(&author.weft("", &["new", "published", "--client", "ios", "--sdk", "crates"]).await, 0, &[]);
    let named = author.read("published/Cargo.toml");
    assert!(named.contains(&format!("weft-sdk = {:?}\n", env!("CARGO_PKG_VERSION"))), "{named}");
}

#[tokio::test]
async fn a_new_plugin_inside_of_a_companys_workspace_is_a_crate_that_cargo_takes() {
    let author = Author::new(weft());
    std::fs::create_dir_all(author.folder.join("company/services/films/src")).unwrap();
    author.write("company/Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"services/*\"]\n");
    author.write("company/services/films/Cargo.toml", "[package]\nname = \"films\"\nversion = \"1.0.0\"\n");
    author.write("company/services/films/src/lib.rs", "");
    let metadata = async |folder: &str| {
        let told = author.cargo(folder, &["metadata", "--no-deps", "--offline", "--format-version", "1"]).await;
        assert_eq!(told.code, 0, "{}", told.err);
        let told: Value = serde_json::from_str(&told.out).unwrap();
        told["workspace_root"].as_str().unwrap().trim_start_matches(author.folder.to_str().unwrap()).to_owned()
    };
    let new = async |folder: &str| author.weft(folder, &["new", "greeter", "--client", "ios"]).await;
    let made = new("company").await;
    assert!(made.out.contains("It is a workspace of its own") && made.out.contains("name it in `members`"), "{made:?}");
    assert_eq!(metadata("company/greeter").await, "/company/greeter");
    let made = new("company/services").await;
    assert!(made.code == 0 && made.out.contains("has got `.weft` in `exclude`"), "{made:?}");
    assert_eq!(metadata("company/services/greeter").await, "/company");
    let manifest = "[workspace]\nexclude = [\".weft\"]\nresolver = \"3\"\nmembers = [\"services/*\"]\n";
    assert_eq!(author.read("company/Cargo.toml"), manifest);
    let second = author.weft("company/services", &["new", "second", "--client", "tv"]).await;
    assert!(second.code == 0 && !second.out.contains("exclude"), "{second:?}");
    // With all that they depend on: both have the same SDK.
    author.lock("company");
    let whole = author.cargo("company", &["metadata", "--offline", "--format-version", "1"]).await;
    assert_says(&whole, 0, &[]);
}

const CODE: &str = r#"//! Looks for films.

use weft_sdk::prelude::*;

weft_sdk::clients!();

use catalog::v1::{Films, GetFilmRequest, SearchFilmsRequest};

/// A film's title.
#[get("/films/{id}")]
async fn film(Path(id): Path<u32>) -> Result<String> {
    Ok(Films::get_film(GetFilmRequest { id }).await?.title)
}

/// How many films have it in their titles.
#[get("/search/{text}")]
async fn search(Path(text): Path<String>) -> Result<String> {
    let found = Films::search_films(SearchFilmsRequest { query: text, page_size: 1 }).await?;
    Ok(found.films.len().to_string())
}

weft_sdk::plugin!(film, search);
"#;

const MANIFEST: &str = r#"[plugin]
name = "finder"
version = "0.1.0"
client = "ios"

[endpoint."GET /films/{id}"]
auth = "none"

[endpoint."GET /search/{text}"]
auth = "none"

[calls]
"catalog.v1.Films" = ["GetFilm", "SearchFilms"]
"#;

#[tokio::test]
async fn build_refuses_what_does_not_fit_and_says_where_and_why() {
    let author = Author::new(weft());
    let protos = repository().join("examples/protos");
    author.begin("finder", &["--client", "ios", "--protos", protos.to_str().unwrap()]).await;
    author.write("finder/src/lib.rs", CODE);
    std::fs::remove_dir_all(author.folder.join("finder/tests")).unwrap();
    let build = async |from: &str, to: &str| {
        assert!(MANIFEST.contains(from));
        author.write("finder/plugin.toml", &MANIFEST.replace(from, to));
        author.weft("finder", &["build"]).await
    };

    assert_says(&build("[calls]", "[calls").await, 2, &["plugin.toml:12: "]);
    let typo = build("auth = \"none\"", "auth = \"never\"\ntimout = \"1s\"").await;
    assert_says(
        &typo,
        2,
        &["plugin.toml:7: ", "plugin.toml:8: ", "unknown key; did you mean `timeout`?", "plugin.toml:11: "],
    );

    let renamed = build("GET /films/{id}", "GET /film/{id}").await;
    let there = "it has: \"GET /films/{id}\", \"GET /search/{text}\"";
    assert_says(
        &renamed,
        2,
        &["plugin.toml:6: ", "the code has no such endpoint", there, "add [endpoint.\"GET /films/{id}\"]"],
    );

    let unknown = build("\"GetFilm\"", "\"GetFlim\"").await;
    let why = "plugin.toml:13: [calls] \"catalog.v1.Films\" has no method \"GetFlim\". Did you mean \"GetFilm\"?";
    assert_says(&unknown, 1, &[why, "the plugin does not compile"]);
    let unknown = build("catalog.v1.Films", "catalog.v1.Movies").await;
    assert_says(&unknown, 1, &["plugin.toml:13: [calls] \"catalog.v1.Movies\": no proto has this service"]);

    let ungranted = build(", \"SearchFilms\"", "").await;
    let how = "to grant it, add it under [calls] in plugin.toml: \"catalog.v1.Films\" = [\"SearchFilms\", ..]";
    assert_says(
        &ungranted,
        1,
        &["`catalog.v1.Films/SearchFilms` is not granted to this plugin", "src/lib.rs:18:", how],
    );

    assert!(!author.target().join("weft/finder-0.1.0.wasm").exists(), "none of these made an artifact");
    assert_says(&author.weft("", &["build"]).await, 1, &["plugin.toml can't be read", "is . a plugin's folder?"]);
}

#[tokio::test]
async fn inspect_says_what_is_no_artifact() {
    let folder = tempfile::tempdir().unwrap();
    let junk = folder.path().join("junk.wasm");
    std::fs::write(&junk, "junk").unwrap();
    assert_says(&run(weft(), &["inspect", junk.to_str().unwrap()]).await, 1, &["junk.wasm is no artifact: "]);
    assert_says(&run(weft(), &["inspect", "/nowhere.wasm"]).await, 1, &["/nowhere.wasm can't be read"]);
}

#[tokio::test]
async fn check_proposes_batch_rules_that_can_be_pasted() {
    let check = async |setup: &Setup, more: &[&str]| {
        let folder = setup.write();
        run(weft(), &[&["check", "--config", folder.config().to_str().unwrap()], more].concat()).await
    };
    let setup = Setup::new().one_backend("127.0.0.1:1", "").plugin("probe.wasm", &probe());
    let found = check(&setup, &["--json"]).await;
    assert_eq!(found.code, 0, "{found:?}");
    let found: Value = serde_json::from_str(&found.out).unwrap();
    let rule = |via: &str, items: &str| {
        format!(
            "batch = {{ via = \"{via}\", key = \"id\", keys = \"ids\", items = \"{items}\", item-key = \"id\", missing = \"fails\", max = 100 }}"
        )
    };
    let expected = [(GET_FILM, rule("BatchGetFilms", "films")), (GET_PERSON, rule("BatchGetPeople", "people"))]
        .map(|(method, rule)| (format!("[backend.fake.method.\"{method}\"]"), rule));
    assert_eq!(found["proposals"], json!(expected.clone().into_iter().collect::<std::collections::BTreeMap<_, _>>()));

    let text = check(&setup, &[]).await.out;
    for (table, rule) in &expected {
        assert!(text.contains(&format!("\n{table}\n{rule}\n")), "{text}");
    }
    let pasted: String = expected.iter().map(|(table, rule)| format!("{table}\n{rule}\n")).collect();
    let after = check(&setup.more(&pasted), &["--json"]).await;
    let after: Value = serde_json::from_str(&after.out).unwrap();
    assert_eq!((&after["mistakes"], &after["proposals"]), (&json!([]), &json!({})));
    // Some of its endpoints take anybody, and these rules share within an identity.
    let warnings: Vec<_> = after["warnings"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("may be anonymous") && warnings[0].contains("set scope = \"public\""), "{warnings:?}");
    let public = pasted.replace("batch = {", "scope = \"public\"\nbatch = {");
    let setup = Setup::new().one_backend("127.0.0.1:1", &public).plugin("probe.wasm", &probe());
    let shared: Value = serde_json::from_str(&check(&setup, &["--json"]).await.out).unwrap();
    assert_eq!(shared["warnings"], json!([]));
}
