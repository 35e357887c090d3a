//! `weft dev`: builds on save, and serves what was built.

mod backends;
mod building;
mod desk;
mod keys;
mod lines;
mod mocked;
mod page;
mod serving;
mod show;
mod wishes;

use super::{Failure, Result, in_words, language::Language, print, runtime};
use crate::{artifact::read_manifest, config::Config, observe::Followed, telemetry};
use anyhow::Context;
use backends::Choice;
use building::{Building, Outcome};
use keys::Terminal;
use serving::{Serving, Wanted};
use show::{Mood, Show};
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};
use wishes::{Wish, Wishes};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// So long a saved file may go unseen.
const LONGEST_UNSEEN: Duration = Duration::from_secs(2);
/// Lines of the log that may wait to be shown.
const MOST_LOGGED: usize = 1_000;
const LOG: &str = "warn,plugin=debug,access=off";

/// Build a plugin whenever it is saved, and serve it at once
///
/// Runs a host of its own for the plugin in this folder, and swaps in what was built; a build that fails leaves the one before serving.
/// Shows each request: its calls and how many left the host, rounds, caches, degraded parts, CPU time of the guest.
///
/// Backends are those of `[calls]` in plugin.toml, each by the name of its package (`catalog` for `catalog.v1.Films`). Those of which
/// nothing is said are mocked. Where an endpoint needs a token, any bearer token is taken and believed. Not for real users.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  weft dev                                              all backends mocked
  weft dev --backend catalog=http://localhost:50051     one of them real
  weft dev --config ../weft.toml --backend people=mock  those of a host, one of them mocked

Keys: r rebuild, o open the last waterfall, q quit.")]
pub(super) struct Arguments {
    /// The plugin's folder: the one with `plugin.toml` and `Cargo.toml`
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// What stands for a backend: `mock`, or where it is (`http://HOST:PORT`, `static://…`, `dns://…`); repeatable
    #[arg(long = "backend", value_name = "NAME=WHAT", value_parser = Choice::read)]
    backends: Vec<Choice>,
    /// A host's configuration: its backends, their rules and caches are taken
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen; with port 0, at a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
}

pub(super) fn run(arguments: &Arguments) -> Result {
    let plugin = check(arguments)?;
    let runtime = runtime()?;
    let outcome = runtime.block_on(develop(arguments, plugin));
    runtime.shutdown_background();
    outcome
}

/// What can be said before anything is built; with the plugin's name and version.
fn check(arguments: &Arguments) -> Result<String> {
    let file = arguments.folder.join("plugin.toml");
    let text = fs::read_to_string(&file).with_context(|| {
        format!(
            "{} can't be read; is {} a plugin's folder? `weft new` makes one",
            file.display(),
            arguments.folder.display()
        )
    })?;
    let real = arguments.config.as_deref().map(Config::load).transpose().map_err(Failure::Mistakes)?;
    let manifest = read_manifest(&file, &text, None, None).map_err(Failure::Mistakes)?;
    backends::named(&manifest, &arguments.backends, real.as_ref())?;
    Ok(format!("{} {}", manifest.name, manifest.version))
}

async fn develop(arguments: &Arguments, plugin: String) -> Result {
    let mut wishes = Wishes::new()?;
    let wanted = Wanted { choices: arguments.backends.clone(), file: arguments.config.clone() };
    let more = wanted.file.iter().cloned().collect();
    let (serving, mut requests) = Serving::new(wanted, arguments.listen)?;
    let (log, mut logged) = mpsc::channel(MOST_LOGGED);
    // What there is no room for is not shown.
    telemetry::send_logs(LOG, move |line| drop(log.try_send(line.to_owned())));
    let terminal = Terminal::take();
    wishes.listen(terminal.as_ref());
    let show = Show::new(terminal);
    let building = Building::new(&arguments.folder, show.is_live(), more);
    let mut dev = Developing { plugin, show, building, serving, builds: 0, serves: None, saved: None, last: None };
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    dev.begin(first(&arguments.folder), None);
    loop {
        dev.show.draw();
        let wish = tokio::select! {
            wish = wishes.next() => Some(wish),
            outcome = dev.building.end() => dev.built(outcome, &mut wishes).await,
            Some(request) = requests.recv() => {
                dev.requested(request);
                while let Ok(request) = requests.try_recv() {
                    dev.requested(request);
                }
                None
            }
            Some(line) = logged.recv() => {
                dev.show.line(line);
                None
            }
            _ = look.tick() => {
                if let Some((file, at)) = dev.building.look() {
                    dev.begin(format!("{file} saved: building"), at);
                }
                None
            }
        };
        match wish {
            Some(Wish::Quit) => break,
            Some(Wish::Rebuild) => dev.begin("building".to_owned(), None),
            Some(Wish::Open) => dev.open(),
            Some(Wish::Redraw) => dev.show.again(),
            None => {}
        }
    }
    dev.stop(&mut wishes).await;
    Ok(())
}

