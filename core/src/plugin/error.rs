//! Why a plugin gave no answer.

use super::bound::Bound;
use crate::{model::ProblemType, settings::ByteSize};
use std::time::Duration;

/// Why a plugin gave no answer. None of it harms another request.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    #[error("the host is full: no turn came within {0:?}")]
    Busy(Duration),
    #[error("there are as many streams open, of this plugin or of all, as there may be")]
    NoStream,
    #[error("it crashed again and again, and is not run for another {0:?}")]
    BackOff(Duration),
    #[error("the plugin can't be started: {0}")]
    Start(String),
    #[error("the plugin trapped: {0}")]
    Trapped(String),
    #[error("the plugin needs more memory than it may have ({0})")]
    Memory(Bound<ByteSize>),
    #[error("the plugin used up its CPU time ({0})")]
    Cpu(Bound<Duration>),
    #[error("the request's time is over")]
    Deadline,
    #[error("the request's time was over before it had a turn")]
    NoTurn,
    #[error(
        "the plugin's response has {size:?} bytes (none: too many to look at), which is more than it may have ({limit})"
    )]
    TooLarge { size: Option<usize>, limit: Bound<ByteSize> },
}

impl PluginError {
    /// As what its caller is told of it.
    pub fn kind(&self) -> ProblemType {
        match self {
            Self::Busy(_) | Self::NoStream => ProblemType::Busy,
            Self::BackOff(_) => ProblemType::PluginResting,
            Self::Start(_) => ProblemType::PluginStart,
            Self::Trapped(_) => ProblemType::PluginTrapped,
            Self::Memory(bound) => bound.kind(),
            Self::Cpu(bound) => bound.kind(),
            Self::Deadline | Self::NoTurn => ProblemType::Deadline,
            Self::TooLarge { limit, .. } => limit.kind(),
        }
    }

    /// The bound that was met: whose it is, and where it stands.
    pub fn bound(&self) -> Option<String> {
        match self {
            Self::Memory(bound) | Self::TooLarge { limit: bound, .. } => Some(bound.to_string()),
            Self::Cpu(bound) => Some(bound.to_string()),
            _ => None,
        }
    }

    /// Whether it is what the guest made of its request, so that others with the same request would get it too. What is left is how it
    /// stood with the host, or with this one's time.
    pub fn is_guests_own(&self) -> bool {
        matches!(self, Self::Trapped(_) | Self::Memory(_) | Self::Cpu(_) | Self::TooLarge { .. })
    }

    /// Whether the guest has seen nothing of its request, so that nothing can have been done.
    pub fn never_ran(&self) -> bool {
        matches!(self, Self::Busy(_) | Self::NoStream | Self::BackOff(_) | Self::Start(_) | Self::NoTurn)
    }

    /// Whether the plugin's own code failed, as opposed to a backend or its caller.
    pub(super) fn is_crash(&self) -> bool {
        matches!(self, Self::Start(_) | Self::Trapped(_) | Self::Memory(_) | Self::Cpu(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_guest_made_of_its_request_would_be_the_same_for_others() {
        let (text, time) = (String::new, Duration::from_secs(1));
        let size = Bound::new("memory", ByteSize(1), ByteSize(1));
        let all = [
            (PluginError::Busy(time), false),
            (PluginError::NoStream, false),
            (PluginError::BackOff(time), false),
            (PluginError::Start(text()), false),
            (PluginError::Deadline, false),
            (PluginError::NoTurn, false),
            (PluginError::Trapped(text()), true),
            (PluginError::Memory(size), true),
            (PluginError::Cpu(Bound::new("cpu", time, time)), true),
            (PluginError::TooLarge { size: None, limit: size }, true),
        ];
        for (error, is_guests_own) in all {
            assert_eq!(error.is_guests_own(), is_guests_own, "{error}");
            let is_deadline = matches!(error, PluginError::Deadline);
            assert_eq!(error.never_ran(), !is_guests_own && !is_deadline, "{error}");
        }
    }
}
