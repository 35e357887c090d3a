//! `weft record`: a test case made of a real exchange.

mod authority;
mod proxy;
mod reading;
mod recorder;
mod written;

use super::{
    Failure, Result, build, print, runtime,
    scratch::Scratch,
    sdk, tell,
    test::{self, Once},
};
use crate::{
    app::{self, Listening, Running},
    artifact::{Artifact, EndpointPolicy},
    config::Config,
    identity,
    redact::Redactor,
    routing::{Found, Routes},
    sandbox::{Environment, Wasm},
};
use anyhow::{Context, anyhow};
use authority::Authority;
use recorder::Recorder;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};
use tokio::{net::TcpListener, process::Command, sync::mpsc};
use written::Written;

/// Write a test case from a real exchange: `weft record --case home --config weft.toml -- curl http://localhost:8080/home`
///
/// Serves the plugin in a host of its own, in front of the backends of the configuration, and runs the command with `http_proxy` and
/// `https_proxy` set to it: whichever host the command asks, that one answers, by https with a certificate that the command is told to
/// trust (as curl, Node and Python are told). What was asked, what each backend answered and what came of it becomes
/// `tests/NAME.toml`, which `weft test` runs.
///
/// Never written: `authorization`, cookies, and what `[redact]` of plugin.toml names (`fields`, `claims`). What looks like a token or a
/// mail address is replaced, and all that was is told. The file has mode 0600.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The case's name; also its file's
    #[arg(long, value_name = "NAME")]
    case: String,
    /// The host's configuration, whose backends answer
    #[arg(long, value_name = "FILE", required_unless_present = "backend")]
    config: Option<PathBuf>,
    /// Instead of a configuration: where a service is; may be given several times
    #[arg(long, value_name = "SERVICE=HOST:PORT", conflicts_with = "config")]
    backend: Vec<String>,
    /// The plugin's folder: the one with `plugin.toml`
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,
    /// Serve this artifact, and build nothing
    #[arg(long, value_name = "FILE")]
    artifact: Option<PathBuf>,
    /// The command that makes the request
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// What was recorded.
struct Recorded {
    asked: proxy::Exchange,
    calls: Vec<recorder::Exchange>,
    /// Requests beside the first, which are in no case.
    more: usize,
}

pub(super) fn run(arguments: &Arguments) -> Result {
    let name = test::plain(&arguments.case);
    if name.is_empty() {
        return Err(Failure::Usage(format!("`--case {}`: a name has letters or digits in it", arguments.case)));
    }
    let file = test::beside(&arguments.folder, "tests").join(format!("{name}.toml"));
    if file.exists() {
        return Err(anyhow!("{} is there already: remove it, or choose another name", file.display()).into());
    }
    let artifact = match &arguments.artifact {
        Some(file) => {
            let bytes = fs::read(file).with_context(|| format!("{} can't be read", file.display()))?;
            Artifact::parse(bytes.into()).with_context(|| format!("{} is no artifact", file.display()))?
        }
        None => build::built(&arguments.folder, false)?.artifact,
    };
    let scratch = Scratch::new("record")?;
    let config = configuration(arguments, &artifact, &scratch)?;
    let runtime = runtime()?;
    let recorded = runtime.block_on(record(arguments, &artifact, config.clone(), &scratch));
    runtime.shutdown_background();
    let Recorded { asked, calls, more } = recorded?;
    let (policy, target) = endpoint(&config, &artifact, &asked)?;
    let mut redactor = Redactor::new(&artifact.manifest.redact.fields, &artifact.manifest.redact.claims);
    let case = Written { name: &arguments.case, artifact: &artifact, policy, target };
    // What is found to be replaced late may stand early as well.
    case.text(&mut redactor, &asked, &calls)?;
    let text = case.text(&mut redactor, &asked, &calls)?;
    written::write(&file, &text)?;
    print(&format!("{}: {} {}, {} calls, mode 0600", file.display(), policy.name, asked.status, calls.len()));
    for replaced in redactor.told() {
        print(&format!("  replaced: {}, which {}", replaced.place, replaced.why));
    }
    if more > 0 {
        tell(&format!("{more} more requests were answered, and are in no case: a case is one request"));
    }
    replay(arguments, artifact, &scratch)
}

