//! Plugins in other languages than Rust: they build by the tools of their language, and the sandbox holds them as it holds all others.

mod javascript;
mod mistakes;
mod python;

use crate::support::weft;
use bytes::Bytes;
use serde_json::Value;
use weft_tests::{
    artifacts::{built, with_manifest},
    author::Author,
    demo::Demo,
    program,
};

/// Whether there is what plugins in JavaScript are built with; said loudly where not.
pub(crate) fn has_node() -> bool {
    ["node", "npm"].map(program::find).iter().all(Option::is_some)
}

/// Likewise for Python.
fn has_python() -> bool {
    let ensures = std::process::Command::new("python3").args(["-c", "import ensurepip, venv"]).output();
    let is_there = ensures.is_ok_and(|output| output.status.success());
    if !is_there {
        program::missing("python3 with venv and pip");
    }
    is_there
}

/// A plugin of the desk with this code, built; `more` is put into its plugin.toml.
async fn plugin(author: &Author, name: &str, code: &str, more: &str) -> Bytes {
    let endpoints = code.lines().filter_map(|line| {
        let (method, rest) = line.trim_start_matches('@').strip_prefix("app.")?.split_once("(\"")?;
        Some(format!("[endpoint.\"{} {}\"]\nauth = \"none\"\n", method.to_uppercase(), rest.split_once('"')?.0))
    });
    let endpoints: String = endpoints.collect();
    let manifest = format!("[plugin]\nname = \"{name}\"\nversion = \"0.1.0\"\nclient = \"test\"\n{endpoints}{more}");
    let lang = if code.contains("async def ") { "python" } else { "js" };
    if !author.folder.join(name).exists() {
        let made = author.weft("", &["new", name, "--client", "test", "--lang", lang]).await;
        assert_eq!(made.code, 0, "{made:?}");
    }
    author.write(&format!("{name}/plugin.toml"), &manifest);
    match lang {
        "python" => author.write(&format!("{name}/src/main.py"), code),
        _ => author.write(&format!("{name}/src/main.js"), &format!("{CODE}{code}\nexport default app;\n")),
    }
    let built = author.weft(name, &["build"]).await;
    assert_eq!(built.code, 0, "{}\n{}", built.out, built.err);
    std::fs::read(author.folder.join(format!("{name}/target/weft/{name}-0.1.0.wasm"))).unwrap().into()
}

const CODE: &str =
    "import { Answer, App, cache, config, log, Problem, t } from \"weft-sdk\";\nconst app = new App();\n";

fn author() -> Author {
    Author::new(weft())
}

/// With each number as JavaScript has it: 4 is 4.0.
fn plain(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or(Value::Null, Value::from),
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
        other => other.clone(),
    }
}

/// The demo's pages of a plugin in this folder: the same answers as the plugin in Rust gives, in as many rounds.
async fn compare_with_the_demo(plugin: &str) {
    let demo = Demo::start().await;
    let artifact = with_manifest(&built(weft(), plugin), |manifest| {
        for (_, endpoint) in manifest["endpoint"].as_table_mut().unwrap() {
            endpoint["timeout"] = "30s".into();
        }
    });
    let host = demo.shown().plugin("home-web-own.wasm", &artifact).start().await;
    let mut compared = 0;
    for case in demo::cases() {
        if !["web-home", "web-home-signed-in", "web-film", "unknown-film"].contains(&case.name) {
            continue;
        }
        let request = host.web().request(case.method, case.path);
        let request = case.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        let reply = request.send().await;
        assert_eq!(reply.status, case.status, "{}: {}", case.name, String::from_utf8_lossy(&reply.body));
        if case.status == 200 {
            assert_eq!(plain(&reply.json()), plain(case.expected.as_ref().unwrap()), "{}", case.name);
            assert_eq!(reply.header("x-weft-degraded"), None);
            compared += 1;
        }
    }
    assert_eq!(compared, 3);

    // As many rounds as in Rust, and no call for what nobody asked for.
    let timing = host.web().request("GET", "/web/films/52").send().await.header("server-timing").unwrap().to_owned();
    assert!(timing.contains("depth 3"), "{timing}");
    demo.reset();
    let part = host.web().request("GET", "/web/films/53?fields=title").send().await;
    assert_eq!(part.json().as_object().unwrap().keys().collect::<Vec<_>>(), ["title"]);
    assert_eq!((demo.count("reviews.v1.Reviews/ListReviews"), demo.total()), (0, 1));
}

/// `weft test` tells of a variable that keeps what another caller has sent, where instances are used again: this plugin has one.
async fn weft_test_finds_what_is_kept(probe: &Bytes) {
    let author = author();
    let case = "[[case]]\nname = \"remembers\"\nrequest = \"GET /remember/ann\"\n[case.expect]\nstatus = 200\n";
    std::fs::create_dir_all(author.folder.join("kept/tests")).unwrap();
    author.write("kept/tests/remember.toml", case);
    author.write("kept/plugin.toml", "[plugin]\nname = \"probe\"\nversion = \"0.1.0\"\nclient = \"test\"\n");
    std::fs::write(author.folder.join("kept/probe.wasm"), probe).unwrap();
    let tested = author.weft("kept", &["test", "--artifact", "probe.wasm", "--only", "remembers"]).await;
    let told = "after another caller's request on the same instance the answer is another one: {\"before\":\"ann\"} and not {\"before\":\"nobody\"}";
    assert!(tested.code == 1 && tested.out.contains(told), "{}\n{}", tested.out, tested.err);
}
