//! Plugins in JavaScript, from the first command to a host.

use super::{author, has_node, plugin};
use crate::support::GET_FILM;
use bytes::Bytes;
use demo_services::proto::catalog::v1::Film;
use serde_json::{Value, json};
use weft_tests::{
    host::TestHost,
    node,
    process::ended,
    repository,
    setup::Setup,
    upstream::{Answer, FakeUpstream},
};

#[tokio::test]
async fn a_new_plugin_tests_builds_and_serves_as_it_is() {
    if !has_node() {
        return;
    }
    let author = author();
    let made = author.weft("", &["new", "greeter", "--client", "ios", "--lang", "js"]).await;
    assert_eq!(made.code, 0, "{made:?}");
    let typed = made.out.split_once("is ready:\n").unwrap().1;
    let manifest = author.read("greeter/plugin.toml");
    assert!(manifest.contains("isolation = \"request\"") && manifest.contains("gives it to strangers"), "{manifest}");

    // What it says to type is typed.
    let ended = author.shell("", typed).await;
    assert_eq!(ended.code, 0, "{}\n{}", ended.out, ended.err);
    assert!(ended.out.contains("pass 1") && ended.out.contains("fail 0"), "{}", ended.out);
    assert!(
        ended.err.contains("greeter/target/weft/greeter-0.1.0.wasm")
            || ended.err.contains("target/weft/greeter-0.1.0.wasm"),
        "{}",
        ended.err
    );

    let artifact = std::fs::read(author.folder.join("greeter/target/weft/greeter-0.1.0.wasm")).unwrap();
    let setup = Setup::new().clients("[[client]]\nname = \"ios\"\nprefix = \"/ios\"\n");
    let host = setup.plugin("greeter.wasm", &artifact.into()).start().await;
    assert_eq!(host.get("/ios/greetings/ann").send().await.ok().json(), json!({ "text": "Hello, ann!" }));
    let long = host.get(&format!("/ios/greetings/{}", "a".repeat(101))).send().await.problem(400);
    assert_eq!(
        (&long["field"], &long["detail"]),
        (&json!("path.name"), &json!("path.name: is longer than 100 characters"))
    );
}

/// Of the SDK and of the clients that are made: what fits is taken, and what does not is refused.
#[tokio::test]
async fn types_are_those_that_run() {
    let (true, Some(typescript), Some(mut node)) = (has_node(), node::package("typescript"), node::node()) else {
        return;
    };
    let author = author();
    let protos = repository().join("examples/protos");
    let new = ["new", "greeter", "--client", "ios", "--lang", "js", "--protos", protos.to_str().unwrap()];
    assert_eq!(author.weft("", &new).await.code, 0);
    let calls = "\"catalog.v1.Films\" = [\"GetFilm\"]\n\"reviews.v1.Reviews\" = [\"GetSummary\", \"ListReviews\"]\n";
    let manifest = author.read("greeter/plugin.toml");
    author.write("greeter/plugin.toml", &manifest.replace("[calls]\n", &format!("[calls]\n{calls}")));
    author.write("greeter/src/main.ts", include_str!("types.ts"));
    let made = author.shell("greeter", "npm install --silent\nweft sdk .\n").await;
    assert_eq!(made.code, 0, "{made:?}");
    let flags =
        ["--noEmit", "--strict", "--target", "es2023", "--module", "nodenext", "--moduleResolution", "nodenext"];
    node.arg(typescript.join("bin/tsc")).args(flags).arg("src/main.ts").current_dir(author.folder.join("greeter"));
    let checked = ended(&mut node).await;
    assert_eq!(checked.code, 0, "{}", checked.out);

    // A project that says so has them looked at by `weft build`.
    let code = author.read("greeter/src/main.js");
    std::fs::remove_file(author.folder.join("greeter/src/main.js")).unwrap();
    author.write("greeter/src/main.ts", &format!("{code}\nexport const wrong: number = \"text\";\n"));
    let options = json!({ "strict": true, "target": "es2023", "module": "nodenext", "moduleResolution": "nodenext" });
    author.write("greeter/tsconfig.json", &json!({ "compilerOptions": options, "include": ["src"] }).to_string());
    let built = author.weft("greeter", &["build", "--out", "."]).await;
    let warned = "warning: there is a tsconfig.json, and no TypeScript that could check the types: `npm install --save-dev typescript`";
    assert!(built.code == 0 && built.err.contains(warned), "{built:?}");
    std::os::unix::fs::symlink(&typescript, author.folder.join("greeter/node_modules/typescript")).unwrap();
    let built = author.weft("greeter", &["build", "--out", "other"]).await;
    let told = [
        "the types do not fit (`npx tsc --noEmit`):\nsrc/main.ts(",
        "error TS2322: Type 'string' is not assignable to type 'number'.",
    ];
    assert!(built.code == 1 && told.iter().all(|told| built.err.contains(told)), "{}", built.err);
    assert!(!author.folder.join("greeter/other").exists());
    author.write("greeter/src/main.ts", &code);
    assert_eq!(author.weft("greeter", &["build", "--out", "other"]).await.code, 0);
}

