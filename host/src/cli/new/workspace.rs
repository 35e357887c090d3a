//! Whether a folder inside of a cargo workspace is a member of it. Cargo refuses a crate that is inside and neither a member nor a
//! workspace of its own, and one that is both.

use crate::settings::{Document, Mistakes};
use std::{fs, path::Path};

/// Where a new crate stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// In no workspace.
    Free,
    /// In one whose `members` it is among.
    Member,
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
        return if is_in { Standing::Member } else { Standing::Stranger(file.display().to_string()) };
    }
    Standing::Free
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
            assert_eq!(of(&format!("[workspace]\nmembers = [\"x\", \"{members}\"]")), Standing::Member, "{members}");
        }
        for members in ["apps/*", "apps", "apps/web", "apps/web/g?er", "*"] {
            let standing = of(&format!("workspace.members = [\"{members}\"]"));
            assert!(matches!(standing, Standing::Stranger(file) if file.ends_with("Cargo.toml")), "{members}");
        }
        let excluded = "[workspace]\nexclude = [\"apps/web\"]\nmembers = [";
        assert_ne!(of(&format!("{excluded}\"apps/*/*\"]")), Standing::Member);
        assert_eq!(of(&format!("{excluded}\"apps/web/greeter\"]")), Standing::Member);
        assert_eq!(of("[package]\nname = \"workspace\""), standing(Path::new("/nowhere"), "greeter"));
    }
}
