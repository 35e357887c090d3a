//! Plugins in other languages than Rust: they build by the tools of their language, and the sandbox holds them as it holds all others.

mod javascript;
mod mistakes;

use crate::support::weft;
use bytes::Bytes;
use serde_json::Value;
use weft_tests::{author::Author, program};

/// Whether there is what plugins in JavaScript are built with; said loudly where not.
pub(crate) fn has_node() -> bool {
    ["node", "npm"].map(program::find).iter().all(Option::is_some)
}

/// A plugin of the desk with this code, built; `more` is put into its plugin.toml.
async fn plugin(author: &Author, name: &str, code: &str, more: &str) -> Bytes {
    let endpoints = code.lines().filter_map(|line| {
        let (method, rest) = line.strip_prefix("app.")?.split_once("(\"")?;
        Some(format!("[endpoint.\"{} {}\"]\nauth = \"none\"\n", method.to_uppercase(), rest.split_once('"')?.0))
    });
    let endpoints: String = endpoints.collect();
    let manifest = format!("[plugin]\nname = \"{name}\"\nversion = \"0.1.0\"\nclient = \"test\"\n{endpoints}{more}");
    if !author.folder.join(name).exists() {
        let made = author.weft("", &["new", name, "--client", "test", "--lang", "js"]).await;
        assert_eq!(made.code, 0, "{made:?}");
    }
    author.write(&format!("{name}/plugin.toml"), &manifest);
    author.write(&format!("{name}/src/main.js"), &format!("{CODE}{code}\nexport default app;\n"));
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
