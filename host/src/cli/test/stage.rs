//! Where a plugin is tried: a host for each request, with the real sandbox and limits, in front of backends that answer by their protos.
//!
//! Each host has one thread, and its backends answer all calls of a round at once. So what travels together does so each time, and calls
//! can be counted.

use super::{
    backends::Backends,
    rules::Rules,
    watched::{Ran, Watched},
};
use crate::{
    app::{self, Listening},
    artifact::{Artifact, Isolation},
    cli::{Failure, Result, private::granted, scratch::Scratch},
    config::Config,
    fanout::{Engine, PlanError},
    identity,
    mocks::replies::Replies,
    net::HttpClient,
    sandbox::{Environment, Wasm},
    settings::Mistake,
    telemetry::Metrics,
};
use anyhow::Context;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Keys of a batch where it has no bound.
const MOST_KEYS: usize = 10_000;
/// Bytes of a response that are read.
const MOST: usize = 64 << 20;
/// No request takes longer: an endpoint may have five minutes.
const LONGEST: Duration = Duration::from_mins(6);
/// 2026-01-01: the time that a tested plugin reads, always.
const NOW: Duration = Duration::from_secs(1_767_225_600);

/// A request as a client makes it.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    pub(super) method: Method,
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    /// The caller's claims; `None`: nobody.
    pub(super) caller: Option<Map<String, Value>>,
    pub(super) body: Option<Vec<u8>>,
}

/// One try.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) asked: Asked,
    pub(super) replies: Replies,
    /// Methods that take this long.
    pub(super) delays: BTreeMap<String, Duration>,
    /// For the waterfall instead of the answer.
    pub(super) explains: bool,
    /// Batches have no bound: what grows is not what is cut into several.
    pub(super) unbounded: bool,
    /// Who calls before, of the same instance where instances are used again.
    pub(super) before: Option<Asked>,
}

impl Trial {
    pub(super) fn new(asked: Asked, replies: Replies) -> Self {
        Self { asked, replies, delays: BTreeMap::new(), explains: false, unbounded: false, before: None }
    }
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// Calls that reached a backend, by method.
    pub(super) upstream: BTreeMap<String, usize>,
    /// Calls that the plugin made, and the longest chain of them.
    pub(super) calls: u32,
    pub(super) depth: u32,
    /// Parts that are less than they should be.
    pub(super) degraded: Vec<String>,
    /// What it cost the guest, and why it gave no answer.
    pub(super) ran: Ran,
}

impl Outcome {
    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// What is said of a status that nobody wanted.
    pub(super) fn told(&self) -> String {
        if let Some(failed) = &self.ran.failed {
            return format!("{}: {failed}", self.status);
        }
        let detail = self.json().and_then(|problem| Some(problem.get("detail")?.as_str()?.to_owned()));
        detail.map_or_else(|| self.status.to_string(), |detail| format!("{}: {detail}", self.status))
    }
}

/// All that the hosts share.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) artifact: Artifact,
    pub(super) rules: Rules,
    sandbox: Arc<Wasm>,
    config: Config,
    /// Where each host has a folder.
    folder: PathBuf,
    /// Loaded once for all of them, where no instance serves twice.
    loaded: super::watched::Loaded,
    next: AtomicU64,
}

impl Stage {
    /// Compiled code is kept in `compiled` for the next time.
    pub(super) fn new(artifact: Artifact, rules: Rules, compiled: &Path, scratch: &Scratch) -> Result<Self> {
        let folder = scratch.folder().to_owned();
        let plugins = folder.join("plugins");
        fs::create_dir_all(&plugins).and_then(|()| fs::write(plugins.join("plugin.wasm"), &artifact.bytes))?;
        let config = config(&folder.join("weft.toml"), &artifact, &rules)?;
        check_rules(&config, &artifact)?;
        let mut compiling = config.plugins.compiling.clone();
        compiling.folder = compiled.to_owned();
        compiling.worker = std::env::current_exe().ok();
        let environment = Environment::Fixed { since_epoch: NOW, seed: 1 };
        let sandbox = Wasm::new(config.limits.clone(), environment, compiling).map_err(anyhow::Error::msg)?;
        let sandbox = Arc::new(sandbox);
        let (loaded, next) = Default::default();
        Ok(Self { artifact, rules, sandbox, config, folder, loaded, next })
    }

    /// In a host of its own, which is gone when this returns.
    pub(super) fn run(&self, trial: Trial) -> anyhow::Result<Outcome> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let outcome = runtime.block_on(self.serve(trial));
        runtime.shutdown_background();
        outcome
    }

    async fn serve(&self, trial: Trial) -> anyhow::Result<Outcome> {
        let Trial { asked, replies, delays, explains, unbounded, before } = trial;
        let backends = Arc::new(Backends::new(replies, delays));
        let mut config = self.config.clone();
        let number = self.next.fetch_add(1, Relaxed);
        config.plugins.compiling.folder = self.folder.join(format!("loading-{number}"));
        for backend in &mut config.fanout.backends {
            backend.upstream.stand_in = Some(backends.clone());
            for batch in backend.methods.values_mut().filter_map(|method| method.batch.as_mut()).filter(|_| unbounded) {
                (batch.max, batch.max_bytes) = (MOST_KEYS, MOST);
            }
        }
        let is_shared = self.artifact.manifest.limits.isolation == Isolation::Request;
        let loaded = if is_shared { self.loaded.clone() } else { Default::default() };
        let watched = Arc::new(Watched::new(self.sandbox.clone(), loaded));
        let running = app::start(config, watched.clone(), Listening::default()).await?;
        let client = HttpClient::plain(Duration::from_secs(5)).map_err(anyhow::Error::msg)?;
        let send = async |asked: &Asked, explains: bool| -> anyhow::Result<_> {
            let headers = headers(asked, explains)?;
            let url = format!("http://{}{}", running.http, asked.target);
            let sent = client.send(asked.method.clone(), url, headers, asked.body.clone().map(Into::into), MOST);
            Ok(tokio::time::timeout(LONGEST, sent).await??)
        };
        if let Some(before) = &before {
            send(before, false).await?;
            backends.forget();
            watched.forget();
        }
        let response = send(&asked, explains).await;
        // A connection that is still open is waited for.
        drop(client);
        running.stop().await;
        let response = response.with_context(|| format!("{} {}", asked.method, asked.target))?;
        let (calls, depth) = counted(&response.headers);
        Ok(Outcome {
            status: response.status.as_u16(),
            degraded: degraded(&response.headers),
            headers: response.headers,
            body: response.body.into(),
            upstream: backends.counted(),
            calls,
            depth,
            ran: watched.last(),
        })
    }
}

