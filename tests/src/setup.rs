//! A host's configuration, put together from parts.

use crate::{repository, target};
use bytes::Bytes;
use std::{
    fmt::{Display, Write},
    path::Path,
};
use tempfile::TempDir;
use weft::sandbox::Environment;

/// The token with which the testkit asks the admin interface of its hosts, and where it lies in their folders.
pub const ADMIN_TOKEN: &str = "of-the-testkit-e5d1f0c2a7";
const TOKEN_FILE: &str = "admin-token";

/// What a test wants of its host. Everything that is not said is as in a plain host with one client, `test`, and few slots.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    clients: String,
    http: String,
    limits: String,
    admin: String,
    identity: Option<String>,
    plugins: String,
    backends: String,
    more: String,
    pub(crate) environment: Environment,
    artifacts: Vec<(String, Bytes)>,
}

/// A folder with `weft.toml` and `plugins/`, gone when dropped.
#[derive(Debug)]
pub struct Folder {
    pub(crate) root: TempDir,
    pub(crate) text: String,
}

impl Setup {
    pub fn new() -> Self {
        Self::default()
    }

    /// `[[client]]` tables instead of the one client.
    #[must_use]
    pub fn clients(mut self, toml: &str) -> Self {
        self.clients = toml.to_owned();
        self
    }

    /// Lines of `[http]`.
    #[must_use]
    pub fn http(mut self, lines: &str) -> Self {
        self.http = lines.to_owned();
        self
    }

    /// Lines of `[admin]`. Where they don't say which `tokens` there are, the testkit's own is one.
    #[must_use]
    pub fn admin(mut self, lines: &str) -> Self {
        self.admin = lines.to_owned();
        self
    }

    /// Lines of `[limits]`.
    #[must_use]
    pub fn limits(mut self, lines: &str) -> Self {
        self.limits = lines.to_owned();
        self
    }

    /// Callers are verified, by the key that [`crate::tokens`] signs with; `forward` is what `[identity.forward]` says.
    #[must_use]
    pub fn identity(mut self, forward: &str) -> Self {
        let jwks = repository().join("examples/identity/jwks.json");
        self.identity = Some(format!(
            "[identity]\nissuers = [\"{}\"]\naudience = [\"{}\"]\nalgorithms = [\"EdDSA\"]\njwks = {jwks:?}\n\n\
             [identity.forward]\n{forward}\n",
            crate::tokens::ISSUER,
            crate::tokens::AUDIENCE,
        ));
        self
    }

    /// More lines of `[identity]`, where callers are verified.
    #[must_use]
    pub fn with_identity(mut self, lines: &str) -> Self {
        self.identity =
            self.identity.map(|tables| tables.replacen("[identity]\n", &format!("[identity]\n{lines}\n"), 1));
        self
    }

    /// Callers are verified as these tables say: `[identity]` and what belongs to it.
    #[must_use]
    pub fn identity_tables(mut self, toml: &str) -> Self {
        self.identity = Some(toml.to_owned());
        self
    }

    /// Lines of `[plugins]`.
    #[must_use]
    pub fn plugins(mut self, lines: &str) -> Self {
        self.plugins = lines.to_owned();
        self
    }

    /// A backend of these services at this address (or several, with commas), with more lines of its table.
    #[must_use]
    pub fn backend(mut self, name: &str, services: &[&str], address: impl Display, more: &str) -> Self {
        let _ = writeln!(
            self.backends,
            "[backend.{name}]\nservices = {services:?}\nendpoints = \"static://{address}\"\n{more}\n"
        );
        self
    }

    /// All services of the demo's protos, at what `endpoints` says.
    #[must_use]
    pub fn found_backend(mut self, endpoints: &str, more: &str) -> Self {
        let services = ["catalog.v1.Films", "people.v1.People", "reviews.v1.Reviews", "recommend.v1.Recommend"];
        let _ = writeln!(self.backends, "[backend.fake]\nservices = {services:?}\nendpoints = {endpoints:?}\n{more}\n");
        self
    }

