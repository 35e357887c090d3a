//! The pages for plugin authors: what they show is one plugin, which compiles, whose tests pass, and which builds; what they say to type is
//! typed.

use crate::support::weft;
use std::fs;
use toml::{Table, Value};
use weft_tests::{author::Author, process::Ended, repository};

/// Pages whose code other tests run.
const ELSEWHERE: [&str; 7] = ["dev", "first-plugin", "javascript", "lists", "python", "streams", "testing"];
/// Pages whose commands are for the plugin's folder.
const TYPED: [&str; 2] = ["AGENTS", "going-live"];

/// A host of the demo's backends, for what pages say of `weft.toml`.
const HOST: &str = r#"
[http]
listen = "127.0.0.1:0"
[[client]]
name = "web"
[plugins]
folder = "plugins"
[backend.catalog]
services = ["catalog.v1.Films"]
endpoints = "static://127.0.0.1:1"
[backend.people]
services = ["people.v1.People"]
endpoints = "static://127.0.0.1:1"
[backend.reviews]
services = ["reviews.v1.Reviews"]
endpoints = "static://127.0.0.1:1"
[backend.recommend]
services = ["recommend.v1.Recommend"]
endpoints = "static://127.0.0.1:1"
"#;

/// A page, and what stands in its fences, by language.
struct Page {
    name: String,
    blocks: Vec<(String, String)>,
}

impl Page {
    fn of(&self, language: &str) -> Vec<&str> {
        self.blocks.iter().filter(|(of, _)| of == language).map(|(_, text)| text.as_str()).collect()
    }

    fn module(&self) -> String {
        self.name.to_lowercase().replace('-', "_")
    }

    /// Its endpoints: `GET /films/{id}`, and the function.
    fn endpoints(&self) -> Vec<(String, String)> {
        let code = self.of("rust").concat();
        let lines: Vec<&str> = code.lines().collect();
        let endpoint = |pair: &[&str]| {
            let (method, rest) = pair[0].strip_prefix("#[")?.split_once("(\"")?;
            let name = pair[1].strip_prefix("async fn ")?.split('(').next()?;
            Some((
                format!("{} {}", method.to_uppercase(), rest.split('"').next()?),
                format!("{}::{name}", self.module()),
            ))
        };
        lines.windows(2).filter_map(endpoint).collect()
    }
}

fn pages() -> Vec<Page> {
    let files = fs::read_dir(repository().join("docs/authors")).unwrap().map(|entry| entry.unwrap().path());
    // What `weft new` gives to coding agents is one of them.
    let files = files.chain([repository().join("host/templates/plugin/AGENTS.md.template")]);
    let page = |path: std::path::PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let blocks = text.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
        let blocks = blocks.map(|(language, text)| (language.to_owned(), text.to_owned())).collect();
        Page { name: path.file_name().unwrap().to_str().unwrap().split('.').next().unwrap().to_owned(), blocks }
    };
    let mut pages: Vec<_> = files.map(page).filter(|page| !ELSEWHERE.contains(&page.name.as_str())).collect();
    pages.sort_by(|one, other| one.name.cmp(&other.name));
    pages
}

/// What a page adds to a file that others add to as well.
fn merge(into: &mut Table, more: Table) {
    for (key, value) in more {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(there)), Value::Table(more)) => merge(there, more),
            (_, value) => _ = into.insert(key, value),
        }
    }
}

#[track_caller]
fn assert_done(ended: &Ended) {
    assert_eq!(ended.code, 0, "{}\n{}", ended.out, ended.err);
}

#[tokio::test]
async fn what_the_pages_for_authors_show_is_a_plugin() {
    let pages = pages();
    let author = Author::new(weft());
    let protos = repository().join("examples/protos");
    author.begin("greeter", &["--client", "web", "--protos", protos.to_str().unwrap()]).await;
    fs::remove_dir_all(author.folder.join("greeter/tests")).unwrap();
    let mut manifest: Table = "[plugin]\nname = \"greeter\"\nversion = \"0.1.0\"\nclient = \"web\"".parse().unwrap();
    let mut host: Table = HOST.parse().unwrap();
    let mut code = "//! All pages.\n#![allow(dead_code, unused_imports)]\nweft_sdk::clients!();\n".to_owned();
    let (mut functions, mut endpoints) = (Vec::new(), Table::new());
    for page in &pages {
        for block in page.of("toml") {
            let is_host = block.starts_with("# weft.toml");
            let table: Table = block.parse().unwrap_or_else(|error| panic!("{}: {error}\n{block}", page.name));
            merge(if is_host { &mut host } else { &mut manifest }, table);
        }
        for (endpoint, function) in page.endpoints() {
            functions.push(function);
            endpoints.insert(endpoint, Value::Table(Table::new()));
        }
        code.push_str(&format!("mod {};\n", page.module()));
        // Authors write them into `lib.rs`.
        let code = page.of("rust").concat().replace("]\nasync fn ", "]\npub(crate) async fn ");
        let text = format!("//! {}\n{code}", page.name);
        author.write(&format!("greeter/src/{}.rs", page.module()), &text);
    }
    assert!(functions.len() > 10, "{functions:?}");
    let mut whole = Table::from_iter([("endpoint".to_owned(), Value::Table(endpoints))]);
    merge(&mut whole, manifest);
    author.write("greeter/plugin.toml", &toml::to_string(&whole).unwrap());
    author.write("greeter/weft.toml", &toml::to_string(&host).unwrap());
    author.write("greeter/src/lib.rs", &format!("{code}weft_sdk::plugin!({});\n", functions.join(", ")));
    fs::create_dir(author.folder.join("greeter/plugins")).unwrap();

    let typed = pages.iter().filter(|page| TYPED.contains(&page.name.as_str()));
    let typed: Vec<_> = typed.flat_map(|page| page.of("")).collect();
    let typed = author.shell("greeter", &typed.concat()).await;
    assert_done(&typed);
    let tests = pages.iter().map(|page| page.of("rust").concat().matches("#[test]").count()).sum::<usize>();
    assert!(tests > 4 && typed.out.contains(&format!("test result: ok. {tests} passed")), "{}", typed.out);
    assert_done(&author.weft("greeter", &["check", "--config", "weft.toml"]).await);
    for made in ["openapi.json", ".github/workflows/greeter.yml", "plugins/greeter-0.1.0.wasm"] {
        assert!(author.folder.join("greeter").join(made).exists(), "{made}");
    }
}