/// Of a host that has this plugin and no other, and believes every caller.
fn config(file: &Path, artifact: &Artifact, rules: &Rules) -> Result<Config> {
    let mut config = Config::parse(file, &configuration(artifact, rules)).map_err(Failure::Mistakes)?;
    config.identity = Some(identity::Config {
        tenant_claim: rules.claims.0.clone(),
        scope_claim: rules.claims.1.clone(),
        ..identity::Config::anybody()
    });
    config.forward = rules.forward.clone();
    for backend in &mut config.fanout.backends {
        let of_backend = rules.methods.iter().filter(|(method, _)| {
            method.split_once('/').is_some_and(|(service, _)| backend.services.iter().any(|served| served == service))
        });
        backend.methods = of_backend.map(|(method, rules)| (method.clone(), rules.clone())).collect();
    }
    Ok(config)
}

/// Whether the rules fit what the plugin calls: a host would not serve it otherwise.
pub(in crate::cli) fn check_rules(config: &Config, artifact: &Artifact) -> Result {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _inside = runtime.enter();
    let engine = Engine::new(config.fanout.clone(), config.forward.clone(), &Metrics::default(), None);
    let (engine, _) = engine.map_err(anyhow::Error::msg)?;
    let Err(errors) = runtime.block_on(engine.plans(artifact)) else { return Ok(()) };
    let mistake = |error| match error {
        PlanError::Rule { at, message } => at.mistake(message),
        other => Mistake { file: "plugin.toml".into(), line: 0, key: String::new(), message: other.to_string() },
    };
    Err(Failure::Mistakes(errors.into_iter().map(mistake).collect()))
}

fn configuration(artifact: &Artifact, rules: &Rules) -> String {
    let manifest = &artifact.manifest;
    let granted = granted(manifest.endpoints.iter());
    let mut text = format!(
        "[http]\nlisten = \"127.0.0.1:0\"\ntimeout = \"5m\"\nexplain-scope = \"*\"\n\
         [admin]\nlisten = \"127.0.0.1:0\"\n\
         [limits]\nrequests = 64\nstreams = 8\nidle = 8\n\
         [telemetry]\nlog-level = \"off\"\n\
         [plugins]\nfolder = \"plugins\"\nhistory = \"\"\n{granted}\
         [[client]]\nname = {:?}\n",
        manifest.client
    );
    for (name, services) in rules.backends(manifest) {
        text += &format!(
            "[backend.{name:?}]\nservices = {services:?}\nendpoints = \"static://127.0.0.1:9\"\ntimeout = \"5s\"\nretry = {{ attempts = 1 }}\n"
        );
    }
    text
}

fn headers(asked: &Asked, explains: bool) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    let mut add = |name: &str, value: &str| -> anyhow::Result<()> {
        let name = HeaderName::try_from(name).with_context(|| format!("`{name}` is no header"))?;
        headers.append(name, HeaderValue::try_from(value).context("a header's value holds what can't stand there")?);
        Ok(())
    };
    for (name, value) in &asked.headers {
        add(name, value)?;
    }
    if let Some(claims) = &asked.caller {
        let claims = Value::Object(claims.clone()).to_string();
        add("authorization", &format!("Bearer e30.{}.e30", BASE64_URL_SAFE_NO_PAD.encode(claims)))?;
    }
    if asked.body.is_some() && !asked.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        add("content-type", "application/json")?;
    }
    if explains {
        add("x-weft-explain", "1")?;
    }
    Ok(headers)
}

/// Calls and depth, out of `calls;desc="102 made, 2 upstream, 0 cached, depth 2"`.
fn counted(headers: &HeaderMap) -> (u32, u32) {
    let timing = headers.get("server-timing").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let described =
        timing.split_once("calls;desc=\"").map_or("", |(_, rest)| rest.split('"').next().unwrap_or_default());
    let (mut calls, mut depth) = (0, 0);
    for part in described.split(", ") {
        match part.split_once(' ') {
            Some((count, "made")) => calls = count.parse().unwrap_or_default(),
            Some(("depth", count)) => depth = count.parse().unwrap_or_default(),
            _ => {}
        }
    }
    (calls, depth)
}

fn degraded(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all("x-weft-degraded").iter().filter_map(|value| value.to_str().ok());
    let parts =
        lines.flat_map(|line| line.split(", ")).map(|part| part.split(';').next().unwrap_or_default().to_owned());
    let mut parts: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
    parts.dedup();
    parts
}
