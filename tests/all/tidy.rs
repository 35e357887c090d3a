//! The house rules that no compiler keeps: layers, who may name a framework, and that every file says what it is.

mod circles;
mod documents;
mod reference;
mod source;

use circles::Imports;
use source::{Source, sources};
use std::{collections::BTreeSet, path::Path};
use weft_tests::repository;

/// From the top: a module may use those in the rows below its own, and none beside it.
const LAYERS: [&[&str]; 18] = [
    &["main"],
    &["cli"],
    // Joins the host and its sandbox.
    &["start"],
    // From here on, but for `sandbox`, it is the package `weft-core`.
    &["app"],
    // Puts together what each module reads for itself.
    &["config"],
    &["edge", "admin"],
    &["gateway"],
    &["release", "sandbox"],
    &["plugin"],
    &["identity", "register", "responses", "routing", "events"],
    &["fanout"],
    &["upstream", "traces"],
    // What is known of endpoints before, and without, their code; and what is made of it for others.
    &["mcp", "mocks", "openapi", "typescript"],
    // For all; of these, `artifact` and `observe` know words of the model, `artifact` how they are written as JSON, and all read their settings.
    &["artifact", "compat", "observe", "redact"],
    &["protojson"],
    &["model", "net", "store"],
    &["telemetry"],
    &["settings", "sync"],
];

/// Crates that one module (or one pair of them) knows, and no other.
const OWNERS: &[(&str, &[&str])] = &[
    ("anyhow", &["cli"]),
    ("async_nats", &["events"]),
    ("axum", &["edge", "admin"]),
    ("clap", &["cli"]),
    ("h2", &["upstream"]),
    ("hyper", &["edge", "admin", "upstream"]),
    ("hickory_resolver", &["upstream"]),
    ("hyper_util", &["edge", "admin"]),
    ("jsonwebtoken", &["identity"]),
    ("moka", &["store"]),
    ("notify", &["release"]),
    ("prometheus_client", &["telemetry"]),
    ("redis", &["store"]),
    ("reqwest", &["net"]),
    ("rmcp", &["mcp"]),
    ("rustls", &["net"]),
    ("serde_saphyr", &["upstream"]),
    ("tokio_rustls", &["net"]),
    ("tonic", &["upstream"]),
    ("tracing_subscriber", &["telemetry"]),
    ("wasmtime", &["sandbox"]),
    ("wasmtime_wasi", &["sandbox"]),
];

/// Packages whose modules have no rings inside them, but those in the list.
const WITHOUT_RINGS: [&str; 11] = [
    "host",
    "core",
    "sandbox",
    "wire",
    "sdk/rust",
    "sdk/rust/macros",
    "sdk/rust/build",
    "sdk/rust/selection",
    "tests",
    "bench",
    "fuzz",
];

/// Rings that are left. One that is gone or has become smaller is mended here too: this list only shrinks.
const RINGS: &[(&str, &str)] =
    &[("core", "gateway::idempotency: elsewhere, slot"), ("core", "upstream: attempt, backend")];

/// Longest file.
const LINES: usize = 400;

/// The packages that make the host, beside its sandbox: the one that joins all, and the one under it that needs no sandbox.
const PACKAGES: [&str; 2] = ["host", "core"];

fn host() -> Vec<Source> {
    PACKAGES.into_iter().flat_map(modules).chain(sandbox()).collect()
}

/// The package that is one module, as if it stood among the others.
fn sandbox() -> Vec<Source> {
    let inside = |source: Source| {
        let path =
            if source.path.ends_with("lib.rs") { "sandbox.rs".into() } else { Path::new("sandbox").join(source.path) };
        Source { path, text: source.text.replace("crate::", "crate::sandbox::").replace("weft_core::", "crate::") }
    };
    sources(&repository().join("sandbox/src")).into_iter().map(inside).collect()
}

