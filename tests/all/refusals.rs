//! What is no plugin, or not one for this host, is refused with its reason, and the rest serves.

use crate::support::{FOR_USER, GET_FILM, GET_PERSON, LIST_FILMS, LIST_REVIEWS, RATE_FILM, probe, raw};
use bytes::Bytes;
use std::fs::File;
use toml::Table;
use weft::artifact::Sections;
use weft_tests::{
    artifacts::{renamed, sections, with_manifest},
    host::{TestHost, refusal},
    setup::Setup,
};

const MANIFEST: &str =
    "[plugin]\nname = \"odd\"\nversion = \"1.0.0\"\nclient = \"test\"\n\n[endpoint.\"GET /odd\"]\nauth = \"none\"\n";

/// A component by hand, with all the sections that it needs.
fn component(text: &str) -> Bytes {
    sections(MANIFEST, &[]).append_to(&wat::parse_str(text).unwrap()).into()
}

/// The probe, with its sections changed.
fn changed(change: impl FnOnce(&mut Sections)) -> Bytes {
    let mut sections = Sections::read(&probe()).unwrap();
    sections.manifest = sections.manifest.replace("name = \"probe\"", "name = \"odd\"");
    change(&mut sections);
    sections.append_to(&probe()).into()
}

fn manifest(change: impl FnOnce(&mut Table)) -> Bytes {
    with_manifest(&renamed(&probe(), "odd", "test"), change)
}

/// By file name: what lies in the folder, and what has to be said of it.
fn odd_files() -> Vec<(&'static str, Bytes, Vec<&'static str>)> {
    let whole = renamed(&probe(), "odd", "test");
    let exported = "(component (core module $m (func (export \"f\"))) (core instance $i (instantiate $m)) \
                    (func $f (canon lift (core func $i \"f\"))) (export \"other\" (func $f)))";
    let foreign = "(component (import \"evil:host/files@1.0.0\" (instance (export \"open\" (func)))))";
    vec![
        ("text.wasm", "no wasm at all".into(), vec!["not a WebAssembly component"]),
        ("empty.wasm", Bytes::new(), vec!["not a WebAssembly component"]),
        (
            "module.wasm",
            wat::parse_str("(module)").unwrap().into(),
            vec!["it is a core module; build for wasm32-wasip2"],
        ),
        (
            "bare.wasm",
            wat::parse_str("(component)").unwrap().into(),
            vec!["section `weft:manifest` is missing", "weft build"],
        ),
        ("cut.wasm", whole.slice(..whole.len() / 2), vec!["not a WebAssembly component"]),
        ("other-world.wasm", component(exported), vec!["the component can't be compiled", "handle"]),
        ("foreign-import.wasm", component(foreign), vec!["evil:host/files"]),
        ("contract.wasm", changed(|s| s.contract = "9.0.0".to_owned()), vec!["built for contract 9.0.0", "0.1.0"]),
        (
            "descriptors.wasm",
            changed(|s| s.descriptors = b"\xff\xff".to_vec()),
            vec!["section `weft:descriptors` can't be read"],
        ),
        ("schema.wasm", changed(|s| s.schema = b"{".to_vec()), vec!["section `weft:schema` can't be read"]),
        (
            "method.wasm",
            changed(|s| s.methods.push("catalog.v1.Films/SearchFilms".to_owned())),
            vec!["catalog.v1.Films/SearchFilms is in the table, but not in [calls]"],
        ),
        (
            "toml.wasm",
            changed(|s| s.manifest.push_str("\n[limits\n")),
            vec!["the manifest has mistakes", "plugin.toml:"],
        ),
        (
            "endpoints.wasm",
            manifest(|m| {
                let endpoints = m["endpoint"].as_table_mut().unwrap();
                endpoints.remove("GET /echo/{name}");
                endpoints.insert("GET /more".to_owned(), Table::new().into());
                endpoints.insert("GET /me".to_owned(), toml::from_str("auth = \"optional\"").unwrap());
            }),
            vec![
                "the code has no such endpoint",
                "GET /more",
                "the code declares \"GET /echo/{name}\"",
                "the code needs the caller's identity",
            ],
        ),
        (
            "calls.wasm",
            manifest(|m| {
                m["calls"]["catalog.v1.Films"].as_array_mut().unwrap().push("Forged".into());
                m["calls"].as_table_mut().unwrap().insert("no.v1.Service".to_owned(), toml::Value::Array(Vec::new()));
            }),
            vec![
                "`catalog.v1.Films` has no method `Forged`; it has: GetFilm",
                "the protos have no service `no.v1.Service`",
            ],
        ),
        ("client.wasm", renamed(&probe(), "odd", "watch"), vec!["it is for client `watch`", "it has: test"]),
        (
            "clash.wasm",
            renamed(&probe(), "zz-late", "test"),
            vec!["of client `test` belongs to plugin `probe` already"],
        ),
    ]
}

