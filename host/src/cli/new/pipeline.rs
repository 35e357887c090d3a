//! `--ci`: a pipeline that checks, tests, compares and builds a plugin, in the words of one of three systems.

use super::{Result, filled, workspace, workspace::Standing, write};
use crate::{
    artifact::read_manifest,
    cli::{Failure, language::Language, print},
    settings,
};
use anyhow::{Context, anyhow};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Whose pipeline it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum System {
    Github,
    Gitlab,
    Jenkins,
}

/// What the steps run, the same for all systems, and what systems have to know of a language.
type Lines = [(&'static str, &'static str); 10];
const OF_RUST: Lines = [
    ("@TOOLS@", include_str!("../../../templates/ci/tools.sh")),
    ("@MORE@", include_str!("../../../templates/ci/rust/tools.sh")),
    ("@CHECK@", include_str!("../../../templates/ci/rust/check.sh")),
    ("@TEST@", include_str!("../../../templates/ci/rust/test.sh")),
    ("@DIFF@", include_str!("../../../templates/ci/diff.sh")),
    ("@BUILD@", include_str!("../../../templates/ci/build.sh")),
    ("@SETUP@", ""),
    ("@KEPT@", include_str!("../../../templates/ci/rust/kept")),
    ("@VARIABLES@", include_str!("../../../templates/ci/rust/variables")),
    ("@ALSO@", "- @TARGET@"),
];
const OF_JAVASCRIPT: Lines = [
    ("@TOOLS@", include_str!("../../../templates/ci/tools.sh")),
    ("@MORE@", include_str!("../../../templates/ci/js/tools.sh")),
    ("@CHECK@", include_str!("../../../templates/ci/js/check.sh")),
    ("@TEST@", include_str!("../../../templates/ci/js/test.sh")),
    ("@DIFF@", include_str!("../../../templates/ci/diff.sh")),
    ("@BUILD@", include_str!("../../../templates/ci/build.sh")),
    ("@SETUP@", include_str!("../../../templates/ci/js/setup")),
    ("@KEPT@", include_str!("../../../templates/ci/js/kept")),
    ("@VARIABLES@", include_str!("../../../templates/ci/js/variables")),
    ("@ALSO@", ""),
];
const ABOUT: &str = include_str!("../../../templates/ci/about");

/// A pipeline before it is written.
#[derive(Debug)]
pub(super) struct Pipeline {
    file: PathBuf,
    text: String,
    /// What is left to do, so that it runs.
    note: Option<String>,
}

impl System {
    fn template(self) -> &'static str {
        match self {
            Self::Github => include_str!("../../../templates/ci/github.yml"),
            Self::Gitlab => include_str!("../../../templates/ci/gitlab.yml"),
            Self::Jenkins => include_str!("../../../templates/ci/Jenkinsfile"),
        }
    }

    /// How a line of comment begins.
    fn comment(self) -> &'static str {
        match self {
            Self::Github | Self::Gitlab => "#",
            Self::Jenkins => "//",
        }
    }

    /// Where variables are set.
    fn variables(self) -> &'static str {
        match self {
            Self::Github => "as variables of the repository (Settings, Secrets and variables, Actions)",
            Self::Gitlab => "as variables of the project (Settings, CI/CD)",
            Self::Jenkins => "in the environment of the agent or the folder",
        }
    }
}

