//! Whether a folder inside of a cargo workspace is a member of it. Cargo refuses a crate that is inside and neither a member nor a
//! workspace of its own, and one that is both.

use crate::settings::{Document, Mistakes};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where a new crate stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// In no workspace.
    Free,
    /// In the workspace of this `Cargo.toml`, among its `members`.
    Member(PathBuf),
    /// In the folder of this workspace, but not among its members.
    Stranger(String),
}

/// Of the crate `name` in `parent`, a whole path.
pub(super) fn standing(parent: &Path, name: &str) -> Standing {
    for root in parent.ancestors() {
        let file = root.join("Cargo.toml");
        let Ok(text) = fs::read_to_string(&file) else { continue };
        // What is wrong with it is cargo's to say.
        let mistakes = Mistakes::new();
        let document = Document::parse(&file, &text, &mistakes);
        let workspace = document.table(&mistakes).table("workspace");
        if !workspace.exists() {
            continue;
        }
        let [members, excluded] = ["members", "exclude"].map(|key| workspace.or(key, Vec::<String>::new()));
        let inside = parent.strip_prefix(root).unwrap_or(parent).join(name);
        let path: Vec<_> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let is_member = members.iter().any(|pattern| matches(&parts(pattern), &path));
        let is_excluded = excluded.iter().any(|folder| path.starts_with(&parts(folder)));
        let is_named = members.iter().any(|member| parts(member) == path);
        let is_in = is_named || is_member && !is_excluded;
        return if is_in { Standing::Member(file) } else { Standing::Stranger(file.display().to_string()) };
    }
    Standing::Free
}

/// The text of a workspace's `Cargo.toml` with this folder among those that cargo takes for no members; none, where it is written in a
/// way that this does not know.
pub(super) fn excluding(text: &str, folder: &str) -> Option<String> {
    if excludes(text, folder) {
        return Some(text.to_owned());
    }
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let header = lines.iter().position(|line| line.trim() == "[workspace]")?;
    let table = lines.iter().skip(header + 1).take_while(|line| !line.trim_start().starts_with('['));
    let key = table.clone().position(|line| line.trim_start().starts_with("exclude"));
    match key.and_then(|at| lines.get_mut(header + 1 + at)) {
        Some(line) => *line = line.replacen('[', &format!("[{folder:?}, "), 1),
        None => lines.insert(header + 1, format!("exclude = [{folder:?}]")),
    }
    let text = lines.join("\n") + "\n";
    excludes(&text, folder).then_some(text)
}

fn excludes(text: &str, folder: &str) -> bool {
    let mistakes = Mistakes::new();
    let document = Document::parse(Path::new("Cargo.toml"), text, &mistakes);
    // Later on, all keys that are not asked for here are mistakes.
    let is_whole = mistakes.is_empty();
    let excluded = document.table(&mistakes).table("workspace").or("exclude", Vec::<String>::new());
    is_whole && excluded.iter().any(|path| parts(path) == [folder])
}

fn parts(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".").collect()
}

/// `*` and `?` within a part of the path, `**` for any number of parts.
fn matches(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern, path) {
        ([], []) => true,
        (["**", rest @ ..], _) => (0..=path.len()).any(|at| path.get(at..).is_some_and(|path| matches(rest, path))),
        ([first, rest @ ..], [part, others @ ..]) => fits(first, part) && matches(rest, others),
        _ => false,
    }
}

fn fits(pattern: &str, text: &str) -> bool {
    let (mut pattern_rest, mut text_rest) = (pattern.chars(), text.chars());
    match (pattern_rest.next(), text_rest.next()) {
        (None, None) => true,
        (Some('*'), _) => {
            let mut rests = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            rests.any(|at| text.get(at..).is_some_and(|text| fits(pattern_rest.as_str(), text)))
        }
        (Some('?'), Some(_)) => fits(pattern_rest.as_str(), text_rest.as_str()),
        (Some(one), Some(other)) => one == other && fits(pattern_rest.as_str(), text_rest.as_str()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_who_the_patterns_say() {
        let folder = tempfile::tempdir().unwrap();
        let parent = folder.path().join("apps/web");
        fs::create_dir_all(&parent).unwrap();
        let of = |text: &str| {
            fs::write(folder.path().join("Cargo.toml"), text).unwrap();
            standing(&parent, "greeter")
        };
        for members in ["apps/*/*", "./apps/web/greeter", "**", "apps/w?b/gr*er", "apps/web/*"] {
            let standing = of(&format!("[workspace]\nmembers = [\"x\", \"{members}\"]"));
            assert_eq!(standing, Standing::Member(folder.path().join("Cargo.toml")), "{members}");
        }
        for members in ["apps/*", "apps", "apps/web", "apps/web/g?er", "*"] {
            let standing = of(&format!("workspace.members = [\"{members}\"]"));
            assert!(matches!(standing, Standing::Stranger(file) if file.ends_with("Cargo.toml")), "{members}");
        }
        let excluded = "[workspace]\nexclude = [\"apps/web\"]\nmembers = [";
        assert!(matches!(of(&format!("{excluded}\"apps/*/*\"]")), Standing::Stranger(_)));
        assert!(matches!(of(&format!("{excluded}\"apps/web/greeter\"]")), Standing::Member(_)));
        assert_eq!(of("[package]\nname = \"workspace\""), standing(Path::new("/nowhere"), "greeter"));
    }
    #[test]
    fn a_folder_is_excluded_beside_what_is() {
        for (before, after) in [
            ("[workspace]\nmembers = [\"a\"]\n", "[workspace]\nexclude = [\".weft\"]\nmembers = [\"a\"]\n"),
            ("[workspace]\nexclude = [\"old\"]\n", "[workspace]\nexclude = [\".weft\", \"old\"]\n"),
            ("[workspace]\nexclude = [\n  \"old\",\n]\n", "[workspace]\nexclude = [\".weft\", \n  \"old\",\n]\n"),
            (
                "[workspace]\n\n[workspace.package]\nexclude = [\"x\"]\n",
                "[workspace]\nexclude = [\".weft\"]\n\n[workspace.package]\nexclude = [\"x\"]\n",
            ),
            ("workspace.exclude = [\"./.weft/\"]", "workspace.exclude = [\"./.weft/\"]"),
        ] {
            assert_eq!(excluding(before, ".weft").as_deref(), Some(after));
        }
        assert_eq!(excluding("workspace.members = [\"a\"]", ".weft"), None);
    }
}
