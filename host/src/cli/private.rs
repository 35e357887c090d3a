//! What commands have in common that are a host for a while: a private folder, gone when the command ends, and the clients of its
//! configuration.

use super::scratch::Scratch;
use crate::artifact::EndpointPolicy;
use anyhow::Context;
use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// What pages send, beside what the manifests ask for.
const USUAL: [&str; 8] = [
    "accept-language",
    "authorization",
    "content-type",
    "idempotency-key",
    "if-none-match",
    "traceparent",
    "x-request-id",
    "x-weft-explain",
];

/// `[[client]]`, which pages of every origin may call with what these endpoints, and these further headers, ask for.
pub(super) fn client_table<'a>(
    client: &str,
    prefix: Option<String>,
    own: &[&EndpointPolicy],
    all: impl Iterator<Item = &'a EndpointPolicy>,
    more: &[&str],
) -> String {
    let mut headers: BTreeSet<String> = USUAL.iter().chain(more).map(|name| (*name).to_owned()).collect();
    headers.extend(all.flat_map(|policy| &policy.headers).map(ToString::to_string));
    let headers: Vec<String> = headers.into_iter().collect();
    let prefix = prefix.map(|prefix| format!("prefix = {prefix:?}\n")).unwrap_or_default();
    let shows = own.iter().all(|policy| !is_a_page(policy));
    format!(
        "[[client]]\nname = {client:?}\n{prefix}openapi = {shows}\ncors = {{ origins = [\"*\"], headers = {headers:?} }}\n"
    )
}

/// `response-headers` of `[plugins]`: whatever they ask for.
pub(super) fn granted<'a>(all: impl Iterator<Item = &'a EndpointPolicy>) -> String {
    let granted: BTreeSet<String> = all.flat_map(|policy| &policy.response_headers).map(ToString::to_string).collect();
    format!("response-headers = {:?}\n", granted.into_iter().collect::<Vec<_>>())
}

/// Whether an endpoint stands where the host shows the contract: then it goes first.
fn is_a_page(policy: &EndpointPolicy) -> bool {
    let path = policy.name.template();
    path == "/openapi.json" || path == "/problems" || path.starts_with("/problems/")
}

/// The folder, with a folder `plugins` in it.
#[derive(Debug)]
pub(super) struct Private(Scratch);

impl Private {
    /// Among temporary things: `weft-mock-…` for a `mock`.
    pub(super) fn new(of: &str) -> anyhow::Result<Self> {
        let scratch = Scratch::new(of)?;
        let plugins = scratch.folder().join("plugins");
        DirBuilder::new()
            .mode(0o700)
            .create(&plugins)
            .with_context(|| format!("{} can't be made", plugins.display()))?;
        Ok(Self(scratch))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.folder()
    }

    pub(super) fn config(&self) -> PathBuf {
        self.path().join("weft.toml")
    }

    /// Whole or not at all, and only where it differs.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let file = self.path().join(name);
        if fs::read(&file).is_ok_and(|before| before == bytes) {
            return Ok(());
        }
        let part = self.path().join("part");
        let written = fs::write(&part, bytes).and_then(|()| fs::rename(&part, &file));
        written.with_context(|| format!("{} can't be written", file.display()))
    }
}
