//! `weft types`: what it writes compiles under the strictest rules, does what it promises, and serves a page in a real browser.

mod generated;

use crate::{
    event_streams::live,
    support::{knows_all, weft},
};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;
use weft_tests::{
    browser,
    demo::Demo,
    node,
    process::{Ended, ended, run},
    repository,
    setup::Setup,
    site::{Page, Site},
    tokens,
};

/// All that the compiler can be strict about.
const STRICT: &str = r#"{ "compilerOptions": {
  "strict": true, "exactOptionalPropertyTypes": true, "noUncheckedIndexedAccess": true, "noPropertyAccessFromIndexSignature": true,
  "noImplicitReturns": true, "noUnusedLocals": true, "noUnusedParameters": true, "noFallthroughCasesInSwitch": true,
  "verbatimModuleSyntax": true, "isolatedModules": true, "erasableSyntaxOnly": true, "skipLibCheck": false,
  "target": "es2022", "module": "esnext", "moduleResolution": "bundler", "lib": ["es2022", "dom", "dom.iterable"], "types": []
} }"#;

fn fixture(name: &str) -> String {
    repository().join("tests/all/clients").join(name).to_str().unwrap().to_owned()
}

/// The demo's plugin for `web`, as its artifact.
const WEB: &str = "home-web.wasm";

