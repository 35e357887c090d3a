//! `weft new`: a plugin that builds and tests, to go on from.

mod javascript;
mod origin;
mod pipeline;
mod python;
mod workspace;

use super::{Failure, Result, language::Language, print, sdk};
use anyhow::{Context, anyhow};
use origin::Origin;
use pipeline::{Pipeline, System};
use std::{
    fs,
    path::{Path, PathBuf},
};
use workspace::Standing;

/// Make a new plugin that builds and tests
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The plugin's name; also the folder that is made
    #[arg(default_value = "", hide_default_value = true, required_unless_present = "ci")]
    name: String,
    /// The kind of frontend that it serves, as in the host's [[client]]
    #[arg(long, default_value = "", hide_default_value = true, required_unless_present = "ci")]
    client: String,
    /// Where the folder is made
    #[arg(long = "in", value_name = "FOLDER", default_value = ".")]
    parent: PathBuf,
    /// A folder with the protos of your services; without it, an empty `protos` is made
    #[arg(long, value_name = "FOLDER")]
    protos: Option<PathBuf>,
    /// The language that it is written in
    #[arg(long, value_name = "rust|js|python", default_value = "rust")]
    lang: String,
    /// Take the SDK from elsewhere than from this program: `crates` (crates.io, this program's version), a folder, or the URL of a git
    /// repository
    #[arg(long, value_name = "crates|FOLDER|URL")]
    sdk: Option<String>,
    /// No code yet: a contract of the endpoints and examples of what they answer, for `weft mock`
    #[arg(long, conflicts_with_all = ["protos", "sdk", "ci"])]
    mock_only: bool,
    /// Write a pipeline as well: check, test, diff, build. Without a NAME, for the plugin whose folder `--in` names, which is there
    #[arg(long, value_name = "SYSTEM")]
    ci: Option<System>,
}

/// By the names that they get.
const TEMPLATES: [(&str, &str); 9] = [
    ("Cargo.toml", include_str!("../../templates/plugin/Cargo.toml.template")),
    ("plugin.toml", include_str!("../../templates/plugin/plugin.toml")),
    ("build.rs", include_str!("../../templates/plugin/build.rs")),
    ("src/lib.rs", include_str!("../../templates/plugin/src/lib.rs")),
    ("tests/greet.rs", include_str!("../../templates/plugin/tests/greet.rs")),
    ("tests/greet.toml", include_str!("../../templates/plugin/tests/greet.toml")),
    (".gitignore", include_str!("../../templates/plugin/gitignore")),
    ("AGENTS.md", include_str!("../../templates/plugin/AGENTS.md.template")),
    ("llms.txt", include_str!("../../templates/plugin/llms.txt.template")),
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
    if let (Some(system), "") = (arguments.ci, arguments.name.as_str()) {
        return pipeline::of_existing(system, &arguments.parent);
    }
    check(arguments)?;
    let name = &arguments.name;
    let folder = arguments.parent.join(name);
    if folder.exists() {
        return Err(anyhow!("{} is there already", folder.display()).into());
    }
    let parent = fs::canonicalize(&arguments.parent)
        .with_context(|| format!("{} can't be found", arguments.parent.display()))?;
    if arguments.mock_only {
        return mock_only(arguments, &folder);
    }
    if arguments.lang == "js" {
        return javascript::make(arguments, &folder, &parent);
    }
    if arguments.lang == "python" {
        return python::make(arguments, &folder, &parent);
    }
    // All that can be wrong is found before anything is written.
    let origin = Origin::read(arguments.sdk.as_deref(), &parent.join(name)).map_err(Failure::Usage)?;
    let standing = workspace::standing(&parent, name);
    let link = if origin == Origin::Carried { Some(Link::plan(&standing, &parent.join(name))?) } else { None };
    let files = files(arguments, &parent.join(name), &standing, &origin)?;
    let pipeline =
        arguments.ci.map(|system| Pipeline::plan(system, Language::Rust, name, &parent.join(name))).transpose()?;
    if arguments.protos.is_none() {
        write(&folder.join("protos/README.md"), include_str!("../../templates/plugin/protos-README.md.template"))?;
    }
    for (file, text) in files {
        write(&folder.join(file), &text)?;
    }
    let told = link.map(Link::make).transpose()?.flatten();
    print(&format!(
        "{} is ready:\n  cd {}\n  cargo test      # runs the handlers natively, without a host\n  weft test       # runs them as a host does: cases of tests/*.toml, calls that grow\n  weft build      # makes target/weft/{name}-0.1.0.wasm",
        folder.display(),
        folder.display()
    ));
    if let Standing::Stranger(root) = standing {
        print(&format!(
            "It is a workspace of its own, since the one of {root} has no such member. To make it one, name it in `members` there, and remove \
             `[workspace]` from its own Cargo.toml."
        ));
    }
    told.iter().for_each(|line| print(line));
    Ok(pipeline.map_or(Ok(()), Pipeline::write)?)
}