/// Whether the case says again what was recorded: what was replaced may have mattered.
fn replay(arguments: &Arguments, artifact: Artifact, scratch: &Scratch) -> Result {
    let once = Once { folder: &arguments.folder, config: arguments.config.as_deref(), case: &arguments.case };
    let differences = once.run(artifact, scratch)?;
    if differences.is_empty() {
        print("  replayed: `weft test` gets the same answer");
        return Ok(());
    }
    tell("replayed, the answer is another one; look at what was replaced, and mend the case:");
    differences.iter().for_each(|difference| tell(&format!("  {difference}")));
    Err(Failure::Told(1))
}

/// Of a host with this plugin alone, at a free port.
fn configuration(arguments: &Arguments, artifact: &Artifact, scratch: &Scratch) -> Result<Config> {
    let plugins = scratch.folder().join("plugins");
    fs::create_dir(&plugins).and_then(|()| fs::write(plugins.join("plugin.wasm"), &artifact.bytes))?;
    let own = own(arguments, artifact)?;
    let mut base = Config::parse(&scratch.folder().join("weft.toml"), &own).map_err(Failure::Mistakes)?;
    base.identity = Some(identity::Config::anybody());
    if let Some(file) = &arguments.config {
        let theirs = Config::load(file).map_err(Failure::Mistakes)?;
        (base.clients, base.identity, base.forward) = (theirs.clients, theirs.identity, theirs.forward);
        let of_nobody = std::mem::replace(&mut base.fanout.backends, theirs.fanout.backends).into_iter();
        let is_known = |service: &String| base.fanout.backend_of(service).is_some();
        let of_nobody: Vec<_> = of_nobody.filter(|backend| !backend.services.iter().any(is_known)).collect();
        base.fanout.backends.extend(of_nobody);
        base.plugins.response_headers = theirs.plugins.response_headers;
    }
    test::check_rules(&base, artifact)?;
    Ok(base)
}

fn own(arguments: &Arguments, artifact: &Artifact) -> Result<String> {
    let mut text = format!(
        "[http]\nlisten = \"127.0.0.1:0\"\ntimeout = \"5m\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [limits]\nrequests = 64\nstreams = 8\nidle = 8\n[telemetry]\nlog-level = \"off\"\n\
         [plugins]\nfolder = \"plugins\"\n[[client]]\nname = {:?}\n",
        artifact.manifest.client
    );
    let mut addresses: BTreeMap<&str, &str> = BTreeMap::new();
    for given in &arguments.backend {
        match given.split_once('=') {
            Some((service, _)) if !artifact.manifest.calls.contains_key(service) => {
                let known: Vec<&str> = artifact.manifest.calls.keys().map(String::as_str).collect();
                let text =
                    format!("`--backend {given}`: the plugin calls no `{service}`; it calls: {}", known.join(", "));
                return Err(Failure::Usage(text));
            }
            Some((service, address)) => _ = addresses.insert(service, address.trim_start_matches("http://")),
            None => return Err(Failure::Usage(format!("`--backend {given}`: expected SERVICE=HOST:PORT"))),
        }
    }
    for service in artifact.manifest.calls.keys() {
        // What nobody has said is away.
        let address = addresses.get(service.as_str()).unwrap_or(&"127.0.0.1:9");
        text += &format!("[backend.{service:?}]\nservices = [{service:?}]\nendpoints = \"static://{address}\"\n");
    }
    Ok(text)
}

