//! One file of the plugin folder: where its content stands on its way into service, as a state and what each event makes of it.

#[cfg(test)]
mod tests;

use super::{Refusal, folder::Stamp};
use std::sync::Arc;

/// The states of a file. `R` is a release; a file without any has no candidate.
#[derive(Debug, Clone)]
pub(super) enum Candidate<R> {
    /// Its content is read and compiled; of which plugin it is is known once it was read. What served from it before does so still.
    Pending { stamp: Stamp, plugin: Option<String>, loaded: Option<Loaded<R>>, told: Option<Arc<Refusal>> },
    /// Its content can serve, beside others or not.
    Loaded { stamp: Stamp, loaded: Loaded<R> },
    /// Its content can't serve. What served from it before does so still.
    Refused { stamp: Stamp, reason: Arc<Refusal>, loaded: Option<Loaded<R>> },
    /// It was removed, and serves on as long as something that may take its place is pending.
    Leaving { loaded: Loaded<R> },
}

/// The last content that could be loaded.
#[derive(Debug, Clone)]
pub(super) struct Loaded<R> {
    pub(super) release: R,
    /// What served from the file before, for as long as `release` can't serve beside others.
    pub(super) before: Option<R>,
    /// What keeps it out.
    pub(super) clash: Option<Arc<Refusal>>,
}

/// What may happen to a file. What is said of a content that is not its content any more changes nothing.
#[derive(Debug)]
pub(super) enum Event<R> {
    /// It lies in the folder with a content that has to be loaded.
    Found(Stamp),
    /// The content is whole, and of this plugin.
    Read(Stamp, String),
    Ready(Stamp, R),
    Failed(Stamp, Refusal),
    /// It lies in the folder no more.
    Removed,
    /// All that is loaded was arranged; this keeps it out.
    Arranged(Option<Refusal>),
    /// Nothing is pending that may take its place.
    Unawaited,
}

/// What an event leads to.
#[derive(Debug, Clone)]
pub(super) enum Effect {
    /// Other releases may serve now.
    Rearrange,
    /// The operator has not been told of this yet.
    Tell(Arc<Refusal>),
}

/// The state after an event, and what is to be done. Pure: all that a file goes through is decided here.
pub(super) fn step<R>(before: Option<Candidate<R>>, event: Event<R>) -> (Option<Candidate<R>>, Vec<Effect>) {
    match (event, before) {
        (Event::Found(stamp), before) => (Some(found(before, stamp)), Vec::new()),
        (Event::Read(new, plugin), Some(Candidate::Pending { stamp, loaded, told, .. })) if new == stamp => {
            (Some(Candidate::Pending { stamp, plugin: Some(plugin), loaded, told }), vec![Effect::Rearrange])
        }
        (Event::Ready(new, release), Some(Candidate::Pending { stamp, loaded, .. })) if new == stamp => {
            let before = loaded.and_then(|loaded| loaded.before.or(Some(loaded.release)));
            let loaded = Loaded { release, before, clash: None };
            (Some(Candidate::Loaded { stamp, loaded }), vec![Effect::Rearrange])
        }
        (Event::Failed(new, reason), Some(Candidate::Pending { stamp, loaded, told, .. })) if new == stamp => {
            let (reason, mut effects) = (Arc::new(reason), vec![Effect::Rearrange]);
            if told.is_none_or(|told| told.to_string() != reason.to_string()) {
                effects.push(Effect::Tell(reason.clone()));
            }
            (Some(Candidate::Refused { stamp, reason, loaded }), effects)
        }
        (Event::Removed, Some(before)) => match before.into_loaded() {
            Some(loaded) => (Some(Candidate::Leaving { loaded }), vec![Effect::Rearrange]),
            None => (None, vec![Effect::Rearrange]),
        },
        (Event::Arranged(clash), Some(mut candidate)) => {
            let effects = candidate.loaded_mut().map(|loaded| loaded.arranged(clash)).unwrap_or_default();
            (Some(candidate), effects)
        }
        (Event::Unawaited, Some(Candidate::Leaving { .. })) => (None, Vec::new()),
        (_, unchanged) => (unchanged, Vec::new()),
    }
}