    /// All services of the demo's protos at one address, or several.
    #[must_use]
    pub fn one_backend(self, address: impl Display, more: &str) -> Self {
        let services = ["catalog.v1.Films", "people.v1.People", "reviews.v1.Reviews", "recommend.v1.Recommend"];
        self.backend("fake", &services, address, more)
    }

    /// Any further tables.
    #[must_use]
    pub fn more(mut self, toml: &str) -> Self {
        self.more.push_str(toml);
        self.more.push('\n');
        self
    }

    /// Changes what [`Setup::more`] has added.
    #[must_use]
    pub fn edit(mut self, change: impl FnOnce(String) -> String) -> Self {
        self.more = change(self.more);
        self
    }

    #[must_use]
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// An artifact that lies in the folder before the host starts.
    #[must_use]
    pub fn plugin(mut self, file: &str, artifact: &Bytes) -> Self {
        self.artifacts.push((file.to_owned(), artifact.clone()));
        self
    }

    /// `weft.toml` as text, for a folder.
    fn text(&self, folder: &Path) -> String {
        let clients = if self.clients.is_empty() { "[[client]]\nname = \"test\"\n" } else { &self.clients };
        let compiled = target().join("compiled");
        let plugins = folder.join("plugins");
        let own = format!(
            "tokens = [{{ name = \"testkit\", role = \"admin\", token = \"file:{}\" }}]",
            folder.join(TOKEN_FILE).display()
        );
        let own = if self.admin.contains("tokens = ") { "" } else { &own };
        format!(
            "[http]\nlisten = \"127.0.0.1:0\"\n{}\n\n[admin]\nlisten = \"127.0.0.1:0\"\n{}\n{own}\n\n{clients}\n\
             [plugins]\nfolder = {plugins:?}\ncompiled = {compiled:?}\n{}\n\n[limits]\n{}\n\n{}\n{}\n{}",
            self.http,
            self.admin,
            self.plugins,
            if self.limits.is_empty() { "requests = 32\nidle = 8" } else { &self.limits },
            self.identity.as_deref().unwrap_or_default(),
            self.backends,
            self.more,
        )
    }

    /// The folder, written.
    pub fn write(&self) -> Folder {
        let root = tempfile::tempdir().unwrap();
        let text = self.text(root.path());
        std::fs::write(root.path().join("weft.toml"), &text).unwrap();
        std::fs::write(root.path().join(TOKEN_FILE), ADMIN_TOKEN).unwrap();
        std::fs::create_dir(root.path().join("plugins")).unwrap();
        let folder = Folder { root, text };
        for (file, artifact) in &self.artifacts {
            folder.install(file, artifact);
        }
        folder
    }
}

impl Folder {
    /// Where the testkit's own admin token is.
    pub fn admin_token(&self) -> std::path::PathBuf {
        self.root.path().join(TOKEN_FILE)
    }

    pub fn config(&self) -> std::path::PathBuf {
        self.root.path().join("weft.toml")
    }

    /// Writes the configuration anew.
    pub fn change(&self, change: impl FnOnce(String) -> String) {
        let text = std::fs::read_to_string(self.config()).unwrap();
        std::fs::write(self.config(), change(text)).unwrap();
    }

    fn plugins(&self) -> std::path::PathBuf {
        self.root.path().join("plugins")
    }

    /// Where a file of the plugin folder lies.
    pub fn path(&self, file: &str) -> std::path::PathBuf {
        self.plugins().join(file)
    }

    /// Puts an artifact into service as it should be done: under another name first, then renamed.
    pub fn install(&self, file: &str, artifact: &[u8]) {
        let part = self.plugins().join(format!(".{file}.part"));
        std::fs::write(&part, artifact).unwrap();
        std::fs::rename(part, self.plugins().join(file)).unwrap();
    }

    /// Writes a file in place, as `cp` does.
    pub fn overwrite(&self, file: &str, bytes: &[u8]) {
        std::fs::write(self.plugins().join(file), bytes).unwrap();
    }

    pub fn remove(&self, file: &str) {
        std::fs::remove_file(self.plugins().join(file)).unwrap();
    }
}
