//! What became of the files, for people and for whoever asks whether the host is ready.

use super::{File, Loader, Refusal};
use std::path::PathBuf;

/// One file as the admin interface shows it.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Report {
    pub file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

impl Loader {
    /// Why nothing is served, or not a file that could be, were it not for this host's own folder or processes.
    pub fn trouble(&self) -> Option<String> {
        let state = self.state();
        let unserved = || state.files.values().filter(|file| file.candidate.loaded().is_none());
        if let Some(trouble) = state.folder.trouble().filter(|_| unserved().count() == state.files.len()) {
            return Some(format!("the plugin folder {trouble}"));
        }
        let mut reasons = unserved().filter_map(|file| file.candidate.refused());
        reasons.find(|reason| reason.is_hosts()).map(ToString::to_string)
    }

    /// What became of each file.
    pub fn reports(&self) -> Vec<Report> {
        let state = self.state();
        let report = |(path, file): (&PathBuf, &File)| {
            let clash = || file.candidate.loaded().and_then(|loaded| loaded.clash.as_ref());
            let reason = file.candidate.refused().or_else(clash);
            Report { file: path.display().to_string(), refused: reason.map(ToString::to_string) }
        };
        state.files.iter().filter(|(_, file)| !file.candidate.is_leaving()).map(report).collect()
    }
}

/// The reasons as one.
pub(super) fn joined(mut reasons: Vec<Refusal>) -> Option<Refusal> {
    match reasons.len() {
        0 | 1 => reasons.pop(),
        _ => Some(Refusal::Several(reasons)),
    }
}
