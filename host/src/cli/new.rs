//! `weft new`: a plugin that builds and tests, to go on from.

mod workspace;

use super::{Failure, Result, print};
use anyhow::{Context, bail};
use std::{
    fs,
    path::{Path, PathBuf},
};
use workspace::Standing;

/// Make a new plugin that builds and tests
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The plugin's name; also the folder that is made
    name: String,
    /// The kind of frontend that it serves, as in the host's [[client]]
    #[arg(long)]
    client: String,
    /// Where the folder is made
    #[arg(long = "in", value_name = "FOLDER", default_value = ".")]
    parent: PathBuf,
    /// A folder with the protos of your services; without it, an empty `protos` is made
    #[arg(long, value_name = "FOLDER")]
    protos: Option<PathBuf>,
    /// The Weft repository to take the SDK from, where it is not the one that this program was built in
    #[arg(long, value_name = "FOLDER")]
    weft: Option<PathBuf>,
    /// No code yet: a contract of the endpoints and examples of what they answer, for `weft mock`
    #[arg(long, conflicts_with_all = ["protos", "weft"])]
    mock_only: bool,
}

const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

/// By the names that they get.
const TEMPLATES: [(&str, &str); 6] = [
    ("Cargo.toml", include_str!("../../templates/plugin/Cargo.toml.template")),
    ("plugin.toml", include_str!("../../templates/plugin/plugin.toml")),
    ("build.rs", include_str!("../../templates/plugin/build.rs")),
    ("src/lib.rs", include_str!("../../templates/plugin/src/lib.rs")),
    ("tests/greet.rs", include_str!("../../templates/plugin/tests/greet.rs")),
    (".gitignore", include_str!("../../templates/plugin/gitignore")),
];

/// With `--mock-only`.
const MOCK_TEMPLATES: [(&str, &str); 6] = [
    ("plugin.toml", include_str!("../../templates/mock/plugin.toml")),
    ("contract/types.json", include_str!("../../templates/mock/contract/types.json")),
    ("contract/get-greetings.json", include_str!("../../templates/mock/contract/get-greetings.json")),
    ("contract/get-greeting.json", include_str!("../../templates/mock/contract/get-greeting.json")),
    ("contract/post-greetings.json", include_str!("../../templates/mock/contract/post-greetings.json")),
    ("mocks/get-greeting.json", include_str!("../../templates/mock/mocks/get-greeting.json")),
];

pub(super) fn run(arguments: &Arguments) -> Result {
    let name = &arguments.name;
    let fits = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !fits {
        return Err(Failure::Usage(format!(
            "`{name}` is no plugin name: lower-case letters, digits and `-`, beginning with a letter"
        )));
    }
    if let Some(taken) = taken(name) {
        return Err(Failure::Usage(format!("`{name}` can't be the name of a crate: it is {taken}; choose another")));
    }
    let client = &arguments.client;
    let fits = !client.is_empty() && client.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !fits {
        return Err(Failure::Usage(format!(
            "`{client}` is no client: lower-case letters, digits and `-`, as the name of a [[client]] of the host"
        )));
    }
    let folder = arguments.parent.join(name);
    if folder.exists() {
        return Err(anyhow::anyhow!("{} is there already", folder.display()).into());
    }
    let parent = fs::canonicalize(&arguments.parent)
        .with_context(|| format!("{} can't be found", arguments.parent.display()))?;
    if arguments.mock_only {
        return mock_only(arguments, &folder);
    }
    let standing = workspace::standing(&parent, name);
    // All that can be wrong is found before anything is written.
    let files = files(arguments, &standing)?;
    if arguments.protos.is_none() {
        write(&folder.join("protos/README.md"), include_str!("../../templates/plugin/protos-README.md.template"))?;
    }
    for (file, text) in files {
        write(&folder.join(file), &text)?;
    }
    print(&format!(
        "{} is ready:\n  cd {}\n  cargo test      # runs the handlers natively, without a host\n  weft build      # makes target/weft/{name}-0.1.0.wasm",
        folder.display(),
        folder.display()
    ));
    if let Standing::Stranger(root) = standing {
        print(&format!(
            "It is a workspace of its own, since the one of {root} has no such member. To make it one, name it in `members` there, and remove \
             `[workspace]` from its own Cargo.toml."
        ));
    }
    Ok(())
}