/// Whether there can be such a plugin at all.
fn check(arguments: &Arguments) -> Result {
    let name = &arguments.name;
    let fits = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= 64
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !fits {
        return Err(Failure::Usage(format!(
            "`{name}` is no plugin name: lower-case letters, digits and `-`, beginning with a letter, 64 at most"
        )));
    }
    if let Some(taken) = taken(name).filter(|_| arguments.lang == "rust") {
        return Err(Failure::Usage(format!("`{name}` can't be the name of a crate: it is {taken}; choose another")));
    }
    let client = &arguments.client;
    if client.is_empty() {
        return Err(Failure::Usage(
            "which kind of frontend does it serve? --client NAME, as in the host's [[client]]".to_owned(),
        ));
    }
    let fits = !client.is_empty() && client.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !fits {
        return Err(Failure::Usage(format!(
            "`{client}` is no client: lower-case letters, digits and `-`, as the name of a [[client]] of the host"
        )));
    }
    match arguments.lang.as_str() {
        "rust" | "js" | "python" => Ok(()),
        other => Err(Failure::Usage(format!(
            "`--lang {other}`: there is no such language; plugins are written in `rust`, `js` or `python`"
        ))),
    }
}

/// The link by which a plugin finds the SDK that this program carries, before it is made.
#[derive(Debug)]
struct Link {
    sdk: PathBuf,
    /// The folder of the workspace that the plugin belongs to.
    root: PathBuf,
    /// The manifest of a company's workspace, where cargo is to be told that `.weft` holds no members.
    manifest: Option<(PathBuf, String)>,
}

impl Link {
    fn plan(standing: &Standing, plugin: &Path) -> anyhow::Result<Self> {
        let sdk = sdk::unpacked()?;
        let Standing::Member(manifest) = standing else {
            return Ok(Self { sdk, root: plugin.to_owned(), manifest: None });
        };
        let text = fs::read_to_string(manifest).with_context(|| format!("{} can't be read", manifest.display()))?;
        let excluding = workspace::excluding(&text, sdk::FOLDER).with_context(|| {
            let (manifest, folder) = (manifest.display(), sdk::FOLDER);
            format!(
                "{manifest} takes what lies beside it for members: add `exclude = [\"{folder}\"]` to its [workspace]"
            )
        })?;
        let root = manifest.parent().unwrap_or(plugin).to_owned();
        Ok(Self { sdk, root, manifest: (excluding != text).then(|| (manifest.clone(), excluding)) })
    }

    /// Says what was done beside it.
    fn make(self) -> anyhow::Result<Option<String>> {
        sdk::link(&self.root, &self.sdk)?;
        let Some((manifest, text)) = self.manifest else { return Ok(None) };
        write(&manifest, &text)?;
        let (manifest, folder) = (manifest.display(), sdk::FOLDER);
        Ok(Some(format!(
            "{manifest} has got `{folder}` in `exclude`: the SDK is linked there, and is none of its members."
        )))
    }
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

/// What stands in `host/templates/plugin`, with its words between `@` filled in.
fn files(
    arguments: &Arguments,
    plugin: &Path,
    standing: &Standing,
    origin: &Origin,
) -> anyhow::Result<Vec<(&'static str, String)>> {
    // How many folders the plugin lies below the root of its workspace.
    let depth = match standing {
        Standing::Member(manifest) => {
            manifest.parent().and_then(|root| plugin.strip_prefix(root).ok()).map_or(0, |path| path.iter().count())
        }
        Standing::Free | Standing::Stranger(_) => 0,
    };
    let protos = match &arguments.protos {
        Some(folder) => origin::seen_from(plugin, folder)?,
        None => PathBuf::from("protos"),
    };
    // Who is no member of a workspace around is one of its own.
    let workspace = match (standing, origin) {
        (Standing::Member(_), _) => String::new(),
        (_, Origin::Carried) => format!("\n[workspace]\nexclude = [{:?}]\n", sdk::FOLDER),
        _ => "\n[workspace]\n".to_owned(),
    };
    let words = [
        ("@NAME@", arguments.name.clone()),
        ("@MODULE@", arguments.name.replace('-', "_")),
        ("@CLIENT@", arguments.client.clone()),
        ("@COMMENT@", origin.comment().to_owned()),
        ("@SDK@", origin.dependency(depth, "")),
        ("@BUILD@", origin.dependency(depth, "/build")),
        ("@PROTOS@", format!("{protos:?}")),
        ("@WORKSPACE@", workspace),
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