async fn record(arguments: &Arguments, artifact: &Artifact, mut config: Config, scratch: &Scratch) -> Result<Recorded> {
    let authority = Arc::new(Authority::new(scratch.folder().join("authority"))?);
    let recorder = Arc::new(Recorder::new(&config, artifact).map_err(anyhow::Error::msg)?);
    recorder.settle().await;
    let upstream = config.fanout.backends.iter_mut();
    for backend in upstream {
        backend.upstream.stand_in = Some(recorder.clone());
        // Asked as the plugin asks, one by one: so the case does not depend on how a host batches.
        backend.methods.values_mut().for_each(|method| (method.batch, method.cache) = (None, None));
    }
    config.plugins.history = None;
    let mut compiling = config.plugins.compiling.clone();
    compiling.folder = sdk::beside("compiled")?;
    compiling.worker = std::env::current_exe().ok();
    let sandbox = Wasm::new(config.limits.clone(), Environment::Real, compiling).map_err(anyhow::Error::msg)?;
    let running = app::start(config, Arc::new(sandbox), Listening::default()).await?;
    let (told, heard) = mpsc::channel(64);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let proxy = format!("http://{}", listener.local_addr()?);
    let trusted = authority.file();
    let serving = tokio::spawn(proxy::serve(listener, running.http, authority, told));
    let outcome = command(arguments, (&proxy, &trusted), heard, &recorder).await;
    serving.abort();
    Running::stop(running).await;
    outcome
}

/// Runs the command, and takes what the first of its requests was.
async fn command(
    arguments: &Arguments,
    (proxy, trusted): (&str, &Path),
    mut heard: mpsc::Receiver<proxy::Exchange>,
    recorder: &Recorder,
) -> Result<Recorded> {
    let [program, rest @ ..] = arguments.command.as_slice() else {
        return Err(Failure::Usage("no command behind `--`".to_owned()));
    };
    let mut command = Command::new(program);
    command.args(rest).stdin(Stdio::inherit()).kill_on_drop(true);
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env(name, proxy);
    }
    for name in ["no_proxy", "NO_PROXY"] {
        command.env(name, "");
    }
    command.envs(authority::variables(trusted));
    let mut child = command.spawn().with_context(|| format!("`{program}` can't be run"))?;
    let (mut first, mut more) = (None, 0);
    let status = loop {
        tokio::select! {
            biased;
            Some(asked) = heard.recv() => match first {
                None => first = Some((asked, recorder.take())),
                Some(_) => more += 1,
            },
            status = child.wait() => break status?,
        }
    };
    // What was told just before it ended.
    while let Ok(asked) = heard.try_recv() {
        match first {
            None => first = Some((asked, recorder.take())),
            Some(_) => more += 1,
        }
    }
    if !status.success() {
        tell(&format!("`{program}` ended with {status}"));
    }
    let (asked, calls) = first.ok_or_else(|| {
        anyhow!(
            "`{program}` made no request that came here, so there is nothing to record: it has to heed `http_proxy` and `https_proxy`, as \
             curl does"
        )
    })?;
    Ok(Recorded { asked, calls, more })
}

/// Whose request it is, and its path without the prefix of the client.
fn endpoint<'a>(
    config: &Config,
    artifact: &'a Artifact,
    asked: &proxy::Exchange,
) -> Result<(&'a EndpointPolicy, String)> {
    let recognised = config.clients.recognise(&asked.headers, &asked.uri);
    let (client, path) =
        recognised.map_err(|fault| anyhow!("the request is for no client: {}", fault.problem.detail))?;
    let manifest = &artifact.manifest;
    if client.name != manifest.client {
        return Err(anyhow!(
            "the request is for client `{}`, and the plugin is for `{}`",
            client.name,
            manifest.client
        )
        .into());
    }
    let mut routes = Routes::default();
    for (at, policy) in manifest.endpoints.iter().enumerate() {
        // No two of a manifest have the same place.
        let _ = routes.add(&policy.name, "", at);
    }
    let Found::Endpoint(at, _) = routes.find(&asked.method, path) else {
        let known: Vec<String> = manifest.endpoints.iter().map(|policy| policy.name.to_string()).collect();
        let text = format!("the plugin has no endpoint for {} {path}; it has: {}", asked.method, known.join(", "));
        return Err(anyhow!(text).into());
    };
    let policy = manifest.endpoints.get(*at).ok_or_else(|| anyhow!("the plugin has no such endpoint"))?;
    let query = asked.uri.query().map_or_else(String::new, |query| format!("?{query}"));
    Ok((policy, format!("{path}{query}")))
}
