//! What the code has said of itself, kept for as long as nothing has changed that could make it say something else: of a change in the
//! body of a handler, the describer is not compiled again.

use super::Making;
use crate::{artifact::EndpointSchema, model::Digest};
use anyhow::Context;
use base64::{Engine, prelude::BASE64_STANDARD};
use quote::ToTokens;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use syn::{
    Block, ImplItemFn, ItemFn, ReturnType, Signature, parse_quote,
    visit_mut::{VisitMut, visit_impl_item_fn_mut, visit_item_fn_mut},
};

/// What the `describe` export returns.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::cli) struct Description {
    pub(in crate::cli) contract: String,
    pub(in crate::cli) endpoints: Vec<EndpointSchema>,
    #[serde(default)]
    pub(in crate::cli) methods: Vec<String>,
    /// Base64 of a FileDescriptorSet.
    #[serde(default)]
    pub(in crate::cli) descriptors: String,
    /// What the SDK found to disagree within the code.
    #[serde(default)]
    pub(in crate::cli) faults: Vec<String>,
}

impl Description {
    /// A serialized FileDescriptorSet.
    pub(in crate::cli) fn descriptors(&self) -> anyhow::Result<Vec<u8>> {
        BASE64_STANDARD.decode(&self.descriptors).context("the plugin's descriptors can't be read")
    }
}

/// Where descriptions of a plugin are kept.
#[derive(Debug)]
pub(super) struct Shelf {
    file: PathBuf,
    folder: PathBuf,
    lock: PathBuf,
}

/// What lies there.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    inputs: Vec<PathBuf>,
    key: String,
    description: Description,
}

impl Shelf {
    /// None where cargo does not say where it works: then nothing is kept.
    pub(super) fn of(making: &Making<'_>) -> Option<Self> {
        let mut command = super::cargo(making.folder);
        command.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).stdin(Stdio::null());
        let told: Value = serde_json::from_slice(&command.stderr(Stdio::null()).output().ok()?.stdout).ok()?;
        let path = |key: &str| Some(PathBuf::from(told.get(key)?.as_str()?));
        let folder = fs::canonicalize(making.folder).ok()?;
        let name = Digest::of(folder.to_string_lossy().as_bytes()).hex();
        let file = path("target_directory")?.join("weft/.described").join(name).with_extension("json");
        Some(Self { file, folder, lock: path("workspace_root")?.join("Cargo.lock") })
    }

    /// What was said last, if it would be said now.
    pub(super) fn find(&self) -> Option<Description> {
        let kept: Kept = serde_json::from_slice(&fs::read(&self.file).ok()?).ok()?;
        (self.key(&kept.inputs)? == kept.key).then_some(kept.description)
    }

    /// Keeps what a describer has said that was made of what cargo has written down beside it.
    pub(super) fn keep(&self, describer: &Path, description: &Description) {
        let text = fs::read_to_string(describer.with_extension("d")).unwrap_or_default();
        let inputs = super::inputs(&text);
        let Some(key) = self.key(&inputs).filter(|_| !inputs.is_empty()) else { return };
        let kept = Kept { inputs, key, description: description.clone() };
        // What can't be kept is asked for again.
        let _ = serde_json::to_vec(&kept).map_err(io::Error::from).and_then(|text| {
            let part = self.file.with_extension("part");
            fs::create_dir_all(self.file.parent().unwrap_or(&self.file))?;
            fs::write(&part, text).and_then(|()| fs::rename(&part, &self.file))
        });
    }

    /// Of all that a description may follow from. None where something of it can't be read, or is not known.
    fn key(&self, inputs: &[PathBuf]) -> Option<String> {
        let mut text = format!("{} {:?}", env!("CARGO_PKG_VERSION"), compiler());
        for name in ["RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
            text += &format!("{name}={:?}\n", std::env::var_os(name));
        }
        let own = ["plugin.toml", "Cargo.toml"].map(|name| self.folder.join(name));
        let mut open: Vec<PathBuf> = inputs.iter().map(|path| self.folder.join(path)).chain(own).collect();
        open.push(self.lock.clone());
        while let Some(path) = open.pop() {
            if path.is_dir() {
                let inside = fs::read_dir(&path).ok()?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>();
                let mut inside = inside.ok()?;
                inside.sort();
                open.extend(inside);
                continue;
            }
            let bytes = fs::read(&path).ok()?;
            // Of what others have written, how it is made of its environment is theirs to see to.
            let is_own = path.starts_with(&self.folder) && path.extension().is_some_and(|extension| extension == "rs");
            let digest = match is_own {
                true => Digest::of(telling(&String::from_utf8(bytes).ok()?)?.as_bytes()),
                false => Digest::of(&bytes),
            };
            text += &format!("{} {digest}\n", path.display());
        }
        Some(Digest::of(text.as_bytes()).hex())
    }
}

