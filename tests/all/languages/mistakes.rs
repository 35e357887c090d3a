//! What is wrong with a plugin, or with the machine that builds it, is told with its place and what mends it.

use super::{author, has_node, has_python};
use crate::support::weft;
use tokio::process::Command;
use weft_tests::{author::Author, process::ended};

const HEAD: &str =
    "import { App, t } from \"weft-sdk\";\nconst app = new App();\napp.get(\"/greetings/{name}\", () => ({}));\n";
const TAIL: &str = "export default app;\n";

/// The code between; what the build says of it.
const CODE: [(&str, &[&str]); 7] = [
    ("const x = ;\n", &["src/main.js:4:10:", "Unexpected \";\""]),
    (
        "import fs from \"node:fs\";\n",
        &["src/main.js:4:15", "node:fs is a module of Node, and there is no Node in the sandbox"],
    ),
    ("import x from \"left-pad\";\n", &["src/main.js:4:14", "Could not resolve \"left-pad\""]),
    ("await null;\n", &["src/main.js:4:0", "Top-level await is not available"]),
    ("throw new Error(\"no\");\n", &["src/main.js can't be loaded", "Error: no"]),
    (
        "export const x = Math.random();\n",
        &["Math.random() outside of a handler would give every instance the same value"],
    ),
    ("app.get(\"/more\", { respons: t.any() }, () => 1);\n", &["GET /more: there is no option `respons`"]),
];

#[tokio::test]
async fn mistakes_in_the_code_are_told_where_they_stand() {
    if !has_node() {
        return;
    }
    let author = author();
    assert_eq!(author.weft("", &["new", "greeter", "--client", "ios", "--lang", "js"]).await.code, 0);
    for (code, told) in CODE {
        author.write("greeter/src/main.js", &format!("{HEAD}{code}{TAIL}"));
        let built = author.weft("greeter", &["build"]).await;
        assert_ne!(built.code, 0, "{code}: {built:?}");
        for text in told {
            assert!(built.err.contains(text), "{code}: no {text:?} in\n{}", built.err);
        }
        assert!(!built.err.contains("node:internal"), "a trace of ours: {}", built.err);
        assert!(!author.folder.join("greeter/target").exists(), "{code}: something was written");
    }
    declared_here_and_not_there(&author).await;
    other_tools(&author).await;
}

async fn declared_here_and_not_there(author: &Author) {
    author.write("greeter/src/main.js", &format!("{HEAD}{TAIL}"));
    let manifest = author.read("greeter/plugin.toml");
    author.write("greeter/plugin.toml", &format!("{manifest}\n[endpoint.\"GET /more\"]\nauth = \"none\"\n"));
    let built = author.weft("greeter", &["build"]).await;
    assert_eq!(built.code, 2, "{built:?}");
    assert!(built.err.contains("plugin.toml:") && built.err.contains("GET /more"), "{}", built.err);
    author.write("greeter/plugin.toml", &manifest.replace("[calls]", "[calls]\n\"a.v1.B\" = [\"C\"]"));
    let built = author.weft("greeter", &["build"]).await;
    assert_eq!(built.code, 1, "{built:?}");
    assert!(built.err.contains("[calls] \"a.v1.B\": no proto has this service"), "{}", built.err);
    author.write("greeter/plugin.toml", &manifest);
}

async fn other_tools(author: &Author) {
    let package = author.read("greeter/package.json");
    author.write("greeter/package.json", &package.replace("\"esbuild\": \"0.28.2\"", "\"esbuild\": \"0.28.1\""));
    assert_eq!(author.shell("greeter", "npm install --silent").await.code, 0);
    let built = author.weft("greeter", &["build"]).await;
    let told = "this weft builds with esbuild 0.28.2, which is 0.28.1 after `npm install`: run `npm install --save-dev --save-exact esbuild@0.28.2`";
    assert!(built.code == 1 && built.err.contains(told), "{built:?}");
    author.write("greeter/package.json", &package);
}

const PYTHON: &str = "from weft_sdk import App\napp = App()\n@app.get(\"/greetings/{name}\")\nasync def greet(name: str) -> str:\n    return name\n";

