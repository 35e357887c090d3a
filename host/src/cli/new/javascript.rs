//! A new plugin in JavaScript.

use super::{
    Arguments, filled, origin,
    pipeline::Pipeline,
    workspace::{self, Standing},
    write,
};
use crate::cli::{Failure, Result, language::Language, print, sdk};
use std::{fs, path::Path};

/// By the names that they get.
const TEMPLATES: [(&str, &str); 8] = [
    ("package.json", include_str!("../../../templates/javascript/package.json")),
    ("plugin.toml", include_str!("../../../templates/javascript/plugin.toml")),
    ("src/main.js", include_str!("../../../templates/javascript/src/main.js")),
    ("test/greet.test.js", include_str!("../../../templates/javascript/test/greet.test.js")),
    ("tests/greet.toml", include_str!("../../../templates/plugin/tests/greet.toml")),
    ("AGENTS.md", include_str!("../../../templates/javascript/AGENTS.md.template")),
    ("llms.txt", include_str!("../../../templates/javascript/llms.txt.template")),
    (".gitignore", include_str!("../../../templates/javascript/gitignore")),
];

/// Makes it in this folder, which is not there yet; `parent` is the whole path of the one that it is made in.
pub(super) fn make(arguments: &Arguments, folder: &Path, parent: &Path) -> Result {
    if arguments.sdk.is_some() {
        return Err(Failure::Usage(
            "`--sdk` is for plugins in Rust: one in JavaScript has the SDK of the `weft` that builds it".to_owned(),
        ));
    }
    let name = &arguments.name;
    let protos = match &arguments.protos {
        Some(protos) => origin::seen_from(&parent.join(name), protos)?,
        None => "protos".into(),
    };
    let words = [
        ("@NAME@", name.clone()),
        ("@CLIENT@", arguments.client.clone()),
        ("@PROTOS@", serde_json::Value::from(protos.to_string_lossy().into_owned()).to_string()),
    ];
    let sdk = sdk::unpacked()?;
    let plan = |system| Pipeline::plan(system, Language::JavaScript, name, &parent.join(name));
    let pipeline = arguments.ci.map(plan).transpose()?;
    for (file, template) in TEMPLATES {
        write(&folder.join(file), &filled(template, &words))?;
    }
    if arguments.protos.is_none() {
        let readme = include_str!("../../../templates/plugin/protos-README.md.template");
        write(&folder.join("protos/README.md"), readme)?;
    }
    sdk::link(&fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned()), &sdk)?;
    let shown = folder.display();
    print(&format!(
        "{shown} is ready:\n  cd {shown}\n  npm install     # the SDK, and the tools that build it\n  npm test        # runs the handlers in Node, without a \
         host\n  weft test       # runs them as a host does: cases of tests/*.toml, calls that grow\n  weft build      # makes target/weft/{name}-0.1.0.wasm"
    ));
    tell_workspace(parent, name);
    Ok(pipeline.map_or(Ok(()), Pipeline::write)?)
}

/// Where cargo would take the folder for a crate.
pub(super) fn tell_workspace(parent: &Path, name: &str) {
    if let Standing::Member(manifest) = workspace::standing(parent, name) {
        let (root, manifest) = (manifest.parent().unwrap_or(parent), manifest.display());
        let inside = parent.strip_prefix(root).unwrap_or(parent).join(name);
        print(&format!(
            "{manifest} takes it for a crate: add {inside:?} to `exclude` of its [workspace], or cargo builds nothing there."
        ));
    }
}