fn found<R>(before: Option<Candidate<R>>, new: Stamp) -> Candidate<R> {
    match before {
        Some(Candidate::Pending { stamp, plugin, loaded, told }) if stamp == new => {
            Candidate::Pending { stamp, plugin, loaded, told }
        }
        // It is tried again. What was said of it holds until then.
        Some(Candidate::Refused { stamp, reason, loaded }) if stamp == new => {
            Candidate::Pending { stamp, plugin: None, loaded, told: Some(reason) }
        }
        before => {
            let loaded = before.and_then(Candidate::into_loaded);
            Candidate::Pending { stamp: new, plugin: None, loaded, told: None }
        }
    }
}

impl<R> Loaded<R> {
    fn arranged(&mut self, clash: Option<Refusal>) -> Vec<Effect> {
        let Some(clash) = clash else {
            (self.clash, self.before) = (None, None);
            return Vec::new();
        };
        let is_known = self.clash.as_ref().is_some_and(|known| known.to_string() == clash.to_string());
        let clash = Arc::new(clash);
        self.clash = Some(clash.clone());
        if is_known { Vec::new() } else { vec![Effect::Tell(clash)] }
    }
}

impl<R> Candidate<R> {
    /// Whether a file with this stamp has to be looked into: it is new, or was refused for the host's own trouble, which may be over.
    pub(super) fn has_to_be_read(&self, new: Stamp) -> bool {
        match self {
            Self::Pending { stamp, .. } | Self::Loaded { stamp, .. } => *stamp != new,
            Self::Refused { stamp, reason, .. } => *stamp != new || reason.is_hosts(),
            Self::Leaving { .. } => true,
        }
    }

    /// Of the content that was looked at last.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        match self {
            Self::Pending { stamp, .. } | Self::Loaded { stamp, .. } | Self::Refused { stamp, .. } => Some(*stamp),
            Self::Leaving { .. } => None,
        }
    }

    /// Whether this content of it is being loaded.
    pub(super) fn is_pending(&self, content: Stamp) -> bool {
        matches!(self, Self::Pending { stamp, .. } if *stamp == content)
    }

    /// Whether a release of this plugin may come of it.
    pub(super) fn may_become(&self, name: &str) -> bool {
        matches!(self, Self::Pending { plugin, .. } if plugin.as_ref().is_none_or(|plugin| plugin == name))
    }

    pub(super) fn is_leaving(&self) -> bool {
        matches!(self, Self::Leaving { .. })
    }

    /// What is wrong with its content by itself. While it is tried again, what was said of it holds.
    pub(super) fn refused(&self) -> Option<&Arc<Refusal>> {
        match self {
            Self::Pending { told, .. } => told.as_ref(),
            Self::Refused { reason, .. } => Some(reason),
            Self::Loaded { .. } | Self::Leaving { .. } => None,
        }
    }

    pub(super) fn loaded(&self) -> Option<&Loaded<R>> {
        match self {
            Self::Pending { loaded, .. } | Self::Refused { loaded, .. } => loaded.as_ref(),
            Self::Loaded { loaded, .. } | Self::Leaving { loaded } => Some(loaded),
        }
    }

    fn loaded_mut(&mut self) -> Option<&mut Loaded<R>> {
        match self {
            Self::Pending { loaded, .. } | Self::Refused { loaded, .. } => loaded.as_mut(),
            Self::Loaded { loaded, .. } | Self::Leaving { loaded } => Some(loaded),
        }
    }

    fn into_loaded(self) -> Option<Loaded<R>> {
        match self {
            Self::Pending { loaded, .. } | Self::Refused { loaded, .. } => loaded,
            Self::Loaded { loaded, .. } | Self::Leaving { loaded } => Some(loaded),
        }
    }
}