/// What frontends can begin with: where there is no crate, cargo has no say.
fn mock_only(arguments: &Arguments, folder: &Path) -> Result {
    let words = [("@NAME@", arguments.name.clone()), ("@CLIENT@", arguments.client.clone())];
    for (file, template) in MOCK_TEMPLATES {
        write(&folder.join(file), &filled(template, &words))?;
    }
    let shown = folder.display();
    print(&format!(
        "{shown} is ready:\n  weft mock {shown}      # answers at http://127.0.0.1:8080, and again when a file is saved\n\
         What endpoints take and give stands in {shown}/contract, what they answer in {shown}/mocks."
    ));
    Ok(())
}

/// Why cargo, or the code that is made, would not take the name.
fn taken(name: &str) -> Option<&'static str> {
    const WORDS: &str = " abstract as async await become box break const continue crate do dyn else enum extern false final fn for gen \
                         if impl in let loop macro match mod move mut override priv pub ref return self static struct super trait \
                         true try type typeof unsafe unsized use virtual where while yield ";
    const CRATES: &str = " alloc core proc-macro std test weft-sdk weft-build ";
    const FOLDERS: &str = " build deps examples incremental ";
    let stands_in = |list: &str| list.contains(&format!(" {name} "));
    let reasons = [
        (WORDS, "a word of Rust"),
        (CRATES, "a crate that the plugin uses itself"),
        (FOLDERS, "a folder that cargo makes in `target`"),
    ];
    reasons.into_iter().find(|(list, _)| stands_in(list)).map(|(_, reason)| reason)
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(file, text))
        .with_context(|| format!("{} can't be written", file.display()))
}

/// Where the SDK's crates are found: in a repository on this machine, or by git.
fn sdk(arguments: &Arguments) -> anyhow::Result<[String; 2]> {
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let root = match &arguments.weft {
        Some(root) if !root.join("sdk/rust/Cargo.toml").exists() => {
            bail!("{} is no Weft repository: it has no sdk/rust", root.display())
        }
        Some(root) => Some(fs::canonicalize(root)?),
        None => built_in.join("sdk/rust/Cargo.toml").exists().then(|| built_in.to_owned()),
    };
    Ok(["", "/build"].map(|part| match &root {
        Some(root) => format!("{{ path = {:?} }}", root.join(format!("sdk/rust{part}"))),
        None => format!("{{ git = {REPOSITORY:?} }}"),
    }))
}

/// What stands in `host/templates/plugin`, with its words between `@` filled in.
fn files(arguments: &Arguments, standing: &Standing) -> anyhow::Result<Vec<(&'static str, String)>> {
    let [sdk, build] = sdk(arguments)?;
    let protos = match &arguments.protos {
        Some(folder) => fs::canonicalize(folder).with_context(|| format!("{} can't be found", folder.display()))?,
        None => PathBuf::from("protos"),
    };
    let words = [
        ("@NAME@", arguments.name.clone()),
        ("@MODULE@", arguments.name.replace('-', "_")),
        ("@CLIENT@", arguments.client.clone()),
        ("@SDK@", sdk),
        ("@BUILD@", build),
        ("@PROTOS@", format!("{protos:?}")),
        // Who is no member of a workspace around is one of its own.
        ("@WORKSPACE@", if *standing == Standing::Member { String::new() } else { "\n[workspace]\n".to_owned() }),
    ];
    Ok(TEMPLATES.iter().map(|(file, template)| (*file, filled(template, &words))).collect())
}

/// In one pass: what stands in a value is no word of the template.
fn filled(template: &str, words: &[(&str, String)]) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    let first =
        |text: &str| words.iter().filter_map(|word| text.find(word.0).map(|at| (at, word))).min_by_key(|found| found.0);
    while let Some((at, (word, value))) = first(rest) {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        out.push_str(value);
        rest = after.strip_prefix(word).unwrap_or_default();
    }
    out + rest
}
