//! What cargo says, kept for whoever shows it, and cargo itself, which can be ended.

use crate::sync::lock;
use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    process::{Command, ExitStatus, Stdio},
    sync::Mutex,
};

/// Runs cargo for one who shows what it says.
#[derive(Debug, Default)]
pub(in crate::cli) struct Kept {
    is_colored: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    errors: String,
    warnings: String,
    /// What stood on standard error.
    aside: String,
    group: Option<Pid>,
    is_stopped: bool,
}

impl Kept {
    pub(in crate::cli) fn new(is_colored: bool) -> Self {
        Self { is_colored, state: Mutex::default() }
    }

    /// What was said, as cargo would show it: errors first, and of a build that failed without any all that it said.
    pub(in crate::cli) fn said(&self, has_failed: bool) -> String {
        let State { errors, warnings, aside, .. } = &*lock(&self.state);
        let aside = if has_failed && errors.is_empty() { aside.as_str() } else { "" };
        format!("{errors}{warnings}{aside}")
    }

    /// Ends what is compiled now, and lets nothing else begin.
    pub(in crate::cli) fn stop(&self) {
        let mut state = lock(&self.state);
        state.is_stopped = true;
        if let Some(group) = state.group {
            // One that has ended meanwhile needs no end.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    /// How a program says that its messages are to be.
    pub(super) fn format(&self) -> &'static str {
        if self.is_colored { "json-diagnostic-rendered-ansi" } else { "json" }
    }

    /// Runs it to its end; with what stood on its standard output.
    pub(super) fn run(&self, command: &mut Command) -> anyhow::Result<(ExitStatus, Vec<u8>)> {
        if self.is_colored {
            command.env("CARGO_TERM_COLOR", "always");
        }
        // A group of its own, so that with cargo all ends that it has started.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = {
            let mut state = lock(&self.state);
            if state.is_stopped {
                anyhow::bail!("stopped");
            }
            let child = command.spawn().context("cargo can't be run; is Rust installed?")?;
            state.group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            child
        };
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let (out, err) = std::thread::scope(|scope| {
            let aside = scope.spawn(move || {
                let mut text = Vec::new();
                // What can't be read is not shown.
                err.map(|mut err| err.read_to_end(&mut text));
                String::from_utf8_lossy(&text).into_owned()
            });
            let out = out.map(|out| self.listen(out)).unwrap_or_default();
            (out, aside.join().unwrap_or_default())
        });
        let status = child.wait();
        let mut state = lock(&self.state);
        state.group = None;
        state.aside.push_str(&err);
        Ok((status?, out))
    }

    /// Keeps what the compiler says, each once.
    fn listen(&self, out: impl Read) -> Vec<u8> {
        let mut all = Vec::new();
        for line in BufReader::new(out).split(b'\n').map_while(Result::ok) {
            if let Some((is_error, text)) = rendered(&line) {
                let mut state = lock(&self.state);
                let of = if is_error { &mut state.errors } else { &mut state.warnings };
                if !of.contains(&text) {
                    of.push_str(&text);
                    of.push('\n');
                }
            }
            all.extend_from_slice(&line);
            all.push(b'\n');
        }
        all
    }
}

/// What a line of cargo's messages shows, and whether it is an error.
fn rendered(line: &[u8]) -> Option<(bool, String)> {
    let message: Value = serde_json::from_slice(line).ok()?;
    if message.get("reason")? != "compiler-message" {
        return None;
    }
    let message = message.get("message")?;
    let text = message.get("rendered")?.as_str()?;
    // The last one only counts those before it.
    let is_sum = message.get("spans")?.as_array()?.is_empty() && message.get("code")?.is_null();
    let is_error = message.get("level")? == "error";
    (!(is_sum && is_error && text.contains("aborting due to"))).then(|| (is_error, text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_stand_before_warnings_and_each_once() {
        let kept = Kept::default();
        let message = |level: &str, text: &str| {
            let message = serde_json::json!({"level": level, "rendered": text, "spans": [{}], "code": null});
            serde_json::json!({"reason": "compiler-message", "message": message}).to_string()
        };
        let lines = [message("warning", "unused\n"), message("error", "wrong\n"), message("error", "wrong\n")];
        let out = kept.listen(format!("{}\nno json\n{{\"reason\":\"build-finished\"}}", lines.join("\n")).as_bytes());
        assert_eq!(String::from_utf8(out).unwrap().lines().count(), 5);
        assert_eq!(kept.said(true), "wrong\n\nunused\n\n");
    }

    #[test]
    fn what_is_stopped_ends_with_all_that_it_has_started_and_nothing_begins_after_it() {
        let kept = Kept::default();
        let mut command = Command::new("sh");
        command.args(["-c", "echo begun; sleep 600 & wait"]);
        std::thread::scope(|scope| {
            let running = scope.spawn(|| kept.run(&mut command));
            while lock(&kept.state).group.is_none() {
                std::thread::yield_now();
            }
            kept.stop();
            let (status, _) = running.join().unwrap().unwrap();
            assert!(!status.success());
        });
        assert!(kept.run(&mut Command::new("true")).is_err());
    }
}
