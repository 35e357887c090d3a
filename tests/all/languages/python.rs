//! Plugins in Python, from the first command to a host.

use super::{author, has_python, plugin};
use crate::support::GET_FILM;
use bytes::Bytes;
use demo_services::proto::catalog::v1::Film;
use serde_json::{Value, json};
use tokio::{
    process::Command,
    sync::{Mutex, OnceCell},
};
use weft_tests::{
    artifacts::with_manifest,
    host::TestHost,
    process::ended,
    repository,
    setup::Setup,
    upstream::{Answer, FakeUpstream},
};

#[tokio::test]
async fn the_sdks_own_tests_pass() {
    if !has_python() {
        return;
    }
    let mut python = Command::new("python3");
    python
        .args(["-B", "-m", "unittest", "discover", "-s", "tests", "-t", "."])
        .current_dir(repository().join("sdk/python"));
    let tested = ended(&mut python).await;
    assert_eq!(tested.code, 0, "{}\n{}", tested.out, tested.err);
}

/// What the page says to write is written, and what it says to run is run.
#[tokio::test]
async fn the_page_works_as_it_is_written() {
    if !has_python() {
        return;
    }
    let page = std::fs::read_to_string(repository().join("docs/authors/python.md")).unwrap();
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
    assert!(manifest.contains("isolation = \"request\"") && manifest.contains("gives it to strangers"), "{manifest}");
    // As it was made it tests, too.
    let tested = author.shell("greeter", "weft sdk\n.venv/bin/python -m unittest discover tests\n").await;
    assert!(tested.code == 0 && tested.err.contains("Ran 1 test"), "{tested:?}");

    author.write("greeter/plugin.toml", &manifest.replacen("[calls]\n", granted, 1));
    author.write("greeter/src/main.py", code);
    author.write("greeter/tests/test_greet.py", test);
    let built = author.shell("", &format!("{weft}{build}")).await;
    assert_eq!(built.code, 0, "{}\n{}", built.out, built.err);
    assert!(built.err.contains("Ran 1 test"), "{}", built.err);
    let artifact = std::fs::read(author.folder.join("weft/target/weft/greeter-0.1.0.wasm")).unwrap();

    let upstream = FakeUpstream::start().await;
    upstream.on(GET_FILM, |_| Answer::message(&Film { title: "The Godfather".to_owned(), ..Film::default() }));
    let setup =
        Setup::new().clients("[[client]]\nname = \"web\"\nprefix = \"/web\"\n").one_backend(upstream.address(), "");
    let host = setup.plugin("greeter.wasm", &artifact.into()).start().await;
    let path = call.trim().strip_prefix("curl localhost:8080").unwrap();
    let greeting = host.get(path).send().await.ok().json();
    assert_eq!(greeting, serde_json::from_str::<Value>(answer).unwrap());
    let long = host.get(&format!("/web/greetings/{}", "a".repeat(101))).send().await.problem(400);
    assert_eq!(long["detail"], "path.name: is longer than 100 characters");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demos_pages_are_those_that_the_plugin_in_rust_makes() {
    if has_python() {
        super::compare_with_the_demo("plugins/home-web-python").await;
    }
}

const PROBE: &str = r#"
import os, random, secrets, time, uuid, json
from weft_sdk import Answer, App, Request, cache, log, sleep, gather
from weft_sdk.tasks import Future

app = App()
seen = "nobody"

@app.get("/random")
async def chance() -> dict:
    return {"random": random.random(), "uuid": str(uuid.uuid4()), "bytes": list(os.urandom(8)), "token": secrets.token_hex(8), "own": random.Random().random()}

@app.get("/hash")
async def hashed() -> dict:
    return {"hash": hash("weft")}

@app.get("/time")
async def clocks() -> dict:
    at = time.monotonic()
    await gather(sleep(0.02), sleep(0.01))
    return {"waited": time.monotonic() - at, "now": time.time()}

@app.get("/remember/{who}")
async def remember(who: str) -> dict:
    global seen
    before, seen = seen, who
    return {"before": before}

@app.get("/loop")
async def loop() -> None:
    while True:
        pass

@app.get("/loop-of-tasks")
async def loop_of_tasks() -> None:
    while True:
        await sleep(0)

@app.get("/grow")
async def grow() -> None:
    everything = []
    while True:
        everything.append("x" * 100_000)

@app.get("/deep")
async def deep() -> int:
    def down(n: int) -> int:
        return down(n + 1) + 1
    return down(0)

@app.get("/deep-in-c")
async def deep_in_c() -> None:
    json.loads("[" * 1_000_000)

@app.get("/deep-repr")
async def deep_repr() -> None:
    inner: list = []
    for _ in range(100_000):
        inner = [inner]
    repr(inner)

@app.get("/deep-sort")
async def deep_sort() -> None:
    class Odd:
        def __lt__(self, other):
            return sorted([Odd(), Odd()]) and True
    sorted([Odd(), Odd()])

@app.get("/stuck")
async def stuck() -> None:
    await Future()

@app.get("/raise")
async def fails() -> None:
    raise RuntimeError("a secret")

@app.get("/exit")
async def leaves() -> None:
    raise SystemExit(3)

@app.get("/late-import")
async def late() -> None:
    import wave

@app.get("/asyncio")
async def foreign() -> None:
    import asyncio
    await asyncio.sleep(0)

@app.get("/text")
async def text(text: str) -> dict:
    return {"echo": text, "length": len(text)}

@app.get("/nested")
async def nested(depth: int) -> dict:
    return {"depth": len(json.dumps(json.loads("[" * depth + "]" * depth)))}

@app.get("/cached")
async def cached() -> dict:
    before = cache.get("n", scope="public") or 0
    cache.set("n", before + 1, ttl=60, scope="public")
    return {"before": cache.get("n", scope="public")}

@app.post("/body")
async def taken(body: dict) -> int:
    return len(body)

@app.post("/echo")
async def echo(request: Request) -> Answer:
    async def numbers():
        yield 1
    async for one in numbers():
        log.info("one", one=one)
    return Answer(request.body)
"#;

/// Built once: making it and compiling it take half a minute of CPU time.
async fn artifact(isolation: &str) -> Bytes {
    static BUILT: OnceCell<Bytes> = OnceCell::const_new();
    let built = BUILT.get_or_init(async || {
        let limits = "[limits]\ncpu = \"250ms\"\nmemory = \"48MiB\"\nisolation = \"request\"\n";
        plugin(&author(), "probe-python", PROBE, limits).await
    });
    with_manifest(built.await, |manifest| manifest["limits"]["isolation"] = isolation.into())
}

async fn probe(isolation: &str) -> TestHost {
    // Compiled once: who comes meanwhile waits, and finds it.
    static COMPILING: Mutex<()> = Mutex::const_new(());
    let _turn = COMPILING.lock().await;
    Setup::new().plugin("probe.wasm", &artifact(isolation).await).start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_guest_does_wrong_is_told_and_ends_with_its_request() {
    if !has_python() {
        return;
    }
    let host = probe("request").await;
    let harm = [
        ("/loop", 504, "the plugin used up its CPU time (cpu = \"250ms\" in [limits] of plugin.toml)"),
        ("/grow", 502, "the plugin used up its memory (memory = \"48MiB\" in [limits] of plugin.toml)"),
        ("/stuck", 500, "the plugin failed"),
        ("/raise", 500, "the plugin failed"),
        ("/exit", 500, "the plugin failed"),
        ("/late-import", 500, "the plugin failed"),
        ("/asyncio", 500, "the plugin failed"),
        ("/deep", 500, "the plugin failed"),
        // The stack of WebAssembly ends before CPython finds that its own does.
        ("/deep-in-c", 502, "the plugin failed"),
        ("/deep-repr", 502, "the plugin failed"),
        ("/deep-sort", 502, "the plugin failed"),
    ];
    for (path, status, detail) in harm {
        let problem = host.get(path).send().await.problem(status);
        assert_eq!(problem["detail"], detail, "{path}: {problem}");
        assert!(!problem.to_string().contains("secret"), "{problem}");
        let text = host.get("/text?text=Gr%C3%BC%C3%9Fe%20%F0%9F%8E%AC").send().await.ok().json();
        assert_eq!(text, json!({ "echo": "Grüße 🎬", "length": 7 }), "after {path}");
    }
    let deep = host.post("/body").header("content-type", "application/json").body("[".repeat(100_000)).send().await;
    assert_eq!(deep.problem(400)["detail"], "body: is nested deeper than 250");
    // What people send is not so deep that a stack of this size would not take it.
    assert_eq!(host.get("/nested?depth=200").send().await.ok().json(), json!({ "depth": 400 }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chance_and_time_are_the_hosts_in_each_instance() {
    if !has_python() {
        return;
    }
    for isolation in ["request", "reuse"] {
        let host = probe(isolation).await;
        let [one, other] = [host.get("/random").send().await.ok().json(), host.get("/random").send().await.ok().json()];
        for what in ["random", "uuid", "bytes", "token", "own"] {
            assert_ne!(one[what], other[what], "{what} with isolation = {isolation:?}");
        }
        assert!((0.0..1.0).contains(&one["random"].as_f64().unwrap()), "{one}");
        let time = host.get("/time").send().await.ok().json();
        assert!(time["waited"].as_f64().unwrap() >= 0.02, "{time}");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((time["now"].as_f64().unwrap() - now).abs() < 600.0, "{time}");
    }
}

/// The docs show this line as what not to write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_variable_of_the_module_leaks_where_instances_are_reused_and_nowhere_else() {
    if !has_python() {
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
    if has_python() {
        super::weft_test_finds_what_is_kept(&artifact("reuse").await).await;
    }
}
