//! A host in this process.

use crate::{
    metrics::Scrape,
    setup::{Folder, Setup},
    wait::{soon, until},
    web::{Request, Web},
};
use serde_json::Value;
use std::{net::SocketAddr, path::PathBuf};
use weft::{
    app::{Listening, Running},
    config::Config,
    sandbox::Environment,
    start::start_at,
};

/// A real host on free ports. Dropped with its runtime it is gone; [`TestHost::stop`] stops it as SIGTERM does.
#[derive(Debug)]
pub struct TestHost {
    running: Running,
    web: Web,
    admin: Web,
    pub folder: Folder,
}

impl Setup {
    /// # Panics
    /// If the configuration has mistakes, or the host does not start.
    pub async fn start(&self) -> TestHost {
        self.start_in(self.write()).await
    }

    /// Where somebody else listens and serves already.
    pub async fn start_beside(&self, listener: &std::net::TcpListener) -> TestHost {
        let passed = Listening { http: Some(listener.try_clone().unwrap()), admin: None, is_taken: true };
        TestHost::start(self.write(), self.environment, passed).await
    }

    /// As [`Setup::start`], in a folder that was written before.
    pub async fn start_in(&self, folder: Folder) -> TestHost {
        TestHost::start(folder, self.environment, Listening::default()).await
    }
}

impl TestHost {
    async fn start(folder: Folder, environment: Environment, passed: Listening) -> Self {
        let mut config = Config::parse(&folder.config(), &folder.text).unwrap_or_else(|mistakes| {
            let lines: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
            panic!("{}\n{}", lines.join("\n"), folder.text)
        });
        // This process is no `weft`; the command under test lies beside it.
        config.plugins.compiling.worker = Some(worker());
        let running = start_at(config, environment, passed).await.unwrap();
        let (web, admin) = (Web::new(running.http), Web::admin(running.admin));
        Self { running, web, admin, folder }
    }

    pub fn address(&self) -> SocketAddr {
        self.running.http
    }

    pub fn admin_address(&self) -> SocketAddr {
        self.running.admin
    }

    /// A client over HTTP/1.1.
    pub fn web(&self) -> &Web {
        &self.web
    }

    pub fn get(&self, path: &str) -> Request {
        self.web.get(path)
    }

    pub fn post(&self, path: &str) -> Request {
        self.web.post(path)
    }

    pub fn admin(&self, path: &str) -> Request {
        self.admin.get(path)
    }

    pub async fn metrics(&self) -> Scrape {
        Scrape::parse(&self.admin("/metrics").send().await.ok().text())
    }

    /// What `/v1/plugins` says.
    pub async fn plugins(&self) -> Value {
        self.admin("/v1/plugins").send().await.ok().json()
    }

    /// Until `/v1/plugins` is as wanted.
    pub async fn until_plugins(&self, what: &str, so: impl Fn(&Value) -> bool) -> Value {
        until(what, async || Some(self.plugins().await).filter(&so)).await
    }

    /// Until this version of the plugin serves.
    pub async fn until_live(&self, plugin: &str, version: &str) {
        let live = |plugins: &Value| version_of(plugins, plugin).as_deref() == Some(version);
        self.until_plugins(&format!("{plugin} {version}"), live).await;
    }

    /// Until the file is refused; with the reason.
    pub async fn until_refused(&self, file: &str) -> String {
        until(&format!("{file} to be refused"), async || refusal(&self.plugins().await, file)).await
    }

    /// Reads the configuration again, as SIGHUP does; why nothing has changed.
    pub async fn reload(&self) -> Result<(), String> {
        self.running.reload().await.map(drop).map_err(|error| error.to_string())
    }

    /// Takes in who connects, after [`Setup::start_beside`].
    pub fn accept(&self) {
        self.running.accept();
    }

    pub async fn stop(self) {
        soon("the host to stop", self.running.stop()).await;
    }
}

/// The version of a plugin in `/v1/plugins`.
pub fn version_of(plugins: &Value, plugin: &str) -> Option<String> {
    let mut live = plugins["plugins"].as_array()?.iter();
    live.find(|live| live["name"] == plugin).map(|live| live["version"].as_str().unwrap().to_owned())
}

/// Why a file is refused, according to `/v1/plugins`.
pub fn refusal(plugins: &Value, file: &str) -> Option<String> {
    let mut refused = plugins["refused"].as_array()?.iter();
    let found = refused.find(|refused| refused["file"].as_str().is_some_and(|path| path.ends_with(file)))?;
    Some(found["refused"].as_str().unwrap().to_owned())
}

/// The command under test, which cargo puts beside the folder of the test binaries.
fn worker() -> PathBuf {
    let binary = std::env::current_exe().unwrap();
    binary.ancestors().nth(2).unwrap().join("weft-under-test")
}