/// What is said while nothing was built yet.
fn first(folder: &Path) -> String {
    let why = match Language::of(folder) {
        Language::Rust => "that takes a minute, since the SDK is compiled as well",
        Language::JavaScript => "what package.json names is installed as well",
        Language::Python => "what builds it is installed as well, and each build takes half a minute",
    };
    format!("building; the first time {why}")
}

/// All that goes on.
#[derive(Debug)]
struct Developing {
    /// Its name and version.
    plugin: String,
    show: Show,
    building: Building,
    serving: Serving,
    /// How many builds there were.
    builds: u32,
    /// The one that serves.
    serves: Option<u32>,
    /// When the file was saved that is built now.
    saved: Option<Instant>,
    /// The last request that made calls.
    last: Option<Followed>,
}

impl Developing {
    fn begin(&mut self, why: String, saved: Option<SystemTime>) {
        self.building.begin();
        // A file may say that it was saved long ago.
        let since = saved.and_then(|at| at.elapsed().ok()).filter(|since| *since < LONGEST_UNSEEN);
        self.saved = since.and_then(|since| Instant::now().checked_sub(since));
        self.show.state(Mood::Busy, format!("weft dev: {}: {why}", self.plugin));
    }

    /// Puts in force what was built, if it was; with the wish to end, if there was one meanwhile.
    async fn built(&mut self, outcome: Outcome, wishes: &mut Wishes) -> Option<Wish> {
        self.builds += 1;
        let Outcome { built, mut said, took } = outcome;
        let mut later = None;
        let served = match built {
            Ok(built) => {
                let manifest = &built.artifact.manifest;
                self.plugin = format!("{} {}", manifest.name, manifest.version);
                let mut swap = Box::pin(self.serving.serve(&built.artifact));
                loop {
                    tokio::select! {
                        served = &mut swap => break served,
                        wish = wishes.next() => match wish {
                            Wish::Quit => return Some(wish),
                            Wish::Rebuild | Wish::Open | Wish::Redraw => later = Some(wish),
                        }
                    }
                }
            }
            Err(failure) => Err(failure),
        };
        match served {
            Ok(told) => {
                self.serves = Some(self.builds);
                self.show.said(&said);
                told.into_iter().for_each(|line| self.show.line(line));
                let state = format!(
                    "weft dev: {} on http://{}: build {} serves, {}",
                    self.plugin,
                    self.serving.http,
                    self.builds,
                    self.took(took)
                );
                self.show.state(Mood::Good, state);
            }
            Err(failure) => {
                let words = in_words(&failure);
                if said.is_empty() || !words.contains("does not compile") {
                    said.push_str(&words);
                }
                self.show.said(&said);
                let goes_on = match self.serves {
                    Some(number) => format!("build {number} goes on serving on http://{}", self.serving.http),
                    None => "nothing serves yet".to_owned(),
                };
                self.show
                    .state(Mood::Bad, format!("weft dev: {}: BUILD {} FAILED; {goes_on}", self.plugin, self.builds));
            }
        }
        later
    }

    /// From the save on, where something was saved.
    fn took(&self, build: Duration) -> String {
        match self.saved {
            Some(saved) => format!("{} after it was saved", lines::seconds(saved.elapsed())),
            None => format!("built in {}", lines::seconds(build)),
        }
    }

    fn requested(&mut self, request: Followed) {
        lines::of(&request).into_iter().for_each(|line| self.show.line(line));
        self.last = Some(request);
    }

    /// The waterfall of the last request.
    fn open(&mut self) {
        let Some(request) = &self.last else {
            return self.show.line("no request has come yet, so there is no waterfall".to_owned());
        };
        let of = format!("{} {}", request.method, request.target);
        let Some(url) = self.serving.show(page::of(request)) else { return };
        self.show.line(format!("waterfall of {of}: {url}"));
        page::open(url);
    }

    /// Ends all that goes on; a second wish to end does not wait for it.
    async fn stop(self, wishes: &mut Wishes) {
        let Self { show, mut building, mut serving, .. } = self;
        drop(show);
        print("Stopped.");
        let ending = async {
            building.stop().await;
            serving.stop().await;
        };
        tokio::select! {
            () = ending => {}
            () = wishes.quit() => {}
        }
        serving.cut().await;
    }
}
