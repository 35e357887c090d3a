//! What became of the files, for people and for whoever asks whether the host is ready.

use super::{Candidate, Loader, Refusal};
use std::path::PathBuf;

/// One file as the admin interface shows it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Report {
    pub file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

impl Loader {
    /// Why nothing is served, or not a file that could be, were it not for this host's own folder or processes.
    pub fn trouble(&self) -> Option<String> {
        let state = self.state();
        let is_empty = state.files.values().all(|one| one.good.is_none());
        if let Some(trouble) = state.folder_trouble.as_ref().filter(|_| is_empty) {
            return Some(format!("the plugin folder {trouble}"));
        }
        let troubled = state
            .files
            .values()
            .find(|one| one.good.is_none() && !one.is_gone && one.refused.as_deref().is_some_and(Refusal::is_hosts));
        troubled?.refused.as_ref().map(ToString::to_string)
    }

    /// What became of each file.
    pub fn reports(&self) -> Vec<Report> {
        let state = self.state();
        let report = |(path, candidate): (&PathBuf, &Candidate)| {
            let reason = candidate.refused.as_ref().or(candidate.clash.as_ref());
            Report { file: path.display().to_string(), refused: reason.map(ToString::to_string) }
        };
        state.files.iter().filter(|(_, candidate)| !candidate.is_gone).map(report).collect()
    }
}