fn modules(package: &str) -> Vec<Source> {
    let folder = repository().join(package).join("src");
    sources(&folder).into_iter().filter(|source| source.module() != "lib").collect()
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// What is wrong with an import of `from`.
fn against_the_layers(from: &str, to: &str) -> bool {
    // A macro of `settings` that stands at the root, as macros do.
    let to = if to == "choice" { "settings" } else { to };
    let (Some(upper), Some(lower)) = (layer(from), layer(to)) else { return true };
    from != to && upper >= lower
}

#[test]
fn every_arrow_points_down() {
    let wrong: Vec<String> = host()
        .iter()
        .flat_map(|source| {
            let module = source.module();
            let wrong: BTreeSet<_> =
                source.imports().into_iter().filter(|to| against_the_layers(&module, to)).collect();
            wrong.into_iter().map(|to| format!("{}: {module} → {to}", source.path.display())).collect::<Vec<_>>()
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_layer_rule_refuses_what_it_should() {
    for (from, to) in [
        ("fanout", "plugin"),
        ("identity", "release"),
        ("config", "app"),
        ("plugin", "config"),
        ("plugin", "sandbox"),
        ("release", "sandbox"),
        ("model", "gateway"),
        ("edge", "unheard_of"),
    ] {
        assert!(against_the_layers(from, to), "{from} → {to}");
    }
    assert!(!against_the_layers("gateway", "fanout"));
    assert!(!against_the_layers("plugin", "plugin"));
}

#[test]
fn inside_the_modules_no_files_import_each_other_in_a_ring() {
    let rings = |package: &'static str| {
        let sources = match package {
            "sandbox" => sandbox(),
            _ => sources(&repository().join(package).join("src")),
        };
        assert!(!sources.is_empty(), "{package} was not found");
        Imports::of(&sources).rings().into_iter().map(move |ring| (package, ring))
    };
    let found: BTreeSet<(&str, String)> = WITHOUT_RINGS.into_iter().flat_map(rings).collect();
    let listed = RINGS.iter().map(|(package, ring)| (*package, (*ring).to_owned())).collect();
    let new: Vec<_> = found.difference(&listed).collect();
    assert!(new.is_empty(), "files that import each other in a ring: let arrows go one way: {new:#?}");
    let gone: Vec<_> = listed.difference(&found).collect();
    assert!(gone.is_empty(), "rings that are listed, and are there no more: take them off the list: {gone:#?}");
}

#[test]
fn every_module_has_its_place_in_the_map_and_in_a_layer() {
    let whole = std::fs::read_to_string(repository().join("host/src/lib.rs")).unwrap();
    for package in PACKAGES {
        let map = std::fs::read_to_string(repository().join(package).join("src/lib.rs")).unwrap();
        let declared = map.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
        let declared: Vec<&str> = declared.collect();
        assert!(declared.is_sorted(), "`pub mod` lines stand in alphabetical order: {declared:?}");
        for module in &declared {
            assert!(layer(module).is_some(), "{module} is in no layer");
            for map in [&map, &whole] {
                let (first, other) = (format!("//! | [`{module}`"), format!(", [`{module}`]"));
                assert!(map.contains(&first) || map.contains(&other), "{module} is not in the map");
            }
        }
        let present = modules(package).iter().map(Source::module).filter(|module| module != "main").collect();
        let declared: BTreeSet<String> = declared.into_iter().map(str::to_owned).collect();
        assert_eq!(declared, present, "{package}");
    }
}

/// What can be fuzzed without building the sandbox stays so, whatever it comes to need.
#[test]
fn core_and_what_stands_on_it_alone_need_no_sandbox() {
    let lock = std::fs::read_to_string(repository().join("Cargo.lock")).unwrap();
    let packages: Vec<(&str, Vec<&str>)> = lock.split("[[package]]").skip(1).map(locked).collect();
    for package in ["weft-core", "weft-fuzz"] {
        let (mut reached, mut left) = (BTreeSet::new(), vec![package]);
        while let Some(name) = left.pop() {
            if reached.insert(name) {
                left.extend(packages.iter().filter(|(other, _)| *other == name).flat_map(|(_, needs)| needs));
            }
        }
        assert!(reached.len() > 10, "{package} was not found in Cargo.lock");
        assert!(!reached.contains("wasmtime"), "{package} needs wasmtime");
    }
}

/// A package's name and the names of those that it needs.
fn locked(package: &str) -> (&str, Vec<&str>) {
    let name = package.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')).unwrap();
    let needs = package.lines().filter_map(|line| line.strip_prefix(" \"")?.split(['"', ' ']).next());
    (name, needs.collect())
}

#[test]
fn each_framework_is_named_by_its_owner_only() {
    let mut wrong = Vec::new();
    for source in host() {
        let (module, words) = (source.module(), source.words());
        for &(framework, owners) in OWNERS {
            if !owners.contains(&module.as_str()) && words.iter().any(|word| word == framework) {
                wrong.push(format!(
                    "{} names {framework}, which belongs to {}",
                    source.path.display(),
                    owners.join(" and ")
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_owner_still_names_its_framework() {
    for &(framework, owners) in OWNERS {
        let named = host().iter().any(|source| {
            owners.contains(&source.module().as_str()) && source.words().iter().any(|word| word == framework)
        });
        assert!(named, "nobody names {framework} any more: the table is out of date");
    }
}

#[test]
fn every_file_says_what_it_is_and_is_short() {
    let mut wrong = Vec::new();
    for source in sources(&repository()) {
        let (path, lines) = (source.path.display(), source.text.lines().count());
        if !source.text.starts_with("//! ") {
            wrong.push(format!("{path} does not begin with `//!`"));
        }
        if lines > LINES {
            wrong.push(format!("{path} has {lines} lines; {LINES} are allowed"));
        }
        if path.to_string().ends_with("/mod.rs") {
            wrong.push(format!("{path}: a module's file stands beside its folder"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn locks_are_taken_by_the_one_helper() {
    // Behind the first two, packages that stand on neither.
    let allowed = [
        "core/src/sync.rs",
        "sdk/rust/src/lock.rs",
        "bench/src/roles/hand_written/loader.rs",
        "examples/demo/src/tail.rs",
        "examples/services/src/control.rs",
        "examples/services/src/reviews.rs",
        "sdk/rust/build/src/roots.rs",
    ];
    let all = sources(&repository()).into_iter();
    let naming = all.filter(|source| source.words().iter().any(|word| word == "PoisonError"));
    let named: BTreeSet<String> = naming.map(|source| source.path.display().to_string()).collect();
    let allowed = BTreeSet::from(allowed.map(str::to_owned));
    assert_eq!(named, allowed, "take a lock by `weft_core::sync::lock`, `read` or `write`");
}

#[test]
fn unsafe_stands_where_its_proof_is() {
    let allowed =
        ["sandbox/src/load.rs", "sdk/rust/src/export.rs", "sdk/rust/src/heap.rs", "tests/guests/raw/src/component.rs"];
    let with_unsafe = sources(&repository()).into_iter().filter(|source| {
        let words = source.words();
        words.iter().any(|word| word == "unsafe" || word == "unsafe_code")
    });
    let lax: Vec<String> = with_unsafe
        .filter(|source| !source.text.contains("#![forbid(unsafe_code)]"))
        .map(|source| source.path.display().to_string())
        .collect();
    assert_eq!(lax, allowed);
}