impl Pipeline {
    /// For the plugin in this folder, a whole path, which need not be there yet. Nothing that is there is overwritten.
    pub(super) fn plan(system: System, language: Language, name: &str, plugin: &Path) -> anyhow::Result<Self> {
        let root = plugin.ancestors().find(|folder| folder.join(".git").exists()).unwrap_or(plugin);
        let folder = below(root, plugin)?;
        let (file, note) = match (system, folder.as_str()) {
            (System::Github, _) => (root.join(format!(".github/workflows/{name}.yml")), None),
            (System::Gitlab, ".") => (root.join(".gitlab-ci.yml"), None),
            (System::Gitlab, folder) => {
                let at = format!("{folder}/.gitlab-ci.yml");
                let note =
                    format!("GitLab runs it once .gitlab-ci.yml at the root has `include: [{{ local: {at} }}]`.");
                (plugin.join(".gitlab-ci.yml"), Some(note))
            }
            (System::Jenkins, ".") => (root.join("Jenkinsfile"), None),
            (System::Jenkins, folder) => {
                let note = format!("Name {folder}/Jenkinsfile as the script's path in the Jenkins project.");
                (plugin.join("Jenkinsfile"), Some(note))
            }
        };
        if file.exists() {
            return Err(anyhow!("{} is there already", file.display()));
        }
        let parent = plugin.parent().unwrap_or(plugin);
        let workspace = match workspace::standing(parent, name) {
            Standing::Member(manifest) => manifest.parent().unwrap_or(plugin).to_owned(),
            Standing::Free | Standing::Stranger(_) => plugin.to_owned(),
        };
        let target = workspace.strip_prefix(root).map_or_else(|_| Ok(".".to_owned()), |_| below(root, &workspace))?;
        let about: Vec<String> =
            filled(ABOUT, &[("@NAME@", name.to_owned()), ("@WHERE@", system.variables().to_owned())])
                .lines()
                .map(|line| format!("{} {line}", system.comment()).trim_end().to_owned())
                .collect();
        let (lines, words) = match language {
            Language::Rust => {
                let image = format!("rust:{}", env!("CARGO_PKG_RUST_VERSION"));
                (OF_RUST, [image, "Cargo.lock".to_owned(), "Rust by rustup, a C linker and curl".to_owned()])
            }
            Language::JavaScript => {
                let needs = "Node 20 or newer, its npm, and curl".to_owned();
                (OF_JAVASCRIPT, ["node:22".to_owned(), "package-lock.json".to_owned(), needs])
            }
            Language::Python => return Err(anyhow!("pipelines are made for plugins in Rust and in JavaScript")),
        };
        let [image, lock, needs] = words;
        let words = [
            ("@IMAGE@", image),
            ("@LOCK@", lock),
            ("@NEEDS@", needs),
            ("@ABOUT@", about.join("\n")),
            ("@NAME@", name.to_owned()),
            ("@DIST@", beside(&folder, "dist")),
            ("@TARGET@", beside(&target, "target")),
            ("@FOLDER@", folder),
        ];
        Ok(Self { file, text: filled(&with_lines(system.template(), &lines), &words), note })
    }

    pub(super) fn write(self) -> anyhow::Result<()> {
        write(&self.file, &self.text)?;
        print(&format!("{} runs check, test, diff and build.", self.file.display()));
        if let Some(note) = self.note {
            print(&note);
        }
        Ok(())
    }
}

/// `weft new --ci` in the folder of a plugin that is there.
pub(super) fn of_existing(system: System, folder: &Path) -> Result {
    let manifest = folder.join("plugin.toml");
    if !manifest.is_file() {
        let at = folder.display();
        return Err(Failure::Usage(format!(
            "`weft new --ci` without a NAME is for a plugin that is there, and {at} has no plugin.toml"
        )));
    }
    if !["Cargo.toml", "package.json", "pyproject.toml"].iter().any(|file| folder.join(file).is_file()) {
        return Err(Failure::Usage(format!(
            "{} has no code: none of Cargo.toml, package.json and pyproject.toml is there, so there is nothing to build",
            folder.display()
        )));
    }
    let text = settings::text(&manifest).map_err(|mistake| Failure::Mistakes(vec![mistake]))?;
    let name = read_manifest(&manifest, &text, None, None).map_err(Failure::Mistakes)?.name;
    let folder = fs::canonicalize(folder).with_context(|| format!("{} can't be found", folder.display()))?;
    Ok(Pipeline::plan(system, Language::of(&folder), &name, &folder)?.write()?)
}

/// The folder as paths in a pipeline have it: seen from the root of the repository.
fn below(root: &Path, folder: &Path) -> anyhow::Result<String> {
    let path = folder.strip_prefix(root).unwrap_or(Path::new("")).display().to_string();
    // It stands in YAML, in Groovy and in lines of shell.
    if let Some(odd) = path.chars().find(|c| !(c.is_alphanumeric() || "-_./".contains(*c))) {
        return Err(anyhow!(
            "a pipeline can't name the folder `{path}`: `{odd}` is in it; use letters, digits, `-`, `_` and `.`"
        ));
    }
    Ok(if path.is_empty() { ".".to_owned() } else { path })
}

fn beside(folder: &str, name: &str) -> String {
    if folder == "." { name.to_owned() } else { format!("{folder}/{name}") }
}

/// The template with the lines of the steps in it, as far in as their words stand.
fn with_lines(template: &str, lines: &Lines) -> String {
    let line = |line: &str| {
        let word = line.trim_start();
        let indent = line.len() - word.len();
        let Some((_, steps)) = lines.iter().find(|(step, _)| *step == word) else { return format!("{line}\n") };
        steps.lines().map(|step| format!("{:indent$}{step}\n", "")).collect()
    };
    template.lines().map(line).collect()
}
