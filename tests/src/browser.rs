//! A real Chromium, driven by a script of the test (Playwright).
//!
//! A script is an ES module whose default export is called with what stands in `tests/browser/run.mjs`, and whose result comes back. The
//! browser reaches 127.0.0.1 and names that end in `.test`, which all lead there; everything else is refused, and told.

use crate::{node, program, repository, target, wait::soon};
use serde_json::{Value, json};
use std::{path::PathBuf, process::Stdio};
use tokio::{io::AsyncWriteExt, sync::Mutex};

/// One at a time: each is as many processes as it likes.
static ONE: Mutex<()> = Mutex::const_new(());

/// What came of a script.
#[derive(Debug)]
pub struct Shown {
    /// What the script returned.
    pub value: Value,
    /// All that pages said in the console as a warning or an error, and what they threw. A broken content security policy is among it.
    pub complaints: Vec<String>,
    /// Addresses beyond this machine that a page wanted something of.
    pub strangers: Vec<String>,
}

impl Shown {
    /// The script's result, of pages that had nothing to complain about and needed nobody else.
    ///
    /// # Panics
    /// If they had or did.
    #[track_caller]
    pub fn clean(self) -> Value {
        assert!(self.complaints.is_empty() && self.strangers.is_empty(), "{self:#?}");
        self.value
    }
}

/// Runs the script, a file of this repository, with `input`. `None`, loudly, where a program or package is missing.
///
/// # Panics
/// If the script throws or does not end.
pub async fn run(script: &str, input: &Value) -> Option<Shown> {
    let mut node = node::node()?;
    let chromium = program::find("chromium")?;
    let (playwright, axe) = (node::package("playwright-core")?, node::package("axe-core")?);
    let screenshots = screenshots();
    std::fs::create_dir_all(&screenshots).unwrap();
    let task = json!({
        "chromium": chromium, "playwright": playwright, "axe": axe, "screenshots": screenshots,
        "script": repository().join(script), "input": input,
    });
    node.arg(repository().join("tests/browser/run.mjs"));
    node.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let _one = ONE.lock().await;
    let mut child = node.spawn().unwrap();
    child.stdin.take().unwrap().write_all(task.to_string().as_bytes()).await.unwrap();
    let ended = soon(script, child.wait_with_output()).await.unwrap();
    let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{script}:\n{err}\n{out}");
    let mut shown: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{script}: {error}: {out}"));
    let texts = |list: &Value| list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect();
    let (complaints, strangers) = (texts(&shown["complaints"]), texts(&shown["strangers"]));
    Some(Shown { value: shown["value"].take(), complaints, strangers })
}

/// Where `screenshot` of a script puts its pictures.
pub fn screenshots() -> PathBuf {
    target().join("screenshots")
}
