//! The only place that prints. Colour only on a terminal, and only where `NO_COLOR` doesn't forbid it.

use std::{
    fmt::Display,
    io::{IsTerminal, Write},
    sync::OnceLock,
    time::Duration,
};

/// So much of a line of progress is shown: a terminal that breaks it could not be cleaned again.
const WIDTH: usize = 78;
const CLEAN: &str = "\r\x1b[K";

/// A line on standard output. Nobody may be reading any more; that is no reason to stop.
pub(crate) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

/// A step of the way, by its number; there are so many.
pub(crate) fn step(number: u8, of: u8, text: &str) {
    line(&format!("{} {}", dim(format!("[{number}/{of}]")), bold(text)));
}

/// What a step found or made.
pub(crate) fn detail(text: &str) {
    line(&format!("      {text}"));
}

/// A line of a child's own output.
pub(crate) fn overheard(name: &str, text: &str) {
    line(&dim(format!("{name} │ {text}")));
}

/// How far something is, on standard error: on a terminal each takes the place of the one before.
pub(crate) fn progress(text: &str) {
    let mut err = std::io::stderr().lock();
    let text = format!("      {text}");
    let short: String = text.chars().take(WIDTH).collect();
    let _ = if on_terminal() { write!(err, "{CLEAN}{short}") } else { writeln!(err, "{text}") };
    let _ = err.flush();
}

/// A line on standard error, where progress may stand.
pub(crate) fn beside_progress(text: &str) {
    let mut err = std::io::stderr().lock();
    let _ = writeln!(err, "{}{text}", if on_terminal() { CLEAN } else { "" });
}

pub(crate) fn progress_ends() {
    if on_terminal() {
        let mut err = std::io::stderr().lock();
        let _ = write!(err, "{CLEAN}");
        let _ = err.flush();
    }
}

pub(crate) fn on_terminal() -> bool {
    static THERE: OnceLock<bool> = OnceLock::new();
    *THERE.get_or_init(|| std::io::stderr().is_terminal())
}

/// `12 s`, `3 min 5 s`.
pub(crate) fn took(time: Duration) -> String {
    match (time.as_secs() / 60, time.as_secs() % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

/// What went wrong, on standard error.
pub(crate) fn error(error: &anyhow::Error) {
    let mut err = std::io::stderr().lock();
    let title = if allowed() && err.is_terminal() { "\x1b[1;31merror:\x1b[0m" } else { "error:" };
    let _ = writeln!(err, "{title} {error:#}");
}

pub(crate) fn bold(text: impl Display) -> String {
    paint("1", text)
}

pub(crate) fn dim(text: impl Display) -> String {
    paint("2", text)
}

pub(crate) fn green(text: impl Display) -> String {
    paint("32", text)
}

pub(crate) fn red(text: impl Display) -> String {
    paint("1;31", text)
}

fn paint(code: &str, text: impl Display) -> String {
    if colours() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
}

fn colours() -> bool {
    static COLOURS: OnceLock<bool> = OnceLock::new();
    *COLOURS.get_or_init(|| allowed() && std::io::stdout().is_terminal())
}

fn allowed() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