/// The compiler that is taken here.
fn compiler() -> Option<Vec<u8>> {
    Command::new("rustc").arg("-vV").output().ok().map(|output| output.stdout)
}

/// A file of Rust without what can't change what the code says of itself. None where it is made of what nobody knows here.
fn telling(text: &str) -> Option<String> {
    let Ok(mut file) = syn::parse_file(text) else { return Some(text.to_owned()) };
    Bodies.visit_file_mut(&mut file);
    let text = file.to_token_stream().to_string();
    // The environment that it is compiled in.
    (!(text.contains("env !") || text.contains("env!"))).then_some(text)
}

/// Takes out bodies that run when a request comes, and not before.
struct Bodies;

impl VisitMut for Bodies {
    fn visit_item_fn_mut(&mut self, function: &mut ItemFn) {
        empty(&function.sig, &mut function.block);
        visit_item_fn_mut(self, function);
    }

    fn visit_impl_item_fn_mut(&mut self, function: &mut ImplItemFn) {
        empty(&function.sig, &mut function.block);
        visit_impl_item_fn_mut(self, function);
    }
}

fn empty(signature: &Signature, body: &mut Block) {
    // A type that is not named stands in the body.
    let names_all =
        !matches!(&signature.output, ReturnType::Type(_, ty) if has(&ty.to_token_stream().to_string(), "impl"));
    let text = body.to_token_stream().to_string();
    // What is implemented inside is implemented everywhere.
    let is_own = !["impl", "macro_rules", "mod", "derive"].into_iter().any(|word| has(&text, word));
    if signature.asyncness.is_some() && names_all && is_own {
        *body = parse_quote!({});
    }
}

fn has(text: &str, word: &str) -> bool {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|other| other == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "/// Says it.\n#[get(\"/a/{id}\")]\nasync fn a(Path(id): Path<u32>) -> Json<Answer> { Json(answer(id).await) }\n\
                        #[data] struct Answer { text: String }\nfn schema() -> u32 { 1 }\n";

    #[test]
    fn only_what_runs_for_a_request_may_change_unseen() {
        let seen = |old: &str, new: &str| {
            assert!(CODE.contains(old), "{old}");
            telling(CODE) != telling(&CODE.replace(old, new))
        };
        for (old, new) in [("answer(id).await", "answer(id + 1).await"), ("{ Json", "{\n // Why.\n Json")] {
            assert!(!seen(old, new), "{new}");
        }
        for (old, new) in [
            ("Says it.", "Says that."),
            ("/a/{id}", "/b/{id}"),
            ("Path<u32>", "Path<u64>"),
            ("text: String", "text: u32"),
            ("{ 1 }", "{ 2 }"),
            ("{ Json", "{ impl JsonSchema for Answer {} Json"),
            ("async fn", "fn"),
        ] {
            assert!(seen(old, new), "{new}");
        }
    }

    #[test]
    fn a_type_that_only_the_body_names_is_seen_and_an_environment_is_not_believed() {
        let of = |body: &str| telling(&format!("async fn a() -> Json<impl Serialize> {{ {body} }}"));
        assert_ne!(of("Json(A)"), of("Json(B)"));
        assert_eq!(telling("const A: &str = env!(\"A\");"), None);
        assert_eq!(telling("no rust").as_deref(), Some("no rust"));
    }
}
