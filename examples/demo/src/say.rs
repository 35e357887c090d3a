//! The only place that prints. Colour only on a terminal, and only where `NO_COLOR` doesn't forbid it.

use std::{
    fmt::Display,
    io::{IsTerminal, Write},
    sync::OnceLock,
};

/// A line on standard output. Nobody may be reading any more; that is no reason to stop.
pub(crate) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

/// A step of the way, by its number.
pub(crate) fn step(number: u8, text: &str) {
    line(&format!("{} {}", dim(format!("[{number}/5]")), bold(text)));
}

/// What a step found or made.
pub(crate) fn detail(text: &str) {
    line(&format!("      {text}"));
}

/// A line of a child's own output.
pub(crate) fn overheard(name: &str, text: &str) {
    line(&dim(format!("{name} │ {text}")));
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