/// A folder with the client of this document, and more files beside it.
async fn written(document: &str, more: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (file, artifact) = (folder.path().join("bff.ts"), folder.path().join(WEB));
    std::fs::write(&artifact, weft_tests::artifacts::built(weft(), "plugins/home-web")).unwrap();
    let document = match document {
        WEB => artifact.to_str().unwrap().to_owned(),
        url if url.starts_with("http:") => url.to_owned(),
        name => fixture(name),
    };
    let made = run(weft(), &["types", &document, "--out", file.to_str().unwrap()]).await;
    assert_eq!((made.code, made.out.as_str()), (0, ""), "{}", made.err);
    assert!(made.err.contains("bff.ts written"), "{}", made.err);
    for name in more {
        std::fs::copy(fixture(name), folder.path().join(name)).unwrap();
    }
    std::fs::write(folder.path().join("tsconfig.json"), STRICT).unwrap();
    std::fs::write(folder.path().join("package.json"), r#"{ "type": "module" }"#).unwrap();
    folder
}

/// Compiled beside its source; `None`, loudly, where there is no compiler.
async fn compiled(folder: &Path) -> Option<()> {
    let (mut node, compiler) = (node::node()?, node::package("typescript")?);
    node.arg(compiler.join("bin/tsc")).args(["-p", "."]).current_dir(folder);
    let told = ended(&mut node).await;
    assert_eq!(told.code, 0, "{}{}", told.out, told.err);
    Some(())
}

async fn in_node(script: &str, arguments: &[&Path]) -> Option<Ended> {
    let mut node = node::node()?;
    node.arg(script).args(arguments);
    Some(ended(&mut node).await)
}

#[tokio::test]
async fn the_client_and_what_uses_it_compile_under_strict_rules() {
    let folder = written(WEB, &["usage.ts"]).await;
    compiled(folder.path()).await;
}

/// Names that are words of the language, quotes, comments' ends: each is a name and nothing more.
#[tokio::test]
async fn what_stands_in_a_document_never_becomes_code() {
    let folder = written("odd.json", &[]).await;
    let text = std::fs::read_to_string(folder.path().join("bff.ts")).unwrap();
    assert!(!text.contains("</script>") && !text.contains('\u{2028}'), "{text}");
    if compiled(folder.path()).await.is_none() {
        return;
    }
    let script = folder.path().join("names.mjs");
    std::fs::write(&script, "console.log(Object.keys(await import('./bff.js')).sort().join(' '))").unwrap();
    let Some(told) = in_node(script.to_str().unwrap(), &[]).await else { return };
    let names = "StreamEnded U65e5U672c _1St createClient createClient_ constructor delete_ delete__2 documentedBase eventsOf forget postB";
    let mut expected: Vec<&str> = names.split(' ').collect();
    expected.sort_unstable();
    assert_eq!(told.out.split_whitespace().collect::<Vec<_>>(), expected, "{}", told.err);
}

#[tokio::test]
async fn the_client_does_what_it_promises() {
    let folder = written("behaviour.json", &[]).await;
    if compiled(folder.path()).await.is_none() {
        return;
    }
    let Some(told) = in_node(&fixture("behaviour.mjs"), &[&folder.path().join("bff.js")]).await else { return };
    assert_eq!(told.code, 0, "{}\n{}", told.out, told.err);
    assert_eq!(told.out.matches("ok: ").count(), 10, "{}", told.out);
}

/// Built as the page of a site of its own, it calls the demo across origins.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_in_a_browser_calls_the_demo_by_its_typed_client() {
    let (demo, site) = (Demo::start().await, Site::start().await);
    let origin = format!("http://{}", site.address());
    let web =
        format!("[[client]]\nname = \"web\"\nprefix = \"/web\"\nopenapi = true\ncors = {{ origins = [{origin:?}] }}\n");
    let plugin = weft_tests::artifacts::built(weft(), "plugins/home-web");
    let host = demo.shown().clients(&web).plugin(WEB, &plugin).start().await;
    let folder = written(&format!("http://{}/web/openapi.json", host.address()), &["page.ts"]).await;
    let (admin, token) = (host.admin_address().to_string(), host.folder.admin_token());
    let token = token.to_str().unwrap();
    let again = run(weft(), &["types", "--client", "web", "--admin", &admin, "--token-file", token]).await;
    assert_eq!(again.out, std::fs::read_to_string(folder.path().join("bff.ts")).unwrap(), "{}", again.err);
    if compiled(folder.path()).await.is_none() {
        return;
    }
    for (path, file) in [("/page.js", "page.js"), ("/bff.js", "bff.js")] {
        let text = std::fs::read(folder.path().join(file)).unwrap();
        site.on(path, move |_| Page::status(200, text.clone()).header("content-type", "text/javascript"));
    }
    let html = std::fs::read(fixture("page.html")).unwrap();
    site.on("/", move |_| {
        let page = Page::status(200, html.clone()).header("content-type", "text/html");
        page.header("content-security-policy", "default-src 'none'; script-src 'self'; img-src data:; connect-src *")
    });
    let base = format!("http://{}/web", host.address());
    let url = site.url(&format!("/?base={base}"));
    let input = json!({ "url": url, "token": tokens::token("ann") });
    let Some(shown) = browser::run("tests/all/clients/page.mjs", &input).await else { return };
    // Answers that are not good are in a browser's console, whoever expects them.
    let unexpected: Vec<&String> = shown
        .complaints
        .iter()
        .filter(|text| !text.contains("status of 404") && !text.contains("status of 401"))
        .collect();
    assert!(unexpected.is_empty() && shown.strangers.is_empty(), "{shown:#?}");
    let value = &shown.value;
    assert_eq!(
        value["shown"],
        json!({ "title": "The Godfather", "cast": "Marlon Brando as Vito Corleone" }),
        "{value}"
    );
    assert!(value["newest"].as_array().is_some_and(|list| list.len() > 3), "{value}");
    assert_eq!(value["films"], json!(["new", "not modified"]));
    assert_eq!((&value["missing"], &value["problem"]), (&json!("about:blank"), &json!("Not Found")));
    assert_eq!(value["anonymous"], "401: urn:weft:problem:unauthorized");
    assert_eq!((&value["rated"], &value["axe"]), (&json!("rated 5"), &json!([])));
}

#[tokio::test]
async fn the_same_contract_makes_the_same_file_and_a_pipeline_can_tell() {
    let folder = written(WEB, &[]).await;
    let file = folder.path().join("bff.ts");
    let web = folder.path().join(WEB).to_str().unwrap().to_owned();
    let types = async |document: &str, more: &[&str]| {
        run(weft(), &[&["types", document, "--out", file.to_str().unwrap()], more].concat()).await
    };
    let printed = run(weft(), &["types", &web, "--lang", "ts"]).await;
    assert_eq!(printed.out, std::fs::read_to_string(&file).unwrap());
    let same = types(&web, &["--check"]).await;
    assert!(same.code == 0 && same.err.contains("is as it should be"), "{same:?}");
    let other = types(&fixture("behaviour.json"), &["--check"]).await;
    assert_eq!((other.code, other.out.as_str()), (1, ""));
    assert!(other.err.contains("is not what") && other.err.contains("run `weft types"), "{}", other.err);
    assert_eq!(printed.out, std::fs::read_to_string(&file).unwrap(), "nothing was written");
}

