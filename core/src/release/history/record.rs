//! What is known of a release, and of each change of its state.

use crate::model::Digest;
use semver::Version;
use serde::{Deserialize, Serialize};

/// Where a release stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Its bytes are here, and nothing was said of them yet.
    Staged,
    /// It is compiled and fits this host; it stands by.
    Verified,
    /// New requests begin with it.
    Live,
    /// Something else has taken its place; requests that began with it are under way.
    Draining,
    /// No request holds it.
    Retired,
    /// It can't serve here.
    Rejected,
    /// Somebody, or the host, has taken it back.
    RolledBack,
}

impl State {
    pub const ALL: [Self; 7] =
        [Self::Staged, Self::Verified, Self::Live, Self::Draining, Self::Retired, Self::Rejected, Self::RolledBack];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Verified => "verified",
            Self::Live => "live",
            Self::Draining => "draining",
            Self::Retired => "retired",
            Self::Rejected => "rejected",
            Self::RolledBack => "rolled-back",
        }
    }

    /// Whether a release may go from here to there. From where it ended there is one way back: to be staged anew, or, where nobody has
    /// said a word against it, to stand by.
    pub fn may_become(self, next: Self) -> bool {
        use State::{Draining, Live, Rejected, Retired, RolledBack, Staged, Verified};
        match self {
            Staged => matches!(next, Verified | Rejected | Retired | RolledBack),
            Verified => matches!(next, Staged | Live | Rejected | Retired | RolledBack),
            Live => matches!(next, Draining | RolledBack),
            Draining => matches!(next, Live | Retired | RolledBack),
            Retired => matches!(next, Staged | Verified | RolledBack),
            Rejected | RolledBack => matches!(next, Staged),
        }
    }
}

/// What an artifact says of itself, by which its release is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    pub plugin: String,
    pub version: Version,
    pub client: String,
}

/// A release as it stands now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub digest: Digest,
    #[serde(flatten)]
    pub name: Name,
    pub state: State,
    /// Milliseconds since 1970.
    pub since: u64,
    /// Who has brought it there: `folder`, `host`, or the name of a token.
    pub by: String,
    pub reason: String,
    /// No folder, tag or restart puts it into service; an explicit apply does.
    pub barred: bool,
    /// Whether its bytes are among those that the host keeps.
    pub kept: bool,
    /// Number of the event with which it went live last.
    pub live_at: Option<u64>,
    /// Number of its last event.
    pub revision: u64,
}

/// A change of a release's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Counts up without holes.
    pub number: u64,
    /// Milliseconds since 1970, by the clock as it was; the order is that of the numbers.
    pub at: u64,
    pub digest: Digest,
    pub plugin: String,
    pub version: Version,
    pub from: Option<State>,
    pub to: State,
    pub by: String,
    pub reason: String,
}
