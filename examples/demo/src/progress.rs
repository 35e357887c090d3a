//! How far cargo is. Its own progress bar tells a crate's number and how many there are; here the time so far is told with it, and
//! where there is no terminal, a line from time to time.

use crate::say;
use std::time::Duration;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
    time::{Instant, MissedTickBehavior, interval},
};

/// How often the line is drawn anew on a terminal.
const DRAWN: Duration = Duration::from_millis(500);
/// How often a line is printed where there is no terminal.
const PRINTED: Duration = Duration::from_secs(30);
/// What cargo says of each crate; the progress tells it.
const OF_EACH_CRATE: [&str; 4] = ["Compiling", "Downloaded", "Downloading", "Finished"];

/// Makes the cargo that this command is, or runs, tell its progress to a pipe.
pub(crate) fn ask(command: &mut Command) {
    command.env("CARGO_TERM_PROGRESS_WHEN", "always").env("CARGO_TERM_PROGRESS_WIDTH", "120");
    command.env("CARGO_TERM_COLOR", if say::on_terminal() { "always" } else { "never" });
}

/// Reads what cargo says to its end: shows how far it is, and everything that is not progress. Returns whether a crate could not be
/// had from the network.
pub(crate) async fn follow(mut from: impl AsyncRead + Unpin) -> bool {
    let mut watched = Watched::new();
    let mut ticks = interval(if say::on_terminal() { DRAWN } else { PRINTED });
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut chunk, mut line) = ([0; 4096], Vec::new());
    loop {
        tokio::select! {
            read = from.read(&mut chunk) => {
                let Some(bytes) = read.ok().filter(|read| *read > 0).and_then(|read| chunk.get(..read)) else { break };
                for byte in bytes {
                    match byte {
                        b'\r' | b'\n' => watched.said(&String::from_utf8_lossy(&std::mem::take(&mut line))),
                        byte => line.push(*byte),
                    }
                }
            }
            _ = ticks.tick() => watched.show(),
        }
    }
    watched.said(&String::from_utf8_lossy(&line));
    say::progress_ends();
    watched.unreachable
}

struct Watched {
    since: Instant,
    /// Empty until cargo has told some.
    far: String,
    unreachable: bool,
}

impl Watched {
    fn new() -> Self {
        Self { since: Instant::now(), far: String::new(), unreachable: false }
    }

    fn said(&mut self, line: &str) {
        let plain = without_colours(line);
        let words = plain.trim();
        if let Some(far) = progress(words) {
            self.far = far;
        } else if !words.is_empty() && !OF_EACH_CRATE.iter().any(|of| words.starts_with(of)) {
            self.unreachable |= NETWORK.iter().any(|sign| words.contains(sign));
            say::beside_progress(line.trim_end());
        }
    }

    fn show(&self) {
        if !self.far.is_empty() {
            say::progress(&format!("{}, {} so far", self.far, say::took(self.since.elapsed())));
        }
    }
}

/// What cargo's errors say of a network that is not there.
const NETWORK: [&str; 4] = [
    "failed to download",
    "Could not resolve host",
    "spurious network error",
    "network failure seems to have happened",
];

/// `Building [==>   ] 12/439: serde, tokio` as `crate 12 of 439 (serde, tokio)`.
fn progress(line: &str) -> Option<String> {
    let (done, rest) = line.strip_prefix("Building [")?.split_once("] ")?.1.split_once('/')?;
    let (all, names) = rest.split_once(':').unwrap_or((rest, ""));
    let (done, all): (u32, u32) = (done.trim().parse().ok()?, all.trim().parse().ok()?);
    let names: Vec<_> = names.split(',').map(str::trim).filter(|name| !name.is_empty()).take(2).collect();
    let names = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
    Some(format!("crate {done} of {all}{names}"))
}

/// Without what a terminal takes for colours and the like.
fn without_colours(line: &str) -> String {
    let mut parts = line.split('\x1b');
    let first = parts.next().unwrap_or_default().to_owned();
    let rest = parts.map(|part| part.split_once(|end: char| end.is_ascii_alphabetic()).map_or("", |(_, rest)| rest));
    rest.fold(first, |text, part| text + part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_bar_tells_the_crate_and_how_many_there_are() {
        let far = progress("Building [=====>           ] 12/439: serde, tokio, wasmtime(build)");
        assert_eq!(far.as_deref(), Some("crate 12 of 439 (serde, tokio)"));
        assert_eq!(progress("Building [====>] 439/439").as_deref(), Some("crate 439 of 439"));
        for other in ["Compiling serde v1.0.0", "Building [", "error: it is 1/2: so", "Building [=> ] a/b: c"] {
            assert_eq!(progress(other), None);
        }
    }

    #[test]
    fn colours_are_no_part_of_what_is_said() {
        assert_eq!(without_colours("\x1b[1m\x1b[92m   Compiling\x1b[0m serde"), "   Compiling serde");
        assert_eq!(without_colours("plain"), "plain");
    }

    #[test]
    fn a_network_that_is_not_there_is_known_from_what_cargo_says() {
        let mut watched = Watched::new();
        watched.said("error: failed to compile");
        assert!(!watched.unreachable);
        watched.said("  [6] Could not resolve hostname (Could not resolve host: static.crates.io)");
        assert!(watched.unreachable);
    }
}