/// A host's admin interface is asked for the document of one client.
#[tokio::test]
async fn a_running_host_is_asked_for_a_clients_contract() {
    let site = Site::start().await;
    site.on("/v1/openapi", |asked| match asked.target.as_str() {
        "GET /v1/openapi?client=web" => Page::json(std::fs::read(fixture("behaviour.json")).unwrap()),
        _ => Page::status(404, ""),
    });
    let address = site.address().to_string();
    let from = async |client: &str| run(weft(), &["types", "--client", client, "--admin", &address]).await;
    let made = from("web").await;
    assert!(made.code == 0 && made.out.contains("export function getFilm("), "{made:?}");
    assert!(from("ios").await.err.contains("answered 404"));
    assert_eq!(from("web&client=ios").await.code, 2);
}

#[tokio::test]
async fn a_contract_of_which_no_client_can_be_made_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.json");
    let of = |schemas: Value| json!({ "openapi": "3.1.0", "components": { "schemas": schemas } });
    let to = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    for (document, said) in [
        (json!({ "openapi": "3.0.0" }), "only 3.1 is read"),
        (of(json!({ "A": { "anyOf": [to("B"), { "type": "null" }] }, "B": { "allOf": [to("A")] } })), "in a ring"),
        (of(json!({ "A": to("A") })), "in a ring"),
        (of(json!({ "A": to("B") })), "leads nowhere"),
    ] {
        std::fs::write(&file, document.to_string()).unwrap();
        let told = run(weft(), &["types", file.to_str().unwrap()]).await;
        assert_eq!((told.code, told.out.as_str()), (2, ""), "{}", told.err);
        assert!(told.err.contains("a.json") && told.err.contains(said), "no {said:?} in {}", told.err);
    }
    let told = run(weft(), &["types", file.to_str().unwrap(), "--lang", "swift"]).await;
    assert!(told.code == 2 && told.err.contains("possible values: ts"), "{}", told.err);
}

/// What the page says to write compiles, together.
#[tokio::test]
async fn the_code_of_the_page_compiles() {
    let page = std::fs::read_to_string(repository().join("docs/frontends/typed-client.md")).unwrap();
    let blocks = page.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("ts\n"));
    let code = blocks.collect::<Vec<_>>().join("\n") + "\nexport { title };\n";
    assert!(code.contains("forget(client)"), "{code}");
    let folder = written(WEB, &[]).await;
    std::fs::write(folder.path().join("page.ts"), code).unwrap();
    compiled(folder.path()).await;
    for command in ["--out src/bff.ts\n", "--out src/bff.ts --check\n"] {
        assert!(page.contains(command), "{command}");
    }
}

/// Typed to the last part, and against a real host.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_are_async_iterables_of_what_the_code_sends() {
    let upstream = knows_all().await;
    let setup = Setup::new().clients("[[client]]\nname = \"test\"\nopenapi = true\n");
    let setup = setup.one_backend(upstream.address(), "").plugin("live.wasm", &live());
    let host = setup.start().await;
    let folder = written(&format!("http://{}/openapi.json", host.address()), &["live.ts"]).await;
    if compiled(folder.path()).await.is_none() {
        return;
    }
    let mut node = node::node().unwrap();
    node.arg(folder.path().join("live.js")).arg(format!("http://{}", host.address()));
    let told = ended(&mut node).await;
    let expected = ["Film 7", "director 2: Person 7", "since 40", "2", "problem: there is no event `2`"];
    assert_eq!(serde_json::from_str::<Value>(told.out.trim()).ok(), Some(json!(expected)), "{told:?}");
}