#[tokio::test]
async fn the_sdks_own_tests_pass() {
    let Some(mut node) = node::node() else { return };
    let tested = ended(node.arg("--test").current_dir(repository().join("sdk/js"))).await;
    assert_eq!(tested.code, 0, "{}", tested.out);
}

/// What assistants go by is a plugin that passes its test.
#[tokio::test]
async fn the_rules_for_agents_are_code_that_runs() {
    if !has_node() {
        return;
    }
    let author = author();
    let protos = repository().join("examples/protos");
    let new = ["new", "greeter", "--client", "web", "--lang", "js", "--protos", protos.to_str().unwrap()];
    assert_eq!(author.weft("", &new).await.code, 0);
    let rules = author.read("greeter/AGENTS.md");
    let blocks: Vec<_> = rules.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n')).collect();
    let [("", commands), ("toml", policy), ("js", code), ("js", test)] = blocks.as_slice() else {
        panic!("{blocks:#?}")
    };
    let manifest = author.read("greeter/plugin.toml");
    let (plugin, rest) = manifest.split_once("[endpoint").unwrap();
    let (_, limits) = rest.split_once("[limits]").unwrap();
    author.write("greeter/plugin.toml", &format!("{plugin}{policy}[limits]{limits}"));
    author.write("greeter/src/main.js", code);
    author.write("greeter/test/greet.test.js", test);
    author.write(
        "greeter/tests/greet.toml",
        "[[case]]\nname = \"a film\"\nrequest = \"GET /films/1\"\n[case.expect]\nstatus = 200\n",
    );
    let ended = author.shell("greeter", &format!("npm install --silent\n{commands}")).await;
    assert_eq!(ended.code, 0, "{}\n{}", ended.out, ended.err);
    assert!(ended.out.contains("pass 1") && ended.out.contains("0 failed"), "{}", ended.out);
    let pages = author.read("greeter/llms.txt");
    for link in pages.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
        assert!(author.folder.join("greeter").join(link).exists(), "{link}");
    }
}