async fn assert_probe_serves(host: &TestHost) {
    assert_eq!(host.get("/version").send().await.ok().text(), "1.0.0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_is_refused_with_its_reason_and_the_rest_serves() {
    let nowhere = "127.0.0.1:1";
    let mut setup = Setup::new().one_backend(nowhere, "").plugin("a-probe.wasm", &probe());
    for (file, artifact, _) in odd_files() {
        setup = setup.plugin(file, &artifact);
    }
    let host = setup.start().await;
    let plugins = host.plugins().await;
    for (file, _, texts) in odd_files() {
        let reason = refusal(&plugins, file).unwrap_or_else(|| panic!("{file} is not refused: {plugins}"));
        for text in texts {
            assert!(reason.contains(text), "{file}: no {text:?} in {reason}");
        }
    }
    assert_eq!(plugins["plugins"].as_array().unwrap().len(), 1, "{plugins}");
    assert_probe_serves(&host).await;
    let refused = host.metrics().await.sum("weft_release_refused_total", &[]);
    assert_eq!(refused, odd_files().len() as f64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_whose_services_nobody_serves_is_refused_with_all_of_them() {
    let nowhere = "127.0.0.1:1";
    let setup = Setup::new().backend("people", &["people.v1.People", "catalog.v1.Films"], nowhere, "");
    let host = setup.plugin("probe.wasm", &probe()).plugin("raw.wasm", &raw()).start().await;
    let plugins = host.plugins().await;
    let reason = refusal(&plugins, "probe.wasm").unwrap();
    for method in [FOR_USER, LIST_REVIEWS, RATE_FILM] {
        assert!(reason.contains(&format!("which `{method}` needs")), "{method} in {reason}");
    }
    for method in [GET_FILM, LIST_FILMS, GET_PERSON] {
        assert!(!reason.contains(method), "{method} in {reason}");
    }
    assert_eq!(host.get("/raw/version").send().await.ok().text(), "1.0.0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_absurd_size_is_not_even_read() {
    let nowhere = "127.0.0.1:1";
    let folder = Setup::new().one_backend(nowhere, "").plugin("probe.wasm", &probe()).start().await;
    let huge = folder.folder.path("huge.wasm");
    File::create(&huge).unwrap().set_len(100 << 30).unwrap();
    let reason = folder.until_refused("huge.wasm").await;
    assert!(reason.contains("more than an artifact may have"), "{reason}");
    assert_probe_serves(&folder).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folders_links_and_other_files_in_the_folder_are_left_alone() {
    let nowhere = "127.0.0.1:1";
    let setup =
        Setup::new().one_backend(nowhere, "").plugin("probe.wasm", &probe()).plugin("README.txt", &"text".into());
    let folder = setup.write();
    std::fs::create_dir(folder.path("folder.wasm")).unwrap();
    std::os::unix::fs::symlink("/nowhere", folder.path("broken.wasm")).unwrap();
    let host = setup.start_in(folder).await;
    let plugins = host.plugins().await;
    assert_eq!(plugins["refused"].as_array().unwrap().len(), 0, "{plugins}");
    assert_probe_serves(&host).await;
}