/// What follows; what the build says of it.
const PYTHONS: [(&str, &[&str]); 7] = [
    ("x = ;\n", &["src/main.py can't be loaded: src/main.py:6:5: SyntaxError: invalid syntax"]),
    ("import left_pad\n", &["src/main.py:6: ModuleNotFoundError: No module named 'left_pad'"]),
    ("raise ValueError(\"no\")\n", &["src/main.py:6: ValueError: no"]),
    (
        "import random\nx = random.random()\n",
        &["src/main.py:7:", "random.random() outside of a handler would give every instance the same"],
    ),
    ("import uuid\nx = uuid.uuid4()\n", &["src/main.py:7:", "os.urandom() outside of a handler"]),
    ("del app\n", &["src/main.py: there is no App in it: begin it with `app = App()`"]),
    (
        "@app.get(\"/more\")\nasync def more(x: set[int]) -> str: ...\n",
        &["GET /more: `x`: there is no JSON for set[int]"],
    ),
];

#[tokio::test]
async fn mistakes_in_python_are_told_where_they_stand() {
    if !has_python() {
        return;
    }
    let author = author();
    assert_eq!(author.weft("", &["new", "greeter", "--client", "ios", "--lang", "python"]).await.code, 0);
    for (code, told) in PYTHONS {
        author.write("greeter/src/main.py", &format!("{PYTHON}{code}"));
        let built = author.weft("greeter", &["build"]).await;
        assert_ne!(built.code, 0, "{code}: {built:?}");
        for text in told {
            assert!(built.err.contains(text), "{code}: no {text:?} in\n{}", built.err);
        }
        assert!(!built.err.contains("weft_sdk/_build"), "a trace of ours: {}", built.err);
        assert!(!author.folder.join("greeter/target").exists(), "{code}: something was written");
    }
    author.write("greeter/src/main.py", PYTHON);
    let project = author.read("greeter/pyproject.toml");
    author.write("greeter/pyproject.toml", &project.replace("protos = [\"protos\"]", "protos = \"protos\""));
    let built = author.weft("greeter", &["build"]).await;
    assert!(built.code == 1 && built.err.contains("pyproject.toml:9: tool.weft.protos"), "{built:?}");
    author.write("greeter/pyproject.toml", &project);
    // What the environment lacks is told with what mends it, and nothing half-made is left.
    std::fs::remove_dir_all(author.folder.join("greeter/.venv")).unwrap();
    let programs = author.folder.join("programs");
    std::fs::create_dir(&programs).unwrap();
    for (script, told) in [
        ("echo 'Python 3.8.1'", "this is Python 3.8.1, and the SDK needs 3.10 or newer"),
        (
            "case $1 in --version) echo 'Python 3.12.1';; *) echo 'No module named venv' >&2; exit 1;; esac",
            "apt-get install python3 python3-venv",
        ),
    ] {
        author.write("programs/python3", &format!("#!/bin/sh\n{script}\n"));
        let lines = format!("chmod +x '{0}/python3'\nexport PATH='{0}':\"$PATH\"\nweft build\n", programs.display());
        let built = author.shell("greeter", &lines).await;
        assert!(built.code == 1 && built.err.contains(told), "{built:?}");
        assert!(!author.folder.join("greeter/.venv").exists());
    }
}

#[tokio::test]
async fn a_machine_without_the_language_is_told_of_it() {
    let python = ["is not on the PATH", "Python 3.10 or newer", "apt-get install python3 python3-venv"];
    let node = ["is not on the PATH", "https://nodejs.org", "apt-get install nodejs npm"];
    for (lang, told) in [("js", node), ("python", python)] {
        machine_without(lang, told).await;
    }
}

async fn machine_without(lang: &str, told: [&str; 3]) {
    let author = author();
    assert_eq!(author.weft("", &["new", "greeter", "--client", "ios", "--lang", lang]).await.code, 0);
    let mut command = Command::new(weft());
    command
        .arg("build")
        .current_dir(author.folder.join("greeter"))
        .env("PATH", "/nowhere")
        .env("XDG_CACHE_HOME", author.cache());
    let built = ended(&mut command).await;
    assert_eq!(built.code, 1, "{built:?}");
    for text in told {
        assert!(built.err.contains(text), "no {text:?} in\n{}", built.err);
    }
}
