//! A new plugin in Python.

use super::{Arguments, filled, javascript::tell_workspace, origin, write};
use crate::cli::{Failure, Result, print, sdk};
use std::{fs, path::Path};

/// By the names that they get.
const TEMPLATES: [(&str, &str); 5] = [
    ("pyproject.toml", include_str!("../../../templates/python/pyproject.toml.template")),
    ("plugin.toml", include_str!("../../../templates/python/plugin.toml")),
    ("src/main.py", include_str!("../../../templates/python/src/main.py")),
    ("tests/test_greet.py", include_str!("../../../templates/python/tests/test_greet.py")),
    (".gitignore", include_str!("../../../templates/python/gitignore")),
];

/// Makes it in this folder, which is not there yet; `parent` is the whole path of the one that it is made in.
pub(super) fn make(arguments: &Arguments, folder: &Path, parent: &Path) -> Result {
    if arguments.sdk.is_some() {
        return Err(Failure::Usage(
            "`--sdk` is for plugins in Rust: one in Python has the SDK of the `weft` that builds it".to_owned(),
        ));
    }
    if arguments.ci.is_some() {
        return Err(Failure::Usage("`--ci`: pipelines are made for plugins in Rust and in JavaScript".to_owned()));
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
        "{shown} is ready:\n  cd {shown}\n  weft sdk        # .venv with the SDK, and typed clients\n  .venv/bin/python -m unittest discover tests   # runs the \
         handlers in Python, without a host\n  weft build      # makes target/weft/{name}-0.1.0.wasm"
    ));
    tell_workspace(parent, name);
    Ok(())
}