/// What the page says to write is written, and what it says to run is run.
#[tokio::test]
async fn the_page_works_as_it_is_written() {
    if !has_node() {
        return;
    }
    let page = std::fs::read_to_string(repository().join("docs/authors/javascript.md")).unwrap();
    let (page, _) = page.split_once("## Endpoints").unwrap();
    let blocks: Vec<_> = page.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n')).collect();
    let [(_, _demo), (_, begin), (_, granted), (_, code), (_, test), (_, build), (_, call), (_, answer)] =
        blocks.as_slice()
    else {
        panic!("{blocks:#?}")
    };
    let author = author();
    let weft = format!("export WEFT='{}'\n", author.folder.join("weft").display());
    std::fs::create_dir(author.folder.join("weft")).unwrap();
    std::os::unix::fs::symlink(repository().join("examples"), author.folder.join("weft/examples")).unwrap();
    let begun = author.shell("", &format!("{weft}{begin}")).await;
    assert_eq!(begun.code, 0, "{begun:?}");
    let manifest = author.read("greeter/plugin.toml");
    author.write("greeter/plugin.toml", &manifest.replacen("[calls]\n", granted, 1));
    author.write("greeter/src/main.js", code);
    author.write("greeter/test/greet.test.js", test);
    let built = author.shell("", &format!("{weft}{build}")).await;
    assert_eq!(built.code, 0, "{}\n{}", built.out, built.err);
    assert!(built.out.contains("pass 1"), "{}", built.out);
    let artifact = std::fs::read(author.folder.join("weft/target/weft/greeter-0.1.0.wasm")).unwrap();

    let upstream = FakeUpstream::start().await;
    upstream.on(GET_FILM, |_| Answer::message(&Film { title: "The Godfather".to_owned(), ..Film::default() }));
    let setup =
        Setup::new().clients("[[client]]\nname = \"web\"\nprefix = \"/web\"\n").one_backend(upstream.address(), "");
    let host = setup.plugin("greeter.wasm", &artifact.into()).start().await;
    let path = call.trim().strip_prefix("curl localhost:8080").unwrap();
    let greeting = host.get(path).send().await.ok().json();
    assert_eq!(greeting, serde_json::from_str::<Value>(answer).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demos_pages_are_those_that_the_plugin_in_rust_makes() {
    if !has_node() {
        return;
    }
    super::compare_with_the_demo("plugins/home-web-js").await;
}

const PROBE: &str = r#"
let seen = "nobody";
app.get("/random", () => ({ random: Math.random(), uuid: crypto.randomUUID(), bytes: [...crypto.getRandomValues(new Uint8Array(8))] }));
app.get("/time", async () => { const at = performance.now(); await new Promise((wake) => setTimeout(wake, 20)); return { waited: performance.now() - at, now: Date.now() }; });
app.get("/remember/{who}", ({ params }) => { const before = seen; seen = params.who; return { before }; });
app.get("/loop", () => { for (;;); });
app.get("/loop-of-jobs", async () => { for (;;) await null; });
app.get("/grow", () => { const all = []; for (;;) all.push("x".repeat(10_000)); });
app.get("/deep", () => { const down = (n) => down(n + 1) + 1; return down(0); });
app.get("/stuck", () => new Promise(() => {}));
app.get("/throw", () => { throw new Error("a secret"); });
app.get("/text", ({ query }) => ({ echo: query.text, length: query.text.length }));
app.get("/cached", () => { const before = cache.get("n") ?? 0; cache.set("n", before + 1, { ttlMs: 60_000, scope: "public" }); return { before: cache.get("n", { scope: "public" }) }; });
app.post("/echo", async ({ rawBody }) => { for await (const one of (async function* () { yield 1; })()) log.info("one", { one }); return new Answer(rawBody); });
"#;

async fn artifact(isolation: &str) -> Bytes {
    let limits = format!("[limits]\ncpu = \"300ms\"\nmemory = \"16MiB\"\nisolation = \"{isolation}\"\n");
    plugin(&author(), "probe", PROBE, &limits).await
}

async fn probe(isolation: &str) -> TestHost {
    Setup::new().plugin("probe.wasm", &artifact(isolation).await).start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_guest_does_wrong_is_told_and_ends_with_its_request() {
    if !has_node() {
        return;
    }
    let host = probe("request").await;
    let harm = [
        ("/loop", 504, "the plugin used up its CPU time (cpu = \"300ms\" in [limits] of plugin.toml)"),
        ("/loop-of-jobs", 504, "the plugin used up its CPU time (cpu = \"300ms\" in [limits] of plugin.toml)"),
        ("/grow", 502, "the plugin used up its memory (memory = \"16MiB\" in [limits] of plugin.toml)"),
        ("/stuck", 500, "the plugin failed"),
        ("/throw", 500, "the plugin failed"),
        // The stack of WebAssembly ends before that of the engine does.
        ("/deep", 502, "the plugin failed"),
    ];
    for (path, status, detail) in harm {
        let problem = host.get(path).send().await.problem(status);
        assert_eq!(problem["detail"], detail, "{path}: {problem}");
        assert!(!problem.to_string().contains("secret"), "{problem}");
        let text = host.get("/text?text=Gr%C3%BC%C3%9Fe%20%F0%9F%8E%AC").send().await.ok().json();
        assert_eq!(text, json!({ "echo": "Grüße 🎬", "length": 8 }), "after {path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chance_and_time_are_the_hosts_in_each_instance() {
    if !has_node() {
        return;
    }
    for isolation in ["request", "reuse"] {
        let host = probe(isolation).await;
        let [one, other] = [host.get("/random").send().await.ok().json(), host.get("/random").send().await.ok().json()];
        for what in ["random", "uuid", "bytes"] {
            assert_ne!(one[what], other[what], "{what} with isolation = {isolation:?}");
        }
        assert!((0.0..1.0).contains(&one["random"].as_f64().unwrap()), "{one}");
        let time = host.get("/time").send().await.ok().json();
        assert!(time["waited"].as_f64().unwrap() >= 20.0, "{time}");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((time["now"].as_f64().unwrap() / 1e3 - now).abs() < 600.0, "{time}");
    }
}

/// The docs show this line as what not to write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_variable_of_the_module_leaks_where_instances_are_reused_and_nowhere_else() {
    if !has_node() {
        return;
    }
    for (isolation, leaked) in [("request", "nobody"), ("reuse", "ann")] {
        let host = probe(isolation).await;
        assert_eq!(host.get("/remember/ann").send().await.ok().json(), json!({ "before": "nobody" }));
        assert_eq!(host.get("/remember/bob").send().await.ok().json(), json!({ "before": leaked }), "{isolation}");
        let body = host.post("/echo").header("content-type", "application/json").body("Grüße").send().await;
        assert_eq!(body.status, 200);
        assert_eq!(&body.body[..], "Grüße".as_bytes());
        assert_eq!(host.get("/cached").send().await.ok().json(), json!({ "before": 1 }));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weft_test_finds_what_a_variable_keeps() {
    if has_node() {
        super::weft_test_finds_what_is_kept(&artifact("reuse").await).await;
    }
}
